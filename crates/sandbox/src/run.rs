//! One run of one program.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use wasmtime::{TypedFunc, WasmParams, WasmResults};

use crate::analysis;
use crate::engine::{Channel, trapped};
use crate::filesystem::Ambient;
use crate::isolation::{Cell, Cells};
use crate::limits::{ERROR_BYTES_MAX, Limits, MODULES_MAX, OUTPUT_BYTES_EVER, STACK_BYTES_MAX};
use crate::report::{Program, Purpose, Reason, Report, Stopped, Usage};
use crate::sandbox::Layers;

/// A function that a program may call. The numbers are those of `harness.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFunction {
    /// `memory.query(question)`.
    Query,
    /// `memory.episode(id)`.
    Episode,
    /// `memory.patterns(filter)`.
    Patterns,
}

impl HostFunction {
    pub(crate) fn of(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Query),
            1 => Some(Self::Episode),
            2 => Some(Self::Patterns),
            _ => None,
        }
    }
}

/// What answers a program's calls: reads for whoever runs the program, and never writes.
#[async_trait]
pub trait Host: Send + Sync {
    /// Answers a call whose arguments are a JSON array; the answer is JSON.
    ///
    /// # Errors
    /// A message that the program gets as an exception.
    async fn call(&self, function: HostFunction, arguments: String) -> Result<String, String>;
}

/// A run, as the functions of the host see it.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) host: Option<Arc<dyn Host>>,
    pub(crate) ambient: Ambient,
    /// None, where the layer is switched off.
    pub(crate) limits: Option<Limits>,
    pub(crate) memory_peak_bytes: usize,
    pub(crate) hit: BTreeSet<Reason>,
    pub(crate) halted: Option<Stopped>,
    /// What waits to be taken by the engine.
    pub(crate) reply: Vec<u8>,
    host_calls: u32,
    output_bytes: usize,
    out: Vec<u8>,
    err: Vec<u8>,
    value: Option<Vec<u8>>,
    error: Thrown,
    modules: Vec<String>,
}

/// What was thrown and not caught.
#[derive(Default)]
struct Thrown {
    name: String,
    message: String,
    stack: String,
    /// Lines that stand before the first line of the program.
    lines_before: u32,
}

impl Run {
    pub(crate) fn new(host: Option<Arc<dyn Host>>, ambient: Ambient, limits: Option<Limits>) -> Self {
        Self { host, ambient, limits, ..Self::default() }
    }

    /// Takes a text that comes out of the engine.
    pub(crate) fn emit(&mut self, channel: Channel, text: &[u8]) -> Result<(), Stopped> {
        let cut = |max: usize| String::from_utf8_lossy(&text[..text.len().min(max)]).into_owned();
        match channel {
            Channel::Out | Channel::Err | Channel::Value => return self.write(channel, text),
            Channel::Name => self.error.name = cut(ERROR_BYTES_MAX),
            Channel::Message => self.error.message = cut(ERROR_BYTES_MAX),
            Channel::Stack => self.error.stack = cut(ERROR_BYTES_MAX),
            Channel::Module if self.modules.len() < MODULES_MAX => self.modules.push(cut(ERROR_BYTES_MAX)),
            Channel::Module => {}
            Channel::Body => self.error.lines_before = 1,
        }
        Ok(())
    }

    fn write(&mut self, channel: Channel, text: &[u8]) -> Result<(), Stopped> {
        let max = self.limits.map_or(OUTPUT_BYTES_EVER, |limits| limits.output_bytes);
        let room = max.saturating_sub(self.output_bytes);
        let kept = &text[..text.len().min(room)];
        self.output_bytes += kept.len();
        let full = kept.len() < text.len();
        match channel {
            Channel::Err => self.err.extend_from_slice(kept),
            Channel::Value if !full => self.value = Some(kept.to_owned()),
            // Half a value is none.
            Channel::Value => {}
            _ => self.out.extend_from_slice(kept),
        }
        if full {
            return Err(Stopped::new(
                Reason::Output,
                format!("value, stdout and stderr may have {max} bytes together"),
            ));
        }
        Ok(())
    }

    /// The arguments of a call as a text, unless they are so long that reading them would cost the host more than it may.
    fn arguments(&self, arguments: &[u8]) -> Result<String, String> {
        let max = self.limits.map_or(OUTPUT_BYTES_EVER, |limits| limits.argument_bytes);
        if arguments.len() > max {
            return Err(format!("the arguments have {} bytes, at most {max} are read", arguments.len()));
        }
        Ok(String::from_utf8_lossy(arguments).into_owned())
    }

