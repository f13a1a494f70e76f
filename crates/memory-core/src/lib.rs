//! The domain of memory-mcp.
//!
//! An [`Episode`](episode::Episode) is one task of a coding agent; finished episodes teach
//! [patterns](pattern::Pattern); [`Memory`](memory::Memory) holds the use cases. Nothing in this crate reads a
//! clock, a file, the environment or the network: time and ids come in through [`port::Source`], storage
//! through the other traits of [`port`].

pub mod access;
mod basis;
pub mod citation;
pub mod command;
pub mod episode;
pub mod error;
pub mod event;
pub mod extract;
pub mod feedback;
pub mod forecast;
mod hash;
pub mod id;
pub mod job;
pub mod limits;
pub mod link;
pub mod memory;
pub mod note;
pub mod pattern;
pub mod port;
pub mod redact;
pub mod reflection;
pub mod retrieve;
pub mod reward;
pub mod search;
pub mod validate;
pub mod vector;
