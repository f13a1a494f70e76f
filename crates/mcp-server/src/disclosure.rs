//! Progressive disclosure: which tools a client is shown, by how much its user has used the memory. It hides and does not
//! forbid: a tool that is not shown works when it is called.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::ValueEnum;
use memory_core::port::UsageStore;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::limits::USAGE_SAVE_AFTER;

/// How much of the memory is shown.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, JsonSchema, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Asking, and recording a whole task in one call.
    Beginner,
    /// Recording as one goes, notes, advice before something is done, feedback.
    Intermediate,
    /// What was learned, and how the memory is.
    Advanced,
    /// Everything.
    Expert,
}

impl Level {
    /// How often tools must have been called, and how many different ones, until a level is reached.
    const REACHED_BY: [(Self, u64, usize); 3] =
        [(Self::Intermediate, 5, 2), (Self::Advanced, 25, 4), (Self::Expert, 100, 6)];

    /// The level of a user who has called the tools so often.
    fn reached(calls: &BTreeMap<String, u64>) -> Self {
        let (all, tools) = (calls.values().sum::<u64>(), calls.len());
        let reached = Self::REACHED_BY.iter().rev().find(|(_, calls, min)| all >= *calls && tools >= *min);
        reached.map_or(Self::Beginner, |(level, ..)| *level)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

/// How a client learns which tools there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// `initialize`: the list may grow while the connection lasts.
    Legacy,
    /// 2026-07-28: calls must not change the list.
    Modern,
}

/// The users that this process has heard of, each with its level.
pub(crate) struct Disclosures {
    store: Arc<dyn UsageStore>,
    pinned: watch::Receiver<Option<Level>>,
    of_users: Mutex<BTreeMap<String, Arc<Disclosure>>>,
    unsaved: Arc<Notify>,
}

impl Disclosures {
    /// Those of a store; `pinned` is the level that the configuration names in place of the reached ones.
    pub(crate) fn new(store: Arc<dyn UsageStore>, pinned: watch::Receiver<Option<Level>>) -> Self {
        Self { store, pinned, of_users: Mutex::default(), unsaved: Arc::default() }
    }

    fn of_users(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Disclosure>>> {
        self.of_users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That of the user of this name.
    pub(crate) async fn of(&self, user: &str) -> Arc<Disclosure> {
        if let Some(known) = self.of_users().get(user) {
            return known.clone();
        }
        let opened = Disclosure::open(self, user.to_owned()).await;
        // Another connection of the user may have been faster.
        self.of_users().entry(user.to_owned()).or_insert_with(|| Arc::new(opened)).clone()
    }

    /// Saves what is counted from time to time, so that a commit serves many calls, until the task is aborted.
    pub(crate) fn keep_saving(self: &Arc<Self>) -> JoinHandle<()> {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                this.unsaved.notified().await;
                tokio::time::sleep(USAGE_SAVE_AFTER).await;
                this.save().await;
            }
        })
    }

    /// Saves what is counted. What cannot be saved now is tried again with the next.
    pub(crate) async fn save(&self) {
        let all: Vec<_> = self.of_users().values().cloned().collect();
        for disclosure in all {
            disclosure.save().await;
        }
    }
}

/// Knows the level of a user and counts what it depends on.
pub(crate) struct Disclosure {
    store: Arc<dyn UsageStore>,
    user: String,
    counted: Mutex<Counted>,
    /// The level when the user first came to this process.
    started: Level,
    reached: watch::Sender<Level>,
    /// The level that the configuration names in place of the reached one.
    pinned: watch::Receiver<Option<Level>>,
    unsaved: Arc<Notify>,
}

#[derive(Default)]
struct Counted {
    /// Calls by tool, those of other processes as they were last heard of.
    all: BTreeMap<String, u64>,
    /// Those that are not in the store yet.
    unsaved: BTreeMap<String, u64>,
}

