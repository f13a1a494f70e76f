//! What programs of all kinds come to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use sandbox::{Layers, Limits, Program, Reason, Report, Sandbox};

async fn run(code: &str) -> Report {
    Sandbox::layered(Layers::ALL, Limits::default()).run(Program::new(code), None).await.unwrap()
}

#[tokio::test]
async fn the_value_is_that_of_the_last_expression_the_return_or_the_default_export() {
    for (code, value) in [
        ("1+1", "2"),
        ("const a = [1, 2]; a.map(x => x * 2)", "[2,4]"),
        ("return 3", "3"),
        ("if (true) { return {a: await Promise.resolve(4)} }", r#"{"a":4}"#),
        ("export default 5", "5"),
        ("export default Promise.resolve([6])", "[6]"),
        ("await Promise.all([1, 2].map(async x => x))", "[1,2]"),
        ("(async () => { await null; return 'seven' })()", "\"seven\""),
        ("// nothing but a comment\n8 // and one at the end", "8"),
        ("return 9 // and one at the end", "9"),
        ("new Date(0).toISOString()", "\"1970-01-01T00:00:00.000Z\""),
        ("JSON.parse('{\"ü\": \"😀\"}')", "{\"ü\":\"😀\"}"),
        ("'import { x } from nowhere'", "\"import { x } from nowhere\""),
        ("0/0", "null"),
    ] {
        let report = run(code).await;
        assert_eq!((report.value.as_deref(), &report.stopped), (Some(value), &None), "{code}");
    }
    assert_eq!(run("undefined").await.value, None);
    let nothing = run("").await;
    assert_eq!(nothing, Report { usage: nothing.usage.clone(), ..Report::default() });
}

#[tokio::test]
async fn mistakes_are_told_with_their_place() {
    for (code, reason, message, line) in [
        ("let x = 1;\nlet y = x +;", Reason::Syntax, "SyntaxError", Some(2)),
        ("return 1;\nlet y = ;", Reason::Syntax, "SyntaxError", Some(2)),
        ("import 'memory'\nlet z = ;", Reason::Syntax, "SyntaxError", Some(2)),
        ("let a = 1;\n\nnull.x", Reason::Exception, "TypeError", Some(3)),
        ("\nnull.x; return 1", Reason::Exception, "TypeError", Some(2)),
        ("let a = 1;\nfunction f() { throw Error() }\nreturn f()", Reason::Exception, "Error", Some(2)),
        ("throw new RangeError('too far')", Reason::Exception, "RangeError: too far", Some(1)),
        ("throw {code: 7}", Reason::Exception, "{\"code\":7}", None),
        ("throw null", Reason::Exception, "null", None),
        ("await Promise.reject(new Error('no'))", Reason::Exception, "Error: no", Some(1)),
        ("await new Promise(() => {})", Reason::Exception, "nothing will settle", None),
        ("const a = []; a.push(a); a", Reason::Exception, "circular", None),
        ("123n", Reason::Exception, "BigInt", None),
        ("memory.query('x')", Reason::Exception, "memory", Some(1)),
        ("import fs from 'fs'", Reason::Import, "'fs'", None),
        ("import {query} from 'memory'", Reason::Import, "'memory'", None),
    ] {
        let stopped = run(code).await.stopped.unwrap_or_else(|| panic!("{code} came to its end"));
        assert!(stopped.reason == reason && stopped.message.contains(message), "{code}: {stopped:?}");
        if line.is_some() {
            assert_eq!(stopped.line, line, "{code}: {stopped:?}");
        }
    }
}

#[tokio::test]
async fn what_is_written_is_kept_apart_and_in_order() {
    let report = run(
        "console.log('a', 1, {b: [2]}, null, undefined, () => 3); console.error(new TypeError('bad'));
        console.info([1n].length, Symbol('s')); console.warn('w'); Promise.reject(new Error('lost')); 'done'",
    )
    .await;
    assert_eq!(report.stdout, "a 1 {\"b\":[2]} null undefined () => 3\n1 Symbol()\n");
    assert!(report.stderr.starts_with("TypeError: bad\n"), "{}", report.stderr);
    assert!(report.stderr.contains("w\nunhandled rejection: Error: lost"), "{}", report.stderr);
    assert_eq!(report.value.as_deref(), Some("\"done\""));
}

#[tokio::test]
async fn what_was_written_before_a_stop_is_kept() {
    let report = run("console.log('before'); for (;;) {}").await;
    assert_eq!((report.stdout.as_str(), report.stopped.unwrap().reason), ("before\n", Reason::Deadline));
    let report = run("for (;;) console.log('0123456789')").await;
    assert_eq!((report.stdout.len(), report.stopped.unwrap().reason), (64 * 1024, Reason::Output));
}
