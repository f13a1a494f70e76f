//! What stands around a passage: the others of its document, and where notes are a sequence, those of the notes before
//! and after it, in whatever segments they are.

use std::collections::HashMap;
use std::ops::Range;

use memory_core::retrieve::Kind;

use crate::groups::GroupKey;
use crate::lexical::Part;
use crate::limits::NEIGHBOUR_DISTANCE_MAX;
use crate::sequence::Likeness;

/// A passage near another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Near {
    pub(crate) distance: i8,
    pub(crate) part: u32,
    pub(crate) passage: u32,
    pub(crate) cohesion: f32,
}

/// Knows what stands around passages.
pub(crate) struct Surroundings<'a> {
    parts: &'a [Part<'a>],
    /// Whether the caller may not see everything.
    is_bounded: bool,
    /// By part and number of the group in it.
    groups: HashMap<(u32, usize), Run>,
}

/// A group in all segments.
#[derive(Clone, Default)]
struct Run {
    cohesion: f32,
    /// The documents of the group in other segments.
    elsewhere: Vec<(u32, Range<u32>)>,
}

/// A document's place in the order of its group.
type Rank = (i64, u128);

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Back,
    On,
}

impl<'a> Surroundings<'a> {
    pub(crate) fn new(parts: &'a [Part<'a>], is_bounded: bool) -> Self {
        Self { parts, is_bounded, groups: HashMap::new() }
    }

    /// The admitted passages near this one, in their order.
    pub(crate) fn of(&mut self, part: u32, passage: u32) -> Vec<Near> {
        let mut near = Vec::new();
        self.walk(part, passage, Way::Back, &mut near);
        near.reverse();
        self.walk(part, passage, Way::On, &mut near);
        near
    }

    fn walk(&mut self, part: u32, passage: u32, way: Way, near: &mut Vec<Near>) {
        let segment = self.parts[part as usize].segment;
        let (mut part, mut document) = (part, segment.document_of(passage));
        let (mut passages, mut cohesion) = (segment.passages_of(document), 1.0);
        passages = match way {
            Way::Back => passages.start..passage.max(passages.start),
            Way::On => (passage + 1).min(passages.end)..passages.end,
        };
        let mut distance = 0;
        loop {
            while let Some(passage) = if way == Way::On { passages.next() } else { passages.next_back() } {
                distance += 1;
                let signed = if way == Way::On { distance } else { -distance };
                near.push(Near { distance: signed, part, passage, cohesion });
                if distance == NEIGHBOUR_DISTANCE_MAX {
                    return;
                }
            }
            let Some((next, between)) = self.next(part, document, way) else { return };
            (part, document) = next;
            cohesion = between;
            passages = self.parts[part as usize].segment.passages_of(document);
        }
    }

    /// The admitted document before or after this one in its group, and the cohesion of the group.
    fn next(&mut self, part: u32, document: u32, way: Way) -> Option<((u32, u32), f32)> {
        let segment = self.parts[part as usize].segment;
        let number = segment.group_of(document);
        let group = segment.groups().get(number).filter(|group| group.key.kind == Kind::Note)?;
        let (parts, is_bounded) = (self.parts, self.is_bounded);
        let run =
            self.groups.entry((part, number)).or_insert_with(|| Run::new(parts, part, number, is_bounded));
        if run.cohesion <= 0.0 {
            return None;
        }
        let rank = rank(&parts[part as usize], document);
        let rest = match way {
            Way::Back => group.documents.start..document,
            Way::On => document + 1..group.documents.end,
        };
        let mut best = nearest(parts, part, rest, way);
        for (other, range) in &run.elsewhere {
            let bound = best.map(|(bound, _)| bound);
            let rest = beyond(&parts[*other as usize], range.clone(), rank, bound, way);
            if let Some(found) = nearest(parts, *other, rest, way)
                && bound.is_none_or(|bound| is_before(found.0, bound, way))
            {
                best = Some(found);
            }
        }
        best.map(|(_, next)| (next, run.cohesion))
    }
}

impl Run {
    fn new(parts: &[Part<'_>], part: u32, number: usize, is_bounded: bool) -> Self {
        let key = &parts[part as usize].segment.groups()[number].key;
        let (mut likeness, mut notes, mut elsewhere) = (Likeness::default(), 0, Vec::new());
        for (other, at) in (0..).zip(parts) {
            let groups = at.segment.groups();
            let Ok(place) = groups.binary_search_by(|group| group.key.cmp(key)) else { continue };
            likeness.add(&groups[place].likeness);
            notes += u64::from(groups[place].documents.end - groups[place].documents.start);
            if other != part && at.admitted.documents > 0 {
                elsewhere.push((other, groups[place].documents.clone()));
            }
        }
        let cohesion = if is_bounded { cohesion_now(parts, key) } else { likeness.cohesion(notes) };
        Self { cohesion, elsewhere }
    }
}

/// The cohesion of what counts of a group, measured anew. Where segments begin and end, and what in them counts no longer, is
/// also up to what others store, and must not show.
fn cohesion_now(parts: &[Part<'_>], key: &GroupKey) -> f32 {
    let mut documents: Vec<(Rank, usize, u32)> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let groups = part.segment.groups();
        let Ok(place) = groups.binary_search_by(|group| group.key.cmp(key)) else { continue };
        let counting = groups[place].documents.clone().filter(|document| !part.dead.has(*document));
        documents.extend(counting.map(|document| (rank(part, document), number, document)));
    }
    documents.sort_unstable();
    let sketch = |place: u32| {
        let (_, number, document) = documents[place as usize];
        parts[number].segment.sketch(document)
    };
    Likeness::measure(documents.len() as u32, sketch).cohesion(documents.len() as u64)
}

fn rank(part: &Part<'_>, document: u32) -> Rank {
    (part.segment.at(document), part.segment.id(document))
}

fn is_before(a: Rank, b: Rank, way: Way) -> bool {
    if way == Way::On { a < b } else { a > b }
}

/// The first admitted document of a range, from the end that the walk comes to first.
fn nearest(parts: &[Part<'_>], part: u32, range: Range<u32>, way: Way) -> Option<(Rank, (u32, u32))> {
    let at = &parts[part as usize];
    let document = match way {
        Way::On => at.admitted.bits.first_in(range),
        Way::Back => at.admitted.bits.last_in(range),
    }?;
    Some((rank(at, document), (part, document)))
}

/// The documents of a range beyond a place in the order; none if the first of them would lie beyond `bound` too.
fn beyond(part: &Part<'_>, range: Range<u32>, from: Rank, bound: Option<Rank>, way: Way) -> Range<u32> {
    let (Some(last), false) = (range.end.checked_sub(1), range.is_empty()) else { return 0..0 };
    let (near, far) = if way == Way::On { (range.start, last) } else { (last, range.start) };
    let is_too_far = bound.is_some_and(|bound| is_before(bound, rank(part, near), way));
    if is_too_far || is_before(rank(part, far), from, way) {
        return 0..0;
    }
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        let place = rank(part, middle);
        let is_left = if way == Way::On { place <= from } else { place < from };
        if is_left { low = middle + 1 } else { high = middle }
    }
    if way == Way::On { low..range.end } else { range.start..low }
}

#[cfg(test)]
mod tests {
    use memory_core::episode::Scope;
    use memory_core::search::{Candidates, Entry};

