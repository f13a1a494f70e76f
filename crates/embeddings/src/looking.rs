//! What is known of the model in use, of the space that serves and of the store, and the looks that keep it true:
//! other processes change all of them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use memory_core::port::{Source, Space, SpaceState, StoreError, VectorStore};
use memory_core::search::Corpus;
use tokio::sync::Notify;

use crate::chosen::{Choice, Models};
use crate::limits::LOOK_EVERY;
use crate::live::Live;
use crate::opened::Opened;

/// What the tasks of the service share.
pub(crate) struct Shared {
    pub(crate) models: Arc<dyn Models>,
    pub(crate) corpus: Arc<dyn Corpus>,
    pub(crate) vectors: Arc<dyn VectorStore>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) known: Mutex<Known>,
    /// Texts that were embedded to be found.
    pub(crate) embedded: AtomicU64,
    /// How many wait for everything to have its vectors.
    pub(crate) hurried: AtomicUsize,
    /// Another model is in use.
    pub(crate) rechosen: Notify,
    /// There may be something to do.
    pub(crate) wake: Notify,
    /// Something of what is known has changed.
    pub(crate) progress: Notify,
}

/// What is known. Nothing of it is true for longer than to the next look.
#[derive(Default)]
pub(crate) struct Known {
    /// Whether there was a look that found out everything.
    pub(crate) looked: bool,
    /// Whether the task has ended.
    pub(crate) ended: bool,
    /// The model in use; none while `unusable`.
    pub(crate) chosen: Option<Arc<Opened>>,
    /// Why the model in use cannot be told or opened.
    pub(crate) unusable: Option<String>,
    /// The space that serves.
    pub(crate) served: Option<Space>,
    /// The model of that space, if a model is in use here and this one can be opened.
    pub(crate) serving: Option<Arc<Opened>>,
    /// Whether `served` was read since the model was chosen.
    since_choice: bool,
    /// Whether another process has put another model's space in place since then.
    pub(crate) overruled: bool,
    /// The store's `change_seq` at the last look and at the one before it.
    pub(crate) seqs: (u64, u64),
    /// The `change_seq` up to which everything has its vectors, as far as this process has seen.
    pub(crate) followed: Option<u64>,
    /// Things that were gone through while the space is filled.
    pub(crate) gone_through: u64,
    /// What this process wrote.
    pub(crate) live: Live,
    /// Failures of the store or the model in a row.
    pub(crate) failures: u32,
    /// The last failure of whatever kind.
    pub(crate) last_error: Option<LastError>,
}

/// A failure and when it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What went wrong.
    pub error: String,
}

impl Known {
    /// Whether the model in use is the one whose space serves.
    pub(crate) fn serves(&self) -> bool {
        self.chosen.as_ref().is_some_and(|model| self.served.as_ref() == Some(model.space()))
    }

    /// Why no text can be embedded with the model in use.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.unusable.clone().or_else(|| self.chosen.as_ref()?.trouble())
    }

    fn choose(&mut self, chosen: Option<Arc<Opened>>) {
        self.chosen = chosen;
        (self.since_choice, self.overruled, self.followed, self.gone_through) = (false, false, None, 0);
        if self.chosen.is_none() {
            (self.served, self.serving) = (None, None);
        }
    }

    fn serve(&mut self, spaces: &[SpaceState]) {
        let served = spaces.iter().find(|state| state.serves).map(|state| state.space.clone());
        let wanted = self.chosen.as_ref().map(|model| model.space());
        self.overruled = match &served {
            Some(space) if Some(space) != wanted => {
                self.overruled || (self.since_choice && self.served.as_ref() != Some(space))
            }
            _ => false,
        };
        self.since_choice = true;
        self.served = served;
        if self.serves() {
            self.serving = self.chosen.clone();
        } else {
            let served = self.served.as_ref();
            self.serving = self.serving.take().filter(|model| Some(model.space()) == served);
        }
    }
}

