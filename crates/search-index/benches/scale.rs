//! How fast the index is made, opened and searched, and what it takes up, at several sizes:
//! `cargo bench -p search-index --bench scale -- [NOTES]... [--words-only]`.
//!
//! The notes are made up: 8 to 25 terms of 100,000 words whose frequencies follow Zipf and Mandelbrot's law, vectors of
//! 384 numbers around 200 centres, fifty projects. Each size is built by one process and opened by another, so that
//! the memory of the second is what a server would need.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a measurement, run by hand")]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fastrand::Rng;
use jiff::Timestamp;
use memory_core::episode::Scope;
use memory_core::id::NoteId;
use memory_core::port::{Change, Space, StoreError};
use memory_core::retrieve::{Filter, Found};
use memory_core::search::{Corpus, Document, Entry, Passage, Search, SearchIndex as _, Standing};
use memory_core::vector::Vector;
use search_index::SearchIndex;
use uuid::Uuid;

const WORDS: f64 = 100_000.0;
const DIMENSIONS: usize = 384;
const CENTRES: u64 = 200;
const PROJECTS: u64 = 50;
const QUERIES: u64 = 200;

/// Notes that are made up when they are asked for.
struct Notes {
    count: AtomicU64,
    space: Option<Space>,
}

fn word(rng: &mut Rng) -> String {
    // Zipf and Mandelbrot: the probability falls with 1 / (rank + 10).
    let rank = 11.0 * ((WORDS + 11.0) / 11.0).powf(rng.f64()) - 11.0;
    let mut letters = Rng::with_seed(rank as u64 + 1);
    let length = letters.usize(4..11);
    (0..length).map(|_| letters.lowercase()).collect()
}

fn words(rng: &mut Rng, count: usize) -> Vec<(String, u8)> {
    let mut terms: Vec<(String, u8)> = Vec::new();
    for word in (0..count).map(|_| word(rng)) {
        match terms.iter_mut().find(|(term, _)| *term == word) {
            Some((_, times)) => *times += 1,
            None => terms.push((word, 1)),
        }
    }
    terms
}

fn vector(rng: &mut Rng) -> Vector {
    let mut centre = Rng::with_seed(rng.u64(0..CENTRES));
    let numbers: Vec<f32> = (0..DIMENSIONS).map(|_| centre.f32() - 0.5 + 0.6 * (rng.f32() - 0.5)).collect();
    Vector::new(&numbers)
}

fn number(found: Found) -> u64 {
    match found {
        Found::Note(NoteId(id)) => id.as_u128() as u64,
        _ => 0,
    }
}

impl Notes {
    fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    fn entry(&self, number: u64) -> Entry {
        let mut rng = Rng::with_seed(number ^ 0x5eed);
        let count = rng.usize(8..26);
        let passage = Passage { terms: words(&mut rng, count), weight: 1.0, text: None };
        let project = rng.u64(0..PROJECTS);
        Entry {
            found: Found::Note(NoteId(Uuid::from_u128(u128::from(number)))),
            scope: Scope { domain: Some("coding".into()), project: Some(format!("project-{project}")) },
            at: Timestamp::from_second(number as i64).expect("a time"),
            outcome: None,
            retired: rng.u8(..).eq(&0).then_some(Timestamp::MAX),
            document: Document { passages: vec![passage] },
            vectors: vec![self.space.as_ref().map(|_| vector(&mut rng))],
        }
    }
}

#[async_trait]
impl Corpus for Notes {
    async fn standing(&self) -> Result<Standing, StoreError> {
        Ok(Standing { seq: self.count(), space: self.space.clone() })
    }
    async fn changed_after(&self, seq: u64, max: usize) -> Result<Option<Vec<Change>>, StoreError> {
        let found = |number| Found::Note(NoteId(Uuid::from_u128(u128::from(number))));
        let change = |number| Change { seq: number + 1, found: found(number) };
        Ok(Some((seq..self.count()).take(max).map(change).collect()))
    }
    async fn entries(&self, found: Vec<Found>, _: Option<Space>) -> Result<Vec<Entry>, StoreError> {
        Ok(found.into_iter().map(|found| self.entry(number(found))).collect())
    }
    async fn page(
        &self,
        after: Option<Found>,
        max: usize,
        _: Option<Space>,
    ) -> Result<Vec<Entry>, StoreError> {
        let start = after.map_or(0, |after| number(after) + 1);
        Ok((start..self.count().min(start + max as u64)).map(|number| self.entry(number)).collect())
    }
}

fn query(number: u64, space: Option<&Space>, filter: Filter) -> Search {
    let mut rng = Rng::with_seed(number ^ 0xa5c);
    let count = rng.usize(5..11);
    let terms = words(&mut rng, count).into_iter().map(|(term, _)| term).collect();
    let vector = space.map(|space| (space.clone(), vector(&mut rng)));
    Search { terms, guesses: 0, vector, filter, limit: 100 }
}

