//! The network: a Vision Transformer, and two small heads on its last tokens.

use percept_backbone::checkpoint::count;
use percept_backbone::vit::{Positions, Resampling, Vit, VitConfig};
use percept_backbone::{Result, Tensor, ToContiguous, Weights, WeightsError, sigmoid};
use serde_json::Value;

use crate::detector;
use crate::heads::MlpHead;
use crate::scores::{Outputs, Scores};

/// YOLOS from pixels to boxes.
#[derive(Debug)]
pub(super) struct Network {
    vit: Vit,
    /// What is added to all tokens behind each layer but the last; empty in most sizes.
    mid_positions: Vec<MidPositions>,
    /// Detection tokens.
    queries: usize,
    classes: MlpHead,
    boxes: MlpHead,
}

/// Positions of all tokens, for one layer.
#[derive(Debug)]
struct MidPositions {
    /// `[1, dim]`.
    class_token: Tensor,
    patches: Positions,
    /// `[queries, dim]`.
    queries: Tensor,
}

impl detector::Network for Network {
    const SCORES: Scores = Scores::Softmax;
    const IMAGE_PROCESSOR: &'static str = "YolosImageProcessor";

    fn load(weights: &Weights, config: &Value, classes: usize) -> Result<Self, WeightsError> {
        let (shape, names) = VitConfig::of(config)?;
        let vit = Vit::load(&weights.at("vit"), &shape, &names)?;
        let used = config["use_mid_position_embeddings"].as_bool().unwrap_or(true);
        let mid_positions = match used && shape.depth > 1 {
            true => MidPositions::load(weights, &shape, vit.grid(shape.image))?,
            false => Vec::new(),
        };
        let dim = shape.dim;
        let head = weights.at("class_labels_classifier");
        Ok(Self {
            vit,
            mid_positions,
            queries: count(config, "num_detection_tokens", 100)?,
            classes: MlpHead::load(&head, &[dim, dim, dim, Self::SCORES.logits(classes)])?,
            boxes: MlpHead::load(&weights.at("bbox_predictor"), &[dim, dim, dim, 4])?,
        })
    }

    fn forward(&self, pixel_values: &Tensor) -> Result<Outputs> {
        let (_, _, height, width) = pixel_values.dims4()?;
        let grid = self.vit.grid([height, width]);
        let mut states = self.vit.embed(pixel_values)?;
        for (index, block) in self.vit.blocks().iter().enumerate() {
            states = block.forward(&states)?;
            if let Some(positions) = self.mid_positions.get(index) {
                states = states.broadcast_add(&positions.at(grid)?)?;
            }
        }
        let first = states.dim(1)? - self.queries;
        let queries = self.vit.normalise(&states.narrow(1, first, self.queries)?.to_contiguous()?)?;
        Ok(Outputs {
            logits: self.classes.forward(&queries)?,
            boxes: sigmoid(&self.boxes.forward(&queries)?)?,
            masks: None,
        })
    }
}

impl MidPositions {
    fn load(weights: &Weights, shape: &VitConfig, grid: [usize; 2]) -> Result<Vec<Self>, WeightsError> {
        let (layers, patches) = (shape.depth - 1, grid[0] * grid[1]);
        let tokens = 1 + patches + shape.trailing;
        // The older name is that of published checkpoints.
        let names =
            ["vit.encoder.interpolation.mid_position_embeddings", "vit.encoder.mid_position_embeddings"];
        let name = names.iter().find(|name| weights.has(name)).unwrap_or(&names[1]);
        let all = weights.get(name, &[layers, 1, tokens, shape.dim])?;
        let of = |layer: usize| {
            let all = all.get(layer)?.get(0)?;
            let patch_table = all.narrow(0, 1, patches)?.to_contiguous()?;
            Ok(Self {
                class_token: all.narrow(0, 0, 1)?,
                patches: Positions::new(patch_table, grid, Resampling::Bicubic),
                queries: all.narrow(0, 1 + patches, shape.trailing)?,
            })
        };
        (0..layers).map(of).collect::<Result<_>>().map_err(WeightsError::Engine)
    }

    /// `[1, tokens, dim]` for patches in a grid.
    fn at(&self, grid: [usize; 2]) -> Result<Tensor> {
        Tensor::cat(&[&self.class_token, &self.patches.at(grid)?, &self.queries], 0)?.unsqueeze(0)
    }
}
