//! What the small files of a model say: sizes, pooling, how texts are prepared.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::limits::{HIDDEN_MAX, INTERMEDIATE_MAX, LAYERS_MAX, SMALL_FILE_BYTES_MAX, TEXT_TOKENS_MAX};
use crate::model::ModelError;
use crate::wordpiece::Preparation;

/// The file with the sizes.
pub(crate) const CONFIG_FILE: &str = "config.json";
/// The file with the vocabulary.
pub(crate) const VOCABULARY_FILE: &str = "vocab.txt";

/// Everything that is known of a model without its weights.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// The sizes.
    pub(crate) sizes: Sizes,
    /// How the vectors of the tokens become one.
    pub(crate) pooling: Pooling,
    /// How texts are prepared.
    pub(crate) preparation: Preparation,
    /// Most tokens of a text.
    pub(crate) text_tokens_max: usize,
}

/// The sizes of a BERT, as its `config.json` names them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Sizes {
    #[serde(rename = "hidden_size")]
    pub(crate) hidden: usize,
    #[serde(rename = "intermediate_size")]
    pub(crate) intermediate: usize,
    #[serde(rename = "num_hidden_layers")]
    pub(crate) layers: usize,
    #[serde(rename = "num_attention_heads")]
    pub(crate) heads: usize,
    #[serde(rename = "max_position_embeddings")]
    pub(crate) positions: usize,
    #[serde(rename = "type_vocab_size")]
    pub(crate) types: usize,
    #[serde(rename = "vocab_size")]
    pub(crate) vocabulary: usize,
    #[serde(rename = "layer_norm_eps")]
    pub(crate) epsilon: f32,
}

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// Their mean.
    Mean,
    /// The first one.
    First,
}

