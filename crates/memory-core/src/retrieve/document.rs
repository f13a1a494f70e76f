//! What of a stored thing can be searched for.

use crate::episode::{Brief, EpisodeHead, NewStep};
use crate::limits::{
    EMBEDDED_PASSAGES_MAX, PASSAGE_TERMS_MAX, PASSAGE_WORDS, PASSAGE_WORDS_MAX, PASSAGES_MAX,
    SEARCHED_STEPS_MAX,
};
use crate::note::Note;
use crate::pattern::Pattern;
use crate::search::{Document, Passage};

use super::analyze::{count_terms, is_unspaced};

/// What a word counts where the thing says what it is about.
const SAID: f32 = 1.0;
/// What it counts in the steps of an episode, which are long and mention much in passing.
const MENTIONED: f32 = 0.3;

/// The document of an episode: its task and its summary by words and meaning, the key facts of its steps by words.
pub fn of_episode<'a>(head: &EpisodeHead, steps: impl IntoIterator<Item = &'a NewStep>) -> Document {
    let Brief { task, scope, task_type, tags, context } = &head.brief;
    let mut passages = told(task);
    if let Some(completion) = &head.completion {
        passages.extend(told(completion.summary.as_deref().unwrap_or_default()));
    }
    let artifacts = head.completion.iter().flat_map(|completion| &completion.artifacts);
    let named = [&scope.domain, &scope.project, task_type];
    let named = named.into_iter().flatten().chain(tags).chain(context.values()).chain(artifacts);
    label(&mut passages, head.external_id.as_deref(), named.map(String::as_str));
    let mut done = String::new();
    for step in steps.into_iter().take(SEARCHED_STEPS_MAX) {
        // Not what the tool returned, which is long and mostly about other things.
        for part in [Some(step.tool.as_str()), step.error(), step.action.as_deref(), step.args.as_deref()] {
            push(&mut done, part.unwrap_or_default());
        }
    }
    passages.extend(worded(&done, MENTIONED));
    Document::bounded(passages)
}

/// The document of a note: its text by words and meaning.
pub fn of_note(note: &Note) -> Document {
    let mut passages = told(&note.text);
    let named = [&note.scope.domain, &note.scope.project].into_iter().flatten().chain(&note.tags);
    label(&mut passages, note.external_id.as_deref(), named.map(String::as_str));
    Document::bounded(passages)
}

/// The document of a pattern.
pub fn of_pattern(pattern: &Pattern) -> Document {
    let mut passages: Vec<Passage> = worded(&pattern.body.describe(), SAID).into_iter().collect();
    label(&mut passages, None, pattern.domain.as_deref());
    Document::bounded(passages)
}

impl Document {
    fn bounded(mut passages: Vec<Passage>) -> Self {
        let mut embedded = 0;
        for passage in &mut passages {
            embedded += usize::from(passage.text.is_some());
            if embedded > EMBEDDED_PASSAGES_MAX {
                passage.text = None;
            }
        }
        passages.truncate(PASSAGES_MAX);
        if passages.is_empty() {
            passages.push(Passage { weight: SAID, ..Passage::default() });
        }
        Self { passages }
    }
}

/// The passages of a text that says what its thing is about.
fn told(text: &str) -> Vec<Passage> {
    let passage = |text: &str| Passage {
        terms: count_terms(text, usize::MAX),
        weight: SAID,
        text: Some(text.trim().to_owned()),
    };
    split(text).into_iter().map(passage).collect()
}

/// Adds what a thing is filed under to the words of its first passage. An id is a name: its short parts, such as the 3 of
/// `D1:3`, name nothing.
fn label<'a>(
    passages: &mut Vec<Passage>,
    external_id: Option<&str>,
    named: impl IntoIterator<Item = &'a str>,
) {
    let mut text = String::new();
    for name in named {
        push(&mut text, name);
    }
    let id = count_terms(external_id.unwrap_or_default(), PASSAGE_TERMS_MAX);
    let longest = id.iter().map(|(term, _)| term.len()).max().unwrap_or_default();
    let id = id.into_iter().filter(|(term, _)| term.len() > 3 || term.len() == longest);
    let labels: Vec<(String, u8)> = count_terms(&text, PASSAGE_TERMS_MAX).into_iter().chain(id).collect();
    if passages.is_empty() && !labels.is_empty() {
        passages.push(Passage { weight: SAID, ..Passage::default() });
    }
    let Some(first) = passages.first_mut() else { return };
    for (term, times) in labels {
        match first.terms.iter_mut().find(|(known, _)| *known == term) {
            Some((_, count)) => *count = count.saturating_add(times),
            None => first.terms.push((term, times)),
        }
    }
}

/// A passage that is found by its words alone.
fn worded(text: &str, weight: f32) -> Option<Passage> {
    let terms = count_terms(text, PASSAGE_TERMS_MAX);
    (!terms.is_empty()).then_some(Passage { terms, weight, text: None })
}

/// A text in parts of about [`PASSAGE_WORDS`] words that end with a line or a sentence. A text of up to
/// [`PASSAGE_WORDS_MAX`] words is one part.
fn split(text: &str) -> Vec<&str> {
    let parts = cut(text, PASSAGE_WORDS);
    if parts.len() > 1 && cut(text, PASSAGE_WORDS_MAX).len() == 1 { vec![text] } else { parts }
}

/// A text in parts of at least `words_min` words, but for the last, that end with a line or a sentence where there is one
/// in time.
fn cut(text: &str, words_min: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut words, mut in_word) = (0, 0, false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let is_unspaced = is_unspaced(c);
        let was_in_word = std::mem::replace(&mut in_word, !c.is_whitespace() && !is_unspaced);
        words += usize::from(is_unspaced || (in_word && !was_in_word));
        let ends_word = c.is_whitespace() || is_unspaced;
        let ends_sentence = c == '\n'
            || (matches!(c, '.' | '!' | '?' | '。' | '！' | '？') && next.is_none_or(char::is_whitespace));
        if (words >= words_min && ends_sentence) || (words >= PASSAGE_WORDS_MAX && ends_word) {
            let end = at + c.len_utf8();
            parts.push(&text[start..end]);
            (start, words) = (end, 0);
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn push(text: &mut String, more: &str) {
    text.push_str(more);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_split_where_a_sentence_ends() {
        let sentence = "one two three four five six seven eight nine ten. ";
        let text = sentence.repeat(9);
        let parts = split(&text);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.trim().ends_with("ten.")));
        assert_eq!(parts.concat(), text);
    }

    #[test]
    fn what_has_no_sentences_is_split_all_the_same() {
        let text = "word ".repeat(200);
        assert_eq!(split(&text).len(), 3);
        let unspaced = "数据库连接".repeat(60);
        assert!(split(&unspaced).len() > 2);
    }

    #[test]
    fn the_short_parts_of_an_id_name_nothing() {
        let labelled = |id, named: &[&str]| {
            let mut passages = Vec::new();
            label(&mut passages, Some(id), named.iter().copied());
            passages.remove(0).terms.into_iter().map(|(term, _)| term).collect::<Vec<_>>()
        };
        assert_eq!(labelled("D1:3", &[]), ["d13"]);
        assert_eq!(labelled("django-11099", &["coding"]), ["code", "django", "11099", "django11099"]);
    }
}
