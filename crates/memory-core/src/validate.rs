//! One walk over every text that a caller gives: [`check`] validates all of it and reports every violation at
//! once, [`scrub`] takes the secrets out of the same texts. A text that the walk forgets is neither bounded nor
//! redacted, so each type lists its texts in one place, its [`Texts`] implementation.

use std::collections::BTreeMap;

use crate::episode::{Brief, NewStep, StepResult};
use crate::error::{Error, Violation};
use crate::limits::{
    ARTIFACTS_MAX, CONTEXT_ENTRIES_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, QUERY_BYTES_MAX, TAGS_MAX,
    TASK_BYTES_MAX, TEXT_BYTES_MAX,
};
use crate::redact::redact;

/// Where a text stands in the caller's arguments; turned into words only when something is wrong with it.
#[derive(Clone, Copy)]
pub enum Path<'a> {
    /// The arguments themselves.
    Root,
    /// A named part.
    Field(&'a Path<'a>, &'a str),
    /// A part of a list, from 0.
    Index(&'a Path<'a>, usize),
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// What a text may be.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Longest, in bytes.
    pub bytes_max: usize,
    /// Whether it may be empty or blank.
    pub may_be_blank: bool,
}

const TASK: Rule = Rule { bytes_max: TASK_BYTES_MAX, may_be_blank: false };
const NAME: Rule = Rule { bytes_max: NAME_BYTES_MAX, may_be_blank: false };
/// A name that may be taken away.
const CLEARED_NAME: Rule = Rule { bytes_max: NAME_BYTES_MAX, may_be_blank: true };
const TEXT: Rule = Rule { bytes_max: TEXT_BYTES_MAX, may_be_blank: true };
const NOTE: Rule = Rule { bytes_max: TEXT_BYTES_MAX, may_be_blank: false };
const QUERY: Rule = Rule { bytes_max: QUERY_BYTES_MAX, may_be_blank: false };
const ACTION: Rule = Rule { bytes_max: PAYLOAD_BYTES_MAX, may_be_blank: false };
const PAYLOAD: Rule = Rule { bytes_max: PAYLOAD_BYTES_MAX, may_be_blank: true };

/// Visits one text.
pub type Visit<'v> = dyn FnMut(&Path<'_>, Rule, &mut String) + 'v;

/// A list or map with too many entries, as its visitor sees it.
pub type Count<'v> = dyn FnMut(&Path<'_>, usize, usize) + 'v;

/// Something that holds texts from a caller.
pub trait Texts {
    /// Calls `visit` for every text.
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>);
    /// Calls `count` with the length and the bound of every list and map.
    fn each_list(&self, _at: &Path<'_>, _count: &mut Count<'_>) {}
}

/// Reports every violation in `input`: texts too long or blank, NUL characters, lists too long.
///
/// # Errors
/// [`Error::Invalid`] with all of them.
pub fn check(input: &mut dyn Texts, mut violations: Vec<Violation>) -> Result<(), Error> {
    input.each_text(&Path::Root, &mut |path, rule, text| {
        let problem = if text.len() > rule.bytes_max {
            format!("is {} bytes long; the limit is {} bytes: shorten it", text.len(), rule.bytes_max)
        } else if !rule.may_be_blank && text.trim().is_empty() {
            "is empty; it must say something".to_owned()
        } else if let Some(at) = text.find('\0') {
            format!("contains a NUL character at byte {at}; remove it")
        } else {
            return;
        };
        violations.push(Violation { field: path.to_string(), problem });
    });
    input.each_list(&Path::Root, &mut |path, length, max| {
        if length > max {
            let problem = format!("has {length} entries; the limit is {max}");
            violations.push(Violation { field: path.to_string(), problem });
        }
    });
    if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
}

/// Replaces the secrets in every text of `input`, see [`redact`].
pub fn scrub(input: &mut dyn Texts) {
    input.each_text(&Path::Root, &mut |_, _, text| {
        if let std::borrow::Cow::Owned(clean) = redact(text) {
            *text = clean;
        }
    });
}

fn optional(text: &mut Option<String>, at: &Path<'_>, name: &str, rule: Rule, visit: &mut Visit<'_>) {
    if let Some(text) = text {
        visit(&Path::Field(at, name), rule, text);
    }
}

fn list(texts: &mut [String], at: &Path<'_>, name: &str, visit: &mut Visit<'_>) {
    let field = Path::Field(at, name);
    for (index, text) in texts.iter_mut().enumerate() {
        visit(&Path::Index(&field, index), NAME, text);
    }
}

