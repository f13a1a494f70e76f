//! What a segment's documents are sorted by: kind, domain and project. The documents that agree in all three are a
//! group, and a group is a range.

use std::ops::Range;

use memory_core::access::{Access, is_within};
use memory_core::retrieve::{Filter, Kind};

use crate::coding::{Reader, put, put_name};
use crate::sequence::Likeness;

/// What the documents of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupKey {
    pub(crate) kind: Kind,
    pub(crate) domain: Option<Box<str>>,
    pub(crate) project: Option<Box<str>>,
}

impl GroupKey {
    /// Whether a caller may see what is in it; anyone may who has no bounds.
    pub(crate) fn is_visible(&self, access: Option<&Access>) -> bool {
        access.is_none_or(|access| access.sees(self.domain.as_deref()))
    }

    /// Whether a filter on kinds, domain and project lets it through.
    pub(crate) fn is_admitted(&self, filter: &Filter) -> bool {
        let within = |domain: &str| self.domain.as_deref().is_some_and(|own| is_within(own, domain));
        (filter.kinds.is_empty() || filter.kinds.contains(&self.kind))
            && filter.domain.as_deref().is_none_or(within)
            && (filter.project.is_none() || filter.project.as_deref() == self.project.as_deref())
    }
}

/// A group of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) key: GroupKey,
    /// Its documents, in the order of time and id.
    pub(crate) documents: Range<u32>,
    /// How alike those are that follow one another.
    pub(crate) likeness: Likeness,
}

/// The section of these groups.
pub(crate) fn encode(groups: &[Group]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, groups.len() as u64);
    for Group { key, documents, likeness } in groups {
        out.push(key.kind as u8);
        put_name(&mut out, key.domain.as_deref());
        put_name(&mut out, key.project.as_deref());
        put(&mut out, u64::from(documents.end - documents.start));
        likeness.encode(&mut out);
    }
    out
}

/// The groups of a section; `None` if they do not make up so many documents, each in one.
pub(crate) fn decode(bytes: &[u8], documents: u32) -> Option<Vec<Group>> {
    let mut reader = Reader::new(bytes);
    let count = reader.length()?;
    let mut groups: Vec<Group> = Vec::new();
    let mut start = 0_u32;
    for _ in 0..count {
        let kind = *Kind::ALL.get(usize::from(reader.byte()?))?;
        let (domain, project) = (reader.name()?.map(Box::from), reader.name()?.map(Box::from));
        let end = start.checked_add(reader.u32()?)?;
        let likeness = Likeness::decode(&mut reader)?;
        let key = GroupKey { kind, domain, project };
        if groups.last().is_some_and(|last| last.key >= key) {
            return None;
        }
        groups.push(Group { key, documents: start..end, likeness });
        start = end;
    }
    (start == documents).then_some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_admits_itself_and_what_is_below() {
        let filter = |domain: &str| Filter { domain: Some(domain.into()), ..Filter::default() };
        let key = |domain: &str| GroupKey { kind: Kind::Note, domain: Some(domain.into()), project: None };
        assert!(key("a.b").is_admitted(&filter("a")) && key("a").is_admitted(&filter("a")));
        assert!(!key("ab").is_admitted(&filter("a")) && !key("a").is_admitted(&filter("a.b")));
        let none = GroupKey { kind: Kind::Note, domain: None, project: None };
        assert!(!none.is_admitted(&filter("a")) && none.is_admitted(&Filter::default()));
    }
}
