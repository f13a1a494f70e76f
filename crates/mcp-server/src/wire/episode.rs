//! Arguments and results of the tools about episodes and notes.

use std::collections::BTreeMap;

use memory_core::episode::{Basis, Brief, Completion, Episode, NewStep, Outcome, Scope, Step, StepResult};
use memory_core::error::Error;
use memory_core::id::JobId;
use memory_core::limits::{STEPS_PAGE_DEFAULT, STEPS_PAGE_MAX};
use memory_core::link::Link;
use memory_core::memory::{NewEnding, NewEpisode, NewNote};
use memory_core::note::Layer;
use memory_core::reflection::{Reflection, Statement};
use memory_core::reward::Reward;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::WireHit;
use super::catalog::WireLink;
use super::parse::{Violations, non_blank, text};
use super::round;
use crate::limits::STEPS_PAGE_BYTES;

// How an episode ended. No doc comment: it would be sent with every schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum WireOutcome {
    Success,
    Partial,
    Failure,
    Abandoned,
}

impl From<WireOutcome> for Outcome {
    fn from(outcome: WireOutcome) -> Self {
        match outcome {
            WireOutcome::Success => Self::Success,
            WireOutcome::Partial => Self::Partial,
            WireOutcome::Failure => Self::Failure,
            WireOutcome::Abandoned => Self::Abandoned,
        }
    }
}

impl From<Outcome> for WireOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Partial => Self::Partial,
            Outcome::Failure => Self::Failure,
            Outcome::Abandoned => Self::Abandoned,
        }
    }
}

// What an outcome rests on. No doc comment: it would be sent with every schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum WireBasis {
    Tests,
    Build,
    ExitCode,
    Commit,
    User,
    Claim,
}

impl From<WireBasis> for Basis {
    fn from(basis: WireBasis) -> Self {
        match basis {
            WireBasis::Tests => Self::Tests,
            WireBasis::Build => Self::Build,
            WireBasis::ExitCode => Self::ExitCode,
            WireBasis::Commit => Self::Commit,
            WireBasis::User => Self::User,
            WireBasis::Claim => Self::Claim,
        }
    }
}

impl From<Basis> for WireBasis {
    fn from(basis: Basis) -> Self {
        match basis {
            Basis::Tests => Self::Tests,
            Basis::Build => Self::Build,
            Basis::ExitCode => Self::ExitCode,
            Basis::Commit => Self::Commit,
            Basis::User => Self::User,
            Basis::Claim => Self::Claim,
        }
    }
}

/// A text, or JSON that is kept as text. One type a branch, and none left open: some clients take nothing else.
pub(super) fn text_or_json(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "array", "items": {"type": "string"}}]})
}

/// The same without lists, which are seldom what a tool returns.
fn text_or_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"anyOf": [{"type": "string"}, {"type": "object"}]})
}

// One tool call and what came of it. No doc comment: it would be sent with every schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline, extend("additionalProperties" = false))]
pub(crate) struct StepArgs {
    /// Name of the tool or command.
    tool: String,
    /// What it was meant to do.
    action: Option<String>,
    /// Its arguments.
    #[serde(default)]
    #[schemars(schema_with = "text_or_json")]
    args: Value,
    /// What it returned; the telling part is enough.
    #[serde(default)]
    #[schemars(schema_with = "text_or_object")]
    observation: Value,
    /// By default, whether `error` is empty.
    ok: Option<bool>,
    /// The error, if it failed.
    error: Option<String>,
    /// How long it took, in ms.
    duration_ms: Option<u64>,
    /// Your id for it; repeating it changes nothing.
    external_id: Option<String>,
}

impl StepArgs {
    /// The step; what is wrong with it goes to `violations`, with `at` before the field's name.
    pub(crate) fn parse(self, at: &str, violations: &mut Violations) -> NewStep {
        let error = non_blank(self.error);
        if self.ok == Some(true) && error.is_some() {
            violations.add(format!("{at}ok"), "is true although `error` is given; leave one of them out");
        }
        let result = match (self.ok, error) {
            (Some(false), error) => StepResult::Failed { error: error.unwrap_or_default() },
            (_, Some(error)) => StepResult::Failed { error },
            (_, None) => StepResult::Succeeded,
        };
        NewStep {
            external_id: self.external_id,
            tool: self.tool,
            action: non_blank(self.action),
            args: text(self.args),
            observation: text(self.observation),
            result,
            duration_ms: self.duration_ms,
        }
    }
}

