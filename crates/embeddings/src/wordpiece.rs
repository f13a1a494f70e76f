//! Texts to tokens as BERT does it: cleaned, lower-cased, split into words and punctuation, each word into the longest
//! pieces that the vocabulary has.
//!
//! Unlike the reference implementation, a text that spells out `[SEP]` gets the letters, not the control token: what is
//! stored is data and must not steer the model.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::limits::{TEXT_CHARS_MAX, WORD_CHARS_MAX};

/// What marks a piece that continues a word.
const CONTINUES: &str = "##";

/// A vocabulary and how texts are prepared for it.
pub(crate) struct WordPiece {
    /// Pieces that begin a word.
    heads: HashMap<Box<str>, u32>,
    /// Pieces that continue one, without their mark.
    tails: HashMap<Box<str>, u32>,
    /// The longest piece, in bytes.
    piece_bytes_max: usize,
    unknown: u32,
    begin: u32,
    end: u32,
    preparation: Preparation,
}

/// How a text is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preparation {
    /// Upper case becomes lower case.
    pub(crate) lower_case: bool,
    /// Accents are taken off.
    pub(crate) strip_accents: bool,
    /// Each Chinese character is a word.
    pub(crate) split_chinese: bool,
}

impl WordPiece {
    /// Reads a vocabulary of one piece a line; a piece's number is its line's, from 0.
    ///
    /// # Errors
    /// The name of a token that every vocabulary must have and this one has not.
    pub(crate) fn new(vocabulary: &str, preparation: Preparation) -> Result<Self, &'static str> {
        let (mut heads, mut tails) = (HashMap::new(), HashMap::new());
        let mut piece_bytes_max = 0;
        for (id, piece) in (0..).zip(vocabulary.lines()) {
            piece_bytes_max = piece_bytes_max.max(piece.len());
            match piece.strip_prefix(CONTINUES) {
                Some(tail) if !tail.is_empty() => tails.insert(tail.into(), id),
                _ => heads.insert(piece.into(), id),
            };
        }
        let token = |name: &'static str| heads.get(name).copied().ok_or(name);
        let (unknown, begin, end) = (token("[UNK]")?, token("[CLS]")?, token("[SEP]")?);
        Ok(Self { heads, tails, piece_bytes_max, unknown, begin, end, preparation })
    }

    /// Appends the tokens of a text, with those that begin and end it, at most `max` altogether (at least 2).
    pub(crate) fn encode(&self, text: &str, max: usize, tokens: &mut Vec<u32>) {
        let limit = tokens.len() + max - 1;
        tokens.push(self.begin);
        let mut word = String::new();
        let mut word_chars = 0;
        for c in self.prepared(text) {
            let (blank, alone) = (c.is_whitespace(), is_punctuation(c));
            if blank || alone {
                self.pieces(&word, word_chars, tokens);
                word.clear();
                word_chars = 0;
                if alone {
                    let mut buffer = [0; 4];
                    self.pieces(c.encode_utf8(&mut buffer), 1, tokens);
                }
                if tokens.len() >= limit {
                    break;
                }
            } else {
                word_chars += 1;
                // What is longer is unknown anyway.
                if word_chars <= WORD_CHARS_MAX {
                    word.push(c);
                }
            }
        }
        self.pieces(&word, word_chars, tokens);
        tokens.truncate(limit);
        tokens.push(self.end);
    }

    /// The characters of a text as the vocabulary spells them.
    fn prepared(&self, text: &str) -> impl Iterator<Item = char> {
        let Preparation { lower_case, strip_accents, split_chinese } = self.preparation;
        let clean = text.chars().take(TEXT_CHARS_MAX).filter_map(|c| match c {
            '\t' | '\n' | '\r' => Some(' '),
            '\0' | '\u{FFFD}' => None,
            c if is_control(c) => None,
            c if c.is_whitespace() => Some(' '),
            c => Some(c),
        });
        let spaced = clean.flat_map(move |c| {
            let space = (split_chinese && is_chinese(c)).then_some(' ');
            space.into_iter().chain([c]).chain(space)
        });
        let bare: Box<dyn Iterator<Item = char>> = if strip_accents {
            Box::new(spaced.nfd().filter(|c| {
                // The quick test holds for every mark, and for few other characters.
                !is_combining_mark(*c) || c.general_category() != GeneralCategory::NonspacingMark
            }))
        } else {
            Box::new(spaced)
        };
        bare.flat_map(move |c| {
            let lower = lower_case.then(|| c.to_lowercase());
            let same = (!lower_case).then_some(c);
            lower.into_iter().flatten().chain(same)
        })
    }

    /// Appends the pieces of a word: the longest first, then the longest that continues it, and so on.
    fn pieces(&self, word: &str, chars: usize, tokens: &mut Vec<u32>) {
        if word.is_empty() {
            return;
        }
        let begun = tokens.len();
        let mut rest = if chars > WORD_CHARS_MAX { None } else { Some(word) };
        while let Some(left) = rest.filter(|left| !left.is_empty()) {
            let known = if left.len() == word.len() { &self.heads } else { &self.tails };
            let longest = (1..=left.len().min(self.piece_bytes_max)).rev().find_map(|end| {
                let piece = left.get(..end)?;
                Some((known.get(piece)?, end))
            });
            rest = longest.map(|(id, end)| {
                tokens.push(*id);
                &left[end..]
            });
        }
        if rest.is_none() {
            tokens.truncate(begun);
            tokens.push(self.unknown);
        }
    }
}

