//! Learning from a finished episode: the extractor trait, the registry and the extractors that come with it.

mod error_recovery;
mod tool_sequence;

pub use error_recovery::{ErrorRecovery, error_class};
pub use tool_sequence::ToolSequence;

use std::collections::HashMap;

use crate::episode::{Episode, Step};
use crate::pattern::PatternBody;

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

/// The extractors in use.
pub struct Registry {
    extractors: Vec<Box<dyn Extractor>>,
}

impl Default for Registry {
    /// All extractors of this crate.
    fn default() -> Self {
        Self::new(vec![Box::new(ToolSequence), Box::new(ErrorRecovery)])
    }
}

impl Registry {
    /// A registry of these extractors, run in this order.
    pub fn new(extractors: Vec<Box<dyn Extractor>>) -> Self {
        Self { extractors }
    }

    /// Runs every extractor. A pattern found more than once becomes one finding whose credit is the mean, so that
    /// one episode is one observation.
    pub fn extract(&self, episode: &Episode) -> Vec<Finding> {
        merge(self.extractors.iter().flat_map(|extractor| extractor.extract(episode)))
    }
}

/// One finding for each pattern, in order of first appearance; the credit is the mean, the detail that of the
/// best one.
fn merge(findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
    let mut merged: Vec<(Finding, f64, f64)> = Vec::new();
    let mut places: HashMap<PatternBody, usize> = HashMap::new();
    for finding in findings {
        match places.get(&finding.body) {
            None => {
                places.insert(finding.body.clone(), merged.len());
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
