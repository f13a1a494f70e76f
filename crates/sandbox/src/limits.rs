//! The fourth layer: what a program may use. Also the bounds of the sandbox itself.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::report::Reason;
use crate::run::Run;

/// What one program may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time that it may run, waiting for the memory and for other programs left out.
    pub timeout: Duration,
    /// Instructions of compiled code, about a thousand million for each second.
    pub fuel: u64,
    /// Linear memory, in bytes: the engine, its stack and all that the program makes.
    pub memory_bytes: usize,
    /// Stack of the program's functions, in bytes.
    pub stack_bytes: usize,
    /// Value, stdout and stderr together, in bytes.
    pub output_bytes: usize,
    /// Calls of functions of the host.
    pub host_calls: u32,
    /// Longest reply of one such call, in bytes.
    pub reply_bytes: usize,
    /// Longest source, in bytes.
    pub source_bytes: usize,
    /// Longest input, in bytes.
    pub input_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            fuel: 20_000_000_000,
            memory_bytes: 64 * 1024 * 1024,
            stack_bytes: 256 * 1024,
            output_bytes: 64 * 1024,
            host_calls: 1_000,
            reply_bytes: 4 * 1024 * 1024,
            source_bytes: 256 * 1024,
            input_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Longest time that a caller may ask for.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// Longest time that a run may wait for the memory and for other runs, above the time that it may run itself.
pub(crate) const WAITING_MAX: Duration = Duration::from_secs(60);
/// Largest memory that can be allowed, in bytes.
pub const MEMORY_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Largest stack that can be allowed, in bytes: a quarter of that of the compiled code, which a function of a program uses
/// faster than its own.
pub const STACK_BYTES_MAX: usize = crate::settings::WASM_STACK_BYTES / 4;
/// Memory below which not even an empty program runs, in bytes.
pub const MEMORY_BYTES_MIN: usize = 4 * 1024 * 1024;
/// Programs that run at the same time, in turns on one thread. Together they may hold this many times the memory of one.
pub const RUNS_MAX: usize = 4;
/// Programs that wait for their turn; further ones are refused.
pub const QUEUE_RUNS_MAX: usize = 32;
/// Instructions between two looks at the clock, about a third of a millisecond.
pub(crate) const FUEL_PER_TURN: u64 = 300_000;
/// Entries of a table of the engine.
const TABLE_ENTRIES_MAX: usize = 20_000;
/// Longest message, name or stack of an error, in bytes.
pub(crate) const ERROR_BYTES_MAX: usize = 8 * 1024;
/// Names of modules that are noted.
pub(crate) const MODULES_MAX: usize = 16;
/// Longest value, stdout or stderr that is kept where the limits are switched off, in bytes.
pub(crate) const OUTPUT_BYTES_EVER: usize = 64 * 1024 * 1024;

impl ResourceLimiter for Run {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = self.limits.is_none_or(|limits| desired <= limits.memory_bytes);
        if allowed {
            self.memory_peak_bytes = self.memory_peak_bytes.max(desired);
        } else {
            // The program gets an error that it can catch; what is noted here says why, if it ends by it.
            self.hit.insert(Reason::Memory);
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.limits.is_none() || desired <= TABLE_ENTRIES_MAX)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}
