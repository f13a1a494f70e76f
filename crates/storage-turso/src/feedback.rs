//! What was said of things after they had been shown, and of patterns.

use async_trait::async_trait;
use jiff::Timestamp;
use libsql::params;
use memory_core::feedback::{Feedback, Usefulness};
use memory_core::id::PatternId;
use memory_core::pattern::{Correction, Tally};
use memory_core::port::{FeedbackStore, StoreError};
use memory_core::retrieve::{Found, Kind};

use crate::allowed::{Allowed, is_allowed};
use crate::link::{Link, Read};
use crate::row::{Columns, kind_and_id};
use crate::{TursoStore, changes};

#[async_trait]
impl FeedbackStore for TursoStore {
    async fn give(&self, feedback: Feedback) -> Result<(), StoreError> {
        let allowed = self.allowed.clone();
        self.pool.write(move |link| give(link, &allowed, &feedback)).await
    }

    async fn usefulness(&self, found: Vec<Found>) -> Result<Vec<(Found, Tally)>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool
            .read(move |link| {
                // Mostly nothing was said of anything.
                if link.number("SELECT EXISTS (SELECT 1 FROM feedback)", ())? == 0 {
                    return Ok(Vec::new());
                }
                let mut said = Vec::new();
                for found in allowed.visible(link, found)? {
                    let of_it = said_of(link, found)?;
                    if of_it.episodes > 0 {
                        said.push((found, of_it));
                    }
                }
                Ok(said)
            })
            .await
    }

    async fn correct(
        &self,
        id: PatternId,
        correction: Option<Correction>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let Correction { verdict, note } = correction.unwrap_or_default();
        let allowed = self.allowed.clone();
        self.pool
            .write(move |link| {
                may_be_changed(link, &allowed, Found::Pattern(id))?;
                let (verdict, note) = (verdict.map(|verdict| verdict.name()), note.as_deref());
                let sql = "INSERT INTO correction (pattern, verdict, note, deleted, at) VALUES (?1, ?2, ?3, 0, ?4)
                           ON CONFLICT (pattern) DO UPDATE SET verdict = excluded.verdict, note = excluded.note,
                               at = excluded.at";
                link.execute(sql, params![id.to_string(), verdict, note, at.as_microsecond()])?;
                changes::record(link, Found::Pattern(id))
            })
            .await
    }

    async fn delete_pattern(&self, id: PatternId, at: Timestamp) -> Result<(), StoreError> {
        let allowed = self.allowed.clone();
        self.pool
            .write(move |link| {
                may_be_changed(link, &allowed, Found::Pattern(id))?;
                let sql = "INSERT INTO correction (pattern, deleted, at) VALUES (?1, 1, ?2)
                           ON CONFLICT (pattern) DO UPDATE SET deleted = 1, at = excluded.at";
                link.execute(sql, params![id.to_string(), at.as_microsecond()])?;
                let sql = "DELETE FROM embedding WHERE space IN (SELECT key FROM space) AND kind = 'pattern' AND id = ?1";
                link.execute(sql, [id.to_string()])?;
                changes::record(link, Found::Pattern(id))
            })
            .await
    }
}

/// [`StoreError::NotFound`] unless the thing exists and may be told, [`StoreError::Refused`] to who may only read.
fn may_be_changed(link: &Link, allowed: &Allowed, found: Found) -> Result<(), StoreError> {
    allowed.access().check_change()?;
    let (kind, id) = kind_and_id(found);
    let sql = match kind {
        Kind::Episode => {
            concat!("SELECT count(*) FROM episode WHERE id = ?1 AND ", is_allowed!("domain", "?2"))
        }
        Kind::Note => concat!("SELECT count(*) FROM note WHERE id = ?1 AND ", is_allowed!("domain", "?2")),
        Kind::Pattern => {
            concat!("SELECT count(*) FROM shown_pattern WHERE id = ?1 AND ", is_allowed!("domain", "?2"))
        }
    };
    if link.number(sql, (id, allowed.domains()))? == 0 { Err(StoreError::NotFound) } else { Ok(()) }
}

fn give(link: &Link, allowed: &Allowed, feedback: &Feedback) -> Result<(), StoreError> {
    let Feedback { about, usefulness, comment, at } = feedback;
    for found in about {
        may_be_changed(link, allowed, *found)?;
        let (kind, id) = kind_and_id(*found);
        let sql = "INSERT INTO feedback (kind, id, verdict, comment, at) VALUES (?1, ?2, ?3, ?4, ?5)";
        let verdict = usefulness.name();
        link.execute(sql, params![kind.name(), id, verdict, comment.as_deref(), at.as_microsecond()])?;
        if let Found::Pattern(id) = found {
            let said = said_of(link, *found)?;
            let sql = "UPDATE pattern SET feedback_weight = ?2, feedback_credit = ?3, feedback_times = ?4 WHERE id = ?1";
            link.execute(sql, params![id.to_string(), said.weight, said.credit, said.episodes])?;
        }
        changes::record(link, *found)?;
    }
    Ok(())
}

/// What was said of a thing.
pub(crate) fn said_of(link: &Link, found: Found) -> Result<Tally, StoreError> {
    let (kind, id) = kind_and_id(found);
    let sql = "SELECT verdict, at FROM feedback WHERE kind = ?1 AND id = ?2 ORDER BY key";
    let said = link.rows(sql, params![kind.name(), id], |row| -> Read<Tally> {
        let mut columns = Columns::of(row);
        let usefulness: Option<Usefulness> = columns.text()?.parse().ok();
        let at = columns.time()?;
        Ok(usefulness.map(|usefulness| usefulness.observation(at)).unwrap_or_default())
    })?;
    Ok(said.iter().fold(Tally::default(), |sum, one| sum.plus(one)))
}
