//! Short ways to write steps, episodes and what a store is given of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use memory_core::episode::{Brief, Episode, EpisodeHead, NewStep, Outcome, Scope, Step, StepResult};
use memory_core::id::{EpisodeId, JobId};
use memory_core::job::{LIVE_WEIGHT, NewJob};
use memory_core::memory::{NewEnding, NewEpisode, NewNote};
use memory_core::note::Layer;
use memory_core::port::{CompletionInsertion, Insertion, Source, StepInsertion};

/// A step that succeeded.
pub fn ok(tool: &str) -> NewStep {
    step(tool, StepResult::Succeeded)
}

/// A step that failed with this error.
pub fn failed(tool: &str, error: &str) -> NewStep {
    step(tool, StepResult::Failed { error: error.into() })
}

fn step(tool: &str, result: StepResult) -> NewStep {
    NewStep {
        external_id: None,
        tool: tool.into(),
        action: None,
        args: None,
        observation: None,
        result,
        duration_ms: None,
    }
}

/// The same step, called with these arguments.
pub fn called(args: &str, step: NewStep) -> NewStep {
    NewStep { args: Some(args.into()), ..step }
}

/// These steps as an episode holds them that begins with them.
pub fn numbered(steps: Vec<NewStep>) -> Vec<Step> {
    let at = Timestamp::UNIX_EPOCH;
    steps.into_iter().zip(1..).map(|(call, number)| Step { number, at, call }).collect()
}

/// A step with all its fields filled, told from others by `number`.
pub fn full_step(number: u32) -> NewStep {
    NewStep {
        external_id: Some(format!("call-{number}")),
        tool: format!("tool.{number}"),
        action: Some(format!("try \"{number}\" – 'naïve' \\ 日本語 🦀\nsecond line")),
        args: Some(format!("{{\"n\": {number}, \"quoted\": \"it''s\"}}")),
        observation: Some(String::new()),
        result: StepResult::Failed { error: format!("exit {number}; DROP TABLE step; --") },
        duration_ms: Some(u64::from(number) * 1_000_000_007),
    }
}

/// A brief that says nothing but the task.
pub fn brief(task: &str) -> Brief {
    Brief {
        task: task.into(),
        scope: Scope::default(),
        task_type: None,
        tags: Vec::new(),
        context: BTreeMap::new(),
    }
}

/// An open episode.
pub fn open(task: &str) -> NewEpisode {
    NewEpisode { external_id: None, brief: brief(task), started_at: None, steps: Vec::new(), ending: None }
}

/// A finished episode.
pub fn finished(task: &str, outcome: Outcome, steps: Vec<NewStep>) -> NewEpisode {
    let ending = NewEnding { outcome: Some(outcome), ..NewEnding::default() };
    NewEpisode { steps, ending: Some(ending), ..open(task) }
}

/// The same episode in this domain.
pub fn in_domain(domain: &str, mut episode: NewEpisode) -> NewEpisode {
    episode.brief.scope.domain = Some(domain.into());
    episode
}

/// The same episode under this name of its caller's.
pub fn named(external_id: &str, episode: NewEpisode) -> NewEpisode {
    NewEpisode { external_id: Some(external_id.into()), ..episode }
}

/// What a store is given of this episode.
pub fn insertion(source: &dyn Source, new: NewEpisode) -> Insertion {
    let NewEpisode { external_id, brief, started_at, steps, ending } = new;
    let now = source.now();
    let steps: Vec<Step> =
        steps.into_iter().zip(1..).map(|(call, number)| Step { number, at: now, call }).collect();
    let completion = ending.map(|ending| ending.conclude(&steps, now));
    let job = completion.is_some().then(|| job(source, LIVE_WEIGHT));
    let head = EpisodeHead {
        id: EpisodeId(source.id()),
        external_id,
        brief,
        started_at: started_at.unwrap_or(now),
        revision: 1,
        step_count: u32::try_from(steps.len()).expect("few steps"),
        completion,
    };
    Insertion { episode: Episode { head, steps }, job, citations: None }
}

/// What a store is given of this step.
pub fn step_insertion(source: &dyn Source, step: NewStep) -> StepInsertion {
    StepInsertion { step, at: source.now() }
}

/// What a store is given when this episode ends.
pub fn completion_insertion(
    source: &dyn Source,
    episode: &Episode,
    ending: NewEnding,
) -> CompletionInsertion {
    CompletionInsertion {
        revision: episode.head.revision,
        completion: ending.conclude(&episode.steps, source.now()),
        job: job(source, LIVE_WEIGHT),
        citations: None,
    }
}

/// A new job of this weight.
pub fn job(source: &dyn Source, weight: f64) -> NewJob {
    NewJob { id: JobId(source.id()), weight }
}

/// A note with nothing but its text.
pub fn note(text: &str) -> NewNote {
    NewNote {
        text: text.into(),
        external_id: None,
        scope: Scope::default(),
        layer: Layer::LongTerm,
        tags: Vec::new(),
        supersedes: Vec::new(),
    }
}
