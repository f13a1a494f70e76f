//! Sees to it that everything that is stored has its vectors: a pass over all of it, then what changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use memory_core::port::{Change, Space, StoreError};
use memory_core::retrieve::Found;
use tokio::time::Instant;

use crate::giving::{Failure, Giver};
use crate::limits::NOTED_AFTER;
use crate::looking::Shared;
use crate::opened::{Opened, pause};

/// The task that embeds.
pub(crate) struct Filler {
    shared: Arc<Shared>,
    giver: Giver,
    /// How far the vectors of a space have come since that was last written down.
    unnoted: Option<(Space, u64)>,
    unnoted_since: Instant,
}

/// One pass over what is stored, for one model.
struct Pass {
    /// The space that served when it began. When another one does, everything may be different.
    under: Option<Space>,
    stage: Stage,
}

enum Stage {
    /// Everything is gone through, and has been up to here; what was changed after `began` comes then.
    Pages { after: Option<Found>, began: u64 },
    /// Everything up to `seq` has its vectors.
    Changes { seq: u64 },
}

/// What became of a turn.
enum Turn {
    /// Something was done; there may be more.
    Done,
    /// Nothing is to be done until somebody wakes the task.
    Idle,
}

/// How the changes were followed.
enum Followed {
    /// Up to this `change_seq`.
    To(u64),
    /// There is nothing to follow.
    Even,
    /// They are no longer known one by one.
    Forgotten,
    /// Another process does it.
    Elsewhere,
}

