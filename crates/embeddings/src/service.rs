//! The service that gives stored things and queries their vectors, with the model that is in use at the moment.
//!
//! The vectors of a newly chosen model are made beside those that serve; they serve when everything has one. Several
//! processes share a store: each embeds what it writes itself, and one at a time sees to the rest. Where two of them use
//! different models, the space that was put in place last stays; the other process fills its own again only when its
//! choice changes or when it is started anew.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use memory_core::port::{Semantics, Source, Space, VectorStore};
use memory_core::retrieve::Found;
use memory_core::search::Corpus;
use memory_core::vector::Vector;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::chosen::{KeySource, Models, Shelf};
use crate::filling::Filler;
use crate::library::Library;
use crate::limits::{SETTLE_FAILURES_MAX, SETTLE_THINGS_MAX, SETTLE_WAIT, SETTLE_WAIT_ENDPOINT};
use crate::looking::{Hurry, LastError, Shared};

/// What a [`Service`] works with.
pub struct ServiceConfig {
    /// The models that the user keeps.
    pub library: Library,
    /// A directory that the user named: a model or another library.
    pub model_dir: Option<PathBuf>,
    /// Where the keys of embedding servers come from.
    pub key: KeySource,
    /// What is stored.
    pub corpus: Arc<dyn Corpus>,
    /// The vectors.
    pub vectors: Arc<dyn VectorStore>,
    /// Time and ids.
    pub source: Arc<dyn Source>,
}

/// What the operator is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The name of the model in use.
    pub model: Option<String>,
    /// Whether it can be used.
    pub state: State,
    /// The name of the space that serves; `None` while none does or no model is in use.
    pub serving: Option<String>,
    /// Things that this process wrote and that wait for their vectors.
    pub waiting: usize,
    /// Texts that were embedded to be found, since the start.
    pub embedded: u64,
    /// The last thing that went wrong since the start, also if it works again.
    pub last_error: Option<LastError>,
}

/// How far the model in use is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// None is in use.
    NoModel,
    /// It serves.
    Ready,
    /// What is stored gets its vectors.
    Filling {
        /// Things that were gone through.
        done: u64,
    },
    /// It does not serve, and will not until somebody mends that.
    Unusable {
        /// Why.
        reason: String,
    },
}

