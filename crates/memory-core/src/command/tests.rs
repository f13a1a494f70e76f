use super::line::quote;
use super::*;
use crate::episode::fixture::{failed, ok, steps};
use proptest::prelude::*;

fn call(tool: &str, args: &str) -> NewStep {
    NewStep { args: Some(args.into()), ..ok(tool) }
}

fn bash(line: &str) -> NewStep {
    call("bash", line)
}

/// The commands as `program[subcommand] words`.
fn told(call: &NewStep) -> Vec<String> {
    let tell = |Command { program, subcommand, words, .. }: Command| {
        let subcommand = subcommand.map(|name| format!("[{name}]")).unwrap_or_default();
        format!("{program}{subcommand} {}", words.join(" ")).trim_end().to_owned()
    };
    commands(call).into_iter().map(tell).collect()
}

#[test]
fn a_command_is_what_runs_in_the_end() {
    for (line, expected) in [
        ("pytest -x tests/a.py", &["pytest -x tests/a.py"][..]),
        ("cd repo && FOO=1 BAR='a b' python3.11 -m pytest -q", &["cd repo", "pytest -q"]),
        ("python -W ignore -X dev -m unittest discover", &["unittest discover"]),
        ("python manage.py test app", &["python manage.py test app"]),
        (
            "sudo -u web env A=b timeout -k 5 60 cargo +nightly test -p core",
            &["cargo[test] +nightly test -p core"],
        ),
        ("time nice -n 10 make -j 8 check", &["make[check] -j 8 check"]),
        ("npx -y vitest run", &["vitest run"]),
        ("uv run --with pytest-cov -- pytest", &["pytest"]),
        ("poetry run python -m mypy src", &["mypy src"]),
        ("bundle exec rspec spec/a_spec.rb:12", &["rspec spec/a_spec.rb:12"]),
        ("conda run -n testbed python x.py", &["python x.py"]),
        ("coverage run --source src -m pytest", &["pytest"]),
        ("docker exec -e A=b web pytest", &["pytest"]),
        ("find . -name '*.py' | xargs -n 1 -P 4 grep -l foo", &["find . -name *.py", "grep -l foo"]),
        ("bash -lc 'cd a && go test ./...'", &["cd a", "go[test] test ./..."]),
        ("sh -c \"bash -c 'git push'\"", &["git[push] push"]),
        ("if ! cargo build; then exit 1; fi", &["cargo[build] build", "exit 1"]),
        ("for f in *.py; do python \"$f\"; done", &["python $f"]),
        ("./gradlew :app:test --info", &["gradlew[:app:test] :app:test --info"]),
        ("/usr/bin/git -C /repo -c a=b commit -m 'x; y'", &["git[commit] -C /repo -c a=b commit -m x; y"]),
        ("npm --prefix web run build:prod", &["npm[run build:prod] --prefix web run build:prod"]),
        ("yarn run-script test", &["yarn[run test] run-script test"]),
        ("gh pr create --title 'Fix it'", &["gh[pr create] pr create --title Fix it"]),
        ("docker compose -f a.yml up -d", &["docker[compose up] compose -f a.yml up -d"]),
        (
            "cat <<'EOF' > t.py && python t.py\nimport os; os.system('make')\nEOF\nrm t.py",
            &["cat", "python t.py", "rm t.py"],
        ),
        ("sudo", &["sudo"]),
        ("A=b", &[]),
        ("", &[]),
        ("# only a comment", &[]),
    ] {
        assert_eq!(told(&bash(line)), expected, "{line}");
    }
}

