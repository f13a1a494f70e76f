//! The command `key`: making the keys of a team.

use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Subcommand;

use crate::auth::{Key, KeyAccess, KeyHash, KeySettings, is_name};
use crate::limits::{KEY_INPUT_BYTES_MAX, KEY_NAME_CHARS_MAX};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key, and print it with what goes into the configuration. The key is shown this once
    New {
        /// Whose it is
        #[arg(long)]
        name: String,
        /// The domains that its user may see, each with those below it, with commas between; * for everything
        #[arg(long, value_delimiter = ',', required = true)]
        domains: Vec<String>,
        /// Its user may change nothing
        #[arg(long)]
        read_only: bool,
    },
    /// Print the hash of a key, which is read from standard input: for a key that is kept elsewhere
    Hash,
}

/// Runs the command.
pub(crate) fn run(command: KeyCommand) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match command {
        KeyCommand::New { name, domains, read_only } => {
            let access = if read_only { KeyAccess::Read } else { KeyAccess::ReadWrite };
            let key = Key::generate()?;
            // What the configuration would refuse is refused here.
            ensure!(is_name(&name), "{name:?} is no name: give 1 to {KEY_NAME_CHARS_MAX} characters");
            let settings = KeySettings::new(name, key.hash(), domains, access)
                .context("the domains cannot be those of a key")?;
            writeln!(
                out,
                "# The key, for its user: MEMORY_MCP_API_KEY. It is kept nowhere and not shown again."
            )?;
            writeln!(out, "{}\n", key.reveal())?;
            writeln!(out, "# For the configuration file of the server:")?;
            write!(out, "{}", snippet(&settings)?)?;
        }
        KeyCommand::Hash => writeln!(out, "{}", hash_of(std::io::stdin().lock())?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Strings and lists of JSON are those of TOML.
fn snippet(settings: &KeySettings) -> anyhow::Result<String> {
    let access = match settings.level() {
        KeyAccess::Read => "read",
        KeyAccess::ReadWrite => "read_write",
    };
    let KeySettings { name, hash, domains, .. } = settings;
    let (name, domains) = (serde_json::to_string(name)?, serde_json::to_string(domains)?);
    Ok(format!(
        "[[auth.keys]]\nname = {name}\nhash = \"{hash}\"\ndomains = {domains}\naccess = \"{access}\"\n"
    ))
}

fn hash_of(input: impl Read) -> anyhow::Result<KeyHash> {
    let mut text = String::new();
    input.take(KEY_INPUT_BYTES_MAX).read_to_string(&mut text).context("failed to read the key")?;
    match Key::parse(text.trim()) {
        Some(key) => Ok(key.hash()),
        None => {
            bail!("this is no key that `memory-mcp key new` made; others could be guessed from their hash")
        }
    }
}
