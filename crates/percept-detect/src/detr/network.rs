//! The network.

use percept_backbone::checkpoint::{activation, count};
use percept_backbone::resnet::{Resnet, ResnetConfig};
use percept_backbone::{
    Activation, Embedding, LayerNorm, Linear, Result, Tensor, ToContiguous, Weights, WeightsError,
    add_to_each, sigmoid, sine_positions,
};
use serde_json::Value;

use super::layer::{EPS, Layer, Memory, Shape};
use crate::detector;
use crate::heads::MlpHead;
use crate::scores::{Outputs, Scores};

/// Rows and columns for which positions are learned, where they are.
const LEARNED: usize = 50;

/// DETR from pixels to boxes.
#[derive(Debug)]
pub(super) struct Network {
    backbone: Resnet,
    projection: Linear,
    places: Places,
    encoder: Vec<Layer>,
    decoder: Vec<Layer>,
    decoder_norm: LayerNorm,
    /// Positions of the queries: `[1, queries, dim]`.
    queries: Tensor,
    classes: Linear,
    boxes: MlpHead,
}

/// How the network knows where on the map something is.
#[derive(Debug)]
enum Places {
    Sine,
    /// `[50, dim / 2]` each.
    Learned {
        rows: Embedding,
        columns: Embedding,
    },
}

impl detector::Network for Network {
    const SCORES: Scores = Scores::Softmax;
    const IMAGE_PROCESSOR: &'static str = "DetrImageProcessor";

    fn load(weights: &Weights, config: &Value, classes: usize) -> Result<Self, WeightsError> {
        let weights = &weights.renamed(|name, shape| vec![(published_name(name), 0..shape[0])]);
        let backbone = ResnetConfig::of_detector(config)?;
        let model = weights.at("model");
        let dim = count(config, "d_model", 256)?;
        let stack = |name: &str| {
            let shape = Shape {
                dim,
                heads: count(config, &format!("{name}_attention_heads"), 8)?,
                hidden: count(config, &format!("{name}_ffn_dim"), 2048)?,
                activation: activation(config, "activation_function", Activation::Relu)?,
            };
            let layers = 0..count(config, &format!("{name}_layers"), 6)?;
            let layer = |index| Layer::load(&model.at(format!("{name}.layers.{index}")), shape);
            layers.map(layer).collect::<Result<Vec<_>, WeightsError>>()
        };
        let channels = backbone.out_channels().last().copied().unwrap_or_default();
        let count_of_queries = count(config, "num_queries", 100)?;
        let queries = model.get("query_position_embeddings.weight", &[count_of_queries, dim])?;
        Ok(Self {
            backbone: Resnet::load(&model.at("backbone.conv_encoder.model"), &backbone)?,
            projection: Linear::load_pointwise(&model.at("input_projection"), channels, dim)?,
            places: Places::load(&model.at("position_embedding"), config, dim)?,
            encoder: stack("encoder")?,
            decoder: stack("decoder")?,
            decoder_norm: LayerNorm::load(&model.at("decoder.layernorm"), dim, EPS)?,
            queries: queries.unsqueeze(0).map_err(WeightsError::Engine)?,
            classes: Linear::load(&weights.at("class_labels_classifier"), dim, Self::SCORES.logits(classes))?,
            boxes: MlpHead::load(&weights.at("bbox_predictor"), &[dim, dim, dim, 4])?,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Outputs> {
        let maps = self.backbone.feature_maps(pixel_values)?;
        let Some(map) = maps.last() else { unreachable!("a backbone has a last map") };
        let (batch, _, rows, columns) = map.dims4()?;
        let by_place = map.flatten_from(2)?.transpose(1, 2)?.to_contiguous()?;
        let mut states = self.projection.forward(&by_place)?;
        let places = self.places.of([rows, columns], &states)?;
        for layer in &self.encoder {
            states = layer.forward(&states, &places, None)?;
        }
        let memory = Memory { keys: add_to_each(&states, &places)?, values: states };
        let (_, queries, dim) = self.queries.dims3()?;
        let mut states = Tensor::zeros((batch, queries, dim), memory.values.dtype(), memory.values.device())?;
        for layer in &self.decoder {
            states = layer.forward(&states, &self.queries, Some(&memory))?;
        }
        let states = self.decoder_norm.forward(&states)?;
        let boxes = sigmoid(&self.boxes.forward(&states)?)?;
        Ok(Outputs { logits: self.classes.forward(&states)?, boxes, masks: None })
    }
}

impl Places {
    fn load(weights: &Weights, config: &Value, dim: usize) -> Result<Self, WeightsError> {
        match config["position_embedding_type"].as_str().unwrap_or("sine") {
            "sine" => Ok(Self::Sine),
            "learned" => Ok(Self::Learned {
                rows: Embedding::load(&weights.at("row_embeddings"), LEARNED, dim / 2)?,
                columns: Embedding::load(&weights.at("column_embeddings"), LEARNED, dim / 2)?,
            }),
            other => {
                let message =
                    format!("config.json: `position_embedding_type` is {other}, not sine or learned");
                Err(WeightsError::Format(message))
            }
        }
    }

    /// `[1, rows * columns, dim]` for a map, beside `states`.
    fn of(&self, [rows, columns]: [usize; 2], states: &Tensor) -> Result<Tensor> {
        let Self::Learned { rows: down, columns: across } = self else {
            return sine_positions([rows, columns], states.dim(2)?, 10_000.0, states.device());
        };
        let down = down.rows(0, rows)?.unsqueeze(1)?;
        let across = across.rows(0, columns)?.unsqueeze(0)?;
        let half = down.dim(2)?;
        let all = [across.broadcast_as((rows, columns, half))?, down.broadcast_as((rows, columns, half))?];
        Tensor::cat(&all, 2)?.reshape((1, rows * columns, 2 * half))
    }
}

/// The name in published checkpoints, for those of transformers 5.
fn published_name(name: &str) -> String {
    let name = name.replace(".o_proj.", ".out_proj.").replace(".mlp.fc", ".fc");
    match name.strip_prefix("model.backbone.model.") {
        Some(rest) => format!("model.backbone.conv_encoder.model.{rest}"),
        None => name,
    }
}
