//! Which commands check the work: test runs, and builds with what else reads the code as a compiler does.

use super::{Command, program_name};

/// A kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// A run of tests.
    Test,
    /// A build, or a compiler's reading of the code without its output: `cargo check`, `tsc`, `go vet`, `mypy`.
    Build,
}

/// Programs that do nothing but run tests.
const TEST_PROGRAMS: &[&str] = &[
    "pytest",
    "py.test",
    "unittest",
    "nose2",
    "nosetests",
    "tox",
    "nox",
    "trial",
    "stestr",
    "behave",
    "jest",
    "vitest",
    "mocha",
    "ava",
    "jasmine",
    "karma",
    "tap",
    "qunit",
    "rspec",
    "cucumber",
    "phpunit",
    "pest",
    "paratest",
    "ctest",
    "bats",
    "busted",
    "prove",
    "gotestsum",
    "ginkgo",
];

/// Programs that do nothing but build or read code.
const BUILD_PROGRAMS: &[&str] = &[
    "tsc",
    "vue-tsc",
    "mypy",
    "pyright",
    "gcc",
    "g++",
    "cc",
    "c++",
    "clang",
    "clang++",
    "rustc",
    "javac",
    "kotlinc",
    "scalac",
    "ghc",
    "swiftc",
    "nvcc",
    "ninja",
    "msbuild",
    "webpack",
    "rollup",
    "esbuild",
    "sphinx-build",
];

/// Scripts by which projects have their tests run.
const TEST_SCRIPTS: &[&str] = &[
    "runtests",
    "runtests.py",
    "runtests.sh",
    "run_tests",
    "run_tests.py",
    "run_tests.sh",
    "run-tests.sh",
    "run-tests",
    "test.sh",
    "tests.sh",
    "test",
    "phpunit",
    "rspec",
];

/// Programs that run the file which is their first word.
const INTERPRETERS: &[&str] = &["python", "bash", "sh", "zsh", "node", "ruby", "php", "perl"];

/// Options with which a runner says something and runs nothing.
const DRY: &[&str] =
    &["--help", "--version", "--collect-only", "--co", "--list", "--list-tests", "--listTests", "--dry-run"];

/// Programs whose first word says what they do, with what runs tests and what builds.
const BY_SUBCOMMAND: &[(&str, &[&str], &[&str])] = &[
    ("cargo", &["test", "t", "nextest"], &["build", "b", "check", "c", "clippy", "rustc", "doc", "install"]),
    ("go", &["test"], &["build", "vet", "install"]),
    ("npm", &["test", "t", "tst"], &[]),
    ("yarn", &["test"], &["build", "tsc"]),
    ("pnpm", &["test", "t"], &["build", "tsc"]),
    ("bun", &["test"], &["build"]),
    ("deno", &["test"], &["check", "compile"]),
    ("playwright", &["test"], &[]),
    ("cypress", &["run"], &[]),
    ("rake", &["test", "spec"], &["build", "compile"]),
    ("rails", &["test", "spec"], &[]),
    ("dotnet", &["test"], &["build", "publish"]),
    ("swift", &["test"], &["build"]),
    ("mix", &["test"], &["compile"]),
    ("bazel", &["test"], &["build"]),
    ("bazelisk", &["test"], &["build"]),
    ("zig", &["test"], &["build"]),
    ("stack", &["test"], &["build"]),
    ("cabal", &["test"], &["build"]),
    ("sbt", &["test", "testOnly", "testQuick"], &["compile", "package"]),
    ("lein", &["test"], &["compile", "uberjar"]),
    ("flutter", &["test"], &["build", "analyze"]),
    ("dart", &["test"], &["compile", "analyze"]),
    ("xcodebuild", &["test"], &["build"]),
    ("composer", &["test"], &[]),
    ("django", &["test"], &[]),
    ("django-admin", &["test"], &[]),
    ("manage.py", &["test"], &[]),
    ("setup.py", &["test"], &["build", "build_ext"]),
    ("artisan", &["test"], &[]),
    ("meson", &["test"], &["compile"]),
    ("just", &["test", "tests", "check"], &["build"]),
    ("task", &["test", "tests", "check"], &["build"]),
    ("docker", &[], &["build", "compose build", "buildx build"]),
    ("podman", &[], &["build"]),
    ("poetry", &[], &["build"]),
    ("uv", &[], &["build"]),
    ("next", &[], &["build"]),
    ("vite", &[], &["build"]),
    ("ng", &["test"], &["build"]),
    ("wasm-pack", &["test"], &["build"]),
    ("make", &[], &[]),
    ("gmake", &[], &[]),
    ("mvn", &[], &[]),
    ("mvnw", &[], &[]),
    ("gradle", &[], &[]),
    ("gradlew", &[], &[]),
    ("cmake", &[], &[]),
    ("git", &[], &[]),
    ("gh", &[], &[]),
    ("glab", &[], &[]),
    ("pip", &[], &[]),
    ("apt", &[], &[]),
    ("apt-get", &[], &[]),
    ("brew", &[], &[]),
    ("gem", &[], &[]),
    ("conda", &[], &[]),
    ("kubectl", &[], &[]),
    ("helm", &[], &[]),
    ("terraform", &[], &[]),
    ("aws", &[], &[]),
    ("gcloud", &[], &[]),
    ("rustup", &[], &[]),
    ("systemctl", &[], &[]),
];

