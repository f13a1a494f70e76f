//! A tiny sentence encoder in the format of the model hub, for tests that need some model.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

/// Numbers in its vectors.
pub const DIMENSIONS: usize = 32;
/// Its layers.
pub const LAYERS: usize = 2;
/// Its attention heads.
pub const HEADS: usize = 4;
/// Numbers between the products of a layer.
pub const INTERMEDIATE: usize = 48;
/// Most tokens of a text.
pub const POSITIONS: usize = 24;

/// Its vocabulary: every text of lower-case letters becomes letters.
pub fn vocabulary() -> Vec<String> {
    let control = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_owned);
    let letters = ('a'..='z').flat_map(|c| [c.to_string(), format!("##{c}")]);
    control.into_iter().chain(letters).collect()
}

/// The tensors of a model with the numbers that `seed` gives: name, shape, numbers.
pub fn tensors(seed: u64) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let (d, i) = (DIMENSIONS, INTERMEDIATE);
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![vocabulary().len(), d]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![POSITIONS, d]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, d]),
    ];
    let mut pair = |name: String, shape: Vec<usize>| {
        shapes.push((format!("{name}.bias"), vec![shape[0]]));
        shapes.push((format!("{name}.weight"), shape));
    };
    pair("embeddings.LayerNorm".into(), vec![d]);
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("attention.self.query", vec![d, d]),
            ("attention.self.key", vec![d, d]),
            ("attention.self.value", vec![d, d]),
            ("attention.output.dense", vec![d, d]),
            ("attention.output.LayerNorm", vec![d]),
            ("intermediate.dense", vec![i, d]),
            ("output.dense", vec![d, i]),
            ("output.LayerNorm", vec![d]),
        ] {
            pair(format!("encoder.layer.{layer}.{name}"), shape);
        }
    }
    // A generator of its own, so that the same seed gives the same model for ever.
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let filled = shapes.into_iter().map(|(name, shape)| {
        let numbers = (0..shape.iter().product()).map(|_| number()).collect();
        (name, shape, numbers)
    });
    filled.collect()
}

/// Writes tensors as a safetensors file, each name with `prefix` before it.
pub fn write_weights(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)], prefix: &str) {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape, numbers) in tensors {
        let begin = data.len();
        data.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
        header.insert(format!("{prefix}{name}"), entry);
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    std::fs::write(path, file).expect("the weights are written");
}

/// The `config.json` of such a model.
pub fn config() -> Value {
    json!({"model_type": "bert", "hidden_act": "gelu", "hidden_size": DIMENSIONS, "intermediate_size": INTERMEDIATE,
           "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "max_position_embeddings": POSITIONS,
           "type_vocab_size": 2, "vocab_size": vocabulary().len(), "layer_norm_eps": 1e-12})
}

/// Writes a whole model into a new directory.
pub fn write(dir: &Path, seed: u64) {
    std::fs::create_dir_all(dir).expect("the directory is made");
    let write = |name: &str, text: String| std::fs::write(dir.join(name), text).expect("the file is written");
    write("config.json", config().to_string());
    let mut lines = String::new();
    for piece in vocabulary() {
        let _ = writeln!(lines, "{piece}");
    }
    write("vocab.txt", lines);
    write_weights(&dir.join("model.safetensors"), &tensors(seed), "");
}