/// Arguments of `create_episode`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateEpisodeArgs {
    /// The task as it was given.
    task: String,
    /// Field of work: coding.python.
    domain: Option<String>,
    /// Repository or product.
    project: Option<String>,
    task_type: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    /// Anything else, by name.
    #[serde(default)]
    context: Option<Map<String, Value>>,
    /// Your id; stored once.
    external_id: Option<String>,
    /// In order; of observations the telling part.
    #[serde(default)]
    steps: Option<Vec<StepArgs>>,
    /// Only if finished.
    outcome: Option<WireOutcome>,
    /// How you know.
    basis: Option<WireBasis>,
    /// What was done and learned.
    summary: Option<String>,
    /// How well it went.
    #[schemars(range(min = 0, max = 1))]
    reward: Option<f64>,
    /// RFC 3339.
    started_at: Option<String>,
}

impl CreateEpisodeArgs {
    pub(crate) fn parse(self) -> Result<NewEpisode, Error> {
        let mut violations = Violations::default();
        let started_at = violations.time("started_at", self.started_at.as_deref());
        let steps = self.steps.unwrap_or_default().into_iter().enumerate();
        let steps =
            steps.map(|(index, step)| step.parse(&format!("steps[{index}]."), &mut violations)).collect();
        let summary = non_blank(self.summary);
        if self.outcome.is_none() {
            for (field, given) in [
                ("basis", self.basis.is_some()),
                ("summary", summary.is_some()),
                ("reward", self.reward.is_some()),
            ] {
                if given {
                    violations.add(
                        field,
                        "needs `outcome`: say how the episode ended, or leave it out until it has",
                    );
                }
            }
        }
        violations.finish()?;
        let ending = self.outcome.map(|outcome| NewEnding {
            outcome: Some(outcome.into()),
            summary,
            reward: self.reward,
            artifacts: Vec::new(),
            basis: self.basis.map(Into::into),
        });
        let brief = Brief {
            task: self.task,
            scope: Scope { domain: non_blank(self.domain), project: non_blank(self.project) },
            task_type: non_blank(self.task_type),
            tags: self.tags.unwrap_or_default(),
            context: context(self.context.unwrap_or_default()),
        };
        Ok(NewEpisode { external_id: non_blank(self.external_id), brief, started_at, steps, ending })
    }
}

/// A JSON object as named texts.
pub(crate) fn context(object: Map<String, Value>) -> BTreeMap<String, String> {
    object.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()
}

/// Result of `create_episode`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct CreateEpisodeResult {
    /// The episode's id.
    pub(crate) episode_id: String,
    /// `open` or `completed`.
    pub(crate) state: &'static str,
    /// What the outcome rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) basis: Option<WireBasis>,
    /// Only if true: the steps contradict the outcome.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) disputed: bool,
    /// Whether the episode was there already under its external id, so that nothing was stored.
    pub(crate) existing: bool,
    /// The extraction job of a finished episode.
    pub(crate) job_id: Option<String>,
    /// Earlier episodes like it.
    pub(crate) similar: Vec<WireHit>,
}

/// Arguments of `add_episode_step`. serde cannot refuse unknown fields beside a flattened struct; the check against the
/// schema does.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub(crate) struct AddStepArgs {
    /// The open episode.
    episode_id: String,
    #[serde(flatten)]
    step: StepArgs,
}

impl AddStepArgs {
    /// The episode's id as given, and the step.
    pub(crate) fn parse(self) -> Result<(String, NewStep), Error> {
        let mut violations = Violations::default();
        let step = self.step.parse("", &mut violations);
        violations.finish()?;
        Ok((self.episode_id, step))
    }
}

/// Result of `add_episode_step`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct AddStepResult {
    /// The step's number, from 1.
    pub(crate) step: u32,
}

/// Arguments of `complete_episode`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompleteEpisodeArgs {
    /// The open episode.
    pub(crate) episode_id: String,
    /// How it ended.
    outcome: WireOutcome,
    /// How you know.
    basis: Option<WireBasis>,
    /// What was done and learned, in a few sentences.
    summary: Option<String>,
    /// Your own measure of success.
    #[schemars(range(min = 0, max = 1))]
    reward: Option<f64>,
    /// Files, pull requests, links.
    #[serde(default)]
    artifacts: Option<Vec<String>>,
}

impl CompleteEpisodeArgs {
    pub(crate) fn parse(self) -> (String, NewEnding) {
        let ending = NewEnding {
            outcome: Some(self.outcome.into()),
            summary: non_blank(self.summary),
            reward: self.reward,
            artifacts: self.artifacts.unwrap_or_default(),
            basis: self.basis.map(Into::into),
        };
        (self.episode_id, ending)
    }
}

/// Result of `complete_episode`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct CompleteEpisodeResult {
    /// What the outcome rests on.
    basis: WireBasis,
    /// Only if true: the steps contradict the outcome.
    #[serde(skip_serializing_if = "is_false")]
    disputed: bool,
    /// How good the episode was.
    reward: WireReward,
    /// What can be read off its steps.
    reflection: String,
    /// The same, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statements: Vec<WireStatement>,
    /// The background job that learns from it.
    job_id: String,
}

