//! What an extractor of the user is given and what is taken from it: version 1 of the interface, see docs/EXTRACTORS.md.

use memory_core::episode::Episode;
use memory_core::extract::Sighting;
use memory_core::limits::FINDINGS_MAX;
use sandbox::{Grants, Limits, Program, Purpose, Refusal, Report, Sandbox, Stopped};
use serde::Deserialize;
use serde_json::Value;

use crate::limits::{
    EXTRACTOR_BYTES_MAX, EXTRACTOR_DESCRIPTION_CHARS_MAX, EXTRACTOR_FUEL, EXTRACTOR_INPUT_BYTES_MAX,
    EXTRACTOR_MEMORY_BYTES, EXTRACTOR_NAME_BYTES_MAX, EXTRACTOR_WAIT,
};
use crate::wire::episode::WireEpisode;
use crate::wire::excerpt;

/// The version of the interface that this program knows.
const INTERFACE: u64 = 1;

/// Why an extractor did not do what it should. The message says what is wrong with it, and where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It was run, and this is wrong with it.
    #[error("{0}")]
    Fault(String),
    /// It was not run.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What an extractor says of itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// The version of the interface, read before all else.
    #[serde(rename = "interface")]
    _interface: u64,
    pub(crate) name: String,
    pub(crate) description: String,
}

/// One finding as an extractor returns it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFinding {
    text: String,
    detail: Option<String>,
}

/// What one extractor may use.
pub(crate) fn limits() -> Limits {
    Limits {
        timeout: EXTRACTOR_WAIT,
        fuel: EXTRACTOR_FUEL,
        memory_bytes: EXTRACTOR_MEMORY_BYTES,
        host_calls: 0,
        source_bytes: EXTRACTOR_BYTES_MAX,
        input_bytes: EXTRACTOR_INPUT_BYTES_MAX,
        ..Limits::default()
    }
}

/// The episode as extractors see it: as `get_episode` tells it, with all of its steps.
pub(crate) fn input(episode: Episode) -> serde_json::Result<String> {
    serde_json::to_string(&WireEpisode::page(episode, 1, Some(usize::MAX)))
}

async fn run(sandbox: &Sandbox, code: &str, purpose: Purpose, input: String) -> Result<Report, Refusal> {
    // Nothing is granted: what an extractor sees must follow from the episode alone.
    let (code, grants) = (code.to_owned(), Grants::default());
    sandbox.run(Program { code, input, purpose, grants, timeout: None }, None).await
}

/// Has an extractor say what it is.
pub(crate) async fn describe(sandbox: &Sandbox, code: &str) -> Result<Description, Failure> {
    let report = run(sandbox, code, Purpose::Describe, "null".to_owned()).await?;
    description(&report).map_err(Failure::Fault)
}

/// Shows an extractor an episode; tells what it used beside what it saw.
pub(crate) async fn call(
    sandbox: &Sandbox,
    name: &str,
    code: &str,
    input: String,
) -> Result<(Report, Result<Vec<Sighting>, String>), Refusal> {
    let report = run(sandbox, code, Purpose::Call, input).await?;
    let seen = findings(name, &report);
    Ok((report, seen))
}

/// Why a program was stopped, with the place.
fn stopped(stopped: &Stopped) -> String {
    let Stopped { reason, message, line, column } = stopped;
    let place = match (line, column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        (Some(line), None) => format!("line {line}: "),
        _ => String::new(),
    };
    if message == "TypeError: not a function" && place.is_empty() {
        return "it has no `export default function (episode)`".to_owned();
    }
    format!("{place}{message} [{}]", reason.name())
}

fn description(report: &Report) -> Result<Description, String> {
    if let Some(why) = &report.stopped {
        return Err(stopped(why));
    }
    let Some(value) = report.value.as_deref() else {
        return Err("it has no `export const extractor = {interface: 1, name, description}`".to_owned());
    };
    let value: Value =
        serde_json::from_str(value).map_err(|error| format!("`extractor` is no JSON: {error}"))?;
    match &value["interface"] {
        Value::Null => {
            return Err(format!("`extractor.interface` is missing; this program knows version {INTERFACE}"));
        }
        version if version.as_u64() != Some(INTERFACE) => {
            return Err(format!(
                "it is written for version {version} of the interface; this program knows version {INTERFACE}"
            ));
        }
        _ => {}
    }
    let described: Description =
        serde_json::from_value(value).map_err(|error| format!("`extractor`: {error}"))?;
    if !is_name(&described.name) {
        return Err(format!("`extractor.name` is {:?}; {NAME_RULE}", excerpt(&described.name, 80)));
    }
    let chars = described.description.chars().count();
    if described.description.trim().is_empty() || chars > EXTRACTOR_DESCRIPTION_CHARS_MAX {
        return Err(format!(
            "`extractor.description` has {chars} characters; it must say in 1 to \
             {EXTRACTOR_DESCRIPTION_CHARS_MAX} what it looks for"
        ));
    }
    Ok(described)
}

