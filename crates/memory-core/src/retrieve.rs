//! Finding what is relevant: text becomes terms ([`analyze`]), stored things become documents ([`document`]), the
//! index proposes candidates, [`rank`] decides.

mod advice;
pub mod analyze;
pub mod document;
mod outdated;
mod period;
mod rank;
mod select;

pub(crate) use advice::advisers;
pub use advice::{Advice, AdviceItem, Similar, compose};
pub use analyze::{QueryTerms, query_terms};
pub use period::Period;
pub use rank::{Evidence, Placed, Ranked, rank};
pub use select::{LeftOut, Reason};
pub(crate) use select::{Selection, select};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::episode::{EpisodeHead, Outcome};
use crate::id::{EpisodeId, NoteId, PatternId};
use crate::note::Note;
use crate::pattern::{Fields, Pattern, Rate, Tally};

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
    /// Also what was superseded.
    pub superseded: bool,
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
    /// The success rate of a pattern, by what is usual in its domain.
    pub rate: Option<Rate>,
    /// A newer note about the same subject that says something else, if one was found.
    pub superseded_by: Option<Found>,
    /// What it cites and is another one now, in words. Never kept with an answer: files change without the store.
    #[serde(skip)]
    pub stale: Vec<String>,
}

/// A pattern with those of the asked-for episodes that show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// The pattern, tallied over all its evidence.
    pub pattern: Pattern,
    /// The part of the tally that comes from runs of the tasks that were asked for, each as often as it was run.
    pub own: Tally,
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
    /// What is usual in every domain: what advice has to beat.
    pub fields: Fields,
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
    /// Whether the meaning of the query was searched for too, or its words only.
    pub by_meaning: bool,
    /// What was found and left out, the best first; only where the question asks for it.
    pub left_out: Vec<LeftOut>,
}
