//! The prompt encoder: points, boxes and masks to vectors (`SamPromptEncoder`, `Sam2PromptEncoder`).

use percept_backbone::{
    Activation, Conv2d, ConvShape, Device, LayerNorm, Result, Tensor, ToContiguous, Weights, WeightsError,
};

use super::config::{Family, PromptShape};

/// One object that is pointed at, in pixels of the canvas.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prompt {
    pub(crate) points: Vec<CanvasPoint>,
    /// Left, top, right, bottom.
    pub(crate) bounding_box: Option<[f32; 4]>,
    /// Logits of `(4 * grid)^2` pixels, row by row.
    pub(crate) mask: Option<Vec<f32>>,
}

/// A point on the canvas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CanvasPoint {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) meaning: Meaning,
}

/// What a token of a prompt says; the numbers are those of transformers' `input_labels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// 0.
    Background,
    /// 1.
    Foreground,
    /// -1: no point, which fills the place of a box.
    #[cfg_attr(not(test), expect(dead_code, reason = "the encoder adds them itself; fixtures have them"))]
    NoPoint,
    /// -10: a vector of zeros.
    #[cfg_attr(not(test), expect(dead_code, reason = "prompts of one form need none; fixtures have them"))]
    Padding,
}

/// Prompts of one form, embedded.
pub(crate) struct Embedded {
    /// `[prompts, tokens, dim]`.
    pub(crate) sparse: Tensor,
    /// `[prompts or 1, grid * grid, dim]`; 1 where no prompt has a mask.
    pub(crate) dense: Tensor,
}

/// What makes prompts go into one batch: as many tokens, and all with a mask or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    points: usize,
    boxed: bool,
    masked: bool,
}

#[derive(Debug)]
pub(crate) struct PromptEncoder {
    shape: PromptShape,
    frequencies: Frequencies,
    /// Of background, foreground, upper left and lower right corner.
    meanings: [Vec<f32>; 4],
    no_point: Vec<f32>,
    /// `[1, 1, dim]`.
    no_mask: Tensor,
    masks: MaskEncoder,
    device: Device,
    /// `[1, grid * grid, dim]`.
    image_positions: Tensor,
}

/// Random Fourier features of a place (Tancik et al. 2020, arXiv 2006.10739).
#[derive(Debug)]
struct Frequencies([Vec<f32>; 2]);

impl PromptEncoder {
    /// `weights` are those of the whole model.
    pub(crate) fn load(weights: &Weights, shape: &PromptShape) -> Result<Self, WeightsError> {
        let (of_image, of_prompts) = ("shared_image_embedding", "prompt_encoder.shared_embedding");
        let has = |name: &str| weights.at(name).has("positional_embedding");
        // They are tied, and a file may have either or both.
        let image =
            Frequencies::load(&weights.at(if has(of_image) { of_image } else { of_prompts }), shape.dim)?;
        let prompts = if has(of_prompts) { of_prompts } else { of_image };
        let encoder = weights.at("prompt_encoder");
        let vector = |name: &str| {
            let values = encoder.get(name, &[1, shape.dim])?;
            values.flatten_all().and_then(|values| values.to_vec1()).map_err(WeightsError::Engine)
        };
        let mut meanings = Vec::new();
        match shape.family {
            Family::Sam => {
                for index in 0..4 {
                    meanings.push(vector(&format!("point_embed.{index}.weight"))?);
                }
            }
            Family::Sam2 => {
                let table = encoder.get("point_embed.weight", &[4, shape.dim])?;
                meanings = table.to_vec2().map_err(WeightsError::Engine)?;
            }
        }
        let no_mask = encoder.get("no_mask_embed.weight", &[1, shape.dim])?;
        let meanings = meanings
            .try_into()
            .map_err(|_| WeightsError::Format("four point embeddings are wanted".into()))?;
        Ok(Self {
            frequencies: Frequencies::load(&weights.at(prompts), shape.dim)?,
            meanings,
            no_point: vector("not_a_point_embed.weight")?,
            no_mask: no_mask.unsqueeze(0).map_err(WeightsError::Engine)?,
            masks: MaskEncoder::load(&encoder.at("mask_embed"), shape)?,
            device: weights.device().clone(),
            image_positions: image.of_grid(shape.grid, weights.device()).map_err(WeightsError::Engine)?,
            shape: shape.clone(),
        })
    }

    /// The positions of the image's embedding, `[1, grid * grid, dim]`, row by row.
    pub(crate) fn image_positions(&self) -> &Tensor {
        &self.image_positions
    }

    /// Side of the mask logits that prompts may have.
    pub(crate) fn mask_side(&self) -> usize {
        4 * self.shape.grid
    }

    /// Embeds prompts that all have the form of the first, of which there is at least one.
    pub(crate) fn embed(&self, prompts: &[Prompt]) -> Result<Embedded> {
        let mut sparse = Vec::new();
        for prompt in prompts {
            self.tokens(prompt, &mut sparse);
        }
        let dim = self.shape.dim;
        let sparse = Tensor::from_vec(
            sparse.clone(),
            (prompts.len(), sparse.len() / dim / prompts.len(), dim),
            &self.device,
        )?;
        let side = self.mask_side();
        let cells = self.shape.grid * self.shape.grid;
        let logits = prompts.iter().filter_map(|prompt| prompt.mask.as_deref()).collect::<Vec<_>>();
        let dense = if logits.is_empty() {
            self.no_mask.broadcast_as((1, cells, dim))?.to_contiguous()?
        } else {
            let logits = Tensor::from_vec(logits.concat(), (prompts.len(), 1, side, side), &self.device)?;
            self.masks.forward(&logits)?
        };
        Ok(Embedded { sparse, dense })
    }

