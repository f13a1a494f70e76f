//! The schemas of the tools' arguments, and checking arguments against them so that every mistake is reported at once
//! and by name. The schema is derived from the struct that the arguments are then read into.

use std::sync::Arc;

use memory_core::error::Violation;
use rmcp::model::{JsonObject, Tool};
use serde_json::{Map, Value};

/// Characters of a wrong value that are quoted back.
const QUOTED_CHARS_MAX: usize = 60;

/// Takes out of a tool's schema what costs tokens and says nothing: titles, formats of integers that are no JSON
/// Schema formats (clients warn of `uint64`), the `null` that every optional argument admits, and what is said of the fields of
/// the entries of a list, whose names say it.
pub(crate) fn slim(mut tool: Tool) -> Tool {
    let mut schema = Value::Object(tool.input_schema.as_ref().clone());
    slim_schema(&mut schema);
    for argument in fields(&mut schema) {
        for field in argument.get_mut("items").into_iter().flat_map(fields) {
            field.remove("description");
        }
    }
    if let Value::Object(mut object) = schema {
        object.remove("$schema");
        tool.input_schema = Arc::new(object);
    }
    tool
}

/// Arguments that mean in every tool what their name says, or what the tools say of them that a client has from the start.
const SPEAK_FOR_THEMSELVES: [&str; 19] = [
    "args",
    "comment",
    "cursor",
    "domain",
    "duration_ms",
    "episode_id",
    "error",
    "kind",
    "limit",
    "max_tokens",
    "outcome",
    "project",
    "since",
    "summary",
    "tags",
    "task",
    "text",
    "tool",
    "until",
];

/// Takes out of a tool's schema what is said of arguments that [speak for themselves](SPEAK_FOR_THEMSELVES): every client pays for
/// it in every session, and the reference has it all.
pub(crate) fn terse(tool: &mut Tool) {
    let mut schema = Value::Object(tool.input_schema.as_ref().clone());
    let arguments = schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten();
    for (name, argument) in arguments {
        if let (true, Value::Object(argument)) = (SPEAK_FOR_THEMSELVES.contains(&name.as_str()), argument) {
            argument.remove("description");
        }
    }
    if let Value::Object(object) = schema {
        tool.input_schema = Arc::new(object);
    }
}

/// The schemas of an object's fields.
fn fields(schema: &mut Value) -> impl Iterator<Item = &mut JsonObject> {
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    fields.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut)
}

/// The same for a schema by itself, but for what is said.
pub(crate) fn slim_schema(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    object.remove("title");
    if object.get("format").and_then(Value::as_str).is_some_and(|format| format != "date-time") {
        object.remove("format");
    }
    object.retain(|key, value| key != "default" || !value.is_null());
    object.retain(|key, value| key != "additionalProperties" || *value != Value::Bool(true));
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    drop_null_branch(object);
    for (key, part) in object.iter_mut() {
        match (key.as_str(), part) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(slim_schema),
            ("items", items) => slim_schema(items),
            ("anyOf", Value::Array(branches)) => branches.iter_mut().for_each(slim_schema),
            _ => {}
        }
    }
}

/// `anyOf: [X, null]` becomes X.
fn drop_null_branch(object: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = object.get_mut("anyOf") else { return };
    branches.retain(|branch| branch.get("type") != Some(&Value::from("null")));
    if let [Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}

/// Everything that is wrong with the arguments by the schema.
pub(crate) fn violations(schema: &JsonObject, arguments: &JsonObject) -> Vec<Violation> {
    let mut found = Vec::new();
    object(schema, arguments, "", &mut found);
    found
}

fn object(schema: &JsonObject, given: &JsonObject, at: &str, found: &mut Vec<Violation>) {
    let path = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    for name in
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        if given.get(name).is_none_or(Value::is_null) {
            let expected = properties.get(name).map(describe).unwrap_or_default();
            found
                .push(Violation { field: path(name), problem: format!("is missing; it must be {expected}") });
        }
    }
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, value) in given {
        match properties.get(name) {
            Some(property) if !value.is_null() => check(property, value, &path(name), found),
            Some(_) => {}
            None if closed => {
                let known =
                    properties.keys().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
                found
                    .push(Violation { field: path(name), problem: format!("is unknown; known are {known}") });
            }
            None => {}
        }
    }
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<Violation>) {
    let Value::Object(rules) = schema else { return };
    if !matches(rules, value) {
        let problem = format!("must be {}, not {}", describe(schema), quote(value));
        found.push(Violation { field: at.to_owned(), problem });
        return;
    }
    match value {
        Value::Object(given) => object(rules, given, at, found),
        Value::Array(items) => {
            if let Some(rule) = rules.get("items") {
                for (index, item) in items.iter().enumerate() {
                    check(rule, item, &format!("{at}[{index}]"), found);
                }
            }
        }
        _ => {}
    }
}