/// Control and format characters, and those for private use. Tabs and line ends are not asked about.
fn is_control(c: char) -> bool {
    !c.is_ascii_graphic()
        && c != ' '
        && c.general_category_group() == GeneralCategoryGroup::Other
        && c.general_category() != GeneralCategory::Unassigned
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation()
        || !c.is_ascii() && c.general_category_group() == GeneralCategoryGroup::Punctuation
}

/// The blocks of ideographs; the alphabets of Japanese and Korean are words like any other.
fn is_chinese(c: char) -> bool {
    matches!(
        u32::from(c),
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F
            | 0x2B740..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0xF900..=0xFAFF
            | 0x2F800..=0x2FA1F
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNCASED: Preparation = Preparation { lower_case: true, strip_accents: true, split_chinese: true };

    /// The pieces that a text becomes, with their marks, as one line.
    fn pieces(text: &str, preparation: Preparation, max: usize) -> String {
        let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nrun\n##ning\n##n\n##ing\na\n.\n,\n[\n]\nsep\ncafe\ncafé\n中\nCafé\n日";
        let lines: Vec<&str> = vocabulary.lines().collect();
        let mut tokens = Vec::new();
        WordPiece::new(vocabulary, preparation).unwrap().encode(text, max, &mut tokens);
        tokens.iter().map(|id| lines[*id as usize]).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_become_their_longest_pieces() {
        for (text, expected) in [
            ("", "[CLS] [SEP]"),
            (" \t\n\u{3000}", "[CLS] [SEP]"),
            ("running", "[CLS] run ##ning [SEP]"),
            ("RunN,a.", "[CLS] run ##n , a . [SEP]"),
            ("runs a", "[CLS] [UNK] a [SEP]"),
            ("Café cafe\u{301} cafe", "[CLS] cafe cafe cafe [SEP]"),
            ("a中a日", "[CLS] a 中 a 日 [SEP]"),
            ("r\u{200B}u\0n\u{FFFD} a\u{7}", "[CLS] run a [SEP]"),
            ("[SEP]", "[CLS] [ sep ] [SEP]"),
        ] {
            assert_eq!(pieces(text, UNCASED, 16), expected, "{text:?}");
        }
        let cased = Preparation { lower_case: false, strip_accents: false, split_chinese: false };
        assert_eq!(pieces("Café café a中", cased, 16), "[CLS] Café café [UNK] [SEP]");
    }

    #[test]
    fn no_text_is_longer_than_it_may_be() {
        assert_eq!(pieces("a a a a", UNCASED, 4), "[CLS] a a [SEP]");
        assert_eq!(pieces("runningn", UNCASED, 3), "[CLS] run [SEP]");
        assert_eq!(pieces("running", UNCASED, 2), "[CLS] [SEP]");
        assert_eq!(pieces(&"run".repeat(40), UNCASED, 16), "[CLS] [UNK] [SEP]", "a word of 120 characters");
        let endless = " ".repeat(10 * TEXT_CHARS_MAX) + "a";
        assert_eq!(pieces(&endless, UNCASED, 16), "[CLS] [SEP]");
    }

    #[test]
    fn a_vocabulary_without_the_tokens_of_control_is_refused() {
        assert_eq!(WordPiece::new("[UNK]\n[SEP]\na", UNCASED).err(), Some("[CLS]"));
        assert_eq!(WordPiece::new("", UNCASED).err(), Some("[UNK]"));
    }
}
