//! Which of many classes is likeliest at each pixel, and how likely: arg max and softmax across planes in one pass.

use rayon::prelude::*;

use crate::isa::isa;
use crate::math::{exp, per_isa};

/// Pixels that are compared together; what is kept of them stays in registers and the first-level cache.
pub(crate) const RUN: usize = 64;

/// For each pixel, which of the planes is largest there, the first of equals, and that plane's softmax probability.
/// `planes` is `[classes, pixels]`; `best` and `probability` have a place for each pixel.
///
/// # Panics
/// If a length does not fit.
pub fn likeliest(planes: &[f32], best: &mut [u16], probability: &mut [f32]) {
    /// Pixels that one task takes.
    const PART: usize = 16 * RUN;
    let pixels = best.len();
    assert_eq!(pixels, probability.len(), "one probability a pixel");
    if pixels == 0 {
        return;
    }
    assert!(!planes.is_empty() && planes.len().is_multiple_of(pixels), "planes: classes x pixels are wanted");
    let isa = isa();
    let parts = best.par_chunks_mut(PART).zip(probability.par_chunks_mut(PART)).enumerate();
    parts.for_each(|(part, (best, probability))| {
        for (run, (best, probability)) in best.chunks_mut(RUN).zip(probability.chunks_mut(RUN)).enumerate() {
            likeliest_of(isa, &planes[part * PART + run * RUN..], pixels, best, probability);
        }
    });
}

per_isa! {
    /// At most [`RUN`] pixels: the first of each plane.
    pub(crate) fn likeliest_of(planes: &[f32], stride: usize, best: &mut [u16], probability: &mut [f32]) {
        let count = best.len();
        let (mut most, mut place) = ([f32::NEG_INFINITY; RUN], [0_u32; RUN]);
        let runs = || planes.chunks(stride).map_while(|plane| plane.get(..count));
        for (class, run) in runs().enumerate() {
            for ((value, most), place) in run.iter().zip(&mut most).zip(&mut place) {
                let larger = *value > *most;
                *place = if larger { class as u32 } else { *place };
                *most = if larger { *value } else { *most };
            }
        }
        let mut sums = [0.0_f32; RUN];
        for run in runs() {
            for ((value, most), sum) in run.iter().zip(&most).zip(&mut sums) {
                *sum += exp::<FMA>(*value - *most);
            }
        }
        for (index, (best, probability)) in best.iter_mut().zip(probability).enumerate() {
            (*best, *probability) = (place[index] as u16, 1.0 / sums[index]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{available, with_isa};

    #[test]
    fn pixels_are_compared_one_by_one() {
        // A whole task and a part of one, which ends within a run.
        let (pixels, classes) = (1024 + 130, 7);
        let value = |class: usize, pixel: usize| ((class * 31 + pixel * 17) % 23) as f32 * 0.4 - 3.0;
        let planes: Vec<f32> = (0..classes * pixels).map(|at| value(at / pixels, at % pixels)).collect();
        for isa in available() {
            let (mut best, mut probability) = (vec![0; pixels], vec![0.0; pixels]);
            with_isa(isa, || likeliest(&planes, &mut best, &mut probability));
            for pixel in 0..pixels {
                let all: Vec<f64> = (0..classes).map(|class| f64::from(value(class, pixel))).collect();
                let most = all.iter().copied().fold(f64::MIN, f64::max);
                let first = all.iter().position(|value| *value == most).unwrap();
                let wanted = most.exp() / all.iter().map(|value| value.exp()).sum::<f64>();
                assert_eq!(usize::from(best[pixel]), first, "{}: {pixel}", isa.name());
                assert!((f64::from(probability[pixel]) - wanted).abs() < 1e-6, "{}: {pixel}", isa.name());
            }
        }
    }
}
