//! Misspelled words: what was meant by a term that nothing has.

use crate::limits::{MISSPELLED_CHARS_MIN, PREFIX_CHARS_DIFFERENCE_MAX};
use crate::terms::Terms;

/// How many first characters must be the same.
const SAME_START: usize = 2;

/// Whether a term that nothing has is taken for a misspelling. Numbers and identifiers are not: one that differs in
/// a digit is another one.
pub(crate) fn may_be_misspelled(term: &str) -> bool {
    term.len() >= MISSPELLED_CHARS_MIN && term.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Gives those indexed terms that may be meant by this one to `take`, with the places of their postings.
pub(crate) fn meant(terms: Terms<'_>, term: &str, mut take: impl FnMut(&[u8], u64)) {
    let term = term.as_bytes();
    let start = &term[..SAME_START.min(term.len())];
    let mut cursor = terms.from(start);
    while cursor.next().is_some() {
        if cursor.term.starts_with(start) {
            if is_near(term, &cursor.term) {
                take(&cursor.term, cursor.place);
            }
        } else if cursor.term.as_slice() > start {
            return;
        }
    }
}

/// Whether one becomes the other by at most one insertion, deletion, replacement or transposition, or is the other's
/// beginning but for two characters at the most. Equal ones are near.
fn is_near(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let more = long.len() - short.len();
    if more > PREFIX_CHARS_DIFFERENCE_MAX {
        return false;
    }
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    if same == short.len() {
        return true;
    }
    let (short, long) = (&short[same..], &long[same..]);
    match more {
        0 => {
            short[1..] == long[1..]
                || (short.len() > 1 && short[..2] == [long[1], long[0]] && short[2..] == long[2..])
        }
        1 => *short == long[1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Damerau and Levenshtein's distance with adjacent transpositions, by the textbook.
    fn distance(a: &[u8], b: &[u8]) -> usize {
        let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                d[i][j] = if i == 0 || j == 0 {
                    i + j
                } else {
                    let change = d[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let mut least = change.min(d[i - 1][j] + 1).min(d[i][j - 1] + 1);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        least = least.min(d[i - 2][j - 2] + 1);
                    }
                    least
                }
            }
        }
        d[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn near_is_one_change_or_a_short_ending(a in "[ab]{1,7}", b in "[ab]{1,7}") {
            let prefix = (a.starts_with(&b) || b.starts_with(&a)) && a.len().abs_diff(b.len()) <= 2;
            let expected = prefix || distance(a.as_bytes(), b.as_bytes()) <= 1;
            prop_assert_eq!(is_near(a.as_bytes(), b.as_bytes()), expected);
        }
    }

    #[test]
    fn identifiers_are_not_misspelled() {
        assert!(may_be_misspelled("deploymet"));
        assert!(!may_be_misspelled("e4021") && !may_be_misspelled("form") && !may_be_misspelled("größe"));
    }
}
