//! What similar episodes teach about a task.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Found, Lesson, Lessons, Placed};
use crate::episode::{EpisodeHead, Outcome};
use crate::forecast::{Forecast, Resemblance, Run, SAME_TASK, TASK_STRENGTH, forecast};
use crate::id::{EpisodeId, PatternId};
use crate::limits::{ADVICE_EVIDENCE_MAX, ADVICE_ITEMS_MAX, ADVISERS_MAX};
use crate::pattern::{
    Measure, Mistake, Pattern, PatternBody, Prior, Rate, Tally, VERDICT_EPISODES_MIN, Verdict,
};
use crate::port::Evidence;

/// How likely an episode must be relevant for its lessons to become advice: advice from unlike tasks does harm.
const ADVICE_CONFIDENCE: f64 = 0.15;
/// Resemblance from which on an episode may teach as well.
const ALIKE: f64 = 0.6;

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdviceItem {
    /// The pattern that it is; `None` for the account of a single episode.
    pub pattern: Option<PatternId>,
    /// What to do or to avoid, made of recorded tool names and quotations.
    pub text: String,
    /// How often it held; `None` for the account of a single episode.
    pub rate: Option<Rate>,
    /// Similar episodes that show it, at most three.
    pub evidence: Vec<EpisodeId>,
    /// Arguments that worked, quoted from one of them.
    pub example: Option<String>,
    /// What was said of the pattern.
    pub note: Option<String>,
    /// Files that it names and that are other ones now, in words. Never kept with an answer.
    #[serde(skip)]
    pub stale: Vec<String>,
}

impl AdviceItem {
    /// A pattern as advice, with the episodes that show it.
    pub(crate) fn of(pattern: &Pattern, rate: Rate, shown: &[Evidence]) -> Self {
        Self {
            pattern: Some(pattern.id),
            text: pattern.body.describe(),
            rate: Some(rate),
            evidence: shown.iter().map(|shown| shown.episode).collect(),
            example: shown.iter().find_map(|shown| shown.detail.clone()),
            note: pattern.correction.as_ref().and_then(|correction| correction.note.clone()),
            stale: Vec::new(),
        }
    }
}

/// What similar episodes teach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// What tends to work.
    pub steps: Vec<AdviceItem>,
    /// What tends to fail.
    pub pitfalls: Vec<AdviceItem>,
    /// How failures were recovered from.
    pub recoveries: Vec<AdviceItem>,
    /// How likely success is; `None` where nothing is known of the domain.
    pub success: Option<Forecast>,
}

/// The episodes similar enough to learn from, the most similar first.
pub(crate) fn advisers(placed: &[Placed]) -> Vec<EpisodeId> {
    let ranked = placed.iter().map(|placed| &placed.ranked);
    let similar = ranked.filter(|ranked| ranked.confidence >= ADVICE_CONFIDENCE);
    let episodes = similar.filter_map(|ranked| match ranked.found {
        Found::Episode(id) => Some(id),
        Found::Pattern(_) | Found::Note(_) => None,
    });
    episodes.take(ADVISERS_MAX).collect()
}

/// A similar episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Similar {
    /// The episode.
    pub head: EpisodeHead,
    /// How much its task is like the one in question, 0 to 1.
    pub resemblance: f64,
}

impl Similar {
    /// Compares the tasks of these episodes with this one, in the order given.
    pub(crate) fn to(task: &str, heads: Vec<EpisodeHead>) -> Vec<Self> {
        let task = Resemblance::to(task);
        let compare = |head: EpisodeHead| Self { resemblance: task.of(&head.brief.task), head };
        heads.into_iter().map(compare).collect()
    }

    /// Whether it is an earlier run of the task in question.
    pub(crate) fn is_same_task(&self) -> bool {
        self.resemblance >= SAME_TASK
    }

    /// Whether its task is so like the one in question that it may teach, whatever the search makes of the words that are
    /// only in the open episode of the task itself.
    pub(crate) fn is_alike(&self) -> bool {
        self.resemblance >= ALIKE
    }

    /// The earlier run that it is, if its outcome counts.
    fn run(&self) -> Option<Run> {
        let completion = self.head.completion.as_ref().filter(|_| self.is_same_task())?;
        let credit = completion.outcome?.credit()?;
        let reliance = completion.basis.weight(completion.disputed);
        Some(Run { episode: self.head.id, observed: Tally::one(credit, reliance, self.head.started_at) })
    }
}