/// Whether the first word of this program says what it does.
pub(super) fn has_subcommands(program: &str) -> bool {
    BY_SUBCOMMAND.iter().any(|(name, ..)| *name == program)
}

/// Whether this is a program that checks, or one with subcommands.
pub(super) fn is_known(program: &str) -> bool {
    has_subcommands(program) || TEST_PROGRAMS.contains(&program) || BUILD_PROGRAMS.contains(&program)
}

/// What the command checks, if anything.
pub(super) fn check_of(command: &Command) -> Option<Check> {
    let Command { program, subcommand, words, by_path } = command;
    if words.iter().any(|word| DRY.contains(&word.as_str())) {
        return None;
    }
    if INTERPRETERS.contains(&program.as_str()) {
        let is_code = |word: &String| matches!(word.as_str(), "-c" | "-e" | "-r");
        let place = words.iter().position(|word| !word.starts_with('-') || is_code(word))?;
        let script = Some(&words[place]).filter(|word| !is_code(word))?;
        let inner = program_name(script);
        // An interpreter that is given an interpreter is no way to run tests, and could go on for ever.
        let is_script = !INTERPRETERS.contains(&inner.as_str());
        return is_script.then(|| check_of(&Command::new(inner, true, words[place + 1..].to_vec())))?;
    }
    if TEST_PROGRAMS.contains(&program.as_str()) || *by_path && TEST_SCRIPTS.contains(&program.as_str()) {
        return Some(Check::Test);
    }
    if BUILD_PROGRAMS.contains(&program.as_str()) {
        return Some(Check::Build);
    }
    let goals = || words.iter().filter(|word| !word.starts_with('-')).map(String::as_str);
    match program.as_str() {
        "make" | "gmake" => make(subcommand.as_deref()),
        "cmake" => words.iter().any(|word| word == "--build").then_some(Check::Build),
        "mvn" | "mvnw" | "gradle" | "gradlew" => best(goals().map(jvm_goal)),
        "xcodebuild" => best(goals().map(|goal| match goal {
            "test" => Some(Check::Test),
            "build" => Some(Check::Build),
            _ => None,
        })),
        // Compiles the tests and runs none.
        "cargo" if words.iter().any(|word| word == "--no-run") => Some(Check::Build),
        program => by_subcommand(program, subcommand.as_deref()?),
    }
}

fn by_subcommand(program: &str, subcommand: &str) -> Option<Check> {
    if let ("npm" | "yarn" | "pnpm" | "bun" | "deno", Some(script)) =
        (program, subcommand.strip_prefix("run "))
    {
        return script_check(script);
    }
    let (_, tests, builds) = BY_SUBCOMMAND.iter().find(|(name, ..)| *name == program)?;
    if tests.contains(&subcommand) {
        Some(Check::Test)
    } else if builds.contains(&subcommand) {
        Some(Check::Build)
    } else if let "yarn" | "pnpm" | "just" | "task" = program {
        // They take the name of a script where others say `run`.
        script_check(subcommand)
    } else {
        None
    }
}

/// A script of a package by its name: `test`, `test:unit`, `unit-test`, `build:prod`, `typecheck`.
fn script_check(script: &str) -> Option<Check> {
    let parts = || script.split([':', '-', '_', '.']);
    if parts().any(|part| matches!(part, "test" | "tests" | "spec" | "e2e" | "jest" | "vitest")) {
        Some(Check::Test)
    } else if parts().any(|part| matches!(part, "build" | "compile" | "typecheck" | "tsc"))
        || matches!(script, "type-check" | "types" | "check-types")
    {
        Some(Check::Build)
    } else {
        None
    }
}

fn make(target: Option<&str>) -> Option<Check> {
    match target {
        None | Some("all") => Some(Check::Build),
        Some("check" | "unittest" | "unittests") => Some(Check::Test),
        Some(target) => script_check(target),
    }
}

/// A goal of Maven or a task of Gradle, which may stand behind the name of a project: `:app:testDebugUnitTest`.
fn jvm_goal(goal: &str) -> Option<Check> {
    let goal = goal.rsplit(':').next().unwrap_or(goal);
    let builds = ["compile", "assemble", "bootJar", "package"];
    if matches!(goal, "test" | "check" | "verify" | "integration-test") || goal.ends_with("Test") {
        Some(Check::Test)
    } else if matches!(goal, "build" | "install" | "jar" | "test-compile")
        || builds.iter().any(|build| goal.starts_with(build))
    {
        Some(Check::Build)
    } else {
        None
    }
}

/// Tests say more than builds.
pub(super) fn best(checks: impl Iterator<Item = Option<Check>>) -> Option<Check> {
    checks.flatten().min()
}

/// Whether the command hands work over: `git commit`, `git push`, `gh pr create`, `gh pr merge`.
pub(super) fn is_commit(command: &Command) -> bool {
    let subcommand = command.subcommand.as_deref().unwrap_or_default();
    let wanted = match command.program.as_str() {
        "git" => matches!(subcommand, "commit" | "push"),
        "gh" => matches!(subcommand, "pr create" | "pr merge"),
        "glab" => matches!(subcommand, "mr create" | "mr merge"),
        _ => false,
    };
    wanted && !command.words.iter().any(|word| DRY.contains(&word.as_str()))
}
