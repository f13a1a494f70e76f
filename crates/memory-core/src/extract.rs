//! Learning from a finished episode: the extractor trait, the registry and the extractors that come with it.

mod attempt;
mod context;
mod custom;
mod decision_point;
mod error_recovery;
mod pitfall;
mod tool_sequence;
mod transition;

pub use attempt::{Attempt, attempt_keys};
pub use context::Context;
pub use custom::Sighting;
pub use decision_point::DecisionPoint;
pub use error_recovery::{ErrorRecovery, error_class, error_kind};
pub use pitfall::Pitfall;
pub use tool_sequence::ToolSequence;
pub use transition::{Course, Transition};

use std::collections::HashMap;

use jiff::Timestamp;

use crate::episode::{Episode, Step};
use crate::hash::fnv_1a;
use crate::pattern::{Measure, PatternBody, Tally};

/// The version of what is learned. Whatever was learned by another one is learned anew.
pub const LEARNING_VERSION: u32 = 1;

/// One observation of a pattern in one episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The pattern.
    pub body: PatternBody,
    /// Whether it worked: 1 yes, 0 no.
    pub credit: f64,
    /// A quotation from the episode that shows it, at most
    /// [`DETAIL_CHARS_MAX`](crate::limits::DETAIL_CHARS_MAX) characters.
    pub detail: Option<String>,
}

/// Finds patterns in a finished episode. Pure and deterministic: the same episode gives the same findings, so that
/// what was learned can be thrown away and learned again.
pub trait Extractor: Send + Sync {
    /// A stable name for logs.
    fn name(&self) -> &'static str;
    /// The findings, at most [`FINDINGS_MAX`](crate::limits::FINDINGS_MAX), each pattern once.
    fn extract(&self, episode: &Episode) -> Vec<Finding>;
}

/// Everything that one episode teaches.
#[derive(Clone, Debug, PartialEq)]
pub struct Teaching {
    /// The revision of the episode that was studied.
    pub revision: u64,
    /// Tells its task from others; equal for tasks in the same words.
    pub family: u64,
    /// How far its outcome can be relied on, against an agent's own word, which counts 1, see [`Basis`](crate::episode::Basis).
    pub reliance: f64,
    /// When it happened.
    pub at: Timestamp,
    /// The patterns that it shows, each once.
    pub findings: Vec<Finding>,
    /// What was done in it.
    pub experience: Experience,
    /// The extractors of the user that it was studied with beside our own, see
    /// [`PluginSet::version`](crate::port::PluginSet::version); empty where there were none.
    pub plugins: String,
}

/// What was done in an episode, whatever came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Experience {
    /// Which tools followed which, each pair once.
    pub transitions: Vec<Transition>,
    /// Which calls were tried and how that went, each once.
    pub attempts: Vec<Attempt>,
}

impl Experience {
    /// Reads it off the steps.
    pub fn of(steps: &[Step]) -> Self {
        Self { transitions: transition::transitions(steps), attempts: attempt::attempts(steps) }
    }
}

impl Teaching {
    /// Adds what the extractors of the user saw in the episode. What that is worth is how the episode ended, as for our own
    /// extractors: none of them can make a success of anything.
    #[must_use]
    pub fn with_plugins(mut self, version: &str, episode: &Episode, seen: Vec<Sighting>) -> Self {
        self.plugins = version.to_owned();
        if let Some(credit) = episode.head.outcome().and_then(|outcome| outcome.credit()) {
            self.findings.extend(merge(seen.into_iter().map(|sighting| sighting.credited(credit))));
        }
        self
    }

    /// What a finding adds to its pattern. How reliable an outcome is says nothing about a recovery, which the steps show.
    pub fn observation(&self, finding: &Finding) -> Tally {
        let reliance = match finding.body.measure() {
            Measure::Outcome => self.reliance,
            Measure::Success | Measure::Recovery => 1.0,
        };
        Tally::one(finding.credit, reliance, self.at)
    }
}

/// The extractors in use.
pub struct Registry {
    extractors: Vec<Box<dyn Extractor>>,
}

impl Default for Registry {
    /// All extractors of this crate.
    fn default() -> Self {
        Self::new(vec![
            Box::new(ToolSequence),
            Box::new(DecisionPoint),
            Box::new(ErrorRecovery),
            Box::new(Context),
            Box::new(Pitfall),
        ])
    }
}

