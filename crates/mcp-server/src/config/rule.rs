//! What a setting may be: how a value is read, what is expected where it cannot be, how it is shown.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use memory_core::access::Access;
use serde_json::{Value as Json, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use tracing_subscriber::EnvFilter;

use crate::auth::{KeyAccess, KeyHash, KeySettings, is_name};
use crate::limits::{CONFIG_FOUND_CHARS_MAX, KEYS_MAX};

/// A value as a layer gives it.
pub(crate) struct Given<'a> {
    pub(crate) value: &'a Spanned<DeValue<'a>>,
    /// The folder of the file that it stands in, from which relative paths start; elsewhere they start from the working
    /// directory.
    pub(crate) folder: Option<&'a Path>,
}

/// What is wrong, and where in the text of the layer.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    pub(crate) at: Range<usize>,
    pub(crate) message: String,
}

/// How the text of a variable or a flag becomes a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notation {
    /// As it is.
    Text,
    /// Texts with commas between them.
    List,
    /// As it would stand in a file.
    Toml,
}

/// What a setting may be.
pub(crate) trait Rule {
    type Value: Clone + fmt::Debug + PartialEq;
    const NOTATION: Notation;
    /// Whether it says who may use the memory: then only the operator is shown it.
    const PRIVATE: bool = false;

    /// What is expected, to finish "expected …".
    fn expected() -> String;

    /// Reads a value, or says everything that is wrong with it.
    fn read(given: &Given<'_>) -> Result<Self::Value, Vec<Wrong>>;

    /// The value as it is shown, without what is secret in it.
    fn shown(value: &Self::Value) -> Json;

    /// What is wrong if the value is none that is expected.
    fn refused(given: &Given<'_>) -> Vec<Wrong> {
        vec![Wrong {
            at: given.value.span(),
            message: format!("found {}, expected {}", found(given.value.get_ref()), Self::expected()),
        }]
    }
}

/// What stands there, in a few words.
pub(crate) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.is_empty() => "an empty text".to_owned(),
        DeValue::String(text) => {
            let mut shown: String = text.chars().take(CONFIG_FOUND_CHARS_MAX).collect();
            if shown.len() < text.len() {
                shown.push('…');
            }
            format!("{shown:?}")
        }
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The directory of everything stored; the platform's where none is named.
#[derive(Debug)]
pub(crate) struct DataDir;

impl Rule for DataDir {
    type Value = PathBuf;
    const NOTATION: Notation = Notation::Text;

    fn expected() -> String {
        "a directory".to_owned()
    }

    fn read(given: &Given<'_>) -> Result<PathBuf, Vec<Wrong>> {
        if let Some(dir) = OptionalDir::read(given)? {
            return Ok(dir);
        }
        let dirs = directories::ProjectDirs::from("", "", "memory-mcp");
        dirs.map(|dirs| dirs.data_dir().to_owned()).ok_or_else(|| {
            let message = "failed to find a home directory; name a data directory with --data-dir or MEMORY_MCP_DATA_DIR";
            vec![Wrong { at: given.value.span(), message: message.to_owned() }]
        })
    }

    fn shown(value: &PathBuf) -> Json {
        json!(value.to_string_lossy())
    }
}

/// A directory, or none where the text is empty.
#[derive(Debug)]
pub(crate) struct OptionalDir;

impl Rule for OptionalDir {
    type Value = Option<PathBuf>;
    const NOTATION: Notation = Notation::Text;

    fn expected() -> String {
        "a directory".to_owned()
    }

    fn read(given: &Given<'_>) -> Result<Option<PathBuf>, Vec<Wrong>> {
        let Some(text) = given.value.get_ref().as_str() else { return Err(Self::refused(given)) };
        if text.is_empty() {
            return Ok(None);
        }
        // Clients pass on what their configuration says without expanding it as a shell does.
        if let Some(rest) = text.strip_prefix("~/")
            && let Some(home) = directories::BaseDirs::new()
        {
            return Ok(Some(home.home_dir().join(rest)));
        }
        Ok(Some(given.folder.map_or_else(|| PathBuf::from(text), |folder| folder.join(text))))
    }

