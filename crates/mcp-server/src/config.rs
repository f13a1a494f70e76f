//! The settings: which there are, and what follows from that.
//!
//! Each is declared once, below; its default and its description stand in `config/default.toml`. Values come from there,
//! then a file, then the environment, then flags ([`layers`]); what may change while the server runs is taken up when the
//! file changes ([`reload`]).

pub(crate) mod command;
mod document;
mod layers;
mod reference;
pub(crate) mod reload;
mod rule;

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value as Json;

use self::layers::Layers;
pub(crate) use self::layers::{Content, Loaded, Mistakes, Sources};
pub use self::reference::{SectionReference, SettingReference, setting_reference};
use self::rule::{
    Address, AutoOr, DataDir, Filter, Keys, Notation, OptionalDir, Rule, Share, Switch, Texts, Whole,
};

use crate::disclosure::Level;

/// Every setting with its default, commented.
const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// When a change of a setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// At once, or with the next call.
    Live,
    /// At the next start.
    AtStart,
}

/// What is declared of a setting.
struct Setting {
    /// Its place in the file, such as `log.filter`.
    key: &'static str,
    change: Change,
    /// The flag that sets it, with its dashes.
    flag: Option<&'static str>,
    /// A shorter name of its variable.
    variable: Option<&'static str>,
    /// Whether agents are not told it.
    private: bool,
    notation: Notation,
    expected: fn() -> String,
}

impl Setting {
    /// The variables that set it, the first that is set counts.
    fn variables(&self) -> impl Iterator<Item = String> {
        let usual = format!("MEMORY_MCP_{}", self.key.replace('.', "_").to_uppercase());
        std::iter::once(usual).chain(self.variable.map(str::to_owned))
    }
}

macro_rules! maybe {
    () => {
        None
    };
    ($given:literal) => {
        Some($given)
    };
}

macro_rules! change {
    (live) => {
        Change::Live
    };
    (at_start) => {
        Change::AtStart
    };
}

macro_rules! pick {
    (live, $old:expr, $new:expr) => {
        $new
    };
    (at_start, $old:expr, $new:expr) => {
        $old
    };
}

macro_rules! setting {
    ($key:expr, $rule:ty, $change:ident, [$($flag:literal)?], [$($variable:literal)?]) => {
        Setting {
            key: $key,
            change: change!($change),
            flag: maybe!($($flag)?),
            variable: maybe!($($variable)?),
            private: <$rule as Rule>::PRIVATE,
            notation: <$rule as Rule>::NOTATION,
            expected: <$rule as Rule>::expected,
        }
    };
}

macro_rules! settings {
    (
        $($top:ident: $Top:ty, $top_change:ident $(, flag $top_flag:literal)?;)*
        $(
            $(#[$meta:meta])*
            [$section:ident] $Section:ident {
                $($name:ident: $Rule:ty, $change:ident $(, flag $flag:literal)? $(, variable $variable:literal)?;)*
            }
        )*
    ) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, PartialEq)]
            pub(crate) struct $Section {
                $(pub(crate) $name: <$Rule as Rule>::Value,)*
            }
        )*

        /// The settings. What they mean stands in `config/default.toml`, under the same names.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct Settings {
            $(pub(crate) $top: <$Top as Rule>::Value,)*
            $(pub(crate) $section: $Section,)*
        }

        /// All settings, in the order of `config/default.toml`.
        const SETTINGS: &[Setting] = &[
            $(setting!(stringify!($top), $Top, $top_change, [$($top_flag)?], []),)*
            $($(setting!(
                concat!(stringify!($section), ".", stringify!($name)),
                $Rule, $change, [$($flag)?], [$($variable)?]
            ),)*)*
        ];

        impl Settings {
            /// Reads all of them, so that everything wrong is found at once; nothing if something is.
            fn read(layers: &mut Layers<'_>) -> Option<Self> {
                let mut settings = SETTINGS.iter();
                $(let $top = layers.read::<$Top>(settings.next()?);)*
                $(
                    $(let $name = layers.read::<$Rule>(settings.next()?);)*
                    let $section = move || Some($Section { $($name: $name?,)* });
                )*
                Some(Self { $($top: $top?,)* $($section: $section()?,)* })
            }

            /// The values as they are shown, in the order of [`SETTINGS`].
            fn shown(&self) -> Vec<Json> {
                vec![
                    $(<$Top as Rule>::shown(&self.$top),)*
                    $($(<$Rule as Rule>::shown(&self.$section.$name),)*)*
                ]
            }

            /// These settings, but what may change while the server runs is as in `new`.
            fn taking_up(&self, new: &Self) -> Self {
                Self {
                    $($top: pick!($top_change, &self.$top, &new.$top).clone(),)*
                    $($section: $Section {
                        $($name: pick!($change, &self.$section.$name, &new.$section.$name).clone(),)*
                    },)*
                }
            }

            /// The keys of the settings that are not as in `other`.
            fn differing(&self, other: &Self) -> Vec<&'static str> {
                let mut settings = SETTINGS.iter();
                let mut keys = Vec::new();
                let mut note = |differs: bool| {
                    if let Some(setting) = settings.next() && differs {
                        keys.push(setting.key);
                    }
                };
                $(note(self.$top != other.$top);)*
                $($(note(self.$section.$name != other.$section.$name);)*)*
                keys
            }
        }
    };
}

