//! Large memories, made through the ports of the store and kept for the next run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use embeddings::{Active, Library};
use fastrand::Rng;
use mcp_server::client::StdioClient;
use memory_core::port::{ChangeLog, Embedded, Embedder, Purpose, StoreHealth, VectorStore};
use memory_core::retrieve::Found;
use memory_core::retrieve::document::of_note;
use memory_core::vector::Vector;
use serde_json::json;
use storage_turso::TursoStore;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::texts::Texts;
use crate::latency::Latency;
use crate::launch::Launch;
use crate::root;

/// Raised when texts or vectors are made otherwise.
const FORMAT: u32 = 1;
/// Notes whose texts are embedded; the vectors of the others are mixed.
const EMBEDDED_NOTES: usize = 5_000;
const EMBEDDED_QUESTIONS: u64 = 200;
/// Texts that are embedded at once; notes and vectors that are stored at once.
const BATCH: usize = 512;
/// How long the noise is that is added to a mixed vector of length 1.
const NOISE: f32 = 0.4;
pub(crate) const DATABASE: &str = "memory.db";
const CACHE: &str = "cache.redb";
pub(crate) const INDEX: &str = "index";

/// A memory that is complete, with the index that a server has made of it.
pub(crate) struct Made {
    pub(crate) dir: PathBuf,
    pub(crate) notes: usize,
    /// What the vectors are.
    pub(crate) vectors: Option<String>,
}

impl Made {
    /// A copy that may be changed. It is one of a moment at which a server has stopped as usual.
    pub(crate) fn copy(&self) -> anyhow::Result<TempDir> {
        let copy = tempfile::tempdir_in(kept()?)?;
        copy_all(&self.dir, copy.path()).context("failed to copy a memory")?;
        Ok(copy)
    }
}

/// The memories of one seed.
pub(crate) struct Stock<'a> {
    texts: &'a Texts,
    model: Option<Arc<dyn Embedder>>,
    sample: OnceCell<Sample>,
    runtime: tokio::runtime::Runtime,
    schema: u32,
}

impl<'a> Stock<'a> {
    pub(crate) fn new(texts: &'a Texts, model: Option<&Path>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let scratch = tempfile::tempdir()?;
        let open = |dir| -> anyhow::Result<Arc<dyn Embedder>> {
            let active = Active::find(&Library::new(scratch.path().to_owned()), Some(dir))?;
            Ok(active.context("no model is in use")?.open(|_| None)?)
        };
        let model = model.map(open).transpose()?;
        let schema = runtime.block_on(async {
            let store = TursoStore::open(&scratch.path().join(DATABASE)).await?;
            let counts = StoreHealth::counts(&store).await;
            store.close().await;
            counts.map(|counts| counts.schema_version)
        })?;
        Ok(Self { texts, model, sample: OnceCell::new(), runtime, schema })
    }

    /// A memory of so many notes without vectors.
    pub(crate) fn by_words(&self, launch: &Launch, notes: usize) -> anyhow::Result<Made> {
        ensure!(notes > 0, "a memory without notes answers nothing");
        let name = self.name(notes);
        let dir = self.kept(&name, |dir| self.runtime.block_on(self.remember_all(dir, notes)))?;
        prepare(&dir, launch, notes)?;
        Ok(Made { dir, notes, vectors: None })
    }

    /// The memory `words` with vectors.
    pub(crate) fn by_meaning(&self, launch: &Launch, words: &Made) -> anyhow::Result<Made> {
        let model = self.model.clone().context("no model was named")?;
        let (space, notes) = (&model.space().name, words.notes);
        let dir = self.kept(&format!("{}-{}", self.name(notes), space.replace('/', "_")), |dir| {
            fs::copy(words.dir.join(DATABASE), dir.join(DATABASE))?;
            self.runtime.block_on(self.embed_all(dir, model.as_ref(), notes))
        })?;
        prepare(&dir, launch, notes)?;
        let mixed = notes.saturating_sub(EMBEDDED_NOTES);
        let vectors = Some(format!("{space}; {mixed} of the vectors are mixed of two real ones"));
        Ok(Made { dir, notes, vectors })
    }

    /// How long one question after the other takes to become a vector, in this process, where there is a model.
    pub(crate) fn embedding(&self) -> anyhow::Result<Option<Latency>> {
        let Some(model) = &self.model else { return Ok(None) };
        let mut times = Vec::new();
        for number in 0..EMBEDDED_QUESTIONS {
            let question = self.texts.question(number, EMBEDDED_NOTES).text;
            let begun = Instant::now();
            self.runtime.block_on(model.embed(vec![question], Purpose::Query))?;
            times.push(begun.elapsed());
        }
        // The first of them waits for the model.
        times.remove(0);
        Ok(Some(Latency::of(&times)))
    }

    fn name(&self, notes: usize) -> String {
        format!("{}-{notes}-{}-{FORMAT}", self.texts.seed(), self.schema)
    }

    /// The directory of this name; `make` fills it if there is none.
    fn kept(&self, name: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
        let (all, begun) = (kept()?, Instant::now());
        let dir = all.join(name);
        if !dir.exists() {
            let new = tempfile::tempdir_in(&all)?;
            make(new.path())?;
            fs::rename(new.path(), &dir)?;
            say(&format!("{name} was made in {:.1} s", begun.elapsed().as_secs_f64()))?;
        }
        Ok(dir)
    }

    async fn remember_all(&self, dir: &Path, notes: usize) -> anyhow::Result<()> {
        let store = TursoStore::open(&dir.join(DATABASE)).await?;
        let numbers: Vec<u64> = (0..notes as u64).collect();
        for numbers in numbers.chunks(BATCH) {
            store.remember_all(numbers.iter().map(|number| self.texts.note(*number)).collect()).await?;
        }
        store.close().await;
        Ok(())
    }