impl Registry {
    /// A registry of these extractors, run in this order.
    pub fn new(extractors: Vec<Box<dyn Extractor>>) -> Self {
        Self { extractors }
    }

    /// Runs every extractor. A pattern found more than once becomes one finding whose credit is the mean, so that
    /// one episode is one observation. The base of each measure that the episode says something about comes first.
    pub fn extract(&self, episode: &Episode) -> Vec<Finding> {
        let found = merge(self.extractors.iter().flat_map(|extractor| extractor.extract(episode)));
        let mut findings = bases(episode, &found);
        findings.extend(found);
        findings
    }

    /// Everything that the episode teaches. An episode from the future, as a wrong clock makes them, happened `now`.
    pub fn study(&self, episode: &Episode, now: Timestamp) -> Teaching {
        let completion = episode.head.completion.as_ref();
        Teaching {
            revision: episode.head.revision,
            family: family(&episode.head.brief.task),
            reliance: completion.map_or(0.0, |completion| completion.basis.weight(completion.disputed)),
            at: episode.head.started_at.min(now),
            findings: self.extract(episode),
            experience: Experience::of(&episode.steps),
            plugins: String::new(),
        }
    }
}

/// What the episode adds to what is usual in its domain.
fn bases(episode: &Episode, findings: &[Finding]) -> Vec<Finding> {
    let base = |measure, credit| Finding { body: PatternBody::Base { measure }, credit, detail: None };
    let outcome = episode.head.outcome().and_then(|outcome| outcome.credit());
    let of_outcome = |credit| [Measure::Outcome, Measure::Success].map(|measure| base(measure, credit));
    let mut bases: Vec<Finding> = outcome.map(of_outcome).into_iter().flatten().collect();
    let recoveries: Vec<f64> = findings
        .iter()
        .filter(|finding| finding.body.measure() == Measure::Recovery)
        .map(|finding| finding.credit)
        .collect();
    if !recoveries.is_empty() {
        let mean = recoveries.iter().sum::<f64>() / recoveries.len() as f64;
        bases.push(base(Measure::Recovery, mean));
    }
    bases
}

/// Tells a task from others, whatever its punctuation and its spaces: 64 bits of a hash of its words.
pub fn family(task: &str) -> u64 {
    let words = task.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    fnv_1a(words.flat_map(|word| word.to_lowercase().into_bytes().into_iter().chain([b' '])))
}

/// One finding for each pattern, in order of first appearance; the credit is the mean, the detail that of the
/// best one.
fn merge(findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
    let mut merged: Vec<(Finding, f64, f64)> = Vec::new();
    // By the signature, as the store tells them apart: bodies that differ in a separator alone are one pattern.
    let mut places: HashMap<(&'static str, String), usize> = HashMap::new();
    for finding in findings {
        let name = (finding.body.kind(), finding.body.signature());
        match places.get(&name) {
            None => {
                places.insert(name, merged.len());
                let credit = finding.credit;
                merged.push((finding, credit, 1.0));
            }
            Some(&place) => {
                let (kept, sum, times) = &mut merged[place];
                *sum += finding.credit;
                *times += 1.0;
                if finding.credit > kept.credit {
                    *kept = finding;
                }
            }
        }
    }
    merged.into_iter().map(|(finding, sum, times)| Finding { credit: sum / times, ..finding }).collect()
}

/// A finding for each of these patterns, all with the credit of the episode's outcome; none if it was abandoned or nobody
/// knows how it ended.
fn by_outcome(episode: &Episode, bodies: impl IntoIterator<Item = PatternBody>) -> Vec<Finding> {
    let Some(credit) = episode.head.outcome().and_then(|outcome| outcome.credit()) else {
        return Vec::new();
    };
    let mut findings = merge(bodies.into_iter().map(|body| Finding { body, credit, detail: None }));
    findings.truncate(crate::limits::FINDINGS_MAX);
    findings
}

/// The tools of these steps in order, repeats of one tool counted once.
pub(crate) fn tool_path<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Vec<&'a str> {
    let mut path: Vec<&str> = Vec::new();
    for step in steps {
        if path.last() != Some(&step.call.tool.as_str()) {
            path.push(&step.call.tool);
        }
    }
    path
}
