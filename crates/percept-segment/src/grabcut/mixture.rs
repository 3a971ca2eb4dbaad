//! Gaussian mixtures of colours.

/// Gaussians in a mixture.
const COMPONENTS: usize = 5;
/// Rounds of k-means that divide the first samples.
const ROUNDS: usize = 10;
/// Below this determinant a covariance is widened by [`NOISE`], as OpenCV does: all samples may have one colour.
const SINGULAR: f64 = 1e-6;
const NOISE: f64 = 0.01;

/// Red, green and blue, 0 to 255.
pub(super) type Color = [f32; 3];

/// How likely colours are on one side.
pub(super) struct Mixture {
    gaussians: Vec<Gaussian>,
}

struct Gaussian {
    weight: f64,
    mean: [f64; 3],
    /// The upper triangle of the inverse covariance, row by row.
    inverse: [f64; 6],
    /// Half the logarithm of the covariance's determinant.
    log_spread: f64,
}

impl Mixture {
    /// Of samples divided by k-means. The first centres are those of k-means++ (Arthur and Vassilvitskii 2007) with
    /// each draw in the middle of its distribution: the same samples give the same mixture.
    pub(super) fn new(samples: &[Color]) -> Self {
        let mut centers = first_centers(samples);
        let mut nearest = vec![0; samples.len()];
        for _ in 0..ROUNDS {
            let mut sums = vec![[0.0_f64; 4]; centers.len()];
            for (sample, nearest) in samples.iter().zip(&mut nearest) {
                let distances = centers.iter().map(|center| squared_distance(*sample, *center));
                *nearest =
                    distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index);
                let sum = &mut sums[*nearest];
                (0..3).for_each(|channel| sum[channel] += f64::from(sample[channel]));
                sum[3] += 1.0;
            }
            for (center, sum) in centers.iter_mut().zip(&sums).filter(|(_, sum)| sum[3] > 0.0) {
                *center = [0, 1, 2].map(|channel| (sum[channel] / sum[3]) as f32);
            }
        }
        Self::learned(samples, |index, _| nearest[index])
    }

    /// The same number of Gaussians, learned anew from samples that each belong to the likeliest.
    pub(super) fn relearned(&self, samples: &[Color]) -> Self {
        Self::learned(samples, |_, color| self.likeliest(color))
    }

    fn learned(samples: &[Color], component: impl Fn(usize, Color) -> usize) -> Self {
        let mut sums = [[0.0_f64; 10]; COMPONENTS];
        for (index, color) in samples.iter().enumerate() {
            let [r, g, b] = color.map(f64::from);
            let terms = [1.0, r, g, b, r * r, r * g, r * b, g * g, g * b, b * b];
            let sum = &mut sums[component(index, *color)];
            sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
        let total = samples.len() as f64;
        let gaussians = sums.iter().filter(|sum| sum[0] > 0.0).map(|sum| Gaussian::new(sum, total)).collect();
        Self { gaussians }
    }

    /// The Gaussian with the highest density, whatever its weight (as OpenCV has it).
    fn likeliest(&self, color: Color) -> usize {
        let densities = self.gaussians.iter().map(|gaussian| gaussian.log_density(color));
        densities.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
    }

    /// The squared distance of a colour to the nearest mean.
    pub(super) fn distance(&self, color: Color) -> f64 {
        let distance = |gaussian: &Gaussian| {
            (0..3).map(|channel| (f64::from(color[channel]) - gaussian.mean[channel]).powi(2)).sum::<f64>()
        };
        self.gaussians.iter().map(distance).fold(f64::INFINITY, f64::min)
    }

    /// The logarithm of the density of a colour, less a constant that all mixtures share.
    pub(super) fn log_density(&self, color: Color) -> f64 {
        let mut logs = [f64::NEG_INFINITY; COMPONENTS];
        for (log, gaussian) in logs.iter_mut().zip(&self.gaussians) {
            *log = gaussian.weight.ln() + gaussian.log_density(color);
        }
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        largest + logs.iter().map(|log| (log - largest).exp()).sum::<f64>().ln()
    }
}

impl Gaussian {
    /// Of a sum of ones, colours and products of colours.
    fn new(sum: &[f64; 10], total: f64) -> Self {
        let count = sum[0];
        let mean = [sum[1] / count, sum[2] / count, sum[3] / count];
        let moment = |index: usize, a: usize, b: usize| sum[index] / count - mean[a] * mean[b];
        let mut covariance = [
            moment(4, 0, 0),
            moment(5, 0, 1),
            moment(6, 0, 2),
            moment(7, 1, 1),
            moment(8, 1, 2),
            moment(9, 2, 2),
        ];
        if determinant(&covariance) <= SINGULAR {
            [0, 3, 5].into_iter().for_each(|diagonal| covariance[diagonal] += NOISE);
        }
        let determinant = determinant(&covariance).max(f64::MIN_POSITIVE);
        let [a, b, c, d, e, f] = covariance;
        let cofactors =
            [d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b];
        Self {
            weight: count / total,
            mean,
            inverse: cofactors.map(|cofactor| cofactor / determinant),
            log_spread: 0.5 * determinant.ln(),
        }
    }

    fn log_density(&self, color: Color) -> f64 {
        let [x, y, z] = [0, 1, 2].map(|channel| f64::from(color[channel]) - self.mean[channel]);
        let [a, b, c, d, e, f] = self.inverse;
        let distance = a * x * x + d * y * y + f * z * z + 2.0 * (b * x * y + c * x * z + e * y * z);
        -0.5 * distance - self.log_spread
    }
}

fn determinant([a, b, c, d, e, f]: &[f64; 6]) -> f64 {
    a * (d * f - e * e) - b * (b * f - c * e) + c * (b * e - c * d)
}

fn first_centers(samples: &[Color]) -> Vec<Color> {
    let mut centers: Vec<Color> = samples.get(samples.len() / 2).copied().into_iter().collect();
    let mut distances = vec![f32::INFINITY; samples.len()];
    while !centers.is_empty() && centers.len() < COMPONENTS {
        let newest = centers[centers.len() - 1];
        let mut total = 0.0;
        for (distance, sample) in distances.iter_mut().zip(samples) {
            *distance = distance.min(squared_distance(*sample, newest));
            total += f64::from(*distance);
        }
        let mut passed = 0.0;
        let middle = distances.iter().position(|distance| {
            passed += f64::from(*distance);
            passed > total / 2.0
        });
        // There are no more colours than centres.
        let Some(middle) = middle else { break };
        centers.push(samples[middle]);
    }
    centers
}

/// Between two colours.
pub(super) fn squared_distance(a: Color, b: Color) -> f32 {
    (0..3).map(|channel| (a[channel] - b[channel]).powi(2)).sum()
}
