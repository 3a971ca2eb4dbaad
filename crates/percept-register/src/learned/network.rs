//! The network: what key points are like on their own and in their patch, what super-points are like among all others of both
//! clouds, which belong together, and key points' features again, of what is around them.
//!
//! `tests/reference/register_matcher.py` is the same in PyTorch. The patches are PPFNet's (Deng et al. 2018, arXiv
//! 1802.02669) and RoITr's (Yu et al. 2023, arXiv 2303.08231) point pairs, between them is GeoTransformer's transformer
//! ([`crate::geometric`]).

use percept_backbone::{
    Activation, Device, LayerNorm, Linear, Result, Tensor, Weights, WeightsError, products,
};
use percept_core::Precision;
use rayon::prelude::*;

use super::input::{PATCH, PATCH_RADIUS};
use crate::feature::LENGTH;
use crate::geometric::{
    EmbeddingShape, GeometricTransformer, Look, Reduction, TransformerShape, Transport, away, dot,
};

/// Channels.
pub(super) const WIDTH: usize = 64;
/// Numbers of a point pair.
const PAIR: usize = 4;
const HEADS: usize = 4;
/// Looks at the own cloud, each followed by one at the other.
const ROUNDS: usize = 3;
const ITERATIONS: usize = 10;
/// Super-points that a key point's context comes from, and what softens their distance.
const CONTEXT: usize = 4;
const SOFT: f32 = 1.0;
/// The squared difference of histograms that its weight is of.
const HISTOGRAMS: f32 = 2000.0;
/// Key points whose patches are described at once.
const TOGETHER: usize = 256;
/// Fewer super-points than this are nothing to look at.
const LEAST_NODES: usize = 8;

/// A cloud as numbers: lengths in its unit.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) points: Vec<[f32; 3]>,
    pub(super) normals: Vec<[f32; 3]>,
    pub(super) features: Vec<[f32; LENGTH]>,
    /// Super-points, as places in `points`.
    pub(super) nodes: Vec<u32>,
    /// [`PATCH`] places for each key point.
    pub(super) patches: Vec<u32>,
}

/// What the network says of two clouds.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// The logarithm of the transport plan, `[super-points + 1, super-points + 1]`.
    pub(super) plan: Vec<f32>,
    /// Features of the key points of both, `[key points, WIDTH]`.
    pub(super) features: [Vec<f32>; 2],
}

/// The weights.
#[derive(Debug)]
pub(super) struct Network {
    describe_in: Linear,
    describe_out: Linear,
    patch_feature: Linear,
    /// `[WIDTH, PAIR]`.
    patch_pair: Vec<f32>,
    patch_out: Linear,
    patch_in: Linear,
    node_norm: LayerNorm,
    transformer: GeometricTransformer,
    transport: Transport,
    point_own: Linear,
    point_context: Linear,
    point_out: Linear,
    /// What a squared difference of histograms takes from the similarity of two key points.
    pub(super) histograms: f32,
}

impl Network {
    pub(super) fn load(weights: &Weights) -> Result<Self, WeightsError> {
        let linear = |name: &str, input: usize| Linear::load(&weights.at(name), input, WIDTH);
        let pair = weights.get("patch_pair.weight", &[WIDTH, PAIR])?.flatten_all();
        let histograms = weights.get("histograms", &[])?.to_scalar::<f32>().map_err(WeightsError::Engine)?;
        let shape = TransformerShape {
            input: WIDTH,
            output: WIDTH,
            heads: HEADS,
            looks: [Look::Own, Look::Other].repeat(ROUNDS),
            embedding: EmbeddingShape {
                hidden: WIDTH,
                sigma_d: 2.0,
                sigma_a: 15.0,
                angle_k: 3,
                reduction: Reduction::Mean,
            },
        };
        Ok(Self {
            describe_in: linear("describe_in", LENGTH)?,
            describe_out: linear("describe_out", WIDTH)?,
            patch_feature: linear("patch_feature", WIDTH)?,
            patch_pair: pair.and_then(|pair| pair.to_vec1()).map_err(WeightsError::Engine)?,
            patch_out: linear("patch_out", WIDTH)?,
            patch_in: linear("patch_in", 2 * WIDTH)?,
            node_norm: LayerNorm::load(&weights.at("node_norm"), WIDTH, 1e-5)?,
            transformer: GeometricTransformer::load(&weights.at("transformer"), &shape)?,
            transport: Transport::load(&weights.at("transport"), ITERATIONS)?,
            point_own: linear("point_own", WIDTH)?,
            point_context: linear("point_context", WIDTH)?,
            point_out: linear("point_out", WIDTH)?,
            histograms: histograms.max(0.0) / HISTOGRAMS,
        })
    }

