//! Our own notes, shipped beside this code, with questions in the same words, in other words and by identifier.

use std::path::Path;

use serde::Deserialize;

use crate::eval::collection::{Collection, Note, Question, Reach};
use crate::eval::data::lines;
use crate::eval::measure::{Gold, Measure};
use crate::eval::report::SetRun;
use crate::launch::Launch;

const LIMIT: usize = 20;

#[derive(Debug, Deserialize)]
struct Written {
    id: String,
    text: String,
}

#[derive(Debug, Deserialize)]
struct Asked {
    kind: String,
    query: String,
    gold: String,
}

pub(crate) fn run(launch: &Launch, dir: &Path) -> anyhow::Result<SetRun> {
    let mut run = SetRun::new("notes", &[Measure::Hit(1), Measure::Hit(5), Measure::ReciprocalRank]);
    let mut collection = Collection::open(launch, &[])?;
    for Written { id, text } in lines(&dir.join("notes.jsonl"))? {
        collection.remember(&Note { id, text, ..Note::default() })?;
    }
    let reach = Reach::everywhere("note", LIMIT);
    for Asked { kind, query, gold } in lines(&dir.join("queries.jsonl"))? {
        let (categories, gold) = (vec![kind], Gold::of([gold]));
        let question = Question { categories, query, gold, unanswerable: false };
        run.answered.push(collection.ask(question, &reach)?);
    }
    run.close(collection);
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_is_about_a_note_that_is_there() {
        let dir = crate::eval::own_notes();
        let notes: Vec<Written> = lines(&dir.join("notes.jsonl")).unwrap();
        let asked: Vec<Asked> = lines(&dir.join("queries.jsonl")).unwrap();
        for asked in asked {
            assert!(notes.iter().any(|note| note.id == asked.gold), "{} is no note", asked.gold);
        }
    }
}
