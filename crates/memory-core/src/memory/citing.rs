//! What is recorded cites the files and the commit that it names; what is told says which of those have changed.

use std::collections::{BTreeSet, HashMap};

use super::Memory;
use crate::citation::{Citation, Citations, Mentions, Sight, Standing};
use crate::error::Error;
use crate::id::EpisodeId;
use crate::limits::CITATIONS_MAX;
use crate::redact::redact;
use crate::retrieve::{Advice, AdviceItem, Found, Hit};

impl Memory {
    /// What something cites that mentions these; `None` outside of a work tree.
    pub(super) async fn cited(&self, mentions: Mentions) -> Option<Citations> {
        let workspace = &self.ports.workspace;
        let root = workspace.root()?;
        let Mentions { paths, commits } = mentions;
        let mut cited = BTreeSet::new();
        // Another commit than the one that was checked out is history, and stays what it was.
        if !commits.is_empty()
            && let Some(id) = workspace.head().await
            && commits.iter().any(|commit| id.starts_with(commit.as_str()))
        {
            cited.insert(Citation::Commit { id });
        }
        // A few at a time, as most of what looks like a path names no file, and to read one takes longer.
        for some in paths.chunks(CITATIONS_MAX) {
            for sight in workspace.look(some.to_vec()).await {
                if let Sight::File { path, content } = sight
                    && cited.len() < CITATIONS_MAX
                    // The mention had no secrets, but it may have been a link.
                    && matches!(redact(&path), std::borrow::Cow::Borrowed(_))
                {
                    cited.insert(Citation::File { path, content });
                }
            }
            if cited.len() >= CITATIONS_MAX {
                break;
            }
        }
        Some(Citations { root, cited: cited.into_iter().collect() })
    }

    /// Tells of each hit what it cites and is another one now.
    pub(super) async fn tell_stale(&self, hits: &mut [Hit]) -> Result<(), Error> {
        let can_cite = |found: &Found| !matches!(found, Found::Pattern(_));
        let found = hits.iter().map(|hit| hit.item.found()).filter(can_cite).collect();
        let changed = self.changed(found).await?;
        for hit in hits {
            let changes = changed.get(&hit.item.found()).into_iter().flatten();
            hit.stale = changes.map(|change| change.told.clone()).collect();
        }
        Ok(())
    }

    /// Tells of each piece of advice which of the files that it names have changed since it was learned.
    pub(super) async fn tell_stale_advice(&self, advice: &mut Advice) -> Result<(), Error> {
        let items = || [&advice.steps, &advice.pitfalls, &advice.recoveries].into_iter().flatten();
        let names_something =
            |item: &&AdviceItem| item.pattern.is_some() && item.quoted().contains(['/', '.']);
        let teachers: BTreeSet<EpisodeId> =
            items().filter(names_something).filter_map(|item| item.evidence.first().copied()).collect();
        let changed = self.changed(teachers.into_iter().map(Found::Episode).collect()).await?;
        for item in [&mut advice.steps, &mut advice.pitfalls, &mut advice.recoveries].into_iter().flatten() {
            let Some(teacher) = item.evidence.first().filter(|_| item.pattern.is_some()) else { continue };
            let quoted = item.quoted();
            let changes = changed.get(&Found::Episode(*teacher)).into_iter().flatten();
            let is_named =
                |change: &&Changed| change.path.as_ref().is_some_and(|path| quoted.contains(path.as_str()));
            let stale: Vec<String> = changes.filter(is_named).map(|change| change.told.clone()).collect();
            item.stale = stale;
        }
        Ok(())
    }

    /// What these things cite and is another one now.
    async fn changed(&self, found: Vec<Found>) -> Result<HashMap<Found, Vec<Changed>>, Error> {
        let Some(root) = self.ports.workspace.root().filter(|_| !found.is_empty()) else {
            return Ok(HashMap::new());
        };
        let cited = self.ports.citations.citations(found, root).await?;
        let standing = self.standing(cited.iter().flat_map(|(_, citations)| citations)).await;
        let changes = |citations: &[Citation]| {
            let change = |citation: &Citation| {
                let path = match citation {
                    Citation::File { path, .. } => Some(path.clone()),
                    Citation::Commit { .. } => None,
                };
                Some(Changed { path, told: standing.change(citation)? })
            };
            citations.iter().filter_map(change).collect()
        };
        Ok(cited.iter().map(|(found, citations)| (*found, changes(citations))).collect())
    }

    /// How what is cited stands now; each is looked at once.
    async fn standing(&self, cited: impl Iterator<Item = &Citation>) -> Standing {
        let (mut paths, mut commit) = (BTreeSet::new(), false);
        for citation in cited {
            match citation {
                Citation::Commit { .. } => commit = true,
                Citation::File { path, .. } => _ = paths.insert(path.clone()),
            }
        }
        let workspace = &self.ports.workspace;
        let paths: Vec<String> = paths.into_iter().collect();
        let sights = if paths.is_empty() { Vec::new() } else { workspace.look(paths.clone()).await };
        let head = if commit { workspace.head().await } else { None };
        Standing { sights: paths.into_iter().zip(sights).collect(), head }
    }
}

/// Something cited that is another one now.
struct Changed {
    /// The file; `None` for the commit.
    path: Option<String>,
    /// In words.
    told: String,
}

impl AdviceItem {
    /// What it says and quotes.
    fn quoted(&self) -> String {
        format!("{} {}", self.text, self.example.as_deref().unwrap_or_default())
    }
}