#[derive(Deserialize)]
struct Kind {
    model_type: Option<String>,
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PoolingFile {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SentenceFile {
    max_seq_length: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenizerConfigFile {
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
}

#[derive(Deserialize)]
struct TokenizerFile {
    normalizer: Option<Normalizer>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Normalizer {
    lowercase: Option<bool>,
    strip_accents: Option<bool>,
    handle_chinese_chars: Option<bool>,
}

impl Config {
    /// Reads the small files of the model in `dir`.
    pub(crate) fn read(dir: &Path) -> Result<Self, ModelError> {
        let sizes = Sizes::read(dir)?;
        let sentence: SentenceFile =
            read_json_if_there(dir, "sentence_bert_config.json")?.unwrap_or_default();
        let text_tokens_max =
            sentence.max_seq_length.unwrap_or(sizes.positions).min(sizes.positions).min(TEXT_TOKENS_MAX);
        if text_tokens_max < 2 {
            return Err(ModelError::new("sentence_bert_config.json", "max_seq_length must be at least 2"));
        }
        Ok(Self { pooling: pooling(dir)?, preparation: preparation(dir)?, text_tokens_max, sizes })
    }
}

impl Sizes {
    /// Reads and checks `config.json` alone.
    pub(crate) fn read(dir: &Path) -> Result<Self, ModelError> {
        let wrong = |problem: String| Err(ModelError::new(CONFIG_FILE, problem));
        let Kind { model_type, hidden_act, position_embedding_type } = read_json(dir, CONFIG_FILE)?;
        for (name, value, known) in [
            ("model_type", model_type, "bert"),
            ("hidden_act", hidden_act, "gelu"),
            (
                "position_embedding_type",
                position_embedding_type.or_else(|| Some("absolute".into())),
                "absolute",
            ),
        ] {
            if value.as_deref() != Some(known) {
                return wrong(format!(
                    "{name} is {}, but only \"{known}\" is supported",
                    shown(value.as_deref())
                ));
            }
        }
        let sizes: Self = read_json(dir, CONFIG_FILE)?;
        for (name, value, max) in [
            ("hidden_size", sizes.hidden, HIDDEN_MAX),
            ("intermediate_size", sizes.intermediate, INTERMEDIATE_MAX),
            ("num_hidden_layers", sizes.layers, LAYERS_MAX),
            ("num_attention_heads", sizes.heads, sizes.hidden),
            ("max_position_embeddings", sizes.positions, 1 << 16),
            ("type_vocab_size", sizes.types, 1 << 8),
            ("vocab_size", sizes.vocabulary, 1 << 20),
        ] {
            if value == 0 || value > max {
                return wrong(format!("{name} is {value}, it must be from 1 to {max}"));
            }
        }
        if !sizes.hidden.is_multiple_of(sizes.heads) {
            return wrong(format!("{} heads cannot share {} numbers", sizes.heads, sizes.hidden));
        }
        if !(0.0..1.0).contains(&sizes.epsilon) {
            return wrong(format!("layer_norm_eps is {}, it must be from 0 to 1", sizes.epsilon));
        }
        Ok(sizes)
    }
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "missing".into(), |value| format!("{value:?}"))
}

fn pooling(dir: &Path) -> Result<Pooling, ModelError> {
    const NAME: &str = "1_Pooling/config.json";
    let Some(file) = read_json_if_there::<PoolingFile>(dir, NAME)? else { return Ok(Pooling::Mean) };
    let other = file.pooling_mode_max_tokens
        || file.pooling_mode_mean_sqrt_len_tokens
        || file.pooling_mode_weightedmean_tokens
        || file.pooling_mode_lasttoken;
    match (file.pooling_mode_mean_tokens, file.pooling_mode_cls_token) {
        (true, false) if !other => Ok(Pooling::Mean),
        (false, true) if !other => Ok(Pooling::First),
        _ => Err(ModelError::new(
            NAME,
            "pooling must be the mean of the tokens or the first one, not both or another",
        )),
    }
}

/// `tokenizer.json` decides where it speaks of it, as in the libraries that the models were made with; then
/// `tokenizer_config.json`; then what BERT does by default.
fn preparation(dir: &Path) -> Result<Preparation, ModelError> {
    let file: Option<TokenizerFile> = read_json_if_there(dir, "tokenizer.json")?;
    let first = file.and_then(|file| file.normalizer).unwrap_or_default();
    let second: TokenizerConfigFile = read_json_if_there(dir, "tokenizer_config.json")?.unwrap_or_default();
    let lower_case = first.lowercase.or(second.do_lower_case).unwrap_or(true);
    Ok(Preparation {
        lower_case,
        strip_accents: first.strip_accents.or(second.strip_accents).unwrap_or(lower_case),
        split_chinese: first.handle_chinese_chars.or(second.tokenize_chinese_chars).unwrap_or(true),
    })
}

fn read_json<T: DeserializeOwned>(dir: &Path, name: &'static str) -> Result<T, ModelError> {
    let text = read_text(dir, name)?;
    serde_json::from_str(&text).map_err(|error| ModelError::new(name, error))
}

fn read_json_if_there<T: DeserializeOwned>(dir: &Path, name: &'static str) -> Result<Option<T>, ModelError> {
    if dir.join(name).exists() { read_json(dir, name).map(Some) } else { Ok(None) }
}

/// The text of one of the small files.
pub(crate) fn read_text(dir: &Path, name: &'static str) -> Result<String, ModelError> {
    let file = open_file(dir, name)?;
    let mut text = String::new();
    let read = file.take(SMALL_FILE_BYTES_MAX + 1).read_to_string(&mut text);
    let length = read.map_err(|error| ModelError::new(name, error))? as u64;
    if length > SMALL_FILE_BYTES_MAX {
        return Err(ModelError::new(name, format!("longer than {SMALL_FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Opens one of the files. Opening a pipe would wait for whoever writes to it, and a directory can be opened, too.
pub(crate) fn open_file(dir: &Path, name: &'static str) -> Result<File, ModelError> {
    let path = dir.join(name);
    let open =
        || if fs::metadata(&path)?.is_file() { File::open(&path) } else { Err(ErrorKind::NotFound.into()) };
    open().map_err(|error: io::Error| ModelError::new(name, error))
}
