//! Rows to domain types and back.

use jiff::Timestamp;
use libsql::{Row, Value};
use memory_core::episode::{Basis, Brief, Completion, EpisodeHead, NewStep, Scope, Step, StepResult};
use memory_core::id::{EpisodeId, NoteId, PatternId};
use memory_core::job::JobState;
use memory_core::note::{Layer, Note};
use memory_core::pattern::{Correction, Pattern, PatternBody, Tally};
use memory_core::retrieve::{Found, Kind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::link::Read;

/// Reads the columns of a row one after the other.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    next: i32,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r Row) -> Self {
        Self { row, next: 0 }
    }

    fn value(&mut self) -> Read<Value> {
        let value = self.row.get_value(self.next);
        self.next += 1;
        value
    }

    pub(crate) fn optional_text(&mut self) -> Read<Option<String>> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(mismatch(self.next, &other)),
        }
    }

    pub(crate) fn text(&mut self) -> Read<String> {
        self.optional_text()?.ok_or_else(|| mismatch(self.next, &Value::Null))
    }

    pub(crate) fn optional_integer(&mut self) -> Read<Option<i64>> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Integer(number) => Ok(Some(number)),
            other => Err(mismatch(self.next, &other)),
        }
    }

    pub(crate) fn integer(&mut self) -> Read<i64> {
        self.optional_integer()?.ok_or_else(|| mismatch(self.next, &Value::Null))
    }

    pub(crate) fn real(&mut self) -> Read<f64> {
        match self.value()? {
            Value::Real(number) => Ok(number),
            Value::Integer(number) => Ok(number as f64),
            other => Err(mismatch(self.next, &other)),
        }
    }

    pub(crate) fn unsigned<T: TryFrom<i64>>(&mut self) -> Read<T> {
        let number = self.integer()?;
        T::try_from(number).map_err(|_| mismatch(self.next, &Value::Integer(number)))
    }

    pub(crate) fn optional_blob(&mut self) -> Read<Option<Vec<u8>>> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Blob(bytes) => Ok(Some(bytes)),
            other => Err(mismatch(self.next, &other)),
        }
    }

    pub(crate) fn blob(&mut self) -> Read<Vec<u8>> {
        self.optional_blob()?.ok_or_else(|| mismatch(self.next, &Value::Null))
    }

    pub(crate) fn optional_time(&mut self) -> Read<Option<Timestamp>> {
        let micros = self.optional_integer()?;
        let time = micros.map(Timestamp::from_microsecond).transpose();
        time.map_err(|error| conversion(error.to_string()))
    }

    pub(crate) fn time(&mut self) -> Read<Timestamp> {
        self.optional_time()?.ok_or_else(|| mismatch(self.next, &Value::Null))
    }

    /// Weight, credit, episodes and families.
    pub(crate) fn tally(&mut self) -> Read<Tally> {
        let (weight, credit) = (self.real()?, self.real()?);
        Ok(Tally { weight, credit, episodes: self.unsigned()?, families: self.unsigned()? })
    }

    /// Weight, credit and times; each time counts as an episode of its own.
    pub(crate) fn feedback(&mut self) -> Read<Tally> {
        let (weight, credit) = (self.real()?, self.real()?);
        let times = self.unsigned()?;
        Ok(Tally { weight, credit, episodes: times, families: times })
    }

    pub(crate) fn uuid(&mut self) -> Read<Uuid> {
        let text = self.text()?;
        Uuid::parse_str(&text).map_err(|error| conversion(error.to_string()))
    }

    pub(crate) fn job_state(&mut self) -> Read<JobState> {
        let name = self.text()?;
        JobState::named(&name).ok_or_else(|| conversion(format!("a job is {name:?}")))
    }

    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Read<T> {
        from_json(&self.text()?)
    }

    pub(crate) fn found(&mut self) -> Read<Found> {
        let kind = self.text()?;
        let id = self.uuid()?;
        match kind.as_str() {
            "episode" => Ok(Found::Episode(EpisodeId(id))),
            "pattern" => Ok(Found::Pattern(PatternId(id))),
            "note" => Ok(Found::Note(NoteId(id))),
            other => Err(conversion(format!("unknown kind {other}"))),
        }
    }

    /// Nobody asked what the outcomes of old episodes rest on.
    fn basis(&mut self) -> Read<Basis> {
        let Some(name) = self.optional_text()? else { return Ok(Basis::Claim) };
        name.parse().map_err(|()| conversion(format!("unknown basis {name}")))
    }

    fn scope(&mut self) -> Read<Scope> {
        Ok(Scope { domain: self.optional_text()?, project: self.optional_text()? })
    }
}

fn from_json<T: DeserializeOwned>(text: &str) -> Read<T> {
    serde_json::from_str(text).map_err(|error| conversion(error.to_string()))
}

fn mismatch(next: i32, value: &Value) -> libsql::Error {
    conversion(format!("column {} holds {value:?}", next - 1))
}

pub(crate) fn conversion(message: String) -> libsql::Error {
    libsql::Error::ToSqlConversionFailure(message.into())
}

/// The columns of [`head`].
macro_rules! head_columns {
    () => {
        "id, external_id, task, domain, project, task_type, tags, context, started_at, revision, step_count, \
         completed_at, outcome, summary, artifacts, reward, reflection, basis, disputed"
    };
}
pub(crate) use head_columns;

