//! Facts that change: which of two notes says something else about the same subject.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Longest note that is taken for a single fact, in words.
const FACT_WORDS_MAX: usize = 40;
/// Fewest words that two statements about one subject have in common at their start.
const SUBJECT_WORDS_MIN: usize = 3;
/// Longest new value, in words.
const VALUE_WORDS_MAX: usize = 12;

/// Words that lead from what is spoken of to what is said of it.
static LINKS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "is are was were be of to by in for with at on as from the a an s has".split_whitespace().collect()
});
const COPULAS: [&str; 4] = ["is", "are", "was", "were"];
/// Verbs of which a subject has one object at a time.
const EXCLUSIVE: [&str; 16] = [
    "married", "born", "died", "lives", "located", "employed", "works", "worked", "citizen", "listens",
    "listen", "runs", "set", "owned", "hosted", "pinned",
];

/// How two statements about one subject stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Conflict {
    /// They may both hold: "tests live in a", "tests live in b".
    Likely,
    /// Only one can hold: "the port of x is 1", "the port of x is 2".
    Sure,
}

/// The words of a note that states a single fact; `None` for any other.
pub(crate) fn statement(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if text.ends_with('?') || text.contains('\n') || text.contains(". ") && text.len() > 200 {
        return None;
    }
    let split = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    Some(split(text)).filter(|words| (SUBJECT_WORDS_MIN + 1..=FACT_WORDS_MAX).contains(&words.len()))
}

/// Whether two statements give different values for one subject: they begin with the same words up to a word that
/// leads to a value, and end differently.
pub(crate) fn conflict(a: &[String], b: &[String]) -> Option<Conflict> {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let subject =
        a[..same].iter().rposition(|word| LINKS.contains(word.as_str())).map_or(0, |place| place + 1);
    let (value_a, value_b) = (&a[subject..], &b[subject..]);
    let longest = value_a.len().max(value_b.len());
    let is_fact = subject >= SUBJECT_WORDS_MIN
        && !value_a.is_empty()
        && !value_b.is_empty()
        && value_a != value_b
        && longest <= VALUE_WORDS_MAX
        && subject * 2 >= longest;
    let subject = &a[..subject];
    let says_more = |value: &[String]| value.iter().any(|word| COPULAS.contains(&word.as_str()));
    if !is_fact
        || says_more(value_a)
        || says_more(value_b)
        || subject.iter().all(|word| LINKS.contains(word.as_str()))
    {
        return None;
    }
    let is_sure =
        is_definite(subject) || has_exclusive_verb(subject) || is_amount(value_a) && is_amount(value_b);
    Some(if is_sure { Conflict::Sure } else { Conflict::Likely })
}

/// "The port of x is", "x's port is", "x plays the position of".
fn is_definite(subject: &[String]) -> bool {
    let ends = |words: &[&str]| {
        subject.iter().rev().map(String::as_str).zip(words.iter().rev()).all(|(a, b)| a == *b)
    };
    let has = |word: &str| subject.iter().any(|said| said == word);
    let is_one = subject.last().is_some_and(|word| word == "is" || word == "was");
    let of_kind = subject.len() > 3 && ends(&["of"]) && subject[subject.len() - 3] == "the";
    (is_one && (subject[0] == "the" && subject.len() > 2 || has("s") || has("our") || has("my"))) || of_kind
}

fn has_exclusive_verb(subject: &[String]) -> bool {
    subject.iter().any(|word| EXCLUSIVE.contains(&word.as_str()))
}

/// A number, a version, a code: one replaces the other.
fn is_amount(value: &[String]) -> bool {
    value.len() <= 4 && value.iter().any(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(a: &str, b: &str) -> Option<Conflict> {
        conflict(&statement(a)?, &statement(b)?)
    }

    #[test]
    fn another_value_of_the_same_subject_is_a_conflict() {
        let sure = Some(Conflict::Sure);
        assert_eq!(between("The chairperson of Fatah is A B.", "The chairperson of Fatah is C."), sure);
        assert_eq!(
            between("The staging server listens on port 8080", "The staging server listens on port 9090"),
            sure
        );
        assert_eq!(between("Our release day is Tuesday", "Our release day is Thursday"), sure);
        assert_eq!(between("X Y plays the position of pitcher.", "X Y plays the position of catcher."), sure);
        assert_eq!(between("Tests live in tests/unit", "Tests live in tests/system"), Some(Conflict::Likely));
    }

    #[test]
    fn other_subjects_and_other_things_about_one_are_none() {
        assert_eq!(between("The port of the API is 80.", "The port of the database is 5432."), None);
        assert_eq!(between("We use Postgres for storage", "We use Redis for caching"), None);
        assert_eq!(between("The build fails on Mondays", "The build is slow"), None);
        assert_eq!(between("Is the port 80 or 81?", "Is the port 80 or 82?"), None);
        assert_eq!(between("The port of x is 80", "The port of x is 80"), None);
    }
}
