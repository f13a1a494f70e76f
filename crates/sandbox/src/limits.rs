//! The fourth layer: what a program may use. Also the bounds of the sandbox itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use wasmtime::ResourceLimiter;

use crate::report::Reason;
use crate::run::{Host, HostFunction, Run};

/// What one program may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time that it may run, waiting for the memory, for other programs and (where the system tells) for the processor left
    /// out.
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
    /// Longest arguments of one such call, in bytes of JSON.
    pub argument_bytes: usize,
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
            argument_bytes: 64 * 1024,
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
/// Calls of the memory that are answered at the same time, of all programs together: however they ask, most of what the
/// machine can do is left to others.
pub(crate) const HOST_CALLS_AT_ONCE: usize = 1;
/// Programs that wait for their turn; further ones are refused.
pub const QUEUE_RUNS_MAX: usize = 32;
/// Instructions between two looks at the clock, about a third of a millisecond.
pub(crate) const FUEL_PER_TURN: u64 = 300_000;
/// Turns between two looks at what has come in for the sandbox.
pub(crate) const EVENT_TURNS: u32 = 4;
/// Entries of a table of the engine.
const TABLE_ENTRIES_MAX: usize = 20_000;
/// Longest message, name or stack of an error, in bytes.
pub(crate) const ERROR_BYTES_MAX: usize = 8 * 1024;
/// Names of modules that are noted.
pub(crate) const MODULES_MAX: usize = 16;
/// Longest value, stdout or stderr that is kept where the limits are switched off, in bytes.
pub(crate) const OUTPUT_BYTES_EVER: usize = 64 * 1024 * 1024;

/// A host whose answers come in turn with those to other programs.
pub(crate) struct InTurn {
    pub(crate) host: Arc<dyn Host>,
    /// One permit for each of [`HOST_CALLS_AT_ONCE`].
    pub(crate) turns: Arc<Semaphore>,
}