/// Nothing may follow its columns: of an open episode the last ones are not read.
pub(crate) fn head(columns: &mut Columns<'_>) -> Read<EpisodeHead> {
    Ok(EpisodeHead {
        id: EpisodeId(columns.uuid()?),
        external_id: columns.optional_text()?,
        brief: Brief {
            task: columns.text()?,
            scope: columns.scope()?,
            task_type: columns.optional_text()?,
            tags: columns.json()?,
            context: columns.json()?,
        },
        started_at: columns.time()?,
        revision: columns.unsigned()?,
        step_count: columns.unsigned()?,
        completion: completion(columns)?,
    })
}

fn completion(columns: &mut Columns<'_>) -> Read<Option<Completion>> {
    let Some(at) = columns.optional_time()? else { return Ok(None) };
    let outcome = columns.optional_text()?;
    let outcome =
        outcome.map(|name| name.parse().map_err(|()| conversion(format!("unknown outcome {name}"))));
    Ok(Some(Completion {
        at,
        outcome: outcome.transpose()?,
        summary: columns.optional_text()?,
        artifacts: columns.json()?,
        reward: columns.json()?,
        reflection: columns.json()?,
        basis: columns.basis()?,
        disputed: columns.optional_integer()?.unwrap_or(0) != 0,
    }))
}

/// The columns of [`step`].
macro_rules! step_columns {
    () => {
        "number, at, external_id, tool, action, args, observation, error, duration_ms"
    };
}
pub(crate) use step_columns;

pub(crate) fn step(row: &Row) -> Read<Step> {
    step_of(&mut Columns::of(row))
}

pub(crate) fn step_of(columns: &mut Columns<'_>) -> Read<Step> {
    Ok(Step {
        number: columns.unsigned()?,
        at: columns.time()?,
        call: NewStep {
            external_id: columns.optional_text()?,
            tool: columns.text()?,
            action: columns.optional_text()?,
            args: columns.optional_text()?,
            observation: columns.optional_text()?,
            result: match columns.optional_text()? {
                None => StepResult::Succeeded,
                Some(error) => StepResult::Failed { error },
            },
            duration_ms: columns.optional_integer()?.map(|ms| ms as u64),
        },
    })
}

/// The columns of [`note`].
macro_rules! note_columns {
    () => {
        "id, external_id, text, domain, project, layer, tags, at"
    };
}
pub(crate) use note_columns;

pub(crate) fn note(columns: &mut Columns<'_>) -> Read<Note> {
    Ok(Note {
        id: NoteId(columns.uuid()?),
        external_id: columns.optional_text()?,
        text: columns.text()?,
        scope: columns.scope()?,
        layer: match columns.text()?.as_str() {
            "short_term" => Layer::ShortTerm,
            "long_term" => Layer::LongTerm,
            other => return Err(conversion(format!("unknown layer {other}"))),
        },
        tags: columns.json()?,
        at: columns.time()?,
    })
}

/// The columns of [`pattern`], of the view `shown_pattern` as `p`.
macro_rules! pattern_columns {
    () => {
        "p.id, p.kind, p.signature, p.domain, p.weight, p.credit, p.episodes, p.families,
         p.feedback_weight, p.feedback_credit, p.feedback_times, p.last_seen, p.verdict, p.note"
    };
}
pub(crate) use pattern_columns;

pub(crate) fn pattern(columns: &mut Columns<'_>) -> Read<Pattern> {
    Ok(Pattern {
        id: PatternId(columns.uuid()?),
        body: {
            let (kind, signature) = (columns.text()?, columns.text()?);
            PatternBody::parse(&kind, &signature)
                .ok_or_else(|| conversion(format!("unknown pattern {kind} {signature}")))?
        },
        domain: Some(columns.text()?).filter(|domain| !domain.is_empty()),
        tally: columns.tally()?,
        feedback: columns.feedback()?,
        last_seen: columns.time()?,
        correction: {
            let (verdict, note) = (columns.optional_text()?, columns.optional_text()?);
            let verdict =
                verdict.map(|name| name.parse().map_err(|()| conversion(format!("unknown verdict {name}"))));
            let correction = Correction { verdict: verdict.transpose()?, note };
            (correction != Correction::default()).then_some(correction)
        },
    })
}

/// The kind and id of something found.
pub(crate) fn kind_and_id(found: Found) -> (Kind, String) {
    match found {
        Found::Episode(id) => (Kind::Episode, id.to_string()),
        Found::Pattern(id) => (Kind::Pattern, id.to_string()),
        Found::Note(id) => (Kind::Note, id.to_string()),
    }
}

/// The ids of those that are of this kind, as a JSON array.
pub(crate) fn ids_of(kind: Kind, found: &[Found]) -> String {
    let named = found.iter().map(|found| kind_and_id(*found)).filter(|(named, _)| *named == kind);
    json(&named.map(|(_, id)| id).collect::<Vec<_>>())
}

/// A value as JSON text. The types stored this way hold nothing that JSON cannot express.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        tracing::error!(%error, "failed to write JSON");
        "null".to_owned()
    })
}

/// An integer of SQLite, which has no unsigned ones.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
