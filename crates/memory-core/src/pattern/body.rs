//! What a pattern says, and what identifies it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::PatternId;

/// What the credits of a pattern are credits of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Measure {
    /// How the episodes ended, each counted as far as its outcome can be relied on.
    Outcome,
    /// How the episodes ended, each counted the same: what success is to be expected. No pattern but a base has it.
    Success,
    /// Whether the failed tool worked again.
    Recovery,
}

impl Measure {
    /// All measures.
    pub const ALL: [Self; 3] = [Self::Outcome, Self::Success, Self::Recovery];

    /// The name used in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Success => "success",
            Self::Recovery => "recovery",
        }
    }
}

/// Something in the course of an episode that may go with failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mistake {
    /// A tool failed in a certain way.
    Failed,
    /// A tool failed in a certain way and never worked afterwards.
    Unresolved,
    /// The very same call was made again after it had failed, and failed again.
    Repeated,
    /// After the last change to a file nothing was tested, although it had been before.
    Unchecked,
}

impl Mistake {
    const ALL: [Self; 4] = [Self::Failed, Self::Unresolved, Self::Repeated, Self::Unchecked];

    fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unresolved => "unresolved",
            Self::Repeated => "repeated",
            Self::Unchecked => "unchecked",
        }
    }
}

/// What a pattern says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PatternBody {
    /// All episodes of a domain: what is usual there. Not shown; what the others are compared with.
    Base {
        /// What is measured.
        measure: Measure,
    },
    /// Tools used one after the other; repeats of one tool count once.
    ToolSequence {
        /// The tools in order.
        tools: Vec<String>,
    },
    /// What was chosen in a certain state.
    DecisionPoint {
        /// The tool used before and whether it failed; `None` at the start.
        after: Option<(String, bool)>,
        /// The tool that was chosen.
        choice: String,
    },
    /// A tool failed in a certain way, and then this was done until the tool was called again.
    ErrorRecovery {
        /// The tool that failed.
        tool: String,
        /// The error without its particulars, see [`error_class`](crate::extract::error_class).
        error: String,
        /// The tools used up to and including the next call of the failed one; empty where it was not called again.
        recovery: Vec<String>,
    },
    /// A condition under which episodes took place.
    Context {
        /// What it is a condition of: `tool` (that was used), `task_type`, `tag`, `project`, or `context.` and a name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A mistake, which may or may not go with failure.
    Pitfall {
        /// Which.
        mistake: Mistake,
        /// The tool that it was made with; empty where it is about none.
        tool: String,
        /// The error without its particulars; empty where it is about none.
        error: String,
    },
    /// Whatever an extractor that the user added looks for.
    Custom {
        /// The extractor's name.
        source: String,
        /// What it says, in words.
        text: String,
    },
}

/// Separates the parts of a signature: the unit separator of ASCII, which no part may contain.
const SEPARATOR: char = '\u{1f}';

/// The kinds that are shown, in the order in which they are described.
pub(crate) const KINDS: [&str; 6] =
    ["tool_sequence", "decision_point", "error_recovery", "context", "pitfall", "custom"];

