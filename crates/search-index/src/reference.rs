//! The contract of a search by brute force, and the index compared with it.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::retrieve::{Filter, Found, Kind};
use memory_core::search::{Candidate, Candidates, Entry, Passage, Search, bm25, idf};

use crate::entries::measure;
use crate::fixture::Contents;
use crate::lexical::counted;
use crate::segment::split;

/// Everything that a search may propose, with the whole order of both kinds.
struct Reference<'a> {
    contents: &'a Contents,
    search: &'a Search,
    admitted: Vec<&'a Entry>,
    /// The terms as they are searched for, with their idf.
    terms: Vec<(String, f32)>,
    averages: (f32, f32),
}

fn is_admitted(entry: &Entry, filter: &Filter) -> bool {
    let domain = |wanted: &String| {
        let own = entry.scope.domain.as_ref();
        own.is_some_and(|own| own == wanted || own.starts_with(&format!("{wanted}.")))
    };
    (filter.kinds.is_empty() || filter.kinds.contains(&split(entry.found).0))
        && filter.domain.as_ref().is_none_or(domain)
        && filter.project.as_ref().is_none_or(|project| entry.scope.project.as_ref() == Some(project))
        && filter.since.is_none_or(|since| entry.at >= since)
        && filter.until.is_none_or(|until| entry.at < until)
        && filter.outcome.is_none_or(|outcome| entry.outcome == Some(outcome))
        && entry.retired.is_none_or(|retired| filter.until.is_some_and(|until| retired >= until))
}

fn times(passage: &Passage, term: &str) -> u8 {
    passage.terms.iter().find(|(other, _)| other == term).map_or(0, |(_, times)| *times)
}

fn has(entry: &Entry, term: &str) -> bool {
    entry.document.passages.iter().any(|passage| times(passage, term) > 0)
}

fn says(entry: &Entry, term: &str) -> bool {
    entry.document.passages.iter().any(|passage| measure(passage).is_said() && times(passage, term) > 0)
}

impl<'a> Reference<'a> {
    fn new(contents: &'a Contents, search: &'a Search) -> (Self, Vec<u64>, Vec<Option<String>>) {
        let admitted: Vec<&Entry> =
            contents.entries.values().filter(|entry| is_admitted(entry, &search.filter)).collect();
        let frequency = |term: &str| admitted.iter().filter(|entry| has(entry, term)).count() as u64;
        let mut vocabulary: BTreeMap<&str, u64> = BTreeMap::new();
        for term in
            admitted.iter().flat_map(|entry| &entry.document.passages).flat_map(|passage| &passage.terms)
        {
            vocabulary.entry(&term.0).or_insert_with(|| frequency(&term.0));
        }
        let (mut terms, mut frequencies, mut spelled) = (Vec::new(), Vec::new(), Vec::new());
        for term in &search.terms {
            let mut meant = None;
            if frequency(term) == 0 && term.len() >= 5 && term.bytes().all(|byte| byte.is_ascii_alphabetic())
            {
                let mut near: Vec<_> = vocabulary.iter().filter(|(other, _)| is_meant(term, other)).collect();
                near.sort_by_key(|(other, frequency)| (std::cmp::Reverse(**frequency), **other));
                meant = near.first().map(|(other, _)| other.to_string());
            }
            let searched = meant.clone().unwrap_or_else(|| term.clone());
            let said = admitted.iter().filter(|entry| says(entry, &searched)).count() as u64;
            let counted = counted(said, frequency(&searched) - said);
            frequencies.push(counted);
            terms.push((searched.clone(), idf(admitted.len() as u64, counted)));
            spelled.push(meant);
        }
        let measures = || contents.entries.values().flat_map(|entry| &entry.document.passages).map(measure);
        let length: u64 = measures().map(|measure| u64::from(measure.length)).sum();
        let weighted: u64 = measures().map(|measure| measure.weighted()).sum();
        let averages = (
            (length as f64 / measures().count().max(1) as f64) as f32,
            (weighted as f64 / 200.0 / contents.entries.len().max(1) as f64) as f32,
        );
        (Self { contents, search, admitted, terms, averages }, frequencies, spelled)
    }

    fn lexical(&self, passage: &Passage) -> f32 {
        let measure = measure(passage);
        let mut score = 0.0;
        for (term, idf) in &self.terms {
            let times = times(passage, term);
            if times > 0 {
                let worth = bm25(*idf, f32::from(times), f32::from(measure.length), self.averages.0);
                score += worth * measure.weight();
            }
        }
        score
    }

