//! The mask decoder: an image's embedding and prompts to mask logits and scores (`SamMaskDecoder`, `Sam2MaskDecoder`).

use percept_backbone::{
    Activation, LayerNorm, Linear, Result, Tensor, ToContiguous, Weights, WeightsError, add_to_each,
};

use super::config::{DecoderShape, Family};
use super::prompts::Embedded;
use super::two_way::{State, TwoWay};

/// Of the norm between the two steps of upscaling, which no configuration states.
const UPSCALE_EPS: f64 = 1e-6;

/// What the decoder needs of an image.
#[derive(Clone, Debug)]
pub(crate) struct ImageEmbedding {
    /// `[1, grid * grid, dim]`, row by row.
    pub(crate) cells: Tensor,
    /// What SAM 2 adds while it upscales, laid out as [`MaskDecoder`] upscales: `[1, 4 grid^2, dim / 4]` and `[1, 16
    /// grid^2, dim / 8]`.
    pub(crate) details: Option<[Tensor; 2]>,
}

/// What the decoder says of a batch of prompts; masks are computed where they are wanted.
pub(crate) struct Decoded {
    /// By prompt, the estimated IoU of each mask: the one, then the candidates.
    pub(crate) scores: Vec<Vec<f32>>,
    /// By prompt, the logit that there is an object; SAM 2 only.
    pub(crate) objects: Option<Vec<f32>>,
    /// `[prompts, masks, dim]`.
    mask_tokens: Tensor,
    /// `[prompts, grid * grid, dim]`.
    image: Tensor,
}

#[derive(Debug)]
pub(crate) struct MaskDecoder {
    shape: DecoderShape,
    /// `[tokens, dim]`: that of the object's score where there is one, that of the scores, those of the masks.
    output_tokens: Tensor,
    two_way: TwoWay,
    upscale: [Linear; 2],
    upscale_norm: LayerNorm,
    /// One a mask.
    hyper: Vec<FeedForward>,
    scores: FeedForward,
    objects: Option<FeedForward>,
}

impl MaskDecoder {
    pub(crate) fn load(weights: &Weights, shape: &DecoderShape) -> Result<Self, WeightsError> {
        let &DecoderShape { dim, masks, .. } = shape;
        let mut tokens = Vec::new();
        if shape.family == Family::Sam2 {
            tokens.push(weights.get("obj_score_token.weight", &[1, dim])?);
        }
        tokens.push(weights.get("iou_token.weight", &[1, dim])?);
        tokens.push(weights.get("mask_tokens.weight", &[masks, dim])?);
        let head = |name: String, shape| FeedForward::load(&weights.at(name), shape);
        let hyper =
            (0..masks).map(|mask| head(format!("output_hypernetworks_mlps.{mask}"), [dim, dim, dim / 8, 3]));
        Ok(Self {
            output_tokens: Tensor::cat(&tokens, 0).map_err(WeightsError::Engine)?,
            two_way: TwoWay::load(&weights.at("transformer"), shape)?,
            upscale: [
                Linear::load_doubling(&weights.at("upscale_conv1"), dim, dim / 4)?,
                Linear::load_doubling(&weights.at("upscale_conv2"), dim / 4, dim / 8)?,
            ],
            upscale_norm: LayerNorm::load(&weights.at("upscale_layer_norm"), dim / 4, UPSCALE_EPS)?,
            hyper: hyper.collect::<Result<_, _>>()?,
            scores: head("iou_prediction_head".into(), [dim, shape.iou_hidden, masks, shape.iou_layers])?,
            objects: match shape.family {
                Family::Sam => None,
                Family::Sam2 => Some(head("pred_obj_score_head".into(), [dim, dim, 1, 3])?),
            },
            shape: shape.clone(),
        })
    }

    /// How many masks a prompt has: the one, then the candidates.
    pub(crate) fn masks(&self) -> usize {
        self.shape.masks
    }

    pub(crate) fn shape(&self) -> &DecoderShape {
        &self.shape
    }

    /// Scores, and what masks are made of. `positions` are those of the image, `[1, grid * grid, dim]`.
    pub(crate) fn decode(
        &self,
        image: &ImageEmbedding,
        prompts: &Embedded,
        positions: &Tensor,
    ) -> Result<Decoded> {
        let (count, _, dim) = prompts.sparse.dims3()?;
        let (outputs, _) = self.output_tokens.dims2()?;
        let outputs = self.output_tokens.broadcast_as((count, outputs, dim))?;
        let tokens = Tensor::cat(&[&outputs.to_contiguous()?, &prompts.sparse], 1)?;
        let cells = add_to_each(&prompts.dense, &image.cells)?;
        let State { tokens, image } = self.two_way.forward(&tokens, cells, positions)?;

        let before = usize::from(self.objects.is_some());
        let scores = self.scores.forward(&tokens.narrow(1, before, 1)?.to_contiguous()?.squeeze(1)?)?;
        let mut scores = scores.to_vec2::<f32>()?;
        if self.shape.family == Family::Sam2 {
            scores.iter_mut().flatten().for_each(|score| *score = 1.0 / (1.0 + (-*score).exp()));
        }
        let objects = match &self.objects {
            Some(head) => Some(
                head.forward(&tokens.narrow(1, 0, 1)?.to_contiguous()?.squeeze(1)?)?
                    .flatten_all()?
                    .to_vec1()?,
            ),
            None => None,
        };
        Ok(Decoded {
            scores,
            objects,
            mask_tokens: tokens.narrow(1, before + 1, self.masks())?.to_contiguous()?,
            image,
        })
    }