    fn shown(value: &Option<PathBuf>) -> Json {
        json!(value.as_ref().map(|dir| dir.to_string_lossy()).unwrap_or_default())
    }
}

/// What to log.
#[derive(Debug)]
pub(crate) struct Filter;

/// What a filter may say by itself; other words would silently stand for parts of the program that do not exist.
const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Rule for Filter {
    type Value = String;
    const NOTATION: Notation = Notation::Text;

    fn expected() -> String {
        "off, error, warn, info, debug or trace, by itself or for a part as in \"warn,mcp_server=debug\""
            .to_owned()
    }

    fn read(given: &Given<'_>) -> Result<String, Vec<Wrong>> {
        let sensible = |text: &&str| {
            let known = |word: &str| LOG_LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
            EnvFilter::try_new(text).is_ok()
                && text.split(',').all(|part| part.contains(['=', '[']) || known(part.trim()))
        };
        let text = given.value.get_ref().as_str().filter(sensible);
        text.map(str::to_owned).ok_or_else(|| Self::refused(given))
    }

    fn shown(value: &String) -> Json {
        json!(value)
    }
}

/// A share, from 0 to 1.
#[derive(Debug)]
pub(crate) struct Share;

impl Rule for Share {
    type Value = f64;
    const NOTATION: Notation = Notation::Toml;

    fn expected() -> String {
        "a number from 0 to 1".to_owned()
    }

    fn read(given: &Given<'_>) -> Result<f64, Vec<Wrong>> {
        let number = match given.value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(_) => whole(given.value.get_ref()).map(|number| number as f64),
            _ => None,
        };
        number.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| Self::refused(given))
    }

    fn shown(value: &f64) -> Json {
        json!(value)
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A whole number within bounds.
#[derive(Debug)]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Rule for Whole<MIN, MAX> {
    type Value = u64;
    const NOTATION: Notation = Notation::Toml;

    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn read(given: &Given<'_>) -> Result<u64, Vec<Wrong>> {
        let number = whole(given.value.get_ref()).filter(|number| (MIN..=MAX).contains(number));
        number.ok_or_else(|| Self::refused(given))
    }

    fn shown(value: &u64) -> Json {
        json!(value)
    }
}

/// Whether something is so.
#[derive(Debug)]
pub(crate) struct Switch;

impl Rule for Switch {
    type Value = bool;
    const NOTATION: Notation = Notation::Toml;

    fn expected() -> String {
        "true or false".to_owned()
    }

    fn read(given: &Given<'_>) -> Result<bool, Vec<Wrong>> {
        given.value.get_ref().as_bool().ok_or_else(|| Self::refused(given))
    }

    fn shown(value: &bool) -> Json {
        json!(value)
    }
}

/// One of several words, or `auto` for none of them.
#[derive(Debug)]
pub(crate) struct AutoOr<T>(PhantomData<T>);

fn word<T: ValueEnum>(value: &T) -> String {
    value.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default()
}

/// The words, to finish "expected …".
fn choice<T: ValueEnum>(first: Option<&str>) -> String {
    let words = first.map(str::to_owned).into_iter().chain(T::value_variants().iter().map(word));
    let words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}

impl<T: ValueEnum + fmt::Debug + PartialEq> Rule for AutoOr<T> {
    type Value = Option<T>;
    const NOTATION: Notation = Notation::Text;

    fn expected() -> String {
        choice::<T>(Some("auto"))
    }

    fn read(given: &Given<'_>) -> Result<Option<T>, Vec<Wrong>> {
        match given.value.get_ref().as_str() {
            Some("auto") => Ok(None),
            text => {
                let known = text.and_then(|text| T::from_str(text, false).ok());
                known.map(Some).ok_or_else(|| Self::refused(given))
            }
        }
    }

    fn shown(value: &Option<T>) -> Json {
        json!(value.as_ref().map_or_else(|| "auto".to_owned(), word))
    }
}

/// Where to listen, or nowhere where the text is empty.
#[derive(Debug)]
pub(crate) struct Address;

impl Rule for Address {
    type Value = Option<SocketAddr>;
    const NOTATION: Notation = Notation::Text;

    fn expected() -> String {
        "an address and port such as \"127.0.0.1:8700\", or an empty text".to_owned()
    }

    fn read(given: &Given<'_>) -> Result<Option<SocketAddr>, Vec<Wrong>> {
        match given.value.get_ref().as_str() {
            Some("") => Ok(None),
            text => text.and_then(|text| text.parse().ok()).map(Some).ok_or_else(|| Self::refused(given)),
        }
    }

    fn shown(value: &Option<SocketAddr>) -> Json {
        json!(value.map(|address| address.to_string()).unwrap_or_default())
    }
}

/// A list of texts.
#[derive(Debug)]
pub(crate) struct Texts;

impl Rule for Texts {
    type Value = Vec<String>;
    const NOTATION: Notation = Notation::List;

    fn expected() -> String {
        "a list of texts".to_owned()
    }

