//! Runs JavaScript that an agent wrote: in QuickJS, compiled to WebAssembly, inside wasmtime.
//!
//! Six layers stand between a program and everything else, each in a file of its own: [`isolation`], [`network`],
//! [`filesystem`], [`limits`], [`analysis`], [`monitoring`]. Each holds by itself; the tests attack each while the other
//! five are switched off.

pub mod analysis;
mod engine;
pub mod filesystem;
pub mod isolation;
pub mod limits;
pub mod monitoring;
pub mod network;
mod report;
mod run;
mod sandbox;
mod settings;

pub use analysis::Grants;
pub use filesystem::Ambient;
pub use limits::Limits;
pub use report::{Program, Purpose, Reason, Refusal, Report, Stopped, Usage};
pub use run::{Host, HostFunction};
pub use sandbox::{Layers, Sandbox, Status};
