//! What an operator is told: whether the parts work, and what they hold.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use embeddings::State;
use memory_core::access::Access;
use memory_core::job::JobCounts;
use memory_core::port::{Guarded, JobStore, StoreCounts, StoreError, StoreHealth};
use sandbox::{Program, Refusal, Report};
use schemars::JsonSchema;
use search_index::{Backing, IndexStatus};
use serde::Serialize;

use crate::alert::Alert;
use crate::config::reload::WireConfiguration;
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
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Component {
    /// database, queue, cache, search_index, model, sandbox or, if there are any, extractors.
    pub(crate) name: &'static str,
    pub(crate) status: Status,
    /// In words.
    pub(crate) detail: String,
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

/// The numbers behind it.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct HealthMetrics {
    /// What is stored; null if the database cannot be read.
    pub(crate) store: Option<WireCounts>,
    /// What is left to learn from; null if the database cannot be read.
    pub(crate) jobs: Option<WireJobs>,
    /// What searches are answered from; null for who may not see everything, as are those below.
    search: Option<WireSearch>,
    /// Since the process started.
    cache: Option<WireCache>,
    /// Since the process started.
    sandbox: Option<WireSandbox>,
    /// Those that the user added, since the process started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extractors: Vec<WireExtractor>,
    /// Since the process started. Latencies are those inside the server, in milliseconds.
    process: Option<MetricsReport>,
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
}

#[derive(Debug, JsonSchema, Serialize)]
struct WireSearch {
    documents: u64,
    /// Parts of documents.
    passages: u64,
    /// Passages that have a vector.
    vectors: u64,
    /// Size of its files.
    disk_bytes: u64,
    /// Things that were stored just now and have no vectors yet.
    to_embed: u64,
}

#[derive(Debug, JsonSchema, Serialize)]
struct WireCache {
    hits: u64,
    misses: u64,
    evictions: u64,
    failures: u64,
}

#[derive(Debug, JsonSchema, Serialize)]
struct WireSandbox {
    /// Programs that were run.
    runs: u64,
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
    /// Looks at every part; `detailed` also reads the whole database for damage, runs a program in the sandbox and adds the
    /// latencies of each tool and the settings that may change.
    pub(crate) async fn health(&self, detailed: bool) -> HealthReport {
        let counts = StoreHealth::counts(&self.store).await;
        let jobs = JobStore::counts(&self.store).await;
        let damage = if detailed { Some(self.store.check().await) } else { None };
        let cache = self.cache.status();
        let (index, embedding) = (self.index.status(), self.embedding.status());
        let extractors = self.extractors.status().await;
        let mut components = vec![
            database(&counts, damage.as_ref()),
            queue(&jobs),
            Component { name: "cache", status: Status::Ok, detail: cache.backing.to_string() },
            search_index(&index),
            model(&embedding),
            self.sandbox_component(detailed).await,
        ];
        components.extend(extractors_component(&extractors));
        let mut process = self.metrics.report();
        if !detailed {
            process.tools.clear();
        }
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
            metrics: HealthMetrics {
                store: counts.ok().map(WireCounts::from),
                jobs: jobs.ok().map(WireJobs::from),
                search: Some(WireSearch {
                    documents: index.documents,
                    passages: index.passages,
                    vectors: index.vectors,
                    disk_bytes: index.disk_bytes,
                    to_embed: embedding.waiting as u64,
                }),
                cache: Some(WireCache {
                    hits: cache.counts.hits,
                    misses: cache.counts.misses,
                    evictions: cache.counts.evictions,
                    failures: cache.counts.failures,
                }),
                sandbox: Some(WireSandbox::from(self.sandbox.status())),
                extractors: extractors.into_iter().map(WireExtractor::from).collect(),
                process: Some(process),
            },
        }
    }

    async fn sandbox_component(&self, probed: bool) -> Component {
        let status = self.sandbox.status();
        let (status, detail) = if let Some(left) = status.closed_for {
            let seconds = left.as_secs() + 1;
            (Status::Degraded, format!("closed for {seconds} s: several programs went against their limits"))
        } else if probed {
            match self.sandbox.run(Program::new("1+1"), None).await {
                Ok(Report { value: Some(value), usage, .. }) if value == "2" => {
                    (Status::Ok, format!("a program ran in {:.2} ms", usage.time.as_secs_f64() * 1e3))
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
        Component { name: "sandbox", status, detail }
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
        let counts = StoreHealth::counts(&store).await.map_err(|_| Unnamed);
        let jobs = JobStore::counts(&store).await.map_err(|_| Unnamed);
        let unnamed = |component: Component| Component {
            detail: match component.status {
                Status::Ok => "works".to_owned(),
                Status::Degraded | Status::Failing => Unnamed.to_string(),
            },
            ..component
        };
        let components = vec![
            database(&counts, None),
            queue(&jobs),
            unnamed(search_index(&self.index.status())),
            unnamed(model(&self.embedding.status())),
        ];
        HealthReport {
            status: components.iter().map(|component| component.status).max().unwrap_or(Status::Ok),
            version: env!("CARGO_PKG_VERSION"),
            components,
            alerts: Vec::new(),
            configuration: None,
            metrics: HealthMetrics {
                store: counts.ok().map(|counts| WireCounts { bytes: None, ..counts.into() }),
                jobs: jobs.ok().map(WireJobs::from),
                search: None,
                cache: None,
                sandbox: None,
                extractors: Vec::new(),
                process: None,
            },
        }
    }
}

/// What is wrong is for who may see everything: it may name files.
#[derive(Clone, Debug, thiserror::Error)]
#[error("does not work as it should; the operator's health check says why")]
struct Unnamed;

impl From<JobCounts> for WireJobs {
    fn from(JobCounts { queued, running, dead }: JobCounts) -> Self {
        Self { queued, running, dead }
    }
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
    Component { name: "database", status, detail }
}

fn queue<E: Display>(jobs: &Result<JobCounts, E>) -> Component {
    let (status, detail) = match jobs {
        Err(error) => (Status::Failing, error.to_string()),
        Ok(JobCounts { dead, .. }) if *dead > 0 => {
            (Status::Degraded, format!("{dead} job(s) were given up; the log says why"))
        }
        Ok(JobCounts { queued, running, .. }) => {
            (Status::Ok, format!("{} episode(s) left to learn from", queued + running))
        }
    };
    Component { name: "queue", status, detail }
}

fn search_index(index: &IndexStatus) -> Component {
    let IndexStatus { backing, is_ready, documents, last_error, .. } = index;
    let (status, detail) = match (backing, last_error) {
        (Backing::Unwritable(reason), _) => {
            (Status::Degraded, format!("{documents} documents, in memory only: {reason}"))
        }
        (_, Some(error)) if !is_ready => (Status::Degraded, format!("it is to be made anew: {error}")),
        _ if !is_ready => (Status::Ok, "it is made by the first search".to_owned()),
        _ => (Status::Ok, format!("{documents} documents")),
    };
    Component { name: "search_index", status, detail }
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
    (!extractors.is_empty()).then_some(Component { name: "extractors", status, detail })
}

fn model(status: &embeddings::Status) -> Component {
    let name = status.model.as_deref().unwrap_or("the model");
    let (status, detail) = match &status.state {
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
    };
    Component { name: "model", status, detail }
}
