//! Who calls, and what they may see and change: keys, and the principals that they stand for.
//!
//! A key is 256 random bits that this program made; of it only the SHA-256 is kept. A slow hash such as Argon2 protects
//! what people think up, which can be guessed; nobody guesses 256 random bits, however fast each guess is. That is why keys
//! of any other form are refused: a password would be within reach of whoever reads its hash.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;
use memory_core::access::{Access, BadDomains};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::limits::KEY_NAME_CHARS_MAX;

/// The variable of the environment from which a server on stdin and stdout takes its key.
pub(crate) const KEY_VARIABLE: &str = "MEMORY_MCP_API_KEY";

/// What a key begins with, so that people and secret scanners know one.
const KEY_PREFIX: &str = "mmk_";
const KEY_BYTES: usize = 32;
const HASH_PREFIX: &str = "sha256:";

/// Whoever calls.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// What the log calls it.
    pub(crate) name: String,
    /// What it may see and change.
    pub(crate) access: Arc<Access>,
}

impl Principal {
    /// Who starts the program on their own data, where there are no keys: they can read the files anyway.
    pub(crate) fn owner() -> Self {
        Self { name: "owner".into(), access: Arc::new(Access::everything()) }
    }
}

/// A key, as its user has it.
#[derive(PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub(crate) fn generate() -> anyhow::Result<Self> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).context("failed to get random numbers from the system")?;
        Ok(Self(format!("{KEY_PREFIX}{}", hex(&bytes))))
    }

    /// One that was made by [`Key::generate`]; `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(KEY_PREFIX)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == 2 * KEY_BYTES && digits.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// For its user, once.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

/// The SHA-256 of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyHash([u8; 32]);

/// Nothing of it is logged.
impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHash")
    }
}

impl std::fmt::Display for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{HASH_PREFIX}{}", hex(&self.0))
    }
}

impl std::str::FromStr for KeyHash {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix(HASH_PREFIX).filter(|digits| digits.len() == 64 && digits.is_ascii());
        let digits = digits.ok_or(())?;
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(drop)?;
            *byte = u8::from_str_radix(digits, 16).map_err(drop)?;
        }
        Ok(Self(bytes))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a key lets its user do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum KeyAccess {
    Read,
    ReadWrite,
}

/// A key as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeySettings {
    /// Tells it from the others.
    pub(crate) name: String,
    /// `sha256:` and 64 hexadecimal digits, as `memory-mcp key new` prints it.
    pub(crate) hash: KeyHash,
    /// What its user may see, each with the domains below it; `*` for everything.
    pub(crate) domains: Vec<String>,
    /// The same, with what may be changed.
    pub(crate) access: Arc<Access>,
}

impl KeySettings {
    /// # Errors
    /// If the domains are none, or not domains.
    pub(crate) fn new(
        name: String,
        hash: KeyHash,
        domains: Vec<String>,
        access: KeyAccess,
    ) -> Result<Self, BadDomains> {
        let access = Arc::new(Access::new(&domains, access == KeyAccess::ReadWrite)?);
        Ok(Self { name, hash, domains, access })
    }

    /// What it lets its user do.
    pub(crate) fn level(&self) -> KeyAccess {
        if self.access.may_change() { KeyAccess::ReadWrite } else { KeyAccess::Read }
    }
}

/// Whether a key can be called this.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=KEY_NAME_CHARS_MAX).contains(&name.trim().chars().count())
}

/// The keys that let somebody in.
#[derive(Default)]
pub(crate) struct Keyring {
    keys: Vec<(KeyHash, Arc<Principal>)>,
}

impl Keyring {
    /// The keys of a configuration, which was checked.
    pub(crate) fn new(settings: &[KeySettings]) -> Self {
        let entry = |KeySettings { name, hash, access, .. }: &KeySettings| {
            (*hash, Arc::new(Principal { name: name.clone(), access: access.clone() }))
        };
        Self { keys: settings.iter().map(entry).collect() }
    }

    /// Whom they stand for, in the order of the settings.
    pub(crate) fn principals(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.keys.iter().map(|(_, principal)| principal)
    }

