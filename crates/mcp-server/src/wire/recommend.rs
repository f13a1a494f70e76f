//! Arguments and results of the tools that are asked before something is done: `recommend` and `check_action`.

use memory_core::episode::Scope;
use memory_core::error::Error;
use memory_core::forecast::Likely;
use memory_core::memory::{Action, Asked, Past, Recommendation, Warning, WayOut};
use memory_core::retrieve::{Advice, AdviceItem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{DETAILS, Detail, NOTICE_KNOWN, NOTICE_UNKNOWN, WireForecast, WireItem, is_zero};
use super::episode::text_or_json;
use super::parse::{id, non_blank, text};
use super::{WireRate, excerpt, round, tokens};
use crate::limits::{ANSWER_TOKENS_DEFAULT, ANSWER_TOKENS_MAX, ANSWER_TOKENS_MIN};

/// Arguments of `recommend`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecommendArgs {
    /// The task, in the words it was given in.
    task: String,
    /// Field of work.
    domain: Option<String>,
    /// Repository or product.
    project: Option<String>,
    /// The open episode of the task: its steps so far count.
    episode_id: Option<String>,
    /// The error you just met.
    error: Option<String>,
    /// Budget of the answer, default 1500.
    #[schemars(range(min = ANSWER_TOKENS_MIN, max = ANSWER_TOKENS_MAX))]
    max_tokens: Option<usize>,
}

impl RecommendArgs {
    /// What is asked, and how many tokens the answer may have.
    pub(crate) fn parse(self) -> Result<(Asked, usize), Error> {
        let episode = self.episode_id.map(|episode| id("episode_id", &episode)).transpose()?;
        let scope = Scope { domain: non_blank(self.domain), project: non_blank(self.project) };
        let asked = Asked { task: self.task, scope, episode, error: non_blank(self.error) };
        Ok((asked, self.max_tokens.unwrap_or(ANSWER_TOKENS_DEFAULT)))
    }
}

/// Result of `recommend`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireRecommendation {
    /// Whether a similar episode is known; if not, what is told is what is usual.
    known: bool,
    /// How to take the rest.
    notice: &'static str,
    /// Tools that may come next, the likeliest first.
    next: Vec<WireLikely>,
    /// What tends to work, as in `query_memory`.
    steps: Vec<WireItem>,
    /// What tends to fail, as in `query_memory`.
    pitfalls: Vec<WireItem>,
    /// Ways out of a failure: with `tool` and `probability` those out of `error` or of the last step's, the likeliest first;
    /// then, with `text` and `rate`, the recoveries that similar episodes show.
    recoveries: Vec<WireRecovery>,
    /// How likely the task is to succeed; null where nothing is known of the field of work.
    success_rate: Option<WireForecast>,
    /// Ids of similar episodes, the most similar first.
    evidence: Vec<String>,
    /// Entries left out because they did not fit into the budget.
    #[serde(skip_serializing_if = "is_zero")]
    omitted: usize,
}

/// A tool that may come next.
#[derive(Debug, JsonSchema, Serialize)]
struct WireLikely {
    tool: String,
    /// 0 to 1; all of them together are at most 1.
    probability: f64,
}

/// A way out of a failure.
#[derive(Debug, Default, JsonSchema, Serialize)]
struct WireRecovery {
    /// The tool that may be the next to succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    /// What was done with it in the most similar episode in the same trouble, quoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    /// Id of the pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The failure and the tools used until the failed one was called again.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// How often it worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<WireRate>,
    /// Ids of episodes that show it.
    evidence: Vec<String>,
    /// Arguments that worked, quoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<String>,
    /// What was said of the pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Files that it names and that have changed since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stale: Vec<String>,
}

impl WireRecommendation {
    /// The recommendation, as much of it as fits into the budget: first everything is told in less detail, then entries are
    /// left out from the end.
    pub(crate) fn fit(recommendation: &Recommendation, tokens_max: usize) -> Self {
        let mut fitted = Self::new(recommendation, DETAILS[0]);
        for detail in DETAILS {
            fitted = Self::new(recommendation, detail);
            if fitted.tokens() <= tokens_max {
                return fitted;
            }
        }
        while fitted.tokens() > tokens_max && fitted.leave_out() {
            fitted.omitted += 1;
        }
        fitted
    }

