//! The third layer: nothing of the machine. There are no files and no environment; the clock stands at the start of 1970 and
//! random numbers are the same in every run, unless they are granted.

use std::time::SystemTime;

/// What a program may know of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ambient {
    /// The real time, for `Date` and `performance.now()`.
    pub clock: bool,
    /// Random numbers that differ from run to run.
    pub randomness: bool,
}

impl Ambient {
    /// Everything, as it is where this layer is switched off.
    pub(crate) const ALL: Self = Self { clock: true, randomness: true };

    /// The time, in microseconds since 1970.
    pub(crate) fn now_micros(self) -> f64 {
        if !self.clock {
            return 0.0;
        }
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0.0, |passed| passed.as_micros() as f64)
    }

    /// What random numbers begin with.
    pub(crate) fn seed(self) -> i64 {
        if self.randomness { fastrand::i64(1..) } else { 1 }
    }
}

/// What is wrong with what a module asks of the host: anything of an operating system.
pub(crate) fn objection(module: &str, function: &str) -> Option<String> {
    let asks = module.starts_with("wasi")
        || ["fd_", "path_", "environ", "args_", "clock_time", "random_get", "proc_"]
            .iter()
            .any(|start| function.starts_with(start));
    asks.then(|| format!("the engine asks for the operating system: {module}.{function}"))
}

#[cfg(test)]
mod tests {
    use crate::report::Refusal;
    use crate::sandbox::tests::{hostile, only, value};
    use crate::sandbox::{Layers, Sandbox};

    const ALONE: Layers = Layers { filesystem: true, ..Layers::NONE };

    #[tokio::test]
    async fn an_engine_that_asks_for_files_or_the_environment_is_not_made() {
        let sandbox = Sandbox::of_module(ALONE, hostile::FILESYSTEM);
        let refusal = sandbox.evaluate("1").await.unwrap_err();
        assert!(matches!(&refusal, Refusal::Broken(why) if why.contains("path_open")), "{refusal}");
    }

    #[tokio::test]
    async fn a_program_sees_no_clock_and_no_chance() {
        let look = "[Date.now(), performance.now(), new Date().getFullYear(), Math.random()]";
        let first = value(&only(ALONE), look).await;
        assert!(first.starts_with("[0,0,1970,"), "{first}");
        assert_eq!(value(&only(ALONE), look).await, first);
        assert_ne!(value(&only(Layers::NONE), look).await, first);
    }

    #[tokio::test]
    async fn a_program_finds_no_files_and_no_environment() {
        let sandbox = only(ALONE);
        for name in
            ["std", "os", "scriptArgs", "process", "require", "Bun", "__filename", "loadScript", "read"]
        {
            assert_eq!(value(&sandbox, &format!("typeof {name}")).await, "\"undefined\"", "{name}");
        }
        for module in ["std", "os", "qjs:os", "fs", "node:fs", "/etc/passwd", "./x.js", "file:///etc/passwd"]
        {
            let report = sandbox.evaluate(&format!("await import('{module}')")).await.unwrap();
            assert!(report.stopped.unwrap().message.contains("no module"), "{module}");
        }
    }
}
