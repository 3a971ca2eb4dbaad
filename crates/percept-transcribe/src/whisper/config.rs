//! What a Whisper checkpoint says of itself: sizes, special tokens, what to suppress, which heads
//! align.

use std::path::Path;

use percept_backbone::{Activation, Weights};
use percept_core::{Error, LocalModel, Result};
use serde::Deserialize;

/// Sizes of the network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) mel_bins: usize,
    pub(super) dim: usize,
    pub(super) encoder_layers: usize,
    pub(super) encoder_heads: usize,
    pub(super) encoder_hidden: usize,
    pub(super) decoder_layers: usize,
    pub(super) decoder_heads: usize,
    pub(super) decoder_hidden: usize,
    pub(super) vocabulary: usize,
    /// Positions that the encoder gives; the window has twice as many mel frames.
    pub(super) source_positions: usize,
    /// Tokens that the decoder can hold.
    pub(super) target_positions: usize,
    pub(super) activation: Activation,
    pub(super) scale_embedding: bool,
}

/// How the checkpoint wants to be decoded.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Decoding {
    pub(super) suppress: Option<Vec<u32>>,
    pub(super) suppress_at_start: Option<Vec<u32>>,
    /// The latest first timestamp, in steps of 0.02 s.
    pub(super) max_initial_timestamp: Option<usize>,
    /// (layer, head) of the decoder whose cross-attention follows the words.
    pub(super) alignment_heads: Option<Vec<(usize, usize)>>,
    pub(super) multilingual: Option<bool>,
    pub(super) no_timestamps: Option<u32>,
}

/// Of the published models: one second.
const MAX_INITIAL_TIMESTAMP: usize = 50;

#[derive(Deserialize)]
struct HuggingFaceConfig {
    num_mel_bins: usize,
    d_model: usize,
    encoder_layers: usize,
    encoder_attention_heads: usize,
    encoder_ffn_dim: usize,
    decoder_layers: usize,
    decoder_attention_heads: usize,
    decoder_ffn_dim: usize,
    vocab_size: usize,
    max_source_positions: usize,
    max_target_positions: usize,
    #[serde(default = "gelu")]
    activation_function: String,
    #[serde(default)]
    scale_embedding: bool,
    suppress_tokens: Option<Vec<i64>>,
    begin_suppress_tokens: Option<Vec<i64>>,
}

fn gelu() -> String {
    "gelu".into()
}

#[derive(Deserialize)]
struct GenerationConfig {
    suppress_tokens: Option<Vec<i64>>,
    begin_suppress_tokens: Option<Vec<i64>>,
    max_initial_timestamp_index: Option<usize>,
    alignment_heads: Option<Vec<(usize, usize)>>,
    is_multilingual: Option<bool>,
    no_timestamps_token_id: Option<u32>,
}

#[derive(Default, Deserialize)]
struct CTranslate2Config {
    suppress_ids: Option<Vec<i64>>,
    suppress_ids_begin: Option<Vec<i64>>,
    alignment_heads: Option<Vec<(usize, usize)>>,
}

