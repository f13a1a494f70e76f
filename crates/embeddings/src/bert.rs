//! The encoder: a BERT over mapped weights.

use pulp::Arch;

use crate::config::{Config, Pooling, Sizes};
use crate::kernel::{Linear, Norm, View, add_and_normalize, gelu, multiply, softmax, to_unit_length};
use crate::model::ModelError;
use crate::weights::{Contents, Tensor, WORD_EMBEDDINGS, Weights};

/// A BERT whose tensors were all found.
pub(crate) struct Bert {
    weights: Weights,
    sizes: Sizes,
    pooling: Pooling,
    words: Tensor,
    positions: Tensor,
    types: Tensor,
    norm: Pair,
    layers: Vec<Layer>,
    arch: Arch,
}

/// A weight and its bias.
struct Pair {
    weight: Tensor,
    bias: Tensor,
}

struct Layer {
    query: Pair,
    key: Pair,
    value: Pair,
    attended: Pair,
    attended_norm: Pair,
    intermediate: Pair,
    output: Pair,
    output_norm: Pair,
}

/// The working memory of the encoder: as large as the largest batch so far, which is bounded.
#[derive(Default)]
pub(crate) struct Scratch {
    hidden: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    context: Vec<f32>,
    intermediate: Vec<f32>,
    scores: Vec<f32>,
}

impl Layer {
    fn find(contents: &Contents, number: usize, sizes: &Sizes) -> Result<Self, ModelError> {
        let pair = |name: &str, shape: &[usize]| {
            Pair::find(contents, &format!("encoder.layer.{number}.{name}"), shape)
        };
        let &Sizes { hidden, intermediate, .. } = sizes;
        Ok(Self {
            query: pair("attention.self.query", &[hidden, hidden])?,
            key: pair("attention.self.key", &[hidden, hidden])?,
            value: pair("attention.self.value", &[hidden, hidden])?,
            attended: pair("attention.output.dense", &[hidden, hidden])?,
            attended_norm: pair("attention.output.LayerNorm", &[hidden])?,
            intermediate: pair("intermediate.dense", &[intermediate, hidden])?,
            output: pair("output.dense", &[hidden, intermediate])?,
            output_norm: pair("output.LayerNorm", &[hidden])?,
        })
    }
}

impl Pair {
    fn find(contents: &Contents, name: &str, shape: &[usize]) -> Result<Self, ModelError> {
        let weight = contents.tensor(&format!("{name}.weight"), shape)?;
        let bias = contents.tensor(&format!("{name}.bias"), &shape[..1])?;
        Ok(Self { weight, bias })
    }
}

impl Bert {
    /// Finds all tensors in the weights; reads none of them.
    pub(crate) fn new(weights: Weights, config: &Config) -> Result<Self, ModelError> {
        let Config { sizes, pooling, .. } = config.clone();
        let contents = weights.contents()?;
        let layers = (0..sizes.layers).map(|number| Layer::find(&contents, number, &sizes));
        Ok(Self {
            words: contents.tensor(WORD_EMBEDDINGS, &[sizes.vocabulary, sizes.hidden])?,
            positions: contents
                .tensor("embeddings.position_embeddings.weight", &[sizes.positions, sizes.hidden])?,
            types: contents
                .tensor("embeddings.token_type_embeddings.weight", &[sizes.types, sizes.hidden])?,
            norm: Pair::find(&contents, "embeddings.LayerNorm", &[sizes.hidden])?,
            layers: layers.collect::<Result<_, _>>()?,
            weights,
            sizes,
            pooling,
            arch: Arch::new(),
        })
    }

