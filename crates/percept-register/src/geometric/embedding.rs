//! The geometric structure embedding: a vector for each pair of points, of their distance and of the angles at the first
//! point between its nearest neighbours and the second (arXiv 2202.06688, section 3.2; `GeometricStructureEmbedding`).

use percept_backbone::{Device, Linear, Result, Tensor, Weights, WeightsError};
use rayon::prelude::*;

use super::table::Table;
use super::vectors::{away, cross, dot, long_dot};

/// The most points whose pairs are embedded: 16 million pairs.
pub(crate) const MAX_POINTS: usize = 4096;
/// The longest table of distances.
const MAX_ROWS: f32 = 131_072.0;

/// What is made of the angles to several neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    Max,
    Mean,
}

/// The numbers of an embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EmbeddingShape {
    /// Channels.
    pub(crate) hidden: usize,
    /// The distance that makes a step of the waves, in the unit of the points.
    pub(crate) sigma_d: f32,
    /// The angle that makes one [degrees].
    pub(crate) sigma_a: f32,
    /// Neighbours to which angles are taken.
    pub(crate) angle_k: usize,
    pub(crate) reduction: Reduction,
}

/// The two projections of an embedding.
#[derive(Clone, Debug)]
pub(crate) struct GeometricEmbedding {
    shape: EmbeddingShape,
    waves: Vec<f32>,
    proj_d: Linear,
    angles: Table,
}

/// The pairs of some points, from which an embedding is read.
#[derive(Clone, Debug)]
pub(crate) struct Structure<'a> {
    count: usize,
    shape: EmbeddingShape,
    /// `[points, points]`, in steps.
    distances: Vec<f32>,
    /// `[points, points, neighbours]`, in steps.
    angles: Vec<f32>,
    neighbors: usize,
    distance_table: Table,
    angle_table: &'a Table,
}

impl GeometricEmbedding {
    /// Loads `proj_d`, `proj_a` and, where it is there, `embedding.div_term`.
    pub(crate) fn load(weights: &Weights, shape: EmbeddingShape) -> Result<Self, WeightsError> {
        let EmbeddingShape { hidden, sigma_a, .. } = shape;
        if !hidden.is_multiple_of(2) || hidden == 0 {
            return Err(WeightsError::Format(format!("waves in pairs make no {hidden} channels")));
        }
        let waves = match weights.at("embedding").has("div_term") {
            true => {
                let stored = weights.get("embedding.div_term", &[hidden / 2])?;
                stored.to_vec1().map_err(WeightsError::Engine)?
            }
            false => (0..hidden / 2).map(|at| 1e4_f32.powf(-2.0 * at as f32 / hidden as f32)).collect(),
        };
        let proj_a = Linear::load(&weights.at("proj_a"), hidden, hidden)?;
        let angles = Table::new(&proj_a, &waves, 180.0 / sigma_a).map_err(WeightsError::Engine)?;
        Ok(Self { shape, waves, proj_d: Linear::load(&weights.at("proj_d"), hidden, hidden)?, angles })
    }

    /// Of points, in the unit of `sigma_d`: at least two of them, and at most [`MAX_POINTS`]. Points that have fewer
    /// neighbours than `angle_k` take all.
    pub(crate) fn of(&self, points: &[[f32; 3]]) -> Result<Structure<'_>> {
        let count = points.len();
        if !(2..=MAX_POINTS).contains(&count) {
            candle_core::bail!("an embedding of pairs is of 2 to {MAX_POINTS} points, not of {count}");
        }
        if points.iter().flatten().any(|value| !value.is_finite()) {
            candle_core::bail!("points have coordinates that are not finite");
        }
        let neighbors = self.shape.angle_k.min(count - 1);
        let (mut distances, mut angles) = (vec![0.0; count * count], vec![0.0; count * count * neighbors]);
        let rows = distances.par_chunks_mut(count).zip(angles.par_chunks_mut(count * neighbors.max(1)));
        rows.zip(points).enumerate().for_each(|(at, ((distances, angles), point))| {
            self.row(points, (at, point), distances, angles, neighbors);
        });
        let largest = distances.par_iter().copied().reduce(|| 0.0, f32::max);
        let rows = Table::rows_to(largest);
        if rows > MAX_ROWS {
            candle_core::bail!(
                "points lie {largest} sigmas ({}) apart: is the unit right?",
                self.shape.sigma_d
            );
        }
        Ok(Structure {
            count,
            shape: self.shape,
            distances,
            angles,
            neighbors,
            distance_table: Table::new(&self.proj_d, &self.waves, largest)?,
            angle_table: &self.angles,
        })
    }

    /// The distances and angles at one point.
    fn row(
        &self,
        points: &[[f32; 3]],
        (at, point): (usize, &[f32; 3]),
        distances: &mut [f32],
        angles: &mut [f32],
        neighbors: usize,
    ) {
        let away = |other: &[f32; 3]| away(point, other);
        for (distance, other) in distances.iter_mut().zip(points) {
            *distance = dot(&away(other), &away(other)).sqrt() / self.shape.sigma_d;
        }
        let mut near: Vec<usize> = (0..points.len()).filter(|other| *other != at).collect();
        let order = |left: &usize, right: &usize| {
            distances[*left].total_cmp(&distances[*right]).then(left.cmp(right))
        };
        if neighbors == 0 {
            return;
        }
        near.select_nth_unstable_by(neighbors - 1, order);
        let near: Vec<[f32; 3]> = near[..neighbors].iter().map(|other| away(&points[*other])).collect();
        let steps = (180.0 / std::f64::consts::PI / f64::from(self.shape.sigma_a)) as f32;
        for (angles, other) in angles.chunks_exact_mut(neighbors).zip(points) {
            let anchor = away(other);
            for (angle, near) in angles.iter_mut().zip(&near) {
                let cross = cross(near, &anchor);
                // A product of -0 with a point itself would be half a turn.
                *angle = dot(&cross, &cross).sqrt().atan2(dot(near, &anchor) + 0.0) * steps;
            }
        }
    }
}

