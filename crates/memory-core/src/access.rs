//! What a caller may see and change.
//!
//! An [`Access`] belongs to one caller and goes with everything that is asked for it: the stores filter by it in their
//! queries, the search index among its documents. What lies outside of it does not exist for the caller: no hit, no
//! count, no rate, no suggestion depends on it, and its ids are unknown ids.

use serde::{Deserialize, Serialize};

use crate::episode::Scope;
use crate::limits::{ACCESS_DOMAINS_MAX, NAME_BYTES_MAX};

/// What a caller may see and change: some domains, each with those below it, or everything.
///
/// What has no domain is nobody's in particular and visible only to who may see everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Access {
    /// `None`: everything.
    domains: Option<Vec<String>>,
    may_change: bool,
}

/// Why a caller may not change something. None of them tells whether the thing exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It may only read.
    #[error("this key may only read: use one with `access = \"read_write\"`")]
    ReadOnly,
    /// The domain is none of its own.
    #[error("the domain {domain:?} is not one that this key may write to: give {}", listed(.allowed))]
    Outside {
        /// The domain as the caller gave it.
        domain: String,
        /// What it could have given.
        allowed: Vec<String>,
    },
    /// It may write to several domains and named none.
    #[error("`domain` is missing, and this key may write to several: give {}", listed(.0))]
    NoDomain(
        /// What it could have given.
        Vec<String>,
    ),
    /// It would change what is learned of every domain.
    #[error("this changes all domains, and this key is for some of them only")]
    NotEverything,
}

fn listed(domains: &[String]) -> String {
    format!("{}, or one below", domains.join(" or "))
}

/// Why an [`Access`] cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDomains {
    /// There are none.
    #[error("there is no domain; name at least one, or \"*\" for everything")]
    None,
    /// There are too many.
    #[error("there are {0} domains; the most is {ACCESS_DOMAINS_MAX}")]
    TooMany(usize),
    /// One that nothing can be filed under.
    #[error("{0:?} is no domain: it must be 1 to {NAME_BYTES_MAX} bytes, without blanks or dots at its ends")]
    Name(String),
}

impl Access {
    /// The name that stands for everything in a list of domains.
    pub const ALL: &str = "*";

    /// To see and change everything, as who starts the program on their own data may.
    pub fn everything() -> Self {
        Self { domains: None, may_change: true }
    }

    /// To see these domains and those below them, `"*"` for everything, and to change what is there or not.
    ///
    /// # Errors
    /// [`BadDomains`] if there is none, or one that nothing can be filed under.
    pub fn new(domains: &[String], may_change: bool) -> Result<Self, BadDomains> {
        if domains.is_empty() {
            return Err(BadDomains::None);
        }
        if domains.len() > ACCESS_DOMAINS_MAX {
            return Err(BadDomains::TooMany(domains.len()));
        }
        if domains.iter().any(|domain| domain == Self::ALL) {
            return Ok(Self { domains: None, may_change });
        }
        let is_name = |domain: &str| {
            let is_long = domain.len() > NAME_BYTES_MAX;
            !domain.is_empty() && !is_long && domain.trim() == domain && domain.trim_matches('.') == domain
        };
        if let Some(bad) = domains.iter().find(|domain| !is_name(domain)) {
            return Err(BadDomains::Name(bad.clone()));
        }
        let mut own = domains.to_vec();
        own.sort();
        own.dedup();
        // Those below another add nothing; so lists that mean the same are equal.
        let all = own.clone();
        own.retain(|domain| !all.iter().any(|other| other != domain && is_within(domain, other)));
        Ok(Self { domains: Some(own), may_change })
    }

    /// The domains; `None` where everything may be seen.
    pub fn domains(&self) -> Option<&[String]> {
        self.domains.as_deref()
    }

    /// Whether everything may be seen.
    pub fn is_everything(&self) -> bool {
        self.domains.is_none()
    }

    /// Whether anything may be changed.
    pub fn may_change(&self) -> bool {
        self.may_change
    }

    /// Whether what belongs to this domain may be seen.
    pub fn sees(&self, domain: Option<&str>) -> bool {
        let Some(own) = &self.domains else { return true };
        domain.is_some_and(|domain| own.iter().any(|own| is_within(domain, own)))
    }

    /// Lets a change of something that may be seen through.
    ///
    /// # Errors
    /// [`Refusal::ReadOnly`].
    pub fn check_change(&self) -> Result<(), Refusal> {
        if self.may_change { Ok(()) } else { Err(Refusal::ReadOnly) }
    }

