//! The command `model`: the models that a user keeps.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use embeddings::{Active, Api, ApiKey, Endpoint, HUB, Library, Manifest, ModelName, Origin, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Download a model; the first one is used from then on
    ///
    /// all-MiniLM-L6-v2 (91 MB) is known and checked against the contents that this program was made with. Any other
    /// BERT sentence encoder can be named as OWNER/NAME of the model hub. A download that was cut is continued.
    Pull {
        /// all-MiniLM-L6-v2, or OWNER/NAME
        name: String,
        /// Another hub: a mirror
        #[arg(long, value_name = "URL", default_value = HUB)]
        from: String,
    },
    /// Add a model from a directory, or an embedding server
    Add(AddArguments),
    /// Which models there are
    List,
    /// Choose the model to use
    Use {
        /// Its name; none: search by words only
        #[arg(value_parser = name_or_none)]
        name: NameOrNone,
    },
    /// Remove a model
    Remove {
        /// Its name
        name: ModelName,
        /// Even if it is in use; then none is
        #[arg(long)]
        force: bool,
    },
    /// Check whether the files of a model are as they were
    Verify {
        /// Its name; all models without
        name: Option<ModelName>,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct AddArguments {
    /// The directory: config.json, vocab.txt and model.safetensors of a BERT sentence encoder
    #[arg(conflicts_with = "endpoint")]
    directory: Option<PathBuf>,
    /// Where an embedding server is, such as http://127.0.0.1:11434. What is stored and asked is sent there
    #[arg(long, value_name = "URL", requires = "model")]
    endpoint: Option<String>,
    /// What the server calls the model
    #[arg(long, requires = "endpoint")]
    model: Option<String>,
    /// The server's interface
    #[arg(long, value_enum, default_value = "openai", requires = "endpoint")]
    api: ApiArgument,
    /// The variable of the environment that holds the server's key, now and later; the key is not stored
    #[arg(long, value_name = "VARIABLE", requires = "endpoint")]
    key_env: Option<String>,
    /// What to call it [default: the name of the directory, or of the server's model]
    #[arg(long)]
    name: Option<ModelName>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ApiArgument {
    /// POST /v1/embeddings, which many servers have
    #[value(name = "openai")]
    OpenAi,
    /// POST /api/embed
    Ollama,
}

/// A model, or none.
#[derive(Clone, Debug)]
pub(crate) struct NameOrNone(Option<ModelName>);

fn name_or_none(text: &str) -> Result<NameOrNone, String> {
    if text == "none" { Ok(NameOrNone(None)) } else { text.parse().map(Some).map(NameOrNone) }
}

/// Does what the command says. Blocks while it reads, hashes and downloads: nothing else is to be done meanwhile.
pub(crate) fn run(command: ModelCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let library = Library::new(settings.models());
    let mut out = std::io::stdout().lock();
    match command {
        ModelCommand::List => {
            list(&mut out, &library, settings)?;
            return Ok(ExitCode::SUCCESS);
        }
        ModelCommand::Verify { name } => return verify(&mut out, &library, name),
        ModelCommand::Pull { .. } | ModelCommand::Add(_) => settings.create_data_dir()?,
        ModelCommand::Use { .. } | ModelCommand::Remove { .. } => {}
    }
    match command {
        ModelCommand::Pull { name, from } => {
            let manifest = pull(&library, &name, &from)?;
            added(&mut out, &library, settings, &manifest)?;
        }
        ModelCommand::Add(arguments) => {
            let manifest = add(&library, arguments)?;
            added(&mut out, &library, settings, &manifest)?;
        }
        ModelCommand::Use { name: NameOrNone(name) } => {
            library.put_in_use(name.as_ref())?;
            match name {
                Some(name) => writeln!(
                    out,
                    "{name} is in use; servers that run take it up when they are started again."
                )?,
                None => writeln!(out, "No model is in use: search is by words.")?,
            }
            shadowed(&mut out, settings)?;
        }
        ModelCommand::Remove { name, force } => {
            library.remove(&name, force)?;
            writeln!(out, "{name} is removed.")?;
        }
        ModelCommand::List | ModelCommand::Verify { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The key in a variable of the environment.
pub(crate) fn key(variable: &str) -> Option<ApiKey> {
    std::env::var(variable).ok().filter(|key| !key.is_empty()).map(ApiKey::new)
}

fn pull(library: &Library, name: &str, hub: &str) -> anyhow::Result<Manifest> {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg:24} {bar:30} {bytes}/{total_bytes} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut show = |Progress { file, bytes, total }: Progress<'_>| {
        if bar.message() != file {
            bar.set_message(file.to_owned());
        }
        bar.set_length(total.unwrap_or(bytes));
        bar.set_position(bytes);
    };
    let pulled = library.pull(name, hub, &mut show);
    bar.finish_and_clear();
    pulled.with_context(|| format!("failed to pull {name}"))
}

fn add(library: &Library, arguments: AddArguments) -> anyhow::Result<Manifest> {
    let AddArguments { directory, endpoint, model, api, key_env, name } = arguments;
    let (url, model) = match (directory, endpoint, model) {
        (Some(directory), ..) => {
            return library
                .add(&directory, name)
                .with_context(|| format!("failed to add the model in {}", directory.display()));
        }
        (None, Some(url), Some(model)) => (url, model),
        _ => bail!("name a directory, or a server with --endpoint and --model"),
    };
    let name = match name {
        Some(name) => name,
        None => {
            let last = model.rsplit('/').next().unwrap_or_default().replace(':', "-");
            last.parse().map_err(|problem| anyhow::anyhow!("{problem}; choose one with --name"))?
        }
    };
    if let Some(variable) = key_env.as_deref().filter(|variable| key(variable).is_none()) {
        bail!("the variable {variable} holds no key; set it before, here and where the server is started");
    }
    let api = match api {
        ApiArgument::OpenAi => Api::OpenAi,
        ApiArgument::Ollama => Api::Ollama,
    };
    let key = key_env.as_deref().and_then(key);
    let endpoint = Endpoint { url, api, model, key_env };
    library.add_endpoint(name, endpoint, key).context("failed to add the embedding server")
}

/// Says what was added, and puts it into use if it is the only one.
fn added(
    out: &mut impl Write,
    library: &Library,
    settings: &Settings,
    manifest: &Manifest,
) -> anyhow::Result<()> {
    let Manifest { name, dimensions, .. } = manifest;
    writeln!(out, "{name} is there and works: {dimensions} dimensions, {}.", size(manifest))?;
    match library.in_use()? {
        None if library.list()?.len() == 1 => {
            library.put_in_use(Some(name))?;
            writeln!(out, "It is in use; servers that run take it up when they are started again.")?;
        }
        Some(used) if used == *name => writeln!(out, "It is in use.")?,
        _ => writeln!(out, "Use it with: memory-mcp model use {name}")?,
    }
    shadowed(out, settings)?;
    Ok(())
}

/// What is chosen here has no effect while another directory is named.
fn shadowed(out: &mut impl Write, settings: &Settings) -> std::io::Result<()> {
    match &settings.model.dir {
        Some(dir) => {
            writeln!(
                out,
                "But MEMORY_MCP_MODEL_DIR, --model-dir or the configuration file names {}, which comes first.",
                dir.display()
            )
        }
        None => Ok(()),
    }
}

fn list(out: &mut impl Write, library: &Library, settings: &Settings) -> anyhow::Result<()> {
    let (models, in_use) = (library.list()?, library.in_use()?);
    if models.is_empty() {
        writeln!(
            out,
            "There is no model yet: search is by words. Try: memory-mcp model pull all-MiniLM-L6-v2"
        )?;
    }
    for model in &models {
        let mark = if in_use.as_ref() == Some(&model.name) { "*" } else { " " };
        let Manifest { name, dimensions, origin, .. } = model;
        writeln!(out, "{mark} {name:<24} {dimensions:>5} dimensions  {:>9}  {origin}", size(model))?;
    }
    if !models.is_empty() && in_use.is_none() {
        writeln!(out, "None of them is in use: search is by words.")?;
    }
    if settings.model.dir.is_some() {
        shadowed(out, settings)?;
        match Active::find(library, settings.model.dir.as_deref()) {
            Ok(active) => {
                writeln!(out, "In use: {}", active.map_or_else(|| "none".into(), |active| active.name()))?;
            }
            Err(error) => writeln!(out, "It cannot be used: {error}")?,
        }
    }
    Ok(())
}

fn size(manifest: &Manifest) -> String {
    match manifest.origin {
        Origin::Endpoint(_) => "a server".into(),
        Origin::Hub { .. } | Origin::Directory(_) => format!("{:.1} MB", manifest.bytes() as f64 / 1e6),
    }
}

fn verify(out: &mut impl Write, library: &Library, name: Option<ModelName>) -> anyhow::Result<ExitCode> {
    let models = match name {
        Some(name) => vec![library.get(&name)?],
        None => library.list()?,
    };
    let mut code = ExitCode::SUCCESS;
    for Manifest { name, origin, .. } in models {
        let damages = library.verify(&name)?;
        if damages.is_empty() {
            let good = if matches!(origin, Origin::Endpoint(_)) { "a server, no files" } else { "good" };
            writeln!(out, "{name}: {good}")?;
            continue;
        }
        code = ExitCode::FAILURE;
        for damage in damages {
            writeln!(out, "{name}: {} is damaged: {}", damage.file, damage.problem)?;
        }
        match origin {
            Origin::Hub { repository, .. } => {
                writeln!(out, "Mend it with: memory-mcp model pull {repository}")?;
            }
            Origin::Directory(_) | Origin::Endpoint(_) => {
                writeln!(out, "Remove it and add it again to mend it.")?;
            }
        }
    }
    Ok(code)
}
