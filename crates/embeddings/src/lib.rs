//! Texts to vectors, so that what means the same is found whatever its words.
//!
//! A model is data that the user adds, never part of the program. [`LocalModel`] runs a sentence encoder on the CPU.

mod bert;
mod config;
mod kernel;
pub mod limits;
mod model;
mod weights;
mod wordpiece;

pub use model::{LocalModel, ModelError};
