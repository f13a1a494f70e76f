//! Answering a search from one state of the index.

use std::panic::resume_unwind;
use std::thread;

use memory_core::port::Space;
use memory_core::search::{Candidate, Candidates, Fit, Neighbour, Search};

use crate::admit::MayFind;
use crate::around::{Near, Surroundings};
use crate::best::{Best, Scored};
use crate::dense::Wanted;
use crate::entries::timestamp;
use crate::lexical::Lexical;
use crate::limits::{NEIGHBOURED_PASSAGES_MAX, PROPOSED_PASSAGES_MAX, TERMS_MAX};
use crate::state::State;

/// Proposes candidates. Vectors count if the search's are of the space that serves now. From `parallel_vector_bytes` of
/// vectors on, they are compared on a second thread.
pub(crate) fn candidates(
    state: &State,
    search: &Search,
    may_find: MayFind<'_>,
    serving: Option<&Space>,
    parallel_vector_bytes: usize,
) -> Candidates {
    let limit = search.limit.min(PROPOSED_PASSAGES_MAX);
    let terms = &search.terms[..search.terms.len().min(TERMS_MAX)];
    let vector = search.vector.as_ref().filter(|(space, _)| Some(space) == serving);
    let wanted = vector.and_then(|(space, vector)| Wanted::new(space.clone(), vector));
    let guesses = search.guesses.saturating_sub(search.terms.len() - terms.len());
    let lexical = || Lexical::new(state, terms, guesses, may_find);
    let bytes = |_: &Wanted| state.totals.vectors as usize * serving.map_or(0, |space| space.dimensions);
    let is_large = !terms.is_empty() && wanted.as_ref().map_or(0, bytes) >= parallel_vector_bytes;
    let (lexical, by_vector) = match &wanted {
        Some(wanted) if is_large => thread::scope(|threads| {
            let nearest = || nearest(&Lexical::new(state, &[], 0, may_find), wanted, limit);
            let dense = thread::Builder::new().spawn_scoped(threads, nearest);
            let lexical = lexical();
            match dense.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(by_vector)) => (lexical, by_vector),
                Ok(Err(panic)) => resume_unwind(panic),
                // There is no thread to be had.
                Err(_) => (lexical, nearest()),
            }
        }),
        Some(wanted) => {
            let lexical = lexical();
            let by_vector = nearest(&lexical, wanted, limit);
            (lexical, by_vector)
        }
        None => (lexical(), Vec::new()),
    };
    let mut best = Best::new(limit, 0.0);
    lexical.offer(&mut best);
    let by_words = best.into_sorted();
    Proposal { state, lexical, wanted }.make(&by_words, &by_vector, search.terms.len())
}

/// The admitted passages whose vectors are nearest.
fn nearest(lexical: &Lexical<'_>, wanted: &Wanted, limit: usize) -> Vec<Scored> {
    let mut best = Best::new(limit, f32::NEG_INFINITY);
    for (number, part) in (0..).zip(&lexical.parts).filter(|(_, part)| part.admitted.documents > 0) {
        wanted.scan(part.segment, &part.admitted, number, &mut best);
    }
    best.into_sorted()
}

struct Proposal<'a> {
    state: &'a State,
    lexical: Lexical<'a>,
    wanted: Option<Wanted>,
}

