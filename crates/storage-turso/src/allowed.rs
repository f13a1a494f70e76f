//! What the caller may see, as a condition of queries.

use std::sync::Arc;

use memory_core::access::Access;
use memory_core::port::StoreError;
use memory_core::retrieve::{Found, Kind};

use crate::link::Link;
use crate::row::{Columns, ids_of, json};

/// The condition that a domain is another one or lies below it.
macro_rules! is_within {
    ($domain:literal, $of:literal) => {
        concat!(
            "(",
            $domain,
            " = ",
            $of,
            " OR substr(",
            $domain,
            ", 1, length(",
            $of,
            ") + 1) = ",
            $of,
            " || '.')"
        )
    };
}
pub(crate) use is_within;

/// The condition that a domain is one that may be seen; the parameter is [`Allowed::domains`]. Without a list it costs a
/// look at a parameter, and no row is read for it.
macro_rules! is_allowed {
    ($domain:literal, $domains:literal) => {
        concat!(
            "(",
            $domains,
            " IS NULL OR EXISTS (SELECT 1 FROM json_each(",
            $domains,
            ") own WHERE ",
            $crate::allowed::is_within!($domain, "own.value"),
            "))"
        )
    };
}
pub(crate) use is_allowed;

/// An access, ready for queries.
#[derive(Clone)]
pub(crate) struct Allowed {
    access: Arc<Access>,
    domains: Option<Arc<str>>,
}

impl Allowed {
    pub(crate) fn new(access: &Arc<Access>) -> Self {
        Self { access: access.clone(), domains: access.domains().map(|domains| json(&domains).into()) }
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// The domains as a JSON array; `None`, which is SQL's null, where everything may be seen.
    pub(crate) fn domains(&self) -> Option<&str> {
        self.domains.as_deref()
    }

    /// Those of the things that may be seen. Where everything may, nothing is read.
    pub(crate) fn visible(&self, link: &Link, found: Vec<Found>) -> Result<Vec<Found>, StoreError> {
        let Some(domains) = self.domains() else { return Ok(found) };
        let mut visible = Vec::with_capacity(found.len());
        for kind in Kind::ALL {
            let sql = match kind {
                Kind::Episode => concat!(
                    "SELECT 'episode', id FROM episode WHERE id IN (SELECT value FROM json_each(?1)) AND ",
                    is_allowed!("domain", "?2")
                ),
                Kind::Pattern => concat!(
                    "SELECT 'pattern', id FROM pattern WHERE id IN (SELECT value FROM json_each(?1)) AND ",
                    is_allowed!("domain", "?2")
                ),
                Kind::Note => concat!(
                    "SELECT 'note', id FROM note WHERE id IN (SELECT value FROM json_each(?1)) AND ",
                    is_allowed!("domain", "?2")
                ),
            };
            visible.extend(link.rows(sql, (ids_of(kind, &found), domains), |row| Columns::of(row).found())?);
        }
        Ok(found.into_iter().filter(|found| visible.contains(found)).collect())
    }
}
