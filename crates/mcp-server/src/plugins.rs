//! Extractors that the user added: JavaScript files of the data directory, run in a sandbox of their own. They come and go
//! while the program runs; one that fails again and again is quarantined.

mod directory;
mod interface;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use memory_core::episode::Episode;
use memory_core::extract::Sighting;
use memory_core::port::{NoPlugins, PluginSet, Plugins};
use sandbox::{Layers, Refusal, Sandbox};

use crate::limits::{EXTRACTOR_EPISODES_A_FAULT, EXTRACTOR_FAULTS_MAX, EXTRACTOR_INPUT_BYTES_MAX};
use directory::{Found, Mark, Quarantine};
use interface::Failure;

pub(crate) use directory::{Directory, read};
pub(crate) use interface::{Description, call, describe, input, limits};

/// How it stands with an extractor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is used.
    InUse,
    /// The user does not want it.
    Disabled,
    /// It failed again and again.
    Quarantined(String),
    /// It cannot be used.
    Unusable(String),
}

impl State {
    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::InUse => "in_use",
            Self::Disabled => "disabled",
            Self::Quarantined(_) => "quarantined",
            Self::Unusable(_) => "unusable",
        }
    }
}

/// An extractor, as an operator sees it.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) state: State,
    /// What it says of itself, if it is in use.
    pub(crate) description: Option<String>,
    /// Episodes that it was shown since the process started.
    pub(crate) runs: u64,
    /// How many of these it failed on.
    pub(crate) faults: u64,
}

/// The extractors of a data directory.
pub(crate) struct Extractors {
    directory: Directory,
    sandbox: Arc<Sandbox>,
    /// As they were when they were last looked at.
    shelf: Mutex<Arc<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    found: Vec<Found>,
    entries: Vec<Arc<Entry>>,
    /// See [`PluginSet::version`].
    version: String,
}

/// One file.
struct Entry {
    found: Found,
    state: State,
    description: Option<String>,
    /// Whether the state holds for as long as the file is as it is.
    is_settled: bool,
    counts: Counts,
    /// Why it is not used any more since it was opened.
    fallen: OnceLock<Quarantine>,
    /// Whether the directory says so, too.
    is_marked: AtomicBool,
}

#[derive(Default)]
struct Counts {
    runs: AtomicU64,
    faults: AtomicU64,
    /// Grows with each fault and shrinks with each episode without one.
    strain: AtomicU32,
}

impl Extractors {
    /// Those in this directory. Neither is it looked at nor anything run before somebody asks.
    pub(crate) fn new(path: PathBuf) -> Self {
        // A breaker would keep all of them from being run, for a while, because of one; instead that one is quarantined.
        let layers = Layers { monitoring: false, ..Layers::ALL };
        let sandbox = Arc::new(Sandbox::layered(layers, limits()));
        Self { directory: Directory::new(path), sandbox, shelf: Mutex::default() }
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// How it stands with each, by name.
    pub(crate) async fn status(&self) -> Vec<Status> {
        self.look().await.entries.iter().map(|entry| entry.status()).collect()
    }

    /// Stops what runs.
    pub(crate) async fn shutdown(&self) {
        self.sandbox.shutdown().await;
    }

    fn shelf(&self) -> Arc<Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The extractors as they are now.
    async fn look(&self) -> Arc<Shelf> {
        let known = self.shelf();
        if known.found.is_empty() && !self.directory.is_there() {
            return known;
        }
        let (directory, before) = (self.directory.clone(), known.clone());
        let scanned = tokio::task::spawn_blocking(move || directory.scan(&before.found)).await;
        let found = match scanned {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                let directory = self.directory.path().display();
                tracing::warn!(%error, %directory, "failed to look at the extractors; they stay as they were");
                return known;
            }
            // The runtime ends.
            Err(_) => return known,
        };
        let mut entries = Vec::with_capacity(found.len());
        for found in &found {
            let same = known.entries.iter().find(|entry| entry.is_of(found));
            entries.push(match same {
                Some(entry) => entry.clone(),
                None => Arc::new(self.open(found).await),
            });
        }
        let versions = entries.iter().filter_map(|entry| entry.version()).collect::<Vec<_>>();
        let shelf = Arc::new(Shelf { found, entries, version: versions.join(" ") });
        *self.shelf.lock().unwrap_or_else(PoisonError::into_inner) = shelf.clone();
        shelf
    }

    async fn open(&self, found: &Found) -> Entry {
        let mut description = None;
        let (state, is_settled) = match (&found.source, &found.mark) {
            (Err(problem), _) => (State::Unusable(problem.clone()), true),
            (Ok(_), Some(Mark::Disabled)) => (State::Disabled, true),
            (Ok(source), Some(Mark::Quarantined(quarantine))) if quarantine.sha256 == source.sha256 => {
                (State::Quarantined(quarantine.reason.clone()), true)
            }
            (Ok(source), _) => match describe(&self.sandbox, &source.code).await {
                Ok(described) if described.name != found.name => {
                    let problem = format!(
                        "it calls itself {:?} and its file {:?}; give both the same name",
                        described.name, found.name
                    );
                    (State::Unusable(problem), true)
                }
                Ok(described) => {
                    description = Some(described.description);
                    (State::InUse, true)
                }
                Err(failure) => (State::Unusable(failure.to_string()), matches!(failure, Failure::Fault(_))),
            },
        };
        if let State::Unusable(problem) = &state {
            tracing::warn!(extractor = found.name, problem, "an extractor cannot be used");
        } else {
            tracing::info!(extractor = found.name, ?state, "found an extractor");
        }
        let (counts, fallen, is_marked) = Default::default();
        Entry { found: found.clone(), state, description, is_settled, counts, fallen, is_marked }
    }
}

