//! The layers that values come from: defaults, then a file, then the environment, then flags.

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use toml::Spanned;
use toml::de::DeValue;

use super::document::Document;
use super::rule::{Given, Notation, Rule, Wrong};
use super::{DEFAULTS, SETTINGS, Setting, Settings};
use crate::limits::{CONFIG_BYTES_MAX, CONFIG_MISTAKES_SHOWN_MAX};

/// The defaults are read once, however often the settings are.
static DEFAULT: LazyLock<Document<'static>> = LazyLock::new(|| Document::parse(DEFAULTS));

/// Letters by which a variable may differ from a known one to be taken for a misspelling of it.
const MISSPELT_LETTERS_MAX: usize = 2;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Default,
    /// Line and column from 1.
    File {
        path: Arc<Path>,
        line: usize,
        column: usize,
    },
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Everything that is wrong with the configuration: where, and what.
#[derive(Debug)]
pub(crate) struct Mistakes(Vec<String>);

impl Mistakes {
    /// One line a mistake.
    pub(crate) fn lines(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong")?;
        self.lines().iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Mistakes {}

/// What the configuration file holds at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Absent,
    Text(String),
    /// Why it cannot be read.
    Unreadable(String),
}

/// Settings that were read, and where each came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    /// In the order of [`SETTINGS`].
    pub(super) origins: Vec<Place>,
    /// The file, if there is one.
    pub(crate) file: Option<Arc<Path>>,
    /// What it held.
    pub(crate) content: Content,
    /// What is no mistake, but somebody should look.
    pub(crate) remarks: Vec<String>,
}

/// Where the layers are. Environment and flags are as they were when the program was started.
#[derive(Debug)]
pub(crate) struct Sources {
    path: Option<Arc<Path>>,
    /// What named the file; it must be there then.
    named_by: Option<Place>,
    environment: Vec<(String, OsString)>,
    /// By the name of the flag.
    flags: Vec<(&'static str, OsString)>,
}

impl Sources {
    /// The layers of this process. An empty value is one that was not given: clients pass on what their configuration
    /// leaves blank.
    pub(crate) fn of_process(config: Option<OsString>, flags: Vec<(&'static str, Option<OsString>)>) -> Self {
        let flags = flags.into_iter().filter_map(|(name, value)| Some((name, given(value)?)));
        let ours = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok().filter(|name| name.starts_with("MEMORY_MCP_"))?;
            Some((name, given(Some(value))?))
        };
        let environment: Vec<_> = std::env::vars_os().filter_map(ours).collect();
        let flag = given(config).map(|path| (path, Place::Flag("--config")));
        let variable = || {
            let (name, path) = environment.iter().find(|(name, _)| name == "MEMORY_MCP_CONFIG")?;
            Some((path.clone(), Place::Variable(name.clone())))
        };
        let (path, named_by) = match flag.or_else(variable) {
            Some((path, place)) => (Some(PathBuf::from(path)), Some(place)),
            None => {
                let dirs = directories::ProjectDirs::from("", "", "memory-mcp");
                (dirs.map(|dirs| dirs.config_dir().join("config.toml")), None)
            }
        };
        Self { path: path.map(Arc::from), named_by, environment, flags: flags.collect() }
    }

    /// The file that is read if it is there.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Reads everything.
    ///
    /// # Errors
    /// Everything that is wrong, wherever it stands.
    pub(crate) fn load(&self) -> Result<Loaded, Mistakes> {
        self.load_from(self.content())
    }

    /// Reads the file. Blocks.
    pub(super) fn content(&self) -> Content {
        let Some(path) = &self.path else { return Content::Absent };
        match read(path) {
            Ok(Some(text)) => Content::Text(text),
            Ok(None) => Content::Absent,
            Err(reason) => Content::Unreadable(reason),
        }
    }

    /// As [`Self::load`], with what the file held when it was read.
    pub(super) fn load_from(&self, content: Content) -> Result<Loaded, Mistakes> {
        let mut mistakes = Vec::new();
        let text = match (&content, &self.path) {
            (Content::Text(text), Some(path)) => Some((path, text)),
            (Content::Unreadable(reason), Some(path)) => {
                mistakes.push(format!("{}: {reason}", path.display()));
                None
            }
            (Content::Absent, Some(path)) => {
                let missing = |by: &Place| format!("{by}: there is no file {}", path.display());
                mistakes.extend(self.named_by.as_ref().map(missing));
                None
            }
            (_, None) => None,
        };
        let file = text.map(|(path, text)| File {
            path: path.clone(),
            document: Document::parse(text),
            wrong: Vec::new(),
        });
        let path = file.as_ref().map(|file| file.path.clone());
        let mut layers = Layers { sources: self, file, origins: Vec::new(), mistakes: Vec::new() };
        let settings = Settings::read(&mut layers);
        let Layers { file, origins, mistakes: others, .. } = layers;
        mistakes.extend(file.into_iter().flat_map(File::mistakes).chain(others));
        match settings {
            Some(settings) if mistakes.is_empty() => {
                Ok(Loaded { settings, origins, file: path, content, remarks: self.remarks() })
            }
            _ => Err(Mistakes(mistakes)),
        }
    }

