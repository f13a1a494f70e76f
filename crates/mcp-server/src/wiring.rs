//! The composition root: opens the adapters, joins them to the domain, owns the background worker.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use cache_redb::Cache;
use embeddings::{Library, ServiceConfig};
use jiff::Timestamp;
use learning_queue::{Worker, WorkerHandle};
use memory_core::access::Access;
use memory_core::event::EventHandler;
use memory_core::extract::Registry;
use memory_core::memory::Memory;
use memory_core::port::{Gate, Guarded, Ports, Semantics, Source, Workspace};
use memory_core::retrieve::analyze::ANALYSIS_VERSION;
use sandbox::{Ambient, Limits, Sandbox};
use search_index::SearchIndex;
use storage_turso::TursoStore;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::alert::Alerts;
use crate::config::reload::InEffect;
use crate::disclosure::{Disclosures, Level};
use crate::limits::{CACHE_SAVE_INTERVAL, SHUTDOWN_WAIT};
use crate::plugins::Extractors;
use crate::telemetry::Metrics;
use crate::workspace::WorkTree;

/// Everything that runs.
pub(crate) struct App {
    /// The use cases as who runs the program may use them. What serves a caller goes through
    /// [`Server::memory`](crate::server::Server::memory), which is got from it.
    pub(crate) whole_memory: Memory,
    /// What happened since the start.
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) store: TursoStore,
    pub(crate) cache: Arc<Cache>,
    pub(crate) index: Arc<SearchIndex>,
    pub(crate) embedding: Arc<embeddings::Service>,
    pub(crate) sandbox: Arc<Sandbox>,
    /// The settings in effect, and those that come after them.
    pub(crate) settings: watch::Sender<Arc<InEffect>>,
    /// What an operator should look at.
    pub(crate) alerts: Arc<Alerts>,
    /// Which tools are shown.
    pub(crate) disclosures: Arc<Disclosures>,
    /// The level that the settings name, if they name one.
    pub(crate) level_pin: watch::Sender<Option<Level>>,
    /// Places for requests that are worked on at the same time.
    pub(crate) turns: Arc<Semaphore>,
    /// Cancelled when the server is to stop.
    pub(crate) stop: CancellationToken,
    /// Cancelled then, or once nothing more will be asked: whoever waits for news gives up.
    pub(crate) closing: CancellationToken,
    /// Those that the user added.
    pub(crate) extractors: Arc<Extractors>,
    worker: Mutex<Option<WorkerHandle>>,
    upkeep: JoinHandle<()>,
    counting: JoinHandle<()>,
    granting: JoinHandle<()>,
}

/// The clock of the machine.
struct SystemSource;

impl Source for SystemSource {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// What the callers share.
struct Callers {
    store: TursoStore,
    cache: Arc<Cache>,
    index: Arc<SearchIndex>,
    workspace: Arc<dyn Workspace>,
    semantics: Arc<dyn Semantics>,
    source: Arc<dyn Source>,
}

impl Gate for Callers {
    fn ports(self: Arc<Self>, access: &Arc<Access>) -> Ports {
        let store = Arc::new(self.store.within(access));
        Ports {
            episodes: Arc::new(self.cache.episodes(store.clone(), access.clone())),
            links: store.clone(),
            notes: store.clone(),
            index: self.index.within(access),
            items: store.clone(),
            citations: store.clone(),
            workspace: self.workspace.clone(),
            semantics: self.semantics.clone(),
            catalog: store.clone(),
            patterns: store.clone(),
            experience: store.clone(),
            feedback: store.clone(),
            jobs: store.clone(),
            changes: store,
            answers: self.cache.clone(),
            source: self.source.clone(),
            gate: self,
        }
    }
}

/// Saves the cache from time to time: what it has not saved yet is lost if the process is killed, and costs memory.
async fn upkeep(cache: Arc<Cache>) {
    loop {
        tokio::time::sleep(CACHE_SAVE_INTERVAL).await;
        let cache = cache.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || cache.flush()).await {
            tracing::warn!(%error, "failed to save the cache");
        }
    }
}

/// What a program may use and know, as the settings say.
fn granted(settings: &crate::config::Sandbox) -> (Limits, Ambient) {
    let limits = Limits {
        timeout: Duration::from_millis(settings.timeout_ms),
        memory_bytes: settings.memory_mib as usize * 1024 * 1024,
        stack_bytes: settings.stack_kib as usize * 1024,
        output_bytes: settings.output_kib as usize * 1024,
        host_calls: settings.host_calls as u32,
        source_bytes: settings.source_kib as usize * 1024,
        ..Limits::default()
    };
    (limits, Ambient { clock: settings.clock, randomness: settings.randomness })
}

