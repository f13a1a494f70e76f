//! Logs to stderr, and how long the tools take.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use memory_core::event::{EpisodeEvent, EventHandler};
use schemars::JsonSchema;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::config::reload::SetFilter;

/// Longest latency told apart from longer ones, in microseconds.
const LATENCY_MICROS_MAX: u64 = 60 * 1_000_000;

/// Sends logs to stderr; stdout belongs to the protocol. Returns what sets another filter later on.
pub(crate) fn init(filter: &str) -> SetFilter {
    let logs = tracing_subscriber::fmt().with_env_filter(parse(filter)).with_writer(std::io::stderr);
    let logs = logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_filter_reloading();
    let handle = logs.reload_handle();
    // Fails only if logs are set up already, as they are when several servers run in one test.
    let _ = logs.try_init();
    Box::new(move |filter| {
        if let Err(error) = handle.reload(parse(filter)) {
            tracing::warn!(%error, "failed to change the filter of the log");
        }
    })
}

/// The filter was checked with the other settings.
fn parse(filter: &str) -> EnvFilter {
    EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"))
}

/// Counts of what happened since the process started.
#[derive(Default)]
pub(crate) struct Metrics {
    tools: Mutex<BTreeMap<String, ToolCalls>>,
    episodes_created: AtomicU64,
    episodes_completed: AtomicU64,
    steps_added: AtomicU64,
    patterns_extracted: AtomicU64,
    busy: AtomicU64,
}

struct ToolCalls {
    errors: u64,
    micros: Histogram<u64>,
    micros_total: u64,
}

/// Calls of one tool.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct ToolLatency {
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    /// Of all calls together.
    pub(crate) total_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    max_ms: f64,
}

/// What [`Metrics`] has counted.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct MetricsReport {
    pub(crate) episodes_created: u64,
    pub(crate) episodes_completed: u64,
    pub(crate) steps_added: u64,
    /// Observations of patterns; one pattern may be observed in many episodes.
    pub(crate) patterns_extracted: u64,
    /// Requests that were answered with busy.
    pub(crate) busy: u64,
    /// Only with `detailed`: the calls of each tool.
    pub(crate) tools: BTreeMap<String, ToolLatency>,
}

impl Metrics {
    /// Notes one call of a tool.
    pub(crate) fn record(&self, tool: &str, took: Duration, failed: bool) {
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if !tools.contains_key(tool) {
            // Two significant digits: within 1 %, in a few kilobytes.
            let Ok(micros) = Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, 2) else { return };
            tools.insert(tool.to_owned(), ToolCalls { errors: 0, micros, micros_total: 0 });
        }
        if let Some(calls) = tools.get_mut(tool) {
            calls.errors += u64::from(failed);
            let micros = u64::try_from(took.as_micros()).unwrap_or(LATENCY_MICROS_MAX);
            calls.micros.saturating_record(micros);
            calls.micros_total += micros;
        }
    }

    /// Notes that a request was told to come again.
    pub(crate) fn refused(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn report(&self) -> MetricsReport {
        let tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let latency = |calls: &ToolCalls| {
            let ms = |quantile| calls.micros.value_at_quantile(quantile) as f64 / 1_000.0;
            ToolLatency {
                calls: calls.micros.len(),
                errors: calls.errors,
                total_ms: calls.micros_total as f64 / 1_000.0,
                p50_ms: ms(0.50),
                p95_ms: ms(0.95),
                p99_ms: ms(0.99),
                max_ms: calls.micros.max() as f64 / 1_000.0,
            }
        };
        MetricsReport {
            episodes_created: self.episodes_created.load(Ordering::Relaxed),
            episodes_completed: self.episodes_completed.load(Ordering::Relaxed),
            steps_added: self.steps_added.load(Ordering::Relaxed),
            patterns_extracted: self.patterns_extracted.load(Ordering::Relaxed),
            busy: self.busy.load(Ordering::Relaxed),
            tools: tools.iter().map(|(name, calls)| (name.clone(), latency(calls))).collect(),
        }
    }
}

impl EventHandler for Metrics {
    fn handle(&self, event: &EpisodeEvent) {
        let (counter, by) = match event {
            EpisodeEvent::Created { .. } => (&self.episodes_created, 1),
            EpisodeEvent::StepAdded { .. } => (&self.steps_added, 1),
            EpisodeEvent::Completed { .. } => (&self.episodes_completed, 1),
            EpisodeEvent::ReflectionGenerated { .. }
            | EpisodeEvent::Corrected { .. }
            | EpisodeEvent::Retried { .. } => return,
            EpisodeEvent::PatternExtracted { patterns, .. } => {
                (&self.patterns_extracted, patterns.len() as u64)
            }
        };
        counter.fetch_add(by, Ordering::Relaxed);
    }
}
