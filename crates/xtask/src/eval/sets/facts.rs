//! Facts of which later ones contradict earlier ones: the newest must come first.

use std::path::Path;

use serde::Deserialize;

use crate::eval::collection::{Collection, Note, Question, Reach};
use crate::eval::data::{grouped, lines};
use crate::eval::measure::{Gold, Measure};
use crate::eval::report::SetRun;
use crate::launch::Launch;

/// As many as a query can return.
const LIMIT: usize = 50;

#[derive(Debug, Deserialize)]
struct Fact {
    id: String,
    set: String,
    serial: u64,
    text: String,
}

#[derive(Debug, Deserialize)]
struct Asked {
    set: String,
    query: String,
    /// None for questions that take several facts to answer; those are not asked.
    gold: Option<String>,
    #[serde(default)]
    stale: Vec<String>,
}

impl Asked {
    /// Counted under its size, and once more if it has a fact that no longer holds.
    fn question(self) -> Option<Question> {
        let contradicted = (!self.stale.is_empty()).then(|| format!("{}, contradicted", self.set));
        Some(Question {
            categories: [self.set].into_iter().chain(contradicted).collect(),
            query: self.query,
            gold: Gold { stale: self.stale, ..Gold::of([self.gold?]) },
            unanswerable: false,
        })
    }
}

pub(crate) fn run(launch: &Launch, dir: &Path) -> anyhow::Result<SetRun> {
    let measures = [Measure::UpToDate, Measure::Hit(1), Measure::Recall(10), Measure::ReciprocalRank];
    let mut run = SetRun::new("facts", &measures);
    let reach = Reach::everywhere("note", LIMIT);
    let mut questions = grouped(lines::<Asked>(&dir.join("queries.jsonl"))?, |asked| &asked.set);
    for (set, mut facts) in grouped(lines::<Fact>(&dir.join("docs.jsonl"))?, |fact| &fact.set) {
        let mut collection = Collection::open(launch, &[])?;
        facts.sort_by_key(|fact| fact.serial);
        for fact in facts {
            collection.remember(&Note { id: fact.id, text: fact.text, ..Note::default() })?;
        }
        let of_it = questions.iter_mut().find(|(name, _)| *name == set);
        for asked in of_it.map(|(_, asked)| std::mem::take(asked)).unwrap_or_default() {
            if let Some(question) = asked.question() {
                run.answered.push(collection.ask(question, &reach)?);
            }
        }
        run.close(collection);
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_that_take_several_facts_are_left_out() {
        let several =
            r#"{"id":"q","set":"6k","hop":"mh","query":"?","answers":["x"],"gold":null,"stale":[]}"#;
        assert!(serde_json::from_str::<Asked>(several).unwrap().question().is_none());
        let one = r#"{"id":"q","set":"6k","hop":"sh","query":"?","gold":"6k/9","stale":["6k/1"]}"#;
        let question = serde_json::from_str::<Asked>(one).unwrap().question().unwrap();
        assert_eq!(question.categories, ["6k", "6k, contradicted"]);
        assert_eq!(question.gold.stale, ["6k/1"]);
    }
}
