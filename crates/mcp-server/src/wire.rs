//! What goes over the wire: the arguments and results of the tools, declared once. A tool's struct is its schema, its
//! documentation and its validation.

pub(crate) mod answer;
pub(crate) mod arguments;
pub(crate) mod catalog;
pub(crate) mod code;
pub(crate) mod episode;
pub(crate) mod job;
pub(crate) mod learning;
pub(crate) mod parse;
pub(crate) mod project;
pub(crate) mod recommend;
pub(crate) mod tokens;

use memory_core::pattern::Rate;
use schemars::JsonSchema;
use serde::Serialize;

/// A success rate with its bounds.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct WireRate {
    /// Expected value of the posterior, which starts from what is usual in the field of work.
    mean: f64,
    /// 5 % of the probability lies below.
    low: f64,
    /// 5 % of the probability lies above.
    high: f64,
    /// Distinct episodes behind it.
    episodes: u32,
}

impl From<Rate> for WireRate {
    fn from(rate: Rate) -> Self {
        let Rate { mean, low, high, episodes } = rate;
        Self { mean: round(mean), low: round(low), high: round(high), episodes }
    }
}

impl WireRate {
    /// The rate in words.
    pub(crate) fn describe(&self) -> String {
        let Self { mean, low, high, episodes } = self;
        format!("success rate {mean} ({low} to {high}) over {episodes} episode(s)")
    }
}

/// Three decimals say all that these numbers can.
pub(crate) fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// The start of a text, with an ellipsis if it was cut.
pub(crate) fn excerpt(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}