#[async_trait]
impl Plugins for Extractors {
    async fn in_use(&self) -> Arc<dyn PluginSet> {
        let shelf = self.look().await;
        if shelf.version.is_empty() {
            return Arc::new(NoPlugins);
        }
        Arc::new(Set { shelf, sandbox: self.sandbox.clone(), directory: self.directory.clone() })
    }
}

impl Entry {
    /// Whether it is still what is found now.
    fn is_of(&self, found: &Found) -> bool {
        // One that fell stands again when somebody took the mark off; where it could not be marked it stays down.
        self.is_settled && self.found == *found && !self.is_marked.load(Ordering::Relaxed)
    }

    fn state(&self) -> State {
        self.fallen
            .get()
            .map_or_else(|| self.state.clone(), |fallen| State::Quarantined(fallen.reason.clone()))
    }

    fn status(&self) -> Status {
        Status {
            name: self.found.name.clone(),
            state: self.state(),
            description: self.description.clone(),
            runs: self.counts.runs.load(Ordering::Relaxed),
            faults: self.counts.faults.load(Ordering::Relaxed),
        }
    }

    /// What tells it from others, if it is in use.
    fn version(&self) -> Option<String> {
        let source = self.found.source.as_ref().ok().filter(|_| self.state() == State::InUse)?;
        Some(format!("{}@{}", self.found.name, source.sha256))
    }
}

/// The extractors that were in use at some time.
struct Set {
    shelf: Arc<Shelf>,
    sandbox: Arc<Sandbox>,
    directory: Directory,
}

#[async_trait]
impl PluginSet for Set {
    fn version(&self) -> &str {
        &self.shelf.version
    }

    async fn extract(&self, episode: &Episode) -> Result<Vec<Sighting>, String> {
        // It would be evidence of nothing.
        if episode.head.outcome().and_then(|outcome| outcome.credit()).is_none() {
            return Ok(Vec::new());
        }
        let input = input(episode.clone()).map_err(|error| error.to_string())?;
        if input.len() > EXTRACTOR_INPUT_BYTES_MAX {
            let (episode, bytes) = (episode.head.id, input.len());
            tracing::debug!(%episode, bytes, "the episode is too long for extractors of the user");
            return Ok(Vec::new());
        }
        let mut seen = Vec::new();
        for entry in self.shelf.entries.iter().filter(|entry| entry.state() == State::InUse) {
            seen.extend(self.ask(entry, &input, episode).await?);
        }
        Ok(seen)
    }
}

impl Set {
    /// What one of them sees; nothing if it fails.
    async fn ask(&self, entry: &Entry, input: &str, episode: &Episode) -> Result<Vec<Sighting>, String> {
        let Ok(source) = &entry.found.source else { return Ok(Vec::new()) };
        let (name, counts) = (&entry.found.name, &entry.counts);
        counts.runs.fetch_add(1, Ordering::Relaxed);
        let problem = match call(&self.sandbox, name, &source.code, input.to_owned()).await {
            Ok((_, Ok(seen))) => {
                let strain = counts.strain.load(Ordering::Relaxed);
                counts.strain.store(strain.saturating_sub(1), Ordering::Relaxed);
                return Ok(seen);
            }
            Ok((_, Err(problem))) => problem,
            // Nothing that it could help. The episode is studied later.
            Err(
                refusal @ (Refusal::ShutDown | Refusal::Cancelled | Refusal::Busy(_) | Refusal::Closed(_)),
            ) => {
                return Err(refusal.to_string());
            }
            Err(refusal @ Refusal::Broken(_)) => refusal.to_string(),
        };
        counts.faults.fetch_add(1, Ordering::Relaxed);
        let episode = episode.head.id;
        tracing::warn!(extractor = name, %episode, problem, "an extractor failed; what it sees there is not learned");
        let strain = counts.strain.fetch_add(EXTRACTOR_EPISODES_A_FAULT, Ordering::Relaxed);
        if strain + EXTRACTOR_EPISODES_A_FAULT >= EXTRACTOR_FAULTS_MAX * EXTRACTOR_EPISODES_A_FAULT {
            let reason = format!("it failed again and again, last on episode {episode}: {problem}");
            self.quarantine(entry, Quarantine { sha256: source.sha256.clone(), reason }).await;
        }
        Ok(Vec::new())
    }

    async fn quarantine(&self, entry: &Entry, quarantine: Quarantine) {
        let (directory, name) = (self.directory.clone(), entry.found.name.clone());
        tracing::error!(extractor = name, reason = quarantine.reason, "quarantined an extractor");
        let mark = quarantine.clone();
        // Whoever is faster is right.
        let _ = entry.fallen.set(quarantine);
        let marked = tokio::task::spawn_blocking(move || directory.quarantine(&name, &mark)).await;
        match marked {
            Ok(Ok(())) => entry.is_marked.store(true, Ordering::Relaxed),
            Ok(Err(error)) => tracing::warn!(%error, "failed to note that; it holds as long as this process"),
            // The runtime ends.
            Err(_) => {}
        }
    }
}