    /// Calls the host; the reply is then to be taken. Its length, or below zero that of an error.
    pub(crate) async fn call(
        &mut self,
        function: Option<HostFunction>,
        arguments: &[u8],
    ) -> Result<i32, Stopped> {
        self.host_calls = self.host_calls.saturating_add(1);
        if let Some(limits) = self.limits
            && self.host_calls > limits.host_calls
        {
            let message = format!("the memory may be called {} times", limits.host_calls);
            return Err(Stopped::new(Reason::HostCalls, message));
        }
        let reply = match (function, &self.host) {
            (Some(function), Some(host)) => match self.arguments(arguments) {
                Ok(arguments) => host.call(function, arguments).await,
                Err(too_long) => Err(too_long),
            },
            _ => Err("this function was not granted".to_owned()),
        };
        let max = self.limits.map_or(OUTPUT_BYTES_EVER, |limits| limits.reply_bytes);
        let (text, failed) = match reply {
            Ok(reply) if reply.len() > max => {
                let bytes = reply.len();
                (format!("the answer has {bytes} bytes, at most {max} are passed on; ask for less"), true)
            }
            Ok(reply) => (reply, false),
            Err(mut message) => {
                message.truncate(message.floor_char_boundary(ERROR_BYTES_MAX));
                (message, true)
            }
        };
        let length = i32::try_from(text.len()).unwrap_or(i32::MAX - 1);
        self.reply = text.into_bytes();
        Ok(if failed { -(length + 1) } else { length })
    }
}

/// The time that this thread has run, since some moment. Where the system does not tell, the time that has passed.
fn thread_time() -> Duration {
    #[cfg(target_os = "linux")]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        now.try_into().unwrap_or_default()
    }
    #[cfg(not(target_os = "linux"))]
    {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }
}

/// A future that is polled for a bounded time in all, waiting not counted.
struct Timed<'a, F> {
    inner: Pin<&'a mut F>,
    ran: &'a mut Duration,
    may: Option<Duration>,
}

impl<F: Future> Future for Timed<'_, F> {
    /// None, when it was over its time.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let begun = thread_time();
        let polled = self.inner.as_mut().poll(context);
        *self.ran += thread_time().saturating_sub(begun);
        match polled {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.may.is_some_and(|may| *self.ran >= may) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// How the engine came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Done,
    Failed,
    Malformed,
}

impl Ended {
    fn of(status: i32) -> Self {
        match status {
            0 => Self::Done,
            2 => Self::Malformed,
            _ => Self::Failed,
        }
    }
}

/// Runs a program in a cell of its own.
pub(crate) async fn perform(
    cells: &Cells,
    layers: Layers,
    program: &Program,
    run: Run,
) -> wasmtime::Result<Report> {
    let limits = run.limits;
    if layers.analysis
        && let Some(stopped) = analysis::size(program, &limits.unwrap_or_default())
    {
        return Ok(Report { stopped: Some(stopped), ..Report::default() });
    }
    let mut cell = cells.take(run).await?;
    let fuel = cell.store.get_fuel()?;
    let mut ran = Duration::ZERO;
    let may = limits.map(|limits| program.timeout.unwrap_or(limits.timeout));
    let ended = {
        let within = pin!(steps(&mut cell, layers, program));
        Timed { inner: within, ran: &mut ran, may }.await
    };
    let stopped = match ended {
        Some(Ok(Ok(()))) => None,
        Some(Ok(Err(stopped))) => Some(stopped),
        Some(Err(error)) => Some(cell.store.data_mut().halted.take().unwrap_or_else(|| trapped(&error))),
        None => Some(Stopped::new(
            Reason::Deadline,
            format!("it ran longer than {} ms", may.unwrap_or_default().as_millis()),
        )),
    };
    let left = cell.store.get_fuel().unwrap_or(0);
    let run = cell.store.data_mut();
    // An engine that has no memory left ends in many ways.
    let stopped = stopped.map(|stopped| of_memory(stopped, run));
    let value = run.value.take().filter(|_| stopped.is_none());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let usage = Usage {
        fuel: fuel.saturating_sub(left),
        memory_peak_bytes: run.memory_peak_bytes,
        host_calls: run.host_calls,
        output_bytes: run.output_bytes,
        time: ran,
        hit: run
            .hit
            .iter()
            .copied()
            .chain(stopped.iter().map(|s| s.reason))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
    };
    let report = Report {
        value: value.map(text),
        stdout: text(std::mem::take(&mut run.out)),
        stderr: text(std::mem::take(&mut run.err)),
        usage,
        stopped,
    };
    // What was stopped in the middle cannot be used again, shared or not.
    if report.stopped.is_none() {
        cells.give_back(cell);
    }
    Ok(report)
}

