//! What an operator is told: whether the parts work, and what they hold.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use embeddings::State;
use jiff::Timestamp;
use memory_core::access::Access;
use memory_core::job::JobCounts;
use memory_core::port::{Guarded, JobStore, Semantics, StoreCounts, StoreError, StoreHealth};
use sandbox::{Program, Refusal, Report};
use schemars::JsonSchema;
use search_index::{Backing, IndexStatus};
use serde::Serialize;
use storage_turso::TursoStore;

use crate::alert::Alert;
use crate::config::reload::WireConfiguration;
use crate::disclosure::Level;
use crate::plugins;
use crate::telemetry::MetricsReport;
use crate::wiring::App;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// It works.
    Ok,
    /// It works, but somebody should look.
    Degraded,
    /// It does not work.
    Failing,
}

/// One part of the system.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct Component {
    /// database, queue, cache, search_index, model, sandbox or, if there are any, extractors.
    pub(crate) name: &'static str,
    pub(crate) status: Status,
    /// In words.
    pub(crate) detail: String,
    /// How long it took to use it, in milliseconds; null where it was only asked how it is, and for who may not see
    /// everything.
    pub(crate) latency_ms: Option<f64>,
}

impl Component {
    fn new(name: &'static str, (status, detail): (Status, String)) -> Self {
        Self { name, status, detail, latency_ms: None }
    }

    fn took(self, took: Duration) -> Self {
        let latency_ms = Some((took.as_secs_f64() * 1e6).round() / 1e3);
        Self { latency_ms, ..self }
    }
}

/// What work came to, and how long it took.
async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    let done = work.await;
    (done, begun.elapsed())
}

/// The result of `health_check`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct HealthReport {
    /// The worst status of any part; at best degraded while there are alerts.
    pub(crate) status: Status,
    pub(crate) version: &'static str,
    /// Each part by itself.
    pub(crate) components: Vec<Component>,
    /// What somebody should look at: raised since the process started, and not put right yet.
    pub(crate) alerts: Vec<Alert>,
    /// The settings in effect.
    pub(crate) configuration: Option<WireConfiguration>,
    /// The numbers behind it.
    pub(crate) metrics: HealthMetrics,
}

impl HealthReport {
    /// The same for a user of this level.
    pub(crate) fn at(mut self, level: Level) -> Self {
        self.metrics = self.metrics.at(level);
        self
    }
}

/// The result of `get_metrics`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct GetMetricsResult {
    /// As in `health_check` with `detailed`.
    pub(crate) metrics: HealthMetrics,
}

/// The numbers behind it.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct HealthMetrics {
    /// What is stored; null if the database cannot be read.
    pub(crate) store: Option<WireCounts>,
    /// What is left to learn from; null if the database cannot be read.
    pub(crate) jobs: Option<WireJobs>,
    /// What searches are answered from; null for who may not see everything, as are those below.
    pub(crate) search: Option<WireSearch>,
    /// Since the process started.
    pub(crate) cache: Option<WireCache>,
    /// Since the process started.
    pub(crate) sandbox: Option<WireSandbox>,
    /// The level of the user, which says what clients are shown.
    level: Option<Level>,
    /// Those that the user added, since the process started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extractors: Vec<WireExtractor>,
    /// Since the process started. Latencies are those inside the server, in milliseconds.
    pub(crate) process: Option<MetricsReport>,
}