    /// None where a cloud has too few super-points.
    pub(super) fn run(&self, clouds: [&Given; 2]) -> Result<Option<Told>> {
        if clouds.iter().any(|cloud| cloud.nodes.len() < LEAST_NODES) {
            return Ok(None);
        }
        let own = [self.describe(clouds[0])?, self.describe(clouds[1])?];
        let [first, second] = [self.nodes(clouds[0], &own[0])?, self.nodes(clouds[1], &own[1])?];
        let places = clouds
            .map(|cloud| cloud.nodes.iter().map(|at| cloud.points[*at as usize]).collect::<Vec<[f32; 3]>>());
        let [first, second] = self.transformer.forward([&places[0], &places[1]], [&first, &second])?;
        let scale = (WIDTH as f64).sqrt().recip();
        let (first_row, second_row) = (first.unsqueeze(0)?, second.unsqueeze(0)?);
        let scores = (products(&first_row, &second_row, Precision::F32)? * scale)?;
        let plan = self.transport.plan(&numbers(&scores)?, [places[0].len(), places[1].len()]);
        let features = [
            self.features(clouds[0], &own[0], &places[0], &first)?,
            self.features(clouds[1], &own[1], &places[1], &second)?,
        ];
        Ok(Some(Told { plan, features }))
    }

    /// What is around each key point: `[points, WIDTH]`.
    fn describe(&self, cloud: &Given) -> Result<Tensor> {
        let points = cloud.points.len();
        let roots: Vec<f32> =
            cloud.features.iter().flatten().map(|value| (value.max(0.0) / 200.0).sqrt()).collect();
        let roots = Tensor::from_vec(roots, (points, LENGTH), &Device::Cpu)?;
        let own =
            self.describe_out.forward(&self.describe_in.forward_activated(&roots, Activation::Relu)?)?;
        let members = numbers(&self.patch_feature.forward(&own)?)?;
        let described = numbers(&own)?;
        let mut both = Vec::with_capacity(points * 2 * WIDTH);
        // As many at a time as the cache holds.
        for first in (0..points).step_by(TOGETHER) {
            let count = TOGETHER.min(points - first);
            let mut inside = vec![0.0_f32; count * PATCH * WIDTH];
            inside.par_chunks_mut(PATCH * WIDTH).enumerate().for_each(|(at, rows)| {
                let at = first + at;
                self.fill(cloud, at, &members, rows);
            });
            let inside = Tensor::from_vec(inside, (count * PATCH, WIDTH), &Device::Cpu)?;
            let inside = numbers(&self.patch_out.forward(&inside)?)?;
            for (at, rows) in inside.chunks_exact(PATCH * WIDTH).enumerate() {
                both.extend_from_slice(&described[(first + at) * WIDTH..][..WIDTH]);
                let largest =
                    rows.chunks_exact(WIDTH).fold([f32::NEG_INFINITY; WIDTH], |mut largest, row| {
                        largest
                            .iter_mut()
                            .zip(row)
                            .for_each(|(largest, value)| *largest = largest.max(*value));
                        largest
                    });
                both.extend_from_slice(&largest);
            }
        }
        self.patch_in.forward(&Tensor::from_vec(both, (points, 2 * WIDTH), &Device::Cpu)?)
    }

