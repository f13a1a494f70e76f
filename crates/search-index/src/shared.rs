//! What searches and the keeper share: the state, and what the keeper is asked to do.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use memory_core::port::StoreError;
use memory_core::search::Corpus;
use tokio::sync::watch;

use crate::limits::Limits;
use crate::place::Place;
use crate::state::{Making, State};

/// What an index consists of.
pub(crate) struct Shared {
    pub(crate) corpus: Arc<dyn Corpus>,
    pub(crate) limits: Limits,
    pub(crate) making: Making,
    pub(crate) place: Option<Place>,
    state: watch::Sender<Arc<State>>,
    /// Attempts to make the index anew.
    pub(crate) attempts: watch::Sender<Attempts>,
    wants: Mutex<Wants>,
    wake: Condvar,
    /// Set when whatever the keeper does is to be given up: it is needed for something else.
    pub(crate) stop: AtomicBool,
    report: Mutex<Report>,
    /// The runtime that the corpus may need.
    pub(crate) runtime: OnceLock<tokio::runtime::Handle>,
}

/// How often the index was made anew, or it was tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    pub(crate) count: u64,
    /// Why the last one failed.
    pub(crate) failure: Option<StoreError>,
}

/// What the keeper is asked to do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wants {
    /// Make the index anew unless it is ready and of the right space.
    pub(crate) build: bool,
    /// Write what is in memory to files, and merge.
    pub(crate) tidy: bool,
    /// End.
    pub(crate) end: bool,
    /// It is doing what it was asked.
    pub(crate) is_busy: bool,
}

/// What an index is busy with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Nothing.
    #[default]
    Idle,
    /// It waits for another process that writes to its directory.
    Waiting,
    /// It is made anew; so many documents have been read.
    Building {
        /// Documents read so far.
        documents: u64,
    },
    /// What is in memory is written to a file.
    Flushing,
    /// Files are merged.
    Merging,
}

/// What the keeper has to tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) activity: Activity,
    pub(crate) last_error: Option<String>,
    /// When the directory could not be written, and why.
    pub(crate) disk_failure: Option<(Instant, String)>,
}

impl Shared {
    pub(crate) fn new(
        corpus: Arc<dyn Corpus>,
        limits: Limits,
        making: Making,
        place: Option<Place>,
        state: State,
    ) -> Self {
        Self {
            corpus,
            limits,
            making,
            place,
            state: watch::Sender::new(Arc::new(state)),
            attempts: watch::Sender::new(Attempts::default()),
            wants: Mutex::default(),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            report: Mutex::default(),
            runtime: OnceLock::new(),
        }
    }

    /// The state now.
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    /// Puts a state in another's place, unless something else has been put there since.
    pub(crate) fn replace(&self, old: &Arc<State>, new: Arc<State>) -> bool {
        self.state.send_if_modified(|current| {
            let is_old = Arc::ptr_eq(current, old);
            if is_old {
                *current = new;
            }
            is_old
        })
    }

    /// Puts in place what `change` makes of the state and returns that; `change` may be called several times.
    pub(crate) fn update(&self, change: impl Fn(&State) -> State) -> Arc<State> {
        loop {
            let old = self.state();
            let new = Arc::new(change(&old));
            if self.replace(&old, new.clone()) {
                return new;
            }
        }
    }

    /// Asks the keeper to do something; what it does is given up if that cannot wait.
    pub(crate) fn ask(&self, wants: Wants) {
        let mut wanted = self.wants();
        wanted.build |= wants.build;
        wanted.tidy |= wants.tidy;
        wanted.end |= wants.end;
        if wants.build || wants.end {
            self.stop.store(true, Relaxed);
        }
        self.wake.notify_one();
    }

    /// Waits until the keeper is asked to do something.
    pub(crate) fn asked(&self) -> Wants {
        let idle = |wants: &mut Wants| !(wants.build || wants.tidy || wants.end);
        let mut wants = self.wants();
        wants.is_busy = false;
        let mut wants = self.wake.wait_while(wants, idle).unwrap_or_else(PoisonError::into_inner);
        let end = wants.end;
        self.stop.store(end, Relaxed);
        std::mem::replace(&mut *wants, Wants { end, is_busy: true, ..Wants::default() })
    }

    /// Whether the keeper has done everything that it was asked.
    pub(crate) fn is_idle(&self) -> bool {
        let wants = self.wants();
        !(wants.build || wants.tidy || wants.is_busy)
    }

    /// Whether the keeper is to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.wants().end
    }

    fn wants(&self) -> MutexGuard<'_, Wants> {
        self.wants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn tell(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
