//! From heat maps to places: the peak, refined by distribution-aware decoding (DARK, Zhang et al. 2020, arXiv 1910.06278)
//! as transformers 5.23's `VitPoseImageProcessor.post_process_pose_estimation` does it.

/// Of the blur before the refinement, in places of the map.
const SIGMA: f64 = 0.8;
/// How far the blur reaches: half the reference's kernel of 11.
const RADIUS: usize = 5;

/// The peak of a heat map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Peak {
    /// x and y in places of the map, whose first has its centre at (0, 0).
    pub(crate) at: [f32; 2],
    /// Its height.
    pub(crate) score: f32,
}

/// Finds peaks in maps of one size.
#[derive(Debug)]
pub(crate) struct Peaks {
    rows: usize,
    columns: usize,
    /// The Gaussian at a distance.
    kernel: [f64; RADIUS + 1],
}

impl Peaks {
    /// For maps of `[rows, columns]`.
    pub(crate) fn new([rows, columns]: [usize; 2]) -> Self {
        let weight = |distance: usize| (-0.5 / (SIGMA * SIGMA) * (distance * distance) as f64).exp();
        let kernel: [f64; RADIUS + 1] = std::array::from_fn(weight);
        let sum = kernel[0] + 2.0 * kernel[1..].iter().sum::<f64>();
        Self { rows, columns, kernel: kernel.map(|weight| weight / sum) }
    }

    /// The peak of a map, row by row.
    ///
    /// A map that is nowhere above 0 has none: its peak is the upper left place, with the score that is there at most.
    /// (The reference has a place before the first one then, and refines it with whatever lies there in memory.)
    pub(crate) fn find(&self, map: &[f32]) -> Peak {
        // The first of equal ones, as numpy's argmax.
        let best = map.iter().enumerate().fold(0, |best, (index, value)| match *value > map[best] {
            true => index,
            false => best,
        });
        let score = map[best];
        if score.is_nan() || score <= 0.0 {
            return Peak { at: [0.0; 2], score };
        }
        let (row, column) = (best / self.columns, best % self.columns);
        let near = self.neighbourhood(map, row, column);
        let [[before, up, _], [left, middle, right], [_, down, after]] = near;
        // One step of Newton's method on the logarithm, where a Gaussian is a parabola.
        let (dx, dy) = (0.5 * (right - left), 0.5 * (down - up));
        let dxx = right - 2.0 * middle + left;
        let dyy = down - 2.0 * middle + up;
        let dxy = 0.5 * (after - right - down + middle + middle - left - up + before);
        let eps = f64::from(f32::EPSILON);
        let (a, b, d) = (f64::from(dxx) + eps, f64::from(dxy), f64::from(dyy) + eps);
        let determinant = a * d - b * b;
        let (dx, dy) = (f64::from(dx), f64::from(dy));
        let step = [(d * dx - b * dy) / determinant, (a * dy - b * dx) / determinant];
        let whole = [column as f32, row as f32];
        let at: [f32; 2] = std::array::from_fn(|axis| (f64::from(whole[axis]) - step[axis]) as f32);
        // On a plateau there is no parabola.
        Peak { at: if at.iter().all(|at| at.is_finite()) { at } else { whole }, score }
    }

    /// The logarithm of the blurred map at a place and its eight neighbours; beyond the edge stands the edge.
    fn neighbourhood(&self, map: &[f32], row: usize, column: usize) -> [[f32; 3]; 3] {
        let clamped = |at: usize, step: usize, size: usize| (at + step).saturating_sub(1).min(size - 1);
        let first = column.saturating_sub(RADIUS + 1);
        let end = (column + RADIUS + 2).min(self.columns);
        std::array::from_fn(|down| {
            let row = clamped(row, down, self.rows);
            // Down the columns first, rounded, then along the row: the reference's order.
            let mut line = vec![0.0_f32; self.columns];
            // Near an edge the blur reads reflected columns, which are near it too.
            for (x, value) in line.iter_mut().enumerate().take(end).skip(first) {
                *value = self.blurred(row, self.rows, |y| map[y * self.columns + x]);
            }
            std::array::from_fn(|across| {
                let column = clamped(column, across, self.columns);
                self.blurred(column, self.columns, |x| line[x]).clamp(0.001, 50.0).ln()
            })
        })
    }

    /// The Gaussian mean around a place of a line, which is reflected at its ends (`d c b a | a b c d | d c b a`).
    fn blurred(&self, at: usize, size: usize, value: impl Fn(usize) -> f32) -> f32 {
        let reflected = |at: i64| {
            let period = 2 * size as i64;
            let at = at.rem_euclid(period);
            f64::from(value(at.min(period - 1 - at) as usize))
        };
        let at = at as i64;
        let middle = reflected(at) * self.kernel[0];
        let sum = (1..=RADIUS).rev().fold(middle, |sum, distance| {
            let far = distance as i64;
            sum + (reflected(at - far) + reflected(at + far)) * self.kernel[distance]
        });
        sum as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gaussian_is_found_between_places() {
        let (rows, columns) = (20, 16);
        let peaks = Peaks::new([rows, columns]);
        for wanted in [[7.3_f32, 11.8], [8.0, 9.5], [4.6, 4.4]] {
            let value = |index: usize| {
                let (x, y) = ((index % columns) as f32, (index / columns) as f32);
                0.9 * (-((x - wanted[0]).powi(2) + (y - wanted[1]).powi(2)) / 8.0).exp()
            };
            let map: Vec<f32> = (0..rows * columns).map(value).collect();
            let peak = peaks.find(&map);
            assert!(
                peak.at.iter().zip(wanted).all(|(at, wanted)| (at - wanted).abs() < 0.02),
                "{peak:?} {wanted:?}"
            );
        }
    }

    #[test]
    fn maps_without_a_peak_have_a_place_too() {
        let peaks = Peaks::new([3, 2]);
        for value in [0.0, -1.0, f32::NAN, f32::NEG_INFINITY] {
            assert_eq!(peaks.find(&[value; 6]).at, [0.0; 2]);
        }
        let plateau = peaks.find(&[0.5; 6]);
        assert_eq!((plateau.at, plateau.score), ([0.0; 2], 0.5));
    }
}