    /// The members of a patch as its point sees them: `[PATCH, WIDTH]`.
    fn fill(&self, cloud: &Given, at: usize, members: &[f32], rows: &mut [f32]) {
        let patch = &cloud.patches[at * PATCH..][..PATCH];
        let pairs = point_pairs(cloud, at, patch);
        for ((row, pair), member) in rows.chunks_exact_mut(WIDTH).zip(pairs).zip(patch) {
            let member = &members[*member as usize * WIDTH..][..WIDTH];
            let weights = self.patch_pair.as_chunks::<PAIR>().0;
            for ((value, member), weight) in row.iter_mut().zip(member).zip(weights) {
                let of_pair: f32 = weight.iter().zip(pair).map(|(weight, number)| weight * number).sum();
                *value = (member + of_pair).max(0.0);
            }
        }
    }

    /// What is around each super-point, made even.
    fn nodes(&self, cloud: &Given, own: &Tensor) -> Result<Tensor> {
        let own = numbers(own)?;
        let rows = cloud.nodes.iter().flat_map(|at| &own[*at as usize * WIDTH..][..WIDTH]).copied();
        let rows = Tensor::from_vec(rows.collect(), (cloud.nodes.len(), WIDTH), &Device::Cpu)?;
        self.node_norm.forward(&rows)
    }

    /// Features of key points from their own and those of the super-points around them.
    fn features(&self, cloud: &Given, own: &Tensor, places: &[[f32; 3]], nodes: &Tensor) -> Result<Vec<f32>> {
        let context = numbers(&self.point_context.forward(nodes)?)?;
        let mut sums = numbers(&self.point_own.forward(own)?)?;
        sums.par_chunks_mut(WIDTH).zip(&cloud.points).for_each(|(row, point)| {
            let nearest = nearby::<CONTEXT>(point, places).map(|(squared, at)| (1.0 / (squared + SOFT), at));
            let total: f32 = nearest.iter().map(|(weight, _)| weight).sum();
            for (weight, node) in nearest {
                let weight = weight / total;
                let context = &context[node * WIDTH..][..WIDTH];
                row.iter_mut().zip(context).for_each(|(value, context)| *value += weight * context);
            }
            row.iter_mut().for_each(|value| *value = value.max(0.0));
        });
        let sums = Tensor::from_vec(sums, (cloud.points.len(), WIDTH), &Device::Cpu)?;
        numbers(&self.point_out.forward_onto(&sums, own)?)
    }
}

/// The nearest `N` of places, nearest first, with their squared distances.
pub(super) fn nearby<const N: usize>(point: &[f32; 3], places: &[[f32; 3]]) -> [(f32, usize); N] {
    let mut nearest = [(f32::INFINITY, 0_usize); N];
    for (at, place) in places.iter().enumerate() {
        let squared = squared(&away(point, place));
        if squared < nearest[N - 1].0 {
            let behind = nearest.iter().position(|other| squared < other.0).unwrap_or(N - 1);
            nearest[behind..].rotate_right(1);
            nearest[behind] = (squared, at);
        }
    }
    nearest
}

/// The distance of each point of a patch from its super-point, the angles of the line between them with either normal, and of
/// the normals. The patch lies behind its super-point, and the others' normals look to the same side.
fn point_pairs(cloud: &Given, node: usize, patch: &[u32]) -> Vec<[f32; PAIR]> {
    let (place, normal) = (&cloud.points[node], &cloud.normals[node]);
    let mut sum = [0.0_f32; 3];
    for member in patch {
        let way = away(place, &cloud.points[*member as usize]);
        sum.iter_mut().zip(way).for_each(|(sum, way)| *sum += way);
    }
    let own = if dot(normal, &sum) > 0.0 { normal.map(|value| -value) } else { *normal };
    let pair = |member: &u32| {
        let way = away(place, &cloud.points[*member as usize]);
        let distance = squared(&way).sqrt();
        let unit = way.map(|value| value / distance.max(1e-6));
        let other = &cloud.normals[*member as usize];
        let along = dot(&own, other);
        let sign = if along < 0.0 { -1.0 } else { 1.0 };
        [distance / PATCH_RADIUS as f32, dot(&own, &unit), sign * dot(other, &unit), along.abs()]
    };
    patch.iter().map(pair).collect()
}

fn squared(vector: &[f32; 3]) -> f32 {
    dot(vector, vector)
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}