fn findings(name: &str, report: &Report) -> Result<Vec<Sighting>, String> {
    if let Some(why) = &report.stopped {
        return Err(stopped(why));
    }
    let Some(value) = report.value.as_deref() else {
        return Err("it returned nothing; where there is nothing to be found it must return []".to_owned());
    };
    let value: Value =
        serde_json::from_str(value).map_err(|error| format!("what it returned is no JSON: {error}"))?;
    let Value::Array(found) = value else {
        let quoted = excerpt(&value.to_string(), 80);
        return Err(format!("it returned {quoted}; it must return a list of {{text, detail}}"));
    };
    if found.len() > FINDINGS_MAX {
        return Err(format!("it returned {} findings; at most {FINDINGS_MAX} are taken", found.len()));
    }
    let sighting = |(index, found): (usize, Value)| {
        let WireFinding { text, detail } = serde_json::from_value(found)
            .map_err(|error| format!("finding {index} is not {{text, detail}}: {error}"))?;
        Sighting::new(name, &text, detail.as_deref())
            .map_err(|problem| format!("the text of finding {index} {problem}"))
    };
    found.into_iter().enumerate().map(sighting).collect()
}

/// What [`is_name`] asks for, in words.
pub(crate) const NAME_RULE: &str =
    "a name is made of at most 64 lower-case letters, digits and -, beginning with a letter";

/// Whether something can be the name of an extractor: it is that of a file, and stands in what agents are told.
pub(crate) fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= EXTRACTOR_NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(value: &str) -> Report {
        Report { value: (!value.is_empty()).then(|| value.to_owned()), ..Report::default() }
    }

    #[test]
    fn what_is_wrong_with_a_description_is_told() {
        let good = r#"{"interface": 1, "name": "slow-tests", "description": "Finds slow tests."}"#;
        assert_eq!(description(&report(good)).unwrap().name, "slow-tests");
        let long = format!(r#"{{"interface": 1, "name": "a", "description": "{}"}}"#, "é".repeat(401));
        for (bad, problem) in [
            ("", "no `export const extractor"),
            (r#""slow""#, "`extractor.interface` is missing"),
            (r#"{"name": "a", "description": "b"}"#, "`extractor.interface` is missing"),
            (
                r#"{"interface": 2, "what": "ever"}"#,
                "version 2 of the interface; this program knows version 1",
            ),
            (r#"{"interface": "1"}"#, "version \"1\""),
            (r#"{"interface": 1, "name": "a"}"#, "missing field `description`"),
            (r#"{"interface": 1, "name": "a", "description": "b", "more": 1}"#, "unknown field `more`"),
            (r#"{"interface": 1, "name": "../a", "description": "b"}"#, "`extractor.name` is \"../a\""),
            (r#"{"interface": 1, "name": "a", "description": " "}"#, "must say in 1 to 400"),
            (long.as_str(), "has 401 characters"),
        ] {
            let told = description(&report(bad)).unwrap_err();
            assert!(told.contains(problem), "{bad}: {told}");
        }
    }

    #[test]
    fn what_is_wrong_with_findings_is_told() {
        assert_eq!(findings("a", &report("[]")), Ok(vec![]));
        let two = findings("a", &report(r#"[{"text": "b"}, {"text": "c", "detail": "d"}]"#)).unwrap();
        assert_eq!((two[0].text(), two[1].detail()), ("b", Some("d")));
        let many = serde_json::to_string(&vec![serde_json::json!({"text": "a"}); FINDINGS_MAX + 1]).unwrap();
        for (bad, problem) in [
            ("", "returned nothing"),
            ("{}", "it returned {}"),
            ("[1]", "finding 0 is not {text, detail}"),
            (r#"[{"text": "a"}, {}]"#, "finding 1 is not {text, detail}: missing field `text`"),
            (r#"[{"text": "a", "credit": 1}]"#, "unknown field `credit`"),
            (r#"[{"text": " "}]"#, "the text of finding 0 is empty"),
            (many.as_str(), "97 findings"),
        ] {
            let told = findings("a", &report(bad)).unwrap_err();
            assert!(told.contains(problem), "{bad}: {told}");
        }
    }
}