fn resident_mb(what: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap_or("0");
    line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

async fn measure(index: &SearchIndex, what: &str, search: impl Fn(u64) -> Search) {
    let mut times = Vec::new();
    for number in 0..QUERIES {
        let search = search(number);
        let start = Instant::now();
        index.candidates(search).await.expect("candidates");
        times.push(ms(start.elapsed()));
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[times.len() * share / 100];
    println!("  {what:<22} p50 {:>7.2} ms   p95 {:>7.2} ms", at(50), at(95));
}

async fn build(notes: Arc<Notes>, directory: &str) {
    let start = Instant::now();
    for number in 0..notes.count().min(10_000) {
        std::hint::black_box(notes.entry(number));
    }
    let making = ms(start.elapsed()) * notes.count() as f64 / notes.count().min(10_000) as f64;
    let start = Instant::now();
    let index = SearchIndex::open(Some(directory.into()), "bench", notes.clone());
    index.candidates(query(0, None, Filter::default())).await.expect("candidates");
    let all = ms(start.elapsed());
    println!("  built in {:.0} ms, of which making up the notes took about {making:.0} ms", all);
    println!(
        "  {:.1} MB on disk, peak {:.0} MB",
        index.status().disk_bytes as f64 / 1e6,
        resident_mb("VmHWM:")
    );
}

/// Notes that come in one by one, each searched for at once.
async fn grow(notes: Arc<Notes>, directory: &str) {
    let (index, start) = (SearchIndex::open(Some(directory.into()), "bench", notes.clone()), Instant::now());
    let mut times = Vec::new();
    for number in notes.count()..notes.count() + 5_000 {
        notes.count.store(number + 1, Relaxed);
        let (search, start) = (query(number, notes.space.as_ref(), Filter::default()), Instant::now());
        index.candidates(search).await.expect("candidates");
        times.push(ms(start.elapsed()));
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[times.len() * share / 1_000];
    println!(
        "  5,000 more one by one in {:.0} ms: p50 {:.2} ms, p95 {:.2} ms, p99.9 {:.2} ms, {} segments",
        ms(start.elapsed()),
        at(500),
        at(950),
        at(999),
        index.status().segments
    );
}

async fn open(notes: Arc<Notes>, directory: &str) {
    let before = resident_mb("VmRSS:");
    let start = Instant::now();
    let index = SearchIndex::open(Some(directory.into()), "bench", notes.clone());
    let opened = ms(start.elapsed());
    index.candidates(query(9_999, notes.space.as_ref(), Filter::default())).await.expect("candidates");
    println!("  opened in {opened:.2} ms, first answer after {:.2} ms", ms(start.elapsed()));
    let project = || Filter { project: Some("project-7".into()), ..Filter::default() };
    measure(&index, "words", |n| query(n, None, Filter::default())).await;
    measure(&index, "words, one project", |n| query(n, None, project())).await;
    let misspelled = |n| {
        let mut search = query(n, None, Filter::default());
        search.terms.iter_mut().take(2).for_each(|term| *term = format!("{}x{}", &term[..3], &term[3..]));
        search
    };
    measure(&index, "two words misspelled", misspelled).await;
    println!("  resident {:.1} MB, {before:.1} MB before", resident_mb("VmRSS:"));
    if let Some(space) = notes.space.as_ref() {
        measure(&index, "vectors", |n| Search {
            terms: Vec::new(),
            ..query(n, Some(space), Filter::default())
        })
        .await;
        measure(&index, "words and vectors", |n| query(n, Some(space), Filter::default())).await;
        measure(&index, "both, one project", |n| query(n, Some(space), project())).await;
        println!("  resident {:.1} MB", resident_mb("VmRSS:"));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words_only = arguments.iter().any(|argument| argument == "--words-only");
    let space = (!words_only).then(|| Space { name: "made up".into(), dimensions: DIMENSIONS });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    if let [what, directory, count, ..] = arguments.as_slice()
        && ["build", "open", "grow"].contains(&what.as_str())
    {
        let notes = Arc::new(Notes { count: AtomicU64::new(count.parse().expect("a number")), space });
        match what.as_str() {
            "build" => runtime.block_on(build(notes, directory)),
            "grow" => runtime.block_on(grow(notes, directory)),
            _ => runtime.block_on(open(notes, directory)),
        }
        return;
    }
    let counts: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    for count in if counts.is_empty() { vec![10_000, 100_000] } else { counts } {
        println!("{count} notes");
        let directory = tempfile::tempdir().expect("a directory");
        for what in ["build", "open", "grow"] {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.arg(what).arg(directory.path()).arg(count.to_string());
            command.args(words_only.then_some("--words-only"));
            command.status().expect("the program runs");
        }
    }
}