impl Structure<'_> {
    /// The embedding of the pair of points `from` and `to`, into `out` of as many channels as there are; `spare` as well.
    fn pair(&self, from: usize, to: usize, out: &mut [f32], spare: &mut [f32]) {
        let pair = from * self.count + to;
        self.distance_table.look_up(self.distances[pair], out, |_, new| new);
        let mut angles = self.angles[pair * self.neighbors..][..self.neighbors].iter();
        let Some(first) = angles.next() else { return };
        self.angle_table.look_up(*first, spare, |_, new| new);
        match self.shape.reduction {
            Reduction::Max => {
                for angle in angles {
                    self.angle_table.look_up(*angle, spare, |last, new| if new > last { new } else { last });
                }
                out.iter_mut().zip(&*spare).for_each(|(out, angle)| *out += angle);
            }
            Reduction::Mean => {
                for angle in angles {
                    self.angle_table.look_up(*angle, spare, |last, new| last + new);
                }
                let share = 1.0 / self.neighbors as f32;
                out.iter_mut().zip(&*spare).for_each(|(out, angle)| *out += angle * share);
            }
        }
    }

    /// The products of each pair's embedding with the vectors of its first point: `vectors` is `[points, heads, channels]`,
    /// the result `[1, heads, points, points]`. The embeddings themselves, a thousand numbers a pair, are never written.
    pub(crate) fn products(&self, vectors: &Tensor) -> Result<Tensor> {
        let (points, heads, channels) = vectors.dims3()?;
        if points != self.count || channels != self.shape.hidden {
            candle_core::bail!("{points} vectors of {channels} for {} points", self.count);
        }
        let vectors = vectors.flatten_all()?.to_vec1::<f32>()?;
        let mut products = vec![0.0; heads * points * points];
        let row = |(from, (products, vectors)): (usize, (&mut [f32], &[f32]))| {
            let (mut embedding, mut spare) = (vec![0.0; channels], vec![0.0; channels]);
            for to in 0..points {
                self.pair(from, to, &mut embedding, &mut spare);
                for (head, vector) in vectors.chunks_exact(channels).enumerate() {
                    products[head * points + to] = long_dot::<16, _>(vector, &embedding);
                }
            }
        };
        let rows = products.par_chunks_mut(heads * points).zip(vectors.par_chunks(heads * channels));
        rows.enumerate().for_each(row);
        Tensor::from_vec(products, (1, points, heads, points), &Device::Cpu)?.transpose(1, 2)
    }

    /// The embeddings of all pairs, `[points, points, channels]`, for who wants to look at them.
    #[cfg(test)]
    pub(crate) fn embeddings(&self) -> Tensor {
        let channels = self.shape.hidden;
        let mut all = vec![0.0; self.count * self.count * channels];
        let mut spare = vec![0.0; channels];
        for (pair, out) in all.chunks_exact_mut(channels).enumerate() {
            self.pair(pair / self.count, pair % self.count, out, &mut spare);
        }
        Tensor::from_vec(all, (self.count, self.count, channels), &Device::Cpu).unwrap()
    }
}
