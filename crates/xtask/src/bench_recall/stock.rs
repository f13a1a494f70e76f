//! Large memories, made through the ports of the store and kept for the next run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use embeddings::{Active, Library};
use fastrand::Rng;
use mcp_server::client::StdioClient;
use memory_core::port::{ChangeLog, Embedded, Embedder, NoteStore, Purpose, StoreHealth, VectorStore};
use memory_core::retrieve::Found;
use memory_core::retrieve::document::of_note;
use memory_core::vector::Vector;
use serde_json::{Value, json};
use storage_turso::TursoStore;
use tempfile::TempDir;

use super::texts::Texts;
use crate::launch::Launch;
use crate::root;

/// Raised when texts or vectors are made otherwise.
const FORMAT: u32 = 1;
/// Notes whose texts are embedded; the vectors of the others are mixed.
const EMBEDDED_NOTES: usize = 5_000;
/// Texts that are embedded at once, and vectors that are stored at once.
const BATCH: usize = 512;
/// How long the noise is that is added to a mixed vector of length 1.
const NOISE: f32 = 0.4;
const DATABASE: &str = "memory.db";
const CACHE: &str = "cache.redb";

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

/// The memories of one size.
pub(crate) struct Stock<'a> {
    texts: &'a Texts,
    notes: usize,
    model: Option<Arc<dyn Embedder>>,
    runtime: tokio::runtime::Runtime,
    name: String,
}

impl<'a> Stock<'a> {
    pub(crate) fn new(texts: &'a Texts, notes: usize, model: Option<&Path>) -> anyhow::Result<Self> {
        ensure!(notes > 0, "a memory without notes answers nothing");
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
        let name = format!("{}-{notes}-{schema}-{FORMAT}", texts.seed());
        Ok(Self { texts, notes, model, runtime, name })
    }

    /// The memory without vectors.
    pub(crate) fn by_words(&mut self, launch: &Launch) -> anyhow::Result<Made> {
        let dir = self.kept(&self.name, |dir| self.runtime.block_on(self.remember_all(dir)))?;
        self.prepared(dir, launch)
    }

    /// The memory `words` with vectors.
    pub(crate) fn by_meaning(&mut self, launch: &Launch, words: &Made) -> anyhow::Result<Made> {
        let model = self.model.clone().context("no model was named")?;
        let name = format!("{}-{}", self.name, model.space().name.replace('/', "_"));
        let dir = self.kept(&name, |dir| {
            fs::copy(words.dir.join(DATABASE), dir.join(DATABASE))?;
            self.runtime.block_on(self.embed_all(dir, model.as_ref()))
        })?;
        let mut made = self.prepared(dir, launch)?;
        let (name, mixed) = (&model.space().name, self.notes.saturating_sub(EMBEDDED_NOTES));
        made.vectors = Some(format!("{name}; {mixed} of the vectors are mixed of two real ones"));
        Ok(made)
    }

    /// The directory of this name; `make` fills it if there is none.
    fn kept(&self, name: &str, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
        let (all, begun) = (kept()?, Instant::now());
        let dir = all.join(name);
        if !dir.exists() {
            let new = tempfile::tempdir_in(&all)?;
            make(new.path())?;
            fs::rename(new.path(), &dir)?;
            say(&format!("made {} in {:.1} s", dir.display(), begun.elapsed().as_secs_f64()))?;
        }
        Ok(dir)
    }

    async fn remember_all(&self, dir: &Path) -> anyhow::Result<()> {
        let store = TursoStore::open(&dir.join(DATABASE)).await?;
        for number in 0..self.notes as u64 {
            store.remember(self.texts.note(number), Vec::new()).await?;
        }
        store.close().await;
        Ok(())
    }

    async fn embed_all(&self, dir: &Path, model: &dyn Embedder) -> anyhow::Result<()> {
        let sample = Sample::new(self.texts, self.notes.min(EMBEDDED_NOTES), model).await?;
        let store = TursoStore::open(&dir.join(DATABASE)).await?;
        let seq = store.change_seq().await?;
        let numbers: Vec<u64> = (0..self.notes as u64).collect();
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

    /// Has a server make its index of a memory, where it has not, and stop.
    fn prepared(&self, dir: PathBuf, launch: &Launch) -> anyhow::Result<Made> {
        // Answers that were kept would be given again.
        if dir.join(CACHE).exists() {
            fs::remove_file(dir.join(CACHE))?;
        }
        let (begun, is_new) = (Instant::now(), !dir.join("index").exists());
        let mut client = StdioClient::start(&mut launch.command(&dir))?;
        let ask = json!({"query": "a first question"});
        client.call("query_memory", &ask)?;
        if is_new {
            say(&format!("the index was made in {:.1} s", begun.elapsed().as_secs_f64()))?;
        }
        let health = client.call("health_check", &json!({}))?;
        client.finish()?;
        let count = |what: &str| health["metrics"]["search"][what].as_u64();
        let wanted = Some(self.notes as u64);
        let vectors = wanted.filter(|_| launch.model.is_some()).or(Some(0));
        if count("documents") != wanted || count("vectors") != vectors {
            let search: &Value = &health["metrics"]["search"];
            bail!("{} is not what it should be, delete it and try again: {search}", dir.display());
        }
        Ok(Made { dir, notes: self.notes, vectors: None })
    }
}

/// The vectors of some notes.
struct Sample {
    vectors: Vec<Vec<f32>>,
    /// Their places by topic.
    topics: Vec<Vec<usize>>,
}

impl Sample {
    async fn new(texts: &Texts, notes: usize, model: &dyn Embedder) -> anyhow::Result<Self> {
        let (mut vectors, mut topics) = (Vec::new(), vec![Vec::new(); texts.topics()]);
        let numbers: Vec<u64> = (0..notes as u64).collect();
        for numbers in numbers.chunks(BATCH) {
            let passage = |number: &u64| of_note(&texts.note(*number)).passages.swap_remove(0).text;
            let passages = numbers.iter().filter_map(passage).collect();
            vectors.extend(model.embed(passages, Purpose::Passage).await?);
        }
        ensure!(vectors.len() == notes, "{} vectors were made of {notes} notes", vectors.len());
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