    async fn embed_all(&self, dir: &Path, model: &dyn Embedder, notes: usize) -> anyhow::Result<()> {
        let sample = self.sample.get_or_try_init(|| Sample::new(self.texts, model)).await?;
        let store = TursoStore::open(&dir.join(DATABASE)).await?;
        let seq = store.change_seq().await?;
        let numbers: Vec<u64> = (0..notes as u64).collect();
        for numbers in numbers.chunks(BATCH) {
            let of = |number: &u64| {
                let note = self.texts.note(*number);
                let vector = sample.vector(self.texts, *number);
                let passage = |passage: &memory_core::search::Passage| {
                    passage.fingerprint().map(|fingerprint| (fingerprint, vector.clone()))
                };
                let vectors = of_note(&note).passages.iter().map(passage).collect();
                Embedded { found: Found::Note(note.id), vectors }
            };
            store.put_vectors(model.space().clone(), numbers.iter().map(of).collect()).await?;
        }
        store.complete_space(model.space().clone(), seq).await?;
        store.close().await;
        Ok(())
    }
}

/// Has a server make its index of a memory, where it has not, and stop.
fn prepare(dir: &Path, launch: &Launch, notes: usize) -> anyhow::Result<()> {
    // Answers that were kept would be given again.
    if dir.join(CACHE).exists() {
        fs::remove_file(dir.join(CACHE))?;
    }
    let (begun, is_new) = (Instant::now(), !dir.join(INDEX).exists());
    let mut client = StdioClient::start(&mut launch.command(dir))?;
    client.call("query_memory", &json!({"query": "a first question"}))?;
    if is_new {
        say(&format!("the index was made in {:.1} s", begun.elapsed().as_secs_f64()))?;
    }
    let health = client.call("health_check", &json!({}))?;
    client.finish()?;
    let found = &health["metrics"]["search"];
    let vectors = if launch.model.is_some() { notes } else { 0 };
    let is_right = found["documents"] == notes && found["vectors"] == vectors;
    ensure!(is_right, "{} is not what it should be, delete it and try again: {found}", dir.display());
    Ok(())
}

/// The vectors of some notes.
struct Sample {
    vectors: Vec<Vec<f32>>,
    /// Their places by topic.
    topics: Vec<Vec<usize>>,
}

impl Sample {
    async fn new(texts: &Texts, model: &dyn Embedder) -> anyhow::Result<Self> {
        let (mut vectors, mut topics) = (Vec::new(), vec![Vec::new(); texts.topics()]);
        let numbers: Vec<u64> = (0..EMBEDDED_NOTES as u64).collect();
        for numbers in numbers.chunks(BATCH) {
            let passage = |number: &u64| of_note(&texts.note(*number)).passages.swap_remove(0).text;
            let passages = numbers.iter().filter_map(passage).collect();
            vectors.extend(model.embed(passages, Purpose::Passage).await?);
        }
        ensure!(vectors.len() == numbers.len(), "{} vectors of {} notes", vectors.len(), numbers.len());
        for number in numbers {
            topics[texts.topic(number)].push(number as usize);
        }
        Ok(Self { vectors, topics })
    }

    /// The vector of a note: its own, or one mixed of those of two notes of its topic, with noise.
    fn vector(&self, texts: &Texts, number: u64) -> Vector {
        if let Some(own) = self.vectors.get(number as usize) {
            return Vector::new(own);
        }
        let mut rng = texts.rng(number);
        let alike = &self.topics[texts.topic(number)];
        let mut pick = || match rng.choice(alike) {
            Some(place) => &self.vectors[*place],
            None => &self.vectors[rng.usize(..self.vectors.len())],
        };
        let (one, other) = (pick(), pick());
        Vector::new(&mixed(one, other, &mut rng))
    }
}

fn mixed(one: &[f32], other: &[f32], rng: &mut Rng) -> Vec<f32> {
    let share = rng.f32();
    // Numbers that are evenly distributed over −1..1 have a mean square of a third.
    let noise = NOISE * (3.0 / one.len() as f32).sqrt();
    let mix = |(a, b): (&f32, &f32)| share * a + (1.0 - share) * b + noise * (2.0 * rng.f32() - 1.0);
    one.iter().zip(other).map(mix).collect()
}

/// Where memories are kept.
fn kept() -> anyhow::Result<PathBuf> {
    let dir = root().join("target/bench-recall");
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let (entry, is_dir) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?.is_dir())))?;
        let Some(name) = entry.file_name() else { continue };
        if is_dir {
            fs::create_dir_all(to.join(name))?;
            copy_all(&entry, &to.join(name))?;
        } else {
            fs::copy(&entry, to.join(name))?;
        }
    }
    Ok(())
}

/// What takes long is told beside the figures.
fn say(line: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stderr(), "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mixed_is_like_both_and_like_nothing_else() {
        let mut rng = Rng::with_seed(1);
        let mut other = || (0..384).map(|_| rng.f32() - 0.5).collect::<Vec<f32>>();
        let unit = |numbers: Vec<f32>| {
            let length = numbers.iter().map(|n| n * n).sum::<f32>().sqrt();
            numbers.into_iter().map(|n| n / length).collect::<Vec<f32>>()
        };
        let [a, b, c] = [unit(other()), unit(other()), unit(other())];
        let mut rng = Rng::with_seed(2);
        for _ in 0..20 {
            let mixed = Vector::new(&mixed(&a, &b, &mut rng));
            let like = |numbers: &[f32]| Vector::new(numbers).similarity(&mixed);
            assert!(like(&a).max(like(&b)) > 0.55 && like(&c) < 0.3);
        }
    }
}