impl Filler {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let giver = Giver::new(Arc::clone(&shared));
        Self { shared, giver, unnoted: None, unnoted_since: Instant::now() }
    }

    /// Works for whatever model is in use. It may be dropped at any time: everything that is left is found again.
    pub(crate) async fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let chosen = shared.known().chosen.clone();
            tokio::select! {
                biased;
                () = shared.rechosen.notified() => {}
                () = self.work_for(chosen) => {}
            }
        }
    }

    async fn work_for(&mut self, model: Option<Arc<Opened>>) {
        let Some(model) = model else { return std::future::pending().await };
        let (mut pass, mut failures) = (None, 0);
        loop {
            match self.turn(&model, &mut pass).await {
                Ok(turn) => {
                    if model.trouble().is_none() {
                        self.shared.went_well();
                        failures = 0;
                    }
                    self.shared.progress.notify_waiters();
                    match turn {
                        Turn::Done => tokio::task::yield_now().await,
                        Turn::Idle => self.shared.wake.notified().await,
                    }
                }
                Err(failure) => {
                    tracing::warn!(error = %failure, model = model.choice.name(), "failed to embed what is stored");
                    self.shared.failed(&failure.to_string());
                    failures += 1;
                    self.probe(&model).await;
                    // One that does not work is tried again after the next look.
                    if model.trouble().is_none() {
                        tokio::time::sleep(pause(failures)).await;
                    }
                }
            }
        }
    }

    /// Does the next little thing that is to be done.
    async fn turn(&mut self, model: &Opened, slot: &mut Option<Pass>) -> Result<Turn, Failure> {
        self.probe(model).await;
        let (looked, overruled, served) = {
            let known = self.shared.known();
            (known.looked, known.overruled, known.served.clone())
        };
        if !looked || model.trouble().is_some() {
            return Ok(Turn::Idle);
        }
        if self.giver.live(model).await? {
            return Ok(Turn::Done);
        }
        let current = slot.take().filter(|pass| pass.under == served);
        if overruled {
            return Ok(Turn::Idle);
        }
        let pass = match current {
            Some(current) => slot.insert(current),
            None => slot.insert(self.begin(model).await?),
        };
        let serves = pass.under.as_ref() == Some(model.space());
        let seq = match &mut pass.stage {
            Stage::Changes { seq } => *seq,
            Stage::Pages { after, began } => {
                return match self.page(model, *after).await? {
                    None => Ok(Turn::Idle),
                    Some(None) => {
                        let seq = *began;
                        pass.stage = self.reached(model, serves, seq);
                        if pass.under.is_none() {
                            // Nothing serves that would have to be as good: what was changed meanwhile follows.
                            return self.put_in_place(model, slot, seq).await;
                        }
                        Ok(Turn::Done)
                    }
                    Some(last) => {
                        *after = last;
                        Ok(Turn::Done)
                    }
                };
            }
        };
        match self.follow(model, serves, seq).await? {
            Followed::To(seq) => pass.stage = self.reached(model, serves, seq),
            Followed::Forgotten => pass.stage = self.pages().await?,
            Followed::Elsewhere => return Ok(Turn::Idle),
            Followed::Even if serves => {
                if self.unnoted_since.elapsed() >= NOTED_AFTER {
                    self.note().await?;
                }
                return Ok(Turn::Idle);
            }
            Followed::Even => return self.put_in_place(model, slot, seq).await,
        }
        Ok(Turn::Done)
    }

    /// Has the space serve, up to `seq`.
    async fn put_in_place(
        &mut self,
        model: &Opened,
        slot: &mut Option<Pass>,
        seq: u64,
    ) -> Result<Turn, Failure> {
        let under = slot.as_ref().and_then(|pass| pass.under.clone());
        let done = self.complete(model, under, seq).await;
        // It serves now, or its vectors are gone because another one does.
        if matches!(done, Ok(Turn::Done) | Err(Failure::Store(StoreError::NotFound))) {
            *slot = None;
        }
        done
    }

    /// Tries the models that do not work, where it is time for that.
    async fn probe(&self, model: &Opened) {
        model.probe().await;
        let serving = self.shared.known().serving.clone();
        if let Some(serving) = serving {
            serving.probe().await;
        }
    }

    async fn begin(&mut self, model: &Opened) -> Result<Pass, StoreError> {
        let space = model.space();
        let states = self.shared.read_spaces().await?;
        let under = states.iter().find(|state| state.serves).map(|state| state.space.clone());
        let noted = states.iter().find(|state| state.space == *space).and_then(|state| state.seq);
        let stage = match noted {
            Some(seq) => {
                let further = self.unnoted.as_ref().filter(|(of, _)| of == space).map_or(0, |(_, seq)| *seq);
                self.shared.known().followed = Some(seq.max(further));
                Stage::Changes { seq: seq.max(further) }
            }
            None => {
                // Known from now on: that it is known no more tells that another space was put in place meanwhile.
                self.shared.vectors.put_vectors(space.clone(), Vec::new()).await?;
                self.pages().await?
            }
        };
        Ok(Pass { under, stage })
    }

    /// What is stored from the beginning.
    async fn pages(&self) -> Result<Stage, StoreError> {
        let began = self.shared.corpus.standing().await?.seq;
        self.shared.known().gone_through = 0;
        Ok(Stage::Pages { after: None, began })
    }

    /// Everything up to `seq` has its vectors.
    fn reached(&mut self, model: &Opened, serves: bool, seq: u64) -> Stage {
        if serves {
            self.shared.known().followed = Some(seq);
            self.unnoted = Some((model.space().clone(), seq));
            self.unnoted_since = Instant::now();
        }
        Stage::Changes { seq }
    }

    /// Goes through the next page. Returns its last thing, `Some(None)` if there is no further page, `None` if another
    /// process goes through them.
    async fn page(&mut self, model: &Opened, after: Option<Found>) -> Result<Option<Option<Found>>, Failure> {
        let space = model.space().clone();
        if !self.giver.hold(&space).await? {
            return Ok(None);
        }
        let entries = self.shared.corpus.page(after, model.batch_texts(), Some(space)).await?;
        let (last, things) = (entries.last().map(|entry| entry.found), entries.len() as u64);
        if !self.giver.fill(model, entries).await? {
            return Ok(None);
        }
        self.shared.known().gone_through += things;
        Ok(Some(last))
    }

    async fn follow(&mut self, model: &Opened, serves: bool, seq: u64) -> Result<Followed, Failure> {
        let shared = Arc::clone(&self.shared);
        // Who wrote something embeds it at once; the others see to what is still missing after a look.
        let until = match serves && !shared.is_hurried() {
            true => shared.known().seqs.1,
            false => shared.corpus.standing().await?.seq,
        };
        if seq >= until {
            return Ok(Followed::Even);
        }
        let Some(changes) = shared.corpus.changed_after(seq, model.batch_texts()).await? else {
            return Ok(Followed::Forgotten);
        };
        let changes: Vec<Change> = changes.into_iter().filter(|change| change.seq <= until).collect();
        let Some(last) = changes.last().map(|change| change.seq) else { return Ok(Followed::To(until)) };
        let things: BTreeSet<Found> = changes.into_iter().map(|change| change.found).collect();
        let space = Some(model.space().clone());
        let entries = shared.corpus.entries(things.into_iter().collect(), space).await?;
        Ok(if self.giver.fill(model, entries).await? { Followed::To(last) } else { Followed::Elsewhere })
    }

    /// Puts the space in place: searches are served by it from now on.
    async fn complete(&mut self, model: &Opened, under: Option<Space>, seq: u64) -> Result<Turn, Failure> {
        if !self.giver.hold(model.space()).await? {
            return Ok(Turn::Idle);
        }
        // If another one was put in place meanwhile, this one's vectors are gone.
        self.shared.read_spaces().await?;
        if self.shared.known().served == under {
            self.shared.vectors.complete_space(model.space().clone(), seq).await?;
            self.shared.read_spaces().await?;
        }
        Ok(Turn::Done)
    }

    /// Writes down how far the vectors have come, unless another process has or another space serves now.
    async fn note(&mut self) -> Result<(), StoreError> {
        let Some((space, seq)) = self.unnoted.clone() else { return Ok(()) };
        let states = self.shared.read_spaces().await?;
        if states.iter().any(|state| state.serves && state.space == space && state.seq < Some(seq)) {
            self.shared.vectors.complete_space(space, seq).await?;
        }
        self.unnoted = None;
        Ok(())
    }

    /// Writes down how far it came and gives back what it holds.
    pub(crate) async fn leave(&mut self) {
        let noted = self.note().await;
        let given_back = self.giver.give_back().await;
        if let Err(error) = noted.and(given_back) {
            tracing::debug!(%error, "failed to leave the vectors in good order; the next process looks for itself");
        }
    }
}
