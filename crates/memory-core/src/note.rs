//! Notes: free-standing facts and preferences that belong to no episode.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::episode::Scope;
use crate::id::NoteId;

/// How long a note is meant to live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layer {
    /// Of use for the work at hand.
    ShortTerm,
    /// Of use until superseded.
    #[default]
    LongTerm,
}

impl Layer {
    /// The name used on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::ShortTerm => "short_term",
            Self::LongTerm => "long_term",
        }
    }
}

/// A fact or a preference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// The caller's own name for it. A later note of that name supersedes this one.
    pub external_id: Option<String>,
    /// What is to be remembered.
    pub text: String,
    /// Domain and project it holds for.
    pub scope: Scope,
    /// How long it is meant to live.
    pub layer: Layer,
    /// Free labels.
    pub tags: Vec<String>,
    /// When it was remembered.
    pub at: Timestamp,
}