    /// Whether there are no keys: then nobody needs one where only the user of the machine can call.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whom a key stands for.
    pub(crate) fn authenticate(&self, key: &str) -> Option<Arc<Principal>> {
        self.find(key).and_then(|place| self.keys.get(place)).map(|(_, principal)| principal.clone())
    }

    /// The place of a key among the settings. It is compared with every one, always to its end, so that how long that takes
    /// tells nothing.
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        let hash = Key::parse(key)?.hash();
        let mut found = u64::MAX;
        for (place, (known, _)) in (0_u64..).zip(&self.keys) {
            found.conditional_assign(&place, known.0.ct_eq(&hash.0));
        }
        usize::try_from(found).ok().filter(|place| *place < self.keys.len())
    }

    /// Who uses this process over stdin and stdout, with the key of the environment.
    ///
    /// # Errors
    /// If there are keys and this is none of them; if there are none and one was given, which somebody meant to be a bound.
    pub(crate) fn principal_of_process(&self, key: Option<&str>) -> anyhow::Result<Arc<Principal>> {
        match (self.is_empty(), key) {
            (true, None) => Ok(Arc::new(Principal::owner())),
            (true, Some(_)) => anyhow::bail!(
                "{KEY_VARIABLE} is set, but no keys are configured: name the file that has them with --config or \
                 MEMORY_MCP_CONFIG, or unset {KEY_VARIABLE} to use everything"
            ),
            (false, None) => anyhow::bail!(
                "a key is needed, as `auth.keys` of the configuration has some: set {KEY_VARIABLE} to one; \
                 `memory-mcp key new` makes them"
            ),
            (false, Some(key)) => self.authenticate(key).with_context(|| {
                format!("the key in {KEY_VARIABLE} is none of `auth.keys` of the configuration: set it to one of them")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, hash: KeyHash, access: KeyAccess) -> KeySettings {
        KeySettings::new(name.into(), hash, vec!["a".into()], access).unwrap()
    }

    #[test]
    fn a_key_stands_for_its_principal_and_nothing_else_does() {
        let keys: Vec<Key> = (0..3).map(|_| Key::generate().unwrap()).collect();
        let of = |n: usize, access| settings(&format!("k{n}"), keys[n].hash(), access);
        let keyring = Keyring::new(&[of(0, KeyAccess::Read), of(1, KeyAccess::ReadWrite)]);
        let who = |key: &str| keyring.authenticate(key).map(|principal| principal.name.clone());
        assert_eq!(who(keys[0].reveal()), Some("k0".into()));
        assert_eq!(who(keys[1].reveal()), Some("k1".into()));
        assert_eq!(who(keys[2].reveal()), None);
        assert!(!keyring.authenticate(keys[0].reveal()).unwrap().access.may_change());
        let hash = keys[0].hash().to_string();
        for other in ["", "mmk_", &keys[0].reveal()[..67], &keys[0].reveal().to_uppercase(), &hash] {
            assert_eq!(who(other), None, "{other}");
        }
    }

    #[test]
    fn what_people_think_up_is_no_key() {
        assert!(Key::parse("hunter2").is_none() && Key::parse("mmk_hunter2").is_none());
        let key = Key::generate().unwrap();
        assert!(Key::parse(key.reveal()).as_ref() == Some(&key));
        assert!(key.hash().to_string().parse() == Ok(key.hash()));
    }

    #[test]
    fn who_uses_the_process_is_told_by_its_key() {
        let key = Key::generate().unwrap();
        let auth = [settings("ci", key.hash(), KeyAccess::Read)];
        let (none, some) = (Keyring::default(), Keyring::new(&auth));
        assert_eq!(*none.principal_of_process(None).unwrap(), Principal::owner());
        assert_eq!(some.principal_of_process(Some(key.reveal())).unwrap().name, "ci");
        for (keyring, key) in [(&none, Some(key.reveal())), (&some, None), (&some, Some("mmk_wrong"))] {
            assert!(keyring.principal_of_process(key).is_err(), "{key:?}");
        }
    }
}