/// Composes advice from the similar episodes, the most similar first, and what those teach.
///
/// A pattern becomes a step only if the lower bound of its success rate lies above what is usual in its domain, and a
/// pitfall only if the upper bound lies below. Beside that the way of the most similar success is told as what it is: one
/// account. What was said of a pattern overrules its rate.
pub fn compose(similar: &[Similar], lessons: &Lessons, domain: Option<&str>, now: Timestamp) -> Advice {
    let runs: Vec<Run> = similar.iter().filter_map(Similar::run).collect();
    let judged: Vec<Judged<'_>> =
        lessons.lessons.iter().map(|lesson| Judged::new(lesson, lessons, now)).collect();
    let mut steps: Vec<AdviceItem> =
        similar.iter().find_map(|similar| account(&similar.head)).into_iter().collect();
    steps.extend(told(&judged, Verdict::Advice));
    let mut pitfalls = told(&judged, Verdict::Pitfall);
    pitfalls.extend(failures(&judged));
    let mut advice = Advice {
        steps,
        pitfalls,
        recoveries: recoveries(&judged),
        success: forecast(&runs, &lessons.lessons, &lessons.fields.of(domain), now),
    };
    for items in [&mut advice.steps, &mut advice.pitfalls, &mut advice.recoveries] {
        items.truncate(ADVICE_ITEMS_MAX);
    }
    advice
}

/// The way of one successful episode.
fn account(head: &EpisodeHead) -> Option<AdviceItem> {
    let completion =
        head.completion.as_ref().filter(|completion| completion.outcome == Some(Outcome::Success))?;
    let path = &completion.reflection.path;
    let more = if completion.reflection.path_cut { " → …" } else { "" };
    let text = if path.is_empty() {
        format!("in a similar success: {}", completion.summary.as_ref()?)
    } else {
        format!("in a similar success: {}{more}", path.join(" → "))
    };
    let evidence = vec![head.id];
    Some(AdviceItem {
        pattern: None,
        text,
        rate: None,
        evidence,
        example: None,
        note: None,
        stale: Vec::new(),
    })
}

/// A lesson with its verdict. Its rate is computed when it is told: the bounds of a rate cost more than all the rest.
struct Judged<'a> {
    lesson: &'a Lesson,
    prior: Prior,
    evidence: Tally,
    /// Those behind the rate, without what was said of it.
    episodes: u32,
    verdict: Verdict,
}

impl<'a> Judged<'a> {
    /// Where the task itself was run before, its runs count in full, against what its other evidence makes likely.
    fn new(lesson: &'a Lesson, lessons: &Lessons, now: Timestamp) -> Self {
        let Lesson { pattern, own, .. } = lesson;
        let measure = pattern.body.measure();
        let usual = lessons.fields.prior(pattern.domain.as_deref(), measure);
        let evidence = pattern.evidence(now);
        if own.episodes < VERDICT_EPISODES_MIN || measure == Measure::Recovery {
            let (episodes, verdict) = (pattern.tally.episodes, pattern.verdict(&usual, now));
            return Self { lesson, prior: usual, evidence, episodes, verdict };
        }
        let elsewhere = evidence.minus(&own.clustered().at(now));
        let here = Prior { mean: usual.mean_with(&elsewhere), strength: TASK_STRENGTH };
        let own = own.at(now);
        let said = pattern.correction.as_ref().and_then(|correction| correction.verdict);
        let verdict = said.unwrap_or_else(|| here.verdict_against(usual.mean, &own));
        Self { lesson, prior: here, evidence: own, episodes: own.episodes, verdict }
    }

    fn rate(&self) -> Rate {
        Rate { episodes: self.episodes, ..self.prior.rate(&self.evidence) }
    }

    fn item(&self, rate: Rate) -> AdviceItem {
        let Lesson { pattern, shown_by, detail, .. } = self.lesson;
        AdviceItem {
            evidence: shown_by.iter().take(ADVICE_EVIDENCE_MAX).copied().collect(),
            example: detail.clone(),
            ..AdviceItem::of(pattern, rate, &[])
        }
    }
}