    fn new(recommendation: &Recommendation, detail: Detail) -> Self {
        let Recommendation { known, next, advice, ways_out, evidence } = recommendation;
        let Advice { steps, pitfalls, recoveries, success } = advice;
        let ways_out = ways_out.iter().take(detail.items).map(|way_out| WireRecovery::new(way_out, detail));
        let learned = recoveries.iter().take(detail.items).map(|item| WireRecovery::learned(item, detail));
        Self {
            known: *known,
            notice: if *known { NOTICE_KNOWN } else { NOTICE_UNKNOWN },
            next: next.iter().map(WireLikely::new).filter(|likely| likely.probability > 0.0).collect(),
            steps: WireItem::all(steps, detail),
            pitfalls: WireItem::all(pitfalls, detail),
            recoveries: ways_out.chain(learned).collect(),
            success_rate: success.map(WireForecast::from),
            evidence: evidence.iter().take(detail.items).map(ToString::to_string).collect(),
            omitted: 0,
        }
    }

    fn tokens(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |text| tokens::estimate(&text))
    }

    /// Leaves out the last entry of what matters least; `false` if none is left.
    fn leave_out(&mut self) -> bool {
        self.evidence.pop().is_some()
            || self.steps.pop().is_some()
            || self.pitfalls.pop().is_some()
            || self.recoveries.pop().is_some()
            || self.next.pop().is_some()
    }
}

impl WireLikely {
    fn new(likely: &Likely) -> Self {
        Self { tool: likely.tool.clone(), probability: round_down(likely.probability) }
    }
}

/// Three decimals, so that probabilities whose sum is 1 are not more than that afterwards.
fn round_down(probability: f64) -> f64 {
    (probability * 1_000.0).floor() / 1_000.0
}

impl WireRecovery {
    fn new(way_out: &WayOut, detail: Detail) -> Self {
        let WayOut { likely, action, evidence } = way_out;
        let WireLikely { tool, probability } = WireLikely::new(likely);
        Self {
            tool: Some(tool),
            action: action.as_deref().map(|action| excerpt(action, detail.item_chars)),
            probability: Some(probability),
            evidence: evidence.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }

    fn learned(item: &AdviceItem, detail: Detail) -> Self {
        let WireItem { id, text, rate, evidence, example, note, stale } = WireItem::new(item, detail);
        Self { id, text: Some(text), rate, evidence, example, note, stale, ..Self::default() }
    }
}

/// Arguments of `check_action`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckActionArgs {
    /// The command, or the call's arguments.
    #[schemars(schema_with = "text_or_json")]
    action: Value,
    /// The tool; a shell if left out.
    tool: Option<String>,
    /// Only what happened in this field of work.
    domain: Option<String>,
    /// Only what happened in this repository or product.
    project: Option<String>,
}

impl CheckActionArgs {
    pub(crate) fn parse(self) -> Action {
        Action {
            action: text(self.action).unwrap_or_default(),
            tool: non_blank(self.tool),
            scope: Scope { domain: non_blank(self.domain), project: non_blank(self.project) },
        }
    }
}

/// Result of `check_action`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct CheckActionResult {
    /// Empty unless failure is likely by what is recorded.
    warnings: Vec<WireWarning>,
    /// How to take the warnings.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

/// Why a call had better not be made as it is.
#[derive(Debug, JsonSchema, Serialize)]
struct WireWarning {
    /// In how many episodes it failed.
    why: String,
    /// The last failures.
    evidence: Vec<WirePast>,
    /// What was done after such a failure until the tool worked again: tools and quoted arguments.
    recovery: Vec<String>,
    /// 0 to 1: how likely the call is to fail.
    confidence: f64,
}

/// An earlier failure of such a call.
#[derive(Debug, JsonSchema, Serialize)]
struct WirePast {
    episode_id: String,
    /// The number of the step.
    step: u32,
    /// The error without its particulars.
    error: String,
}

impl CheckActionResult {
    pub(crate) fn new(warnings: &[Warning]) -> Self {
        let warnings: Vec<WireWarning> = warnings.iter().map(WireWarning::new).collect();
        let notice = (!warnings.is_empty()).then_some(NOTICE_KNOWN);
        Self { warnings, notice }
    }
}

impl WireWarning {
    fn new(warning: &Warning) -> Self {
        let Warning { exact, failed, made, confidence, past, recovery } = warning;
        let call = if *exact { "this very call" } else { "a call like this" };
        let past = past.iter().map(|Past { episode, step, error }| WirePast {
            episode_id: episode.to_string(),
            step: *step,
            error: error.clone(),
        });
        Self {
            why: format!("{call} failed in {failed} of {made} episode(s) that made it"),
            evidence: past.collect(),
            recovery: recovery.clone(),
            confidence: round(*confidence),
        }
    }
}
