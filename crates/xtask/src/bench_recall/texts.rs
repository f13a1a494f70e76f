//! Synthetic notes and questions. Everything follows from a seed: a note is the same in a memory of whatever size.

use std::collections::{HashMap, HashSet};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use memory_core::episode::Scope;
use memory_core::id::NoteId;
use memory_core::note::{Layer, Note};
use uuid::Uuid;

/// Texts whose words are the more frequent part of the vocabulary.
const REAL: &str = include_str!("../../data/notes/notes.jsonl");
const VOCABULARY_WORDS: usize = 30_000;
/// The most frequent words, which are in texts on anything.
const COMMON_WORDS: usize = 200;
const DOMAINS: usize = 6;
const PROJECTS: usize = 24;
const TOPICS_OF_PROJECT: usize = 5;
const TOPIC_WORDS: usize = 300;
/// How many of the words of a note are those of its topic.
const TOPIC_SHARE: f64 = 0.4;
const NOTE_WORDS: std::ops::RangeInclusive<usize> = 20..=38;
const QUESTION_WORDS: std::ops::RangeInclusive<usize> = 8..=10;
/// Words of a question that stand in the note it is about; the others are those of its topic.
const QUESTION_NOTE_WORDS: usize = 5;
/// The first note was remembered at this second, each further one a minute after the one before.
const FIRST_AT_SECOND: i64 = 1_704_067_200;
/// Where the sequences of random numbers of questions begin; those of notes begin with 0.
const QUESTIONS: u64 = 1 << 40;

/// What notes and questions are made of.
pub(crate) struct Texts {
    seed: u64,
    words: Vec<String>,
    /// For each word, how probable it is that one of the words up to it is drawn: Zipf's law.
    shares: Vec<f64>,
    /// The words of each topic, by their places.
    topics: Vec<Vec<usize>>,
}

/// A question, and the scope of the note that it is about.
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) scope: Scope,
}

impl Texts {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let words = vocabulary(&mut rng);
        let mut shares: Vec<f64> = (1..=words.len()).map(|rank| 1.0 / rank as f64).collect();
        let all: f64 = shares.iter().sum();
        let mut sum = 0.0;
        for share in &mut shares {
            sum += *share / all;
            *share = sum;
        }
        // By the same law: of words ten times as rare, ten times as many are as probable together.
        let rarer = words.len() as f64 / COMMON_WORDS as f64;
        let mut word = || (COMMON_WORDS as f64 * rarer.powf(rng.f64())) as usize;
        let topic = |_| (0..TOPIC_WORDS).map(|_| word().min(words.len() - 1)).collect();
        let topics = (0..PROJECTS * TOPICS_OF_PROJECT).map(topic).collect();
        Self { seed, words, shares, topics }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn topics(&self) -> usize {
        self.topics.len()
    }

