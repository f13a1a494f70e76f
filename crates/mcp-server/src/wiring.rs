//! The composition root: opens the adapters, joins them to the domain, owns the background worker.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use cache_redb::Cache;
use embeddings::{Library, ServiceConfig};
use jiff::Timestamp;
use learning_queue::{Worker, WorkerHandle};
use memory_core::event::EventHandler;
use memory_core::extract::Registry;
use memory_core::memory::Memory;
use memory_core::port::{Ports, Source};
use memory_core::retrieve::analyze::ANALYSIS_VERSION;
use sandbox::{Ambient, Limits, Sandbox};
use search_index::SearchIndex;
use storage_turso::TursoStore;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::config::Settings;
use crate::limits::{CACHE_SAVE_INTERVAL, SHUTDOWN_WAIT};
use crate::plugins::Extractors;
use crate::telemetry::Metrics;
use crate::workspace::WorkTree;

/// Everything that runs.
pub(crate) struct App {
    /// The use cases.
    pub(crate) memory: Memory,
    /// What happened since the start.
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) store: TursoStore,
    pub(crate) cache: Arc<Cache>,
    pub(crate) index: Arc<SearchIndex>,
    pub(crate) embedding: Arc<embeddings::Service>,
    pub(crate) sandbox: Sandbox,
    /// Those that the user added.
    pub(crate) extractors: Arc<Extractors>,
    /// Expected success rate from which on a pattern is called one of high success.
    pub(crate) high_success: f64,
    worker: Mutex<Option<WorkerHandle>>,
    upkeep: JoinHandle<()>,
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

impl App {
    /// Opens the memory and starts the background worker.
    ///
    /// # Errors
    /// If the data directory or the database in it cannot be used; the message says why and what to do.
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Arc<Self>> {
        settings.create_data_dir()?;
        let database = settings.database();
        let store = TursoStore::open(&database).await.context("failed to open the memory")?;
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
        let embedding = embeddings::Service::spawn(ServiceConfig {
            library: Library::new(settings.models()),
            model_dir: settings.model_dir.clone(),
            key: Arc::new(crate::model::key),
            corpus: shared.clone(),
            vectors: shared.clone(),
            source: source.clone(),
        });
        let ports = Ports {
            episodes: Arc::new(cache.episodes(shared.clone())),
            notes: shared.clone(),
            index: index.clone(),
            items: shared.clone(),
            citations: shared.clone(),
            workspace: Arc::new(WorkTree::here()),
            semantics: embedding.clone(),
            patterns: shared.clone(),
            experience: shared.clone(),
            feedback: shared.clone(),
            changes: shared,
            answers: cache.clone(),
            source,
        };
        let handlers: Vec<Arc<dyn EventHandler>> = vec![metrics.clone(), Arc::new(worker.waker())];
        let memory = Memory::new(ports, handlers);
        let upkeep = tokio::spawn(upkeep(cache.clone()));
        let worker = Mutex::new(Some(worker));
        let high_success = settings.high_success;
        let sandbox = Sandbox::new(Limits::default(), Ambient::default());
        Ok(Arc::new(Self {
            memory,
            metrics,
            store,
            cache,
            index,
            embedding,
            sandbox,
            extractors,
            high_success,
            worker,
            upkeep,
        }))
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
        self.upkeep.abort();
        self.sandbox.shutdown().await;
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
        self.cache.flush();
        self.store.close().await;
    }
}