/// Grants the programs to come what the settings say, whenever they change.
async fn follow(mut settings: watch::Receiver<Arc<InEffect>>, sandbox: Arc<Sandbox>) {
    while settings.changed().await.is_ok() {
        let (limits, ambient) = granted(&settings.borrow_and_update().sandbox);
        sandbox.grant(limits, ambient);
    }
}

fn embedding(
    settings: &InEffect,
    store: Arc<TursoStore>,
    source: Arc<dyn Source>,
) -> Arc<embeddings::Service> {
    embeddings::Service::spawn(ServiceConfig {
        library: Library::new(settings.models()),
        model_dir: settings.model.dir.clone(),
        key: Arc::new(crate::model::key),
        corpus: store.clone(),
        vectors: store,
        source,
    })
}

impl App {
    /// Opens the memory and starts the background worker.
    ///
    /// # Errors
    /// If the data directory or the database in it cannot be used; the message says why and what to do.
    pub(crate) async fn open(settings: Arc<InEffect>) -> anyhow::Result<Arc<Self>> {
        settings.create_data_dir()?;
        let store = TursoStore::open(&settings.database()).await.context("failed to open the memory")?;
        let shared = Arc::new(store.clone());
        let source: Arc<dyn Source> = Arc::new(SystemSource);
        let cache = Cache::open(&settings.cache(), store.id(), shared.clone(), source.clone());
        let metrics = Arc::new(Metrics::default());
        let extractors = Arc::new(Extractors::new(settings.extractors()));
        let worker = Worker {
            jobs: shared.clone(),
            episodes: shared.clone(),
            patterns: shared.clone(),
            registry: Arc::new(Registry::default()),
            plugins: extractors.clone(),
            source: source.clone(),
            handlers: vec![metrics.clone() as Arc<dyn EventHandler>],
        }
        .spawn();
        // Documents that were made by another version of the analysis must not be mixed with those of this one.
        let index_of = format!("{}/{ANALYSIS_VERSION}", store.id());
        let index = Arc::new(SearchIndex::open(Some(settings.index()), &index_of, shared.clone()));
        let embedding = embedding(&settings, shared.clone(), source.clone());
        let callers = Arc::new(Callers {
            store: store.clone(),
            cache: cache.clone(),
            index: index.clone(),
            workspace: Arc::new(WorkTree::here()),
            semantics: embedding.clone(),
            source,
        });
        let ports = callers.ports(&Arc::new(Access::everything()));
        let handlers: Vec<Arc<dyn EventHandler>> = vec![metrics.clone(), Arc::new(worker.waker())];
        let whole_memory = Memory::new(ports, handlers);
        let (limits, ambient) = granted(&settings.sandbox);
        let sandbox = Arc::new(Sandbox::new(limits, ambient));
        let turns = Arc::new(Semaphore::new(settings.limits.requests_at_once as usize));
        let (level_pin, pinned) = watch::channel(settings.tools.level);
        let settings = watch::Sender::new(settings);
        let granting = tokio::spawn(follow(settings.subscribe(), sandbox.clone()));
        let disclosures = Arc::new(Disclosures::new(shared, pinned));
        let counting = disclosures.keep_saving();
        let stop = CancellationToken::new();
        let closing = stop.child_token();
        let upkeep = tokio::spawn(upkeep(cache.clone()));
        Ok(Arc::new(Self {
            whole_memory,
            metrics,
            store,
            cache,
            index,
            embedding,
            sandbox,
            settings,
            alerts: Arc::default(),
            disclosures,
            level_pin,
            turns,
            stop,
            closing,
            extractors,
            worker: Mutex::new(Some(worker)),
            upkeep,
            counting,
            granting,
        }))
    }

    /// The settings in effect now. Whoever needs several of them asks once, so that they belong together.
    pub(crate) fn settings(&self) -> Arc<InEffect> {
        self.settings.borrow().clone()
    }

    /// Waits until nothing is left to learn from what is stored.
    pub(crate) async fn learn_all(&self) {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            if let Err(error) = worker.drain().await {
                tracing::error!(%error, "failed to learn from everything; a later process will");
            }
            *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker);
        }
    }

    /// Stops the worker, saves the cache, closes the database. What is left to learn is learned by the next process.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.upkeep.abort();
        self.sandbox.shutdown().await;
        self.counting.abort();
        self.granting.abort();
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker
            && let Err(error) = worker.shutdown(SHUTDOWN_WAIT).await
        {
            tracing::warn!(%error, "failed to stop the background worker in good order");
        }
        self.extractors.shutdown().await;
        if let Err(error) = self.embedding.shutdown(SHUTDOWN_WAIT).await {
            tracing::warn!(%error, "failed to stop embedding in good order");
        }
        self.disclosures.save().await;
        self.cache.flush();
        self.store.close().await;
    }
}
