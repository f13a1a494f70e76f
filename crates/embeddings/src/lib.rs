//! Texts to vectors, so that what means the same is found whatever its words.
//!
//! A model is data that the user adds, never part of the program: a sentence encoder that runs here on the CPU
//! ([`LocalModel`]), or a server ([`Endpoint`]). The [`Library`] keeps them in the data directory; [`Active`] finds the
//! one in use and opens it behind the port [`Embedder`](memory_core::port::Embedder); the [`Service`] gives what is
//! stored and what is asked their vectors.

mod active;
mod batch;
mod bert;
mod breaker;
mod catalog;
mod chosen;
mod config;
mod download;
mod endpoint;
mod filling;
mod fingerprint;
#[cfg(test)]
mod fixture;
mod giving;
mod http;
mod kernel;
mod library;
pub mod limits;
mod live;
mod local;
mod looking;
mod manifest;
mod model;
mod opened;
mod service;
#[cfg(test)]
mod service_tests;
mod store_file;
mod weights;
mod wordpiece;

pub use active::Active;
pub use breaker::{Breaker, BreakerState};
pub use catalog::HUB;
pub use chosen::KeySource;
pub use download::{OnProgress, Progress};
pub use endpoint::{Api, ApiKey, Endpoint, EndpointEmbedder};
pub use library::{Damage, Library, LibraryError};
pub use local::LocalEmbedder;
pub use looking::LastError;
pub use manifest::{FileRecord, Manifest, ModelName, Origin};
pub use model::{LocalModel, ModelError};
pub use service::{Service, ServiceConfig, State, Status};
