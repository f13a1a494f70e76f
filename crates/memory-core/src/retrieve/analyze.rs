//! Text to terms. One analysis serves documents and queries, so that both always agree; the index only stores and
//! matches what comes out of it.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};

use crate::limits::{GUESSES_MAX, QUERY_TERMS_MAX, TERM_CHARS_MAX, WHOLE_PARTS_MAX};

/// The version of the analysis and of the documents made with it. Whatever was made by another one is made anew.
pub const ANALYSIS_VERSION: u32 = 1;

/// Words that say nothing about what a text is about: English articles, pronouns, prepositions, auxiliaries, and
/// the words that questions to a memory are made of. They are indexed, but searched for only where a query has
/// nothing else.
const STOP_WORDS: &str = "a about after all also am an and any are as at be because been before being but by can could \
     did do does doing don done each either else for from get gets got had has have having he her here hers him his how \
     i if in into is it its just let like ll make may me might more most my no nor not now of off on once only or other \
     our ours out over own please re s same shall she should so some such t than that the their theirs them then there \
     these they this those through to too under until up us use used using ve very via want wants was way we were what \
     when where which while who whom whose why will with would yes yet you your yours";

static STOP: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORDS.split_whitespace().collect());
static STEMMER: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::English));

/// The terms of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryTerms {
    /// Distinct terms in order of first appearance, without stop words unless there is nothing else; then the guesses.
    pub terms: Vec<String>,
    /// How many of the last ones are guesses: words that stand side by side, written as one.
    pub guesses: usize,
}

/// The distinct terms of a text with the number of times each stands in it, in order of first appearance, at most
/// `max`: lower-case words, English endings taken off (Porter's second algorithm). Identifiers, paths and codes
/// give their parts and themselves (`getUserId` → `get`, `user`, `id`, `getuserid`; `ORA-00942` → `ora`, `00942`,
/// `ora00942`); runs of Chinese, Japanese or Korean characters, which are not spaced, give their pairs.
pub fn count_terms(text: &str, max: usize) -> Vec<(String, u8)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut counts: Vec<(String, u8)> = Vec::new();
    each_term(text, &mut |term| match places.get(&term) {
        Some(place) => counts[*place].1 = counts[*place].1.saturating_add(1),
        None if counts.len() < max => {
            places.insert(term.clone(), counts.len());
            counts.push((term, 1));
        }
        None => {}
    });
    counts
}

/// The terms to search for.
pub fn query_terms(query: &str) -> QueryTerms {
    let all = count_terms(query, usize::MAX).into_iter().map(|(term, _)| term);
    let (stop, mut terms): (Vec<String>, Vec<String>) = all.partition(|term| is_stop_word(term));
    if terms.is_empty() {
        terms = stop;
    }
    terms.truncate(QUERY_TERMS_MAX);
    let mut guesses: Vec<String> = Vec::new();
    for guess in side_by_side(query) {
        if guesses.len() < GUESSES_MAX && !terms.contains(&guess) && !guesses.contains(&guess) {
            guesses.push(guess);
        }
    }
    let count = guesses.len();
    terms.append(&mut guesses);
    QueryTerms { terms, guesses: count }
}

/// Whether a term is one of the words that say nothing.
pub(crate) fn is_stop_word(term: &str) -> bool {
    STOP.contains(term)
}

/// Two words that follow each other as one: a query's "soap bar" is a record's "soapbar".
fn side_by_side(text: &str) -> impl Iterator<Item = String> {
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let says_little = |word: &&str| word.len() < 2 || is_stop_word(&word.to_lowercase());
    let pairs = words.windows(2).filter(|pair| !pair.iter().any(says_little));
    pairs.map(|pair| stem(cut(&pair.concat().to_lowercase()))).collect::<Vec<_>>().into_iter()
}

