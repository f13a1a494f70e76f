//! Plain BM25 over stemmed words: what any search engine finds, to compare with. It shares no code with the product.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};

/// How soon the repetition of a word stops to count, and how much the length of a text does.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// English function words and those that questions are made of.
const STOP_WORDS: &str = "\
     a about above after again against all am an and any are as at be because been before being below between \
     both but by can could did do does doing down during each few for from further had has have having he her \
     here hers him his how i if in into is it its just me more most my no nor not now of off on once only or \
     other our ours out over own s same she should so some such t than that the their theirs them then there \
     these they this those through to too under until up very was we were what when where which while who \
     whom why will with would you your yours";

static STOP: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORDS.split_whitespace().collect());
static STEMMER: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::English));

/// The texts of one store.
#[derive(Debug, Default)]
pub(crate) struct Bm25 {
    texts: Vec<Text>,
    places: HashMap<String, usize>,
}

#[derive(Debug)]
struct Text {
    id: String,
    domain: Option<String>,
    words: usize,
    counts: HashMap<String, usize>,
}

impl Bm25 {
    /// Adds a text, in place of the one of the same id if there is one.
    pub(crate) fn add(&mut self, id: &str, domain: Option<&str>, text: &str) {
        let mut counts = HashMap::new();
        let words = words(text);
        for word in &words {
            *counts.entry(word.clone()).or_default() += 1;
        }
        let text = Text { id: id.into(), domain: domain.map(Into::into), words: words.len(), counts };
        match self.places.get(id) {
            Some(place) => self.texts[*place] = text,
            None => {
                self.places.insert(id.into(), self.texts.len());
                self.texts.push(text);
            }
        }
    }

    /// The ids of the best texts of any of these domains (of all if there are none), at most `limit`, and only those
    /// that have a word of the query. Of equal ones the one that was added first comes first.
    pub(crate) fn search(&self, query: &str, domains: &[String], limit: usize) -> Vec<String> {
        let all = self.texts.len() as f64;
        let length = self.texts.iter().map(|text| text.words).sum::<usize>() as f64 / all;
        let mut scores = vec![0.0; self.texts.len()];
        for word in words(query) {
            let with = self.texts.iter().filter(|text| text.counts.contains_key(&word)).count() as f64;
            let weight = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
            for (text, score) in self.texts.iter().zip(&mut scores) {
                let count = text.counts.get(&word).copied().unwrap_or(0) as f64;
                let norm = K1 * (1.0 - B + B * text.words as f64 / length);
                *score += weight * count * (K1 + 1.0) / (count + norm);
            }
        }
        let admitted = |text: &Text| {
            domains.is_empty() || text.domain.as_ref().is_some_and(|domain| domains.contains(domain))
        };
        let mut ranked: Vec<(&Text, f64)> = self.texts.iter().zip(scores).collect();
        ranked.retain(|(text, score)| *score > 0.0 && admitted(text));
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        ranked.into_iter().take(limit).map(|(text, _)| text.id.clone()).collect()
    }
}

/// The stems of the words of a text, in order, without stop words.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !STOP.contains(word))
        .map(|word| STEMMER.stem(word).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Bm25 {
        let mut bm25 = Bm25::default();
        bm25.add("1", Some("code"), "The cache was cancelled");
        bm25.add("2", Some("code"), "A cache beside another cache");
        bm25.add("3", Some("prose"), "The jazz pianist");
        bm25
    }

    #[test]
    fn words_are_stemmed_and_function_words_left_out() {
        assert_eq!(words("How did we cancel the reservations?"), words("cancelling_a reservation"));
        assert_eq!(words("what is it"), Vec::<String>::new());
    }

    #[test]
    fn more_of_a_word_and_rarer_words_count_more() {
        assert_eq!(filled().search("caches", &[], 10), ["2", "1"]);
        assert_eq!(filled().search("cancelling the cache", &[], 10), ["1", "2"]);
        assert_eq!(filled().search("cancelling the cache", &[], 1), ["1"]);
        assert_eq!(filled().search("unknown", &[], 10), Vec::<String>::new());
    }

    #[test]
    fn the_weights_are_those_of_the_formula() {
        // Two texts, lengths 1 and 3, mean 2; "x" stands in one of them: weight ln(1 + 1.5 / 1.5) = ln 2, and
        // ln 2 · 2.2 / (1 + 1.2 · (0.25 + 0.75 · 0.5)) = 0.8713 is more than that of "y", twice in the longer text:
        // ln 2 · 2 · 2.2 / (2 + 1.2 · (0.25 + 0.75 · 1.5)) = 0.8356.
        let mut bm25 = Bm25::default();
        bm25.add("long", None, "y y z");
        bm25.add("short", None, "x");
        assert_eq!(bm25.search("x y", &[], 10), ["short", "long"]);
    }

    #[test]
    fn a_later_text_of_the_same_id_replaces_the_earlier_one() {
        let mut bm25 = filled();
        bm25.add("1", Some("code"), "eviction policy");
        assert_eq!(bm25.search("cache", &[], 10), ["2"]);
        assert_eq!(bm25.search("eviction", &[], 10), ["1"]);
    }

    #[test]
    fn domains_restrict() {
        assert_eq!(filled().search("cache pianist", &["prose".into()], 10), ["3"]);
    }
}
