//! The real all-MiniLM-L6-v2 against the reference: tokens from the Hugging Face tokenizers library, vectors from a
//! BERT in numpy with double precision.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests: a panic is how they fail, and a skipped one says so"
)]

use std::path::PathBuf;

use embeddings::LocalModel;
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    tokens: Vec<Tokens>,
    vectors: Vec<Vector>,
    cosines: Vec<Cosine>,
}

#[derive(Deserialize)]
struct Tokens {
    text: String,
    ids: Vec<u32>,
}

/// The first numbers of a vector and the sum of all.
#[derive(Deserialize)]
struct Vector {
    text: String,
    first: Vec<f32>,
    sum: f32,
}

#[derive(Deserialize)]
struct Cosine {
    texts: Vec<String>,
    cosine: f32,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("minilm.json")).unwrap()
}

fn model() -> Option<LocalModel> {
    let Some(dir) = std::env::var_os("MEMORY_MCP_TEST_MODEL") else {
        eprintln!("SKIPPED: MEMORY_MCP_TEST_MODEL does not name a directory with all-MiniLM-L6-v2");
        return None;
    };
    Some(LocalModel::open(&PathBuf::from(dir)).unwrap())
}

#[test]
fn tokens_are_those_of_the_reference() {
    let Some(model) = model() else { return };
    for Tokens { text, ids } in goldens().tokens {
        assert_eq!(model.tokens(&text), ids, "{text:?}");
    }
    assert_eq!(model.tokens(&"x ".repeat(400)).len(), 256, "what is too long is cut");
}

#[test]
fn vectors_are_those_of_the_reference() {
    let Some(mut model) = model() else { return };
    let expected = goldens().vectors;
    let texts: Vec<String> = expected.iter().map(|vector| vector.text.clone()).collect();
    let together = model.encode(&texts);
    for ((text, together), expected) in texts.iter().zip(together).zip(expected) {
        for vector in [&together, &model.encode(std::slice::from_ref(text))[0]] {
            assert_eq!(vector.len(), 384);
            for (x, e) in vector.iter().zip(&expected.first) {
                assert!((x - e).abs() < 2e-6, "{text:?}: {x} {e}");
            }
            assert!((vector.iter().sum::<f32>() - expected.sum).abs() < 1e-4, "{text:?}");
        }
    }
}

#[test]
fn texts_that_mean_the_same_lie_close_together() {
    let Some(mut model) = model() else { return };
    for Cosine { texts, cosine } in goldens().cosines {
        let vectors = model.encode(&texts);
        let found: f32 = vectors[0].iter().zip(&vectors[1]).map(|(a, b)| a * b).sum();
        assert!((found - cosine).abs() < 1e-5, "{texts:?}: {found} {cosine}");
    }
}