#[test]
fn a_steps_line_is_found_where_its_tool_keeps_it() {
    for (tool, args, expected) in [
        (
            "Bash",
            r#"{"command": "cargo test -p x", "description": "Run pytest"}"#,
            &["cargo[test] test -p x"][..],
        ),
        ("execute_command", r#"{"requires_approval":false,"cmd":"make"}"#, &["make"]),
        (
            "shell",
            r#"{"command": ["bash", "-lc", "cargo clippy && echo 'ok'"]}"#,
            &["cargo[clippy] clippy", "echo ok"],
        ),
        ("shell", r#"["git", "commit", "-m", "it's done"]"#, &["git[commit] commit -m it's done"]),
        ("mcp__desk__run-command", r#"{"script": "npm t"}"#, &["npm[t] t"]),
        ("functions.exec_command", r#"{"cmd":"ls"}"#, &["ls"]),
        ("pytest", "-x tests/a.py", &["pytest -x tests/a.py"]),
        ("pytest", "tests/a.py", &["pytest tests/a.py"]),
        ("pytest", "cd sub && python -m pytest -x", &["cd sub", "pytest -x"]),
        ("pytest", r#"{"path": "tests"}"#, &["pytest"]),
        ("cargo", "test -p x", &["cargo[test] test -p x"]),
        ("cargo", "cargo build", &["cargo[build] build"]),
        ("npm", r#"["run", "test"]"#, &["npm[run test] run test"]),
        ("git", "grep -n foo", &["git[grep] grep -n foo"]),
        ("cat", "nl -ba a.py | head", &["nl -ba a.py", "head"]),
        ("test.run", "./tests/runtests.py basic", &["runtests.py basic"]),
        ("test", "bin/test core", &["test core"]),
        ("python.run", "python3 reproduce.py", &["python reproduce.py"]),
        ("pip.install", "requests", &["pip[install] install requests"]),
        ("git.diff", "git diff HEAD~1", &["git[diff] diff HEAD~1"]),
        ("gradle_build", "--offline", &["gradle[build] build --offline"]),
        ("git_commit", r#"{"message": "git push"}"#, &["git[commit] commit"]),
        ("file.write", "cat > a.py <<E\npytest\nE", &["cat"]),
        ("cargo test", "--all", &["cargo[test] test --all"]),
        ("file.write", "notes.txt cargo test", &[]),
        ("respond", "cargo test passes now", &[]),
        ("think", r#"{"command": "ls"}"#, &[]),
        ("Grep", r#"{"pattern": "cargo test"}"#, &[]),
        ("Write", r#"{"file_path": "a.sh", "content": "cargo test"}"#, &[]),
        ("make_payment", r#"{"amount": 3}"#, &[]),
        ("bash", r#"{"restart": true}"#, &[]),
    ] {
        assert_eq!(told(&call(tool, args)), expected, "{tool} {args}");
    }
    let acted = |tool, action: &str| NewStep { action: Some(action.into()), ..ok(tool) };
    assert_eq!(told(&acted("shell", "cargo test --lib")), ["cargo[test] test --lib"]);
    assert_eq!(told(&acted("shell", "see whether cargo test passes")), [""; 0]);
    assert_eq!(told(&acted("pytest", "run the tests of the parser")), ["pytest"]);
}

const TESTS: &[&str] = &[
    "pytest",
    "python -m pytest -k 'a and b' 2>&1 | tail -20",
    "python3 -m unittest -v",
    "tox -e py311",
    "nox -s tests",
    "cargo test",
    "cargo nextest run --profile ci",
    "cargo t -- --nocapture",
    "go test ./... -run TestA",
    "npm test",
    "npm run test:unit -- --watch=false",
    "yarn test",
    "yarn test:ci",
    "pnpm -r test",
    "pnpm --filter web test",
    "bun test",
    "bun run unit-test",
    "npx jest a.test.ts",
    "vitest run",
    "node_modules/.bin/mocha",
    "npx playwright test",
    "mvn -q -pl core test",
    "./mvnw clean verify",
    "gradle check",
    "./gradlew :app:testDebugUnitTest --tests A --exclude-task b",
    "ctest --output-on-failure",
    "make test",
    "make -C build -j8 check",
    "make V=1 test-unit",
    "dotnet test -c Release",
    "bundle exec rspec",
    "rake test",
    "bin/rails test",
    "vendor/bin/phpunit",
    "php artisan test",
    "swift test",
    "mix test",
    "bazel test //a:b",
    "./runtests.py basic",
    "python tests/runtests.py basic",
    "cd tests && python ./manage.py test x",
    "./bin/test sympy/core",
    "bash scripts/test.sh",
    "cargo build && cargo test",
    "deno test -A",
    "django-admin test",
    "uv run pytest -q",
    "sbt testOnly a.B",
    "just test",
    "xcodebuild -scheme A test",
];
const BUILDS: &[&str] = &[
    "cargo build --release",
    "cargo check -p a",
    "cargo clippy -- -D warnings",
    "cargo test --no-run",
    "go build ./...",
    "go vet ./...",
    "npx tsc --noEmit",
    "npm run build",
    "yarn build",
    "pnpm run typecheck",
    "make",
    "make -j4 all",
    "make -j 8",
    "cmake --build build -j",
    "mvn package -DskipTests",
    "mvn clean install",
    "./gradlew assembleDebug",
    "gradle build",
    "dotnet build",
    "gcc -o a a.c",
    "clang++ a.cc",
    "rustc a.rs",
    "docker build -t a .",
    "docker compose build",
    "swift build",
    "python setup.py build_ext --inplace",
    "mypy src",
    "ninja -C out",
    "javac A.java",
];
const NEITHER: &[&str] = &[
    "echo pytest",
    "grep -rn 'cargo test' .",
    "which pytest",
    "pip install pytest",
    "pytest --version",
    "cargo test --help",
    "pytest --collect-only",
    "git commit -m 'cargo test'",
    "cat tests/test_a.py",
    "test -f a && ls",
    "[ -f pytest ]",
    "cargo fmt",
    "cargo run --bin test",
    "npm install",
    "npm ci",
    "go run .",
    "make clean",
    "make install",
    "mvn clean",
    "docker ps",
    "python -c 'import a; print(1/test)'",
    "python test_fix.py",
    "cmake -S . -B build",
    "cat <<E\nmake test\nE",
    "yarn add jest",
    "",
];

#[test]
fn test_runs_and_builds_are_told_from_what_only_names_them() {
    for (lines, expected) in [(TESTS, Some(Check::Test)), (BUILDS, Some(Check::Build)), (NEITHER, None)] {
        for line in lines {
            assert_eq!(checks(&bash(line)), expected, "{line}");
        }
    }
    assert_eq!(checks(&ok("test.run")), Some(Check::Test));
    assert_eq!(checks(&ok("runTests")), Some(Check::Test));
    assert_eq!(checks(&call("respond", "pytest")), None);
}

#[test]
fn check_runs_know_their_step_and_whether_they_passed() {
    let taken = steps(vec![ok("read"), failed("pytest", "1 failed"), ok("edit"), bash("make"), ok("pytest")]);
    let run = |step, check, passed| CheckRun { step, check, passed };
    let expected = [run(2, Check::Test, false), run(4, Check::Build, true), run(5, Check::Test, true)];
    assert_eq!(check_runs(&taken), expected);
}

#[test]
fn what_hands_work_over_is_a_commit() {
    for line in [
        "git commit -am x",
        "git -C a push origin main",
        "gh pr create --fill",
        "cargo test && git push",
        "gh -R a/b pr merge 3",
    ] {
        assert!(commits(&bash(line)), "{line}");
    }
    for line in
        ["git status", "git log --grep commit", "git push --dry-run", "gh pr view 3", "echo git commit"]
    {
        assert!(!commits(&bash(line)), "{line}");
    }
}

fn key(call: &NewStep) -> ActionKey {
    ActionKey::of(call).unwrap()
}

#[test]
fn the_exact_key_is_that_of_the_same_call_and_the_shape_that_of_the_same_kind() {
    for (line, shape) in [
        ("pytest  -x tests/a/test_b.py::test_c", "pytest -x *.py"),
        ("cd /repo && pytest tests/z.py -x", "pytest -x *.py"),
        ("sed -n '240,260p' src/a.py", "sed -n # *.py"),
        ("head -20 a.log", "head -# *.log"),
        ("git commit -m 'fix 3' --no-verify", "git commit --no-verify -m #"),
        ("git checkout 8f3c2a1", "git checkout #"),
        ("cargo test -p core --test=recall", "cargo test --test -p core"),
        ("pip install requests", "pip install requests"),
        ("grep -rn \"def f\" src | head -n 5", "grep -rn # src ; head -n #"),
    ] {
        assert_eq!(key(&bash(line)).shape, shape, "{line}");
    }
    assert_eq!(key(&bash("ls   -l\n")).exact, key(&call("Bash", r#"{"command": "ls -l"}"#)).exact);
    assert_ne!(key(&bash("head -n 1 a")).exact, key(&bash("head -n 2 a")).exact);

    let edit = |old: &str| {
        call("Edit", &format!(r#"{{"old_string": "{old}", "file_path": "a.rs", "n": {{"x": 1}}}}"#))
    };
    assert_eq!(key(&edit("a")).shape, "Edit file_path n old_string");
    assert_eq!(key(&edit("a b")).exact, key(&edit("a  b")).exact);
    assert_ne!(key(&edit("a")).exact, key(&edit("b")).exact);
    assert_ne!(key(&call("x", "a")).exact, key(&call("y", "a")).exact);
    assert_eq!(key(&call("respond", "Done, 3 of 4")).shape, "respond");
    assert_eq!(ActionKey::of(&ok("edit")), None);
    assert!(key(&bash(&"word ".repeat(1_000))).shape.chars().count() <= SHAPE_CHARS_MAX);
}

#[test]
fn the_files_of_a_call_are_those_it_names() {
    for (tool, args, expected) in [
        (
            "bash",
            "cat src/a.rs | grep -n 'x/y.rs' Cargo.toml > /tmp/out.txt 2>/dev/null",
            &["src/a.rs", "Cargo.toml", "/tmp/out.txt"][..],
        ),
        ("bash", "pytest tests/test_a.py::test_b tests/test_a.py -k c", &["tests/test_a.py"]),
        ("bash", "rspec spec/a_spec.rb:12", &["spec/a_spec.rb"]),
        ("bash", "curl https://example.com/a.txt -o b.txt; ls *.py $HOME/x.py", &["b.txt"]),
        ("bash", "sed -i 's/a/b.c/' \"a b.txt\" lib/x.ex", &["lib/x.ex"]),
        ("bash", "cd a/b && cat > new.py <<E\nother.py\nE", &["new.py"]),
        ("bash", "pip install requests==1.2 && git checkout v1.2.3", &[]),
        ("Edit", r#"{"file_path": "/a/My File", "old_string": "b.rs"}"#, &["/a/My File"]),
        ("search", r#"{"path": "src", "file": ["x"], "filename": "y.c"}"#, &["src", "y.c"]),
        ("read_file", "docs/a.md", &["docs/a.md"]),
        ("respond", "It is in src/a.rs now.", &[]),
    ] {
        assert_eq!(files(&call(tool, args)), expected, "{tool} {args}");
    }
    let many: String = (0..50).map(|i| format!(" f{i}.rs")).collect();
    assert_eq!(files(&bash(&format!("cat{many}"))).len(), FILES_MAX);
    assert_eq!(commands(&bash(&"a;".repeat(1_000))).len(), COMMANDS_MAX);
}

#[test]
fn what_repeats_without_end_is_read_all_the_same() {
    let parts = [
        "python ",
        "bash ",
        "make A=1 ",
        "sudo ",
        "A=1 ",
        "python -m ",
        "bash -c '",
        "$(",
        "<<A ",
        "! ",
        "[",
        "{\"a\":",
        "a;",
        "'",
        "\\",
    ];
    for part in parts {
        for start in ["", "make ", "bash ", "python "] {
            let endless = bash(&format!("{start}{}", part.repeat(20_000)));
            assert!(commands(&endless).len() <= COMMANDS_MAX);
            checks(&endless);
            edits(&endless);
            label(&endless);
            files(&endless);
            assert!(key(&endless).shape.chars().count() <= SHAPE_CHARS_MAX);
        }
    }
}

#[test]
fn a_step_in_a_shell_is_called_by_what_it_ran() {
    for (tool, args, expected) in [
        ("bash", "cd a && cargo build && RUST_LOG=x cargo test -p b", "cargo test"),
        ("Bash", r#"{"command": "cd a && git status"}"#, "git status"),
        ("bash", "cat a | grep b", "cat"),
        ("bash", "cd a", "cd"),
        ("bash", "", "bash"),
        ("pytest", "-x", "pytest"),
        ("sed.edit", "sed -i s/a/b/ c", "sed.edit"),
        ("search", r#"{"command": "ls"}"#, "search"),
    ] {
        assert_eq!(label(&call(tool, args)), expected, "{tool} {args}");
    }
}

#[test]
fn an_edit_is_what_changes_a_file_of_the_work() {
    for (tool, args) in [
        ("Edit", r#"{"file_path": "a"}"#),
        ("mcp__files__write-file", "{}"),
        ("str_replace_based_edit_tool", r#"{"command": "str_replace", "path": "a"}"#),
        ("sed.edit", "sed -i s/a/b/ c"),
        ("bash", "cd a && sed -i.bak 's/a/b/' c"),
        ("bash", "cat > a.py <<E\nx\nE"),
        ("bash", "git apply a.patch"),
        ("bash", "echo x | tee -a b.txt"),
        ("file.write", "cat <<E > a.py\nx\nE"),
    ] {
        assert!(edits(&call(tool, args)), "{tool} {args}");
    }
    for (tool, args) in [
        ("Read", r#"{"file_path": "a"}"#),
        ("str_replace_based_edit_tool", r#"{"command": "view", "path": "a"}"#),
        ("bash", "sed -n 1,5p a"),
        ("bash", "cat a > /tmp/b 2>/dev/null"),
        ("bash", "cargo test > out.txt"),
        ("bash", "cat <<E\nsed -i s/a/b/ c\nE"),
    ] {
        assert!(!edits(&call(tool, args)), "{tool} {args}");
    }
}

/// Text that is likely to hit what the parser has rules for.
fn lines() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "pytest",
        "cargo",
        "test",
        "bash",
        "-c",
        "sudo",
        "env",
        "python",
        "-m",
        "timeout",
        "60",
        " ",
        " ",
        "\n",
        "\t",
        "&&",
        "||",
        ";",
        "|",
        "&",
        "'",
        "\"",
        "\\",
        "$(",
        ")",
        "(",
        "`",
        "<<",
        "<<<",
        "EOF",
        ">",
        ">&",
        "2>",
        "#",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"command\"",
        "a=b",
        "a/b.rs",
        "é",
        "日",
        "--",
        "-",
        "\u{0}",
        "\\u00e",
        "make",
        "npm",
        "run",
        "npx",
        "docker",
        "exec",
    ]);
    prop_oneof![prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat()), any::<String>()]
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic_and_within_bounds(tool in lines(), args in lines(), action in lines(), shell in any::<bool>()) {
        let tool = if shell { "bash".to_owned() } else { tool };
        let call = NewStep { action: Some(action), ..call(&tool, &args) };
        let (ran, named) = (commands(&call), files(&call));
        prop_assert!(ran.len() <= COMMANDS_MAX && named.len() <= FILES_MAX);
        prop_assert!(ran.iter().all(|command| !command.program.is_empty()));
        checks(&call);
        commits(&call);
        edits(&call);
        prop_assert!(tool.chars().count() > LABEL_CHARS_MAX || label(&call).chars().count() <= LABEL_CHARS_MAX);
        let keys = (ActionKey::of(&call), ActionKey::of(&call.clone()));
        prop_assert_eq!(&keys.0, &keys.1);
        prop_assert!(keys.0.is_none_or(|key| key.shape.chars().count() <= SHAPE_CHARS_MAX));
    }

    #[test]
    fn words_that_are_quoted_come_back(words in prop::collection::vec("[ -~é\n]{0,8}", 1..6)) {
        let line = format!("ls {}", quote(&words));
        let read = split(&line);
        let texts: Vec<&str> = read[0].words[1..].iter().map(|word| word.text.as_str()).collect();
        prop_assert_eq!(texts, words.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
