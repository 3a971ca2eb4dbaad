//! The pixels that look most like objects become queries (`RTDetrModel`, from its maps to the decoder).

use percept_backbone::{
    ConvShape, EngineError, LayerNorm, Linear, Result, Tensor, ToContiguous, Weights, WeightsError,
};

use super::config::{Family, Shape};
use super::fusion::ConvNorm;
use crate::heads::MlpHead;
use crate::scores::sigmoid;

/// Side of the box of a pixel of the finest map, as a part of the image; it doubles from map to map.
const SIDE: f32 = 0.05;
/// Boxes that come nearer to the edge than this are no candidates.
const MARGIN: f32 = 1e-2;

#[derive(Debug)]
pub(crate) struct Selection {
    /// By map, from fine to coarse, and then those made of the coarsest; `None` takes a map as it is.
    projections: Vec<Option<ConvNorm>>,
    maps: usize,
    output: Linear,
    norm: LayerNorm,
    scores: Linear,
    boxes: MlpHead,
    queries: usize,
}

/// What the decoder begins with.
pub(crate) struct Selected {
    /// `[batch, pixels of all maps, channels]`.
    pub(crate) memory: Tensor,
    /// Rows and columns of the maps.
    pub(crate) levels: Vec<[usize; 2]>,
    /// `[batch, queries, channels]`.
    pub(crate) queries: Tensor,
    /// `[batch, queries, 4]`.
    pub(crate) boxes: Tensor,
}

impl Selection {
    /// `weights` are those of the whole network below `model`.
    pub(crate) fn load(weights: &Weights, shape: &Shape, family: Family) -> Result<Self, WeightsError> {
        let (dim, maps) = (shape.dim, shape.in_channels.len());
        let coarsest = shape.in_channels[maps - 1];
        let projection = |level: usize| {
            // D-FINE takes all maps for as wide as the coarsest.
            if family == Family::DFine && coarsest == dim {
                return Ok(None);
            }
            let channels = match (family, level.checked_sub(maps)) {
                (Family::DFine, _) | (_, Some(0)) => coarsest,
                (_, None) => shape.in_channels[level],
                _ => dim,
            };
            let shape_of = match level < maps {
                true => ConvShape::square(dim, channels, 1),
                false => ConvShape::square(dim, channels, 3).stride(2).padding(1),
            };
            let part = |index: usize| weights.at(format!("decoder_input_proj.{level}.{index}"));
            ConvNorm::named(&part(0), &part(1), shape_of, shape.batch_eps, None).map(Some)
        };
        Ok(Self {
            projections: (0..shape.points.len()).map(projection).collect::<Result<_, _>>()?,
            maps,
            output: Linear::load(&weights.at("enc_output.0"), dim, dim)?,
            norm: LayerNorm::load(&weights.at("enc_output.1"), dim, shape.eps)?,
            scores: Linear::load(&weights.at("enc_score_head"), dim, shape.classes)?,
            boxes: MlpHead::load(&weights.at("enc_bbox_head"), &[dim, dim, dim, 4])?,
            queries: shape.queries,
        })
    }

    /// Of the maps of the encoder, from fine to coarse.
    pub(crate) fn forward(&self, maps: &[Tensor]) -> Result<Selected> {
        let (mut pixels, mut levels) = (Vec::new(), Vec::new());
        for (level, projection) in self.projections.iter().enumerate() {
            let map = &maps[level.min(self.maps - 1)];
            let source = projection.as_ref().map_or(Ok(map.clone()), |projection| projection.forward(map))?;
            let (_, _, rows, columns) = source.dims4()?;
            levels.push([rows, columns]);
            pixels.push(source.flatten_from(2)?.transpose(1, 2)?.to_contiguous()?);
        }
        let memory = Tensor::cat(&pixels, 1)?;
        let anchors = anchors(&levels);
        let (batch, count, _) = memory.dims3()?;
        if self.queries > count {
            let message = format!("{} queries cannot be chosen of {count} pixels", self.queries);
            return Err(EngineError::Msg(message));
        }
        let states = self.norm.forward(&self.output.forward(&without(&memory, &anchors)?)?)?;
        let mut scores = Vec::new();
        self.scores.forward_into(&states, &mut scores)?;
        let classes = scores.len() / (batch * count).max(1);
        let (mut queries, mut boxes) = (Vec::new(), Vec::new());
        for (item, scores) in scores.chunks_exact((count * classes).max(1)).enumerate() {
            let best = best(scores, classes, self.queries);
            let indices = Tensor::from_slice(&best, best.len(), memory.device())?;
            let chosen = states.get(item)?.index_select(&indices, 0)?;
            let mut moved = self.boxes.forward(&chosen)?.flatten_all()?.to_vec1::<f32>()?;
            for (values, pixel) in moved.chunks_exact_mut(4).zip(&best) {
                let anchor = anchors[*pixel as usize].unwrap_or([f32::MAX; 4]);
                values.iter_mut().zip(anchor).for_each(|(value, anchor)| *value = sigmoid(*value + anchor));
            }
            boxes.push(Tensor::from_vec(moved, (best.len(), 4), memory.device())?);
            queries.push(chosen);
        }
        Ok(Selected {
            memory,
            levels,
            queries: Tensor::stack(&queries, 0)?,
            boxes: Tensor::stack(&boxes, 0)?,
        })
    }
}

/// The box of each pixel of all maps, as the inverse of the sigmoid has it; none where it is too near to the edge.
fn anchors(levels: &[[usize; 2]]) -> Vec<Option<[f32; 4]>> {
    let logit = |part: f32| (part / (1.0 - part)).ln();
    let of_level = |(level, &[rows, columns]): (usize, &[usize; 2])| {
        let side = SIDE * (1_u32 << level.min(31)) as f32;
        (0..rows * columns).map(move |pixel| {
            let x = ((pixel % columns) as f32 + 0.5) / columns as f32;
            let y = ((pixel / columns) as f32 + 0.5) / rows as f32;
            let anchor = [x, y, side, side];
            let inside = anchor.iter().all(|part| *part > MARGIN && *part < 1.0 - MARGIN);
            inside.then(|| anchor.map(logit))
        })
    };
    levels.iter().enumerate().flat_map(of_level).collect()
}

/// The same pixels with zeros where there is no anchor.
fn without(memory: &Tensor, anchors: &[Option<[f32; 4]>]) -> Result<Tensor> {
    if anchors.iter().all(Option::is_some) {
        return Ok(memory.clone());
    }
    let kept: Vec<f32> = anchors.iter().map(|anchor| f32::from(u8::from(anchor.is_some()))).collect();
    memory.broadcast_mul(&Tensor::from_vec(kept, (1, anchors.len(), 1), memory.device())?)
}

/// The `count` pixels whose best class scores highest, best first; of equal ones the first.
fn best(scores: &[f32], classes: usize, count: usize) -> Vec<u32> {
    let highest = |scores: &[f32]| scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let highest: Vec<f32> = scores.chunks_exact(classes.max(1)).map(highest).collect();
    let mut order: Vec<u32> = (0..highest.len() as u32).collect();
    let by_score =
        |a: &u32, b: &u32| highest[*b as usize].total_cmp(&highest[*a as usize]).then_with(|| a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count, by_score);
        order.truncate(count);
    }
    order.sort_unstable_by(by_score);
    order
}
