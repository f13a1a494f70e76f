//! What an operator should look at: raised when something is wrong that goes on being wrong, resolved when it is not any
//! more. Shown by `health_check` and logged.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::limits::{ALERT_LOG_INTERVAL, ALERT_LOG_LINES_MAX, ALERT_MESSAGE_CHARS_MAX};

/// What an alert is about. There is at most one of each, which bounds how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AlertKind {
    /// The configuration file is wrong or gone: the settings in effect are those from before.
    Configuration,
}

/// An alert that is not resolved.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct Alert {
    pub(crate) kind: AlertKind,
    /// What is wrong and what to do.
    pub(crate) message: String,
    #[schemars(with = "String")]
    pub(crate) first_seen: Timestamp,
    #[schemars(with = "String")]
    pub(crate) last_seen: Timestamp,
    /// How often it was seen.
    pub(crate) count: u64,
}

/// The alerts of this process that are not resolved.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    kinds: Mutex<BTreeMap<AlertKind, Kind>>,
}

/// One kind of alert; it is remembered after it was resolved, so that one that comes and goes does not fill the log.
#[derive(Debug)]
struct Kind {
    raised: Option<Alert>,
    /// When the interval began in which `lines` were logged.
    logging_since: Timestamp,
    lines: u32,
}

impl Alerts {
    /// Notes that something is wrong. The same message again is only counted; a new one replaces the one before, since
    /// that is how things are now. Logged too, but not without end.
    pub(crate) fn raise(&self, kind: AlertKind, message: &str, now: Timestamp) {
        let message: String = match message.char_indices().nth(ALERT_MESSAGE_CHARS_MAX) {
            Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
            None => message.to_owned(),
        };
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kinds.entry(kind).or_insert(Kind { raised: None, logging_since: now, lines: 0 });
        let is_news = match &mut entry.raised {
            Some(alert) => {
                let is_news = alert.message != message;
                *alert = Alert { message, last_seen: now, count: alert.count + 1, ..alert.clone() };
                is_news
            }
            raised => {
                *raised = Some(Alert { kind, message, first_seen: now, last_seen: now, count: 1 });
                true
            }
        };
        if now.duration_since(entry.logging_since).unsigned_abs() >= ALERT_LOG_INTERVAL {
            (entry.logging_since, entry.lines) = (now, 0);
        }
        if entry.lines == 0 || (is_news && entry.lines < ALERT_LOG_LINES_MAX) {
            entry.lines += 1;
            if let Some(Alert { message, count, .. }) = &entry.raised {
                tracing::warn!(?kind, count, "alert: {message}");
            }
        }
    }

    /// Notes that it is right again.
    pub(crate) fn resolve(&self, kind: AlertKind) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(alert) = kinds.get_mut(&kind).and_then(|entry| entry.raised.take()) {
            tracing::info!(?kind, count = alert.count, "alert resolved");
        }
    }

    /// Those that are not resolved.
    pub(crate) fn raised(&self) -> Vec<Alert> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.values().filter_map(|entry| entry.raised.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn what_goes_on_being_wrong_is_one_alert_until_it_is_right() {
        let alerts = Alerts::default();
        assert!(alerts.raised().is_empty());
        alerts.raise(AlertKind::Configuration, "line 3", at(0));
        alerts.raise(AlertKind::Configuration, "line 3", at(5));
        alerts.raise(AlertKind::Configuration, "line 4", at(9));
        let raised = alerts.raised();
        assert_eq!(raised.len(), 1);
        let Alert { message, first_seen, last_seen, count, .. } = &raised[0];
        assert_eq!((message.as_str(), *first_seen, *last_seen, *count), ("line 4", at(0), at(9), 3));
        alerts.resolve(AlertKind::Configuration);
        assert!(alerts.raised().is_empty());
        alerts.raise(AlertKind::Configuration, "line 4", at(20));
        assert_eq!((alerts.raised()[0].count, alerts.raised()[0].first_seen), (1, at(20)));
    }

    #[test]
    fn the_log_gets_a_few_lines_of_an_alert_an_interval_and_a_message_is_never_long() {
        let alerts = Alerts::default();
        let lines = |alerts: &Alerts| alerts.kinds.lock().unwrap()[&AlertKind::Configuration].lines;
        for _ in 0..50 {
            alerts.raise(AlertKind::Configuration, "the same", at(0));
        }
        assert_eq!(lines(&alerts), 1);
        for number in 0..50 {
            alerts.raise(AlertKind::Configuration, &format!("another, {number}"), at(1));
            alerts.resolve(AlertKind::Configuration);
        }
        assert_eq!(lines(&alerts), ALERT_LOG_LINES_MAX);
        alerts.raise(AlertKind::Configuration, &"long ".repeat(100_000), at(3_600));
        assert_eq!(lines(&alerts), 1);
        assert_eq!(alerts.raised()[0].message.chars().count(), ALERT_MESSAGE_CHARS_MAX + 1);
    }
}