/// Reads `config.json` and, where it is there, `generation_config.json` of a Hugging Face snapshot.
pub(super) fn hugging_face(local: &LocalModel) -> Result<(Shape, Decoding)> {
    let path = local.file("config.json")?;
    let config: HuggingFaceConfig = read_json(path)?;
    let activation = Activation::from_config(&config.activation_function).ok_or_else(|| {
        Error::input(path, format!("activation `{}` is unknown", config.activation_function))
    })?;
    let shape = Shape {
        mel_bins: config.num_mel_bins,
        dim: config.d_model,
        encoder_layers: config.encoder_layers,
        encoder_heads: config.encoder_attention_heads,
        encoder_hidden: config.encoder_ffn_dim,
        decoder_layers: config.decoder_layers,
        decoder_heads: config.decoder_attention_heads,
        decoder_hidden: config.decoder_ffn_dim,
        vocabulary: config.vocab_size,
        source_positions: config.max_source_positions,
        target_positions: config.max_target_positions,
        activation,
        scale_embedding: config.scale_embedding,
    };
    let decoding = match local.find("generation_config.json") {
        Some(path) => {
            let generation: GenerationConfig = read_json(path)?;
            Decoding {
                suppress: generation.suppress_tokens.map(token_ids),
                suppress_at_start: generation.begin_suppress_tokens.map(token_ids),
                max_initial_timestamp: generation.max_initial_timestamp_index,
                alignment_heads: generation.alignment_heads,
                multilingual: generation.is_multilingual,
                no_timestamps: generation.no_timestamps_token_id,
            }
        }
        None => Decoding {
            suppress: config.suppress_tokens.map(token_ids),
            suppress_at_start: config.begin_suppress_tokens.map(token_ids),
            max_initial_timestamp: Some(MAX_INITIAL_TIMESTAMP),
            ..Decoding::default()
        },
    };
    Ok((shape, decoding))
}

/// Reads the sizes out of a CTranslate2 model, whose weights already bear Hugging Face's names, and
/// its `config.json`.
pub(super) fn ctranslate2(
    local: &LocalModel,
    weights: &Weights,
    native: &Weights,
) -> Result<(Shape, Decoding)> {
    let dims = |name: &str| -> Result<Vec<usize>> {
        let shape = weights.shape(name).filter(|shape| shape.len() >= 2);
        shape.map(<[usize]>::to_vec).ok_or_else(|| Error::Weights {
            model: local.id.clone(),
            cause: format!("tensor `{name}` is missing or no matrix").into(),
        })
    };
    let heads = |name: &str| native.integer(name).unwrap_or(8).max(1) as usize;
    let layers = |part: &str| {
        (0..).take_while(|layer| weights.has(&format!("model.{part}.layers.{layer}.fc1.weight"))).count()
    };
    let (stem, embedding) = (dims("model.encoder.conv1.weight")?, dims("model.decoder.embed_tokens.weight")?);
    let activation = match native.integer("decoder/activation") {
        Some(0) => Activation::Relu,
        Some(1) => Activation::GeluTanh,
        Some(2) => Activation::Silu,
        _ => Activation::GeluErf,
    };
    let shape = Shape {
        mel_bins: stem[1],
        dim: stem[0],
        encoder_layers: layers("encoder"),
        encoder_heads: heads("encoder/num_heads"),
        encoder_hidden: dims("model.encoder.layers.0.fc1.weight")?[0],
        decoder_layers: layers("decoder"),
        decoder_heads: heads("decoder/num_heads"),
        decoder_hidden: dims("model.decoder.layers.0.fc1.weight")?[0],
        vocabulary: embedding[0],
        source_positions: dims("model.encoder.embed_positions.weight")?[0],
        target_positions: dims("model.decoder.embed_positions.weight")?[0],
        activation,
        scale_embedding: native.integer("decoder/scale_embeddings").unwrap_or(0) != 0,
    };
    let config: CTranslate2Config = match local.find("config.json") {
        Some(path) => read_json(path)?,
        None => CTranslate2Config::default(),
    };
    let decoding = Decoding {
        suppress: config.suppress_ids.map(token_ids),
        suppress_at_start: config.suppress_ids_begin.map(token_ids),
        max_initial_timestamp: Some(MAX_INITIAL_TIMESTAMP),
        alignment_heads: config.alignment_heads,
        ..Decoding::default()
    };
    Ok((shape, decoding))
}

/// Lists from configurations may hold -1 for "the usual ones"; those are not tokens.
fn token_ids(list: Vec<i64>) -> Vec<u32> {
    list.into_iter().filter_map(|id| u32::try_from(id).ok()).collect()
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::input(path, error))?;
    serde_json::from_str(&text).map_err(|error| Error::input(path, error))
}
