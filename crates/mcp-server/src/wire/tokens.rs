//! How many tokens a text costs the model that reads it.

/// An estimate that errs on the high side for JSON and English: every run of letters costs a token for each five, of
/// digits for each two, of punctuation for each two, a line break or a character outside ASCII one for each two bytes.
/// Models differ in their tokenizers, so no exact count exists.
pub(crate) fn estimate(text: &str) -> usize {
    let mut tokens = 0;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let class = Class::of(first);
        let end = rest.find(|c| Class::of(c) != class).unwrap_or(rest.len());
        tokens += class.cost(end);
        rest = &rest[end..];
    }
    tokens
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Space,
    Punctuation,
    Foreign,
}

impl Class {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::Letter,
            '0'..='9' => Self::Digit,
            ' ' => Self::Space,
            c if c.is_ascii() => Self::Punctuation,
            _ => Self::Foreign,
        }
    }

    /// The cost of a run of this many bytes.
    fn cost(self, bytes: usize) -> usize {
        match self {
            Self::Letter => bytes.div_ceil(5),
            Self::Digit | Self::Punctuation | Self::Foreign => bytes.div_ceil(2),
            // One space belongs to the word after it.
            Self::Space => bytes / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::estimate;

    #[test]
    fn longer_texts_cost_more_and_no_text_nothing() {
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("one two six"), 3);
        assert!(estimate("0198c0de-7a3b-7c4d-8e5f-0123456789ab") >= 20);
        assert!(estimate("データベース") >= 6);
    }
}