fn of_memory(stopped: Stopped, run: &Run) -> Stopped {
    let out_of_memory = match stopped.reason {
        // With no room left for an error, null is thrown, or what is no value at all, or nothing is said.
        Reason::Exception | Reason::Syntax => {
            let Thrown { name, message, .. } = &run.error;
            message.contains("out of memory")
                || (name.is_empty() && matches!(message.as_str(), "null" | "[uninitialized]" | ""))
        }
        Reason::Trap => true,
        _ => false,
    };
    if run.hit.contains(&Reason::Memory) && out_of_memory {
        let bytes = run.limits.map_or(0, |limits| limits.memory_bytes);
        return Stopped::new(Reason::Memory, format!("it may use {} MiB of memory", bytes / (1024 * 1024)));
    }
    stopped
}

/// Makes the engine ready, has it look at the program, and lets it run.
async fn steps(cell: &mut Cell, layers: Layers, program: &Program) -> wasmtime::Result<Result<(), Stopped>> {
    if !cell.prepared {
        let input = give(cell, &program.input).await?;
        let grants = i32::from(program.grants.memory);
        let stack = cell.store.data().limits.map_or(STACK_BYTES_MAX, |limits| limits.stack_bytes) as u32;
        if let Some(stopped) = call(cell, "prepare", (grants, stack, input.0, input.1)).await? {
            return Ok(Err(stopped));
        }
        cell.prepared = true;
    }
    let code = give(cell, &program.code).await?;
    let module = i32::from(program.purpose != Purpose::Value);
    let malformed = call(cell, "analyse", (code.0, code.1, module)).await?;
    if layers.analysis
        && let Some(stopped) = analysis::imports(&cell.store.data().modules, program.grants)
    {
        return Ok(Err(stopped));
    }
    if let Some(stopped) = malformed {
        return Ok(Err(stopped));
    }
    let mode: i32 = match program.purpose {
        Purpose::Value => 0,
        Purpose::Call => 1,
        Purpose::Describe => 2,
    };
    Ok(call(cell, "run", (mode,)).await?.map_or(Ok(()), Err))
}

fn function<P: WasmParams, R: WasmResults>(cell: &mut Cell, name: &str) -> wasmtime::Result<TypedFunc<P, R>> {
    cell.instance.get_typed_func(&mut cell.store, name)
}

/// Puts a text into the engine's memory: where it is, and how long.
async fn give(cell: &mut Cell, text: &str) -> wasmtime::Result<(u32, u32)> {
    let length = u32::try_from(text.len())?;
    let place = function::<u32, u32>(cell, "buffer")?.call_async(&mut cell.store, length).await?;
    let memory = cell.instance.get_memory(&mut cell.store, "memory");
    match memory {
        Some(memory) if place != 0 => memory.write(&mut cell.store, place as usize, text.as_bytes())?,
        _ => {
            let bytes = cell.store.data().limits.map_or(0, |limits| limits.memory_bytes);
            let message = format!("there is no room for {length} bytes of text in {bytes} bytes of memory");
            let run = cell.store.data_mut();
            run.hit.insert(Reason::Memory);
            run.halted = Some(Stopped::new(Reason::Memory, message.clone()));
            return Err(wasmtime::Error::msg(message));
        }
    }
    Ok((place, length))
}

/// Calls a function of the engine that tells how it went.
async fn call<P: WasmParams + Sync>(
    cell: &mut Cell,
    name: &str,
    with: P,
) -> wasmtime::Result<Option<Stopped>> {
    let status = function::<P, i32>(cell, name)?.call_async(&mut cell.store, with).await?;
    Ok(match Ended::of(status) {
        Ended::Done => None,
        Ended::Failed => Some(thrown(Reason::Exception, &cell.store.data().error)),
        Ended::Malformed => Some(thrown(Reason::Syntax, &cell.store.data().error)),
    })
}

fn thrown(reason: Reason, error: &Thrown) -> Stopped {
    let message = match (error.name.as_str(), error.message.as_str()) {
        ("", "") => "it ended without saying why".to_owned(),
        ("", message) => message.to_owned(),
        (name, "") => name.to_owned(),
        (name, message) => format!("{name}: {message}"),
    };
    let place =
        place(&error.stack).map(|(line, column)| (line.saturating_sub(error.lines_before).max(1), column));
    let (line, column) = place.unzip();
    Stopped { reason, message, line, column }
}

/// Line and column of the first place in the program that a stack names: `at f (code:2:9)`.
fn place(stack: &str) -> Option<(u32, u32)> {
    let mut parts = stack.split("code:").nth(1)?.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