impl Texts for Brief {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        visit(&Path::Field(at, "task"), TASK, &mut self.task);
        self.scope.each_text(at, visit);
        optional(&mut self.task_type, at, "task_type", NAME, visit);
        list(&mut self.tags, at, "tags", visit);
        let field = Path::Field(at, "context");
        let entries = std::mem::take(&mut self.context);
        let visited = entries.into_iter().map(|(mut name, mut value)| {
            // A name is quoted in its own path, so its length is checked before it is written there.
            visit(&field, NAME, &mut name);
            visit(&Path::Field(&field, &name), TEXT, &mut value);
            (name, value)
        });
        self.context = visited.collect::<BTreeMap<_, _>>();
    }

    fn each_list(&self, at: &Path<'_>, count: &mut Count<'_>) {
        count(&Path::Field(at, "tags"), self.tags.len(), TAGS_MAX);
        count(&Path::Field(at, "context"), self.context.len(), CONTEXT_ENTRIES_MAX);
    }
}

impl Texts for crate::episode::Scope {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        optional(&mut self.domain, at, "domain", NAME, visit);
        optional(&mut self.project, at, "project", NAME, visit);
    }
}

impl Texts for NewStep {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        optional(&mut self.external_id, at, "external_id", NAME, visit);
        visit(&Path::Field(at, "tool"), NAME, &mut self.tool);
        optional(&mut self.action, at, "action", TEXT, visit);
        optional(&mut self.args, at, "args", PAYLOAD, visit);
        optional(&mut self.observation, at, "observation", PAYLOAD, visit);
        if let StepResult::Failed { error } = &mut self.result {
            visit(&Path::Field(at, "error"), TEXT, error);
        }
    }
}

impl Texts for crate::memory::NewEnding {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        optional(&mut self.summary, at, "summary", TEXT, visit);
        list(&mut self.artifacts, at, "artifacts", visit);
    }

    fn each_list(&self, at: &Path<'_>, count: &mut Count<'_>) {
        count(&Path::Field(at, "artifacts"), self.artifacts.len(), ARTIFACTS_MAX);
    }
}

impl Texts for crate::memory::NewEpisode {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        optional(&mut self.external_id, at, "external_id", NAME, visit);
        self.brief.each_text(at, visit);
        let field = Path::Field(at, "steps");
        for (index, step) in self.steps.iter_mut().enumerate() {
            step.each_text(&Path::Index(&field, index), visit);
        }
        if let Some(ending) = &mut self.ending {
            ending.each_text(at, visit);
        }
    }

    fn each_list(&self, at: &Path<'_>, count: &mut Count<'_>) {
        self.brief.each_list(at, count);
        count(&Path::Field(at, "steps"), self.steps.len(), crate::limits::EPISODE_STEPS_MAX);
        if let Some(ending) = &self.ending {
            ending.each_list(at, count);
        }
    }
}

impl Texts for crate::memory::EpisodeCorrection {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        optional(&mut self.task, at, "task", TASK, visit);
        optional(&mut self.domain, at, "domain", CLEARED_NAME, visit);
        optional(&mut self.project, at, "project", CLEARED_NAME, visit);
        optional(&mut self.task_type, at, "task_type", CLEARED_NAME, visit);
        list(self.tags.as_deref_mut().unwrap_or_default(), at, "tags", visit);
        optional(&mut self.summary, at, "summary", TEXT, visit);
    }

    fn each_list(&self, at: &Path<'_>, count: &mut Count<'_>) {
        count(&Path::Field(at, "tags"), self.tags.as_ref().map_or(0, Vec::len), TAGS_MAX);
    }
}

impl Texts for crate::memory::Question {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        visit(&Path::Field(at, "query"), QUERY, &mut self.query);
        optional(&mut self.filter.domain, at, "domain", NAME, visit);
        optional(&mut self.filter.project, at, "project", NAME, visit);
    }
}

impl Texts for crate::memory::Asked {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        visit(&Path::Field(at, "task"), QUERY, &mut self.task);
        self.scope.each_text(at, visit);
        optional(&mut self.error, at, "error", TEXT, visit);
    }
}

impl Texts for crate::memory::Action {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        visit(&Path::Field(at, "action"), ACTION, &mut self.action);
        optional(&mut self.tool, at, "tool", NAME, visit);
        self.scope.each_text(at, visit);
    }
}

impl Texts for crate::feedback::Feedback {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        optional(&mut self.comment, at, "comment", TEXT, visit);
    }
}

impl Texts for crate::pattern::Correction {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        optional(&mut self.note, at, "note", TEXT, visit);
    }
}

impl Texts for crate::memory::NewNote {
    fn each_text(&mut self, at: &Path<'_>, visit: &mut Visit<'_>) {
        visit(&Path::Field(at, "text"), NOTE, &mut self.text);
        optional(&mut self.external_id, at, "external_id", NAME, visit);
        self.scope.each_text(at, visit);
        list(&mut self.tags, at, "tags", visit);
        list(&mut self.supersedes, at, "supersedes", visit);
    }

    fn each_list(&self, at: &Path<'_>, count: &mut Count<'_>) {
        count(&Path::Field(at, "tags"), self.tags.len(), TAGS_MAX);
        count(&Path::Field(at, "supersedes"), self.supersedes.len(), crate::limits::SUPERSEDES_MAX);
    }
}
