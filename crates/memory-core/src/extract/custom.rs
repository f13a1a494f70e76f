//! What extractors that the user added say.

use super::Finding;
use crate::limits::{CUSTOM_CHARS_MAX, DETAIL_CHARS_MAX};
use crate::pattern::PatternBody;
use crate::redact::redact;

/// What an extractor of the user saw in an episode: that the episode shows a pattern, and nothing about how good that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    source: String,
    text: String,
    detail: Option<String>,
}

impl Sighting {
    /// What the extractor `source` says of an episode, in one line and without secrets. The text is what the pattern is; a
    /// detail that is too long is cut.
    ///
    /// # Errors
    /// What is wrong with the text: it is blank, or longer than [`CUSTOM_CHARS_MAX`] characters.
    pub fn new(source: &str, text: &str, detail: Option<&str>) -> Result<Self, String> {
        let text = line(text);
        let chars = text.chars().count();
        if chars == 0 {
            return Err("is empty; it must say what the episode shows".to_owned());
        }
        if chars > CUSTOM_CHARS_MAX {
            return Err(format!(
                "has {chars} characters; at most {CUSTOM_CHARS_MAX} make a pattern, `detail` has room for a quotation"
            ));
        }
        let cut = |detail: String| detail.chars().take(DETAIL_CHARS_MAX).collect();
        let detail = detail.map(line).filter(|detail| !detail.is_empty()).map(cut);
        Ok(Self { source: source.to_owned(), text, detail })
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The quotation from the episode, if there is one.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    pub(super) fn credited(self, credit: f64) -> Finding {
        let Self { source, text, detail } = self;
        Finding { body: PatternBody::Custom { source, text }, credit, detail }
    }
}

/// One line: white space and control characters, of which one separates the parts of a signature, become single spaces.
fn line(text: &str) -> String {
    let clean = redact(text);
    let words = clean.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::Outcome;
    use crate::episode::fixture::{completed, ok};
    use crate::extract::{Registry, Teaching};

    fn seen(text: &str) -> Sighting {
        Sighting::new("mine", text, Some("step 1")).unwrap()
    }

    #[test]
    fn a_text_becomes_one_line_without_secrets() {
        let sighting = Sighting::new("mine", " a\u{1f}b\n c\0 ", Some(" \n ")).unwrap();
        assert_eq!((sighting.text(), sighting.detail()), ("a b c", None));
        let secret = seen("the key AKIAIOSFODNN7EXAMPLE works");
        assert_eq!(secret.text(), "the key [redacted:aws-key] works");
    }

    #[test]
    fn a_text_says_something_and_not_too_much() {
        for blank in ["", " \n\u{1f}"] {
            assert!(Sighting::new("mine", blank, None).unwrap_err().contains("is empty"));
        }
        assert!(Sighting::new("mine", &"é".repeat(CUSTOM_CHARS_MAX), None).is_ok());
        let error = Sighting::new("mine", &"é".repeat(CUSTOM_CHARS_MAX + 1), None).unwrap_err();
        assert!(error.contains("241 characters"), "{error}");
        let long = Sighting::new("mine", "a", Some(&"é".repeat(1_000))).unwrap();
        assert_eq!(long.detail().unwrap().chars().count(), DETAIL_CHARS_MAX);
    }

    #[test]
    fn what_is_seen_is_worth_what_the_episode_was_and_changes_nothing_else() {
        let outcomes =
            [(Outcome::Success, Some(1.0)), (Outcome::Partial, Some(0.5)), (Outcome::Abandoned, None)];
        for (outcome, credit) in outcomes {
            let episode = completed(vec![ok("look"), ok("build")], Some(outcome));
            let alone = Registry::default().study(&episode, episode.head.started_at);
            let twice = vec![seen("a"), seen("a"), seen("b")];
            let Teaching { findings, plugins, .. } = alone.clone().with_plugins("v", &episode, twice);
            assert_eq!(plugins, "v");
            let (ours, theirs) = findings.split_at(alone.findings.len());
            assert_eq!(ours, alone.findings);
            let expected: Vec<Finding> = credit
                .into_iter()
                .flat_map(|credit| ["a", "b"].map(|text| seen(text).credited(credit)))
                .collect();
            assert_eq!(theirs, expected, "{outcome:?}");
        }
    }
}
