//! Bins of depth at each pixel, and how points attract them (`ZoeDepthSeedBinRegressor`, `ZoeDepthAttractorLayer`).

use percept_backbone::{
    Activation, Alignment, Conv2d, ConvShape, Filter, Result, Tensor, ToContiguous, Weights, WeightsError,
    resize,
};
use rayon::prelude::*;

use super::config::{Domain, Kind, Metric};

/// Two convolutions of single pixels, with a rectifier between them.
pub(super) struct Mlp {
    first: Conv2d,
    second: Conv2d,
}

impl Mlp {
    /// Loads `conv1` and `conv2`.
    pub(super) fn load(weights: &Weights, [from, hidden, to]: [usize; 3]) -> Result<Self, WeightsError> {
        Ok(Self {
            first: Conv2d::load(&weights.at("conv1"), ConvShape::square(hidden, from, 1))?,
            second: Conv2d::load(&weights.at("conv2"), ConvShape::square(to, hidden, 1))?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.second.forward(&self.first.forward_activated(x, Activation::Relu)?)
    }
}

/// The bins of one domain.
pub(super) struct Bins {
    seed: Mlp,
    /// By map, the smallest first.
    attractors: Vec<Mlp>,
    domain: Domain,
    kind: Kind,
    sums: bool,
}

/// Added to what a rectifier gives before it is divided by a sum.
const LEAST: f32 = 1e-3;

impl Bins {
    /// Loads the parts of a domain, whose seed has `hidden` channels inside; `attractors` says how many points each map has.
    pub(super) fn load(
        [seed, attracting]: [&Weights; 2],
        metric: &Metric,
        domain: &Domain,
        hidden: usize,
        attractors: &[usize],
    ) -> Result<Self, WeightsError> {
        let each = match metric.kind {
            Kind::Bounded => 2,
            Kind::Unbounded => 1,
        };
        let dim = metric.embedding;
        let layer = |(index, points): (usize, &usize)| {
            Mlp::load(&attracting.at(index.to_string()), [dim, dim, points * each])
        };
        Ok(Self {
            seed: Mlp::load(seed, [metric.width, hidden, domain.bins])?,
            attractors: attractors.iter().enumerate().map(layer).collect::<Result<_, _>>()?,
            domain: domain.clone(),
            kind: metric.kind,
            sums: metric.sums,
        })
    }

    /// The first centres, `[batch, bins, ..]` of the smallest map `[batch, width, ..]`: bounded ones from 0 to 1.
    pub(super) fn seeds(&self, smallest: &Tensor) -> Result<Tensor> {
        let found = self.seed.forward(smallest)?;
        match self.kind {
            Kind::Unbounded => each_value(&found, softplus),
            Kind::Bounded => {
                let Domain { least, largest, .. } = self.domain;
                each_pixel(&found, |widths| {
                    let all: f32 = widths.iter().map(|width| width.max(0.0) + LEAST).sum();
                    let mut edge = least;
                    for width in widths {
                        let next = edge + (largest - least) * ((width.max(0.0) + LEAST) / all);
                        *width = (0.5 * (edge + next) - least) / (largest - least);
                        edge = next;
                    }
                })
            }
        }
    }

    /// The centres of the map before, brought to the size of this one's embedding `[batch, embedding, height, width]` and
    /// attracted by the points that it names.
    ///
    /// Of the two numbers that bounded bins have for each point the reference takes the first as it is. Its strength is
    /// fixed, whatever the configuration says.
    pub(super) fn attracted(&self, map: usize, centres: &Tensor, embedding: &Tensor) -> Result<Tensor> {
        const STRENGTH: f32 = 300.0;
        let (batch, _, height, width) = embedding.dims4()?;
        let points = self.attractors[map].forward(embedding)?;
        let (points, step) = match self.kind {
            Kind::Bounded => (each_value(&points, |point| point.max(0.0) + LEAST)?, 2),
            Kind::Unbounded => (each_value(&points, softplus)?, 1),
        };
        let count = points.dim(1)? / step;
        let centres = resize(centres, [height, width], Filter::Bilinear, Alignment::Corners)?;
        let (shape, device) = (centres.shape().clone(), centres.device().clone());
        let (mut values, points) = (flat(&centres)?, flat(&points)?);
        let pixels = height * width;
        let bins = values.len() / (batch * pixels).max(1);
        let share = if self.sums { 1.0 } else { 1.0 / count as f32 };
        values.par_chunks_exact_mut(pixels).enumerate().for_each(|(plane, centres)| {
            let points = &points[plane / bins * count * step * pixels..];
            let mut shift = vec![0.0; pixels];
            for point in 0..count {
                let point = &points[point * step * pixels..][..pixels];
                for ((shift, point), centre) in shift.iter_mut().zip(point).zip(&*centres) {
                    let distance = point - centre;
                    *shift += distance / (1.0 + STRENGTH * distance * distance);
                }
            }
            centres.iter_mut().zip(shift).for_each(|(centre, shift)| *centre += shift * share);
        });
        Tensor::from_vec(values, shape, &device)
    }

    /// Centres in metres.
    pub(super) fn metres(&self, centres: &Tensor) -> Result<Tensor> {
        let Domain { least, largest, .. } = self.domain;
        match self.kind {
            Kind::Unbounded => Ok(centres.clone()),
            Kind::Bounded => each_pixel(centres, |centres| {
                centres.iter_mut().for_each(|centre| *centre = (largest - least) * *centre + least);
                centres.sort_unstable_by(f32::total_cmp);
                centres.iter_mut().for_each(|centre| *centre = centre.clamp(least, largest));
            }),
        }
    }
}

/// `torch.nn.Softplus`.
pub(super) fn softplus(x: f32) -> f32 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}

pub(super) fn flat(x: &Tensor) -> Result<Vec<f32>> {
    x.flatten_all()?.to_vec1()
}

/// A function of every number.
pub(super) fn each_value(x: &Tensor, function: impl Fn(f32) -> f32 + Sync) -> Result<Tensor> {
    let mut values = flat(x)?;
    values.par_iter_mut().with_min_len(1 << 12).for_each(|value| *value = function(*value));
    Tensor::from_vec(values, x.shape(), x.device())
}

/// Does something with the channels of each pixel of `[batch, channels, height, width]`.
fn each_pixel(x: &Tensor, work: impl Fn(&mut [f32]) + Send + Sync) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let mut values = flat(&x.permute([0, 2, 3, 1])?.to_contiguous()?)?;
    values.par_chunks_exact_mut(channels).with_min_len(64).for_each(work);
    let pixels = Tensor::from_vec(values, (batch, height, width, channels), x.device())?;
    pixels.permute([0, 3, 1, 2])?.to_contiguous()
}