#[async_trait]
impl Host for InTurn {
    async fn call(&self, function: HostFunction, arguments: String) -> Result<String, String> {
        // Never closed, so that there is always a turn.
        let _turn = self.turns.acquire().await;
        self.host.call(function, arguments).await
    }
}

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use wasmtime::ResourceLimiter;

    use super::{HOST_CALLS_AT_ONCE, Limits, TABLE_ENTRIES_MAX};
    use crate::Grants;
    use crate::filesystem::Ambient;
    use crate::report::{Program, Reason, Report, Stopped};
    use crate::run::{Host, HostFunction, Run};
    use crate::sandbox::{Layers, Sandbox};

    const ALONE: Layers = Layers { limits: true, ..Layers::NONE };
    /// So long that nothing comes to its deadline.
    const PATIENT: Limits = Limits { timeout: Duration::from_secs(600), ..TINY };
    const TINY: Limits = Limits {
        timeout: Duration::from_millis(30),
        fuel: u64::MAX,
        memory_bytes: 8 * 1024 * 1024,
        stack_bytes: 128 * 1024,
        output_bytes: 1_000,
        host_calls: 3,
        argument_bytes: 100,
        reply_bytes: 200,
        source_bytes: 1_000,
        input_bytes: 1_000,
    };

    async fn report(limits: Limits, code: &str) -> Report {
        Sandbox::layered(ALONE, limits).evaluate(code).await.unwrap()
    }

    async fn stopped(limits: Limits, code: &str) -> Stopped {
        report(limits, code).await.stopped.unwrap_or_else(|| panic!("{code} came to its end"))
    }

    #[tokio::test]
    async fn the_deadline_holds_wherever_a_program_loops() {
        for code in [
            "for (;;) {}",
            "/(a+)+$/.test('a'.repeat(60) + '!')",
            "new Uint8Array(4e6); for (;;) new Uint8Array(1e6).fill(1)",
            "for (;;) await null",
            "({ toJSON() { for (;;) {} } })",
            "Promise.resolve().then(() => { for (;;) {} }); 1",
            "try { for (;;) {} } finally { for (;;) {} }",
            "throw { toJSON() { for (;;) {} } }",
        ] {
            let Stopped { reason, message, .. } = stopped(TINY, code).await;
            assert!(reason == Reason::Deadline && message.contains("30 ms"), "{code}: {message}");
        }
    }

    #[tokio::test]
    async fn instructions_are_counted_also_those_that_move_much_at_once() {
        let limits = Limits { fuel: 50_000_000, ..PATIENT };
        for code in ["for (;;) {}", "const b = new Uint8Array(3e6); for (;;) b.copyWithin(0, 1)"] {
            let Stopped { reason, message, .. } = stopped(limits, code).await;
            assert!(reason == Reason::Deadline && message.contains("instructions"), "{code}: {message}");
        }
        assert_eq!(report(limits, "1").await.stopped, None);
    }

    #[tokio::test]
    async fn memory_ends_however_it_is_asked_for() {
        for code in [
            "const held = []; for (;;) held.push({})",
            "const held = []; for (;;) held.push(new Uint8Array(1000))",
            "const held = new Map(); for (let i = 0; ; i++) held.set(i, 'k' + i)",
            "const held = []; for (;;) held.push(new Promise(() => {}))",
            "const held = []; for (;;) { try { held.push('x'.repeat(1e4)) } catch (e) { throw e } }",
            "[...(function* () { for (;;) yield 1 })()]",
        ] {
            let Stopped { reason, message, .. } = stopped(PATIENT, code).await;
            assert!(reason == Reason::Memory && message.contains("8 MiB"), "{code}: {message}");
        }
        let kept = "let held = []; try { for (;;) held.push({}) } catch { held = null } 'went on'";
        assert_eq!(report(PATIENT, kept).await.value.as_deref(), Some("\"went on\""));
        let little = Limits { memory_bytes: 100_000, ..PATIENT };
        assert!(Sandbox::layered(ALONE, little).evaluate("1").await.is_err(), "not even the engine fits in");
    }

    #[test]
    fn no_table_grows_beyond_its_bound() {
        let mut run = Run::new(None, Ambient::default(), Some(TINY));
        assert!(run.table_growing(0, TABLE_ENTRIES_MAX, None).unwrap());
        assert!(!run.table_growing(0, TABLE_ENTRIES_MAX + 1, None).unwrap());
        assert_eq!((run.instances(), run.tables(), run.memories()), (1, 1, 1));
    }

    #[tokio::test]
    async fn the_stack_ends_where_it_is_set_and_the_program_can_go_on() {
        let depth = async |stack_bytes| {
            let code = "let depth = 0; try { (function f() { depth++; f() })() } catch {} depth";
            let report = report(Limits { stack_bytes, ..PATIENT }, code).await;
            report.value.unwrap().parse::<u32>().unwrap()
        };
        let (small, large) = (depth(32 * 1024).await, depth(128 * 1024).await);
        assert!(small > 10 && large > 3 * small, "{small} {large}");
        let uncaught = stopped(PATIENT, "const o = { get x() { return o.x } }; o.x").await;
        assert!(uncaught.message.contains("stack"), "{uncaught:?}");
    }

    #[tokio::test]
    async fn output_is_cut_where_it_is_too_much() {
        for code in ["for (;;) console.log('0123456789')", "for (;;) console.error('0123456789')"] {
            let report = report(PATIENT, code).await;
            assert_eq!(report.stopped.unwrap().reason, Reason::Output, "{code}");
            assert_eq!(report.stdout.len() + report.stderr.len(), 1_000, "{code}");
        }
        let value = report(PATIENT, "'x'.repeat(2000)").await;
        assert_eq!((value.value, value.stopped.unwrap().reason), (None, Reason::Output));
        let thrown = stopped(PATIENT, "throw new Error('x'.repeat(1e6))").await;
        assert!(thrown.message.len() < 10_000, "{}", thrown.message.len());
    }

    /// Answers with as much as it is asked for, and counts.
    #[derive(Default)]
    struct Echo(AtomicU32);

    #[async_trait]
    impl Host for Echo {
        async fn call(&self, function: HostFunction, arguments: String) -> Result<String, String> {
            self.0.fetch_add(1, Ordering::Relaxed);
            match function {
                HostFunction::Query => Ok(arguments),
                HostFunction::Episode => Ok(format!("\"{}\"", "x".repeat(500))),
                HostFunction::Patterns => Err("x".repeat(1_000_000)),
            }
        }
    }

    /// What comes of a program, and how often the host was asked.
    async fn asking(code: &str) -> (Report, u32) {
        let host = Arc::new(Echo::default());
        let program = Program { grants: Grants { memory: true }, ..Program::new(code) };
        let report = Sandbox::layered(ALONE, PATIENT).run(program, Some(host.clone())).await.unwrap();
        (report, host.0.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn the_host_is_called_as_often_as_allowed() {
        let (report, calls) = asking("for (;;) { try { memory.query(1) } catch {} }").await;
        assert_eq!((report.stopped.unwrap().reason, calls), (Reason::HostCalls, 3));
    }

    /// Answers slowly, and notes how many calls were there at the same time.
    #[derive(Default)]
    struct Slow {
        now: AtomicU32,
        most: AtomicU32,
    }

    #[async_trait]
    impl Host for Slow {
        async fn call(&self, _: HostFunction, _: String) -> Result<String, String> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok("1".to_owned())
        }
    }

    #[tokio::test]
    async fn programs_ask_the_host_one_after_another() {
        let (host, sandbox) = (Arc::new(Slow::default()), Sandbox::layered(ALONE, PATIENT));
        let ask = async || {
            let program = Program { grants: Grants { memory: true }, ..Program::new("memory.query(1)") };
            sandbox.run(program, Some(host.clone())).await.unwrap().value
        };
        let (one, two, three) = tokio::join!(ask(), ask(), ask());
        assert_eq!([one, two, three].map(Option::unwrap), ["1", "1", "1"]);
        assert_eq!(host.most.load(Ordering::SeqCst), HOST_CALLS_AT_ONCE as u32);
    }

    #[tokio::test]
    async fn what_is_said_to_the_host_and_by_it_is_bounded() {
        let (report, calls) = asking("memory.query('x'.repeat(200))").await;
        assert!(report.stopped.unwrap().message.contains("arguments have 204 bytes, at most 100"));
        assert_eq!(calls, 0);
        let (report, _) = asking("memory.episode(1)").await;
        assert!(report.stopped.unwrap().message.contains("answer has 502 bytes, at most 200"));
        let (report, _) = asking("memory.patterns(1)").await;
        assert!(report.stopped.unwrap().message.len() < 10_000);
    }
}
