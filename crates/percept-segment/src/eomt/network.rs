//! The network: a Vision Transformer whose last layers also mix the queries.

use percept_backbone::checkpoint::count;
use percept_backbone::vit::{Vit, VitConfig};
use percept_backbone::{
    Activation, Alignment, DType, Depthwise, Filter, LayerNorm, Linear, Result, Tensor, ToContiguous,
    Weights, WeightsError, products, resize,
};
use percept_core::Precision;
use serde_json::Value;

use crate::universal::{Network as Universal, Outputs, Recipe};

/// Of the norm behind each upscaling, which no configuration states.
const UPSCALE_EPS: f64 = 1e-6;
/// What is added to the score of a key that a query does not look at.
const UNSEEN: f64 = -1e9;

/// EoMT from pixels to masks and classes.
#[derive(Debug)]
pub(super) struct Network {
    vit: Vit,
    /// `[1, queries, dim]`.
    queries: Tensor,
    /// Layers in front of which the queries stand, from the last one.
    joined: usize,
    /// For each of these whether its queries look only where the masks so far are.
    masked: Vec<bool>,
    upscale: Vec<Upscale>,
    mask_head: [Linear; 3],
    activation: Activation,
    classes: Linear,
    precision: Precision,
}

/// Twice as many rows and columns of features.
#[derive(Debug)]
struct Upscale {
    /// A transposed convolution whose kernel is as large as its stride: four pixels of each, row by row.
    widen: Linear,
    depthwise: Depthwise,
    norm: LayerNorm,
}

impl Universal for Network {
    const RECIPE: Recipe = Recipe::Eomt;
    const IMAGE_PROCESSOR: &'static str = "EomtImageProcessor";

