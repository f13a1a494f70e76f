//! What to do next.

use std::collections::HashMap;

use super::Memory;
use crate::episode::{Scope, Step};
use crate::error::Error;
use crate::extract::{Course, error_class, error_kind};
use crate::forecast::{Forecast, Likely, forecast, next_tools, ways_out};
use crate::id::EpisodeId;
use crate::limits::{
    ADVICE_EVIDENCE_MAX, ADVICE_ITEMS_MAX, ADVISERS_MAX, DETAIL_CHARS_MAX, NEIGHBOURS_MAX,
    RECOVERY_STEPS_MAX, SELECTED_MIN,
};
use crate::pattern::{Fields, Measure, PatternBody};
use crate::retrieve::{Advice, AdviceItem, Filter, Found, Item, Kind, Similar, advisers};
use crate::validate::{check, scrub};

/// What a recommendation is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The task, in words.
    pub task: String,
    /// Its domain and project.
    pub scope: Scope,
    /// The open episode of it, whose steps so far count.
    pub episode: Option<EpisodeId>,
    /// An error that was just met.
    pub error: Option<String>,
}

/// A tool that may be the way out of a failure.
#[derive(Clone, Debug, PartialEq)]
pub struct WayOut {
    /// The tool, and how likely it is to be the next to succeed.
    pub likely: Likely,
    /// What was done with it in the most similar episode that was in the same trouble, quoted.
    pub action: Option<String>,
    /// That episode.
    pub evidence: Option<EpisodeId>,
}

/// What to do next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommendation {
    /// Whether a similar episode is known. If not, what is told is what is usual.
    pub known: bool,
    /// Tools that may come next, the likeliest first.
    pub next: Vec<Likely>,
    /// What similar episodes teach.
    pub advice: Advice,
    /// Ways out of the last failure, the likeliest first; empty if there was none.
    pub ways_out: Vec<WayOut>,
    /// The similar episodes, the most similar first.
    pub evidence: Vec<EpisodeId>,
}

impl Memory {
    /// What to do next, from what was done before in such a task and in such a state.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] if there is no such episode, [`Error::Store`].
    pub async fn recommend(&self, mut asked: Asked) -> Result<Recommendation, Error> {
        check(&mut asked, Vec::new())?;
        scrub(&mut asked);
        let course = match asked.episode {
            Some(id) => self.episode(id).await?.steps,
            None => Vec::new(),
        };
        let fields = self.ports.patterns.fields().await?;
        let domain = asked.scope.domain.as_deref();
        let filter =
            Filter { kinds: vec![Kind::Episode], domain: asked.scope.domain.clone(), ..Filter::default() };
        let (placed, _) = self.search(&asked.task, filter, None).await?;
        let gated = advisers(&placed);
        let found = placed.iter().filter_map(|placed| match placed.ranked.found {
            Found::Episode(id) if Some(id) != asked.episode => Some(id),
            _ => None,
        });
        let near: Vec<EpisodeId> = found.take(NEIGHBOURS_MAX).collect();
        let mut heads = self.ports.episodes.heads(&near).await?;
        heads.retain(|head| head.completion.is_some());
        let similar = Similar::to(&asked.task, heads);
        let ids = similar.iter().map(|similar| similar.head.id).collect();
        let courses = self.ports.experience.courses(ids).await?;
        let next = self.next(&course, domain, &similar, &courses).await?;
        let ways_out = self.ways_out(&asked, &course, &courses).await?;
        let is_teacher = |similar: &Similar| gated.contains(&similar.head.id) || similar.is_alike();
        let teachers: Vec<Similar> = similar.into_iter().filter(is_teacher).take(ADVISERS_MAX).collect();
        let mut advice = if teachers.is_empty() {
            Advice::default()
        } else {
            self.advice_of(&asked.task, domain, &teachers).await?
        };
        let trouble = asked.error.as_deref().or(course.last().and_then(|step| step.call.error()));
        if let Some(error) = trouble {
            let mut known = self.recoveries_from(error, domain, &fields).await?;
            advice.recoveries.retain(|item| known.iter().all(|known| known.pattern != item.pattern));
            known.append(&mut advice.recoveries);
            known.truncate(ADVICE_ITEMS_MAX);
            advice.recoveries = known;
        }
        if advice.success.is_none() {
            advice.success = self.usual(&fields, domain);
        }
        self.tell_stale_advice(&mut advice).await?;
        let evidence: Vec<EpisodeId> = teachers.iter().map(|similar| similar.head.id).collect();
        Ok(Recommendation { known: !evidence.is_empty(), next, advice, ways_out, evidence })
    }

