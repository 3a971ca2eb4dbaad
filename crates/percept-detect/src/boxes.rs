//! Boxes as networks compute with them: centre x, centre y, width and height, each as a part of the canvas.

use percept_backbone::{
    MultiScaleAttention, MultiScaleShape, Offsets, PointSampling, Result, Tensor, Weights, WeightsError,
    sine_waves,
};

/// An attention whose offsets are in halves of the boxes of queries, shared among its points.
pub(crate) fn attention_in_boxes(
    weights: &Weights,
    dim: usize,
    heads: usize,
    points: &[usize],
) -> Result<MultiScaleAttention, WeightsError> {
    let (sampling, unit) = (PointSampling::Bilinear, Offsets::OfBoxes(0.5));
    let shape = MultiScaleShape { dim, heads, points, sampling, unit, projected: true };
    MultiScaleAttention::load_shaped(weights, shape)
}

/// Boxes moved by a part of their size, and made larger by a factor whose logarithm is given: all `[.., 4]` (`refine_bboxes`
/// of LW-DETR and RF-DETR).
pub(crate) fn refine(boxes: &Tensor, deltas: &Tensor) -> Result<Tensor> {
    let last = boxes.rank() - 1;
    let [centre, size] = [0, 2].map(|from| boxes.narrow(last, from, 2));
    let [moved, grown] = [0, 2].map(|from| deltas.narrow(last, from, 2));
    let size = size?;
    Tensor::cat(&[((moved? * &size)? + centre?)?, (grown?.exp()? * size)?], last)
}

/// Numbers between 0 and 1 to their logits; those nearer than 1e-5 to either count as that near
/// (`torch.special.logit(x, eps=1e-5)`).
pub(crate) fn logit(x: &Tensor) -> Result<Tensor> {
    let x = x.clamp(1e-5, 1.0 - 1e-5)?;
    (&x / (1.0 - &x)?)?.log()
}

/// Waves of the numbers of boxes, `channels` of each: `[.., 4]` to `[.., 4 * channels]`, y before x
/// (`encode_sinusoidal_position_embedding`).
pub(crate) fn encode_boxes(boxes: &Tensor, channels: usize) -> Result<Tensor> {
    let values = boxes.flatten_all()?.to_vec1::<f32>()?;
    let numbers = values.chunks_exact(4).flat_map(|place| [place[1], place[0], place[2], place[3]]);
    let angles = numbers.map(|number| number * std::f32::consts::TAU);
    let encoded: Vec<f32> = angles.flat_map(|angle| sine_waves(angle, channels, 10_000.0)).collect();
    let mut shape = boxes.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = 4 * channels;
    }
    Tensor::from_vec(encoded, shape, boxes.device())
}

/// For each item of `[batch, rows, classes]` the rows with the largest logits, `count` of them, best first: `[batch, count]`
/// of u32. Rows that are not `eligible` come last; of equal ones the first comes first.
pub(crate) fn best_rows(logits: &Tensor, eligible: &[bool], count: usize) -> Result<Tensor> {
    let (batch, _, classes) = logits.dims3()?;
    let values = logits.flatten_all()?.to_vec1::<f32>()?;
    let mut chosen = Vec::with_capacity(batch * count);
    for item in values.chunks_exact(eligible.len() * classes) {
        let best = item.chunks_exact(classes).zip(eligible).map(|(row, eligible)| match eligible {
            true => row.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            false => f32::NEG_INFINITY,
        });
        let mut rows: Vec<(f32, u32)> = best.zip(0..).collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        chosen.extend(rows.iter().take(count).map(|(_, row)| *row));
    }
    Tensor::from_vec(chosen, (batch, count), logits.device())
}

/// Some rows of each item: `[batch, rows, width]` at `[batch, count]` to `[batch, count, width]`.
pub(crate) fn rows_of(x: &Tensor, rows: &Tensor) -> Result<Tensor> {
    let items = (0..x.dim(0)?).map(|item| x.get(item)?.index_select(&rows.get(item)?, 0));
    Tensor::stack(&items.collect::<Result<Vec<_>>>()?, 0)
}