    /// Variables that look like settings and are none. Others may be anybody's.
    fn remarks(&self) -> Vec<String> {
        let settings = SETTINGS.iter().flat_map(Setting::variables);
        let known: Vec<String> = settings.chain(["MEMORY_MCP_CONFIG".to_owned()]).collect();
        let remark = |(name, _): &(String, OsString)| {
            if known.contains(name) {
                return None;
            }
            let meant = known
                .iter()
                .map(|known| (strsim::osa_distance(known, name), known))
                .filter(|(letters, _)| *letters <= MISSPELT_LETTERS_MAX)
                .min()?
                .1;
            Some(format!("{name} sets nothing; did you mean {meant}?"))
        };
        self.environment.iter().filter_map(remark).collect()
    }
}

fn given(value: Option<OsString>) -> Option<OsString> {
    value.filter(|value| !value.is_empty())
}

/// The text of a file; nothing if there is none.
fn read(path: &Path) -> Result<Option<String>, String> {
    // Looked at before it is opened: to open a pipe would wait for who writes to it.
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("failed to read it: {error}")),
        Ok(metadata) if metadata.is_dir() => return Err("it is a directory, expected a file".to_owned()),
        Ok(metadata) if !metadata.is_file() => return Err("it is no regular file".to_owned()),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("failed to read it: {error}")),
        Ok(bytes) if bytes as u64 > CONFIG_BYTES_MAX => {
            return Err(format!("it is larger than {} KiB", CONFIG_BYTES_MAX / 1_024));
        }
        Ok(_) => {}
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        format!("it is not UTF-8 from line {line} on")
    })
}

/// The file as one of the layers.
struct File<'a> {
    path: Arc<Path>,
    document: Document<'a>,
    wrong: Vec<Wrong>,
}

impl File<'_> {
    /// What is wrong, in the order of the text.
    fn mistakes(mut self) -> Vec<String> {
        // What the parser puts where it could not read a value has no place.
        if self.document.is_broken() {
            self.wrong.retain(|wrong| wrong.at != (0..0));
        }
        let mut wrong: Vec<Wrong> = self.wrong.into_iter().chain(self.document.wrong()).collect();
        wrong.sort_by_key(|wrong| wrong.at.start);
        let rest = wrong.len().saturating_sub(CONFIG_MISTAKES_SHOWN_MAX);
        let shown = wrong.iter().take(CONFIG_MISTAKES_SHOWN_MAX).map(|Wrong { at, message }| {
            let (line, column) = self.document.position(at.start);
            format!("{}: {message}", Place::File { path: self.path.clone(), line, column })
        });
        let more = (rest > 0).then(|| format!("{}: … and {rest} more", self.path.display()));
        shown.chain(more).collect()
    }
}

/// The layers while they are read.
pub(crate) struct Layers<'a> {
    sources: &'a Sources,
    file: Option<File<'a>>,
    origins: Vec<Place>,
    /// Those outside the file.
    mistakes: Vec<String>,
}

impl Layers<'_> {
    /// Reads a setting from every layer; the last one counts. Nothing if any of them is wrong.
    pub(super) fn read<R: Rule>(&mut self, setting: &Setting) -> Option<R::Value> {
        let mut is_right = true;
        let mut best = None;
        if let Some(File { path, document, wrong }) = &mut self.file
            && let Some((at, value)) = document.get(setting.key)
        {
            match R::read(&Given { value, folder: path.parent() }) {
                Ok(value) => {
                    let (line, column) = document.position(at.start);
                    best = Some((value, Place::File { path: path.clone(), line, column }));
                }
                Err(found) => {
                    is_right = false;
                    let named =
                        |Wrong { at, message }| Wrong { at, message: format!("{}: {message}", setting.key) };
                    wrong.extend(found.into_iter().map(named));
                }
            }
        }
        let sources = self.sources;
        let variable = setting.variables().find_map(|name| {
            let (_, text) = sources.environment.iter().find(|(known, _)| *known == name)?;
            Some((Place::Variable(name), text))
        });
        let flag = setting.flag.and_then(|flag| {
            let (_, text) = sources.flags.iter().find(|(known, _)| *known == flag)?;
            Some((Place::Flag(flag), text))
        });
        for (place, text) in variable.into_iter().chain(flag) {
            match read_text::<R>(setting.notation, text) {
                Ok(value) => best = Some((value, place)),
                Err(messages) => {
                    is_right = false;
                    self.mistakes.extend(messages.into_iter().map(|message| format!("{place}: {message}")));
                }
            }
        }
        if best.is_none() && is_right {
            best = self.read_default::<R>(setting);
        }
        let (value, place) = best.filter(|_| is_right)?;
        self.origins.push(place);
        Some(value)
    }

    fn read_default<R: Rule>(&mut self, setting: &Setting) -> Option<(R::Value, Place)> {
        let Some((_, value)) = DEFAULT.get(setting.key) else {
            self.mistakes.push(format!("{} has no default", setting.key));
            return None;
        };
        match R::read(&Given { value, folder: None }) {
            Ok(value) => Some((value, Place::Default)),
            Err(wrong) => {
                self.mistakes
                    .extend(wrong.into_iter().map(|wrong| format!("{}: {}", setting.key, wrong.message)));
                None
            }
        }
    }
}

/// Reads what a variable or a flag says.
fn read_text<R: Rule>(notation: Notation, text: &OsString) -> Result<R::Value, Vec<String>> {
    let Some(text) = text.to_str() else {
        return Err(vec![format!("{} is not UTF-8, expected {}", text.display(), R::expected())]);
    };
    let string = |text: &str| DeValue::String(text.to_owned().into());
    let value = match notation {
        Notation::Text => string(text),
        Notation::List => {
            let items = text.split(',').map(|item| Spanned::new(0..0, string(item)));
            DeValue::Array(items.collect())
        }
        Notation::Toml => DeValue::parse(text).map_or_else(|_| string(text), Spanned::into_inner),
    };
    let value = Spanned::new(0..text.len(), value);
    let wrong = |wrong: Vec<Wrong>| wrong.into_iter().map(|wrong| wrong.message).collect();
    R::read(&Given { value: &value, folder: None }).map_err(wrong)
}