impl Proposal<'_> {
    fn make(self, by_words: &[Scored], by_vector: &[Scored], asked: usize) -> Candidates {
        let mut around = Surroundings::new(&self.lexical.parts, self.lexical.is_bounded);
        let best = [by_words, by_vector];
        let mut places: Vec<(u32, u32)> =
            best.into_iter().flatten().map(|scored| (scored.part, scored.passage)).collect();
        for scored in best.into_iter().flat_map(|best| best.iter().take(NEIGHBOURED_PASSAGES_MAX)) {
            places
                .extend(around.of(scored.part, scored.passage).iter().map(|near| (near.part, near.passage)));
        }
        places.sort_unstable();
        places.dedup();
        let mut proposed: Vec<Candidate> = Vec::with_capacity(places.len());
        let mut previous = None;
        for (part, passage) in places {
            let document = self.state.slots[part as usize].segment.document_of(passage);
            let whole = match proposed.last() {
                Some(last) if previous == Some((part, document)) => (last.whole, last.matched.clone()),
                _ => self.lexical.whole(part, document),
            };
            previous = Some((part, document));
            let near = around.of(part, passage);
            proposed.push(self.candidate(part, passage, document, whole, near));
        }
        let Lexical { documents, mut frequencies, mut spelled, .. } = self.lexical;
        frequencies.resize(asked, 0);
        spelled.resize(asked, None);
        Candidates { documents, frequencies, spelled, proposed }
    }

    fn fit(&self, part: u32, passage: u32) -> Fit {
        let part = &self.lexical.parts[part as usize];
        let dense = self.wanted.as_ref().and_then(|wanted| wanted.similarity(part.segment, passage));
        Fit { lexical: part.score_of(passage), dense }
    }

    fn candidate(
        &self,
        part: u32,
        passage: u32,
        document: u32,
        (whole, matched): (f32, Vec<u16>),
        near: Vec<Near>,
    ) -> Candidate {
        let segment = &self.state.slots[part as usize].segment;
        let neighbour = |near: Near| Neighbour {
            distance: near.distance,
            fit: self.fit(near.part, near.passage),
            cohesion: near.cohesion,
        };
        let fit = self.fit(part, passage);
        let passages = segment.passages_of(document);
        Candidate {
            found: segment.found(document),
            when: timestamp(segment.at(document)),
            retired: segment.retired_at(document).map(timestamp),
            passage: passage.saturating_sub(passages.start),
            passages: passages.end - passages.start,
            fit,
            whole,
            matched,
            neighbours: near.into_iter().map(neighbour).collect(),
            vector: fit.dense.and_then(|_| segment.vector_to_keep(passage)),
        }
    }
}

#[cfg(test)]
mod tests {
    use memory_core::port::Space;
    use memory_core::retrieve::Filter;
    use memory_core::search::Search;
    use memory_core::vector::Vector;

    use crate::fixture::*;
    use crate::reference;

    #[test]
    fn among_many_vectors_the_nearest_are_found() {
        let mut bench = Bench::new();
        (bench.limits.chunk_documents, bench.limits.chunk_terms) = (1_000, 1_000);
        let space = Space { name: "one".into(), dimensions: 64 };
        let mut random = fastrand::Rng::with_seed(11);
        let centres: Vec<Vec<f32>> = (0..20).map(|_| (0..64).map(|_| random.f32() - 0.5).collect()).collect();
        let mut near = |noise: f32| {
            let centre = &centres[random.usize(..20)];
            let numbers: Vec<f32> =
                centre.iter().map(|number| number + noise * (random.f32() - 0.5)).collect();
            Vector::new(&numbers)
        };
        for id in 1..=2_000 {
            let mut entry = entry(id, "deploy");
            entry.vectors = vec![(id % 7 > 0).then(|| near(0.8))];
            bench.store.put(entry);
        }
        bench.store.contents().space = Some(space.clone());
        let index = bench.open();
        for project in [None, Some("acme/shop".to_owned())] {
            for _ in 0..20 {
                let filter = Filter { project: project.clone(), since: Some(at(50)), ..Filter::default() };
                let vector = Some((space.clone(), near(0.5)));
                let search = Search { vector, filter, limit: 30, ..asked("") };
                let candidates = ask(&index, &search);
                reference::check(&bench.store.contents(), &search, &candidates);
            }
        }
        let coded =
            |slot: &crate::state::Slot| slot.segment.codes(0..1).is_some_and(|codes| !codes.is_empty());
        assert!(index.shared.state().slots.iter().any(coded));
    }
}
