//! From an order to an answer: what is not told, and why.

use serde::{Deserialize, Serialize};

use super::analyze::is_stop_word;
use super::outdated::{Conflict, conflict, statement};
use super::{Found, Hit, Item, Placed, Ranked};
use crate::note::Note;

/// Share of the best score that a hit must reach: by words, and by words and meaning, which all texts share a little of.
const CUT_BY_WORDS: f64 = 0.4;
const CUT_BY_MEANING: f64 = 0.5;
/// How likely the best hit must be relevant for anything to be told: at these bars nine in a thousand questions that have
/// an answer get none.
const KNOWN_BY_WORDS: f64 = 0.01;
const KNOWN_BY_MEANING: f64 = 0.003;
/// Weight of the words in common that is a name, in words as rare as can be.
const NAMES: f64 = 2.0;
/// Cosine from which on two notes are taken to say much the same (maximal marginal relevance).
const ALIKE: f32 = 0.9;
/// What a hit loses of its score for being the same as a better one; less as it is less alike.
const REPEATED_LOSS: f64 = 0.3;
/// Things that are left out and told of.
const LEFT_OUT_MAX: usize = 10;

/// Why something that was found is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// This newer note was said to take its place, or says something else about the same subject.
    Superseded(Option<Found>),
    /// It says the same as this one.
    Duplicate(Found),
    /// It fits the query much less than the best.
    Weak,
    /// It comes after as many hits as were asked for.
    Limit,
}

/// Something that was found and is not told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What.
    pub item: Item,
    /// How well it fits.
    pub ranked: Ranked,
    /// Why it is left out.
    pub reason: Reason,
}

/// The hits, the best first, and what was left out.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) hits: Vec<Hit>,
    pub(crate) left_out: Vec<LeftOut>,
}

/// Something found, with what was found out about it.
struct Entry {
    item: Item,
    placed: Placed,
    /// The words of a note that states a fact.
    statement: Option<Vec<String>>,
    /// What a note says, whatever its order of words and its stop words.
    content: Vec<String>,
    reason: Option<Reason>,
    doubted: Option<Found>,
}

/// Chooses the hits among things in the order of relevance.
///
/// Of two notes that say different things about one subject the older is superseded by the newer: it is left out where
/// only one can hold, and told after the newer where both may. Of notes that say the same, the best is told. Notes that are
/// much alike make room for others (maximal marginal relevance: Carbonell and Goldstein 1998). Episodes are not
/// compared: the same task done again is what one learns from.
pub(crate) fn select(found: Vec<(Item, Placed)>, limit: usize) -> Selection {
    let mut entries: Vec<Entry> = found.into_iter().map(Entry::new).collect();
    supersede(&mut entries);
    repeat(&mut entries);
    diversify(&mut entries);
    let told = || entries.iter().filter(|entry| entry.reason.is_none());
    let best = told().map(Entry::score).fold(0.0, f64::max);
    let by_meaning = entries.iter().any(|entry| entry.placed.ranked.evidence.meaning.is_some());
    let (bar, share) =
        if by_meaning { (KNOWN_BY_MEANING, CUT_BY_MEANING) } else { (KNOWN_BY_WORDS, CUT_BY_WORDS) };
    let is_known = told().any(|entry| entry.placed.ranked.confidence >= bar || entry.names_the_same());
    let mut selection = Selection::default();
    for entry in entries {
        let weak = !is_known || entry.score() < share * best;
        let full = selection.hits.len() >= limit;
        let reason = entry.reason.or(weak.then_some(Reason::Weak)).or(full.then_some(Reason::Limit));
        let Entry { item, placed: Placed { ranked, .. }, doubted, .. } = entry;
        match reason {
            None => {
                let hit = Hit { item, ranked, rate: None, superseded_by: doubted, stale: Vec::new() };
                selection.hits.push(hit);
            }
            Some(reason) if selection.left_out.len() < LEFT_OUT_MAX => {
                selection.left_out.push(LeftOut { item, ranked, reason });
            }
            Some(_) => {}
        }
    }
    selection
}

