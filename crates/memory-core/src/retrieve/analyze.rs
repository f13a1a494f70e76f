//! Text to terms. One analysis serves documents and queries, so that both always agree; the index only stores and
//! matches what comes out of it.

use std::collections::HashSet;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};

use crate::limits::TERM_CHARS_MAX;

/// Words that say nothing about what a text is about: English articles, pronouns, prepositions, auxiliaries, and
/// the words that questions to a memory are made of.
const STOP_WORDS: &str = "a about after all also am an and any are as at be because been before being but by can could \
     did do does doing don done each either else for from get gets got had has have having he her here hers him his how \
     i if in into is it its just let like ll make may me might more most my no nor not now of off on once only or other \
     our ours out over own please re s same shall she should so some such t than that the their theirs them then there \
     these they this those through to too under until up us use used using ve very via want wants was way we were what \
     when where which while who whom whose why will with would yes yet you your yours";

static STOP: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORDS.split_whitespace().collect());
static STEMMER: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::English));

/// The distinct terms of a text in order of first appearance, at most `max`: lower-case words without stop words,
/// English endings taken off (Porter's second algorithm). Identifiers give their parts and themselves
/// (`getUserId` → `get`, `user`, `id`, `getuserid`); runs of Chinese, Japanese or Korean characters, which are not
/// spaced, give their pairs.
pub fn terms(text: &str, max: usize) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let mut add = |term: String| {
        if found.len() < max && !term.is_empty() && seen.insert(term.clone()) {
            found.push(term);
        }
    };
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '\'' && c != '’') {
        if word.chars().any(is_unspaced) {
            pairs(word, &mut add);
        } else {
            identifier(word, &mut add);
        }
    }
    found
}

/// Adds the parts of a word and, if it has several, the whole.
fn identifier(word: &str, add: &mut impl FnMut(String)) {
    let mut parts = 0;
    // Only what follows an apostrophe is dropped: "doesn't" → "doesn", "client's" → "client".
    let word = word.trim_start_matches(['\'', '’']).split(['\'', '’']).next().unwrap_or_default();
    for part in word.split('_').flat_map(split_case).filter(|part| !part.is_empty()) {
        parts += 1;
        let lower = cut(&part.to_lowercase());
        if !STOP.contains(lower.as_str()) {
            add(stem(lower));
        }
    }
    if parts > 1 {
        let whole: String = word.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect();
        add(cut(&whole));
    }
}

/// Splits `camelCase` and `HTTPServer` at the starts of their words.
fn split_case(word: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    let mut parts = Vec::new();
    let mut start = 0;
    for i in 1..chars.len() {
        let (at, c) = chars[i];
        let before = chars[i - 1].1;
        let lower_follows = chars.get(i + 1).is_some_and(|(_, next)| next.is_lowercase());
        if c.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && lower_follows)) {
            parts.push(&word[start..at]);
            start = at;
        }
    }
    parts.push(&word[start..]);
    parts
}

fn pairs(word: &str, add: &mut impl FnMut(String)) {
    let chars: Vec<char> = word.chars().filter(|c| c.is_alphanumeric()).collect();
    if let [single] = chars[..] {
        add(single.to_string());
    }
    for pair in chars.windows(2) {
        add(pair.iter().flat_map(|c| c.to_lowercase()).collect());
    }
}

fn stem(word: String) -> String {
    if word.len() > 3 && word.bytes().all(|b| b.is_ascii_lowercase()) {
        STEMMER.stem(&word).into_owned()
    } else {
        word
    }
}

fn cut(word: &str) -> String {
    word.chars().take(TERM_CHARS_MAX).collect()
}

/// Scripts written without spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c), 0x2E80..=0x9FFF | 0xA960..=0xA97F | 0xAC00..=0xD7FF | 0xF900..=0xFAFF | 0x0E00..=0x0EFF | 0x20000..=0x3FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Vec<String> {
        terms(text, 100)
    }

    #[test]
    fn words_lose_their_endings_and_stop_words_are_left_out() {
        assert_eq!(of("How did we cancel the reservations?"), of("cancelling a reservation"));
        assert_eq!(of("what should I do with it"), Vec::<String>::new());
    }

    #[test]
    fn identifiers_are_found_by_their_parts_and_as_a_whole() {
        assert_eq!(of("getUserId"), ["user", "id", "getuserid"]);
        assert_eq!(of("separability_matrix"), ["separ", "matrix", "separabilitymatrix"]);
        assert_eq!(of("HTTPServer"), ["http", "server", "httpserver"]);
        assert_eq!(of("EHGLP3 ORD-7512"), ["ehglp3", "ord", "7512"]);
    }

    #[test]
    fn unspaced_scripts_give_pairs() {
        assert_eq!(of("数据库"), ["数据", "据库"]);
    }

    proptest! {
        #[test]
        fn any_text_gives_distinct_short_terms_within_the_bound(text in ".{0,200}", max in 0usize..20) {
            let found = terms(&text, max);
            prop_assert!(found.len() <= max);
            prop_assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
            for term in &found {
                prop_assert!(!term.is_empty() && term.chars().count() <= 3 * TERM_CHARS_MAX);
                prop_assert!(term.chars().all(|c| !c.is_whitespace() && c != '"'));
            }
        }
    }
}
