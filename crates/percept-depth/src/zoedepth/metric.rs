//! The metric heads: one (`ZoeDepthMetricDepthEstimationHead`), or two between which a router chooses
//! (`ZoeDepthMultipleMetricDepthEstimationHeads`).

use percept_backbone::{
    Alignment, Conv2d, ConvShape, EngineError, Filter, Result, Tensor, Weights, WeightsError, resize,
};

use super::bins::{Bins, Mlp};
use super::config::Metric;
use super::mixture::Mixture;
use super::router::Router;
use crate::neck::Fused;

/// From maps and features to metres.
pub(super) struct Heads {
    /// Of the smallest map.
    project: Conv2d,
    seed: Mlp,
    /// By map, the smallest first.
    projectors: Vec<Mlp>,
    domains: Vec<(Bins, Mixture)>,
    router: Option<Router>,
}

impl Heads {
    /// Loads `metric_head`.
    pub(super) fn load(weights: &Weights, metric: &Metric) -> Result<Self, WeightsError> {
        let &Metric { width, features, embedding, .. } = metric;
        let single = metric.router.is_none();
        // Channels inside of the seed's and of the projectors' convolutions.
        let (seed_hidden, hidden) = if single { (256, 128) } else { (embedding / 2, embedding / 2) };
        // The one head also looks at the relative depth; the two get the default number of points for each map.
        let (inputs, squeeze, points) = match single {
            true => (features + 1, 2, metric.attractors.clone()),
            false => (features, 4, vec![16; metric.attractors.len()]),
        };
        let domain = |domain: &super::config::Domain| {
            let part = |one: &str, of_many: &str| match single {
                true => weights.at(one),
                false => weights.at(format!("{of_many}.{}", domain.name)),
            };
            let seed = part("seed_bin_regressor", "seed_bin_regressors");
            let attractors = part("attractors", "attractors");
            let bins = Bins::load([&seed, &attractors], metric, domain, seed_hidden, &points)?;
            let mixture = part("conditional_log_binomial", "conditional_log_binomial");
            let shape = [inputs, embedding, (inputs + embedding) / squeeze];
            Ok((bins, Mixture::load(&mixture, shape, metric.temperature, domain.bins)?))
        };
        let projector = |name: String| Mlp::load(&weights.at(name), [width, hidden, embedding]);
        Ok(Self {
            project: Conv2d::load(&weights.at("conv2"), ConvShape::square(width, width, 1))?,
            seed: projector("seed_projector".into())?,
            projectors: (0..points.len())
                .map(|index| projector(format!("projectors.{index}")))
                .collect::<Result<_, _>>()?,
            domains: metric.domains.iter().map(domain).collect::<Result<_, WeightsError>>()?,
            router: metric.router.map(|router| Router::load(weights, width, router)).transpose()?,
        })
    }

    /// The neck's maps, the relative head's features `[batch, features, height, width]` and its depth
    /// `[batch, height, width]`, to metres `[batch, height, width]` and, where there are two heads, their logits.
    ///
    /// All images of a batch go to one domain, the one that most of the logits' sum is for, as in the reference.
    pub(super) fn forward(
        &self,
        fused: &Fused,
        features: &Tensor,
        relative: &Tensor,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let smallest = self.project.forward(&fused.smallest)?;
        let logits = self.router.as_ref().map(|router| router.logits(&smallest)).transpose()?;
        let chosen = match &logits {
            None => 0,
            Some(logits) => {
                let sums = logits.sum(0)?.to_vec1::<f32>()?;
                usize::from(matches!(sums[..], [first, second] if second > first))
            }
        };
        let Some((bins, mixture)) = self.domains.get(chosen) else {
            return Err(EngineError::Msg(format!("no domain {chosen}")));
        };
        let mut centres = bins.seeds(&smallest)?;
        let mut before = self.seed.forward(&smallest)?;
        for (index, (projector, map)) in self.projectors.iter().zip(&fused.maps).enumerate() {
            let embedding = projector.forward(map)?;
            let (_, _, height, width) = embedding.dims4()?;
            let before_sized = resize(&before, [height, width], Filter::Bilinear, Alignment::Corners)?;
            centres = bins.attracted(index, &centres, &(&embedding + before_sized)?)?;
            before = embedding;
        }
        let centres = bins.metres(&centres)?;
        let depth = match &self.router {
            Some(_) => mixture.depth(features, &before, &centres)?,
            None => {
                let features = Tensor::cat(&[features, &relative.unsqueeze(1)?], 1)?;
                mixture.depth(&features, &before, &centres)?
            }
        };
        Ok((depth, logits))
    }
}