impl Entry {
    fn new((item, placed): (Item, Placed)) -> Self {
        let note = item.note();
        let statement = note.and_then(|note| statement(&note.text));
        let content = note.map(content).unwrap_or_default();
        Self { item, placed, statement, content, reason: None, doubted: None }
    }

    fn found(&self) -> Found {
        self.placed.ranked.found
    }

    fn score(&self) -> f64 {
        self.placed.ranked.score
    }

    /// Whether it has rare words of the query, such as an error code, however long the query is beside them.
    fn names_the_same(&self) -> bool {
        self.placed.ranked.evidence.common >= NAMES
    }
}

impl Item {
    /// The note, if it is one.
    pub(crate) fn note(&self) -> Option<&Note> {
        match self {
            Self::Note(note) => Some(note),
            Self::Episode(_) | Self::Pattern(_) => None,
        }
    }
}

/// Not the terms that are searched for: to take the endings off each word of each note would be most of an answer's work.
fn content(note: &Note) -> Vec<String> {
    let words = note.text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    let mut content: Vec<String> = words.filter(|word| !word.is_empty() && !is_stop_word(word)).collect();
    content.sort();
    content
}

fn notes<'a>(a: &'a Entry, b: &'a Entry) -> Option<(&'a Note, &'a Note)> {
    a.item.note().zip(b.item.note()).filter(|(a, b)| a.scope == b.scope)
}

/// Marks what is superseded; what may be is moved behind the newer note.
fn supersede(entries: &mut [Entry]) {
    let mut moves = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let newer = entries.iter().enumerate().filter_map(|(other, newer)| {
            let (old, new) = notes(entry, newer)?;
            let is_newer = (new.at, new.id) > (old.at, old.id);
            let conflict = conflict(entry.statement.as_ref()?, newer.statement.as_ref()?)?;
            is_newer.then_some((conflict, (new.at, new.id), other))
        });
        if let Some((conflict, _, newer)) = newer.max() {
            moves.push((place, newer, conflict));
        }
    }
    for (place, newer, conflict) in moves {
        let by = Some(entries[newer].found());
        match conflict {
            Conflict::Sure => entries[place].reason = Some(Reason::Superseded(by)),
            Conflict::Likely => {
                entries[place].doubted = by;
                let below = entries[newer].score() * (1.0 - 1e-6);
                let ranked = &mut entries[place].placed.ranked;
                ranked.score = ranked.score.min(below);
            }
        }
    }
    in_order(entries);
}

/// Marks notes that say the same as a better one.
fn repeat(entries: &mut [Entry]) {
    for place in 1..entries.len() {
        let (better, rest) = entries.split_at_mut(place);
        let entry = &mut rest[0];
        let same = better.iter().find(|better| {
            better.reason.is_none() && notes(better, entry).is_some() && better.content == entry.content
        });
        if let Some(same) = same.filter(|_| entry.reason.is_none() && !entry.content.is_empty()) {
            entry.reason = Some(Reason::Duplicate(same.found()));
        }
    }
}

/// Puts notes behind others if a better one is much like them.
fn diversify(entries: &mut [Entry]) {
    for place in 1..entries.len() {
        let entry = &entries[place];
        let alike = |better: &Entry| {
            notes(better, entry)?;
            Some(better.placed.vector.as_ref()?.similarity(entry.placed.vector.as_ref()?))
        };
        let most = entries[..place].iter().filter(|better| better.reason.is_none()).filter_map(alike);
        let most = most.fold(ALIKE, f32::max);
        let loss = REPEATED_LOSS * f64::from((most - ALIKE) / (1.0 - ALIKE));
        entries[place].placed.ranked.score *= 1.0 - loss.clamp(0.0, REPEATED_LOSS);
    }
    in_order(entries);
}

