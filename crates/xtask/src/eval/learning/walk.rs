//! A held-out episode, walked through call by call as if it happened now.

use serde::Serialize;

use super::baseline::Baseline;
use super::corpus::Episode;
use super::tools::{Server, Tools};

/// Calls of an episode that are asked about, the first ones.
const CALLS_MAX: usize = 60;

/// What the memory and counting said on the way.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Walk {
    pub(crate) fold: usize,
    pub(crate) id: String,
    /// The number of its task.
    pub(crate) task: usize,
    /// For an episode of which it is known how it ended.
    pub(crate) forecast: Option<Forecast>,
    pub(crate) calls: Vec<Call>,
    pub(crate) recoveries: Vec<Guess>,
}

/// How likely success was held to be before the first call.
#[derive(Debug, Serialize)]
pub(crate) struct Forecast {
    /// None where the memory names no rate.
    pub(crate) memory: Option<f64>,
    pub(crate) baseline: f64,
    pub(crate) succeeded: bool,
}

/// A tool that was called, and the two guesses of it.
#[derive(Debug, Serialize)]
pub(crate) struct Guess {
    pub(crate) tool: String,
    pub(crate) memory: Option<String>,
    pub(crate) baseline: Option<String>,
}

/// A call.
#[derive(Debug, Serialize)]
pub(crate) struct Call {
    #[serde(flatten)]
    pub(crate) guess: Guess,
    pub(crate) failed: bool,
    /// Whether the memory warned of it.
    pub(crate) warned: bool,
}

impl Walk {
    /// Walks through the episode, and leaves the memory as it was.
    pub(crate) fn through<S: Server>(
        episode: &Episode,
        tools: &mut Tools<'_, S>,
        baseline: &Baseline<'_>,
    ) -> anyhow::Result<Self> {
        let mut walk = Self { id: episode.id.clone(), ..Self::default() };
        if let Some(succeeded) = episode.success {
            walk.forecast = Some(Forecast {
                memory: tools.recommend(episode, None, None)?.success(),
                baseline: baseline.success(episode.domain.as_deref()),
                succeeded,
            });
        }
        let open = tools.begin(episode)?;
        let names: Vec<&str> = episode.steps.iter().map(|step| step.tool.as_str()).collect();
        for (place, step) in episode.steps.iter().enumerate().take(CALLS_MAX) {
            let guess = Guess {
                tool: step.tool.clone(),
                memory: tools.recommend(episode, Some(&open), None)?.next(),
                baseline: baseline.next(&names[..place]).map(str::to_owned),
            };
            let (failure, warned) = (step.failure(), tools.is_warned(episode, step)?);
            walk.calls.push(Call { guess, failed: failure.is_some(), warned });
            tools.add(&open, step)?;
            if let Some(error) = failure
                && let Some(tool) = episode.recovery(place)
            {
                let known = baseline.recovery(&step.tool, step.error_type.as_deref());
                walk.recoveries.push(Guess {
                    tool: tool.to_owned(),
                    memory: tools.recommend(episode, Some(&open), Some(error))?.recovery(),
                    baseline: known.map(str::to_owned),
                });
            }
        }
        tools.forget(&open)?;
        Ok(walk)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::eval::learning::tools::Times;

    /// A memory that expects everything to be as it was after as many calls in the episode it knows.
    #[derive(Default)]
    struct Fake {
        added: Vec<Value>,
        log: Vec<String>,
    }

    impl Server for Fake {
        fn call(&mut self, tool: &str, arguments: &Value) -> anyhow::Result<Value> {
            let known = ["ls", "grep", "cat"];
            let (place, error) = (self.added.len(), arguments["error"].as_str());
            let kind = error.or(arguments["episode_id"].as_str()).unwrap_or("start");
            self.log.push(if tool == "recommend" { format!("recommend {kind}") } else { tool.into() });
            Ok(match tool {
                "recommend" => json!({
                    "known": true, "next": known.get(place).map(|tool| json!([{"tool": tool}])).unwrap_or(json!([])),
                    "recoveries": [{"tool": "find", "probability": 0.5}], "success_rate": {"mean": 0.75},
                }),
                "check_action" => {
                    json!({"warnings": if arguments["tool"] == "grep" { json!([{}]) } else { json!([]) }})
                }
                "create_episode" => json!({"episode_id": "open"}),
                "add_episode_step" => {
                    self.added.push(arguments.clone());
                    json!({"step": place + 1})
                }
                _ => json!({"deleted": true}),
            })
        }
    }

    fn walk(line: Value) -> (Walk, Fake) {
        let episode: Episode = serde_json::from_value(line).unwrap();
        let (mut fake, mut times) = (Fake::default(), Times::new());
        let mut tools = Tools { server: &mut fake, times: &mut times };
        let walk = Walk::through(&episode, &mut tools, &Baseline::of([&episode].into_iter())).unwrap();
        (walk, fake)
    }

    #[test]
    fn every_call_is_asked_about_before_it_is_added() {
        let (walk, fake) = walk(json!({
            "id": "r", "task_id": "t", "task": "?", "domain": "d", "success": true, "steps": [
                {"tool": "ls", "args": "-l", "observation": "a b", "ok": true},
                {"tool": "grep", "args": {"pattern": "x"}, "ok": false, "error_type": "rc_1", "error": "no match"},
                {"tool": "find", "ok": true},
            ],
        }));
        let call = |tool: &str| [tool, "check_action", "add_episode_step"].map(str::to_owned);
        let mut expected = vec!["recommend start".to_owned(), "create_episode".into()];
        expected.extend(call("recommend open").into_iter().chain(call("recommend open")));
        expected.push("recommend no match".into());
        expected.extend(call("recommend open"));
        expected.push("delete_episode".into());
        assert_eq!(fake.log, expected);
        assert_eq!(
            fake.added[..2],
            [
                json!({"episode_id": "open", "tool": "ls", "args": "-l", "observation": "a b", "ok": true}),
                json!({"episode_id": "open", "tool": "grep", "args": r#"{"pattern":"x"}"#, "ok": false, "error": "no match"}),
            ]
        );
        let guesses: Vec<_> = walk.calls.iter().map(|call| call.guess.memory.as_deref()).collect();
        assert_eq!(guesses, [Some("ls"), Some("grep"), Some("cat")]);
        let calls: Vec<_> = walk.calls.iter().map(|call| (call.failed, call.warned)).collect();
        assert_eq!(calls, [(false, false), (true, true), (false, false)]);
        let recovery = &walk.recoveries[0];
        assert_eq!((recovery.tool.as_str(), recovery.memory.as_deref()), ("find", Some("find")));
        let forecast = walk.forecast.unwrap();
        assert_eq!((forecast.memory, forecast.baseline, forecast.succeeded), (Some(0.75), 1.0, true));
    }

    #[test]
    fn only_the_first_calls_are_asked_about_and_only_known_ends_forecast() {
        let steps = vec![json!({"tool": "ls"}); CALLS_MAX + 1];
        let (walk, fake) = walk(json!({"id": "r", "task_id": "t", "task": "?", "steps": steps}));
        assert_eq!((walk.calls.len(), fake.added.len()), (CALLS_MAX, CALLS_MAX));
        assert!(walk.forecast.is_none());
        assert!(!fake.log.contains(&"recommend start".to_owned()));
    }
}
