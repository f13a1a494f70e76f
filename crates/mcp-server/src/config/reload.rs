//! Settings that change while the server runs.
//!
//! The file is read every second: that notices whatever an editor does with it (write, replace, restore an older one),
//! needs no help of the file system, and is cheap for a file of this size. A change is taken up once the file has stayed
//! the same from one look to the next, so that one half written is not taken for a whole. SIGHUP takes it up at once.
//!
//! All listeners see the same [`InEffect`], which is replaced as a whole.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::layers::{Content, Loaded, Mistakes, Sources};
use super::{Change, SETTINGS, Settings};
use crate::alert::{AlertKind, Alerts};
use crate::disclosure::Level;
use crate::limits::CONFIG_POLL_INTERVAL;

/// The settings in effect. Whoever answers a request looks at one of them from beginning to end.
#[derive(Debug)]
pub(crate) struct InEffect {
    settings: Settings,
    file: Option<Arc<Path>>,
    /// How often they were read and found good since the process started.
    loads: u64,
    /// Settings that the file gives other values, from the next start on.
    at_next_start: Vec<&'static str>,
}

impl Deref for InEffect {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl InEffect {
    pub(crate) fn at_start(loaded: Loaded) -> Arc<Self> {
        let Loaded { settings, file, .. } = loaded;
        Arc::new(Self { settings, file, loads: 1, at_next_start: Vec::new() })
    }

    /// The same settings for a memory that is kept in another directory, without a model.
    pub(crate) fn kept_in(&self, data_dir: &Path) -> Arc<Self> {
        let mut settings = self.settings.clone();
        settings.data_dir = data_dir.to_owned();
        settings.model.dir = None;
        Arc::new(Self { settings, file: self.file.clone(), loads: self.loads, at_next_start: Vec::new() })
    }

    /// What the operator is told of them.
    pub(crate) fn report(&self, detailed: bool) -> WireConfiguration {
        let shown = SETTINGS.iter().zip(self.settings.shown());
        let live =
            shown.filter(|(setting, _)| detailed && setting.change == Change::Live && !setting.private);
        WireConfiguration {
            file: self.file.as_ref().map(|path| path.display().to_string()),
            loads: self.loads,
            at_next_start: self.at_next_start.clone(),
            live: live.map(|(setting, value)| (setting.key, value)).collect(),
        }
    }
}

/// The settings in effect.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireConfiguration {
    /// The configuration file; null if there is none.
    pub(crate) file: Option<String>,
    /// How often it was read and found good since the process started.
    pub(crate) loads: u64,
    /// Settings that were changed and take effect at the next start.
    pub(crate) at_next_start: Vec<&'static str>,
    /// Only with `detailed`: the settings that may change while the server runs.
    live: BTreeMap<&'static str, Json>,
}

/// Sets the filter of the log.
pub(crate) type SetFilter = Box<dyn Fn(&str) + Send + Sync>;

/// The tasks that follow the configuration; they end when this is dropped.
pub(crate) struct Following {
    _tasks: JoinSet<()>,
}

impl Following {
    /// Follows the file and SIGHUP from now on; `content` is what the file held when the settings in effect were read.
    pub(crate) fn spawn(
        sources: Sources,
        content: Content,
        settings: watch::Sender<Arc<InEffect>>,
        alerts: Arc<Alerts>,
        set_filter: SetFilter,
        level_pin: watch::Sender<Option<Level>>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(
            settings.subscribe(),
            |settings| &settings.tools.level,
            move |level: &Option<Level>| {
                level_pin.send_replace(*level);
            },
        ));
        tasks.spawn(follow(
            settings.subscribe(),
            |settings| &settings.log.filter,
            move |filter: &String| set_filter(filter),
        ));
        let watched = Watched { taken: content.clone(), seen: content };
        tasks.spawn(Follower { sources: Arc::new(sources), watched, settings, alerts }.run());
        Self { _tasks: tasks }
    }
}

/// Tells a listener each new value of what it looks at.
async fn follow<T: Clone + PartialEq>(
    mut settings: watch::Receiver<Arc<InEffect>>,
    look: impl Fn(&Settings) -> &T,
    tell: impl Fn(&T),
) {
    let mut told = look(&settings.borrow_and_update()).clone();
    while settings.changed().await.is_ok() {
        let now = settings.borrow_and_update().clone();
        if *look(&now) != told {
            told.clone_from(look(&now));
            tell(&told);
        }
    }
}