/// Stable, so that equal scores stay as they were.
fn in_order(entries: &mut [Entry]) {
    entries.sort_by(|a, b| b.score().total_cmp(&a.score()));
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, ToSpan};
    use uuid::Uuid;

    use super::super::Evidence;
    use super::*;
    use crate::episode::Scope;
    use crate::id::NoteId;
    use crate::note::Layer;
    use crate::vector::Vector;

    fn id(hour: i64) -> NoteId {
        NoteId(Uuid::from_u128(hour as u128))
    }

    /// A note of this hour, which is its id too.
    fn note(hour: i64, text: &str, score: f64) -> (Item, Placed) {
        let at = Timestamp::UNIX_EPOCH + hour.hours();
        let note = Note {
            id: id(hour),
            external_id: None,
            text: text.into(),
            scope: Scope::default(),
            layer: Layer::LongTerm,
            tags: Vec::new(),
            at,
        };
        let found = Found::Note(note.id);
        let evidence = Evidence { coverage: 1.0, ..Evidence::default() };
        let ranked = Ranked { found, when: at, retired: None, score, confidence: 1.0, evidence };
        (Item::Note(note), Placed { ranked, vector: None })
    }

    fn pointing(mut entry: (Item, Placed), vector: [f32; 2]) -> (Item, Placed) {
        entry.1.vector = Some(Vector::new(&vector));
        entry
    }

    fn told(found: Vec<(Item, Placed)>, limit: usize) -> (Vec<i64>, Vec<(i64, Reason)>) {
        let hour = |ranked: &Ranked| ranked.when.as_second() / 3_600;
        let Selection { hits, left_out } = select(found, limit);
        let left_out = left_out.iter().map(|left_out| (hour(&left_out.ranked), left_out.reason));
        (hits.iter().map(|hit| hour(&hit.ranked)).collect(), left_out.collect())
    }

    #[test]
    fn the_older_of_two_values_is_superseded() {
        let old = note(1, "The port of the staging server is 80", 1.0);
        let new = note(2, "The port of the staging server is 81", 0.9);
        let superseded = (1, Reason::Superseded(Some(Found::Note(id(2)))));
        assert_eq!(told(vec![old, new], 5), (vec![2], vec![superseded]));
    }

    #[test]
    fn what_may_both_hold_is_told_the_newer_first() {
        let found =
            || vec![note(1, "Tests live in tests/unit", 1.0), note(2, "Tests live in tests/system", 0.9)];
        assert_eq!(told(found(), 5).0, [2, 1]);
        assert_eq!(select(found(), 5).hits[1].superseded_by, Some(Found::Note(id(2))));
    }

    #[test]
    fn another_project_is_another_subject() {
        let mut old = note(1, "The port of the staging server is 80", 1.0);
        if let Item::Note(note) = &mut old.0 {
            note.scope.project = Some("shop".into());
        }
        let new = note(2, "The port of the staging server is 81", 0.9);
        assert_eq!(told(vec![old, new], 5).0, [1, 2]);
    }

    #[test]
    fn the_same_said_again_is_told_once() {
        let found = vec![note(1, "Deploys need the VPN.", 1.0), note(2, "deploys need a VPN", 0.9)];
        assert_eq!(told(found, 5), (vec![1], vec![(2, Reason::Duplicate(Found::Note(id(1))))]));
    }

    #[test]
    fn what_is_much_like_a_better_one_makes_room() {
        let found = vec![
            pointing(note(1, "a b c", 1.0), [1.0, 0.0]),
            pointing(note(2, "a b d", 0.9), [1.0, 0.01]),
            pointing(note(3, "e f g", 0.8), [0.0, 1.0]),
        ];
        assert_eq!(told(found, 5).0, [1, 3, 2]);
    }

    #[test]
    fn what_fits_much_less_than_the_best_is_left_out() {
        let found = vec![note(3, "a", 1.0), note(2, "b", 0.9), note(1, "c", 0.1)];
        assert_eq!(told(found.clone(), 5), (vec![3, 2], vec![(1, Reason::Weak)]));
        assert_eq!(told(found, 1), (vec![3], vec![(2, Reason::Limit), (1, Reason::Weak)]));
    }
}
