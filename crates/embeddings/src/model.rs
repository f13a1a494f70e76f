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

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;
    use tempfile::TempDir;
    use testkit::model::{self as tiny, DIMENSIONS, HEADS, INTERMEDIATE, LAYERS};

    use super::*;
    use crate::limits::HEADER_BYTES_MAX;

    fn tiny_model() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        tiny::write(dir.path(), 1);
        dir
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    /// A BERT as one writes it down from the paper: in double precision, one number after the other.
    struct Naive(Vec<(String, Vec<usize>, Vec<f32>)>);

    type Rows = Vec<Vec<f64>>;

    impl Naive {
        fn tensor(&self, name: &str) -> Rows {
            let (_, shape, numbers) = self.0.iter().find(|(known, ..)| known == name).unwrap();
            let width = shape[shape.len() - 1];
            numbers.chunks(width).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect()
        }

        fn linear(&self, rows: &Rows, name: &str) -> Rows {
            let (weight, bias) =
                (self.tensor(&format!("{name}.weight")), &self.tensor(&format!("{name}.bias"))[0]);
            let output = |row: &Vec<f64>| {
                weight
                    .iter()
                    .zip(bias)
                    .map(|(w, b)| b + row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>())
                    .collect()
            };
            rows.iter().map(output).collect()
        }

        fn normalized_sum(&self, rows: &Rows, others: &Rows, name: &str) -> Rows {
            let (weight, bias) =
                (&self.tensor(&format!("{name}.weight"))[0], &self.tensor(&format!("{name}.bias"))[0]);
            let row = |(row, other): (&Vec<f64>, &Vec<f64>)| {
                let sum: Vec<f64> = row.iter().zip(other).map(|(x, y)| x + y).collect();
                let mean = sum.iter().sum::<f64>() / sum.len() as f64;
                let deviation =
                    (sum.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / sum.len() as f64 + 1e-12).sqrt();
                (0..sum.len()).map(|i| (sum[i] - mean) / deviation * weight[i] + bias[i]).collect()
            };
            rows.iter().zip(others).map(row).collect()
        }

        fn attend(&self, rows: &Rows, layer: usize) -> Rows {
            let part = |name| self.linear(rows, &format!("encoder.layer.{layer}.attention.self.{name}"));
            let (query, key, value) = (part("query"), part("key"), part("value"));
            let head = DIMENSIONS / HEADS;
            let mut context = vec![vec![0.0; DIMENSIONS]; rows.len()];
            for from in (0..DIMENSIONS).step_by(head) {
                for (row, query) in context.iter_mut().zip(&query) {
                    let score = |key: &Vec<f64>| {
                        (from..from + head).map(|i| query[i] * key[i]).sum::<f64>() / (head as f64).sqrt()
                    };
                    let weights: Vec<f64> = key.iter().map(|key| score(key).exp()).collect();
                    let sum: f64 = weights.iter().sum();
                    for (weight, value) in weights.iter().zip(&value) {
                        for i in from..from + head {
                            row[i] += weight / sum * value[i];
                        }
                    }
                }
            }
            context
        }

        fn encode(&self, tokens: &[u32]) -> Vec<f64> {
            let (words, positions) = (
                self.tensor("embeddings.word_embeddings.weight"),
                self.tensor("embeddings.position_embeddings.weight"),
            );
            let kind = &self.tensor("embeddings.token_type_embeddings.weight")[0];
            let word: Rows = tokens.iter().map(|token| words[*token as usize].clone()).collect();
            let place: Rows = positions
                .iter()
                .take(tokens.len())
                .map(|row| row.iter().zip(kind).map(|(p, k)| p + k).collect())
                .collect();
            let mut rows = self.normalized_sum(&word, &place, "embeddings.LayerNorm");
            for layer in 0..LAYERS {
                let name = |part: &str| format!("encoder.layer.{layer}.{part}");
                let attended = self.linear(&self.attend(&rows, layer), &name("attention.output.dense"));
                rows = self.normalized_sum(&rows, &attended, &name("attention.output.LayerNorm"));
                let mut between = self.linear(&rows, &name("intermediate.dense"));
                assert_eq!(between[0].len(), INTERMEDIATE);
                for x in between.iter_mut().flatten() {
                    *x *= 0.5 * (1.0 + erf(*x / std::f64::consts::SQRT_2));
                }
                rows = self.normalized_sum(
                    &rows,
                    &self.linear(&between, &name("output.dense")),
                    &name("output.LayerNorm"),
                );
            }
            let sums: Vec<f64> = (0..DIMENSIONS).map(|i| rows.iter().map(|row| row[i]).sum()).collect();
            let length = sums.iter().map(|x| x * x).sum::<f64>().sqrt();
            sums.iter().map(|x| x / length).collect()
        }
    }

    /// By the trapezoidal rule, as there is none in the standard library.
    fn erf(x: f64) -> f64 {
        let density = |t: f64| (-t * t).exp();
        let inner: f64 = (1..2_000).map(|i| density(x * f64::from(i) / 2_000.0)).sum();
        std::f64::consts::FRAC_2_SQRT_PI * x / 2_000.0 * (inner + (1.0 + density(x)) / 2.0)
    }

    #[test]
    fn vectors_are_those_of_a_straightforward_implementation() {
        let dir = tiny_model();
        let mut model = LocalModel::open(dir.path()).unwrap();
        let naive = Naive(tiny::tensors(1));
        let texts = texts(&["", "a", "hello world", "zz top", &"abc ".repeat(50), "Ünïcödé 中 !"]);
        for (text, vector) in texts.iter().zip(model.encode(&texts)) {
            let expected = naive.encode(&model.tokens(text));
            for (x, e) in vector.iter().zip(&expected) {
                assert!((f64::from(*x) - e).abs() < 5e-6, "{text:?}: {x} {e}");
            }
        }
    }

    #[test]
    fn a_text_gets_the_same_vector_in_whatever_company() {
        let dir = tiny_model();
        let mut model = LocalModel::open(dir.path()).unwrap();
        let many: Vec<String> = (0..200).map(|n| "word ".repeat(n % 7)).collect();
        let together = model.encode(&many);
        assert_eq!(together.len(), many.len());
        assert!(model.encode_some(&many).len() < many.len(), "it takes several batches");
        for (text, vector) in many.iter().zip(&together) {
            let alone = &model.encode(std::slice::from_ref(text))[0];
            assert!(vector.iter().zip(alone).all(|(a, b)| (a - b).abs() < 1e-5), "{text:?}");
        }
        assert!(model.encode(&[]).is_empty());
    }

    #[test]
    fn further_files_change_how_texts_are_read() {
        let dir = tiny_model();
        let plain = LocalModel::open(dir.path()).unwrap().encode(&texts(&["a text"]));
        fs::create_dir(dir.path().join("1_Pooling")).unwrap();
        fs::write(dir.path().join("1_Pooling/config.json"), r#"{"pooling_mode_cls_token": true}"#).unwrap();
        fs::write(dir.path().join("sentence_bert_config.json"), r#"{"max_seq_length": 5}"#).unwrap();
        fs::write(dir.path().join("tokenizer_config.json"), r#"{"do_lower_case": false}"#).unwrap();
        let mut model = LocalModel::open(dir.path()).unwrap();
        assert_eq!(model.tokens("abcdefg").len(), 5);
        assert_eq!(model.tokens("A"), model.tokens("É"), "both are unknown");
        assert_ne!(model.encode(&texts(&["a text"])), plain);
        // The tensors' names may begin with the name of the architecture.
        tiny::write_weights(&dir.path().join("model.safetensors"), &tiny::tensors(1), "bert.");
        LocalModel::open(dir.path()).unwrap();
    }

    fn problem(dir: &TempDir) -> String {
        LocalModel::open(dir.path()).err().unwrap().to_string()
    }

    #[test]
    fn what_is_wrong_with_the_configuration_is_said() {
        for (field, value, said) in [
            ("model_type", json!("gpt2"), "model_type is \"gpt2\""),
            ("hidden_act", json!("relu"), "hidden_act is \"relu\""),
            ("hidden_size", json!(0), "hidden_size is 0"),
            ("hidden_size", json!(1_000_000_000), "hidden_size is 1000000000"),
            ("hidden_size", json!(-1), "config.json"),
            ("hidden_size", json!(64), "shape"),
            ("num_attention_heads", json!(5), "5 heads"),
            ("num_hidden_layers", json!(3), "encoder.layer.2.attention.self.query.weight is missing"),
            ("vocab_size", json!(10), "only 10"),
            ("layer_norm_eps", json!(-1.0), "layer_norm_eps"),
            ("max_position_embeddings", json!(1), "at least 2"),
        ] {
            let dir = tiny_model();
            let mut config = tiny::config();
            config[field] = value;
            fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
            assert!(problem(&dir).contains(said), "{field}: {}", problem(&dir));
        }
        let dir = tiny_model();
        fs::create_dir(dir.path().join("1_Pooling")).unwrap();
        fs::write(dir.path().join("1_Pooling/config.json"), r#"{"pooling_mode_max_tokens": true}"#).unwrap();
        assert!(problem(&dir).contains("1_Pooling/config.json: pooling"), "{}", problem(&dir));
    }

    #[test]
    fn a_missing_or_foreign_file_is_named() {
        for name in ["config.json", "vocab.txt", "model.safetensors"] {
            let dir = tiny_model();
            let path = dir.path().join(name);
            fs::remove_file(&path).unwrap();
            assert!(problem(&dir).starts_with(name), "{}", problem(&dir));
            fs::create_dir(&path).unwrap();
            assert!(problem(&dir).starts_with(name), "{}", problem(&dir));
            fs::remove_dir(&path).unwrap();
            fs::write(&path, [0xFF; 100]).unwrap();
            assert!(problem(&dir).starts_with(name), "{}", problem(&dir));
            fs::write(&path, "").unwrap();
            assert!(problem(&dir).starts_with(name), "{}", problem(&dir));
        }
    }

    /// Every cut of the header, and bytes of it changed at random: an error or a model, never a panic.
    #[test]
    fn damaged_weights_are_an_error() {
        let dir = tiny_model();
        let path = dir.path().join("model.safetensors");
        let whole = fs::read(&path).unwrap();
        let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        for length in (0..64).chain((64..header).step_by(97)).chain([header, header + 8, whole.len() - 1]) {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(problem(&dir).starts_with("model.safetensors"), "{length}");
        }
        for length in [HEADER_BYTES_MAX + 1, u64::MAX, u64::MAX - 7, 1 << 40] {
            let mut bytes = whole.clone();
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            fs::write(&path, bytes).unwrap();
            assert!(problem(&dir).contains("header"), "{}", problem(&dir));
        }
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let mut bytes = whole.clone();
            bytes[random.usize(..header + 8)] = random.u8(..);
            fs::write(&path, bytes).unwrap();
            if let Ok(mut model) = LocalModel::open(dir.path()) {
                assert_eq!(model.encode(&texts(&["a text"])).len(), 1);
            }
        }
    }

    #[test]
    fn weights_of_another_type_are_refused() {
        let dir = tiny_model();
        let path = dir.path().join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        while let Some(at) = bytes.windows(5).position(|found| found == b"\"F32\"") {
            bytes[at..at + 5].copy_from_slice(b"\"I32\"");
        }
        fs::write(&path, bytes).unwrap();
        assert!(problem(&dir).contains("I32") && problem(&dir).contains("F32"), "{}", problem(&dir));
    }
}