    use crate::fixture::*;

    /// Turn `n` of a conversation: words that stay for a while, and a word of its own.
    fn turn(n: u128) -> Entry {
        entry(n, &format!("turn{n} topic{} subject{} more{}", n / 5, n / 8, n / 6))
    }

    /// The ids at these distances from the turn `n`, by their words.
    fn around(candidates: &Candidates, n: u128) -> Vec<(i8, f32)> {
        let found = candidates.proposed.iter().find(|candidate| candidate.found == note(n)).unwrap();
        found.neighbours.iter().map(|near| (near.distance, near.fit.lexical)).collect()
    }

    fn has_neighbours(index: &crate::SearchIndex, n: u128) {
        let (before, after) = (format!("turn{}", n - 2), format!("turn{}", n + 1));
        let candidates = ask(index, &asked(&format!("turn{n} {before} {after}")));
        let near = around(&candidates, n);
        let is_there: Vec<(i8, bool)> =
            near.iter().map(|(distance, lexical)| (*distance, *lexical > 0.0)).collect();
        assert_eq!(is_there, [(-2, true), (-1, false), (1, true), (2, false)], "around {n}");
        assert!(
            candidates.proposed.iter().any(|candidate| candidate.found == note(n + 2)),
            "proposed beside"
        );
    }

    #[test]
    fn turns_have_neighbours_across_segments_and_after_changes() {
        let bench = Bench::new();
        let index = bench.open();
        for n in 1..=120 {
            bench.store.put(turn(n));
            ask(&index, &asked("turn1"));
        }
        settle(&index);
        assert!(index.status().segments > 1);
        (10..110).for_each(|n| has_neighbours(&index, n));
        // As when their vectors arrive.
        for n in (20..60).chain([75]) {
            bench.store.put(turn(n));
            ask(&index, &asked("turn1"));
        }
        (10..110).for_each(|n| has_neighbours(&index, n));
        bench.store.delete(note(80));
        let candidates = ask(&index, &asked("turn79 turn81"));
        assert!(around(&candidates, 79).iter().any(|near| near.0 == 1 && near.1 > 0.0), "81 follows 79 now");
    }

    /// Whatever segments they are in, which is also up to what others store.
    #[test]
    fn a_sequence_is_one_whatever_others_store() {
        let (whole, own) = (Bench::new(), Bench::new());
        let (index, only) = (whole.open(), own.open());
        let mine = |n: u128, entry: Entry| Entry {
            scope: Scope { domain: Some("mine".into()), ..entry.scope.clone() },
            found: note(2 * n),
            ..entry
        };
        for n in 1..=60 {
            whole.store.put(mine(n, turn(n)));
            own.store.put(mine(n, turn(n)));
            whole.store.put(entry(2 * n + 1, "turn7 of something else"));
            ask(&index, &asked("turn1"));
            if n % 9 == 0 {
                ask(&only, &asked("turn1"));
            }
        }
        // What was changed may be in a segment still, where it counts no longer.
        for n in 20..40 {
            let newer = || mine(n, entry(n, &format!("turn{n} topic{}", n / 5)));
            whole.store.put(newer());
            own.store.put(newer());
        }
        settle(&index);
        for n in 1..=60 {
            let search = asked(&format!("turn{n} topic{}", n / 5));
            let seen = ask_within(&index, "mine", &search);
            assert_eq!(seen, ask_within(&only, "mine", &search), "{n}");
            assert!(seen.proposed.iter().any(|candidate| !candidate.neighbours.is_empty()), "{n}");
        }
    }

    #[test]
    fn facts_have_none() {
        let bench = Bench::new();
        let index = bench.open();
        let mut random = fastrand::Rng::with_seed(3);
        for n in 1..=100 {
            let words: Vec<String> = (0..6).map(|_| format!("word{}", random.u8(0..60))).collect();
            bench.store.put(entry(n, &format!("fact{n} {}", words.join(" "))));
        }
        assert_eq!(around(&ask(&index, &asked("fact50")), 50), []);
    }
}
