//! Recorded runs of agents: is a task found again by how it begins?

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::eval::collection::{Collection, Question, Reach};
use crate::eval::data::{files, grouped, lines, text};
use crate::eval::measure::{Gold, Measure};
use crate::eval::report::SetRun;
use crate::launch::Launch;

const LIMIT: usize = 20;
/// Tasks asked about for each corpus, at most.
const TASKS_MAX: usize = 60;
/// Characters of a task that make a question.
const QUESTION_CHARS: usize = 300;

#[derive(Debug, Deserialize)]
struct Run {
    id: String,
    corpus: String,
    task_id: String,
    task: String,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    #[serde(default)]
    args: Value,
    error: Option<String>,
}

impl Run {
    fn words(&self) -> String {
        let mut words = self.task.clone();
        for step in &self.steps {
            words.push_str(&format!(" {} {}", text(&step.args), step.error.as_deref().unwrap_or_default()));
        }
        words
    }
}

pub(crate) fn run(launch: &Launch, dir: &Path) -> anyhow::Result<SetRun> {
    let measures = [Measure::Hit(1), Measure::Hit(5), Measure::CappedRecall(5), Measure::CappedRecall(10)];
    let mut run = SetRun::new("episodes", &measures);
    let files = files(dir)?;
    let mut collection = Collection::open(launch, &files)?;
    let mut runs = Vec::new();
    for file in &files {
        for done in lines::<Run>(file)? {
            collection.bm25.add(&done.id, None, &done.words());
            runs.push(done);
        }
    }
    let reach = Reach::everywhere("episode", LIMIT);
    for question in questions(runs) {
        run.answered.push(collection.ask(question, &reach)?);
    }
    run.close(collection);
    Ok(run)
}

/// For each corpus evenly spaced tasks, each with all runs of it as gold.
fn questions(runs: Vec<Run>) -> Vec<Question> {
    let mut questions = Vec::new();
    for (corpus, runs) in grouped(runs, |run| &run.corpus) {
        let tasks = grouped(runs, |run| &run.task_id);
        let count = tasks.len().min(TASKS_MAX);
        for chosen in (0..count).map(|number| number * tasks.len() / count) {
            let runs = &tasks[chosen].1;
            questions.push(Question {
                categories: vec![corpus.clone()],
                query: runs.first().map_or("", |run| &run.task).chars().take(QUESTION_CHARS).collect(),
                gold: Gold::of(runs.iter().map(|run| run.id.clone())),
                unanswerable: false,
            });
        }
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(corpus: &str, task: usize, trial: usize) -> Run {
        let line = serde_json::json!({
            "id": format!("{corpus}/{task}/{trial}"), "corpus": corpus, "task_id": task.to_string(),
            "task": format!("task {task}: {}", "é".repeat(400)),
            "steps": [{"i": 0, "tool": "ls", "args": {"path": "src"}, "error": "no such file"}, {"tool": "pwd"}],
        });
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn tasks_are_evenly_spaced_and_all_their_runs_are_gold() {
        let runs = (0..120).map(|task| run("many", task, 0)).chain((0..4).map(|trial| run("few", 7, trial)));
        let questions = questions(runs.collect());
        assert_eq!(questions.len(), TASKS_MAX + 1);
        assert_eq!(questions[1].gold, Gold::of(["many/2/0".to_owned()]));
        assert_eq!(questions[60].gold.grades.len(), 4);
        assert_eq!(questions[60].query.chars().count(), QUESTION_CHARS);
    }

    #[test]
    fn a_run_is_searched_by_its_task_its_arguments_and_its_errors() {
        let words = run("many", 1, 0).words();
        assert!(words.ends_with(r#"é {"path":"src"} no such file  "#), "{words}");
    }
}