    /// How such an error was recovered from in whatever task, the very same error first, then those of its kind.
    async fn recoveries_from(
        &self,
        error: &str,
        domain: Option<&str>,
        fields: &Fields,
    ) -> Result<Vec<AdviceItem>, Error> {
        let filter =
            Filter { kinds: vec![Kind::Pattern], domain: domain.map(str::to_owned), ..Filter::default() };
        let (mut placed, _) = self.search(error, filter, None).await?;
        placed.truncate(SELECTED_MIN);
        let (class, kind, now) = (error_class(error), error_kind(error), self.ports.source.now());
        let mut known = Vec::new();
        for (item, _) in self.items(placed).await? {
            let Item::Pattern(pattern) = item else { continue };
            let PatternBody::ErrorRecovery { error, recovery, .. } = &pattern.body else { continue };
            let (is_same, is_like) = (*error == class, error_kind(error) == kind);
            if recovery.is_empty() || pattern.tally.credit <= 0.0 || !(is_same || is_like) {
                continue;
            }
            let prior = fields.prior(pattern.domain.as_deref(), Measure::Recovery);
            known.push((is_same, pattern.rate(&prior, now), pattern));
        }
        known.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| b.1.low.total_cmp(&a.1.low)));
        known.truncate(ADVICE_ITEMS_MAX);
        let mut items = Vec::with_capacity(known.len());
        for (_, rate, pattern) in known {
            let shown = self.ports.patterns.evidence(pattern.id, ADVICE_EVIDENCE_MAX).await?;
            items.push(AdviceItem::of(&pattern, rate, &shown));
        }
        Ok(items)
    }

    /// What is usual in the domain, or anywhere if nothing is known of it.
    fn usual(&self, fields: &Fields, domain: Option<&str>) -> Option<Forecast> {
        let now = self.ports.source.now();
        forecast(&[], &[], &fields.of(domain), now).or_else(|| forecast(&[], &[], fields, now))
    }

    async fn next(
        &self,
        course: &[Step],
        domain: Option<&str>,
        similar: &[Similar],
        courses: &[(EpisodeId, Vec<Step>)],
    ) -> Result<Vec<Likely>, Error> {
        let states = Course(course).states();
        let habits = self.ports.experience.choices(domain.map(str::to_owned), states).await?;
        let resemblances: HashMap<EpisodeId, f64> =
            similar.iter().map(|similar| (similar.head.id, similar.resemblance)).collect();
        let similar: Vec<(f64, &[Step])> = courses
            .iter()
            .filter_map(|(id, steps)| Some((*resemblances.get(id)?, steps.as_slice())))
            .collect();
        Ok(next_tools(course, &habits, &similar))
    }

    async fn ways_out(
        &self,
        asked: &Asked,
        course: &[Step],
        courses: &[(EpisodeId, Vec<Step>)],
    ) -> Result<Vec<WayOut>, Error> {
        let troubles = Course(course).troubles(asked.error.as_deref());
        if troubles.is_empty() {
            return Ok(Vec::new());
        }
        let failed = course.last().map(|step| step.call.tool.as_str());
        let known = self.ports.experience.choices(asked.scope.domain.clone(), troubles).await?;
        let way_out = |likely: Likely| {
            let shown =
                courses.iter().find_map(|(id, steps)| Some((*id, taken(steps, failed, &likely.tool)?)));
            let (evidence, action) = shown.unzip();
            WayOut { likely, action, evidence }
        };
        Ok(ways_out(&known).into_iter().map(way_out).collect())
    }
}

/// What an episode did with a tool as the first success after a failure (of this tool), quoted.
fn taken(steps: &[Step], failed: Option<&str>, tool: &str) -> Option<String> {
    let failures = steps.iter().enumerate().filter(|(_, step)| {
        step.call.error().is_some() && failed.is_none_or(|failed| step.call.tool == failed)
    });
    let mut ways = failures.filter_map(|(index, _)| {
        let after = &steps[index + 1..steps.len().min(index + 1 + RECOVERY_STEPS_MAX)];
        after.iter().find(|step| step.call.error().is_none()).filter(|step| step.call.tool == tool)
    });
    let call = &ways.next()?.call;
    let text = call.args.as_deref().or(call.action.as_deref())?;
    Some(text.chars().take(DETAIL_CHARS_MAX).collect())
}
