//! What there is, for those who browse it.

use async_trait::async_trait;
use libsql::params;
use memory_core::episode::{EpisodeHead, Outcome};
use memory_core::note::Note;
use memory_core::port::{CatalogStore, Endings, EpisodeListing, Naming, StoreError};

use crate::TursoStore;
use crate::allowed::{Allowed, is_allowed, is_within};
use crate::episodes::snapshot;
use crate::link::Link;
use crate::row::{Columns, head, head_columns, note, note_columns, signed};

#[async_trait]
impl CatalogStore for TursoStore {
    async fn episodes(&self, listing: EpisodeListing) -> Result<Vec<EpisodeHead>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| episodes(link, &allowed, &listing)).await
    }

    async fn notes(&self, project: String, max: usize) -> Result<Vec<Note>, StoreError> {
        let sql = concat!(
            "SELECT ",
            note_columns!(),
            " FROM note WHERE project = ?1 AND superseded_by IS NULL AND ",
            is_allowed!("domain", "?3"),
            " ORDER BY at DESC, id DESC LIMIT ?2"
        );
        let allowed = self.allowed.clone();
        let read = move |link: &Link| {
            let given = params![project, signed(max as u64), allowed.domains()];
            link.rows(sql, given, |row| note(&mut Columns::of(row)))
        };
        self.pool.read(read).await
    }

    async fn names(
        &self,
        naming: Naming,
        prefix: String,
        after: Option<String>,
        max: usize,
    ) -> Result<Vec<String>, StoreError> {
        let allowed = self.allowed.clone();
        let read = move |link: &Link| {
            let sql = match naming {
                Naming::Projects => return projects(link, &allowed, &prefix, after.as_deref(), max),
                Naming::Episodes => concat!(
                    "SELECT id FROM episode WHERE id >= ?1 AND substr(id, 1, length(?1)) = ?1
                         AND (?2 IS NULL OR id < ?2) AND ",
                    is_allowed!("domain", "?4"),
                    " ORDER BY id DESC LIMIT ?3"
                ),
                Naming::Patterns => concat!(
                    "SELECT id FROM shown_pattern WHERE id >= ?1 AND substr(id, 1, length(?1)) = ?1
                         AND (?2 IS NULL OR id > ?2) AND ",
                    is_allowed!("domain", "?4"),
                    " ORDER BY id LIMIT ?3"
                ),
            };
            ids(link, &allowed, sql, &prefix, after.as_deref(), max)
        };
        self.pool.read(read).await
    }

    async fn endings(&self, project: String) -> Result<Endings, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| endings(link, &allowed, &project)).await
    }
}

fn episodes(
    link: &Link,
    allowed: &Allowed,
    listing: &EpisodeListing,
) -> Result<Vec<EpisodeHead>, StoreError> {
    let EpisodeListing { domain, project, completed, outcome, since, until, before, max } = listing;
    macro_rules! listed {
        ($project:literal) => {
            concat!(
                "SELECT ",
                head_columns!(),
                " FROM episode WHERE ",
                $project,
                " AND id < ?2 AND ",
                is_allowed!("domain", "?4"),
                " AND (?5 IS NULL OR ",
                is_within!("domain", "?5"),
                ") AND (?6 IS NULL OR (completed_at IS NOT NULL) = ?6) AND (?7 IS NULL OR outcome = ?7)
                  AND (?8 IS NULL OR started_at >= ?8) AND (?9 IS NULL OR started_at < ?9)
                  ORDER BY id DESC LIMIT ?3"
            )
        };
    }
    // Two statements, so that each has an index to follow.
    let sql = if project.is_some() { listed!("project = ?1") } else { listed!("?1 IS NULL") };
    let given = params![
        project.as_deref(),
        // After every id, as text.
        before.map_or_else(|| "~".to_owned(), |before| before.to_string()),
        signed(*max as u64),
        allowed.domains(),
        domain.as_deref(),
        completed.map(i64::from),
        outcome.map(|outcome| outcome.name()),
        since.map(|since| since.as_microsecond()),
        until.map(|until| until.as_microsecond())
    ];
    link.rows(sql, given, |row| head(&mut Columns::of(row)))
}

fn ids(
    link: &Link,
    allowed: &Allowed,
    sql: &'static str,
    prefix: &str,
    after: Option<&str>,
    max: usize,
) -> Result<Vec<String>, StoreError> {
    link.rows(sql, params![prefix, after, signed(max as u64), allowed.domains()], |row| {
        Columns::of(row).text()
    })
}

/// The projects of episodes and notes. From each index only one entry a project is read, however much belongs to it.
fn projects(
    link: &Link,
    allowed: &Allowed,
    prefix: &str,
    after: Option<&str>,
    max: usize,
) -> Result<Vec<String>, StoreError> {
    macro_rules! in_table {
        ($table:literal, $filter:literal) => {
            concat!(
                "WITH RECURSIVE found (name) AS (
                     SELECT min(project) FROM ",
                $table,
                " WHERE project >= ?1 AND (?2 IS NULL OR project > ?2) AND ",
                is_allowed!("domain", "?4"),
                $filter,
                " UNION ALL
                     SELECT (SELECT min(project) FROM ",
                $table,
                " WHERE project > found.name AND ",
                is_allowed!("domain", "?4"),
                $filter,
                ") FROM found WHERE found.name IS NOT NULL AND substr(found.name, 1, length(?1)) = ?1
                     LIMIT ?3)
                 SELECT name FROM found WHERE name IS NOT NULL AND substr(name, 1, length(?1)) = ?1"
            )
        };
    }
    snapshot(link, |link| {
        let mut names = ids(link, allowed, in_table!("episode", ""), prefix, after, max)?;
        names.extend(ids(
            link,
            allowed,
            in_table!("note", " AND superseded_by IS NULL"),
            prefix,
            after,
            max,
        )?);
        names.sort_unstable();
        names.dedup();
        names.truncate(max);
        Ok(names)
    })
}

fn endings(link: &Link, allowed: &Allowed, project: &str) -> Result<Endings, StoreError> {
    let sql = concat!(
        "SELECT completed_at IS NULL, outcome, count(*) FROM episode WHERE project = ?1 AND ",
        is_allowed!("domain", "?2"),
        " GROUP BY 1, 2"
    );
    let counts = link.rows(sql, params![project, allowed.domains()], |row| {
        let mut columns = Columns::of(row);
        let is_open = columns.integer()? != 0;
        let outcome = columns.optional_text()?.and_then(|name| name.parse().ok());
        Ok((is_open, outcome, columns.unsigned()?))
    })?;
    let mut endings = Endings::default();
    for (is_open, outcome, count) in counts {
        match outcome {
            _ if is_open => endings.open = count,
            Some(Outcome::Success) => endings.success = count,
            Some(Outcome::Partial) => endings.partial = count,
            Some(Outcome::Failure) => endings.failure = count,
            Some(Outcome::Abandoned) => endings.abandoned = count,
            None => endings.unknown = count,
        }
    }
    Ok(endings)
}
