//! LoCoMo: questions about long conversations. Each conversation is a memory of its own; a note is a turn or a session.

use std::path::Path;

use serde::Deserialize;

use crate::eval::collection::{Collection, Note, Question, Reach};
use crate::eval::data::{grouped, lines};
use crate::eval::measure::{Gold, Measure};
use crate::eval::report::SetRun;
use crate::launch::Launch;

const LIMIT: usize = 20;
/// The category of the questions about what was never said.
const UNANSWERABLE: &str = "adversarial";

/// A turn; a session is one without a speaker.
#[derive(Debug, Deserialize)]
struct Piece {
    id: String,
    conv: String,
    speaker: Option<String>,
    text: String,
    image_caption: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Asked {
    conv: String,
    category_name: String,
    query: String,
    #[serde(default)]
    gold_turns: Vec<String>,
    #[serde(default)]
    gold_sessions: Vec<String>,
}

impl Piece {
    fn note(self) -> Note {
        let said = self.speaker.map_or(self.text.clone(), |speaker| format!("{speaker}: {}", self.text));
        let text = match self.image_caption {
            Some(caption) => format!("{said} [shares image: {caption}]"),
            None => said,
        };
        Note { id: self.id, text, ..Note::default() }
    }
}

impl Asked {
    fn question(self, gold: fn(&Self) -> &Vec<String>) -> Question {
        Question {
            gold: Gold::of(gold(&self).iter().cloned()),
            unanswerable: self.category_name == UNANSWERABLE,
            categories: vec![self.category_name],
            query: self.query,
        }
    }
}

/// Every turn is a note.
pub(crate) fn turns(launch: &Launch, dir: &Path) -> anyhow::Result<SetRun> {
    let measures = [
        Measure::Recall(1),
        Measure::Recall(5),
        Measure::Recall(10),
        Measure::ReciprocalRank,
        Measure::Ndcg(10),
    ];
    let run = SetRun::new("locomo-turns", &measures);
    fill_and_ask(launch, dir, "docs_turn.jsonl", run, |asked| &asked.gold_turns)
}

/// Every session is a note.
pub(crate) fn sessions(launch: &Launch, dir: &Path) -> anyhow::Result<SetRun> {
    let measures = [Measure::Recall(1), Measure::Recall(5), Measure::ReciprocalRank];
    let run = SetRun::new("locomo-sessions", &measures);
    fill_and_ask(launch, dir, "docs_session.jsonl", run, |asked| &asked.gold_sessions)
}

fn fill_and_ask(
    launch: &Launch,
    dir: &Path,
    pieces: &str,
    mut run: SetRun,
    gold: fn(&Asked) -> &Vec<String>,
) -> anyhow::Result<SetRun> {
    let reach = Reach::everywhere("note", LIMIT);
    let mut questions = grouped(lines::<Asked>(&dir.join("queries.jsonl"))?, |asked| &asked.conv);
    for (conversation, pieces) in grouped(lines::<Piece>(&dir.join(pieces))?, |piece| &piece.conv) {
        let mut collection = Collection::open(launch, &[])?;
        for piece in pieces {
            collection.remember(&piece.note())?;
        }
        let of_it = questions.iter_mut().find(|(name, _)| *name == conversation);
        for asked in of_it.map(|(_, asked)| std::mem::take(asked)).unwrap_or_default() {
            run.answered.push(collection.ask(asked.question(gold), &reach)?);
        }
        run.close(collection);
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_names_its_speaker_and_tells_what_its_image_shows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docs_turn.jsonl");
        let turns = r#"{"id":"c/1","conv":"c","session":1,"speaker":"Ann","text":"Look!","image_caption":"a red kite"}
{"id":"c/2","conv":"c","session":1,"speaker":"Bo","text":"Nice.","image_caption":null}
{"id":"c/S1","conv":"c","text":"Ann: Look!\nBo: Nice."}"#;
        std::fs::write(&path, turns).unwrap();
        let texts: Vec<String> =
            lines::<Piece>(&path).unwrap().into_iter().map(|piece| piece.note().text).collect();
        assert_eq!(texts, ["Ann: Look! [shares image: a red kite]", "Bo: Nice.", "Ann: Look!\nBo: Nice."]);
    }

    #[test]
    fn a_question_about_what_was_never_said_has_no_answer() {
        let line = r#"{"conv":"c","category_name":"adversarial","query":"?","gold_turns":["c/1"],"gold_sessions":[]}"#;
        let asked: Asked = serde_json::from_str(line).unwrap();
        let question = asked.question(|asked| &asked.gold_turns);
        assert!(question.unanswerable);
        assert_eq!(question.gold, Gold::of(["c/1".to_owned()]));
    }
}
