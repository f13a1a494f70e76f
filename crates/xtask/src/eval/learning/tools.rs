//! The server's tools that learning is measured by, and of their answers what is measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use super::corpus::{Episode, Step};
use crate::eval::store::Store;

/// Patterns a page, the most that the tool takes.
const PAGE: usize = 200;
/// What has to be there beside what every server has.
const NEEDED: [&str; 5] = ["recommend", "check_action", "list_patterns", "explain_pattern", "delete_episode"];

/// Whoever answers calls of tools.
pub(crate) trait Server {
    fn call(&mut self, tool: &str, arguments: &Value) -> anyhow::Result<Value>;
}

impl Server for Store {
    fn call(&mut self, tool: &str, arguments: &Value) -> anyhow::Result<Value> {
        Self::call(self, tool, arguments)
    }
}

/// How long calls took, by tool.
pub(crate) type Times = BTreeMap<&'static str, Vec<Duration>>;

/// What is advised now.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Recommendation {
    /// Tools to call next, the likeliest first.
    next: Vec<Named>,
    /// Tools that made up for the failure, the likeliest first.
    recoveries: Vec<Named>,
    success_rate: Option<Shown>,
}

#[derive(Debug, Deserialize)]
struct Named {
    tool: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Shown {
    mean: Option<f64>,
}

impl Recommendation {
    /// The tool that it expects to be called next.
    pub(crate) fn next(self) -> Option<String> {
        self.next.into_iter().next()?.tool
    }

    /// The tool that it expects to make up for the failure.
    pub(crate) fn recovery(self) -> Option<String> {
        self.recoveries.into_iter().next()?.tool
    }

    /// How likely it holds success to be.
    pub(crate) fn success(&self) -> Option<f64> {
        self.success_rate.as_ref()?.mean
    }
}

/// A pattern as it is listed.
#[derive(Debug, Deserialize)]
pub(crate) struct Pattern {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) domain: Option<String>,
    pub(crate) rate: Rate,
    pub(crate) verdict: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Rate {
    pub(crate) mean: f64,
    pub(crate) episodes: usize,
}

/// An episode that shows a pattern.
#[derive(Debug, Deserialize)]
pub(crate) struct Evidence {
    pub(crate) external_id: Option<String>,
    pub(crate) credit: Option<f64>,
}

/// Calls tools and notes how long they take.
pub(crate) struct Tools<'a, S> {
    pub(crate) server: &'a mut S,
    pub(crate) times: &'a mut Times,
}

impl<S: Server> Tools<'_, S> {
    fn call<T: DeserializeOwned>(&mut self, tool: &'static str, arguments: &Value) -> anyhow::Result<T> {
        let begun = Instant::now();
        let answer = self.server.call(tool, arguments)?;
        self.times.entry(tool).or_default().push(begun.elapsed());
        serde_json::from_value(answer).with_context(|| format!("{tool} answered in another form"))
    }

    /// What is advised for the task, in the open episode if there is one, after the error if there is one.
    pub(crate) fn recommend(
        &mut self,
        episode: &Episode,
        open: Option<&str>,
        error: Option<&str>,
    ) -> anyhow::Result<Recommendation> {
        let mut arguments = about(episode);
        set(&mut arguments, "episode_id", open);
        set(&mut arguments, "error", error.filter(|error| !error.is_empty()));
        self.call("recommend", &arguments)
    }

    /// Whether there is any warning of the call.
    pub(crate) fn is_warned(&mut self, episode: &Episode, step: &Step) -> anyhow::Result<bool> {
        #[derive(Deserialize)]
        struct Check {
            warnings: Vec<IgnoredAny>,
        }
        // A call without arguments is told by its tool.
        let action = step.args().unwrap_or_else(|| step.tool.clone());
        let mut arguments = json!({"action": action, "tool": step.tool});
        set(&mut arguments, "domain", episode.domain.as_deref());
        set(&mut arguments, "project", episode.repo.as_deref());
        Ok(!self.call::<Check>("check_action", &arguments)?.warnings.is_empty())
    }

    /// Opens an episode for the task; returns its id.
    pub(crate) fn begin(&mut self, episode: &Episode) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct Begun {
            episode_id: String,
        }
        Ok(self.call::<Begun>("create_episode", &about(episode))?.episode_id)
    }

    /// Adds the call to the open episode.
    pub(crate) fn add(&mut self, open: &str, step: &Step) -> anyhow::Result<()> {
        let failure = step.failure();
        let mut arguments = json!({"episode_id": open, "tool": step.tool, "ok": failure.is_none()});
        set(&mut arguments, "args", step.args().as_deref());
        set(&mut arguments, "observation", step.observation().as_deref());
        set(&mut arguments, "error", failure.filter(|error| !error.is_empty()));
        self.call::<IgnoredAny>("add_episode_step", &arguments).map(drop)
    }

    /// Deletes the open episode, so that nothing learns from it.
    pub(crate) fn forget(&mut self, open: &str) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Forgotten {
            deleted: bool,
        }
        let forgotten: Forgotten = self.call("delete_episode", &json!({"episode_id": open}))?;
        ensure!(forgotten.deleted, "delete_episode left {open} where it was");
        Ok(())
    }

    /// Every pattern there is.
    pub(crate) fn patterns(&mut self) -> anyhow::Result<Vec<Pattern>> {
        #[derive(Deserialize)]
        struct Page {
            patterns: Vec<Pattern>,
            next_cursor: Option<String>,
        }
        let mut all = Vec::new();
        let mut arguments = json!({"limit": PAGE});
        loop {
            let page: Page = self.call("list_patterns", &arguments)?;
            let goes_on = !page.patterns.is_empty();
            all.extend(page.patterns);
            let Some(cursor) = page.next_cursor.filter(|_| goes_on) else { return Ok(all) };
            arguments["cursor"] = cursor.into();
        }
    }

    /// What a pattern was learned from.
    pub(crate) fn evidence(&mut self, pattern: &str) -> anyhow::Result<Vec<Evidence>> {
        #[derive(Deserialize)]
        struct Explained {
            evidence: Vec<Evidence>,
        }
        Ok(self.call::<Explained>("explain_pattern", &json!({"pattern_id": pattern}))?.evidence)
    }
}

