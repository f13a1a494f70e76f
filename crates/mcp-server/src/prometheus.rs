//! Measurements in the text format of Prometheus. No name of a domain, a project or a key is among them.

use std::fmt::{Display, Write as _};

use crate::operator::{HealthReport, Status};
use crate::telemetry::ToolLatency;

/// What the format is called.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes what was measured.
pub(crate) fn exposition(report: &HealthReport) -> String {
    let mut page = Page(String::new());
    page.one("info", "gauge", "The version that runs.", "version", [(report.version, 1)]);
    let level = |status: Status| match status {
        Status::Ok => 0,
        Status::Degraded => 1,
        Status::Failing => 2,
    };
    page.single(
        "status",
        "gauge",
        "The worst part: 0 works, 1 degraded, 2 failing.",
        Some(level(report.status)),
    );
    let parts = report.components.iter().map(|part| (part.name, level(part.status)));
    page.one("component_status", "gauge", "Each part: 0 works, 1 degraded, 2 failing.", "component", parts);
    let took = report.components.iter().filter_map(|part| Some((part.name, part.latency_ms? / 1e3)));
    page.one(
        "component_latency_seconds",
        "gauge",
        "How long it took to use a part just now.",
        "component",
        took,
    );
    page.single("alerts", "gauge", "What somebody should look at.", Some(report.alerts.len()));
    stored(&mut page, report);
    if let Some(process) = &report.metrics.process {
        let counted = [
            ("episodes_created", process.episodes_created),
            ("episodes_completed", process.episodes_completed),
            ("steps_added", process.steps_added),
            ("patterns_observed", process.patterns_extracted),
        ];
        page.one("events_total", "counter", "What happened since the process started.", "event", counted);
        page.single("busy_total", "counter", "Requests that were told to come again.", Some(process.busy));
        let tools = || process.tools.iter().map(|(name, calls)| (name.as_str(), calls));
        let errors = tools().map(|(name, calls)| (name, calls.errors));
        page.one("tool_errors_total", "counter", "Calls of a tool that failed.", "tool", errors);
        page.latencies(tools());
    }
    page.0
}

fn stored(page: &mut Page, report: &HealthReport) {
    let metrics = &report.metrics;
    if let Some(store) = &metrics.store {
        let things = [
            ("episode", store.episodes),
            ("open_episode", store.open_episodes),
            ("step", store.steps),
            ("note", store.notes),
            ("pattern", store.patterns),
        ];
        page.one("stored", "gauge", "What is stored.", "kind", things);
        page.single("database_bytes", "gauge", "Size of the database.", store.bytes);
    }
    if let Some(jobs) = &metrics.jobs {
        let states = [("queued", jobs.queued), ("running", jobs.running), ("dead", jobs.dead)];
        page.one("jobs", "gauge", "Episodes that are left to learn from.", "state", states);
        let oldest = jobs.oldest_s.unwrap_or_default();
        page.single("job_oldest_seconds", "gauge", "How long the oldest of them has waited.", Some(oldest));
    }
    if let Some(cache) = &metrics.cache {
        let events = [
            ("hit", cache.hits),
            ("miss", cache.misses),
            ("eviction", cache.evictions),
            ("failure", cache.failures),
        ];
        page.one("cache_total", "counter", "Uses of the cache.", "event", events);
    }
    if let Some(search) = &metrics.search {
        let sizes = [
            ("document", search.documents),
            ("vector", search.vectors),
            ("byte", search.disk_bytes),
            ("to_embed", search.to_embed),
        ];
        page.one("search", "gauge", "What searches are answered from.", "kind", sizes);
    }
    let runs = metrics.sandbox.as_ref().map(|sandbox| sandbox.runs);
    page.single("sandbox_runs_total", "counter", "Programs that were run.", runs);
}

struct Page(String);

impl Page {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP memory_mcp_{name} {help}\n# TYPE memory_mcp_{name} {kind}");
    }

    /// A measurement without a label; nothing where it could not be had.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.begin(name, kind, help);
            let _ = writeln!(self.0, "memory_mcp_{name} {value}");
        }
    }

    /// Measurements with one label, whose values are names of this program.
    fn one<'n>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'n str, impl Display)>,
    ) {
        self.begin(name, kind, help);
        for (of, value) in values {
            let _ = writeln!(self.0, "memory_mcp_{name}{{{label}=\"{of}\"}} {value}");
        }
    }

    fn latencies<'n>(&mut self, tools: impl Iterator<Item = (&'n str, &'n ToolLatency)>) {
        let name = "tool_duration_seconds";
        self.begin(name, "summary", "How long calls of a tool took inside of the server.");
        for (tool, calls) in tools {
            let quantiles = [("0.5", calls.p50_ms), ("0.95", calls.p95_ms), ("0.99", calls.p99_ms)];
            for (quantile, millis) in quantiles {
                let seconds = millis / 1e3;
                let _ = writeln!(
                    self.0,
                    "memory_mcp_{name}{{tool=\"{tool}\",quantile=\"{quantile}\"}} {seconds}"
                );
            }
            let _ = writeln!(self.0, "memory_mcp_{name}_sum{{tool=\"{tool}\"}} {}", calls.total_ms / 1e3);
            let _ = writeln!(self.0, "memory_mcp_{name}_count{{tool=\"{tool}\"}} {}", calls.calls);
        }
    }
}