    /// Random numbers for one thing of this number.
    pub(crate) fn rng(&self, number: u64) -> Rng {
        // Multiplied, so that the sequences of neighbours have nothing in common.
        Rng::with_seed((self.seed ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number)
    }

    /// The topic of note `number`.
    pub(crate) fn topic(&self, number: u64) -> usize {
        topic(&mut self.rng(number))
    }

    /// Note `number`, from 0.
    pub(crate) fn note(&self, number: u64) -> Note {
        let mut rng = self.rng(number);
        let topic = topic(&mut rng);
        let places = self.draw_many(&mut rng, topic, NOTE_WORDS);
        let mut words: Vec<&str> = places.iter().filter_map(|place| self.word(*place)).collect();
        let tag = words.pop().unwrap_or_default().to_owned();
        let at = Timestamp::from_second(FIRST_AT_SECOND).unwrap_or_default()
            + SignedDuration::from_mins(number as i64);
        // Made as ids are, of the time and of random numbers.
        let random = (0xb << 60 | u128::from(rng.u64(..) >> 4)) & ((1 << 64) - 1);
        let id = Uuid::from_u128((at.as_millisecond() as u128) << 80 | 7 << 76 | random & !(1 << 62));
        Note {
            id: NoteId(id),
            external_id: None,
            text: format!("{}.", words.join(" ")),
            scope: scope(topic),
            layer: Layer::LongTerm,
            tags: vec![tag],
            at,
        }
    }

    /// Question `number` to a memory of the first `notes` notes.
    pub(crate) fn question(&self, number: u64, notes: usize) -> Question {
        let mut rng = self.rng(QUESTIONS + number);
        let about = rng.u64(..notes as u64);
        let (note, topic) = (self.note(about), self.topic(about));
        let common: Vec<&str> = self.words[..COMMON_WORDS].iter().map(String::as_str).collect();
        let mut telling: Vec<&str> =
            note.text.trim_end_matches('.').split(' ').filter(|word| !common.contains(word)).collect();
        rng.shuffle(&mut telling);
        telling.truncate(QUESTION_NOTE_WORDS);
        let further = self.draw_many(&mut rng, topic, QUESTION_WORDS);
        let count = further.len();
        let mut words = telling;
        words.extend(further.iter().filter_map(|place| self.word(*place)));
        words.truncate(count);
        rng.shuffle(&mut words);
        Question { text: words.join(" "), scope: note.scope }
    }

    fn word(&self, place: usize) -> Option<&str> {
        self.words.get(place).map(String::as_str)
    }

    fn draw_many(&self, rng: &mut Rng, topic: usize, count: std::ops::RangeInclusive<usize>) -> Vec<usize> {
        let of_topic = &self.topics[topic];
        let count = rng.usize(count);
        let draw = |_| match rng.f64() < TOPIC_SHARE {
            // Some words of a topic are said more often than others, too.
            true => of_topic[(rng.f64().powi(2) * of_topic.len() as f64) as usize],
            false => {
                let share = rng.f64();
                self.shares.partition_point(|up_to| *up_to < share).min(self.words.len() - 1)
            }
        };
        (0..count).map(draw).collect()
    }
}

/// The first thing that the random numbers of a note decide.
fn topic(rng: &mut Rng) -> usize {
    // Some projects have many more notes than others.
    let project = (rng.f64().powi(2) * PROJECTS as f64) as usize;
    project * TOPICS_OF_PROJECT + rng.usize(..TOPICS_OF_PROJECT)
}

fn scope(topic: usize) -> Scope {
    let project = topic / TOPICS_OF_PROJECT;
    Scope {
        domain: Some(format!("domain{}", project % DOMAINS)),
        project: Some(format!("acme/project{project}")),
    }
}

/// Real words, the most frequent first, then names put together from two short ones, as those of programs are.
fn vocabulary(rng: &mut Rng) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let texts = REAL.lines().filter_map(|line| line.split_once(r#""text""#)).map(|(_, text)| text);
    let is_word = |word: &&str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    for word in texts.flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).filter(is_word) {
        *counts.entry(word).or_default() += 1;
    }
    let mut counted: Vec<(&str, usize)> = counts.into_iter().collect();
    counted.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then(a.cmp(b)));
    let mut words: Vec<String> = counted.into_iter().map(|(word, _)| word.to_owned()).collect();
    let short: Vec<String> = words.iter().filter(|word| (3..=5).contains(&word.len())).cloned().collect();
    let mut known: HashSet<String> = words.iter().cloned().collect();
    while words.len() < VOCABULARY_WORDS {
        let name =
            [rng.usize(..short.len()), rng.usize(..short.len())].map(|place| short[place].as_str()).concat();
        if known.insert(name.clone()) {
            words.push(name);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory_core::retrieve::document::of_note;

    #[test]
    fn notes_are_the_same_again_and_differ_from_each_other() {
        let (texts, again) = (Texts::new(7), Texts::new(7));
        let notes: Vec<Note> = (0..500).map(|number| texts.note(number)).collect();
        assert_eq!(notes, (0..500).map(|number| again.note(number)).collect::<Vec<_>>());
        assert!(notes.is_sorted_by(|a, b| a.id < b.id && a.at < b.at && a.text != b.text));
        assert!(
            notes.iter().all(|note| note.id.0.get_version_num() == 7 && of_note(note).passages.len() == 1)
        );
        assert_ne!(notes[0], Texts::new(8).note(0));
    }

    #[test]
    fn questions_are_about_notes() {
        let texts = Texts::new(7);
        for number in 0..100 {
            let question = texts.question(number, 50);
            let words: Vec<&str> = question.text.split(' ').collect();
            assert!(QUESTION_WORDS.contains(&words.len()), "{words:?}");
            let is_about = |note: &Note| words.iter().filter(|word| note.text.contains(**word)).count() >= 4;
            assert!((0..50).map(|note| texts.note(note)).any(|note| is_about(&note)), "{words:?}");
        }
    }
}
