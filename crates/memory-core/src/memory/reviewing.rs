//! Looking at what was learned, correcting it, and saying what it was worth.

use uuid::Uuid;

use super::Memory;
use crate::error::{Error, Violation};
use crate::feedback::{Feedback, Usefulness};
use crate::id::{EpisodeId, NoteId, PatternId};
use crate::limits::{EVIDENCE_MAX, FEEDBACK_IDS_MAX, PATTERNS_PAGE_MAX};
use crate::pattern::{Correction, Fields, Pattern, PatternBody, Prior, Rate, Tally, Verdict};
use crate::port::{Evidence, Listing, StoreError};
use crate::retrieve::{Found, Item};
use crate::validate::{check, scrub};

/// A pattern with what its evidence makes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// The pattern.
    pub pattern: Pattern,
    /// Its success rate.
    pub rate: Rate,
    /// What it is taken for.
    pub verdict: Verdict,
    /// What was to be expected before its evidence.
    pub prior: Prior,
}

/// A page of the patterns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatternPage {
    /// The patterns, those first that more episodes show.
    pub patterns: Vec<Review>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<(u32, PatternId)>,
}

/// How a pattern's rate came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The pattern.
    pub review: Review,
    /// What its evidence is worth now: as many fresh episodes of different tasks.
    pub worth: Tally,
    /// What was said of it is worth now.
    pub feedback: Tally,
    /// The episodes that show it, the newest first, at most [`EVIDENCE_MAX`].
    pub evidence: Vec<Evidence>,
}

impl Memory {
    /// A page of the patterns, of one verdict or of all.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Store`].
    pub async fn patterns(&self, listing: Listing, verdict: Option<Verdict>) -> Result<PatternPage, Error> {
        let violations = listing_violations(&listing);
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let fields = self.ports.patterns.fields().await?;
        let (max, mut after) = (listing.max, listing.after);
        let mut page = PatternPage::default();
        loop {
            let asked = Listing { after, max: PATTERNS_PAGE_MAX, ..listing.clone() };
            let found = self.ports.patterns.list(asked).await?;
            let is_last = found.len() < PATTERNS_PAGE_MAX;
            for pattern in found {
                if page.patterns.len() == max {
                    page.next = after;
                    return Ok(page);
                }
                after = Some((pattern.tally.episodes, pattern.id));
                let review = self.review(pattern, &fields);
                if verdict.is_none_or(|verdict| verdict == review.verdict) {
                    page.patterns.push(review);
                }
            }
            if is_last {
                return Ok(page);
            }
        }
    }

    /// How a pattern's rate came about.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Store`].
    pub async fn explain_pattern(&self, id: PatternId) -> Result<Explanation, Error> {
        let items = self.ports.items.items(vec![Found::Pattern(id)]).await?;
        let Some(Item::Pattern(pattern)) = items.into_iter().next() else {
            return Err(of_pattern(id, StoreError::NotFound));
        };
        let fields = self.ports.patterns.fields().await?;
        let now = self.ports.source.now();
        let (worth, feedback) = (pattern.tally.at(now), pattern.feedback.at(now));
        let evidence = self.ports.patterns.evidence(id, EVIDENCE_MAX).await?;
        let evidence =
            evidence.into_iter().map(|one| Evidence { observed: one.observed.at(now), ..one }).collect();
        Ok(Explanation { review: self.review(pattern, &fields), worth, feedback, evidence })
    }

    fn review(&self, pattern: Pattern, fields: &Fields) -> Review {
        let now = self.ports.source.now();
        let prior = fields.prior(pattern.domain.as_deref(), pattern.body.measure());
        Review { rate: pattern.rate(&prior, now), verdict: pattern.verdict(&prior, now), prior, pattern }
    }

    /// Says what a pattern is to be taken for, whatever its rate; `None` takes that back.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] or [`Error::Store`].
    pub async fn correct_pattern(&self, id: PatternId, correction: Option<Correction>) -> Result<(), Error> {
        let mut correction = correction;
        if let Some(correction) = &mut correction {
            check(correction, Vec::new())?;
            scrub(correction);
        }
        let done = self.ports.feedback.correct(id, correction, self.ports.source.now()).await;
        done.map_err(|error| of_pattern(id, error))
    }

    /// Deletes a pattern for good: it is not told again even if it is seen again.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Store`].
    pub async fn delete_pattern(&self, id: PatternId) -> Result<(), Error> {
        let done = self.ports.feedback.delete_pattern(id, self.ports.source.now()).await;
        done.map_err(|error| of_pattern(id, error))
    }

    /// Notes what things were worth that had been shown. Returns them, each once.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] if one of them does not exist (then nothing is noted), [`Error::Store`].
    pub async fn give_feedback(
        &self,
        ids: &[Uuid],
        usefulness: Usefulness,
        comment: Option<String>,
    ) -> Result<Vec<Found>, Error> {
        let mut violations = Vec::new();
        if ids.is_empty() || ids.len() > FEEDBACK_IDS_MAX {
            let problem = format!("holds {} ids; give 1 to {FEEDBACK_IDS_MAX}", ids.len());
            violations.push(Violation { field: "ids".into(), problem });
        }
        let at = self.ports.source.now();
        let mut feedback = Feedback { about: Vec::new(), usefulness, comment, at };
        check(&mut feedback, violations)?;
        scrub(&mut feedback);
        let mut about = self.resolve(ids).await?;
        about.sort_unstable();
        about.dedup();
        feedback.about.clone_from(&about);
        self.ports.feedback.give(feedback).await?;
        Ok(about)
    }

    /// Finds out what things these ids name.
    async fn resolve(&self, ids: &[Uuid]) -> Result<Vec<Found>, Error> {
        let mut resolved = Vec::with_capacity(ids.len());
        for id in ids {
            let may_be = vec![
                Found::Episode(EpisodeId(*id)),
                Found::Pattern(PatternId(*id)),
                Found::Note(NoteId(*id)),
            ];
            let items = self.ports.items.items(may_be).await?;
            let found = items.first().map(Item::found);
            let missing = || Error::NotFound { what: "pattern, note or episode", id: id.to_string() };
            resolved.push(found.ok_or_else(missing)?);
        }
        Ok(resolved)
    }

    /// Forgets all that was learned and queues every completed episode to be studied again. Returns how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn relearn(&self) -> Result<u64, Error> {
        Ok(self.ports.patterns.relearn().await?)
    }
}

fn listing_violations(listing: &Listing) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !(1..=PATTERNS_PAGE_MAX).contains(&listing.max) {
        let problem = format!("is {}; it must be between 1 and {PATTERNS_PAGE_MAX}", listing.max);
        violations.push(Violation { field: "limit".into(), problem });
    }
    let kinds = PatternBody::KINDS;
    if let Some(kind) = listing.kind.as_deref().filter(|kind| !kinds.contains(kind)) {
        let problem = format!("is {kind:?}; it must be one of {}", kinds.join(", "));
        violations.push(Violation { field: "kind".into(), problem });
    }
    violations
}

/// Puts an error of the store in terms of the pattern it is about.
fn of_pattern(id: PatternId, error: StoreError) -> Error {
    match error {
        StoreError::NotFound => Error::NotFound { what: "pattern", id: id.to_string() },
        other => other.into(),
    }
}
