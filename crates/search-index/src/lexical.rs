//! Words: which of the admitted passages have the terms of a search, and what that is worth.

use std::collections::BTreeMap;
use std::ops::Range;

use memory_core::access::Access;
use memory_core::search::{bm25, idf};

use crate::admit::{Admitted, MayFind};
use crate::best::{Best, Offering};
use crate::bits::Bits;
use crate::layout::Totals;
use crate::limits::MENTIONS_AS_SAID;
use crate::postings::Postings;
use crate::segment::{Segment, WEIGHT_STEPS};
use crate::spelling;
use crate::state::State;

/// One segment in a search.
pub(crate) struct Part<'a> {
    pub(crate) segment: &'a Segment,
    /// Those of its documents that count no longer.
    pub(crate) dead: &'a Bits,
    pub(crate) admitted: Admitted,
    /// For each term, the admitted passages that have it.
    lists: Vec<List>,
    /// The score of each passage; empty if none has any term.
    scores: Vec<f32>,
}

/// The admitted passages that have a term, and how often.
#[derive(Default)]
struct List {
    passages: Vec<u32>,
    times: Vec<u8>,
}

/// A search's terms among the admitted documents.
pub(crate) struct Lexical<'a> {
    /// One for each slot of the state, in that order.
    pub(crate) parts: Vec<Part<'a>>,
    /// Admitted documents.
    pub(crate) documents: u64,
    /// How many of them have each term, see [`counted`].
    pub(crate) frequencies: Vec<u64>,
    /// What was searched for in a term's place.
    pub(crate) spelled: Vec<Option<String>>,
    idf: Vec<f32>,
    averages: Averages,
    /// Whether some passages weigh less than others.
    has_mentions: bool,
    /// Whether the caller may not see everything. What is measured over many documents then leaves out what it may not see.
    pub(crate) is_bounded: bool,
}

/// How many documents a term counts as standing in: one that only mentions it in passing counts a tenth, or what is said
/// in few titles would pass for common because it happens in all that was done.
pub(crate) fn counted(said: u64, mentioned: u64) -> u64 {
    said + mentioned.div_ceil(MENTIONS_AS_SAID)
}

/// Average lengths over everything that is stored, was not deleted and may be seen by the caller, whether the filter admits
/// it or not: what is normal for a text does not depend on the question.
#[derive(Clone, Copy)]
struct Averages {
    passage: f32,
    document: f32,
}

impl Averages {
    fn new(totals: &Totals) -> Self {
        let over = |sum: f64, count: u64| (sum / count.max(1) as f64) as f32;
        Self {
            passage: over(totals.length as f64, totals.passages),
            document: over(totals.weighted as f64 / f64::from(WEIGHT_STEPS), totals.documents),
        }
    }
}

/// Sums over what counts and may be seen.
fn totals_within(parts: &[Part<'_>], access: &Access) -> Totals {
    let mut totals = Totals::default();
    for Part { segment, dead, .. } in parts {
        let groups = segment.groups().iter().filter(|group| group.key.is_visible(Some(access)));
        for document in groups.flat_map(|group| group.documents.clone()) {
            if !dead.has(document) {
                totals.add(&segment.totals_of(document));
            }
        }
    }
    totals
}

impl<'a> Lexical<'a> {
    /// Looks the terms up and scores every admitted passage. The last `guesses` of them are not taken for misspellings.
    pub(crate) fn new(state: &'a State, terms: &[String], guesses: usize, may_find: MayFind<'_>) -> Self {
        let part = |slot: &'a crate::state::Slot| {
            let lists = terms.iter().map(|_| List::default()).collect();
            let (segment, dead) = (&*slot.segment, &*slot.dead.bits);
            Part { segment, dead, admitted: Admitted::new(slot, may_find), lists, scores: Vec::new() }
        };
        let parts: Vec<Part<'_>> = state.slots.iter().map(part).collect();
        let documents = parts.iter().map(|part| part.admitted.documents).sum();
        let totals = may_find.access.map_or(state.totals, |access| totals_within(&parts, access));
        let mut lexical = Self {
            parts,
            documents,
            frequencies: Vec::new(),
            spelled: Vec::new(),
            idf: Vec::new(),
            averages: Averages::new(&totals),
            has_mentions: totals.weighted < totals.length * u64::from(WEIGHT_STEPS),
            is_bounded: may_find.access.is_some(),
        };
        let meant = terms.len().saturating_sub(guesses);
        for (number, term) in terms.iter().enumerate() {
            let mut frequency = lexical.look_up(number, term);
            let mut spelled = None;
            if frequency == 0 && number < meant && spelling::may_be_misspelled(term) {
                spelled = lexical.meant(term);
                if let Some(meant) = &spelled {
                    frequency = lexical.look_up(number, meant);
                }
            }
            lexical.frequencies.push(frequency);
            lexical.spelled.push(spelled);
            lexical.idf.push(idf(documents, frequency));
        }
        lexical.score();
        lexical
    }

    /// Fills in the lists of a term; returns how many admitted documents have it.
    fn look_up(&mut self, number: usize, term: &str) -> u64 {
        let parts = self.parts.iter_mut().filter(|part| part.admitted.documents > 0);
        let (mut said, mut documents) = (0, 0);
        for part in parts {
            let Some(postings) = part.segment.postings(term) else { continue };
            let found = part.collect(number, &postings);
            documents += found;
            said += if self.has_mentions { part.said(number) } else { found };
        }
        counted(said, documents.saturating_sub(said))
    }

    /// The most frequent term that may be meant by one that no admitted document has.
    fn meant(&self, term: &str) -> Option<String> {
        let mut frequencies: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for part in self.parts.iter().filter(|part| part.admitted.documents > 0) {
            spelling::meant(part.segment.terms(), term, |meant, place| {
                let frequency =
                    part.segment.postings_at(place).map_or(0, |postings| part.frequency(&postings));
                *frequencies.entry(meant.to_vec()).or_default() += frequency;
            });
        }
        let known = frequencies.into_iter().filter(|(_, frequency)| *frequency > 0);
        // Of equally frequent ones the first in the order of letters.
        let (meant, _) = known.max_by(|(a, of_a), (b, of_b)| of_a.cmp(of_b).then(b.cmp(a)))?;
        String::from_utf8(meant).ok()
    }

    fn score(&mut self) {
        for part in &mut self.parts {
            part.score(&self.idf, self.averages.passage);
        }
    }

    /// Offers every passage that has one of the terms.
    pub(crate) fn offer(&self, best: &mut Best) {
        for (number, part) in (0..).zip(&self.parts) {
            let mut offering = Offering::new(best, part.segment, number);
            for (passage, score) in (0..).zip(&part.scores) {
                if *score > 0.0 && offering.wants(*score) {
                    let document = offering.document_of(passage);
                    offering.offer(passage, document, *score);
                }
            }
        }
    }

    /// The BM25 of a document as one text, and which of the terms stand in it.
    pub(crate) fn whole(&self, part: u32, document: u32) -> (f32, Vec<u16>) {
        let part = &self.parts[part as usize];
        let passages = part.segment.passages_of(document);
        let weighted: u64 = passages.clone().map(|passage| part.segment.measure(passage).weighted()).sum();
        let length = (weighted as f64 / f64::from(WEIGHT_STEPS)) as f32;
        let (mut score, mut matched) = (0.0, Vec::new());
        for (number, (list, idf)) in (0..).zip(part.lists.iter().zip(&self.idf)) {
            let (mut steps, mut stands) = (0_u64, false);
            for (passage, times) in list.within(passages.clone()) {
                steps += u64::from(times) * u64::from(part.segment.measure(passage).steps);
                stands = true;
            }
            if stands {
                matched.push(number);
            }
            if steps > 0 {
                let occurrences = (steps as f64 / f64::from(WEIGHT_STEPS)) as f32;
                score += bm25(*idf, occurrences, length, self.averages.document);
            }
        }
        (score, matched)
    }
}

