//! The network of both models: an image's embedding, and what the decoder makes of prompts.

use percept_backbone::checkpoint::configuration;
use percept_backbone::{Device, Result, Tensor, Weights, WeightsError};
use percept_core::LocalModel;
use serde_json::Value;

use super::config::{DecoderShape, Family, PromptShape};
use super::decoder::{Decoded, ImageEmbedding, MaskDecoder};
use super::encoder::SamEncoder;
use super::prompts::{Prompt, PromptEncoder};
use crate::sam2::Sam2Encoder;

/// SAM or SAM 2, from pixels and prompts to low-resolution logits.
#[derive(Debug)]
pub(crate) struct Network {
    encoder: Encoder,
    pub(crate) prompts: PromptEncoder,
    pub(crate) decoder: MaskDecoder,
    /// Side of the canvas in pixels.
    pub(crate) canvas: usize,
    pub(crate) family: Family,
    device: Device,
}

#[derive(Debug)]
enum Encoder {
    Sam(Box<SamEncoder>),
    Sam2(Box<Sam2Encoder>),
}

/// The candidates of a batch of prompts.
pub(crate) struct Candidates {
    /// By prompt and mask: the one, then the candidates.
    pub(crate) scores: Vec<Vec<f32>>,
    /// `[prompts, masks, side, side]`.
    pub(crate) logits: Tensor,
    /// By prompt, the logit that there is an object; SAM 2 only.
    pub(crate) objects: Option<Vec<f32>>,
}

impl Network {
    /// Reads `config.json` and the weights of a snapshot.
    pub(crate) fn load(local: &LocalModel, weights: &Weights, family: Family) -> percept_core::Result<Self> {
        Self::of(&configuration(local)?, weights, family).map_err(|error| error.of(&local.id))
    }

    fn of(config: &Value, weights: &Weights, family: Family) -> Result<Self, WeightsError> {
        let prompt_shape = PromptShape::of(&config["prompt_encoder_config"], family)?;
        let decoder_shape = DecoderShape::of(&config["mask_decoder_config"], family)?;
        let vision = &config["vision_config"];
        let prompts = PromptEncoder::load(weights, &prompt_shape)?;
        let decoder = MaskDecoder::load(&weights.at("mask_decoder"), &decoder_shape)?;
        let encoder = match family {
            Family::Sam => Encoder::Sam(Box::new(SamEncoder::load(
                &weights.at("vision_encoder"),
                vision,
                decoder_shape.dim,
            )?)),
            Family::Sam2 => Encoder::Sam2(Box::new(Sam2Encoder::load(weights, vision, decoder_shape.dim)?)),
        };
        let (canvas, device) = (prompt_shape.canvas, weights.device().clone());
        Ok(Self { encoder, prompts, decoder, canvas, family, device })
    }

    /// Of pixels `[1, 3, canvas, canvas]`: what the decoder needs, and the maps that it is made of: transformers'
    /// `image_embeddings`, but `[1, height, width, channels]`.
    pub(crate) fn embed(&self, pixels: &Tensor) -> Result<(ImageEmbedding, Vec<Tensor>)> {
        match &self.encoder {
            Encoder::Sam(encoder) => encoder.forward(pixels),
            Encoder::Sam2(encoder) => encoder.forward(pixels),
        }
    }

    /// What the decoder says of prompts of one form.
    pub(crate) fn decode(&self, image: &ImageEmbedding, prompts: &[Prompt]) -> Result<Decoded> {
        let embedded = self.prompts.embed(prompts)?;
        self.decoder.decode(image, &embedded, self.prompts.image_positions())
    }

    /// All masks of prompts of one form.
    pub(crate) fn candidates(&self, image: &ImageEmbedding, prompts: &[Prompt]) -> Result<Candidates> {
        let decoded = self.decode(image, prompts)?;
        let all = (0..prompts.len() as u32).collect::<Vec<_>>();
        let logits = self.decoder.logits(image, &decoded, &all)?;
        Ok(Candidates { scores: decoded.scores, logits, objects: decoded.objects })
    }

    /// Which mask answers a prompt that is to have one: the first, or with SAM 2 the best candidate where the first is
    /// not stable (`_dynamic_multimask_via_stability`). `logits` are those of all masks, one behind the other.
    pub(crate) fn single(&self, scores: &[f32], logits: &[f32]) -> usize {
        let Some(stability) = self.decoder.shape().stability else { return 0 };
        let first = &logits[..logits.len() / scores.len()];
        let above = |cut: f32| first.iter().filter(|logit| **logit > cut).count();
        let (inner, outer) = (above(stability.delta), above(-stability.delta));
        let share = if outer == 0 { 1.0 } else { inner as f32 / outer as f32 };
        if share >= stability.threshold { 0 } else { best_candidate(scores) }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }
}

/// The candidate with the highest score, the first of those; 0 is no candidate.
pub(crate) fn best_candidate(scores: &[f32]) -> usize {
    let better = |best: usize, index: usize| if scores[index] > scores[best] { index } else { best };
    (1..scores.len()).reduce(better).unwrap_or(0)
}