impl PatternBody {
    /// The kinds of pattern that can be listed.
    pub const KINDS: [&'static str; 6] = KINDS;

    /// The name of its kind, on the wire and in the store.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Base { .. } => "base",
            Self::ToolSequence { .. } => KINDS[0],
            Self::DecisionPoint { .. } => KINDS[1],
            Self::ErrorRecovery { .. } => KINDS[2],
            Self::Context { .. } => KINDS[3],
            Self::Pitfall { .. } => KINDS[4],
            Self::Custom { .. } => KINDS[5],
        }
    }

    /// What its credits are credits of.
    pub fn measure(&self) -> Measure {
        match self {
            Self::Base { measure } => *measure,
            Self::ErrorRecovery { .. } => Measure::Recovery,
            _ => Measure::Outcome,
        }
    }

    /// The name of the extractor that it comes from, where the user added that one.
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Custom { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Equal for two findings exactly when they are the same pattern. Together with kind and domain it is the
    /// pattern's identity, and [`parse`](Self::parse) reads it back.
    pub fn signature(&self) -> String {
        let parts: Vec<&str> = match self {
            Self::Base { measure } => vec![measure.name()],
            Self::ToolSequence { tools } => tools.iter().map(String::as_str).collect(),
            Self::DecisionPoint { after: None, choice } => vec!["start", "", choice],
            Self::DecisionPoint { after: Some((tool, failed)), choice } => {
                vec![if *failed { "failed" } else { "done" }, tool, choice]
            }
            Self::ErrorRecovery { tool, error, recovery } => {
                [tool, error].into_iter().chain(recovery).map(String::as_str).collect()
            }
            Self::Context { name, value } => vec![name, value],
            Self::Pitfall { mistake, tool, error } => vec![mistake.name(), tool, error],
            Self::Custom { source, text } => vec![source, text],
        };
        let parts: Vec<String> = parts.into_iter().map(|part| part.replace(SEPARATOR, " ")).collect();
        parts.join(&SEPARATOR.to_string())
    }

    /// The pattern of this kind and signature; `None` if it is none.
    pub fn parse(kind: &str, signature: &str) -> Option<Self> {
        let mut parts = signature.split(SEPARATOR).map(str::to_owned);
        let mut part = || parts.next();
        match kind {
            "base" => {
                let name = part()?;
                let measure = Measure::ALL.into_iter().find(|measure| measure.name() == name)?;
                Some(Self::Base { measure })
            }
            "tool_sequence" => Some(Self::ToolSequence { tools: parts.collect() }),
            "decision_point" => {
                let (state, tool, choice) = (part()?, part()?, part()?);
                let after = (state != "start").then_some((tool, state == "failed"));
                Some(Self::DecisionPoint { after, choice })
            }
            "error_recovery" => {
                Some(Self::ErrorRecovery { tool: part()?, error: part()?, recovery: parts.collect() })
            }
            "context" => Some(Self::Context { name: part()?, value: part()? }),
            "pitfall" => {
                let name = part()?;
                let mistake = Mistake::ALL.into_iter().find(|mistake| mistake.name() == name)?;
                Some(Self::Pitfall { mistake, tool: part()?, error: part()? })
            }
            "custom" => Some(Self::Custom { source: part()?, text: part()? }),
            _ => None,
        }
    }

    /// The pattern in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Base { measure: Measure::Outcome | Measure::Success } => "all episodes".to_owned(),
            Self::Base { measure: Measure::Recovery } => "all failed steps".to_owned(),
            Self::ToolSequence { tools } => tools.join(" → "),
            Self::DecisionPoint { after: None, choice } => format!("{choice} first"),
            Self::DecisionPoint { after: Some((tool, false)), choice } => format!("after {tool}: {choice}"),
            Self::DecisionPoint { after: Some((tool, true)), choice } => {
                format!("after {tool} failed: {choice}")
            }
            Self::ErrorRecovery { tool, error, recovery } if recovery.is_empty() => {
                format!("{tool} failed with \"{error}\" and was not tried again")
            }
            Self::ErrorRecovery { tool, error, recovery } => {
                format!("after {tool} failed with \"{error}\": {}", recovery.join(" → "))
            }
            Self::Context { name, value } => match name.as_str() {
                "tool" => format!("{value} is used"),
                name => format!("{name} is {value}"),
            },
            Self::Pitfall { mistake, tool, error } => match mistake {
                Mistake::Failed => format!("{tool} fails with \"{error}\""),
                Mistake::Unresolved => format!("{tool} fails with \"{error}\" and never works afterwards"),
                Mistake::Repeated => format!("the same call of {tool} is made again after it failed"),
                Mistake::Unchecked => "nothing is tested after the last change to a file".to_owned(),
            },
            Self::Custom { source, text } => format!("{source}: {text}"),
        }
    }
}

/// The namespace of the ids of patterns.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0e_8a1c_52d4_4b7a_9e43_d1c5_7a20_93b6);

impl PatternId {
    /// The id of a pattern: a UUID of version 5 (RFC 9562, section 5.5) of what identifies it. The same pattern has the
    /// same id in every memory and after everything was learned anew, so that what was said of it stays with it.
    pub fn of(domain: Option<&str>, body: &PatternBody) -> Self {
        let name = [domain.unwrap_or_default(), body.kind(), &body.signature()].join(&SEPARATOR.to_string());
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    fn bodies() -> Vec<PatternBody> {
        let recovery = |tools: &[&str]| PatternBody::ErrorRecovery {
            tool: "a".into(),
            error: "it \"failed\"".into(),
            recovery: texts(tools),
        };
        let decision = |after: Option<(&str, bool)>| PatternBody::DecisionPoint {
            after: after.map(|(tool, failed)| (tool.to_owned(), failed)),
            choice: "b".into(),
        };
        let pitfall =
            |mistake| PatternBody::Pitfall { mistake, tool: "a".into(), error: "no such file".into() };
        let mut bodies = vec![
            PatternBody::ToolSequence { tools: texts(&["a", "b c"]) },
            PatternBody::ToolSequence { tools: texts(&["a b", "c"]) },
            recovery(&[]),
            recovery(&["b"]),
            recovery(&["b", "a"]),
            decision(None),
            decision(Some(("a", false))),
            decision(Some(("a", true))),
            PatternBody::Context { name: "tool".into(), value: "a".into() },
            PatternBody::Context { name: "tag".into(), value: "a".into() },
            PatternBody::Custom { source: "tag".into(), text: "a".into() },
            PatternBody::Custom { source: "other".into(), text: "a".into() },
        ];
        bodies.extend(Mistake::ALL.map(pitfall));
        bodies.extend(Measure::ALL.map(|measure| PatternBody::Base { measure }));
        bodies
    }

    #[test]
    fn a_signature_tells_patterns_apart_and_is_read_back() {
        for body in bodies() {
            assert_eq!(PatternBody::parse(body.kind(), &body.signature()), Some(body.clone()));
            let same = bodies()
                .iter()
                .filter(|other| PatternId::of(None, other) == PatternId::of(None, &body))
                .count();
            assert_eq!(same, 1, "{body:?}");
        }
        assert_eq!(PatternBody::parse("decision_point", "start"), None);
        assert_eq!(PatternBody::parse("else", "start"), None);
    }

    #[test]
    fn an_id_depends_on_the_domain() {
        let body = PatternBody::Context { name: "tag".into(), value: "a".into() };
        assert_ne!(PatternId::of(None, &body), PatternId::of(Some("a"), &body));
    }
}