settings! {
    data_dir: DataDir, at_start, flag "--data-dir";

    [log] Log {
        filter: Filter, live, flag "--log", variable "MEMORY_MCP_LOG";
    }
    [model] Model {
        dir: OptionalDir, at_start, flag "--model-dir";
    }
    [learning] Learning {
        high_success: Share, live, flag "--high-success", variable "MEMORY_MCP_HIGH_SUCCESS";
    }
    [tools] Tools {
        level: AutoOr<Level>, live, flag "--tools-level";
    }
    [auth] Auth {
        keys: Keys, live;
    }
    [http] Http {
        address: Address, at_start, flag "--http";
        allowed_origins: Texts, at_start;
        allowed_hosts: Texts, at_start;
        body_bytes_max: Whole<1_024, 67_108_864>, at_start;
    }
    [limits] Limits {
        requests_at_once: Whole<1, 4_096>, at_start;
        reads_per_second: Whole<1, 1_000_000>, live;
        writes_per_second: Whole<1, 1_000_000>, live;
    }
    [sandbox] Sandbox {
        timeout_ms: Whole<10, 30_000>, live;
        memory_mib: Whole<4, 1_024>, live;
        stack_kib: Whole<16, 256>, live;
        output_kib: Whole<1, 16_384>, live;
        host_calls: Whole<0, 1_000_000>, live;
        source_kib: Whole<1, 4_096>, live;
        clock: Switch, live;
        randomness: Switch, live;
    }
    [metrics] Metrics {
        address: Address, at_start;
    }
}

impl Settings {
    /// The database file.
    pub(crate) fn database(&self) -> PathBuf {
        self.data_dir.join("memory.db")
    }

    /// The cache file, which may be deleted at any time.
    pub(crate) fn cache(&self) -> PathBuf {
        self.data_dir.join("cache.redb")
    }

    /// The directory of the search index, which may be deleted at any time.
    pub(crate) fn index(&self) -> PathBuf {
        self.data_dir.join("index")
    }

    /// The directory of the models.
    pub(crate) fn models(&self) -> PathBuf {
        self.data_dir.join("models")
    }

    /// The directory of the extractors that the user adds.
    pub(crate) fn extractors(&self) -> PathBuf {
        self.data_dir.join("extractors")
    }

    /// Creates the data directory, for its owner's eyes only.
    ///
    /// # Errors
    /// If it cannot be created, or is no directory.
    pub(crate) fn create_data_dir(&self) -> anyhow::Result<()> {
        let shown = self.data_dir.display();
        let another = "choose another with --data-dir or MEMORY_MCP_DATA_DIR";
        // libsql takes nothing else.
        anyhow::ensure!(
            self.data_dir.to_str().is_some(),
            "the data directory {shown} is not UTF-8; {another}"
        );
        create_private(&self.data_dir)
            .with_context(|| format!("failed to create the data directory {shown}; {another}"))
    }
}

fn create_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
