//! A store and plain BM25 side by side: whatever goes into the one goes into the other, whatever is asked is asked of
//! both.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::bm25::Bm25;
use super::measure::Gold;
use super::store::{Answer, Ask, Hit, Store};
use crate::launch::Launch;

/// A question and what it should find.
#[derive(Debug, Default)]
pub(crate) struct Question {
    /// What it is counted under, beside all questions.
    pub(crate) categories: Vec<String>,
    pub(crate) query: String,
    pub(crate) gold: Gold,
    /// Whether there is no answer to it: then it counts only in its categories, and there only whether it was said to
    /// be unknown.
    pub(crate) unanswerable: bool,
}

/// A question with both answers.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) question: Question,
    pub(crate) known: bool,
    pub(crate) hits: Vec<Hit>,
    pub(crate) omitted: u64,
    /// The ids that BM25 found, the best first.
    pub(crate) bm25: Vec<String>,
}

/// A note to remember.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) tags: Vec<String>,
    pub(crate) domain: Option<String>,
}

/// Where and how far to look.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) kind: &'static str,
    pub(crate) limit: usize,
    /// The domains to look in, each asked for by itself; everywhere without any.
    pub(crate) domains: Vec<String>,
}

impl Reach {
    pub(crate) fn everywhere(kind: &'static str, limit: usize) -> Self {
        Self { kind, limit, domains: Vec::new() }
    }
}

/// A store under measurement.
pub(crate) struct Collection {
    pub(crate) store: Store,
    /// To be filled by hand with what was not stored through [`Self::remember`].
    pub(crate) bm25: Bm25,
}

impl Collection {
    pub(crate) fn open(launch: &Launch, imports: &[PathBuf]) -> anyhow::Result<Self> {
        Ok(Self { store: Store::open(launch, imports)?, bm25: Bm25::default() })
    }

    pub(crate) fn remember(&mut self, note: &Note) -> anyhow::Result<()> {
        let mut arguments = json!({"text": note.text, "external_id": note.id});
        if !note.tags.is_empty() {
            arguments["tags"] = json!(note.tags);
        }
        if let Some(domain) = &note.domain {
            arguments["domain"] = json!(domain);
        }
        self.store.load("remember", &arguments)?;
        let words = format!("{} {}", note.text, note.tags.join(" "));
        self.bm25.add(&note.id, note.domain.as_deref(), &words);
        Ok(())
    }

    /// Stores a finished episode; `words` are those that BM25 finds it by.
    pub(crate) fn create_episode(&mut self, id: &str, episode: &Value, words: &str) -> anyhow::Result<()> {
        self.store.load("create_episode", episode)?;
        self.bm25.add(id, None, words);
        Ok(())
    }

    pub(crate) fn ask(&mut self, question: Question, reach: &Reach) -> anyhow::Result<Answered> {
        // Nothing can be asked, or nothing would be taken.
        if question.query.trim().is_empty() || reach.limit == 0 {
            let (known, hits, bm25) = (false, Vec::new(), Vec::new());
            return Ok(Answered { question, known, hits, omitted: 0, bm25 });
        }
        let places = if reach.domains.is_empty() {
            vec![None]
        } else {
            reach.domains.iter().map(|domain| Some(domain.as_str())).collect()
        };
        let mut all = Answer::default();
        for domain in places {
            let (kind, limit) = (reach.kind, reach.limit);
            let answer = self.store.ask(&Ask { query: &question.query, domain, kind, limit })?;
            all.known |= answer.known;
            all.omitted += answer.omitted;
            all.hits.extend(answer.hits);
        }
        if reach.domains.len() > 1 {
            all.hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        all.hits.truncate(reach.limit);
        let bm25 = self.bm25.search(&question.query, &reach.domains, reach.limit);
        Ok(Answered { question, known: all.known, hits: all.hits, omitted: all.omitted, bm25 })
    }
}
