//! From arguments, whose shape the schema has checked, to the domain. What a schema cannot say (a date that exists,
//! an id that is one) is checked here, all of it before anything is reported.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use memory_core::error::{Error, Violation};
use serde_json::Value;
use std::str::FromStr;

/// Collects what is wrong with the arguments.
#[derive(Default)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    pub(crate) fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Violation { field: field.into(), problem: problem.into() });
    }

    /// `Ok` if nothing was wrong.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }

    /// The value, if nothing was wrong with anything.
    pub(crate) fn finish_with<T>(self, value: Option<T>) -> Result<T, Error> {
        value.filter(|_| self.0.is_empty()).ok_or(Error::Invalid(self.0))
    }

    /// Reads a time: RFC 3339, or a date, which means its first moment in UTC.
    pub(crate) fn time(&mut self, field: &str, text: Option<&str>) -> Option<Timestamp> {
        let text = text?;
        let time = text.parse::<Timestamp>().ok().or_else(|| {
            let date: Date = text.parse().ok()?;
            date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        });
        if time.is_none() {
            let problem = "must be a time such as 2026-01-31T12:00:00Z, or a date such as 2026-01-31";
            self.add(field, format!("{problem}, not {}", super::excerpt(&format!("{text:?}"), 60)));
        }
        time
    }

    /// Reads an id.
    pub(crate) fn id<T: FromStr>(&mut self, field: impl Into<String>, text: &str) -> Option<T> {
        let id = text.parse().ok();
        if id.is_none() {
            self.add(field, not_an_id(text));
        }
        id
    }

    /// Reads a cursor: the place in a list that it stands for.
    pub(crate) fn cursor<T>(
        &mut self,
        cursor: Option<&str>,
        place: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let cursor = cursor?;
        let place = place(cursor);
        if place.is_none() {
            let quoted = super::excerpt(&format!("{cursor:?}"), 60);
            self.add("cursor", format!("must be the `next_cursor` of an earlier page, not {quoted}"));
        }
        place
    }
}

fn not_an_id(text: &str) -> String {
    let quoted = super::excerpt(&format!("{text:?}"), 60);
    format!("must be an id such as 0198c0de-7a3b-7c4d-8e5f-0123456789ab, not {quoted}")
}

/// Reads an id.
///
/// # Errors
/// [`Error::Invalid`] if the text is no id.
pub(crate) fn id<T: FromStr>(field: &str, text: &str) -> Result<T, Error> {
    let problem = |_| Error::Invalid(vec![Violation { field: field.to_owned(), problem: not_an_id(text) }]);
    text.parse().map_err(problem)
}

/// A JSON value as text: a string as it is, anything else as JSON.
pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// A text that says nothing is no text.
pub(crate) fn non_blank(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}