/// Whether the value is of the type, among the values and within the bounds that the schema names.
fn matches(rules: &Map<String, Value>, value: &Value) -> bool {
    let of_type = match rules.get("type") {
        Some(Value::String(name)) => is_a(value, name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(|name| is_a(value, name)),
        _ => true,
    };
    let listed = rules.get("enum").and_then(Value::as_array).is_none_or(|values| values.contains(value));
    let number = value.as_f64();
    let bound = |key: &str| rules.get(key).and_then(Value::as_f64).zip(number);
    let within = bound("minimum").is_none_or(|(minimum, number)| number >= minimum)
        && bound("maximum").is_none_or(|(maximum, number)| number <= maximum);
    let any = rules.get("anyOf").and_then(Value::as_array).is_none_or(|branches| {
        branches.iter().any(|branch| {
            let mut wrong = Vec::new();
            check(branch, value, "", &mut wrong);
            wrong.is_empty()
        })
    });
    of_type && listed && within && any
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}

/// What a value must be, in words.
fn describe(schema: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return format!("one of {}", list(values));
    }
    let kind = match schema.get("type") {
        Some(Value::String(name)) => with_article(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(with_article).collect::<Vec<_>>().join(" or ")
        }
        _ => match schema.get("anyOf").and_then(Value::as_array) {
            Some(branches) => branches.iter().map(describe).collect::<Vec<_>>().join(" or "),
            None => "given".to_owned(),
        },
    };
    let items = schema.get("items").map(|items| format!(" whose items are each {}", describe(items)));
    let bounds = match (schema.get("minimum"), schema.get("maximum")) {
        (Some(minimum), Some(maximum)) => format!(" from {minimum} to {maximum}"),
        (Some(minimum), None) => format!(" of at least {minimum}"),
        (None, Some(maximum)) => format!(" of at most {maximum}"),
        (None, None) => String::new(),
    };
    format!("{kind}{bounds}{}", items.unwrap_or_default())
}

fn with_article(name: &str) -> String {
    let article = if name.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {name}")
}

fn quote(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        other => super::excerpt(&other.to_string(), QUOTED_CHARS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(schema: Value, arguments: Value) -> Vec<String> {
        let (Value::Object(schema), Value::Object(arguments)) = (schema, arguments) else {
            panic!("objects")
        };
        violations(&schema, &arguments).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_reported_with_its_path_and_what_would_be_right() {
        let step = json!({"type": "object", "required": ["tool"], "additionalProperties": false,
            "properties": {"tool": {"type": "string"}, "ok": {"type": "boolean"}}});
        let schema = json!({"type": "object", "required": ["task"], "additionalProperties": false, "properties": {
            "task": {"type": "string"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 50},
            "outcome": {"type": "string", "enum": ["success", "failure"]},
            "steps": {"type": "array", "items": step}}});
        let arguments =
            json!({"limit": 0, "outcome": "won", "steps": [{"tool": "a"}, {"ok": "yes", "x": 1}], "tsk": 1});
        assert_eq!(
            problems(schema, arguments),
            [
                "`task` is missing; it must be a string",
                "`limit` must be an integer from 1 to 50, not 0",
                "`outcome` must be one of \"success\", \"failure\", not \"won\"",
                "`steps[1].tool` is missing; it must be a string",
                "`steps[1].ok` must be a boolean, not \"yes\"",
                "`steps[1].x` is unknown; known are `tool`, `ok`",
                "`tsk` is unknown; known are `task`, `limit`, `outcome`, `steps`",
            ]
        );
    }

    #[test]
    fn an_optional_argument_may_be_null() {
        let schema = json!({"properties": {"limit": {"type": "integer"}}, "additionalProperties": false});
        assert_eq!(problems(schema, json!({"limit": null})), Vec::<String>::new());
    }
}