    fn read(given: &Given<'_>) -> Result<Vec<String>, Vec<Wrong>> {
        let Some(list) = given.value.get_ref().as_array() else { return Err(Self::refused(given)) };
        let (mut texts, mut wrong) = (Vec::new(), Vec::new());
        for value in list {
            match value.get_ref().as_str().filter(|text| !text.trim().is_empty()) {
                Some(text) => texts.push(text.trim().to_owned()),
                None => wrong.push(Wrong {
                    at: value.span(),
                    message: format!("found {}, expected a text", found(value.get_ref())),
                }),
            }
        }
        if wrong.is_empty() { Ok(texts) } else { Err(wrong) }
    }

    fn shown(value: &Vec<String>) -> Json {
        json!(value)
    }
}

/// The keys.
#[derive(Debug)]
pub(crate) struct Keys;

const KEY_FIELDS: [&str; 4] = ["name", "hash", "domains", "access"];

impl Rule for Keys {
    type Value = Vec<KeySettings>;
    const NOTATION: Notation = Notation::Toml;
    const PRIVATE: bool = true;

    fn expected() -> String {
        "a list of tables with name, hash, domains and access".to_owned()
    }

    fn read(given: &Given<'_>) -> Result<Vec<KeySettings>, Vec<Wrong>> {
        // A text may be a key that was put into the wrong place: it is not quoted.
        let no_list =
            || vec![Wrong { at: given.value.span(), message: format!("expected {}", Self::expected()) }];
        let list = given.value.get_ref().as_array().ok_or_else(no_list)?;
        let (mut keys, mut wrong, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
        for value in list {
            let Some(table) = value.get_ref().as_table() else {
                wrong.push(Wrong { at: value.span(), message: format!("expected {}", Self::expected()) });
                continue;
            };
            if let Some(key) = key(table, value.span(), &mut wrong) {
                if !names.insert(key.name.clone()) {
                    wrong.push(Wrong {
                        at: value.span(),
                        message: format!("there are two keys {:?}", key.name),
                    });
                }
                if keys.iter().any(|other: &KeySettings| other.hash == key.hash) {
                    let message = format!("the key {:?} has the hash of another one", key.name);
                    wrong.push(Wrong { at: value.span(), message });
                }
                keys.push(key);
            }
        }
        if list.len() > KEYS_MAX {
            let message = format!("there are {} keys, the most is {KEYS_MAX}", list.len());
            wrong.push(Wrong { at: given.value.span(), message });
        }
        if wrong.is_empty() { Ok(keys) } else { Err(wrong) }
    }

    fn shown(value: &Vec<KeySettings>) -> Json {
        let shown = |key: &KeySettings| json!({"name": key.name, "hash": "[secret]", "domains": key.domains, "access": word(&key.level())});
        value.iter().map(shown).collect()
    }
}

fn key(table: &DeTable<'_>, at: Range<usize>, wrong: &mut Vec<Wrong>) -> Option<KeySettings> {
    for name in table.keys().filter(|name| !KEY_FIELDS.contains(&name.get_ref().as_ref())) {
        let message = format!("unknown field {:?}, expected name, hash, domains and access", name.get_ref());
        wrong.push(Wrong { at: name.span(), message });
    }
    let name = field(table, "name", "a name", &at, wrong, |value| {
        value.as_str().filter(|name| is_name(name)).map(str::to_owned)
    });
    let expected = "\"sha256:\" and 64 hexadecimal digits, as `memory-mcp key new` prints it";
    let hash: Option<KeyHash> =
        field(table, "hash", expected, &at, wrong, |value| value.as_str()?.parse().ok());
    let domains = "a list of domains such as [\"web\", \"api.v2\"], or [\"*\"] for all";
    let domains = field(table, "domains", domains, &at, wrong, |value| {
        let texts = value.as_array()?.iter().map(|domain| domain.get_ref().as_str().map(str::to_owned));
        let list: Vec<String> = texts.collect::<Option<_>>()?;
        Access::new(&list, false).is_ok().then_some(list)
    });
    let access = field(table, "access", &choice::<KeyAccess>(None), &at, wrong, |value| {
        KeyAccess::from_str(value.as_str()?, false).ok()
    });
    KeySettings::new(name?, hash?, domains?, access?).ok()
}

/// One field of a table, which must be there.
fn field<T>(
    table: &DeTable<'_>,
    name: &str,
    expected: &str,
    at: &Range<usize>,
    wrong: &mut Vec<Wrong>,
    read: impl Fn(&DeValue<'_>) -> Option<T>,
) -> Option<T> {
    let given = table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value);
    let read = given.and_then(|value| read(value.get_ref()));
    if read.is_none() {
        // Whatever stands there may be a key: it is not quoted.
        let (at, what) = given.map_or((at.clone(), "missing"), |value| (value.span(), "wrong"));
        wrong.push(Wrong { at, message: format!("{name} is {what}, expected {expected}") });
    }
    read
}