    fn whole(&self, entry: &Entry) -> f32 {
        let passages = || entry.document.passages.iter();
        let length: u64 = passages().map(|passage| measure(passage).weighted()).sum();
        let mut score = 0.0;
        for (term, idf) in &self.terms {
            let steps =
                passages().map(|passage| u64::from(times(passage, term)) * u64::from(measure(passage).steps));
            let occurrences = (steps.sum::<u64>() as f64 / 200.0) as f32;
            if occurrences > 0.0 {
                score += bm25(*idf, occurrences, (length as f64 / 200.0) as f32, self.averages.1);
            }
        }
        score
    }

    fn dense(&self, entry: &Entry, passage: usize) -> Option<f32> {
        let (space, vector) = self.search.vector.as_ref()?;
        if Some(space) != self.contents.space.as_ref() {
            return None;
        }
        Some(entry.vectors.get(passage)?.as_ref()?.similarity(vector))
    }

    /// The best passages by some score.
    fn best(&self, score: impl Fn(&Entry, usize) -> Option<f32>) -> BTreeSet<(Found, usize)> {
        let mut all = Vec::new();
        for entry in &self.admitted {
            let passages = 0..entry.document.passages.len();
            let mut few: Vec<_> =
                passages.filter_map(|n| Some((score(entry, n)?, entry.at, entry.found, n))).collect();
            few.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.3.cmp(&b.3)));
            all.extend(few.into_iter().take(3));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(b.2.cmp(&a.2)).then(a.3.cmp(&b.3)));
        all.into_iter().take(self.search.limit).map(|(.., found, n)| (found, n)).collect()
    }

    fn check(&self, candidate: &Candidate) {
        let entry =
            self.admitted.iter().find(|entry| entry.found == candidate.found).expect("it is admitted");
        let passages = &entry.document.passages;
        let place = candidate.passage as usize;
        assert_eq!((candidate.when, candidate.retired), (entry.at, entry.retired));
        assert_eq!(candidate.fit.lexical, self.lexical(&passages[place]));
        assert_eq!(candidate.fit.dense, self.dense(entry, place));
        assert_eq!(candidate.whole, self.whole(entry));
        let stands = |(n, (term, _)): (usize, &(String, f32))| has(entry, term).then_some(n as u16);
        let matched: Vec<u16> = self.terms.iter().enumerate().filter_map(stands).collect();
        assert_eq!(candidate.matched, matched);
        let vector = candidate.fit.dense.and_then(|_| entry.vectors[place].clone());
        assert_eq!(candidate.vector, vector);
        self.check_neighbours(candidate, entry);
    }

    /// What comes before and after, in the document and, for notes, in the group.
    fn check_neighbours(&self, candidate: &Candidate, entry: &Entry) {
        let group = |entry: &Entry| (split(entry.found).0, entry.scope.clone());
        let is_note = split(entry.found).0 == Kind::Note;
        let mut sequence: Vec<&&Entry> = self
            .admitted
            .iter()
            .filter(|other| other.found == entry.found || (is_note && group(other) == group(entry)))
            .collect();
        sequence.sort_by_key(|entry| (entry.at, entry.found));
        let passages: Vec<(&Entry, usize)> = sequence
            .iter()
            .flat_map(|entry| (0..entry.document.passages.len()).map(|n| (**entry, n)))
            .collect();
        let here = passages
            .iter()
            .position(|(other, n)| other.found == candidate.found && *n == candidate.passage as usize);
        let here = here.expect("it is in its own group") as i64;
        let mut expected = BTreeSet::new();
        for distance in [-2, -1, 1, 2_i64] {
            let Some((other, _)) = passages.get((here + distance) as usize) else { continue };
            if other.found == entry.found {
                expected.insert(distance as i8);
            }
        }
        let mut last = i8::MIN;
        for neighbour in &candidate.neighbours {
            assert!(neighbour.distance > last, "in order");
            last = neighbour.distance;
            let (other, n) = passages[(here + i64::from(neighbour.distance)) as usize];
            assert_eq!(neighbour.fit.lexical, self.lexical(&other.document.passages[n]));
            assert_eq!(neighbour.fit.dense, self.dense(other, n));
            assert!(neighbour.cohesion > 0.0 && neighbour.cohesion <= 1.0);
            if other.found == entry.found {
                assert_eq!(neighbour.cohesion, 1.0);
                assert!(expected.remove(&neighbour.distance));
            }
        }
        assert_eq!(expected, BTreeSet::new(), "what is near in the document was left out");
    }
}

fn is_meant(term: &str, other: &str) -> bool {
    let mut near = false;
    let mut writer = crate::terms::TermsWriter::default();
    writer.add(other.as_bytes(), 0);
    let terms = crate::terms::Terms { blocks: &writer.blocks, starts: &writer.starts };
    crate::spelling::meant(terms, term, |_, _| near = true);
    near
}

