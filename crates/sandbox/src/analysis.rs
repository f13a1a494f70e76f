//! The fifth layer: what is looked at before anything is run. The engine module may ask for the functions that are listed here
//! and for no others; a program must not be too long, must be a program, and may import what it was granted.

use crate::engine::HOST;
use crate::limits::Limits;
use crate::report::{Program, Reason, Stopped};

/// What a program may use of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// The functions of `memory`, and the module of that name.
    pub memory: bool,
}

/// Every function that the engine module may ask of the host.
pub(crate) const GRANTED: [&str; 5] = ["emit", "call", "take", "clock", "seed"];

/// What is wrong with what a module asks of the host: whatever is not listed.
pub(crate) fn objection(module: &str, function: &str) -> Option<String> {
    let granted = module == HOST && GRANTED.contains(&function);
    (!granted).then(|| format!("the engine asks for what it was not granted: {module}.{function}"))
}

/// What is wrong with a program at sight.
pub(crate) fn size(program: &Program, limits: &Limits) -> Option<Stopped> {
    let problem = |what: &str, bytes: usize, max: usize| {
        Stopped::new(Reason::Syntax, format!("{what} is {bytes} bytes long; at most {max} are read"))
    };
    if program.code.len() > limits.source_bytes {
        return Some(problem("the code", program.code.len(), limits.source_bytes));
    }
    if program.input.len() > limits.input_bytes {
        return Some(problem("the input", program.input.len(), limits.input_bytes));
    }
    None
}

/// What is wrong with the modules that a program names.
pub(crate) fn imports(modules: &[String], grants: Grants) -> Option<Stopped> {
    let known = |name: &String| grants.memory && name == "memory";
    let name = modules.iter().find(|name| !known(name))?;
    let may = if grants.memory { "the only module is 'memory'" } else { "there are no modules" };
    Some(Stopped::new(Reason::Import, format!("the code imports '{name}'; {may}")))
}

#[cfg(test)]
mod tests {
    use crate::report::{Program, Reason, Refusal};
    use crate::sandbox::tests::{hostile, only};
    use crate::sandbox::{Layers, Sandbox};

    const ALONE: Layers = Layers { analysis: true, ..Layers::NONE };

    async fn stopped(code: &str) -> crate::Stopped {
        only(ALONE).evaluate(code).await.unwrap().stopped.unwrap()
    }

    #[tokio::test]
    async fn an_engine_that_asks_for_anything_unknown_is_not_made() {
        for module in [hostile::UNKNOWN, hostile::NETWORK, hostile::FILESYSTEM] {
            let refusal = Sandbox::of_module(ALONE, module).evaluate("1").await.unwrap_err();
            assert!(matches!(&refusal, Refusal::Broken(why) if why.contains("not granted")), "{refusal}");
        }
    }

    #[tokio::test]
    async fn a_mistake_is_told_with_its_place_and_nothing_is_run() {
        let report = only(ALONE).evaluate("console.log('ran');\nlet x = ;\n").await.unwrap();
        let stopped = report.stopped.unwrap();
        assert_eq!((stopped.reason, stopped.line, stopped.column), (Reason::Syntax, Some(2), Some(9)));
        assert_eq!(report.stdout, "");
    }

    #[tokio::test]
    async fn a_program_that_is_too_long_is_not_read() {
        let code = format!("/*{}*/", " ".repeat(10_000_000));
        let stopped = stopped(&code).await;
        assert_eq!(stopped.reason, Reason::Syntax);
        assert!(stopped.message.contains("10000004 bytes"), "{}", stopped.message);
        let long = Program { input: format!("\"{}\"", "x".repeat(5_000_000)), ..Program::new("1") };
        assert_eq!(only(ALONE).run(long, None).await.unwrap().stopped.unwrap().reason, Reason::Syntax);
    }

    #[tokio::test]
    async fn a_program_that_imports_what_it_may_not_is_not_run() {
        let report = only(ALONE).evaluate("import fs from 'fs'; console.log('ran')").await.unwrap();
        let stopped = report.stopped.unwrap();
        assert_eq!(stopped.reason, Reason::Import);
        assert!(stopped.message.contains("'fs'"), "{}", stopped.message);
        assert_eq!(report.stdout, "");
    }
}
