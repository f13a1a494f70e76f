//! Results and errors of the use cases, as results of tools.

use memory_core::error::{Error, Violation};
use memory_core::port::StoreError;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, ErrorCode, ErrorData};
use sandbox::Refusal;
use serde::Serialize;
use serde_json::{Value, json};

use crate::admission::Busy;

/// The result of a tool: the value as structured content, and the same as text for clients that show only that.
pub(crate) fn reply<T: Serialize>(value: &T) -> CallToolResult {
    match serde_json::to_value(value) {
        Ok(value) => CallToolResult::structured(value),
        Err(error) => refusal("internal", &format!("failed to write the result: {error}"), &[]),
    }
}

/// The result of a tool that could not do what it was asked. An agent reads it, so it says what to do.
pub(crate) fn failure(error: &Error) -> CallToolResult {
    let message = error.to_string();
    match error {
        Error::Invalid(violations) => refusal("invalid_arguments", &message, violations),
        Error::NotFound { .. } | Error::NoJob(_) => refusal("not_found", &message, &[]),
        Error::AlreadyCompleted(_) => refusal("already_completed", &message, &[]),
        Error::Store(StoreError::Refused(_)) => refusal("forbidden", &message, &[]),
        Error::Store(_) => {
            tracing::error!(%error, "a call failed");
            refusal("storage", &message, &[])
        }
    }
}

/// The code of errors that say when to come again; it lies outside of those that are reserved.
const BUSY: ErrorCode = ErrorCode(429);

/// The result for a call that came while too much was to be done.
pub(crate) fn busy(busy: &Busy) -> CallToolResult {
    with_body(json!({"error": busy_error(busy)}))
}

fn busy_error(busy: &Busy) -> Value {
    let retry_after_ms = u64::try_from(busy.retry_after.as_millis()).unwrap_or(u64::MAX).max(1);
    json!({"kind": "busy", "message": busy.to_string(), "retry_after_ms": retry_after_ms})
}

impl From<Busy> for ErrorData {
    fn from(busy: Busy) -> Self {
        Self::new(BUSY, busy.to_string(), Some(busy_error(&busy)))
    }
}

/// The result for code that was not run.
pub(crate) fn refused(refusal: &Refusal) -> CallToolResult {
    let kind = match refusal {
        Refusal::Busy(_) => "busy",
        Refusal::Closed(_) => "closed",
        Refusal::Broken(_) => "internal",
        Refusal::ShutDown => "shut_down",
        Refusal::Cancelled => "cancelled",
    };
    self::refusal(kind, &format!("failed to run the code: {refusal}"), &[])
}

/// The result for arguments that break the tool's schema.
pub(crate) fn invalid(violations: Vec<Violation>) -> CallToolResult {
    failure(&Error::Invalid(violations))
}

/// Gives the SDK's own refusals, which are bare text, the form of ours. They can only come from arguments that the
/// schema admits and the struct does not.
pub(crate) fn structured(response: CallToolResponse) -> CallToolResponse {
    match response {
        CallToolResponse::Complete(result) if result.structured_content.is_none() => {
            let text =
                result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str());
            refusal("invalid_arguments", &text.collect::<Vec<_>>().join(" "), &[]).into()
        }
        other => other,
    }
}

fn refusal(kind: &str, message: &str, violations: &[Violation]) -> CallToolResult {
    let mut error = json!({"kind": kind, "message": message});
    if !violations.is_empty() {
        let field = |violation: &Violation| json!({"field": violation.field, "problem": violation.problem});
        error["fields"] = Value::Array(violations.iter().map(field).collect());
    }
    with_body(json!({ "error": error }))
}

fn with_body(body: Value) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(body.to_string())]);
    result.structured_content = Some(body);
    result
}