/// Panics unless these are the right candidates.
pub(crate) fn check(contents: &Contents, search: &Search, candidates: &Candidates) {
    let (reference, frequencies, spelled) = Reference::new(contents, search);
    assert_eq!(candidates.documents, reference.admitted.len() as u64);
    assert_eq!(candidates.frequencies, frequencies);
    assert_eq!(candidates.spelled, spelled);
    for candidate in &candidates.proposed {
        reference.check(candidate);
    }
    let proposed: Vec<(Found, usize)> =
        candidates.proposed.iter().map(|candidate| (candidate.found, candidate.passage as usize)).collect();
    let distinct: BTreeSet<_> = proposed.iter().copied().collect();
    assert_eq!(distinct.len(), proposed.len(), "each once");
    let by_words = |entry: &Entry, n: usize| {
        Some(reference.lexical(&entry.document.passages[n])).filter(|score| *score > 0.0)
    };
    let best: BTreeSet<_> = reference
        .best(by_words)
        .union(&reference.best(|entry, n| reference.dense(entry, n)))
        .copied()
        .collect();
    assert!(best.is_subset(&distinct), "missing {:?}", best.difference(&distinct).collect::<Vec<_>>());
}

mod tests {
    use super::*;
    use crate::fixture::*;
    use jiff::Timestamp;
    use memory_core::episode::{Outcome, Scope};
    use memory_core::id::{EpisodeId, PatternId};
    use proptest::prelude::*;
    use uuid::Uuid;

    const WORDS: [&str; 14] = [
        "deploy",
        "deplpy",
        "deploying",
        "deploys",
        "server",
        "servers",
        "e4021",
        "the",
        "the",
        "the",
        "cache",
        "cach",
        "größe",
        "index",
    ];

    fn found() -> impl Strategy<Value = Found> {
        (0_usize..3, 1_u128..25).prop_map(|(kind, id)| {
            let id = Uuid::from_u128(id);
            match Kind::ALL[kind] {
                Kind::Episode => Found::Episode(EpisodeId(id)),
                Kind::Pattern => Found::Pattern(PatternId(id)),
                Kind::Note => note(id.as_u128()),
            }
        })
    }

    fn words(count: std::ops::Range<usize>) -> impl Strategy<Value = String> {
        proptest::collection::vec(proptest::sample::select(&WORDS[..]), count)
            .prop_map(|words| words.join(" "))
    }

    fn passages() -> impl Strategy<Value = Vec<(Passage, Option<[i8; 4]>)>> {
        let one = (words(0..8), 0_u8..=4, proptest::option::of(any::<[i8; 4]>()));
        let one = one.prop_map(|(words, weight, vector)| {
            (Passage { weight: f32::from(weight) / 4.0, ..passage(&words) }, vector)
        });
        proptest::collection::vec(one, 1..6)
    }

