//! Finding what is relevant: text becomes [terms()], stored things become [`Document`]s, the index proposes
//! candidates, and [`rank`] decides.

mod advice;
mod analyze;
mod document;
mod rank;

pub(crate) use advice::advisers;
pub use advice::{Advice, AdviceItem, compose};
pub use analyze::terms;
pub use document::{Document, Part};
pub(crate) use document::{completion_terms, step_terms};
pub use rank::{Ranked, rank};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::episode::{EpisodeHead, Outcome};
use crate::id::{EpisodeId, NoteId, PatternId};
use crate::note::Note;
use crate::pattern::{Pattern, Tally};

/// What kinds of thing a query can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// An episode.
    Episode,
    /// A pattern.
    Pattern,
    /// A note.
    Note,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Episode, Self::Pattern, Self::Note];

    /// The name used on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Episode => "episode",
            Self::Pattern => "pattern",
            Self::Note => "note",
        }
    }
}

/// Names something that a query found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Found {
    /// An episode.
    Episode(EpisodeId),
    /// A pattern.
    Pattern(PatternId),
    /// A note.
    Note(NoteId),
}

/// Which things may be found. Everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// Kinds; empty means all.
    pub kinds: Vec<Kind>,
    /// This domain or one below it.
    pub domain: Option<String>,
    /// This project.
    pub project: Option<String>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Episodes with this outcome only.
    pub outcome: Option<Outcome>,
}

/// What the index is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Distinct terms of the query, see [`terms`].
    pub terms: Vec<String>,
    /// What may be found.
    pub filter: Filter,
    /// How many candidates at the most.
    pub limit: usize,
}

/// One document that the index proposes.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What it stands for.
    pub found: Found,
    /// When that happened.
    pub when: Timestamp,
    /// Where each term of the query stands in it, in the order of [`Search::terms`]; `None` where it does not.
    pub places: Vec<Option<Part>>,
}

/// What the index proposes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidates {
    /// Documents in the index, of all kinds.
    pub documents: u64,
    /// In how many of them each term of the query stands, in the order of [`Search::terms`].
    pub frequencies: Vec<u64>,
    /// The best matches by the index's own measure.
    pub proposed: Vec<Candidate>,
}

/// The stored thing behind a hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item {
    /// An episode without its steps.
    Episode(Box<EpisodeHead>),
    /// A pattern.
    Pattern(Pattern),
    /// A note.
    Note(Note),
}

/// One answer to a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The thing itself.
    pub item: Item,
    /// How well it fits the query and why it was found.
    pub ranked: Ranked,
}

/// A pattern with those of the asked-for episodes that show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// The pattern, tallied over all its evidence.
    pub pattern: Pattern,
    /// The episodes of the question that show it.
    pub shown_by: Vec<EpisodeId>,
    /// A quotation from one of them.
    pub detail: Option<String>,
}

/// What a set of episodes teaches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lessons {
    /// The patterns they show.
    pub lessons: Vec<Lesson>,
    /// The success of all episodes in the domains of the asked-for ones: what advice has to beat.
    pub base: Tally,
}

/// The whole answer to a query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Relevant things, the best first.
    pub hits: Vec<Hit>,
    /// What they teach.
    pub advice: Advice,
    /// Whether anything relevant is known. If not, `hits` is empty.
    pub known: bool,
}
