//! The encoders: one over patches of the picture at several sizes, one over the whole (`DepthProEncoder`).

use percept_backbone::checkpoint::wrong;
use percept_backbone::vit::{Vit, VitConfig};
use percept_backbone::{
    Alignment, EngineError, Filter, Result, Tensor, Weights, WeightsError, resize, resize_by,
};
use serde_json::Value;

use super::config::Config;
use super::patches::{merge, split};

/// A DINOv2 over squares of one size.
pub(super) struct Square {
    vit: Vit,
    /// Pixels of a side.
    side: usize,
    pub(super) dim: usize,
    depth: usize,
}

impl Square {
    pub(super) fn load(weights: &Weights, config: &Value, side: usize) -> Result<Self, WeightsError> {
        let kind = config["model_type"].as_str().unwrap_or_default();
        if kind != "dinov2" {
            return Err(wrong(format!("`model_type` of an encoder is `{kind}`, not dinov2")));
        }
        let (shape, names) = VitConfig::of(config)?;
        Ok(Self { vit: Vit::load(weights, &shape, &names)?, side, dim: shape.dim, depth: shape.depth })
    }

    /// Tokens along a side.
    pub(super) fn grid(&self) -> usize {
        self.vit.grid([self.side; 2])[0]
    }

    /// The last states of whole images, which are brought to its size first: `[batch, tokens, dim]`.
    pub(super) fn whole(&self, images: &Tensor) -> Result<Tensor> {
        let small = resize(images, [self.side; 2], Filter::Bilinear, Alignment::Edges)?;
        self.vit.tokens(&small)
    }

    /// The last states of patches, and those behind layers `at`.
    fn states(&self, patches: &Tensor, at: &[usize]) -> Result<(Tensor, Vec<Tensor>)> {
        let wanted: Vec<usize> = at.iter().copied().chain([self.depth]).collect();
        let mut states = self.vit.layers(patches, &wanted)?;
        match states.pop() {
            Some(last) => Ok((self.vit.normalise(&last)?, states)),
            None => Err(EngineError::Msg("an encoder without layers".into())),
        }
    }
}

/// Both encoders.
pub(super) struct Encoder {
    pub(super) patches: Square,
    pub(super) image: Square,
}

/// What the encoders say: maps, each twice as large as the one before it or as large.
pub(super) struct Maps {
    /// Of the whole picture.
    pub(super) image: Tensor,
    /// Of its sizes, the smallest first.
    pub(super) scales: Vec<Tensor>,
    /// Of earlier layers at its own size.
    pub(super) hooks: Vec<Tensor>,
}

impl Encoder {
    pub(super) fn load(weights: &Weights, config: &Config) -> Result<Self, WeightsError> {
        let square = |name: &str, of: &Value| Square::load(&weights.at(name), of, config.patch);
        let patches = square("patch_encoder.model", &config.patch_encoder)?;
        if let Some((layer, _)) = config.hooks.iter().find(|(layer, _)| *layer > patches.depth) {
            let (layer, depth) = (layer - 1, patches.depth);
            return Err(wrong(format!("`intermediate_hook_ids` has {layer}, of {depth} layers")));
        }
        Ok(Self { patches, image: square("image_encoder.model", &config.image_encoder)? })
    }

    /// The smallest map's rows and columns, for images of that height and width.
    pub(super) fn base(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let halvings = (width as f64 / self.image.grid() as f64).log2() as u32;
        [height >> halvings, width >> halvings]
    }

    /// Images `[batch, 3, height, width]` to maps.
    pub(super) fn forward(&self, images: &Tensor, config: &Config) -> Result<Maps> {
        let (batch, _, height, width) = images.dims4()?;
        let base = self.base([height, width]);
        let seam = |ratio: f64| (config.seam * (1.0 / ratio)) as usize;
        // The largest size first, as earlier layers are only looked at for its patches.
        let mut parts = Vec::with_capacity(config.scales.len());
        for scale in config.scales.iter().rev() {
            let scaled = match scale.ratio {
                1.0 => images.clone(),
                ratio => resize_by(images, [ratio; 2], Filter::Bilinear)?,
            };
            let stride = (config.patch as f64 * (1.0 - scale.overlap)) as usize;
            parts.push(split(&scaled, config.patch, stride)?);
        }
        let counts: Vec<usize> = parts.iter().map(|part| part.dim(0)).collect::<Result<_>>()?;
        let at: Vec<usize> = config.hooks.iter().map(|(layer, _)| *layer).collect();
        let (last, earlier) = self.patches.states(&Tensor::cat(&parts, 0)?, &at)?;
        let mut scales = Vec::with_capacity(parts.len());
        let mut first = 0;
        for (index, (scale, count)) in config.scales.iter().rev().zip(&counts).enumerate() {
            let doublings = config.scales.len() - 1 - index;
            let tokens = last.narrow(0, first, *count)?;
            scales.push(merge(&tokens, batch, seam(scale.ratio), base.map(|side| side << doublings))?);
            first += count;
        }
        scales.reverse();
        let largest = config.scales.last().map_or(1.0, |scale| scale.ratio);
        let size = base.map(|side| side << (config.scales.len() - 1));
        let hooks = earlier.iter().map(|tokens| merge(tokens, batch, seam(largest), size));
        Ok(Maps {
            image: merge(&self.image.whole(images)?, batch, 0, base)?,
            scales,
            hooks: hooks.collect::<Result<_>>()?,
        })
    }
}