impl Disclosure {
    /// The level as the store has it. A store that cannot tell is that of a beginner: nothing depends on it.
    async fn open(users: &Disclosures, user: String) -> Self {
        let all = match users.store.count_calls(user.clone(), Vec::new()).await {
            Ok(calls) => calls.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%error, "failed to read how often the tools were used");
                BTreeMap::new()
            }
        };
        let started = Level::reached(&all);
        let counted = Mutex::new(Counted { all, unsaved: BTreeMap::new() });
        Self {
            store: users.store.clone(),
            user,
            counted,
            started,
            reached: watch::Sender::new(started),
            pinned: users.pinned.clone(),
            unsaved: users.unsaved.clone(),
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The level of a client.
    pub(crate) fn level(&self, era: Era) -> Level {
        let pinned = *self.pinned.borrow();
        pinned.unwrap_or_else(|| match era {
            Era::Legacy => *self.reached.borrow(),
            Era::Modern => self.started,
        })
    }

    /// Tells when the level of a client changes.
    pub(crate) fn watch(self: &Arc<Self>, era: Era) -> LevelWatch {
        LevelWatch {
            disclosure: Arc::clone(self),
            era,
            seen: self.level(era),
            reached: self.reached.subscribe(),
            pinned: self.pinned.clone(),
        }
    }

    /// Counts a call that did what it was asked. The store is told later.
    pub(crate) fn called(&self, tool: &str) {
        if *self.reached.borrow() == Level::Expert {
            return;
        }
        let level = {
            let mut counted = self.counted();
            *counted.all.entry(tool.to_owned()).or_default() += 1;
            *counted.unsaved.entry(tool.to_owned()).or_default() += 1;
            Level::reached(&counted.all)
        };
        self.rise_to(level);
        self.unsaved.notify_one();
    }

    fn rise_to(&self, level: Level) {
        let rises = |reached: &mut Level| {
            let rises = level > *reached;
            *reached = level.max(*reached);
            rises
        };
        if self.reached.send_if_modified(rises) {
            tracing::info!(?level, "more tools are shown from now on");
        }
    }

    async fn save(&self) {
        let unsaved = std::mem::take(&mut self.counted().unsaved);
        if unsaved.is_empty() {
            return;
        }
        let calls = unsaved.iter().map(|(tool, times)| (tool.clone(), *times)).collect();
        match self.store.count_calls(self.user.clone(), calls).await {
            Ok(all) => {
                let level = {
                    let mut counted = self.counted();
                    counted.all = all.into_iter().collect();
                    let Counted { all, unsaved } = &mut *counted;
                    for (tool, times) in unsaved.iter() {
                        *all.entry(tool.clone()).or_default() += times;
                    }
                    Level::reached(all)
                };
                self.rise_to(level);
            }
            Err(error) => {
                tracing::warn!(%error, "failed to save how often the tools were used");
                let mut counted = self.counted();
                for (tool, times) in unsaved {
                    *counted.unsaved.entry(tool).or_default() += times;
                }
            }
        }
    }
}

/// Waits for the level of a client to change.
pub(crate) struct LevelWatch {
    disclosure: Arc<Disclosure>,
    era: Era,
    seen: Level,
    reached: watch::Receiver<Level>,
    pinned: watch::Receiver<Option<Level>>,
}

impl LevelWatch {
    /// Returns when the level is another one than it was.
    pub(crate) async fn changed(&mut self) {
        loop {
            let level = self.disclosure.level(self.era);
            if level != self.seen {
                self.seen = level;
                return;
            }
            // Whoever could change it may be gone; then it stays as it is.
            tokio::select! {
                Ok(()) = self.reached.changed() => {}
                Ok(()) = self.pinned.changed() => {}
                else => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::InMemoryStore;

    fn calls(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
        list.iter().map(|(tool, times)| ((*tool).to_owned(), *times)).collect()
    }

    #[test]
    fn a_level_takes_calls_of_different_tools() {
        assert_eq!(Level::reached(&calls(&[])), Level::Beginner);
        assert_eq!(Level::reached(&calls(&[("a", 1_000)])), Level::Beginner);
        assert_eq!(Level::reached(&calls(&[("a", 4), ("b", 1)])), Level::Intermediate);
        assert_eq!(Level::reached(&calls(&[("a", 22), ("b", 1), ("c", 1)])), Level::Intermediate);
        assert_eq!(Level::reached(&calls(&[("a", 22), ("b", 1), ("c", 1), ("d", 1)])), Level::Advanced);
        let many: Vec<(&str, u64)> = ["a", "b", "c", "d", "e", "f"].map(|tool| (tool, 17)).to_vec();
        assert_eq!(Level::reached(&calls(&many)), Level::Expert);
    }

    #[tokio::test]
    async fn a_change_of_the_configuration_is_announced_in_both_eras_and_taken_back() {
        let (pin, pinned) = watch::channel(None);
        let disclosure = Disclosures::new(InMemoryStore::stores().usage, pinned).of("owner").await;
        for era in [Era::Legacy, Era::Modern] {
            let mut watch = disclosure.watch(era);
            pin.send_replace(Some(Level::Advanced));
            watch.changed().await;
            assert_eq!(disclosure.level(era), Level::Advanced);
            pin.send_replace(None);
            watch.changed().await;
            assert_eq!(disclosure.level(era), Level::Beginner);
        }
    }

    #[tokio::test]
    async fn what_another_process_counted_counts() {
        let store = InMemoryStore::stores().usage;
        let (_pin, pinned) = watch::channel(None);
        let one = Disclosures::new(store.clone(), pinned.clone()).of("owner").await;
        let other = Disclosures::new(store, pinned);
        for _ in 0..100 {
            other.of("somebody else").await.called("recommend");
        }
        let other = other.of("owner").await;
        for _ in 0..4 {
            other.called("query_memory");
        }
        other.save().await;
        one.called("create_episode");
        assert_eq!(one.level(Era::Legacy), Level::Beginner, "it has not heard of the other");
        one.save().await;
        assert_eq!(one.level(Era::Legacy), Level::Intermediate);
        assert_eq!(one.level(Era::Modern), Level::Beginner, "as it was when the process started");
    }
}
