//! Stored things whose passages lack vectors.

use std::collections::VecDeque;

use memory_core::port::{EmbedError, Embedded};
use memory_core::search::Entry;

use crate::opened::Opened;

/// Some things with the vectors that they have and the texts that have none yet.
#[derive(Default)]
pub(crate) struct Batch {
    things: Vec<Embedded>,
    /// Whether each of them gained a vector.
    gained: Vec<bool>,
    missing: VecDeque<Missing>,
}

struct Missing {
    thing: usize,
    passage: usize,
    fingerprint: u64,
    text: String,
}

impl Batch {
    /// What is missing in these entries, in batches of not many more texts than `texts`; the passages of one thing stay
    /// together.
    pub(crate) fn split(entries: Vec<Entry>, texts: usize) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        for entry in entries {
            match batches.last_mut() {
                Some(batch) if batch.missing.len() < texts => batch.push(entry),
                _ => {
                    let mut batch = Self::default();
                    batch.push(entry);
                    batches.push(batch);
                }
            }
        }
        batches.retain(|batch| !batch.missing.is_empty());
        batches
    }

    fn push(&mut self, entry: Entry) {
        let (thing, before) = (self.things.len(), self.missing.len());
        let mut there = entry.vectors.into_iter();
        let mut vectors = Vec::with_capacity(entry.document.passages.len());
        for (place, passage) in entry.document.passages.into_iter().enumerate() {
            let vector = there.next().flatten();
            let fingerprint = passage.fingerprint();
            vectors.push(fingerprint.zip(vector));
            if let (None, Some(fingerprint), Some(text)) = (&vectors[place], fingerprint, passage.text) {
                self.missing.push_back(Missing { thing, passage: place, fingerprint, text });
            }
        }
        if self.missing.len() > before {
            self.things.push(Embedded { found: entry.found, vectors });
            self.gained.push(false);
        }
    }

    /// Embeds the next few texts; returns how many of them have a vector now, `None` if none is left to embed.
    pub(crate) async fn advance(&mut self, model: &Opened) -> Result<Option<usize>, EmbedError> {
        let next: Vec<Missing> = self.missing.drain(..model.batch_texts().min(self.missing.len())).collect();
        if next.is_empty() {
            return Ok(None);
        }
        let (places, texts): (Vec<_>, Vec<_>) =
            next.into_iter().map(|m| ((m.thing, m.passage, m.fingerprint), m.text)).unzip();
        let mut embedded = 0;
        for ((thing, passage, fingerprint), vector) in places.into_iter().zip(model.passages(texts).await?) {
            if let Some(vector) = vector {
                self.things[thing].vectors[passage] = Some((fingerprint, vector));
                self.gained[thing] = true;
                embedded += 1;
            }
        }
        Ok(Some(embedded))
    }

    /// The things that gained a vector, with all that they have. One that gained none is left as it is: putting it again
    /// would count as a change of it, which calls for looking at it again.
    pub(crate) fn finish(self) -> Vec<Embedded> {
        self.things
            .into_iter()
            .zip(self.gained)
            .filter_map(|(thing, gained)| gained.then_some(thing))
            .collect()
    }
}