fn each_term(text: &str, add: &mut impl FnMut(String)) {
    for run in text.split(|c: char| !is_joined(c)).filter(|run| !run.is_empty()) {
        let mut parts = 0;
        for word in run.split(|c: char| !is_word(c)).filter(|word| word.chars().any(char::is_alphanumeric)) {
            parts += 1;
            if word.chars().any(is_unspaced) {
                pairs(word, add);
            } else {
                identifier(word, add);
            }
        }
        if (2..=WHOLE_PARTS_MAX).contains(&parts) {
            whole(run, add);
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '\'' | '’')
}

/// What words are written together with: paths, codes, versions, flags.
fn is_joined(c: char) -> bool {
    is_word(c) || matches!(c, '-' | '.' | '/' | '\\' | ':' | '@' | '#')
}

/// Adds what was written together as one term, if it is a path, a code or the like.
fn whole(run: &str, add: &mut impl FnMut(String)) {
    let letters: String = run.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if !letters.chars().any(is_unspaced) {
        add(cut(&letters));
    }
}

/// Adds the parts of a word and, if it has several, the whole.
fn identifier(word: &str, add: &mut impl FnMut(String)) {
    let mut parts = 0;
    // Only what follows an apostrophe is dropped: "doesn't" → "doesn", "client's" → "client".
    let word = word.trim_start_matches(['\'', '’']).split(['\'', '’']).next().unwrap_or_default();
    for part in word.split('_').flat_map(split_case).filter(|part| !part.is_empty()) {
        parts += 1;
        add(stem(cut(&part.to_lowercase())));
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
    if word.len() > 3 && !is_stop_word(&word) && word.bytes().all(|b| b.is_ascii_lowercase()) {
        STEMMER.stem(&word).into_owned()
    } else {
        word
    }
}

fn cut(word: &str) -> String {
    word.chars().take(TERM_CHARS_MAX).collect()
}

/// Scripts written without spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c), 0x2E80..=0x9FFF | 0xA960..=0xA97F | 0xAC00..=0xD7FF | 0xF900..=0xFAFF | 0x0E00..=0x0EFF | 0x20000..=0x3FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Vec<String> {
        count_terms(text, 100).into_iter().map(|(term, _)| term).collect()
    }

    fn asked(text: &str) -> Vec<String> {
        let QueryTerms { mut terms, guesses } = query_terms(text);
        terms.truncate(terms.len() - guesses);
        terms
    }

    #[test]
    fn words_lose_their_endings_and_queries_their_stop_words() {
        assert_eq!(asked("How did we cancel the reservations?"), asked("cancelling a reservation"));
        assert_eq!(asked("to be or not to be"), ["to", "be", "or", "not"]);
    }

    #[test]
    fn identifiers_paths_and_codes_are_found_by_their_parts_and_as_a_whole() {
        assert_eq!(of("getUserId"), ["get", "user", "id", "getuserid"]);
        assert_eq!(of("separability_matrix"), ["separ", "matrix", "separabilitymatrix"]);
        assert_eq!(of("HTTPServer"), ["http", "server", "httpserver"]);
        assert_eq!(of("EHGLP3 ORA-00942."), ["ehglp3", "ora", "00942", "ora00942"]);
        assert_eq!(of("src/main.rs:12"), ["src", "main", "rs", "12", "srcmainrs12"]);
        assert_eq!(of("error[E0308]: mismatched"), ["error", "e0308", "mismatch"]);
    }

    #[test]
    fn the_last_word_of_a_long_log_is_searched_for() {
        let mut log: String = (0..5_000).map(|n| format!("request {n} took {} ms\n", n * 7 % 300)).collect();
        log.push_str("ERROR FQ-31337");
        assert!(log.len() > 100_000 && asked(&log).contains(&"fq31337".to_owned()));
    }

    #[test]
    fn words_are_counted() {
        assert_eq!(
            count_terms("Retry, retrying; done", 10),
            [("retri".to_owned(), 2), ("done".to_owned(), 1)]
        );
    }

    #[test]
    fn quotation_marks_and_dashes_are_no_words() {
        assert_eq!(of("split('-') _/_ '-'quoted"), ["split", "quot"]);
        assert_eq!(count_terms("'-'quoted", 10), [("quot".to_owned(), 1)]);
    }

    #[test]
    fn unspaced_scripts_give_pairs() {
        assert_eq!(of("数据库"), ["数据", "据库"]);
    }

    #[test]
    fn words_side_by_side_may_have_been_meant_as_one() {
        let QueryTerms { terms, guesses } = query_terms("put a soap bar away");
        assert_eq!(terms[terms.len() - guesses..], ["soapbar", "baraway"]);
    }

    proptest! {
        #[test]
        fn any_text_gives_distinct_short_terms_within_the_bound(text in ".{0,200}", max in 0usize..20) {
            let found = count_terms(&text, max);
            prop_assert!(found.len() <= max);
            prop_assert_eq!(found.iter().map(|(term, _)| term).collect::<HashSet<_>>().len(), found.len());
            for (term, times) in &found {
                prop_assert!(!term.is_empty() && term.chars().count() <= 3 * TERM_CHARS_MAX && *times > 0);
                prop_assert!(term.chars().all(|c| !c.is_whitespace() && c != '"'));
            }
        }
    }
}
