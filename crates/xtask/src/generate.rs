//! The reference documents, made from what the program itself declares.

use std::fmt::Write;

use anyhow::bail;
use mcp_server::{SectionReference, cli, setting_reference};
use serde_json::{Map, Value};

use crate::root;

const NOTICE: &str = "<!-- Made by `cargo xtask generate`. Change the code instead. -->\n\n";

/// Writes the documents, or with `check` compares them with what would be written.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    let documents = [
        ("docs/tools.md", tools()?),
        ("docs/configuration.md", configuration()?),
        ("docs/cli.md", commands()),
        ("docs/man/memory-mcp.1", manual()?),
    ];
    for (name, text) in documents {
        let path = root().join(name);
        if !check {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&path, text)?;
        } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(name);
        }
    }
    if !stale.is_empty() {
        bail!("{} not up to date; run `cargo xtask generate`", stale.join(" and "));
    }
    Ok(())
}

fn tools() -> anyhow::Result<String> {
    let mut text = format!("{NOTICE}# Tools\n\n");
    text.push_str(
        "Every result comes as `structuredContent` and, the same, as JSON text. A tool that could not do what it was \
         asked returns `isError` with `error {kind, message, fields [{field, problem}]}`; `kind` is \
         `invalid_arguments`, `not_found`, `already_completed`, `forbidden`, `storage`, or `busy` with \
         `retry_after_ms`. Ids are UUIDs, times are \
         RFC 3339 in UTC. Arguments marked * are required; unknown ones are refused.\n",
    );
    text.push_str(
        "\nWhich tools a client is shown depends on its user's level; all of them work when they are called, whatever the \
         level. Clients get the types of the fields of a result as its schema, the tables below say what they mean.\n",
    );
    for (tool, result) in mcp_server::tool_reference() {
        let level = mcp_server::tool_level(&tool.name);
        let tool = serde_json::to_value(&tool)?;
        let said = |field: &str| tool[field].as_str().unwrap_or_default();
        let (name, title, description) = (said("name"), said("title"), said("description"));
        write!(text, "\n## `{name}`\n\n{title}. Shown from the level *{level}* on.\n\n{description}\n\n")?;
        if tool["inputSchema"]["properties"].as_object().is_some_and(|arguments| !arguments.is_empty()) {
            text.push_str("| argument | type | |\n|---|---|---|\n");
            rows(&mut text, &tool["inputSchema"], "", "*")?;
            text.push('\n');
        }
        text.push_str("| result | type | |\n|---|---|---|\n");
        rows(&mut text, &result, "", "")?;
    }
    text.push_str("\n# Resources\n\nAll are JSON, as the tools would answer.\n\n| template | |\n|---|---|\n");
    for template in mcp_server::resource_templates() {
        let description = template.description.unwrap_or_default();
        writeln!(text, "| `{}` | {description} |", template.uri_template)?;
    }
    text.push_str("\n# Prompts\n\n| prompt | arguments | |\n|---|---|---|\n");
    for prompt in mcp_server::prompts() {
        let arguments = prompt.arguments.unwrap_or_default().into_iter().map(|argument| argument.name);
        let arguments = arguments.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        writeln!(text, "| `{}` | {arguments} | {} |", prompt.name, prompt.description.unwrap_or_default())?;
    }
    Ok(text)
}

/// One row a property, those of nested objects after their own; `star` marks the required ones.
fn rows(text: &mut String, schema: &Value, prefix: &str, star: &str) -> std::fmt::Result {
    let none = Map::new();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().unwrap_or(&none) {
        let mark = if required.contains(&name.as_str()) { star } else { "" };
        let description = property["description"].as_str().unwrap_or_default().replace('\n', " ");
        writeln!(text, "| `{prefix}{name}`{mark} | {} | {description} |", kind(property))?;
        if property["properties"].is_object() {
            rows(text, property, &format!("{prefix}{name}."), star)?;
        } else if property["items"]["properties"].is_object() {
            rows(text, &property["items"], &format!("{prefix}{name}[]."), star)?;
        }
    }
    Ok(())
}

fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    }
    if let Some(branches) = schema["anyOf"].as_array() {
        return branches.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    match schema["type"].as_str() {
        Some("array") => match kind(&schema["items"]).as_str() {
            "" => "array".to_owned(),
            items => format!("array of {items}"),
        },
        Some(name) => match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
            (Some(minimum), Some(maximum)) => format!("{name}, {minimum} to {maximum}"),
            _ => name.to_owned(),
        },
        None => String::new(),
    }
}

const LAYERS: &str = "Every setting has a default. It is overruled by the configuration file, that by the environment, \
    that by a flag. An empty variable or flag is one that was not given.\n\n\
    The file is TOML, `config.toml` in the platform's configuration directory (`memory-mcp config path` says where; on \
    Linux `~/.config/memory-mcp/config.toml`) if it is there, or what `--config` or `MEMORY_MCP_CONFIG` names. It needs to \
    name only what it changes; [config/default.toml](../config/default.toml) has everything. Relative paths start from the \
    folder of the file, `~/` from the home directory.\n\n\
    `memory-mcp config show` says every value and where it comes from, `memory-mcp config check [FILE]` everything that is \
    wrong. With a configuration that is wrong in any place nothing is started (exit code 2).\n\n\
    A running server takes up a change of the file within about two seconds, or at once on SIGHUP, as a whole: a call sees \
    all of it or none. If the file is then wrong or gone, the settings from before stay in effect, and `health_check` and \
    the log say so until it is put right. What is marked *at the next start* waits until then, and `health_check` says \
    what does.\n\n\
    In a variable, lists have commas between their items, and `auth.keys` is written as in the file.\n";

fn configuration() -> anyhow::Result<String> {
    let mut text = format!("{NOTICE}# Configuration\n\n{LAYERS}");
    for SectionReference { name, description, settings } in setting_reference() {
        if !name.is_empty() {
            write!(text, "\n## `[{name}]`\n\n{description}\n")?;
        }
        for setting in settings {
            let variables: Vec<String> = setting.variables.iter().map(|name| format!("`{name}`")).collect();
            let flag = setting.flag.map(|flag| format!(", flag `{flag}`")).unwrap_or_default();
            let effect = if setting.is_live { "at once" } else { "at the next start" };
            write!(text, "\n### `{}`\n\n{}\n\n", setting.key, setting.description)?;
            writeln!(text, "* Default `{}`; {}.", setting.default, setting.expected)?;
            writeln!(text, "* Variable {}{flag}. A change takes effect *{effect}*.", variables.join(" or "))?;
        }
    }
    Ok(text)
}

fn manual() -> anyhow::Result<String> {
    let mut page = Vec::new();
    let command = cli::command().after_help("memory-mcp help COMMAND tells more of a command.");
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    let mut page = String::from_utf8(page)?;
    // There is one page, not one for each command.
    for name in command.get_subcommands().map(clap::Command::get_name).chain(["help"]) {
        let name = name.replace('-', "\\-");
        page = page.replace(&format!("memory\\-mcp\\-{name}(1)"), &format!("memory\\-mcp {name}"));
    }
    Ok(page)
}

fn commands() -> String {
    let mut text = format!("{NOTICE}# Command line\n");
    let mut command = cli::command().term_width(100);
    command.build();
    section(&mut text, &mut command, "memory-mcp");
    text
}

fn section(text: &mut String, command: &mut clap::Command, name: &str) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        let name = format!("{name} {}", sub.get_name());
        section(text, sub, &name);
    }
}
