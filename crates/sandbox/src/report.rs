//! What goes in and what comes out.

use std::time::Duration;

use crate::analysis::Grants;

/// A program to be run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its source: a script, the body of a function or a module.
    pub code: String,
    /// What it finds in `input`, as JSON.
    pub input: String,
    /// What is wanted of it.
    pub purpose: Purpose,
    /// What it may use of the host.
    pub grants: Grants,
    /// Time that it may run, instead of the usual one; at most [`TIMEOUT_MAX`](crate::limits::TIMEOUT_MAX).
    pub timeout: Option<Duration>,
}

impl Program {
    /// A program without input and grants, run for its value.
    pub fn new(code: impl Into<String>) -> Self {
        let (input, purpose) = ("null".to_owned(), Purpose::Value);
        Self { code: code.into(), input, purpose, grants: Grants::default(), timeout: None }
    }
}

/// What is wanted of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// The value of its last expression, of its `return`, or of a module's default export.
    #[default]
    Value,
    /// It is a module: what its default export, a function, returns when called with the input.
    Call,
    /// It is a module: its export `extractor`.
    Describe,
}

/// What came of a program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Its value as JSON; `None` if it has none or was stopped.
    pub value: Option<String>,
    /// What it wrote with `console.log`, `info` and `debug`.
    pub stdout: String,
    /// What it wrote with `console.warn` and `error`, and what it left unhandled.
    pub stderr: String,
    /// What it used.
    pub usage: Usage,
    /// Why it did not come to its end.
    pub stopped: Option<Stopped>,
}

/// What a program used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Instructions of compiled code.
    pub fuel: u64,
    /// Largest linear memory, in bytes.
    pub memory_peak_bytes: usize,
    /// Calls of functions of the host.
    pub host_calls: u32,
    /// Value, stdout and stderr together, in bytes.
    pub output_bytes: usize,
    /// Time that it ran.
    pub time: Duration,
    /// Limits that it came up against, whether or not that stopped it.
    pub hit: Vec<Reason>,
}

/// Why a program did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The reason.
    pub reason: Reason,
    /// The same in words.
    pub message: String,
    /// Where in the code, where that is known; the first is 1.
    pub line: Option<u32>,
    /// Where in the line, where that is known; the first is 1.
    pub column: Option<u32>,
}

impl Stopped {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), line: None, column: None }
    }
}

/// The kinds of reasons for which a program is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It ran too long.
    Deadline,
    /// It wanted more memory.
    Memory,
    /// It wrote too much.
    Output,
    /// It called the host too often.
    HostCalls,
    /// The engine could not go on, as when its stack is full.
    Trap,
    /// It imports what it may not.
    Import,
    /// It is no program, or too long a one.
    Syntax,
    /// It threw what it did not catch.
    Exception,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Deadline,
        Self::Memory,
        Self::Output,
        Self::HostCalls,
        Self::Trap,
        Self::Import,
        Self::Syntax,
        Self::Exception,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::HostCalls => "host_calls",
            Self::Trap => "trap",
            Self::Import => "import",
            Self::Syntax => "syntax",
            Self::Exception => "exception",
        }
    }

    /// Whether it is a bound that a program may come up against.
    pub fn is_limit(self) -> bool {
        matches!(self, Self::Deadline | Self::Memory | Self::Output | Self::HostCalls)
    }

    /// Whether it tells of a program that went against a bound, and not of a mistake that any program may have.
    pub fn is_violation(self) -> bool {
        !matches!(self, Self::Syntax | Self::Exception)
    }
}

/// Why a program was not even begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many wait already.
    #[error("{0} programs are waiting already; try again in a second")]
    Busy(usize),
    /// Too many programs went against their bounds.
    #[error(
        "closed for {0} more seconds, because several programs went against their limits; make the code smaller"
    )]
    Closed(u64),
    /// The engine cannot be made.
    #[error("the sandbox does not work: {0}")]
    Broken(String),
    /// Whoever asked for it does not want it any more.
    #[error("it was cancelled")]
    Cancelled,
    /// The program that runs all this is about to end.
    #[error("the sandbox was shut down")]
    ShutDown,
}