/// The patterns of this verdict, the surest first; of patterns that say nearly the same the surest is told.
fn told<'a>(judged: &'a [Judged<'a>], verdict: Verdict) -> Vec<AdviceItem> {
    // A mistake is nothing to be advised, whatever it went with.
    let can_be = |body: &PatternBody| {
        let is_mistake = matches!(body, PatternBody::Pitfall { .. });
        body.measure() == Measure::Outcome && !(is_mistake && verdict == Verdict::Advice)
    };
    let is_shown = |judged: &&Judged<'_>| judged.verdict == verdict && can_be(&judged.lesson.pattern.body);
    let with_rate = |judged: &'a Judged<'a>| (judged, judged.rate());
    let mut passing: Vec<(&Judged<'_>, Rate)> = judged.iter().filter(is_shown).map(with_rate).collect();
    passing.sort_by(|(a, a_rate), (b, b_rate)| {
        let surer = match verdict {
            Verdict::Pitfall => a_rate.high.total_cmp(&b_rate.high),
            Verdict::Advice | Verdict::Neutral => b_rate.low.total_cmp(&a_rate.low),
        };
        let longer = || tools(&b.lesson.pattern.body).len().cmp(&tools(&a.lesson.pattern.body).len());
        surer.then_with(longer).then_with(|| a.lesson.pattern.id.cmp(&b.lesson.pattern.id))
    });
    let mut taken: Vec<&PatternBody> = Vec::new();
    let mut items = Vec::new();
    for (judged, rate) in passing {
        let body = &judged.lesson.pattern.body;
        if items.len() < ADVICE_ITEMS_MAX && !taken.iter().any(|other| overlaps(other, body)) {
            taken.push(body);
            items.push(judged.item(rate));
        }
    }
    items
}

/// The tools that a pattern is about, in order.
fn tools(body: &PatternBody) -> Vec<&str> {
    match body {
        PatternBody::ToolSequence { tools } => tools.iter().map(String::as_str).collect(),
        PatternBody::DecisionPoint { after, choice } => {
            let before = after.as_ref().map(|(tool, _)| tool.as_str());
            before.into_iter().chain([choice.as_str()]).collect()
        }
        PatternBody::Context { name, value } if name == "tool" => vec![value],
        PatternBody::Pitfall { tool, .. } if !tool.is_empty() => vec![tool],
        _ => Vec::new(),
    }
}

/// Whether one says what the other says too: the tools of one are among those of the other in that order.
fn overlaps(a: &PatternBody, b: &PatternBody) -> bool {
    let (a, b) = (tools(a), tools(b));
    let contains = |whole: &[&str], part: &[&str]| {
        !part.is_empty()
            && part.len() <= whole.len()
            && whole.windows(part.len()).any(|window| window == part)
    };
    contains(&a, &b) || contains(&b, &a)
}

/// Failures seen in more than one similar episode, or never overcome in one, the most frequent first.
fn failures(judged: &[Judged<'_>]) -> Vec<AdviceItem> {
    let mut seen: Vec<(&Judged<'_>, &str, &str, usize)> = Vec::new();
    let mut never_overcome: Vec<(&str, &str)> = Vec::new();
    for judged in judged.iter().filter(|judged| judged.verdict == Verdict::Neutral) {
        let PatternBody::Pitfall { mistake, tool, error } = &judged.lesson.pattern.body else { continue };
        match mistake {
            Mistake::Failed => seen.push((judged, tool, error, judged.lesson.shown_by.len())),
            Mistake::Unresolved => never_overcome.push((tool, error)),
            Mistake::Repeated | Mistake::Unchecked => {}
        }
    }
    seen.retain(|(_, tool, error, times)| *times > 1 || never_overcome.contains(&(*tool, *error)));
    seen.sort_by_key(|(.., times)| std::cmp::Reverse(*times));
    let item = |(judged, tool, error, times): (&Judged<'_>, &str, &str, usize)| {
        let text = format!("{tool} failed with \"{error}\" in {times} similar episode(s)");
        AdviceItem { text, ..judged.item(judged.rate()) }
    };
    seen.into_iter().take(ADVICE_ITEMS_MAX).map(item).collect()
}

/// Recoveries that worked at least once, the likeliest first.
fn recoveries(judged: &[Judged<'_>]) -> Vec<AdviceItem> {
    let has_worked = |judged: &&Judged<'_>| match &judged.lesson.pattern.body {
        PatternBody::ErrorRecovery { recovery, .. } => {
            !recovery.is_empty()
                && judged.lesson.pattern.tally.credit > 0.0
                && judged.verdict != Verdict::Pitfall
        }
        _ => false,
    };
    let with_rate = |judged| (judged, Judged::rate(judged));
    let mut worked: Vec<(&Judged<'_>, Rate)> = judged.iter().filter(has_worked).map(with_rate).collect();
    worked.sort_by(|(a, a_rate), (b, b_rate)| {
        let surer = b_rate.low.total_cmp(&a_rate.low);
        surer.then_with(|| a.lesson.pattern.id.cmp(&b.lesson.pattern.id))
    });
    worked.into_iter().take(ADVICE_ITEMS_MAX).map(|(judged, rate)| judged.item(rate)).collect()
}

#[cfg(test)]
mod tests;