    /// Appends the vectors of one prompt.
    fn tokens(&self, prompt: &Prompt, to: &mut Vec<f32>) {
        for point in &prompt.points {
            match point.meaning {
                Meaning::Background => self.place([point.x, point.y], &self.meanings[0], to),
                Meaning::Foreground => self.place([point.x, point.y], &self.meanings[1], to),
                Meaning::NoPoint => to.extend(&self.no_point),
                Meaning::Padding => to.extend(std::iter::repeat_n(0.0, self.shape.dim)),
            }
        }
        let Some([left, top, right, bottom]) = prompt.bounding_box else {
            return to.extend(&self.no_point);
        };
        self.place([left, top], &self.meanings[2], to);
        self.place([right, bottom], &self.meanings[3], to);
        if self.shape.family == Family::Sam2 {
            to.extend(&self.no_point);
        }
    }

    /// The vector of a place with a meaning; the place is the centre of its pixel.
    fn place(&self, at: [f32; 2], meaning: &[f32], to: &mut Vec<f32>) {
        let side = self.shape.canvas as f32;
        let start = to.len();
        self.frequencies.of(at.map(|at| (at + 0.5) / side), to);
        to[start..].iter_mut().zip(meaning).for_each(|(value, meaning)| *value += meaning);
    }
}

impl Prompt {
    /// Whether it may mean a part as well as the whole: a single point and nothing else.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.points.len() == 1 && self.bounding_box.is_none() && self.mask.is_none()
    }

    pub(crate) fn form(&self) -> Form {
        Form { points: self.points.len(), boxed: self.bounding_box.is_some(), masked: self.mask.is_some() }
    }
}

impl Frequencies {
    fn load(weights: &Weights, dim: usize) -> Result<Self, WeightsError> {
        let table = weights.get("positional_embedding", &[2, dim / 2])?;
        let rows = table.to_vec2::<f32>().map_err(WeightsError::Engine)?;
        rows.try_into()
            .map(Self)
            .map_err(|_| WeightsError::Format("two rows of frequencies are wanted".into()))
    }

    /// Appends the features of a place (x, y), each from 0 to 1: sines, then cosines.
    fn of(&self, at: [f32; 2], to: &mut Vec<f32>) {
        let [x, y] = at.map(|at| 2.0 * at - 1.0);
        let start = to.len();
        let angles = self.0[0].iter().zip(&self.0[1]);
        to.extend(angles.map(|(across, down)| std::f32::consts::TAU * (x * across + y * down)));
        to.extend_from_within(start..);
        let half = start + self.0[0].len();
        to[start..half].iter_mut().for_each(|angle| *angle = angle.sin());
        to[half..].iter_mut().for_each(|angle| *angle = angle.cos());
    }

    /// Of the cells of a square grid, row by row: `[1, side * side, dim]`.
    fn of_grid(&self, side: usize, device: &Device) -> Result<Tensor> {
        let mut values = Vec::new();
        for cell in 0..side * side {
            let at = [cell % side, cell / side].map(|index| (index as f32 + 0.5) / side as f32);
            self.of(at, &mut values);
        }
        Tensor::from_vec(values, (1, side * side, 2 * self.0[0].len()), device)
    }
}

/// Three convolutions from mask logits to the image's grid.
#[derive(Debug)]
struct MaskEncoder {
    convolutions: [Conv2d; 3],
    norms: [LayerNorm; 2],
    activation: Activation,
}

impl MaskEncoder {
    fn load(weights: &Weights, shape: &PromptShape) -> Result<Self, WeightsError> {
        let (channels, quarter) = (shape.mask_channels, shape.mask_channels / 4);
        let halving = |outputs, inputs| ConvShape { stride: [2, 2], ..ConvShape::square(outputs, inputs, 2) };
        let conv = |name: &str, shape| Conv2d::load(&weights.at(name), shape);
        let norm = |name: &str, channels| LayerNorm::load(&weights.at(name), channels, shape.eps);
        Ok(Self {
            convolutions: [
                conv("conv1", halving(quarter, 1))?,
                conv("conv2", halving(channels, quarter))?,
                conv("conv3", ConvShape::square(shape.dim, channels, 1))?,
            ],
            norms: [norm("layer_norm1", quarter)?, norm("layer_norm2", channels)?],
            activation: shape.activation,
        })
    }

    /// `[prompts, 1, 4 grid, 4 grid]` to `[prompts, grid * grid, dim]`.
    fn forward(&self, logits: &Tensor) -> Result<Tensor> {
        let [first, second, third] = &self.convolutions;
        let x = self.activation.forward(&self.norms[0].forward_on_channels(&first.forward(logits)?)?)?;
        let x = self.activation.forward(&self.norms[1].forward_on_channels(&second.forward(&x)?)?)?;
        third.forward(&x)?.flatten_from(2)?.transpose(1, 2)?.to_contiguous()
    }
}