impl CompleteEpisodeResult {
    pub(crate) fn new(completion: &Completion, job: JobId) -> Self {
        Self {
            basis: completion.basis.into(),
            disputed: completion.disputed,
            reward: WireReward::from(&completion.reward),
            reflection: completion.reflection.text(),
            statements: statements(&completion.reflection),
            job_id: job.to_string(),
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// One thing that the steps show.
#[derive(Debug, JsonSchema, Serialize)]
struct WireStatement {
    /// worked, failed or differently (what to do differently).
    kind: &'static str,
    text: String,
    /// Numbers of the steps that show it.
    steps: Vec<u32>,
}

fn statements(reflection: &Reflection) -> Vec<WireStatement> {
    let wire = |Statement { kind, text, steps }: &Statement| WireStatement {
        kind: kind.name(),
        text: text.clone(),
        steps: steps.clone(),
    };
    reflection.statements.iter().map(wire).collect()
}

/// A reward and what it was computed from.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireReward {
    /// 0 to 1: `given` if there is one, else `computed`.
    total: Option<f64>,
    /// 0.7 × outcome + 0.1 × each of checks, efficiency and recoveries; unknown ones leave their weight to the others.
    computed: Option<f64>,
    /// What it was computed from.
    parts: WireRewardParts,
}

#[derive(Debug, JsonSchema, Serialize)]
struct WireRewardParts {
    /// The caller's reward.
    given: Option<f64>,
    /// 1 for success, 0.5 for partial, 0 for failure and abandoned.
    outcome: Option<f64>,
    /// Whether the last test run and the last build passed; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<f64>,
    /// Median steps of similar successes ÷ its own; absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    efficiency: Option<f64>,
    /// Share of failed steps that were overcome; absent without failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    recoveries: Option<f64>,
    /// Share of the steps that succeeded; null without steps.
    steps_ok: Option<f64>,
}

impl From<&Reward> for WireReward {
    fn from(reward: &Reward) -> Self {
        let parts = WireRewardParts {
            given: reward.parts.given.map(round),
            outcome: reward.parts.outcome,
            checks: reward.parts.checks,
            efficiency: reward.parts.efficiency.map(round),
            recoveries: reward.parts.recoveries.map(round),
            steps_ok: reward.parts.steps_ok.map(round),
        };
        Self { total: reward.total.map(round), computed: reward.computed.map(round), parts }
    }
}

/// Arguments of `get_episode`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetEpisodeArgs {
    pub(crate) episode_id: String,
    /// Default 1.
    #[schemars(range(min = 1))]
    pub(crate) steps_from: Option<u64>,
    /// By default 50, or fewer if they are long.
    #[schemars(range(min = 0, max = STEPS_PAGE_MAX))]
    pub(crate) steps_limit: Option<usize>,
}

/// Result of `get_episode`: the episode with one page of its steps.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireEpisode {
    episode_id: String,
    external_id: Option<String>,
    task: String,
    domain: Option<String>,
    project: Option<String>,
    task_type: Option<String>,
    tags: Vec<String>,
    context: BTreeMap<String, String>,
    /// open or completed.
    state: &'static str,
    started_at: String,
    completed_at: Option<String>,
    /// Null while it is open, or where nobody knows.
    outcome: Option<WireOutcome>,
    /// What the outcome rests on; absent while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<WireBasis>,
    /// Only if true: the steps contradict the outcome.
    #[serde(skip_serializing_if = "is_false")]
    disputed: bool,
    summary: Option<String>,
    artifacts: Vec<String>,
    /// Null while it is open.
    reward: Option<WireReward>,
    /// What can be read off its steps; null while it is open.
    reflection: Option<String>,
    /// The same, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statements: Vec<WireStatement>,
    /// Episodes that it was linked with, those last linked first, at most 100; absent without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<WireLink>,
    /// All steps, not only those of this page.
    step_count: u32,
    /// One page of its steps.
    steps: Vec<WireStep>,
    /// `steps_from` of the next page; null on the last one.
    next_steps_from: Option<u32>,
}

/// One step of an episode.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireStep {
    /// Its number, from 1.
    step: u32,
    /// When it was stored.
    at: String,
    external_id: Option<String>,
    tool: String,
    action: Option<String>,
    args: Option<String>,
    observation: Option<String>,
    /// Whether it worked.
    ok: bool,
    error: Option<String>,
    duration_ms: Option<u64>,
}

impl From<Step> for WireStep {
    fn from(step: Step) -> Self {
        let Step { number, at, call } = step;
        let error = call.error().map(str::to_owned);
        Self {
            step: number,
            at: at.to_string(),
            external_id: call.external_id,
            tool: call.tool,
            action: call.action,
            args: call.args,
            observation: call.observation,
            ok: error.is_none(),
            error,
            duration_ms: call.duration_ms,
        }
    }
}

