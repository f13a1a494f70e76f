//! A model that is open, and whether it works.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memory_core::port::{EmbedError, Embedder, Purpose, Space};
use memory_core::vector::Vector;
use tokio::time::Instant;

use crate::chosen::{Choice, Models};
use crate::limits::{FAILURE_PAUSE, FAILURE_PAUSE_MAX, LOCAL_BATCH_TEXTS, LOOK_EVERY, REQUEST_TEXTS_MAX};

/// A text that every model can embed.
const TRIAL: &str = "a text";

/// A model that is open. It is loaded when it first embeds.
pub(crate) struct Opened {
    pub(crate) choice: Choice,
    embedder: Arc<dyn Embedder>,
    /// Set while its last attempt failed.
    trouble: Mutex<Option<Trouble>>,
}

struct Trouble {
    reason: String,
    /// Failures in a row.
    failures: u32,
    /// When to try again.
    again: Instant,
}

impl Opened {
    /// Opens a model; may hash its files.
    pub(crate) fn open(models: &dyn Models, choice: Choice) -> Result<Arc<Self>, String> {
        let embedder = models.open(&choice)?;
        Ok(Arc::new(Self { choice, embedder, trouble: Mutex::new(None) }))
    }

    pub(crate) fn space(&self) -> &Space {
        self.embedder.space()
    }

    /// How many texts it is given at once, so that a more urgent one never waits long.
    pub(crate) fn batch_texts(&self) -> usize {
        if self.choice.is_remote() { REQUEST_TEXTS_MAX } else { LOCAL_BATCH_TEXTS }
    }

    /// Why its last attempt failed, if it did.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.now_in().as_ref().map(|trouble| trouble.reason.clone())
    }

    /// The vector of a query.
    pub(crate) async fn query(&self, text: &str) -> Result<Vector, EmbedError> {
        let vectors = self.embed(vec![text.to_owned()], Purpose::Query).await;
        self.told(vectors)
            .map(|vectors| vectors.first().map(|numbers| Vector::new(numbers)).unwrap_or(Vector::new(&[])))
    }

    /// The vectors of passages, in order; `None` for one that the model refuses although it works.
    pub(crate) async fn passages(&self, texts: Vec<String>) -> Result<Vec<Option<Vector>>, EmbedError> {
        match self.embed(texts.clone(), Purpose::Passage).await {
            // One of them may be at fault, such as one that is too long for the server's model.
            Err(EmbedError::Refused(_)) => self.one_by_one(texts).await,
            done => self.told(done).map(|vectors| vectors.iter().map(|v| Some(Vector::new(v))).collect()),
        }
    }

    async fn one_by_one(&self, texts: Vec<String>) -> Result<Vec<Option<Vector>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            let done = self.embed(vec![text], Purpose::Passage).await;
            let refused = matches!(done, Err(EmbedError::Refused(_)));
            if refused && self.embed(vec![TRIAL.to_owned()], Purpose::Passage).await.is_ok() {
                tracing::warn!(error = ?done.err(), "a text has no vector and is found by its words alone");
                vectors.push(None);
                continue;
            }
            vectors.extend(self.told(done)?.iter().map(|vector| Some(Vector::new(vector))));
        }
        Ok(vectors)
    }

    /// Tries whether it works again, if it did not and the time for it has come.
    pub(crate) async fn probe(&self) {
        if self.now_in().as_ref().is_some_and(|trouble| trouble.again <= Instant::now()) {
            let done = self.embed(vec![TRIAL.to_owned()], Purpose::Query).await;
            // What is wrong is kept.
            let _ = self.told(done);
        }
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let expected = texts.len();
        let vectors = self.embedder.embed(texts, purpose).await?;
        if vectors.len() == expected {
            return Ok(vectors);
        }
        Err(EmbedError::Unusable(format!("{} vectors for {expected} texts", vectors.len())))
    }

    /// Remembers how an attempt went.
    fn told<T>(&self, done: Result<T, EmbedError>) -> Result<T, EmbedError> {
        let mut trouble = self.now_in();
        *trouble = done.as_ref().err().map(|error| {
            let failures = trouble.as_ref().map_or(0, |trouble| trouble.failures);
            let again = Instant::now() + self.pause(failures);
            Trouble { reason: error.to_string(), failures: failures.saturating_add(1), again }
        });
        done
    }

    /// The first failure may have been a mischance. A local model costs nothing while its files are the same; a server
    /// is to be left alone.
    fn pause(&self, failures_before: u32) -> Duration {
        match failures_before {
            0 => Duration::ZERO,
            _ if !self.choice.is_remote() => LOOK_EVERY,
            more => pause(more),
        }
    }

    fn now_in(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause after this many failures in a row.
pub(crate) fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FAILURE_PAUSE * (1 << doublings)).min(FAILURE_PAUSE_MAX)
}