impl HealthMetrics {
    /// The same for a user of this level.
    pub(crate) fn at(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireCounts {
    pub(crate) episodes: u64,
    pub(crate) open_episodes: u64,
    pub(crate) steps: u64,
    /// Those that are not superseded.
    pub(crate) notes: u64,
    superseded_notes: u64,
    pub(crate) patterns: u64,
    /// Null for who may not see everything.
    pub(crate) bytes: Option<u64>,
    schema_version: u32,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireJobs {
    pub(crate) queued: u64,
    pub(crate) running: u64,
    /// Given up after repeated failures.
    pub(crate) dead: u64,
    /// How long the one that waits longest has waited, in seconds; absent where none waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest_s: Option<f64>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireSearch {
    pub(crate) documents: u64,
    /// Parts of documents.
    passages: u64,
    /// Passages that have a vector.
    pub(crate) vectors: u64,
    /// Size of its files.
    pub(crate) disk_bytes: u64,
    /// Things that were stored just now and have no vectors yet.
    pub(crate) to_embed: u64,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireCache {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    /// Share of the reads that it served; null before the first.
    hit_rate: Option<f64>,
    pub(crate) evictions: u64,
    pub(crate) failures: u64,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireSandbox {
    /// Programs that were run.
    pub(crate) runs: u64,
    /// How many of them were stopped, by reason.
    stopped: BTreeMap<&'static str, u64>,
    running: usize,
    waiting: usize,
    fuel: u64,
    host_calls: u64,
    time_ms: f64,
    memory_peak_bytes: usize,
    /// How often it was closed because several programs went against their limits.
    closed: u64,
}

#[derive(Debug, JsonSchema, Serialize)]
struct WireExtractor {
    name: String,
    /// in_use, disabled, quarantined or unusable.
    state: &'static str,
    /// Episodes that it was shown.
    runs: u64,
    /// How many of these it failed on.
    faults: u64,
}

impl From<plugins::Status> for WireExtractor {
    fn from(status: plugins::Status) -> Self {
        let plugins::Status { name, state, runs, faults, .. } = status;
        Self { name, state: state.name(), runs, faults }
    }
}

impl App {
    /// Uses every part; `detailed` also reads the whole database for damage, runs a program in the sandbox and adds the
    /// latencies of each tool and the settings that may change.
    pub(crate) async fn health(&self, detailed: bool) -> HealthReport {
        let mut report = self.measured(detailed).await;
        if !detailed && let Some(process) = &mut report.metrics.process {
            process.tools.clear();
        }
        report
    }

    /// The same with the latencies of each tool.
    pub(crate) async fn measured(&self, detailed: bool) -> HealthReport {
        let readings = self.readings().await;
        let damage = if detailed { Some(self.store.check().await) } else { None };
        let Readings { counts, counted_in, jobs, queue_took, index, embedding, extractors } = &readings;
        let mut components = vec![
            database(counts, damage.as_ref()).took(*counted_in),
            queue(jobs).took(*queue_took),
            self.cache_component().await,
            Component::new("search_index", search_index(index)),
            self.model_component(embedding).await,
            self.sandbox_component(detailed).await,
        ];
        components.extend(extractors_component(extractors));
        let alerts = self.alerts.raised();
        let alerted = if alerts.is_empty() { Status::Ok } else { Status::Degraded };
        HealthReport {
            status: components
                .iter()
                .map(|component| component.status)
                .max()
                .unwrap_or(Status::Ok)
                .max(alerted),
            version: env!("CARGO_PKG_VERSION"),
            components,
            alerts,
            configuration: Some(self.settings().report(detailed)),
            metrics: self.metrics_of(readings),
        }
    }

    /// The numbers alone: nothing is used that is not asked for them.
    pub(crate) async fn measurements(&self) -> HealthMetrics {
        self.metrics_of(self.readings().await)
    }

    async fn readings(&self) -> Readings {
        // In this order, so that where nothing is left to learn all that was learned is counted.
        let (jobs, queue_took) = timed(jobs(&self.store)).await;
        let (counts, counted_in) = timed(StoreHealth::counts(&self.store)).await;
        let (index, embedding) = (self.index.status(), self.embedding.status());
        let extractors = self.extractors.status().await;
        Readings { counts, counted_in, jobs, queue_took, index, embedding, extractors }
    }

    fn metrics_of(&self, readings: Readings) -> HealthMetrics {
        let Readings { counts, jobs, index, embedding, extractors, .. } = readings;
        let cache = self.cache.status().counts;
        HealthMetrics {
            store: counts.ok().map(WireCounts::from),
            jobs: jobs.ok(),
            search: Some(WireSearch {
                documents: index.documents,
                passages: index.passages,
                vectors: index.vectors,
                disk_bytes: index.disk_bytes,
                to_embed: embedding.waiting as u64,
            }),
            cache: Some(WireCache {
                hits: cache.hits,
                misses: cache.misses,
                hit_rate: share(cache.hits, cache.hits + cache.misses),
                evictions: cache.evictions,
                failures: cache.failures,
            }),
            sandbox: Some(WireSandbox::from(self.sandbox.status())),
            level: None,
            extractors: extractors.into_iter().map(WireExtractor::from).collect(),
            process: Some(self.metrics.report()),
        }
    }

    /// Puts something into the cache and gets it again.
    async fn cache_component(&self) -> Component {
        let cache = self.cache.clone();
        let (works, took) = timed(tokio::task::spawn_blocking(move || cache.probe())).await;
        let backing = self.cache.status().backing;
        let judged = match works {
            Ok(true) => (Status::Ok, backing.to_string()),
            _ => (
                Status::Degraded,
                format!("{backing}; what is put into it cannot be got again, the log says why"),
            ),
        };
        Component::new("cache", judged).took(took)
    }

    /// Embeds a word, where a model is in use.
    async fn model_component(&self, status: &embeddings::Status) -> Component {
        let component = Component::new("model", model(status));
        if self.embedding.space().is_none() {
            return component;
        }
        let (vector, took) = timed(self.embedding.query_vector("health")).await;
        match vector {
            Some(_) => component.took(took),
            None => Component {
                status: Status::Degraded,
                detail: format!(
                    "{}, but it failed to embed a word just now; the log says why",
                    component.detail
                ),
                ..component
            },
        }
    }

    async fn sandbox_component(&self, probed: bool) -> Component {
        let mut took = None;
        let status = self.sandbox.status();
        let (status, detail) = if let Some(left) = status.closed_for {
            let seconds = left.as_secs() + 1;
            (Status::Degraded, format!("closed for {seconds} s: several programs went against their limits"))
        } else if probed {
            match self.sandbox.run(Program::new("1+1"), None).await {
                Ok(Report { value: Some(value), usage, .. }) if value == "2" => {
                    took = Some(usage.time);
                    (Status::Ok, "a program ran".to_owned())
                }
                Ok(report) => (Status::Failing, format!("1+1 came to {report:?}")),
                Err(refusal @ Refusal::Busy(_)) => (Status::Degraded, refusal.to_string()),
                Err(refusal) => (Status::Failing, refusal.to_string()),
            }
        } else if status.started {
            (Status::Ok, format!("{} program(s) were run", status.counts.runs))
        } else {
            (Status::Ok, "nothing was run yet".to_owned())
        };
        let component = Component::new("sandbox", (status, detail));
        took.map_or(component.clone(), |took| component.took(took))
    }
}

impl From<sandbox::Status> for WireSandbox {
    fn from(status: sandbox::Status) -> Self {
        let sandbox::Status { running, waiting, counts, .. } = status;
        Self {
            runs: counts.runs,
            stopped: counts.stopped.into_iter().map(|(reason, times)| (reason.name(), times)).collect(),
            running,
            waiting,
            fuel: counts.fuel,
            host_calls: counts.host_calls,
            time_ms: (counts.time.as_secs_f64() * 1e3).round(),
            memory_peak_bytes: counts.memory_peak_bytes,
            closed: counts.closed,
        }
    }
}

impl App {
    /// What concerns the domains of a caller who may not see everything: no count, path or name of anything else. It cannot
    /// have the database looked through either.
    pub(crate) async fn health_within(&self, access: &Arc<Access>) -> HealthReport {
        let store = self.store.within(access);
        let jobs = jobs(&store).await.map_err(|_| Unnamed);
        let counts = StoreHealth::counts(&store).await.map_err(|_| Unnamed);
        let unnamed = |name, (status, _): (Status, String)| {
            let detail = match status {
                Status::Ok => "works".to_owned(),
                Status::Degraded | Status::Failing => Unnamed.to_string(),
            };
            Component::new(name, (status, detail))
        };
        let components = vec![
            database(&counts, None),
            queue(&jobs),
            unnamed("search_index", search_index(&self.index.status())),
            unnamed("model", model(&self.embedding.status())),
        ];
        HealthReport {
            status: components.iter().map(|component| component.status).max().unwrap_or(Status::Ok),
            version: env!("CARGO_PKG_VERSION"),
            components,
            alerts: Vec::new(),
            configuration: None,
            metrics: HealthMetrics {
                store: counts.ok().map(|counts| WireCounts { bytes: None, ..counts.into() }),
                jobs: jobs.ok(),
                search: None,
                cache: None,
                sandbox: None,
                level: None,
                extractors: Vec::new(),
                process: None,
            },
        }
    }
}

/// What the parts say of themselves.
struct Readings {
    counts: Result<StoreCounts, StoreError>,
    counted_in: Duration,
    jobs: Result<WireJobs, StoreError>,
    queue_took: Duration,
    index: IndexStatus,
    embedding: embeddings::Status,
    extractors: Vec<plugins::Status>,
}

/// What is wrong is for who may see everything: it may name files.
#[derive(Clone, Debug, thiserror::Error)]
#[error("does not work as it should; the operator's health check says why")]
struct Unnamed;

/// What is left to learn from, of what the store's caller may see.
async fn jobs(store: &TursoStore) -> Result<WireJobs, StoreError> {
    let JobCounts { queued, running, dead } = JobStore::counts(store).await?;
    let waited = |since: Timestamp| Timestamp::now().duration_since(since).as_secs_f64().max(0.0);
    let oldest_s = JobStore::oldest(store).await?.map(waited);
    Ok(WireJobs { queued, running, dead, oldest_s })
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 1e4).round() / 1e4)
}

impl From<StoreCounts> for WireCounts {
    fn from(counts: StoreCounts) -> Self {
        let StoreCounts {
            episodes,
            open_episodes,
            steps,
            notes,
            superseded_notes,
            patterns,
            bytes,
            schema_version,
        } = counts;
        let bytes = Some(bytes);
        Self { episodes, open_episodes, steps, notes, superseded_notes, patterns, bytes, schema_version }
    }
}

fn database<E: Display>(
    counts: &Result<StoreCounts, E>,
    damage: Option<&Result<Vec<String>, StoreError>>,
) -> Component {
    let (status, detail) = match (counts, damage) {
        (Err(error), _) => (Status::Failing, error.to_string()),
        (_, Some(Err(error))) => (Status::Failing, error.to_string()),
        (Ok(_), Some(Ok(damage))) if !damage.is_empty() => {
            (Status::Failing, format!("damaged: {}", damage.join("; ")))
        }
        (Ok(counts), checked) => {
            let checked = if checked.is_some() { ", looked through without finding damage" } else { "" };
            (Status::Ok, format!("{} episodes, {} notes{checked}", counts.episodes, counts.notes))
        }
    };
    Component::new("database", (status, detail))
}

fn queue<E: Display>(jobs: &Result<WireJobs, E>) -> Component {
    let (status, detail) = match jobs {
        Err(error) => (Status::Failing, error.to_string()),
        Ok(WireJobs { dead, .. }) if *dead > 0 => (
            Status::Degraded,
            format!("{dead} job(s) were given up; list_jobs and `memory-mcp jobs` tell more"),
        ),
        Ok(WireJobs { queued, running, .. }) => {
            (Status::Ok, format!("{} episode(s) left to learn from", queued + running))
        }
    };
    Component::new("queue", (status, detail))
}

fn search_index(index: &IndexStatus) -> (Status, String) {
    let IndexStatus { backing, is_ready, documents, last_error, .. } = index;
    match (backing, last_error) {
        (Backing::Unwritable(reason), _) => {
            (Status::Degraded, format!("{documents} documents, in memory only: {reason}"))
        }
        (_, Some(error)) if !is_ready => (Status::Degraded, format!("it is to be made anew: {error}")),
        _ if !is_ready => (Status::Ok, "it is made by the first search".to_owned()),
        _ => (Status::Ok, format!("{documents} documents")),
    }
}

/// How it stands with the extractors of the user, if there are any.
fn extractors_component(extractors: &[plugins::Status]) -> Option<Component> {
    let in_use = extractors.iter().filter(|one| one.state == plugins::State::InUse).count();
    let mut detail = format!("{in_use} of {} in use", extractors.len());
    let mut status = Status::Ok;
    for plugins::Status { name, state, .. } in extractors {
        if let plugins::State::Quarantined(why) | plugins::State::Unusable(why) = state {
            status = Status::Degraded;
            detail += &format!("; {name} is {}: {why}", state.name());
        }
    }
    (!extractors.is_empty()).then_some(Component::new("extractors", (status, detail)))
}

fn model(status: &embeddings::Status) -> (Status, String) {
    let name = status.model.as_deref().unwrap_or("the model");
    match &status.state {
        State::NoModel => (
            Status::Ok,
            "none: search is by words only; `memory-mcp model pull all-MiniLM-L6-v2` adds one".to_owned(),
        ),
        State::Ready => (Status::Ok, format!("{name}: search is by words and meaning")),
        State::Filling { done } => {
            let meanwhile = match &status.serving {
                Some(space) => format!("meanwhile that of {space} is searched"),
                None => "meanwhile search is by words only".to_owned(),
            };
            (
                Status::Ok,
                format!("{name}: what is stored is being embedded, {done} gone through; {meanwhile}"),
            )
        }
        State::Unusable { reason } => {
            (Status::Degraded, format!("{name} cannot be used, search is by words only: {reason}"))
        }
    }
}
