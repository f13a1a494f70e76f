//! Recorded runs of agents, and how they are divided into those that are learned from and those that are asked about.

use std::collections::{BTreeMap, HashMap};
use std::fs::read_to_string;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::eval::data::{lines, text};

/// Folds over tasks.
const TASK_FOLDS: usize = 5;
/// The same tasks always fall into the same folds.
const SEED: u64 = 20_240_229;
/// How many steps after a failure a call that works still counts as its recovery.
const RECOVERY_STEPS: usize = 6;

/// The runs of one file, in its order.
pub(crate) struct Corpus {
    pub(crate) name: String,
    pub(crate) episodes: Vec<Episode>,
    /// The line of each, to be imported as it is.
    pub(crate) lines: Vec<String>,
}

/// Of a line that `import jsonl` reads, what is asked about or measured.
#[derive(Debug, Deserialize)]
pub(crate) struct Episode {
    pub(crate) id: String,
    pub(crate) task_id: String,
    pub(crate) task: String,
    pub(crate) domain: Option<String>,
    /// Is imported as the project.
    pub(crate) repo: Option<String>,
    /// The number of the trial of the task.
    #[serde(default)]
    run: i64,
    pub(crate) success: Option<bool>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
}

/// One call.
#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    pub(crate) tool: String,
    #[serde(default)]
    args: Value,
    #[serde(default)]
    observation: Value,
    ok: Option<bool>,
    pub(crate) error_type: Option<String>,
    error: Option<String>,
}

fn said(text: &str) -> Option<&str> {
    (!text.trim().is_empty()).then_some(text)
}

impl Step {
    /// The error, empty if it has no words; `None` for a call that worked. It is what an import makes of the line.
    pub(crate) fn failure(&self) -> Option<&str> {
        let error = self.error.as_deref().and_then(said).or(self.error_type.as_deref().and_then(said));
        match (self.ok, error) {
            (Some(true), _) | (None, None) => None,
            (_, error) => Some(error.unwrap_or_default()),
        }
    }

    pub(crate) fn args(&self) -> Option<String> {
        Some(text(&self.args)).filter(|args| said(args).is_some())
    }

    pub(crate) fn observation(&self) -> Option<String> {
        Some(text(&self.observation)).filter(|observation| said(observation).is_some())
    }
}

impl Episode {
    /// The tool of the first call that works within [`RECOVERY_STEPS`] after the failed one at this place.
    pub(crate) fn recovery(&self, failed: usize) -> Option<&str> {
        let after = self.steps.iter().skip(failed + 1).take(RECOVERY_STEPS);
        after.into_iter().find(|step| step.failure().is_none()).map(|step| step.tool.as_str())
    }

    /// Whether it is of this domain or of one below it.
    pub(crate) fn is_in(&self, domain: &str) -> bool {
        let below = self.domain.as_deref().and_then(|own| own.strip_prefix(domain));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// How a corpus is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Other trials of the tasks that are asked about were learned from.
    Repeat,
    /// The tasks that are asked about were never seen.
    Transfer,
}

/// Places of episodes in their corpus, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fold {
    pub(crate) learned: Vec<usize>,
    pub(crate) held_out: Vec<usize>,
}

