//! Learning in the background: what a finished episode teaches is extracted after its completion was acknowledged.
//!
//! The queue itself is durable and belongs to the store ([`memory_core::port::JobStore`]): a job enters it with the
//! change that calls for it, and a crash loses none. A [`Worker`] takes due jobs into bounded [lanes](lane), one
//! for each priority, and works them off.

pub mod lane;
pub mod limits;
mod retry;
mod worker;

pub use worker::{Error, Waker, Worker, WorkerHandle, WorkerMetrics};
