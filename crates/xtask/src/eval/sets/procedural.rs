//! Runs of household tasks, and tasks for which graded runs show how to do them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::eval::collection::{Collection, Question, Reach};
use crate::eval::data::lines;
use crate::eval::measure::{Gold, Measure};
use crate::eval::report::SetRun;
use crate::launch::Launch;

const LIMIT: usize = 20;
/// The lowest grade that counts as relevant.
const RELEVANT_GRADE: f64 = 6.0;

#[derive(Debug, Deserialize)]
struct Run {
    id: String,
    task: String,
    domain: Option<String>,
    success: Option<bool>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    tool: String,
    args: String,
    /// What was seen before the step, and so after the one before.
    state_before: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Asked {
    query: String,
    tier: String,
    gold: BTreeMap<String, f64>,
}

impl Run {
    /// The episode. What a step is answered with is the state before the next one. Runs that say nothing of their end
    /// are demonstrations, so they count as successes; the tool takes only episodes with an outcome as finished.
    fn episode(&self) -> Value {
        let after = self.steps.iter().skip(1).map(|step| step.state_before.as_deref()).chain([None]);
        let step = |(step, after): (&Step, Option<&str>)| {
            let mut made = json!({"tool": step.tool, "args": step.args});
            if let Some(after) = after {
                made["observation"] = after.into();
            }
            made
        };
        let steps: Vec<Value> = self.steps.iter().zip(after).map(step).collect();
        let outcome = if self.success == Some(false) { "failure" } else { "success" };
        let mut episode =
            json!({"task": self.task, "external_id": self.id, "steps": steps, "outcome": outcome});
        if let Some(domain) = &self.domain {
            episode["domain"] = json!(domain);
        }
        episode
    }

    fn words(&self) -> String {
        let args: Vec<&str> = self.steps.iter().map(|step| step.args.as_str()).collect();
        format!("{} {}", self.task, args.join(" "))
    }
}

impl Asked {
    fn question(self) -> Question {
        let grades = self.gold.into_iter().filter(|(_, grade)| *grade >= RELEVANT_GRADE).collect();
        Question {
            categories: vec![self.tier.to_lowercase()],
            query: self.query,
            gold: Gold { grades, stale: Vec::new() },
            unanswerable: false,
        }
    }
}

pub(crate) fn run(launch: &Launch, dir: &Path) -> anyhow::Result<SetRun> {
    let measures = [
        Measure::Hit(1),
        Measure::Hit(5),
        Measure::Recall(5),
        Measure::Recall(10),
        Measure::ReciprocalRank,
        Measure::Ndcg(10),
    ];
    let mut run = SetRun::new("procedural", &measures);
    let mut collection = Collection::open(launch, &[])?;
    for done in lines::<Run>(&dir.join("docs.jsonl"))? {
        collection.create_episode(&done.id, &done.episode(), &done.words())?;
    }
    let reach = Reach::everywhere("episode", LIMIT);
    for asked in lines::<Asked>(&dir.join("queries.jsonl"))? {
        run.answered.push(collection.ask(asked.question(), &reach)?);
    }
    run.close(collection);
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_answered_with_the_state_before_the_next() {
        let line = r#"{"id":"r1","task":"put a pen on the desk","n_steps":2,"steps":[
            {"i":1,"tool":"take","args":"take pen","state_before":"a pen"},
            {"i":2,"tool":"put","args":"put pen on desk","state_before":"you hold the pen"}]}"#;
        let run: Run = serde_json::from_str(line).unwrap();
        let episode = run.episode();
        let first = json!({"tool": "take", "args": "take pen", "observation": "you hold the pen"});
        assert_eq!(episode["steps"], json!([first, {"tool": "put", "args": "put pen on desk"}]));
        assert_eq!((&episode["external_id"], &episode["outcome"]), (&json!("r1"), &json!("success")));
        assert_eq!(run.words(), "put a pen on the desk take pen put pen on desk");
    }

    #[test]
    fn only_good_grades_are_gold() {
        let line = r#"{"query":"?","tier":"EASY","gold":{"a":10.0,"b":6.0,"c":5.9}}"#;
        let question = serde_json::from_str::<Asked>(line).unwrap().question();
        assert_eq!(question.gold.grades, [("a".to_owned(), 10.0), ("b".to_owned(), 6.0)]);
        assert_eq!(question.categories, ["easy"]);
    }
}