/// The service. Its task ends in good order when it is dropped or [`Service::shutdown`].
pub struct Service {
    shared: Arc<Shared>,
    stop: watch::Sender<()>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Service {
    /// Starts the service as a task of the current runtime. Without a model in use it does nothing but look for one.
    pub fn spawn(config: ServiceConfig) -> Arc<Self> {
        let ServiceConfig { library, model_dir, key, corpus, vectors, source } = config;
        Self::start(Arc::new(Shelf { library, model_dir, key }), corpus, vectors, source)
    }

    pub(crate) fn start(
        models: Arc<dyn Models>,
        corpus: Arc<dyn Corpus>,
        vectors: Arc<dyn VectorStore>,
        source: Arc<dyn Source>,
    ) -> Arc<Self> {
        let shared = Arc::new(Shared {
            models,
            corpus,
            vectors,
            source,
            known: Mutex::default(),
            embedded: AtomicU64::default(),
            hurried: Default::default(),
            rechosen: Default::default(),
            wake: Default::default(),
            progress: Default::default(),
        });
        let (stop, mut stopped) = watch::channel(());
        let mut filler = Filler::new(Arc::clone(&shared));
        let looking = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                // Told to stop, or the service is gone.
                _ = stopped.changed() => {}
                () = looking.keep_looking() => {}
                () = filler.run() => {}
            }
            filler.leave().await;
            looking.known().ended = true;
            looking.progress.notify_waiters();
        });
        Arc::new(Self { shared, stop, task: Mutex::new(Some(task)) })
    }

    /// Waits until it was looked which model is in use, for the first time since the start; until then search is by
    /// words only. Not for ever, if the store cannot be read.
    pub async fn looked(&self) {
        let looked = || {
            let known = self.shared.known();
            (known.looked || known.ended || known.failures >= SETTLE_FAILURES_MAX).then_some(())
        };
        self.until(looked).await;
    }

    /// Waits until everything that is stored now has its vectors of the model in use; at once if none is.
    ///
    /// # Errors
    /// Why that cannot be, for the operator to read.
    pub async fn settle_all(&self) -> Result<(), String> {
        let _hurry = Hurry::new(&self.shared);
        // Whatever failed before has another chance.
        self.shared.known().failures = 0;
        self.looked().await;
        let standing = self.shared.corpus.standing().await;
        let seq = standing.map_err(|error| error.to_string())?.seq;
        self.until(|| self.settled_to(seq)).await
    }

    /// Whether everything up to `seq` has its vectors, or cannot have them; `None` while neither can be told.
    fn settled_to(&self, seq: u64) -> Option<Result<(), String>> {
        let status = self.status();
        let known = self.shared.known();
        if known.ended {
            return Some(Err("the embedding of what is stored was shut down".into()));
        }
        match status.state {
            State::NoModel => Some(Ok(())),
            State::Unusable { reason } => Some(Err(reason)),
            _ if known.failures >= SETTLE_FAILURES_MAX => {
                Some(Err(status.last_error.map(|last| last.error).unwrap_or_default()))
            }
            State::Ready if known.followed >= Some(seq) && known.live.len() == 0 => Some(Ok(())),
            State::Ready | State::Filling { .. } => None,
        }
    }

    /// What the operator is told.
    pub fn status(&self) -> Status {
        let known = self.shared.known();
        let state = match (known.trouble(), &known.chosen, &known.served) {
            (Some(reason), ..) => State::Unusable { reason },
            (None, None, _) => State::NoModel,
            (None, Some(_), _) if known.serves() => State::Ready,
            (None, Some(_), Some(served)) if known.overruled => State::Unusable {
                reason: format!(
                    "another process put {} in place; start this one anew to use its own model",
                    served.name
                ),
            },
            (None, Some(_), _) => State::Filling { done: known.gone_through },
        };
        let chosen = known.chosen.as_ref();
        Status {
            model: chosen.map(|model| model.choice.name()),
            state,
            serving: chosen.and(known.served.as_ref()).map(|space| space.name.clone()),
            waiting: known.live.len(),
            embedded: self.shared.embedded.load(Ordering::Relaxed),
            last_error: known.last_error.clone(),
        }
    }

    /// Stops the task: it writes down how far it came, and leaves the rest to other processes.
    ///
    /// # Errors
    /// If that takes longer than `deadline`; the task is stopped all the same.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), String> {
        // Fails only if the task has ended, which is what is wanted.
        let _ = self.stop.send(());
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return Ok(()) };
        match timeout(deadline, &mut task).await {
            Ok(ended) => ended.map_err(|error| error.to_string()),
            Err(_) => {
                task.abort();
                Err(format!("the embedding of what is stored did not stop within {deadline:?}"))
            }
        }
    }

    /// Ends the task as the end of the process would.
    #[cfg(test)]
    pub(crate) fn kill(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }

    /// Waits until something is so.
    async fn until<T>(&self, so: impl Fn() -> Option<T>) -> T {
        loop {
            // Before it is asked: what happens in between is not missed.
            let progress = self.shared.progress.notified();
            if let Some(so) = so() {
                return so;
            }
            progress.await;
        }
    }

    /// Whether what was written will have its vectors soon.
    fn is_settling(&self) -> bool {
        let known = self.shared.known();
        // Where nothing served before, a small memory does so in a moment.
        let soon = known.served.is_none() && known.gone_through < SETTLE_THINGS_MAX;
        known.live.len() > 0
            && (known.serves() || soon)
            && !known.ended
            && known.failures == 0
            && known.trouble().is_none()
    }
}

#[async_trait]
impl Semantics for Service {
    fn space(&self) -> Option<Space> {
        let known = self.shared.known();
        known.serving.as_ref().filter(|model| model.trouble().is_none()).map(|model| model.space().clone())
    }

    async fn query_vector(&self, query: &str) -> Option<(Space, Vector)> {
        let model = self.shared.known().serving.clone().filter(|model| model.trouble().is_none())?;
        match model.query(query).await {
            Ok(vector) => Some((model.space().clone(), vector)),
            Err(error) => {
                tracing::warn!(%error, model = model.choice.name(), "failed to embed a query; words have to do");
                self.shared.note_error(&error.to_string());
                self.shared.wake.notify_one();
                None
            }
        }
    }

    fn written(&self, found: Found) {
        let mut known = self.shared.known();
        // Before the first look nobody knows whether it is wanted.
        if !known.looked || known.chosen.is_some() {
            known.live.written(found);
            self.shared.wake.notify_one();
        }
    }

    async fn settled(&self) {
        if timeout(SETTLE_WAIT_ENDPOINT, self.looked()).await.is_err() {
            return;
        }
        let remote = self.shared.known().chosen.as_ref().is_some_and(|model| model.choice.is_remote());
        let wait = if remote { SETTLE_WAIT_ENDPOINT } else { SETTLE_WAIT };
        // What is not done by then is done later.
        let _ = timeout(wait, self.until(|| (!self.is_settling()).then_some(()))).await;
    }
}