impl Part<'_> {
    /// Keeps the admitted postings of a term; returns how many documents they belong to.
    fn collect(&mut self, number: usize, postings: &Postings<'_>) -> u64 {
        let List { passages, times } = &mut self.lists[number];
        let (owners, bits, count) = (self.segment.owners(), &self.admitted.bits, self.segment.passages());
        if self.admitted.is_all {
            passages.reserve(postings.len());
            times.reserve(postings.len());
            postings.all(|(passage, often)| {
                if passage < count {
                    passages.push(passage);
                    times.push(often);
                }
            });
            return postings.documents;
        }
        let (mut documents, mut last) = (0, None);
        postings.near(&self.admitted.passages, |(passage, often)| {
            let document = owners.of(passage);
            if passage < count && bits.has(document) {
                passages.push(passage);
                times.push(often);
                documents += u64::from(last != Some(document));
                last = Some(document);
            }
        });
        documents
    }

    /// In how many admitted documents a term stands in a passage of at least half the full weight.
    fn said(&self, number: usize) -> u64 {
        let (owners, measures) = (self.segment.owners(), self.segment.measures());
        let (mut documents, mut last) = (0, None);
        for passage in &self.lists[number].passages {
            if measures.of(*passage).is_said() {
                let document = owners.of(*passage);
                documents += u64::from(last != Some(document));
                last = Some(document);
            }
        }
        documents
    }

    /// How many admitted documents these postings belong to.
    fn frequency(&self, postings: &Postings<'_>) -> u64 {
        if self.admitted.is_all {
            return postings.documents;
        }
        let (mut documents, mut last) = (0, None);
        let owners = self.segment.owners();
        postings.near(&self.admitted.passages, |(passage, _)| {
            let document = owners.of(passage);
            if last != Some(document) && self.admitted.bits.has(document) {
                documents += 1;
                last = Some(document);
            }
        });
        documents
    }

    fn score(&mut self, idf: &[f32], average: f32) {
        if self.lists.iter().all(|list| list.passages.is_empty()) {
            return;
        }
        self.scores = vec![0.0; self.segment.passages() as usize];
        let measures = self.segment.measures();
        for (list, idf) in self.lists.iter().zip(idf) {
            for (passage, times) in list.passages.iter().zip(&list.times) {
                let measure = measures.of(*passage);
                if let Some(score) = self.scores.get_mut(*passage as usize) {
                    let worth = bm25(*idf, f32::from(*times), f32::from(measure.length), average);
                    *score += worth * measure.weight();
                }
            }
        }
    }

    /// The score of a passage.
    pub(crate) fn score_of(&self, passage: u32) -> f32 {
        self.scores.get(passage as usize).copied().unwrap_or_default()
    }
}

impl List {
    fn within(&self, passages: Range<u32>) -> impl Iterator<Item = (u32, u8)> {
        let start = self.passages.partition_point(|passage| *passage < passages.start);
        let rest = self.passages[start..].iter().copied().zip(self.times[start..].iter().copied());
        rest.take_while(move |(passage, _)| *passage < passages.end)
    }
}
