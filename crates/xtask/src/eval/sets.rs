//! The sets of questions, one a file: how its data is read, stored and asked about.

pub(crate) mod episodes;
pub(crate) mod facts;
pub(crate) mod locomo;
pub(crate) mod notes;
pub(crate) mod precision;
pub(crate) mod procedural;
