//! Which key points take each other for the likeliest.
//!
//! Similar is what the network finds similar, what has similar histograms, and what lies by super-points that are transported
//! to each other. Two softmaxes over all similarities, one over the rows and one over the columns, take from what is similar
//! to much (Rocco et al. 2018, "Neighbourhood consensus networks", section 3.1).

use nalgebra::DMatrix;
use rayon::prelude::*;

use super::network::{Given, Told, WIDTH, nearby};
use crate::feature::{Feature, LENGTH};
use crate::matching;

/// Super-points that say where a key point goes.
const AROUND: usize = 3;
/// What a share of the plan counts, and what stands for none.
const PLAN: f32 = 0.5;
const NONE: f32 = 1e-4;
/// Rows of a block of products.
const BLOCK: usize = 128;

/// Similarities `[source, target]`.
pub(super) struct Similarity {
    rows: Vec<f32>,
    columns: usize,
}

impl Similarity {
    /// `weight` is what a squared difference of histograms takes away.
    pub(super) fn new(clouds: [&Given; 2], told: &Told, weight: f32) -> Self {
        let [source, target] =
            [0, 1].map(|side| columns(&clouds[side].features, &told.features[side], weight));
        let count = target.ncols();
        let mut rows = vec![0.0; source.ncols() * count];
        if count == 0 {
            return Self { rows, columns: count };
        }
        // As in `matching`: a product of matrices as they lie is a fast one.
        let target_rows = target.transpose();
        let less = [&source, &target].map(squares);
        let [from, to] = clouds.map(around);
        // What is transported from around a key point of the source to each super-point of the target, before and behind.
        let width = clouds[1].nodes.len() + 1;
        rows.par_chunks_mut(BLOCK * count).enumerate().for_each(|(block, rows)| {
            let first = block * BLOCK;
            let products = &target_rows * source.columns(first, rows.len() / count);
            let mut sent = vec![0.0_f32; width];
            for (at, row) in rows.chunks_exact_mut(count).enumerate() {
                sent.fill(0.0);
                for node in from[first + at] {
                    let plan = &told.plan[node * width..][..width];
                    sent.iter_mut().zip(plan).for_each(|(sent, share)| *sent += share.exp());
                }
                for (other, value) in row.iter_mut().enumerate() {
                    let share: f32 = to[other].iter().map(|node| sent[*node]).sum();
                    let share = share / (AROUND * AROUND) as f32;
                    *value = products[(other, at)] - less[0][first + at] - less[1][other]
                        + PLAN * (share + NONE).ln();
                }
            }
        });
        Self { rows, columns: count }
    }

    /// Pairs (source, target) that are each other's likeliest, in the order of the source. Ties go to the first.
    pub(super) fn mutual(&self) -> Vec<(usize, usize)> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let of_rows: Vec<f32> =
            self.rows.par_chunks_exact(self.columns).map(|row| log_sum(row.iter().copied())).collect();
        let column = |column: usize| self.rows[column..].iter().step_by(self.columns);
        let of_columns: Vec<f32> =
            (0..self.columns).into_par_iter().map(|at| log_sum(column(at).copied())).collect();
        let forth: Vec<usize> = self
            .rows
            .par_chunks_exact(self.columns)
            .map(|row| best(row.iter().zip(&of_columns).map(|(value, sum)| 2.0 * value - sum)))
            .collect();
        let back: Vec<usize> = (0..self.columns)
            .into_par_iter()
            .map(|at| best(column(at).zip(&of_rows).map(|(value, sum)| 2.0 * value - sum)))
            .collect();
        forth.into_iter().enumerate().filter(|(at, other)| back[*other] == *at).collect()
    }
}

/// A column a key point: what the network found above, the histograms below, so that the product of two is the first
/// product and, but for half of either square, the second squared difference.
fn columns(features: &[Feature], found: &[f32], weight: f32) -> DMatrix<f32> {
    let histograms = matching::centered(features) * (2.0 * weight).sqrt();
    let scale = (WIDTH as f32).powf(-0.25);
    DMatrix::from_fn(WIDTH + LENGTH, features.len(), |row, column| match row.checked_sub(WIDTH) {
        None => found[column * WIDTH + row] * scale,
        Some(row) => histograms[(row, column)],
    })
}

fn squares(columns: &DMatrix<f32>) -> Vec<f32> {
    columns.rows(WIDTH, LENGTH).column_iter().map(|column| column.norm_squared() / 2.0).collect()
}

/// The super-points around each key point.
fn around(cloud: &Given) -> Vec<[usize; AROUND]> {
    let places: Vec<[f32; 3]> = cloud.nodes.iter().map(|at| cloud.points[*at as usize]).collect();
    cloud.points.par_iter().map(|point| nearby::<AROUND>(point, &places).map(|(_, at)| at)).collect()
}

fn log_sum(values: impl Iterator<Item = f32> + Clone) -> f32 {
    let largest = values.clone().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = values.map(|value| f64::from((value - largest).exp())).sum();
    largest + sum.ln() as f32
}

fn best(values: impl Iterator<Item = f32>) -> usize {
    let mut best = (f32::NEG_INFINITY, 0);
    for (at, value) in values.enumerate() {
        if value > best.0 {
            best = (value, at);
        }
    }
    best.1
}
