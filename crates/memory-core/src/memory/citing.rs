//! What is recorded cites the files and the commit that it names; what is told says which of those have changed.

use std::collections::{BTreeSet, HashMap};

use super::Memory;
use crate::citation::{Citation, Citations, Mentions, Sight, Standing};
use crate::error::Error;
use crate::limits::CITATIONS_MAX;
use crate::redact::redact;
use crate::retrieve::{Found, Hit};

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
        let Some(root) = self.ports.workspace.root() else { return Ok(()) };
        let can_cite = |found: &Found| !matches!(found, Found::Pattern(_));
        let found: Vec<Found> = hits.iter().map(|hit| hit.item.found()).filter(can_cite).collect();
        if found.is_empty() {
            return Ok(());
        }
        let cited: HashMap<Found, Vec<Citation>> =
            self.ports.citations.citations(found, root).await?.into_iter().collect();
        let standing = self.standing(cited.values().flatten()).await;
        for hit in hits {
            let citations = cited.get(&hit.item.found()).into_iter().flatten();
            hit.stale = citations.filter_map(|citation| standing.change(citation)).collect();
        }
        Ok(())
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