    /// Lets something new in this domain through.
    ///
    /// # Errors
    /// [`Refusal::ReadOnly`], [`Refusal::Outside`], or [`Refusal::NoDomain`].
    pub fn check_new(&self, domain: Option<&str>) -> Result<(), Refusal> {
        self.check_change()?;
        if self.sees(domain) {
            return Ok(());
        }
        let allowed = self.domains.clone().unwrap_or_default();
        Err(match domain {
            Some(domain) => Refusal::Outside { domain: domain.to_owned(), allowed },
            None => Refusal::NoDomain(allowed),
        })
    }

    /// Lets a change of everything that was learned through.
    ///
    /// # Errors
    /// [`Refusal::ReadOnly`] or [`Refusal::NotEverything`].
    pub fn check_everything(&self) -> Result<(), Refusal> {
        self.check_change()?;
        if self.is_everything() { Ok(()) } else { Err(Refusal::NotEverything) }
    }

    /// Files something new: without a domain it belongs to the only one that the caller has.
    ///
    /// # Errors
    /// As [`Access::check_new`].
    pub fn file(&self, scope: &mut Scope) -> Result<(), Refusal> {
        if let (None, Some([only])) = (&scope.domain, self.domains()) {
            scope.domain = Some(only.clone());
        }
        self.check_new(scope.domain.as_deref())
    }
}

/// Whether a domain is `of` or lies below it.
pub fn is_within(domain: &str, of: &str) -> bool {
    domain.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(domains: &[&str], may_change: bool) -> Access {
        Access::new(&domains.iter().map(ToString::to_string).collect::<Vec<_>>(), may_change).unwrap()
    }

    #[test]
    fn a_domain_includes_those_below_it_and_no_other() {
        let own = access(&["web", "api.v2"], true);
        for seen in ["web", "web.shop", "api.v2", "api.v2.auth"] {
            assert!(own.sees(Some(seen)), "{seen}");
        }
        for unseen in [None, Some("webs"), Some("api"), Some("api.v1"), Some(""), Some("Web")] {
            assert!(!own.sees(unseen), "{unseen:?}");
        }
        assert!(Access::everything().sees(None) && access(&["web", "*"], true).sees(None));
    }

    #[test]
    fn lists_that_mean_the_same_are_equal() {
        assert_eq!(access(&["b", "a.x", "a", "b"], true), access(&["a", "b"], true));
        assert_eq!(access(&["a", "*"], true), Access::everything());
        assert_ne!(access(&["a"], true), access(&["a"], false));
    }

    #[test]
    fn what_nothing_can_be_filed_under_is_no_domain() {
        assert_eq!(Access::new(&[], true), Err(BadDomains::None));
        for bad in ["", " ", "a ", "a.", ".a", &"a".repeat(NAME_BYTES_MAX + 1)] {
            assert_eq!(Access::new(&[bad.into()], true), Err(BadDomains::Name(bad.into())), "{bad:?}");
        }
        let many = vec!["a".to_owned(); ACCESS_DOMAINS_MAX + 1];
        assert_eq!(Access::new(&many, true), Err(BadDomains::TooMany(many.len())));
    }

    #[test]
    fn what_is_new_goes_where_its_author_may_write() {
        let filed = |access: &Access, domain: Option<&str>| {
            let mut scope = Scope { domain: domain.map(str::to_owned), project: None };
            access.file(&mut scope).map(|()| scope.domain)
        };
        let (one, two) = (access(&["a"], true), access(&["a", "b"], true));
        assert_eq!(filed(&one, None), Ok(Some("a".into())), "the only one");
        assert_eq!(filed(&two, None), Err(Refusal::NoDomain(vec!["a".into(), "b".into()])));
        assert_eq!(filed(&two, Some("b.c")), Ok(Some("b.c".into())));
        let outside = Refusal::Outside { domain: "c".into(), allowed: vec!["a".into()] };
        assert_eq!(filed(&one, Some("c")), Err(outside));
        assert_eq!(filed(&Access::everything(), None), Ok(None));
        assert_eq!(filed(&access(&["a"], false), Some("a")), Err(Refusal::ReadOnly));
        assert_eq!(filed(&access(&["*"], false), None), Err(Refusal::ReadOnly));
    }

    #[test]
    fn only_who_may_change_everything_may_relearn() {
        assert_eq!(Access::everything().check_everything(), Ok(()));
        assert_eq!(access(&["a"], true).check_everything(), Err(Refusal::NotEverything));
        assert_eq!(access(&["*"], false).check_everything(), Err(Refusal::ReadOnly));
    }
}