    /// Length of the mapped file, in bytes.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.weights.bytes()
    }

    /// One vector of length 1 for each text. The tokens of all texts follow each other without padding, so that each
    /// linear layer is one product; `lengths` says where one text ends and the next begins.
    ///
    /// # Panics
    /// If a token is not in the vocabulary, or a text is empty or has more tokens than there are positions.
    pub(crate) fn encode(&self, tokens: &[u32], lengths: &[usize], scratch: &mut Scratch) -> Vec<Vec<f32>> {
        let Sizes { hidden, intermediate, .. } = self.sizes;
        scratch.resize(tokens.len(), hidden, intermediate);
        self.embed(tokens, lengths, &mut scratch.hidden, &mut scratch.context);
        for layer in &self.layers {
            self.attend(layer, lengths, scratch);
            self.transform(layer, scratch);
        }
        self.pool(lengths, &scratch.hidden)
    }

    /// Sums the embeddings of word, position and type.
    fn embed(&self, tokens: &[u32], lengths: &[usize], hidden: &mut [f32], sums: &mut [f32]) {
        let width = self.sizes.hidden;
        let (words, positions) = (self.numbers(&self.words), self.numbers(&self.positions));
        // Every token is of the first type: there is one text, not a pair.
        let kind = &self.numbers(&self.types)[..width];
        let places = lengths.iter().flat_map(|length| 0..*length);
        let rows = hidden.chunks_exact_mut(width).zip(sums.chunks_exact_mut(width));
        for ((row, sum), (token, place)) in rows.zip(tokens.iter().zip(places)) {
            row.copy_from_slice(&words[*token as usize * width..][..width]);
            for ((sum, position), kind) in sum.iter_mut().zip(&positions[place * width..][..width]).zip(kind)
            {
                *sum = position + kind;
            }
        }
        add_and_normalize(self.arch, hidden, sums, self.norm(&self.norm));
    }

    /// Each token gathers from the tokens of its text what matters to it.
    fn attend(&self, layer: &Layer, lengths: &[usize], scratch: &mut Scratch) {
        let Scratch { hidden, query, key, value, context, scores, .. } = scratch;
        let width = self.sizes.hidden;
        self.linear(&layer.query).apply(self.arch, hidden, query);
        self.linear(&layer.key).apply(self.arch, hidden, key);
        self.linear(&layer.value).apply(self.arch, hidden, value);
        let head = width / self.sizes.heads;
        let scale = 1.0 / (head as f32).sqrt();
        let mut begin = 0;
        for &length in lengths {
            for column in (0..width).step_by(head) {
                let at = begin * width + column;
                let rows = |data| View { data, row: width, column: 1 };
                let columns = View { data: &key[at..], row: 1, column: width };
                scores.resize(length * length, 0.0);
                multiply([length, head, length], scale, rows(&query[at..]), columns, 0.0, scores, length);
                softmax(self.arch, scores, length);
                let weights = View { data: scores, row: length, column: 1 };
                multiply(
                    [length, length, head],
                    1.0,
                    weights,
                    rows(&value[at..]),
                    0.0,
                    &mut context[at..],
                    width,
                );
            }
            begin += length;
        }
        // The query is no longer needed.
        self.linear(&layer.attended).apply(self.arch, context, query);
        add_and_normalize(self.arch, hidden, query, self.norm(&layer.attended_norm));
    }

    /// Each token is thought over by itself.
    fn transform(&self, layer: &Layer, scratch: &mut Scratch) {
        let Scratch { hidden, context, intermediate, .. } = scratch;
        self.linear(&layer.intermediate).apply(self.arch, hidden, intermediate);
        gelu(self.arch, intermediate);
        self.linear(&layer.output).apply(self.arch, intermediate, context);
        add_and_normalize(self.arch, hidden, context, self.norm(&layer.output_norm));
    }

    fn pool(&self, lengths: &[usize], hidden: &[f32]) -> Vec<Vec<f32>> {
        let width = self.sizes.hidden;
        let mut rows = hidden.chunks_exact(width);
        let pooled = lengths.iter().map(|&length| {
            let mut vector = vec![0.0; width];
            for (at, row) in rows.by_ref().take(length).enumerate() {
                if at == 0 || self.pooling == Pooling::Mean {
                    for (sum, x) in vector.iter_mut().zip(row) {
                        *sum += x;
                    }
                }
            }
            // A mean is a sum of another length, and the length becomes 1.
            to_unit_length(&mut vector);
            vector
        });
        pooled.collect()
    }

    fn numbers(&self, tensor: &Tensor) -> &[f32] {
        self.weights.numbers(tensor)
    }

    fn linear(&self, pair: &Pair) -> Linear<'_> {
        Linear { weight: self.numbers(&pair.weight), bias: self.numbers(&pair.bias) }
    }

    fn norm(&self, pair: &Pair) -> Norm<'_> {
        let Linear { weight, bias } = self.linear(pair);
        Norm { weight, bias, epsilon: self.sizes.epsilon }
    }
}

impl Scratch {
    fn resize(&mut self, tokens: usize, hidden: usize, intermediate: usize) {
        for buffer in [&mut self.hidden, &mut self.query, &mut self.key, &mut self.value, &mut self.context] {
            buffer.resize(tokens * hidden, 0.0);
        }
        self.intermediate.resize(tokens * intermediate, 0.0);
    }
}