    fn name(names: [&'static str; 3]) -> impl Strategy<Value = Option<String>> {
        proptest::option::of(proptest::sample::select(names.to_vec())).prop_map(|name| name.map(String::from))
    }

    fn moment() -> impl Strategy<Value = Timestamp> {
        (0_i64..12).prop_map(at)
    }

    prop_compose! {
        fn any_entry()(
            found in found(),
            passages in passages(),
            domain in name(["a", "a.b", "ab"]),
            project in name(["x", "y", "z"]),
            at in moment(),
            outcome in proptest::option::of(0_usize..4),
            retired in proptest::option::of(moment()),
        ) -> Entry {
            let (passages, vectors): (Vec<_>, Vec<_>) = passages.into_iter().unzip();
            let vectors = vectors.into_iter().map(|numbers| numbers.map(vector)).collect();
            let scope = Scope { domain, project };
            let outcome = outcome.map(|n| Outcome::ALL[n]);
            let document = memory_core::search::Document { passages };
            Entry { found, scope, at, outcome, retired, document, vectors }
        }
    }

    prop_compose! {
        fn any_search()(
            words in words(0..6),
            vector_of in proptest::option::of((any::<[i8; 4]>(), proptest::sample::select(vec!["one", "two"]))),
            kinds in proptest::sample::subsequence(Kind::ALL.to_vec(), 0..=2),
            domain in name(["a", "a.b", "b"]),
            project in name(["x", "y", "w"]),
            since in proptest::option::of(moment()),
            until in proptest::option::of(moment()),
            outcome in proptest::option::weighted(0.2, 0_usize..4),
            all in any::<bool>(),
            limit in 0_usize..9,
        ) -> Search {
            let mut terms: Vec<String> = Vec::new();
            words.split(' ').filter(|word| !word.is_empty()).for_each(|word| {
                if !terms.iter().any(|term| term == word) { terms.push(word.into()) }
            });
            let filter = if all { Filter::default() } else {
                Filter { kinds, domain, project, since, until, outcome: outcome.map(|n| Outcome::ALL[n]), superseded: false }
            };
            let vector = vector_of.map(|(numbers, name)| (space(name), vector(numbers)));
            Search { terms, guesses: 0, vector, filter, limit }
        }
    }

    #[derive(Clone, Debug)]
    enum Event {
        Put(Vec<Entry>),
        Delete(Found),
        Search(Box<Search>),
        OtherSearches(Box<Search>),
        Settle,
        Reopen,
        Space(Option<&'static str>),
        Forget(bool),
        GoBack,
    }

    fn event() -> impl Strategy<Value = Event> {
        let search = || any_search().prop_map(Box::new);
        prop_oneof![
            6 => proptest::collection::vec(any_entry(), 1..12).prop_map(Event::Put),
            2 => found().prop_map(Event::Delete),
            8 => search().prop_map(Event::Search),
            2 => search().prop_map(Event::OtherSearches),
            2 => Just(Event::Settle),
            1 => Just(Event::Reopen),
            1 => proptest::sample::select(vec![None, Some("one"), Some("two")]).prop_map(Event::Space),
            1 => any::<bool>().prop_map(Event::Forget),
            1 => Just(Event::GoBack),
        ]
    }

    fn play(events: Vec<Event>, in_memory: bool) {
        let bench = Bench::new();
        let open = || if in_memory { bench.open_in_memory() } else { bench.open() };
        let (mut index, other) = (open(), open());
        let check = |index: &crate::SearchIndex, search: &Search| {
            let candidates = ask(index, search);
            super::check(&bench.store.contents(), search, &candidates);
        };
        for event in events {
            match event {
                Event::Put(entries) => entries.into_iter().for_each(|entry| bench.store.put(entry)),
                Event::Delete(found) => bench.store.delete(found),
                Event::Search(search) => check(&index, &search),
                Event::OtherSearches(search) => check(&other, &search),
                Event::Settle => settle(&index),
                Event::Reopen => {
                    drop(index);
                    index = open();
                }
                Event::Space(name) => bench.store.contents().space = name.map(space),
                Event::Forget(forgets) => bench.store.contents().forgets = forgets,
                // Seen by both before anything else is written.
                Event::GoBack => {
                    let seq = bench.store.seq();
                    bench.store.set_seq(seq.saturating_sub(1));
                    [&index, &other].into_iter().for_each(|index| drop(ask(index, &asked("the"))));
                    bench.store.set_seq(seq);
                    [&index, &other].into_iter().for_each(|index| drop(ask(index, &asked("the"))));
                }
            }
        }
    }

    /// What somebody may see who may see `a` is what they see where nothing else was ever stored, number by number.
    fn play_within(events: Vec<Event>) {
        let (whole, own) = (Bench::new(), Bench::new());
        let (mut index, only) = (whole.open(), own.open_in_memory());
        for event in events {
            match event {
                Event::Put(entries) => entries.into_iter().for_each(|entry| {
                    let domain = entry.scope.domain.as_deref();
                    if domain.is_some_and(|domain| memory_core::access::is_within(domain, "a")) {
                        own.store.put(entry.clone());
                    } else {
                        own.store.delete(entry.found);
                    }
                    whole.store.put(entry);
                }),
                Event::Delete(found) => [&whole, &own].iter().for_each(|bench| bench.store.delete(found)),
                Event::Search(search) | Event::OtherSearches(search) => {
                    let (seen, expected) =
                        (ask_within(&index, "a", &search), ask_within(&only, "a", &search));
                    assert_eq!(seen, expected);
                }
                Event::Settle => settle(&index),
                Event::Reopen => {
                    drop(index);
                    index = whole.open();
                }
                Event::Space(name) => {
                    [&whole, &own].iter().for_each(|bench| bench.store.contents().space = name.map(space));
                }
                Event::Forget(_) | Event::GoBack => {}
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn in_files_it_finds_what_brute_force_finds(events in proptest::collection::vec(event(), 1..40)) {
            play(events, false);
        }

        #[test]
        fn in_memory_it_finds_what_brute_force_finds(events in proptest::collection::vec(event(), 1..40)) {
            play(events, true);
        }

        #[test]
        fn nothing_tells_of_what_may_not_be_seen(events in proptest::collection::vec(event(), 1..40)) {
            play_within(events);
        }
    }
}