/// Decides when what the file holds is taken up.
struct Watched {
    /// What it held when it was last taken up or refused.
    taken: Content,
    /// What it held at the last look.
    seen: Content,
}

impl Watched {
    /// Whether what the file holds now is to be taken up: it is asked for, or it is new and was the same at the last look.
    fn is_due(&mut self, now: &Content, is_asked: bool) -> bool {
        let is_due = is_asked || (*now != self.taken && *now == self.seen);
        self.seen.clone_from(now);
        if is_due {
            self.taken.clone_from(now);
        }
        is_due
    }
}

struct Follower {
    sources: Arc<Sources>,
    watched: Watched,
    settings: watch::Sender<Arc<InEffect>>,
    alerts: Arc<Alerts>,
}

impl Follower {
    async fn run(mut self) {
        let mut hangups = Hangups::new();
        loop {
            let is_asked = tokio::select! {
                () = hangups.next() => true,
                () = tokio::time::sleep(CONFIG_POLL_INTERVAL) => false,
            };
            let sources = self.sources.clone();
            // The file may be on a disk that is slow or gone.
            let Ok(content) = tokio::task::spawn_blocking(move || sources.content()).await else { return };
            if self.watched.is_due(&content, is_asked) {
                self.take_up(content);
            }
        }
    }

    /// Makes what was read the settings in effect, or says why not.
    fn take_up(&self, content: Content) {
        let is_gone = content == Content::Absent && self.settings.borrow().file.is_some();
        match self.sources.load_from(content) {
            // Without its file a server would be open to whom the file kept out.
            Ok(_) if is_gone => {
                let path = self.sources.path().map(|path| path.display().to_string()).unwrap_or_default();
                self.refuse(&format!("the configuration file {path} is gone"));
            }
            Ok(loaded) => self.put_in_effect(loaded),
            Err(mistakes) => {
                for line in Mistakes::lines(&mistakes) {
                    tracing::error!("{line}");
                }
                self.refuse(&mistakes.to_string());
            }
        }
    }

    fn refuse(&self, reason: &str) {
        let message = format!("{reason}\nThe settings from before stay in effect until it is put right.");
        self.alerts.raise(AlertKind::Configuration, &message, Timestamp::now());
    }

    fn put_in_effect(&self, loaded: Loaded) {
        let Loaded { settings: new, file, remarks, .. } = loaded;
        let old = self.settings.borrow().clone();
        let settings = old.settings.taking_up(&new);
        let (changed, at_next_start) = (settings.differing(&old.settings), settings.differing(&new));
        for remark in remarks {
            tracing::warn!("{remark}");
        }
        for key in at_next_start.iter().filter(|key| !old.at_next_start.contains(key)) {
            tracing::warn!("{key} was changed: it takes effect at the next start");
        }
        tracing::info!(?changed, "configuration reloaded");
        let loads = old.loads + 1;
        self.settings.send_replace(Arc::new(InEffect { settings, file, loads, at_next_start }));
        self.alerts.resolve(AlertKind::Configuration);
    }
}

/// SIGHUP, where there is such a thing.
struct Hangups {
    #[cfg(unix)]
    signals: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    fn new() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let signals = signal(SignalKind::hangup());
            let signals =
                signals.inspect_err(|error| tracing::warn!(%error, "failed to listen for SIGHUP")).ok();
            Self { signals }
        }
        #[cfg(not(unix))]
        Self {}
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signals) = &mut self.signals
            && signals.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_up_once_it_stays_the_same_and_when_it_is_asked_for() {
        let text = |text: &str| Content::Text(text.to_owned());
        let mut watched = Watched { taken: text("a"), seen: text("a") };
        let looks = [
            ("a", false, false),
            // Being written.
            ("", false, false),
            ("b", false, false),
            ("b = 1", false, false),
            ("b = 1", false, true),
            ("b = 1", false, false),
            // Replaced and put back between two looks, or from one to the next.
            ("c", false, false),
            ("b = 1", false, false),
            ("b = 1", false, false),
            ("d", true, true),
            ("d", false, false),
            ("d", true, true),
        ];
        for (number, (now, is_asked, expected)) in looks.into_iter().enumerate() {
            assert_eq!(watched.is_due(&text(now), is_asked), expected, "look {number}");
        }
        assert!(!watched.is_due(&Content::Absent, false) && watched.is_due(&Content::Absent, false));
    }
}
