//! Optimal transport with a dustbin (Sarlin et al. 2020, "SuperGlue", arXiv 1911.11763, section 3.2;
//! `LearnableLogOptimalTransport`).

use percept_backbone::{Weights, WeightsError};

use super::vectors::long_dot;

/// Beyond this a factor moves into the exponents (Schmitzer 2019, arXiv 1610.06519, "absorption"): e^100 and its inverse
/// are far inside the range of f64.
const MOVED: f64 = 1e40;

/// Which rows go with which columns, where either may stay alone at the price of a learned score.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transport {
    dustbin: f64,
    iterations: usize,
}

impl Transport {
    /// Loads `alpha`, the score of staying alone.
    pub(crate) fn load(weights: &Weights, iterations: usize) -> Result<Self, WeightsError> {
        let alpha = weights.get("alpha", &[])?.to_scalar::<f32>().map_err(WeightsError::Engine)?;
        Ok(Self { dustbin: f64::from(alpha), iterations })
    }

    /// The logarithm of the plan `[rows + 1, columns + 1]` for scores `[rows, columns]`, as many iterations of Sinkhorn on.
    /// Each row and column holds 1, the dustbins as much as all of the other side. Neither side may be empty.
    ///
    /// It iterates on factors instead of logarithms, in f64: an exponential for each score, not for each score and
    /// iteration. Factors that grow large move into the exponents.
    pub(crate) fn plan(&self, scores: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
        let (height, width) = (rows + 1, columns + 1);
        let mut exponents = vec![self.dustbin; height * width];
        for (into, from) in exponents.chunks_exact_mut(width).zip(scores.chunks_exact(columns.max(1))) {
            into.iter_mut().zip(from).for_each(|(into, from)| *into = f64::from(*from));
        }
        // What a row and a column hold, in units of all that there is.
        let unit = 1.0 / (rows + columns) as f64;
        let held = |side: usize, other: usize| {
            let mut held = vec![unit; side + 1];
            held[side] = other as f64 * unit;
            held
        };
        let (of_rows, of_columns) = (held(rows, columns), held(columns, rows));
        let largest = |row: &[f64]| row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // The row of the dustbin is all ones at first and each row has a one: nothing below is divided by zero.
        let mut row_shift: Vec<f64> = exponents.chunks_exact(width).map(|row| -largest(row)).collect();
        let mut column_shift = vec![0.0; width];
        let mut kernel = vec![0.0; height * width];
        fill(&mut kernel, &exponents, &row_shift, &column_shift);
        let (mut row_factor, mut column_factor) = (vec![1.0; height], vec![1.0; width]);
        let mut sums = vec![0.0; width];
        for _ in 0..self.iterations {
            let rows = kernel.chunks_exact(width).zip(&of_rows).zip(&mut row_factor);
            rows.for_each(|((row, held), factor)| *factor = held / long_dot::<8, _>(row, &column_factor));
            sums.fill(0.0);
            for (row, factor) in kernel.chunks_exact(width).zip(&row_factor) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * factor);
            }
            let columns = column_factor.iter_mut().zip(&of_columns).zip(&sums);
            columns.for_each(|((factor, held), sum)| *factor = held / sum);
            let far = |factor: &f64| !(MOVED.recip()..=MOVED).contains(factor);
            if row_factor.iter().chain(&column_factor).any(far) {
                absorb(&mut row_shift, &mut row_factor);
                absorb(&mut column_shift, &mut column_factor);
                fill(&mut kernel, &exponents, &row_shift, &column_shift);
            }
        }
        absorb(&mut row_shift, &mut row_factor);
        absorb(&mut column_shift, &mut column_factor);
        let rows = exponents.chunks_exact(width).zip(&row_shift);
        let one = |(row, shift): (&[f64], &f64)| {
            let shift = shift - unit.ln();
            row.iter().zip(&column_shift).map(|(score, column)| (score + shift + column) as f32).collect()
        };
        rows.map(one).collect::<Vec<Vec<f32>>>().concat()
    }
}

fn fill(kernel: &mut [f64], exponents: &[f64], row_shift: &[f64], column_shift: &[f64]) {
    let width = column_shift.len();
    let rows = kernel.chunks_exact_mut(width).zip(exponents.chunks_exact(width)).zip(row_shift);
    for ((kernel, exponents), row) in rows {
        for ((value, exponent), column) in kernel.iter_mut().zip(exponents).zip(column_shift) {
            *value = (exponent + row + column).exp();
        }
    }
}

fn absorb(shifts: &mut [f64], factors: &mut [f64]) {
    for (shift, factor) in shifts.iter_mut().zip(factors) {
        *shift += factor.ln();
        *factor = 1.0;
    }
}