/// The arguments by which tools are told the task.
fn about(episode: &Episode) -> Value {
    let mut arguments = json!({"task": episode.task});
    set(&mut arguments, "domain", episode.domain.as_deref());
    set(&mut arguments, "project", episode.repo.as_deref());
    arguments
}

fn set(arguments: &mut Value, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        arguments[name] = value.into();
    }
}

/// Fails if a server with these tools cannot be measured.
pub(crate) fn ensure_complete(tools: &[String]) -> anyhow::Result<()> {
    let missing: Vec<&str> =
        NEEDED.into_iter().filter(|needed| !tools.iter().any(|tool| tool == needed)).collect();
    ensure!(
        missing.is_empty(),
        "the server does not have the tools that learning is measured by; missing: {}",
        missing.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_tools_are_named() {
        let has = |tools: &[&str]| {
            ensure_complete(&tools.iter().map(ToString::to_string).collect::<Vec<_>>())
                .map_err(|error| error.to_string())
        };
        assert_eq!(has(&NEEDED), Ok(()));
        let error = has(&["query_memory", "recommend", "list_patterns", "delete_episode"]).unwrap_err();
        assert!(error.ends_with("missing: check_action, explain_pattern"), "{error}");
    }

    /// Answers with pages of two patterns each, and one that is empty but names a further one.
    struct Pages(Vec<Value>);

    impl Server for Pages {
        fn call(&mut self, tool: &str, arguments: &Value) -> anyhow::Result<Value> {
            assert_eq!(tool, "list_patterns");
            let page = arguments["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
            let next = (page + 1).to_string();
            let pattern = |name: usize| {
                json!({"id": format!("{page}.{name}"), "kind": "tool_sequence", "domain": null, "verdict": null,
                    "rate": {"mean": 0.5, "low": 0.1, "high": 0.9, "episodes": 2}, "text": "a → b"})
            };
            let count = if page < 2 { 2 } else { 0 };
            self.0.push(arguments.clone());
            Ok(json!({"patterns": (0..count).map(pattern).collect::<Vec<_>>(), "next_cursor": next}))
        }
    }

    #[test]
    fn all_pages_are_read_and_an_empty_one_is_the_last() {
        let (mut server, mut times) = (Pages(Vec::new()), Times::new());
        let patterns = Tools { server: &mut server, times: &mut times }.patterns().unwrap();
        let ids: Vec<&str> = patterns.iter().map(|pattern| pattern.id.as_str()).collect();
        assert_eq!(ids, ["0.0", "0.1", "1.0", "1.1"]);
        assert_eq!(server.0[2], json!({"limit": PAGE, "cursor": "2"}));
        assert_eq!(times["list_patterns"].len(), 3);
    }
}
