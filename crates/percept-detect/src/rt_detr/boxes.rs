//! Boxes `[batch, queries, 4]` (centre x, centre y, width, height; 0 to 1 over the image) and how they are moved.

use percept_backbone::{Result, Tensor};

use crate::scores::sigmoid;

/// Boxes moved by what a head says of them, in the domain of the inverse of the sigmoid.
pub(crate) fn moved(boxes: &Tensor, by: &Tensor) -> Result<Tensor> {
    // They are few: plain numbers are as fast as tensors.
    let (parts, by) = (boxes.flatten_all()?.to_vec1::<f32>()?, by.flatten_all()?.to_vec1::<f32>()?);
    let made: Vec<f32> =
        parts.into_iter().zip(by).map(|(part, by)| sigmoid(by + inverse_sigmoid(part))).collect();
    Tensor::from_vec(made, boxes.shape(), boxes.device())
}

fn inverse_sigmoid(x: f32) -> f32 {
    const EPS: f32 = 1e-5;
    let x = x.clamp(0.0, 1.0);
    (x.max(EPS) / (1.0 - x).max(EPS)).ln()
}