impl Corpus {
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let episodes = lines(file)?;
        let whole = read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
        let lines = whole.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name, episodes, lines })
    }

    /// The number of each episode's task.
    pub(crate) fn tasks(&self) -> Vec<usize> {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let tasks = self.episodes.iter().map(|episode| {
            let next = numbers.len();
            *numbers.entry(&episode.task_id).or_insert(next)
        });
        tasks.collect()
    }

    /// What is held out in turn; `Err` with the reason where the protocol does not apply.
    pub(crate) fn folds(&self, protocol: Protocol) -> Result<Vec<Fold>, String> {
        let folds = match protocol {
            Protocol::Repeat => self.trials(),
            Protocol::Transfer => self.task_folds(),
        };
        let last = folds.iter().flatten().max();
        let Some(count) = last.map(|last| last + 1).filter(|count| *count > 1) else {
            return Err(match protocol {
                Protocol::Repeat => "no task has several trials".into(),
                Protocol::Transfer => "there is only one task".into(),
            });
        };
        let fold = |number: usize| {
            let (held_out, learned) = (0..folds.len()).partition(|place| folds[*place] == Some(number));
            Fold { learned, held_out }
        };
        Ok((0..count).map(fold).collect())
    }

    /// The number of each episode among the trials of its task; none if it is the only one.
    fn trials(&self) -> Vec<Option<usize>> {
        let mut folds = vec![None; self.episodes.len()];
        let mut by_task: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, task) in self.tasks().into_iter().enumerate() {
            by_task.entry(task).or_default().push(place);
        }
        for mut trials in by_task.into_values() {
            trials.sort_by_key(|place| self.episodes[*place].run);
            if trials.len() > 1 {
                trials.into_iter().enumerate().for_each(|(number, place)| folds[place] = Some(number));
            }
        }
        folds
    }

    /// Tasks are dealt out evenly.
    fn task_folds(&self) -> Vec<Option<usize>> {
        let mut tasks: Vec<&str> = self.episodes.iter().map(|episode| episode.task_id.as_str()).collect();
        tasks.sort_unstable();
        tasks.dedup();
        fastrand::Rng::with_seed(SEED).shuffle(&mut tasks);
        let dealt: HashMap<&str, usize> =
            tasks.into_iter().enumerate().map(|(place, task)| (task, place % TASK_FOLDS)).collect();
        self.episodes.iter().map(|episode| dealt.get(episode.task_id.as_str()).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(line: &str) -> Step {
        serde_json::from_str(line).unwrap()
    }

    fn corpus(trials: &[(&str, i64)]) -> Corpus {
        let line = |(number, (task, run)): (usize, &(&str, i64))| {
            serde_json::json!({"id": number.to_string(), "task_id": task, "task": "?", "run": run})
                .to_string()
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.jsonl");
        let lines: Vec<String> = trials.iter().enumerate().map(line).collect();
        std::fs::write(&file, lines.join("\n\n")).unwrap();
        Corpus::read(&file).unwrap()
    }

    #[test]
    fn a_line_is_kept_as_it_is() {
        let corpus = corpus(&[("a", 0), ("b", 0), ("a", 1)]);
        assert_eq!((corpus.name.as_str(), corpus.lines.len()), ("tiny", 3));
        assert!(corpus.lines[2].contains(r#""id":"2""#));
        assert_eq!(corpus.tasks(), [0, 1, 0]);
    }

    #[test]
    fn a_trial_is_held_out_while_the_others_are_learned() {
        // Trials are counted from any number on; a task with one trial cannot be repeated.
        let corpus = corpus(&[("a", 2), ("a", 1), ("b", 7), ("c", 0), ("c", 1)]);
        let folds = corpus.folds(Protocol::Repeat).unwrap();
        let expected = [(vec![0, 2, 4], vec![1, 3]), (vec![1, 2, 3], vec![0, 4])];
        assert_eq!(folds, expected.map(|(learned, held_out)| Fold { learned, held_out }));
    }

    #[test]
    fn a_task_is_held_out_with_all_its_trials() {
        let tasks = ["a", "b", "c", "d", "e", "f", "g"];
        let trials: Vec<(&str, i64)> = tasks.iter().flat_map(|task| [(*task, 0), (*task, 1)]).collect();
        let corpus = corpus(&trials);
        let folds = corpus.folds(Protocol::Transfer).unwrap();
        assert_eq!(folds.len(), TASK_FOLDS);
        let mut all: Vec<usize> = folds.iter().flat_map(|fold| &fold.held_out).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..14).collect::<Vec<_>>());
        for fold in &folds {
            let task = |place: &usize| corpus.episodes[*place].task_id.as_str();
            assert!(!fold.held_out.is_empty() && fold.held_out.len() + fold.learned.len() == 14);
            assert!(
                fold.held_out.iter().all(|held| fold.learned.iter().all(|known| task(held) != task(known)))
            );
        }
    }

    #[test]
    fn what_cannot_be_divided_says_why() {
        let reason = corpus(&[("a", 0), ("b", 0)]).folds(Protocol::Repeat);
        assert_eq!(reason, Err("no task has several trials".into()));
        let reason = corpus(&[("a", 0), ("a", 1)]).folds(Protocol::Transfer);
        assert_eq!(reason, Err("there is only one task".into()));
    }

    #[test]
    fn a_call_failed_as_an_import_would_have_it() {
        let failure = |line: &str| step(line).failure().map(str::to_owned);
        assert_eq!(failure(r#"{"tool": "ls"}"#), None);
        assert_eq!(failure(r#"{"tool": "ls", "ok": true, "error": "noise"}"#), None);
        assert_eq!(failure(r#"{"tool": "ls", "ok": false}"#).as_deref(), Some(""));
        assert_eq!(failure(r#"{"tool": "ls", "error": " ", "error_type": "rc_1"}"#).as_deref(), Some("rc_1"));
        assert_eq!(step(r#"{"tool": "ls", "args": {"path": "src"}}"#).args().unwrap(), r#"{"path":"src"}"#);
        assert_eq!(step(r#"{"tool": "ls", "args": ""}"#).args(), None);
    }

    #[test]
    fn a_recovery_comes_soon_after_the_failure() {
        let episode = |failures: usize| -> Episode {
            let failed = serde_json::json!({"tool": "grep", "ok": false});
            let mut steps = vec![failed; failures];
            steps.push(serde_json::json!({"tool": "ls", "ok": true}));
            let line = serde_json::json!({"id": "1", "task_id": "t", "task": "?", "steps": steps});
            serde_json::from_value(line).unwrap()
        };
        assert_eq!(episode(6).recovery(0), Some("ls"));
        assert_eq!(episode(7).recovery(0), None);
        assert_eq!(episode(7).recovery(1), Some("ls"));
    }

    #[test]
    fn a_domain_holds_those_below_it() {
        let line = r#"{"id": "1", "task_id": "t", "task": "?", "domain": "coding.python"}"#;
        let episode: Episode = serde_json::from_str(line).unwrap();
        let holds = ["coding", "coding.python", "coding.py", "code"].map(|domain| episode.is_in(domain));
        assert_eq!(holds, [true, true, false, false]);
    }
}
