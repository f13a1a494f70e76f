//! Arguments and result of `execute_code`.

use std::time::Duration;

use sandbox::{Grants, Program, Purpose, Reason, Report, Stopped, Usage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::CODE_TIMEOUT_MILLIS_MAX;

/// Arguments of `execute_code`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecuteCodeArgs {
    /// The value is that of the last expression or of `return`; await works.
    code: String,
    /// Time that it may run, default 2000.
    #[schemars(range(min = 1, max = CODE_TIMEOUT_MILLIS_MAX))]
    timeout_ms: Option<u64>,
    /// What the code finds in `input`; lists of lists go into an object.
    #[serde(default)]
    #[schemars(schema_with = "any_json")]
    input: Value,
}

/// Any JSON, one type a branch: some clients take nothing else.
fn any_json(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let single = |name: &str| serde_json::json!({ "type": name });
    let items = ["object", "string", "number"].map(single);
    let list = serde_json::json!({"type": "array", "items": {"anyOf": items}});
    schemars::json_schema!({"anyOf": [single("object"), list, single("string"), single("number"), single("boolean")]})
}

impl ExecuteCodeArgs {
    pub(crate) fn parse(self) -> Program {
        Program {
            code: self.code,
            input: self.input.to_string(),
            purpose: Purpose::Value,
            grants: Grants { memory: true },
            timeout: self.timeout_ms.map(Duration::from_millis),
        }
    }
}

/// Result of `execute_code`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct ExecuteCodeResult {
    /// The value as JSON would show it; null if there is none.
    value: Value,
    /// What console.log wrote.
    stdout: String,
    /// What console.warn and console.error wrote, and rejections that nothing handled.
    stderr: String,
    usage: WireUsage,
    /// Why the code did not come to its end; null if it did.
    stopped: Option<WireStopped>,
}

/// What it used.
#[derive(Debug, JsonSchema, Serialize)]
struct WireUsage {
    /// Time that it ran.
    time_ms: f64,
    /// Instructions.
    fuel: u64,
    memory_peak_bytes: usize,
    /// Calls of the memory.
    host_calls: u32,
    /// Value, stdout and stderr together.
    output_bytes: usize,
    /// Limits that it came up against.
    limits_hit: Vec<&'static str>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct WireStopped {
    /// deadline, memory, output, host_calls, trap, import, syntax or exception.
    reason: &'static str,
    message: String,
    /// Where in the code, where that is known.
    line: Option<u32>,
    column: Option<u32>,
}

impl ExecuteCodeResult {
    pub(crate) fn new(report: Report) -> Self {
        let Report { value, stdout, stderr, usage, stopped } = report;
        let Usage { fuel, memory_peak_bytes, host_calls, output_bytes, time, hit } = usage;
        let limits = hit.into_iter().filter(|reason| reason.is_limit()).map(Reason::name);
        Self {
            value: value.map(json).unwrap_or_default(),
            stdout,
            stderr,
            usage: WireUsage {
                time_ms: (time.as_secs_f64() * 1e6).round() / 1e3,
                fuel,
                memory_peak_bytes,
                host_calls,
                output_bytes,
                limits_hit: limits.collect(),
            },
            stopped: stopped.map(|Stopped { reason, message, line, column }| WireStopped {
                reason: reason.name(),
                message,
                line,
                column,
            }),
        }
    }
}

/// A value that the program gave as JSON. What JavaScript writes and nobody else reads (half of a surrogate pair, a depth
/// beyond all reason) is given as the text that it is.
fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