impl Shared {
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Relaxed) > 0
    }

    /// Remembers what went wrong, for the operator.
    pub(crate) fn note_error(&self, error: &str) {
        let at = self.source.now();
        self.known().last_error = Some(LastError { at, error: error.to_owned() });
        self.progress.notify_waiters();
    }

    /// Remembers that the store or the model failed.
    pub(crate) fn failed(&self, error: &str) {
        self.note_error(error);
        self.known().failures += 1;
    }

    /// Ends a row of failures.
    pub(crate) fn went_well(&self) {
        let mut known = self.known();
        if known.looked {
            known.failures = 0;
        }
    }

    /// Looks again and again.
    pub(crate) async fn keep_looking(&self) {
        loop {
            self.look().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&self) {
        self.look_for_model().await;
        let model = self.known().chosen.clone();
        let looked = match &model {
            None => Ok(()),
            Some(_) => self.look_at_store().await,
        };
        match looked {
            Ok(()) => {
                let mut known = self.known();
                known.looked = true;
                if known.chosen.is_none() {
                    // What was written is found by the change log when a model comes.
                    known.live.clear();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "failed to look which vectors there are");
                self.failed(&error.to_string());
            }
        }
        self.progress.notify_waiters();
        self.wake.notify_one();
    }

    async fn look_for_model(&self) {
        let open = self.known().chosen.clone();
        let (models, before) = (Arc::clone(&self.models), open.clone());
        let found = tokio::task::spawn_blocking(move || find(models.as_ref(), before)).await;
        let found = found.unwrap_or_else(|error| Err(error.to_string()));
        let mut known = self.known();
        let (chosen, unusable) = match found {
            Ok(chosen) => (chosen, None),
            Err(reason) => (None, Some(reason)),
        };
        if let Some(reason) = &unusable
            && known.unusable != unusable
        {
            tracing::warn!(reason, "the model in use cannot be used");
            known.last_error = Some(LastError { at: self.source.now(), error: reason.clone() });
        }
        known.unusable = unusable;
        if chosen.as_ref().map(Arc::as_ptr) != open.as_ref().map(Arc::as_ptr) {
            known.choose(chosen);
            self.rechosen.notify_one();
        }
    }

    async fn look_at_store(&self) -> Result<(), StoreError> {
        self.read_spaces().await?;
        let seq = self.corpus.standing().await?.seq;
        let lacking = {
            let mut known = self.known();
            known.seqs = (seq, if known.looked { known.seqs.0 } else { seq });
            known.served.clone().filter(|_| known.serving.is_none())
        };
        let Some(space) = lacking else { return Ok(()) };
        let models = Arc::clone(&self.models);
        let model =
            tokio::task::spawn_blocking(move || model_of(models.as_ref(), &space)).await.ok().flatten();
        let mut known = self.known();
        if model.as_ref().map(|model| model.space()) == known.served.as_ref() && known.chosen.is_some() {
            known.serving = model;
        }
        Ok(())
    }

    /// Reads which spaces there are and which of them serves.
    pub(crate) async fn read_spaces(&self) -> Result<Vec<SpaceState>, StoreError> {
        let spaces = self.vectors.spaces().await?;
        self.known().serve(&spaces);
        self.progress.notify_waiters();
        Ok(spaces)
    }
}

/// As long as one of these lives, what others wrote is not left to them for a while.
pub(crate) struct Hurry<'a>(&'a Shared);

impl<'a> Hurry<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        shared.hurried.fetch_add(1, Ordering::Relaxed);
        shared.wake.notify_one();
        Self(shared)
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.hurried.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The model to use: the one that is open, if it still is that one.
fn find(models: &dyn Models, open: Option<Arc<Opened>>) -> Result<Option<Arc<Opened>>, String> {
    match (models.chosen()?, open) {
        (None, _) => Ok(None),
        (Some(choice), Some(open)) if open.choice == choice => Ok(Some(open)),
        (Some(choice), _) => Opened::open(models, choice).map(Some),
    }
}

/// The model whose space this is, if it can still be opened.
fn model_of(models: &dyn Models, space: &Space) -> Option<Arc<Opened>> {
    let opened = |choice: Choice| Opened::open(models, choice).ok();
    models.all().into_iter().filter_map(opened).find(|model| model.space() == space)
}
