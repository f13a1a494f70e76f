//! The models that the program knows by name, each file pinned by its contents.

use crate::config::{CONFIG_FILE, VOCABULARY_FILE};
use crate::weights::WEIGHTS_FILE;

/// Where models are pulled from unless another place is named.
pub const HUB: &str = "https://huggingface.co";

/// The files that every model has.
pub(crate) const NEEDED_FILES: [&str; 3] = [CONFIG_FILE, VOCABULARY_FILE, WEIGHTS_FILE];
/// The files that say more about how a model is to be used; a model may lack them.
pub(crate) const FURTHER_FILES: [&str; 4] =
    ["tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json", "1_Pooling/config.json"];

/// A model that the program knows.
pub(crate) struct Known {
    /// Its name.
    pub(crate) name: &'static str,
    /// Where it is on the hub.
    pub(crate) repository: &'static str,
    /// The commit there.
    pub(crate) revision: &'static str,
    /// Its files with their length in bytes and their SHA-256.
    pub(crate) files: &'static [(&'static str, u64, &'static str)],
}

/// All of them.
pub(crate) const KNOWN: [Known; 1] = [Known {
    name: "all-MiniLM-L6-v2",
    repository: "sentence-transformers/all-MiniLM-L6-v2",
    revision: "c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
    files: &[
        ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        ("vocab.txt", 231508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
        ("model.safetensors", 90868376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        ("tokenizer.json", 466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        ("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
        ("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
        ("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
    ],
}];
