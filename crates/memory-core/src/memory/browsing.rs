//! Looking through what there is: lists of episodes, names to choose from, what is known of a project.

use super::{Memory, period_violation};
use crate::episode::EpisodeHead;
use crate::error::Error;
use crate::limits::{PROJECT_ADVISERS_MAX, PROJECT_EPISODES_MAX, PROJECT_NOTES_MAX};
use crate::note::Note;
use crate::port::{Endings, EpisodeListing, Naming};
use crate::retrieve::{Advice, Similar, compose};

/// What is known of a project.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectSummary {
    /// Its name.
    pub project: String,
    /// How its episodes ended.
    pub endings: Endings,
    /// What its latest ended episodes, at most [`PROJECT_ADVISERS_MAX`], teach. No account of a single episode, and no forecast.
    pub advice: Advice,
    /// Its latest episodes, at most [`PROJECT_EPISODES_MAX`].
    pub recent: Vec<EpisodeHead>,
    /// Its latest current notes, at most [`PROJECT_NOTES_MAX`].
    pub notes: Vec<Note>,
}

impl Memory {
    /// Episodes without their steps, those first that were stored last.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a period that ends before it begins, [`Error::Store`].
    pub async fn episodes(&self, listing: EpisodeListing) -> Result<Vec<EpisodeHead>, Error> {
        if let Some(violation) = period_violation(listing.since, listing.until) {
            return Err(Error::Invalid(vec![violation]));
        }
        Ok(self.ports.catalog.episodes(listing).await?)
    }

    /// Names that begin with `prefix` and come after the name `after`, at most `max`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn names(
        &self,
        naming: Naming,
        prefix: &str,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<String>, Error> {
        Ok(self.ports.catalog.names(naming, prefix.into(), after.map(Into::into), max).await?)
    }

    /// What is known of a project.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing belongs to it, [`Error::Store`].
    pub async fn project_summary(&self, project: &str) -> Result<ProjectSummary, Error> {
        let listing = |completed, max| EpisodeListing {
            project: Some(project.into()),
            completed,
            max,
            ..EpisodeListing::default()
        };
        let recent = self.ports.catalog.episodes(listing(None, PROJECT_EPISODES_MAX)).await?;
        let notes = self.ports.catalog.notes(project.into(), PROJECT_NOTES_MAX).await?;
        if recent.is_empty() && notes.is_empty() {
            return Err(Error::NotFound { what: "project", id: project.into() });
        }
        let endings = self.ports.catalog.endings(project.into()).await?;
        let advisers = self.ports.catalog.episodes(listing(Some(true), PROJECT_ADVISERS_MAX)).await?;
        let ids = advisers.iter().map(|head| head.id).collect();
        let lessons = self.ports.patterns.lessons(ids, Vec::new()).await?;
        // None of them is a run of a task that somebody asks about.
        let similar: Vec<Similar> =
            advisers.into_iter().map(|head| Similar { head, resemblance: 0.0 }).collect();
        let mut advice = compose(&similar, &lessons, None, self.ports.source.now());
        advice.steps.retain(|item| item.pattern.is_some());
        advice.success = None;
        Ok(ProjectSummary { project: project.into(), endings, advice, recent, notes })
    }
}
