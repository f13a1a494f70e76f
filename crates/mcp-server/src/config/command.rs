//! The command `config`: what the settings are, and whether a file is right.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value as Json, json};

use super::layers::{Mistakes, Place, Sources};
use super::{SETTINGS, Setting};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every setting, its value and where that comes from: the default, a line of the file, a variable or a flag
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say everything that is wrong with the configuration; the exit code is 1 if anything is
    Check {
        /// The file [default: the one that a server would read]
        file: Option<PathBuf>,
    },
    /// The file that is read if it is there
    Path,
}

/// Does what the command says. `flags` are those given beside it, `config` what `--config` named.
pub(crate) fn run(
    command: ConfigCommand,
    config: Option<OsString>,
    flags: Vec<(&'static str, Option<OsString>)>,
) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match command {
        ConfigCommand::Show { json } => {
            let loaded = Sources::of_process(config, flags).load()?;
            remark(&loaded.remarks)?;
            let entries = SETTINGS.iter().zip(loaded.settings.shown()).zip(&loaded.origins);
            if json {
                let entry = |((setting, value), place)| entry(setting, &value, place);
                writeln!(out, "{}", json!(entries.map(entry).collect::<Vec<_>>()))?;
            } else {
                for ((setting, value), place) in entries {
                    writeln!(out, "{} = {}  # {}", setting.key, toml(&value), origin(place))?;
                }
            }
        }
        ConfigCommand::Check { file } => {
            let sources = Sources::of_process(file.map(OsString::from).or(config), flags);
            match sources.load() {
                Ok(loaded) => {
                    remark(&loaded.remarks)?;
                    match &loaded.file {
                        Some(path) => writeln!(out, "{} is right", path.display())?,
                        None => writeln!(out, "the configuration is right; there is no file")?,
                    }
                }
                Err(mistakes) => {
                    let mut err = std::io::stderr().lock();
                    Mistakes::lines(&mistakes).iter().try_for_each(|line| writeln!(err, "{line}"))?;
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        ConfigCommand::Path => {
            let sources = Sources::of_process(config, flags);
            let path = sources.path().map(|path| path.display().to_string());
            writeln!(out, "{}", path.ok_or_else(|| anyhow::anyhow!("failed to find a home directory"))?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn remark(remarks: &[String]) -> std::io::Result<()> {
    let mut err = std::io::stderr().lock();
    remarks.iter().try_for_each(|remark| writeln!(err, "{remark}"))
}

fn entry(setting: &Setting, value: &Json, place: &Place) -> Json {
    let (kind, name) = match place {
        Place::Default => ("default", None),
        Place::File { .. } => ("file", None),
        Place::Variable(name) => ("environment", Some(name.as_str())),
        Place::Flag(name) => ("flag", Some(*name)),
    };
    let mut entry = json!({"key": setting.key, "value": value, "origin": kind});
    if let Some(name) = name {
        entry["name"] = name.into();
    }
    if let Place::File { path, line, .. } = place {
        entry["file"] = path.display().to_string().into();
        entry["line"] = (*line).into();
    }
    entry
}

fn origin(place: &Place) -> String {
    match place {
        Place::File { path, line, .. } => format!("{}:{line}", path.display()),
        _ => place.to_string(),
    }
}

/// A value as it would stand in a file.
fn toml(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name} = {}", toml(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        // JSON's texts and numbers are TOML's, too.
        other => other.to_string(),
    }
}