    /// Mask logits `[prompts, masks, 4 grid, 4 grid]` of some of the prompts, which may be named in any order.
    pub(crate) fn logits(
        &self,
        image: &ImageEmbedding,
        decoded: &Decoded,
        prompts: &[u32],
    ) -> Result<Tensor> {
        let count = prompts.len();
        let prompts = Tensor::from_slice(prompts, count, decoded.image.device())?;
        let cells = decoded.image.index_select(&prompts, 0)?;
        let tokens = decoded.mask_tokens.index_select(&prompts, 0)?;
        let upscaled = self.upscale(image, &cells)?;
        let weights = self.hyper.iter().enumerate().map(|(mask, hyper)| {
            hyper.forward(&tokens.narrow(1, mask, 1)?.to_contiguous()?.squeeze(1)?)?.unsqueeze(1)
        });
        let weights = Tensor::cat(&weights.collect::<Result<Vec<_>>>()?, 1)?;
        in_rows(&weights.matmul(&upscaled.t()?)?)
    }

    /// `[prompts, cells, dim]` to `[prompts, 16 cells, dim / 8]`. A cell becomes a square of four, and each of them
    /// again; those of one cell stay together.
    fn upscale(&self, image: &ImageEmbedding, cells: &Tensor) -> Result<Tensor> {
        let (count, cells_each, _) = cells.dims3()?;
        let dim = self.shape.dim;
        let mut x = self.upscale[0].forward(cells)?.reshape((count, 4 * cells_each, dim / 4))?;
        if let Some([coarse, _]) = &image.details {
            x = add_to_each(&x, coarse)?;
        }
        let x = Activation::GeluErf.forward(&self.upscale_norm.forward(&x)?)?;
        let shape = (count, 16 * cells_each, dim / 8);
        match &image.details {
            Some([_, fine]) => {
                let x = self.upscale[1].forward(&x)?.reshape(shape)?;
                Activation::GeluErf.forward(&add_to_each(&x, fine)?)
            }
            None => self.upscale[1].forward_activated(&x, Activation::GeluErf)?.reshape(shape),
        }
    }
}

/// From the order in which cells are upscaled, `[prompts, masks, 16 grid^2]`, to rows of pixels, `[prompts, masks, 4
/// grid, 4 grid]`.
fn in_rows(x: &Tensor) -> Result<Tensor> {
    let (prompts, masks, pixels) = x.dims3()?;
    let grid = (pixels / 16).isqrt();
    x.reshape(&[prompts * masks, grid, grid, 2, 2, 2, 2][..])?
        .permute([0, 1, 3, 5, 2, 4, 6])?
        .to_contiguous()?
        .reshape((prompts, masks, 4 * grid, 4 * grid))
}

/// The reverse: rows of pixels of `doublings` times the grid's size, `[1, pixels, channels]`, to the order in which cells
/// are upscaled.
pub(crate) fn by_cell(x: &Tensor, grid: usize, doublings: usize) -> Result<Tensor> {
    let (_, pixels, channels) = x.dims3()?;
    let shape = match doublings {
        1 => vec![grid, 2, grid, 2, channels],
        _ => vec![grid, 2, 2, grid, 2, 2, channels],
    };
    let order: &[usize] = if doublings == 1 { &[0, 2, 1, 3, 4] } else { &[0, 3, 1, 4, 2, 5, 6] };
    x.reshape(shape)?.permute(order)?.to_contiguous()?.reshape((1, pixels, channels))
}

/// Matrices with ReLU between them (`SamFeedForward`, `Sam2FeedForward`).
#[derive(Debug)]
struct FeedForward {
    hidden: Vec<Linear>,
    output: Linear,
}

impl FeedForward {
    /// `[input, hidden, output, matrices]`, of which there are at least two.
    fn load(weights: &Weights, [input, hidden, output, matrices]: [usize; 4]) -> Result<Self, WeightsError> {
        let mut layers = vec![Linear::load(&weights.at("proj_in"), input, hidden)?];
        for layer in 0..matrices - 2 {
            layers.push(Linear::load(&weights.at(format!("layers.{layer}")), hidden, hidden)?);
        }
        Ok(Self { hidden: layers, output: Linear::load(&weights.at("proj_out"), hidden, output)? })
    }

    /// `[rows, input]` to `[rows, output]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for layer in &self.hidden {
            x = layer.forward_activated(&x, Activation::Relu)?;
        }
        self.output.forward(&x)
    }
}
