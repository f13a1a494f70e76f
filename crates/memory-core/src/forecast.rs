//! What is likely to come: the next tool, the way out of a failure, success.

mod next_tool;
mod resemblance;
mod success;

pub use next_tool::{Likely, next_tools, ways_out};
pub(crate) use resemblance::{Resemblance, SAME_TASK};
pub(crate) use success::TASK_STRENGTH;
pub use success::{Forecast, Run, forecast};