/// The size of a step's texts, in bytes.
fn size(step: &Step) -> usize {
    let call = &step.call;
    let texts = [call.error(), call.action.as_deref(), call.args.as_deref(), call.observation.as_deref()];
    texts.into_iter().flatten().map(str::len).sum()
}

/// The name of an episode's state.
pub(crate) fn state(completed: bool) -> &'static str {
    if completed { "completed" } else { "open" }
}

impl WireEpisode {
    /// The same with its links.
    pub(crate) fn linked(mut self, links: &[Link]) -> Self {
        self.links = links.iter().map(|link| WireLink::seen_from(&self.episode_id, link)).collect();
        self
    }

    /// The episode with `limit` steps from number `from` on; without a limit, as many as make a page.
    pub(crate) fn page(episode: Episode, from: u32, limit: Option<usize>) -> Self {
        let Episode { head, steps } = episode;
        let last = steps.last().map_or(0, |step| step.number);
        let rest = steps.into_iter().filter(|step| step.number >= from);
        let page: Vec<Step> = match limit {
            Some(limit) => rest.take(limit).collect(),
            None => {
                let mut bytes = 0;
                // The step that fills the page still belongs to it, so that there always is one.
                let fits = |step: &Step| {
                    let before = bytes;
                    bytes += size(step);
                    before < STEPS_PAGE_BYTES
                };
                rest.take(STEPS_PAGE_DEFAULT).take_while(fits).collect()
            }
        };
        let next = page.last().map(|step| step.number + 1).filter(|next| *next <= last);
        let Brief { task, scope, task_type, tags, context } = head.brief;
        let completion = head.completion;
        Self {
            episode_id: head.id.to_string(),
            external_id: head.external_id,
            task,
            domain: scope.domain,
            project: scope.project,
            task_type,
            tags,
            context,
            state: state(completion.is_some()),
            started_at: head.started_at.to_string(),
            completed_at: completion.as_ref().map(|completion| completion.at.to_string()),
            outcome: completion.as_ref().and_then(|completion| completion.outcome).map(Into::into),
            basis: completion.as_ref().map(|completion| completion.basis.into()),
            disputed: completion.as_ref().is_some_and(|completion| completion.disputed),
            statements: completion
                .as_ref()
                .map(|completion| statements(&completion.reflection))
                .unwrap_or_default(),
            reward: completion.as_ref().map(|completion| WireReward::from(&completion.reward)),
            reflection: completion.as_ref().map(|completion| completion.reflection.text()),
            artifacts: completion.as_ref().map(|completion| completion.artifacts.clone()).unwrap_or_default(),
            summary: completion.and_then(|completion| completion.summary),
            links: Vec::new(),
            step_count: head.step_count,
            steps: page.into_iter().map(WireStep::from).collect(),
            next_steps_from: next,
        }
    }
}

/// How long a note is meant to live.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum WireLayer {
    ShortTerm,
    LongTerm,
}

/// One name or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Names {
    One(String),
    Several(Vec<String>),
}

pub(super) fn names(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
}

/// Arguments of `remember`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RememberArgs {
    /// The fact or preference.
    text: String,
    /// Field of work it holds for.
    domain: Option<String>,
    /// Repository or product it holds for.
    project: Option<String>,
    /// Default long_term; short_term for the work at hand.
    layer: Option<WireLayer>,
    /// Labels.
    #[serde(default)]
    tags: Option<Vec<String>>,
    /// Your id for it; a later note of the same id replaces this one.
    external_id: Option<String>,
    /// Ids of the notes that it replaces.
    #[serde(default)]
    #[schemars(schema_with = "names")]
    supersedes: Option<Names>,
}

impl RememberArgs {
    pub(crate) fn parse(self) -> NewNote {
        let layer = match self.layer {
            None => Layer::default(),
            Some(WireLayer::ShortTerm) => Layer::ShortTerm,
            Some(WireLayer::LongTerm) => Layer::LongTerm,
        };
        let supersedes = match self.supersedes {
            None => Vec::new(),
            Some(Names::One(name)) => vec![name],
            Some(Names::Several(names)) => names,
        };
        NewNote {
            text: self.text,
            external_id: non_blank(self.external_id),
            scope: Scope { domain: non_blank(self.domain), project: non_blank(self.project) },
            layer,
            tags: self.tags.unwrap_or_default(),
            supersedes,
        }
    }
}

/// Result of `remember`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct RememberResult {
    /// The note's id; that of the earlier note if the same was said before.
    pub(crate) note_id: String,
    /// Ids of the notes that it replaced.
    pub(crate) superseded: Vec<String>,
}
