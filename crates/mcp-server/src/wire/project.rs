//! The summary of a project, fitted into its budget of tokens.

use memory_core::episode::EpisodeHead;
use memory_core::memory::ProjectSummary;
use memory_core::note::Note;
use memory_core::port::Endings;
use serde::Serialize;

use super::answer::{DETAILS, Detail, NOTICE_KNOWN, WireItem, first_line, is_zero, to_the_second};
use super::episode::WireOutcome;
use super::{excerpt, tokens};
use crate::limits::SUMMARY_TOKENS;

/// What is known of a project.
#[derive(Debug, Serialize)]
pub(crate) struct WireProject {
    project: String,
    notice: &'static str,
    /// How its episodes ended.
    episodes: WireEndings,
    /// What surely goes with success more often than is usual.
    works: Vec<WireItem>,
    /// What surely does so less often, and failures that were seen more than once or never overcome.
    fails: Vec<WireItem>,
    /// What was done after a failure until the tool worked again.
    recoveries: Vec<WireItem>,
    /// The latest current notes.
    notes: Vec<WireLine>,
    /// The latest episodes.
    recent: Vec<WireLine>,
    /// Entries left out because they did not fit into the budget.
    #[serde(skip_serializing_if = "is_zero")]
    omitted: usize,
}

#[derive(Debug, Serialize)]
struct WireEndings {
    success: u64,
    partial: u64,
    failure: u64,
    abandoned: u64,
    open: u64,
    unknown: u64,
}

/// A note or an episode in a line.
#[derive(Debug, Serialize)]
struct WireLine {
    id: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<WireOutcome>,
    when: String,
}

impl WireProject {
    /// The summary, as much of it as fits: first everything is told in less detail, then the oldest is left out.
    pub(crate) fn fit(summary: &ProjectSummary) -> Self {
        let mut fitted = Self::new(summary, DETAILS[0]);
        for detail in DETAILS {
            fitted = Self::new(summary, detail);
            if fitted.tokens() <= SUMMARY_TOKENS {
                return fitted;
            }
        }
        while fitted.tokens() > SUMMARY_TOKENS && fitted.leave_out() {
            fitted.omitted += 1;
        }
        fitted
    }

    fn new(summary: &ProjectSummary, detail: Detail) -> Self {
        let ProjectSummary { project, endings, advice, recent, notes } = summary;
        let Endings { open, success, partial, failure, abandoned, unknown } = *endings;
        Self {
            project: project.clone(),
            notice: NOTICE_KNOWN,
            episodes: WireEndings { success, partial, failure, abandoned, open, unknown },
            works: WireItem::all(&advice.steps, detail),
            fails: WireItem::all(&advice.pitfalls, detail),
            recoveries: WireItem::all(&advice.recoveries, detail),
            notes: notes.iter().map(|note| WireLine::note(note, detail)).collect(),
            recent: recent.iter().map(|head| WireLine::episode(head, detail)).collect(),
            omitted: 0,
        }
    }

    fn tokens(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |text| tokens::estimate(&text))
    }

    /// Leaves out the last entry of the longer one of the two lists that grow with the project.
    fn leave_out(&mut self) -> bool {
        let list = if self.notes.len() > self.recent.len() { &mut self.notes } else { &mut self.recent };
        list.pop().is_some()
    }
}

impl WireLine {
    fn note(note: &Note, detail: Detail) -> Self {
        Self {
            id: note.id.to_string(),
            text: excerpt(&note.text, detail.item_chars),
            outcome: None,
            when: to_the_second(note.at),
        }
    }

    fn episode(head: &EpisodeHead, detail: Detail) -> Self {
        Self {
            id: head.id.to_string(),
            text: excerpt(first_line(&head.brief.task), detail.item_chars),
            outcome: head.outcome().map(Into::into),
            when: to_the_second(head.started_at),
        }
    }
}
