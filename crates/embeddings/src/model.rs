//! A sentence encoder in a directory of files.

use std::path::Path;

use crate::bert::{Bert, Scratch};
use crate::config::{Config, VOCABULARY_FILE, read_text};
use crate::limits::BATCH_TOKENS_MAX;
use crate::weights::Weights;
use crate::wordpiece::WordPiece;

/// What is wrong with a model's files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ModelError {
    /// The file, within the model's directory.
    pub file: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl ModelError {
    pub(crate) fn new(file: &'static str, problem: impl ToString) -> Self {
        Self { file, problem: problem.to_string() }
    }
}

/// A sentence encoder of the BERT family, such as all-MiniLM-L6-v2: `config.json`, `vocab.txt` and
/// `model.safetensors` as the model hub has them, beside further files that say how it is to be used.
pub struct LocalModel {
    bert: Bert,
    words: WordPiece,
    dimensions: usize,
    text_tokens_max: usize,
    scratch: Scratch,
    tokens: Vec<u32>,
}

impl LocalModel {
    /// Opens the model in `dir` and checks everything that it needs, except for the numbers themselves, which are read
    /// when they are first used.
    ///
    /// # Errors
    /// Which file does not make sense, and why.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        let config = Config::read(dir)?;
        let vocabulary = read_text(dir, VOCABULARY_FILE)?;
        let wrong = |problem| ModelError::new(VOCABULARY_FILE, problem);
        let words = WordPiece::new(&vocabulary, config.preparation)
            .map_err(|token| wrong(format!("the token {token} is missing")))?;
        let (lines, embedded) = (vocabulary.lines().count(), config.sizes.vocabulary);
        if lines > embedded {
            return Err(wrong(format!("it has {lines} pieces, but config.json only {embedded}")));
        }
        let bert = Bert::new(Weights::open(dir)?, &config)?;
        let Config { sizes, text_tokens_max, .. } = config;
        Ok(Self {
            bert,
            words,
            dimensions: sizes.hidden,
            text_tokens_max,
            scratch: Scratch::default(),
            tokens: Vec::new(),
        })
    }

    /// Numbers in a vector.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Length of the file of weights when it was opened, in bytes.
    pub fn weights_bytes(&self) -> u64 {
        self.bert.file_bytes()
    }

    /// The tokens that are read of a text, with those that begin and end it.
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        self.words.encode(text, self.text_tokens_max, &mut tokens);
        tokens
    }

    /// Vectors of length 1 for as many of the first texts as make one batch: at least one, if there is any text. A
    /// text longer than the model reads is cut.
    pub fn encode_some(&mut self, texts: &[String]) -> Vec<Vec<f32>> {
        self.tokens.clear();
        let mut lengths = Vec::new();
        for text in texts {
            let begun = self.tokens.len();
            self.words.encode(text, self.text_tokens_max, &mut self.tokens);
            if begun > 0 && self.tokens.len() > BATCH_TOKENS_MAX {
                self.tokens.truncate(begun);
                break;
            }
            lengths.push(self.tokens.len() - begun);
        }
        self.bert.encode(&self.tokens, &lengths, &mut self.scratch)
    }

    /// Vectors of length 1 for all texts, one batch after the other.
    pub fn encode(&mut self, texts: &[String]) -> Vec<Vec<f32>> {
        let mut vectors = Vec::with_capacity(texts.len());
        while vectors.len() < texts.len() {
            vectors.extend(self.encode_some(&texts[vectors.len()..]));
        }
        vectors
    }
}
