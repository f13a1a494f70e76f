//! The text of a configuration file: where things stand in it, and which of them are no settings.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::SETTINGS;
use super::rule::{Wrong, found};

/// How alike a name and a known one must be for the known one to be suggested, 1 being the same.
const ALIKE_MIN: f64 = 0.75;

/// A configuration file that was read as far as it could be.
pub(crate) struct Document<'a> {
    text: &'a str,
    table: DeTable<'a>,
    /// Where the text is no TOML.
    broken: Vec<Wrong>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let broken = errors.into_iter().map(|error| Wrong {
            // Without a place it is about the whole, and that ends at its end.
            at: error.span().unwrap_or(text.len()..text.len()),
            message: error.message().to_owned(),
        });
        Self { text, broken: broken.collect(), table: table.into_inner() }
    }

    /// Whether it is no TOML somewhere.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// The value of a setting, with the place of its key.
    pub(super) fn get(&self, key: &str) -> Option<(Range<usize>, &Spanned<DeValue<'a>>)> {
        let entry = |table: &'_ DeTable<'a>, name: &str| table.get_key_value(name).map(|(key, _)| key.span());
        match key.split_once('.') {
            None => Some((entry(&self.table, key)?, self.table.get(key)?)),
            Some((section, name)) => {
                let section = self.table.get(section)?.get_ref().as_table()?;
                Some((entry(section, name)?, section.get(name)?))
            }
        }
    }

    /// What the text says that is no setting, and where it is no TOML.
    pub(super) fn wrong(&self) -> Vec<Wrong> {
        let mut wrong = self.broken.clone();
        for (name, value) in &self.table {
            let is_section = SETTINGS.iter().any(|setting| section_of(setting.key) == Some(name.get_ref()));
            match value.get_ref().as_table() {
                Some(section) if is_section => {
                    let keys =
                        section.keys().map(|key| (format!("{}.{}", name.get_ref(), key.get_ref()), key));
                    wrong.extend(keys.filter_map(|(full, key)| unknown(&full, key.span())));
                }
                None if is_section => wrong.push(Wrong {
                    at: value.span(),
                    message: format!(
                        "{}: found {}, expected a table",
                        name.get_ref(),
                        found(value.get_ref())
                    ),
                }),
                _ => wrong.extend(unknown(name.get_ref(), name.span())),
            }
        }
        wrong
    }

    /// The line and column at a byte of the text, both from 1; columns are counted in characters.
    pub(super) fn position(&self, byte: usize) -> (usize, usize) {
        let mut end = byte.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = self.text.strip_prefix('\u{feff}').map_or(0, |rest| self.text.len() - rest.len());
        let before = self.text.get(before..end.max(before)).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}

fn section_of(key: &str) -> Option<&str> {
    key.split_once('.').map(|(section, _)| section)
}

fn unknown(key: &str, at: Range<usize>) -> Option<Wrong> {
    if SETTINGS.iter().any(|setting| setting.key == key) {
        return None;
    }
    let hint = suggestion(key).map(|known| format!("; did you mean {known}?")).unwrap_or_default();
    Some(Wrong { at, message: format!("there is no setting {key:?}{hint}") })
}

/// The setting or section that was probably meant.
fn suggestion(key: &str) -> Option<&'static str> {
    let key = key.replace('-', "_").to_lowercase();
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let known = SETTINGS.iter().flat_map(|setting| {
        let whole = strsim::jaro(&key, setting.key);
        let part = strsim::jaro(&last(&key), &last(setting.key));
        let section = section_of(setting.key).map(|section| (strsim::jaro(&key, section), section));
        [(whole.max(part), setting.key)].into_iter().chain(section)
    });
    known.filter(|(alike, _)| *alike >= ALIKE_MIN).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}
