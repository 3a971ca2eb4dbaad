//! Where the edges of a box are: likelihoods of places, and what follows from them (`weighting_function`,
//! `DFineIntegral`, `distance2bbox`, and what `DFineLQE` reads).

use percept_backbone::{Result, Tensor};

/// Edges of a box: left, top, right, bottom.
const EDGES: usize = 4;

/// The places that an edge may be moved to, close to each other about 0 and further apart outwards.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Places {
    at: Vec<f32>,
    /// What the places are divided by to give parts of the box.
    scale: f32,
}

impl Places {
    /// `bins + 1` of them; `bins` is even, and at least 4.
    pub(super) fn new(bins: usize, up: f64, scale: f64) -> Self {
        let (up, scale) = (up.abs(), scale.abs());
        let most = up * scale;
        let step = (most + 1.0).powf(2.0 / (bins as f64 - 2.0));
        let right: Vec<f64> = (1..bins / 2).map(|index| step.powi(index as i32) - 1.0).collect();
        let left = right.iter().rev().map(|place| -place);
        let all = [-2.0 * most].into_iter().chain(left).chain([0.0]).chain(right.iter().copied());
        let at = all.chain([2.0 * most]).map(|place| place as f32).collect();
        Self { at, scale: scale as f32 }
    }

    /// The boxes that come of `boxes` `[batch, queries, 4]` when each edge goes where it is likely, `logits` `[batch,
    /// queries, 4 * places]`.
    pub(super) fn moved(&self, boxes: &Tensor, logits: &Tensor) -> Result<Tensor> {
        let mut values = boxes.flatten_all()?.to_vec1::<f32>()?;
        let logits = logits.flatten_all()?.to_vec1::<f32>()?;
        let count = self.at.len();
        let mut likely = vec![0.0; count];
        for (values, logits) in values.chunks_exact_mut(4).zip(logits.chunks_exact(EDGES * count)) {
            let mut distances = [0.0; EDGES];
            for (distance, logits) in distances.iter_mut().zip(logits.chunks_exact(count)) {
                softmax(logits, &mut likely);
                *distance = likely.iter().zip(&self.at).map(|(part, place)| part * place).sum::<f32>();
            }
            let (half, scale) = (0.5 * self.scale, self.scale);
            let [x, y, width, height] = [values[0], values[1], values[2] / scale, values[3] / scale];
            let [left, top, right, bottom] = distances.map(|distance| half + distance);
            let (x0, y0, x1, y1) =
                (x - left * width, y - top * height, x + right * width, y + bottom * height);
            values.copy_from_slice(&[(x0 + x1) / 2.0, (y0 + y1) / 2.0, x1 - x0, y1 - y0]);
        }
        Tensor::from_vec(values, boxes.shape(), boxes.device())
    }

    /// How sure each edge of each box is: the `best` largest likelihoods of its places and their mean, `[batch, queries,
    /// 4 * (best + 1)]`.
    pub(super) fn certainty(&self, logits: &Tensor, best: usize) -> Result<Tensor> {
        let (batch, queries, _) = logits.dims3()?;
        let (values, count) = (logits.flatten_all()?.to_vec1::<f32>()?, self.at.len());
        let mut likely = vec![0.0; count];
        let mut found = Vec::with_capacity(batch * queries * EDGES * (best + 1));
        for logits in values.chunks_exact(count) {
            softmax(logits, &mut likely);
            likely.sort_unstable_by(|a, b| b.total_cmp(a));
            found.extend_from_slice(&likely[..best]);
            found.push(likely[..best].iter().sum::<f32>() / best as f32);
        }
        Tensor::from_vec(found, (batch, queries, EDGES * (best + 1)), logits.device())
    }
}

fn softmax(logits: &[f32], out: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (out, logit) in out.iter_mut().zip(logits) {
        *out = (logit - largest).exp();
        sum += *out;
    }
    out.iter_mut().for_each(|value| *value /= sum);
}
