//! Links: how one episode relates to another, as somebody said.

use crate::id::EpisodeId;

/// How an episode relates to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// It goes on with the work of the other.
    Continues,
    /// It tries the task of the other again.
    Retries,
    /// It records the same work as the other.
    Duplicates,
    /// It has to do with the other.
    Relates,
}

impl Relation {
    /// All relations, in the order of the enumeration.
    pub const ALL: [Self; 4] = [Self::Continues, Self::Retries, Self::Duplicates, Self::Relates];

    /// The name used on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Continues => "continues",
            Self::Retries => "retries",
            Self::Duplicates => "duplicates",
            Self::Relates => "relates",
        }
    }
}

impl std::str::FromStr for Relation {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|relation| relation.name() == text).ok_or(())
    }
}

/// A link between two episodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The episode that relates to the other.
    pub from: EpisodeId,
    /// The episode that it relates to.
    pub to: EpisodeId,
    /// How.
    pub relation: Relation,
}
