//! The hybrid encoder (`RTDetrHybridEncoder`, `DFineHybridEncoder`): attention inside of the coarsest map, then from
//! coarse to fine and back each map meets its neighbour.

use percept_backbone::{Alignment, ConvShape, Filter, Result, Tensor, Weights, WeightsError, resize};

use super::aifi::Aifi;
use super::config::{EncoderShape, Family};
use super::fusion::{ConvNorm, Fusion};

/// Of the norms right behind the backbone, whatever the configuration says of the others.
const EPS: f64 = 1e-5;

#[derive(Debug)]
pub(crate) struct Encoder {
    /// Of the maps of the backbone, from fine to coarse.
    projections: Vec<ConvNorm>,
    attended: Vec<(usize, Aifi)>,
    /// From coarse to fine: what a map goes through before the next finer one meets it, and where they do.
    down: Vec<(ConvNorm, Fusion)>,
    /// From fine to coarse.
    up: Vec<(Vec<ConvNorm>, Fusion)>,
}

impl Encoder {
    /// For maps of `channels`, from fine to coarse. `weights` are those of the whole network below `model`.
    pub(crate) fn load(
        weights: &Weights,
        shape: &EncoderShape,
        family: Family,
        channels: &[usize],
    ) -> Result<Self, WeightsError> {
        let (dim, eps) = (shape.dim, shape.batch_eps);
        if channels.len() != shape.levels {
            let message = format!("config.json: `encoder_in_channels` has {}", shape.levels);
            return Err(WeightsError::Format(format!("{message}, the backbone {} maps", channels.len())));
        }
        let projection = |(level, channels): (usize, &usize)| {
            let part = |index: usize| weights.at(format!("encoder_input_proj.{level}.{index}"));
            ConvNorm::named(&part(0), &part(1), ConvShape::square(dim, *channels, 1), EPS, None)
        };
        let encoder = weights.at("encoder");
        let at = |name: &str, index: usize| encoder.at(format!("{name}.{index}"));
        let aifi = |(index, level): (usize, &usize)| Ok((*level, Aifi::load(&at("encoder", index), shape)?));
        let attended = if shape.layers == 0 { &[][..] } else { &shape.attended };
        let fusion = |name: &str, index: usize| match family {
            Family::DFine => Fusion::load_elan(&at(name, index), shape),
            _ => Fusion::load_csp(&at(name, index), shape),
        };
        let activation = Some(shape.of_convolutions);
        let one = ConvShape::square(dim, dim, 1);
        let halving = ConvShape::square(dim, dim, 3).stride(2).padding(1);
        let down = |index: usize| {
            let activation = if family == Family::DFine { None } else { activation };
            let lateral = ConvNorm::load(&at("lateral_convs", index), one, eps, activation)?;
            Ok::<_, WeightsError>((lateral, fusion("fpn_blocks", index)?))
        };
        let up = |index: usize| {
            let weights = at("downsample_convs", index);
            let smaller = match family {
                Family::DFine => vec![
                    ConvNorm::load(&weights.at("conv1"), one, eps, None)?,
                    ConvNorm::load(&weights.at("conv2"), halving.groups(dim), eps, None)?,
                ],
                _ => vec![ConvNorm::load(&weights, halving, eps, activation)?],
            };
            Ok::<_, WeightsError>((smaller, fusion("pan_blocks", index)?))
        };
        let steps = shape.levels - 1;
        Ok(Self {
            projections: channels.iter().enumerate().map(projection).collect::<Result<_, _>>()?,
            attended: attended.iter().enumerate().map(aifi).collect::<Result<_, WeightsError>>()?,
            down: (0..steps).map(down).collect::<Result<_, _>>()?,
            up: (0..steps).map(up).collect::<Result<_, _>>()?,
        })
    }

    /// Of the maps of the backbone to maps `[batch, channels, rows, columns]`, from fine to coarse.
    pub(crate) fn forward(&self, maps: &[Tensor]) -> Result<Vec<Tensor>> {
        let projected = maps.iter().zip(&self.projections).map(|(map, projection)| projection.forward(map));
        let mut maps = projected.collect::<Result<Vec<_>>>()?;
        for (level, aifi) in &self.attended {
            maps[*level] = aifi.forward(&maps[*level])?;
        }
        let Some(mut coarse) = maps.pop() else { return Ok(maps) };
        let mut laterals = Vec::new();
        for (lateral, fusion) in &self.down {
            let Some(fine) = maps.pop() else { break };
            let sent = lateral.forward(&coarse)?;
            let (_, _, rows, columns) = sent.dims4()?;
            let larger = resize(&sent, [2 * rows, 2 * columns], Filter::Nearest, Alignment::Edges)?;
            coarse = fusion.forward(&Tensor::cat(&[larger, fine], 1)?)?;
            laterals.push(sent);
        }
        let mut made = vec![coarse.clone()];
        let mut fine = coarse;
        for ((smaller, fusion), coarser) in self.up.iter().zip(laterals.iter().rev()) {
            let small = smaller.iter().try_fold(fine, |map, part| part.forward(&map))?;
            fine = fusion.forward(&Tensor::cat(&[&small, coarser], 1)?)?;
            made.push(fine.clone());
        }
        Ok(made)
    }
}
