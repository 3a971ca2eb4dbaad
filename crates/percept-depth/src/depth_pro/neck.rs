//! The encoders' maps to those that are fused (`DepthProNeck`), and their fusion (`DepthProFeatureFusionStage`).

use percept_backbone::{
    Conv2d, ConvShape, ConvTransposeShape, EngineError, Result, Tensor, ToContiguous, Weights, WeightsError,
};

use super::config::Config;
use super::encoder::{Encoder, Maps};
use crate::neck::ResidualUnit;

/// From the encoders' maps to maps of one width.
pub(super) struct Neck {
    image: Conv2d,
    scales: Vec<Vec<Conv2d>>,
    hooks: Vec<Vec<Conv2d>>,
    /// The image's map and the smallest scale's to one.
    join: Conv2d,
    /// To the common width; none where a map has it already.
    narrow: Vec<Option<Conv2d>>,
}

impl Neck {
    pub(super) fn load(weights: &Weights, config: &Config, encoder: &Encoder) -> Result<Self, WeightsError> {
        let dim = encoder.patches.dim;
        let upsample = weights.at("feature_upsample");
        let first = config.scales.first().map_or(0, |scale| scale.channels);
        // A projection, and transposed convolutions that double the size.
        let block = |name: String, middle: usize, to: usize, doublings: usize| {
            let layers = upsample.at(name).at("layers");
            let mut all = vec![Conv2d::load(&layers.at("0"), ConvShape::square(middle, dim, 1))?];
            for layer in 0..doublings {
                let from = if layer == 0 { middle } else { to };
                all.push(Conv2d::load_transposed(&layers.at((layer + 1).to_string()), doubling(to, from))?);
            }
            Ok(all)
        };
        let scales =
            config.scales.iter().enumerate().map(|(index, scale)| {
                block(format!("scaled_images.{index}"), scale.channels, scale.channels, 1)
            });
        let hooks = config.hooks.iter().enumerate().map(|(index, (_, channels))| {
            let middle = if index == 0 { config.width } else { *channels };
            block(format!("intermediate.{index}"), middle, *channels, 2 + index)
        });
        let channels: Vec<usize> = config
            .scales
            .iter()
            .map(|scale| scale.channels)
            .chain(config.hooks.iter().map(|(_, channels)| *channels))
            .collect();
        let narrow = channels.iter().enumerate().map(|(index, from)| {
            if index + 1 == channels.len() && *from == config.width {
                return Ok(None);
            }
            let shape = ConvShape::square(config.width, *from, 3).padding(1);
            Conv2d::load(&weights.at(format!("feature_projection.projections.{index}")), shape).map(Some)
        });
        Ok(Self {
            image: Conv2d::load_transposed(
                &upsample.at("image_block.layers.0"),
                doubling(first, encoder.image.dim),
            )?,
            scales: scales.collect::<Result<_, WeightsError>>()?,
            hooks: hooks.collect::<Result<_, WeightsError>>()?,
            join: Conv2d::load(
                &weights.at("fuse_image_with_low_res"),
                ConvShape::square(first, 2 * first, 1),
            )?,
            narrow: narrow.collect::<Result<_, WeightsError>>()?,
        })
    }

    /// Maps `[batch, width, ..]`, the smallest first.
    pub(super) fn forward(&self, maps: &Maps) -> Result<Vec<Tensor>> {
        let run = |(layers, map): (&Vec<Conv2d>, &Tensor)| {
            layers.iter().try_fold(map.clone(), |map, layer| layer.forward(&map))
        };
        let scales = self.scales.iter().zip(&maps.scales).map(run);
        let mut all =
            scales.chain(self.hooks.iter().zip(&maps.hooks).map(run)).collect::<Result<Vec<_>>>()?;
        let image = self.image.forward(&maps.image)?;
        if let Some(smallest) = all.first_mut() {
            *smallest = self.join.forward(&Tensor::cat(&[&*smallest, &image], 1)?)?;
        }
        let narrow = self.narrow.iter().zip(all).map(|(narrow, map)| match narrow {
            Some(narrow) => narrow.forward(&map),
            None => Ok(map),
        });
        narrow.collect()
    }
}

/// `torch.nn.ConvTranspose2d(from, to, kernel_size=2, stride=2)`.
pub(super) fn doubling(to: usize, from: usize) -> ConvTransposeShape {
    ConvTransposeShape::square(to, from, 2).stride(2)
}

/// Maps, the smallest first, to one of the largest's size.
pub(super) struct Fusion {
    layers: Vec<Layer>,
}

struct Layer {
    /// Of the map that joins; the first has none, and its weights are of no use.
    joining: Option<ResidualUnit>,
    joined: ResidualUnit,
    /// Doubles the size and projects; of the last layer it only projects.
    last: Conv2d,
}

impl Fusion {
    pub(super) fn load(weights: &Weights, config: &Config) -> Result<Self, WeightsError> {
        let count = config.scales.len() + config.hooks.len();
        let width = config.width;
        let batch_norm = config.batch_norm.then_some(1e-5);
        let layer = |index: usize| {
            let (weights, doubles) = match index + 1 == count {
                true => (weights.at("final"), false),
                false => (weights.at(format!("intermediate.{index}")), true),
            };
            let unit = |name: &str| ResidualUnit::load(&weights.at(name), width, batch_norm);
            let projection = weights.at("projection");
            Ok(Layer {
                joining: if index > 0 { Some(unit("residual_layer1")?) } else { None },
                joined: unit("residual_layer2")?,
                last: match doubles {
                    true => projected_doubling(&weights.at("deconv"), &projection, width)?,
                    false => Conv2d::load(&projection, ConvShape::square(width, width, 1))?,
                },
            })
        };
        Ok(Self { layers: (0..count).map(layer).collect::<Result<_, WeightsError>>()? })
    }

    pub(super) fn forward(&self, maps: &[Tensor]) -> Result<Tensor> {
        let mut fused: Option<Tensor> = None;
        for (layer, map) in self.layers.iter().zip(maps) {
            let sum = match (&layer.joining, &fused) {
                (Some(unit), Some(fused)) => unit.forward_with(map, fused)?,
                _ => map.clone(),
            };
            fused = Some(layer.last.forward(&layer.joined.forward(&sum)?)?);
        }
        fused.ok_or_else(|| EngineError::Msg("no map to fuse".into()))
    }
}

/// A transposed convolution of `width` channels without a bias and the convolution of single pixels behind it, as the one
/// transposed convolution that they are together: at four times the pixels the second costs as much as the first.
fn projected_doubling(weights: &Weights, projection: &Weights, width: usize) -> Result<Conv2d, WeightsError> {
    let doubled = weights.get("weight", &[width, width, 2, 2])?;
    let project = projection.get("weight", &[width, width, 1, 1])?;
    let bias = projection.get("bias", &[width])?;
    let joined = || {
        // [in, out, 2, 2] to rows of pixels' outputs, through the projection, and back.
        let rows = doubled.permute([0, 2, 3, 1])?.to_contiguous()?.reshape((4 * width, width))?;
        let rows = rows.matmul(&project.reshape((width, width))?.t()?)?;
        let weight = rows.reshape((width, 2, 2, width))?.permute([0, 3, 1, 2])?.to_contiguous()?;
        Conv2d::from_transposed_weight(&weight, Some(&bias), doubling(width, width), weights.precision())
    };
    joined().map_err(WeightsError::Engine)
}
