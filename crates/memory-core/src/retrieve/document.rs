//! What of a stored thing can be searched for.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::terms;
use crate::episode::{Brief, Completion, EpisodeHead, NewStep};
use crate::limits::{BODY_TERMS_MAX, TITLE_TERMS_MAX};
use crate::note::Note;
use crate::pattern::Pattern;

/// The terms of a stored thing, distinct within each part; the body repeats nothing of the title.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// What the thing is about.
    pub title: Vec<String>,
    /// What else it mentions.
    pub body: Vec<String>,
}

/// A part of a [`Document`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the thing is about.
    Title,
    /// What else it mentions.
    Body,
}

impl Document {
    /// Where each of these terms stands.
    pub fn places(&self, terms: &[String]) -> Vec<Option<Part>> {
        let title = self.title.iter().map(|term| (term, Part::Title));
        let parts: HashMap<&String, Part> =
            self.body.iter().map(|term| (term, Part::Body)).chain(title).collect();
        terms.iter().map(|term| parts.get(term).copied()).collect()
    }

    fn new(title: &str, body: &str) -> Self {
        let mut document = Self { title: terms(title, TITLE_TERMS_MAX), body: Vec::new() };
        document.extend(terms(body, BODY_TERMS_MAX));
        document
    }

    /// Adds terms to the body, within its bound.
    pub fn extend(&mut self, terms: Vec<String>) {
        for term in terms {
            if self.body.len() >= BODY_TERMS_MAX {
                return;
            }
            if !self.title.contains(&term) && !self.body.contains(&term) {
                self.body.push(term);
            }
        }
    }

    /// The document of an episode.
    pub fn of_episode<'a>(head: &EpisodeHead, steps: impl IntoIterator<Item = &'a NewStep>) -> Self {
        let Brief { task, scope, task_type, tags, context } = &head.brief;
        let mut body = String::new();
        let named = [&head.external_id, &scope.domain, &scope.project, task_type];
        for text in named.into_iter().flatten().chain(tags).chain(context.values()) {
            push(&mut body, text);
        }
        let mut document = Self::new(task, &body);
        if let Some(completion) = &head.completion {
            document.extend(completion_terms(completion));
        }
        for step in steps {
            if document.body.len() >= BODY_TERMS_MAX {
                break;
            }
            document.extend(step_terms(step));
        }
        document
    }

    /// The document of a note.
    pub fn of_note(note: &Note) -> Self {
        let mut body = String::new();
        let named = [&note.external_id, &note.scope.domain, &note.scope.project];
        for text in named.into_iter().flatten().chain(&note.tags) {
            push(&mut body, text);
        }
        Self::new(&note.text, &body)
    }

    /// The document of a pattern.
    pub fn of_pattern(pattern: &Pattern) -> Self {
        Self::new(&pattern.body.describe(), pattern.domain.as_deref().unwrap_or_default())
    }
}

/// What completing an episode adds to its document.
pub(crate) fn completion_terms(completion: &Completion) -> Vec<String> {
    let mut text = completion.summary.clone().unwrap_or_default();
    for artifact in &completion.artifacts {
        push(&mut text, artifact);
    }
    terms(&text, BODY_TERMS_MAX)
}

/// What a step adds to the document of its episode: everything but what the tool returned, which is long and mostly
/// about other things.
pub(crate) fn step_terms(step: &NewStep) -> Vec<String> {
    let mut text = step.tool.clone();
    for part in [step.error(), step.action.as_deref(), step.args.as_deref()].into_iter().flatten() {
        push(&mut text, part);
    }
    terms(&text, BODY_TERMS_MAX)
}

fn push(text: &mut String, more: &str) {
    text.push(' ');
    text.push_str(more);
}