    fn load(weights: &Weights, config: &Value, classes: usize) -> Result<Self, WeightsError> {
        let weights = &weights.renamed(|name, shape| vec![(original_name(name), 0..shape[0])]);
        let (shape, names) = VitConfig::of(config)?;
        let dim = shape.dim;
        let activation = Activation::from_config(config["hidden_act"].as_str().unwrap_or("gelu"))
            .ok_or_else(|| {
                WeightsError::Format(format!("config.json: `{}` is unknown", config["hidden_act"]))
            })?;
        let joined = count(config, "num_blocks", 4)?;
        if joined > shape.depth {
            let message = format!("config.json: queries join {joined} of {} layers", shape.depth);
            return Err(WeightsError::Format(message));
        }
        let queries = count(config, "num_queries", 200)?;
        let head = |name: &str| Linear::load(&weights.at("mask_head").at(name), dim, dim);
        Ok(Self {
            vit: Vit::load(weights, &shape, &names)?,
            queries: weights
                .get("query.weight", &[queries, dim])?
                .unsqueeze(0)
                .map_err(WeightsError::Engine)?,
            joined,
            masked: masked(weights, joined)?,
            upscale: (0..count(config, "num_upscale_blocks", 2)?)
                .map(|index| Upscale::load(&weights.at(format!("upscale_block.block.{index}")), dim))
                .collect::<Result<_, _>>()?,
            mask_head: [head("fc1")?, head("fc2")?, head("fc3")?],
            activation,
            classes: Linear::load(&weights.at("class_predictor"), dim, classes + 1)?,
            precision: weights.precision(),
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Outputs> {
        let (states, grid) = self.encode(pixel_values)?;
        let masks = self.masks(&states, grid)?;
        let classes = self.classes.forward(&states.narrow(1, 0, self.queries.dim(1)?)?.to_contiguous()?)?;
        Ok(Outputs { masks, classes })
    }
}

impl Network {
    /// The last states, normalised: `[batch, queries + prefix + patches, dim]`, and rows and columns of patches.
    pub(super) fn encode(&self, pixel_values: &Tensor) -> Result<(Tensor, [usize; 2])> {
        let (_, _, height, width) = pixel_values.dims4()?;
        let grid = self.vit.grid([height, width]);
        let mut states = self.vit.embed(pixel_values)?;
        // A mask stays for the layers behind it that compute none of their own, as in the reference.
        let mut bias = None;
        for (index, block) in self.vit.blocks().iter().enumerate() {
            let behind = (index + self.joined).checked_sub(self.vit.blocks().len());
            if behind == Some(0) {
                states = self.join(&states)?;
            }
            if behind.is_some_and(|layer| self.masked[layer]) {
                bias = Some(self.attention_bias(&states, grid)?);
            }
            states = match &bias {
                Some(bias) => block.forward_biased(&states, bias)?,
                None => block.forward(&states)?,
            };
        }
        Ok((self.vit.normalise(&states)?, grid))
    }

    /// The same tokens behind the queries.
    fn join(&self, states: &Tensor) -> Result<Tensor> {
        let (batch, _, dim) = states.dims3()?;
        let queries = self.queries.broadcast_as((batch, self.queries.dim(1)?, dim))?;
        Tensor::cat(&[&queries, states], 1)
    }

    /// What is added to the scores: queries see the patches where their masks are, everything else sees everything.
    /// `[batch, 1, tokens, tokens]`.
    fn attention_bias(&self, states: &Tensor, grid: [usize; 2]) -> Result<Tensor> {
        let (batch, tokens, _) = states.dims3()?;
        let masks = self.masks(&self.vit.normalise(states)?, grid)?;
        let masks = resize(&masks, grid, Filter::Bilinear, Alignment::Edges)?.flatten_from(2)?;
        let (queries, first) = (self.queries.dim(1)?, tokens - grid[0] * grid[1]);
        let unseen = (masks.le(0.0)?.to_dtype(DType::F32)? * UNSEEN)?;
        unseen
            .pad_with_zeros(2, first, 0)?
            .pad_with_zeros(1, 0, tokens - queries)?
            .reshape((batch, 1, tokens, tokens))
    }

    /// The mask logits of normalised states: `[batch, queries, rows, columns]`.
    fn masks(&self, states: &Tensor, [rows, columns]: [usize; 2]) -> Result<Tensor> {
        let (batch, tokens, dim) = states.dims3()?;
        let queries = self.queries.dim(1)?;
        let [first, second, third] = &self.mask_head;
        let heads = first.forward_activated(&states.narrow(1, 0, queries)?, self.activation)?;
        let heads = third.forward(&second.forward_activated(&heads, self.activation)?)?;
        let patches = states.narrow(1, tokens - rows * columns, rows * columns)?;
        let mut features = patches.reshape((batch, rows, columns, dim))?;
        for upscale in &self.upscale {
            features = upscale.forward(&features, self.activation)?;
        }
        let (_, rows, columns, _) = features.dims4()?;
        products(&heads, &features.flatten(1, 2)?, self.precision)?.reshape((batch, queries, rows, columns))
    }
}

impl Upscale {
    fn load(weights: &Weights, dim: usize) -> Result<Self, WeightsError> {
        Ok(Self {
            widen: Linear::load_doubling(&weights.at("conv1"), dim, dim)?,
            depthwise: Depthwise::load(&weights.at("conv2"), dim, 3)?,
            norm: LayerNorm::load(&weights.at("layernorm2d"), dim, UPSCALE_EPS)?,
        })
    }

    /// `[batch, rows, columns, dim]` to twice the rows and columns.
    fn forward(&self, features: &Tensor, activation: Activation) -> Result<Tensor> {
        let (batch, rows, columns, dim) = features.dims4()?;
        let wide = self
            .widen
            .forward_activated(features, activation)?
            .reshape((batch, rows, columns, 2, 2 * dim))?
            .transpose(2, 3)?
            .to_contiguous()?
            .reshape((batch, 2 * rows, 2 * columns, dim))?;
        self.norm.forward(&self.depthwise.forward_activated(&wide, None)?)
    }
}

/// Which of the layers that the queries join mask their attention. While a model is trained that is drawn by lot
/// with falling odds; what is published has none left. A file without odds has those that a new model has: all.
fn masked(weights: &Weights, joined: usize) -> Result<Vec<bool>, WeightsError> {
    if !weights.has("attn_mask_probs") {
        return Ok(vec![true; joined]);
    }
    let odds = weights.get("attn_mask_probs", &[joined])?;
    let odds = odds.to_vec1::<f32>().map_err(WeightsError::Engine)?;
    match odds.iter().find(|odds| **odds > 0.0 && **odds < 1.0) {
        Some(odds) => Err(WeightsError::Format(format!(
            "`attn_mask_probs` has {odds}: the model was saved amid its training, and masks its attention by lot"
        ))),
        None => Ok(odds.iter().map(|odds| *odds > 0.0).collect()),
    }
}

/// transformers 5 stores the gated MLP of the giant in three matrices, and so do we under DINOv2's names.
fn original_name(name: &str) -> String {
    let pairs = [
        (".mlp.gate_proj.", ".mlp.gate."),
        (".mlp.up_proj.", ".mlp.up."),
        (".mlp.down_proj.", ".mlp.weights_out."),
    ];
    pairs.iter().fold(name.to_owned(), |name, (new, original)| name.replace(new, original))
}
