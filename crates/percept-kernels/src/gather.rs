//! Weighted sums of values from a few places each: the inner loop of resizing along rows and of grid sampling.

use crate::isa::Isa;
use crate::math::{mul_add, per_isa};

/// For each output, one place and one weight per tap; tap by tap, `[taps][count]`.
#[derive(Clone, Copy)]
pub(crate) struct Taps<'a> {
    places: &'a [u32],
    weights: &'a [f32],
    count: usize,
    /// Every place is below this.
    reach: usize,
}

impl<'a> Taps<'a> {
    /// For `count` outputs, with 1, 2 or 4 taps each.
    pub(crate) fn new(places: &'a [u32], weights: &'a [f32], count: usize) -> Self {
        assert!(
            places.len() == weights.len()
                && matches!(places.len(), n if n == count || n == 2 * count || n == 4 * count)
        );
        let reach = places.iter().max().map_or(0, |most| *most as usize + 1);
        Self { places, weights, count, reach }
    }

    /// `out[i]` = the sum over taps of `weight[i] * from[place[i]]`.
    pub(crate) fn sum(&self, isa: Isa, from: &[f32], out: &mut [f32]) {
        assert!(from.len() >= self.reach && out.len() == self.count, "a place outside the values");
        sum(isa, self, from, out);
    }
}

per_isa! {
    /// [`Taps::sum`], which has checked that all places are inside.
    fn sum(taps: &Taps<'_>, from: &[f32], out: &mut [f32]) {
        match taps.places.len() / taps.count.max(1) {
            1 => sum_of::<FMA, 1>(taps, from, out),
            2 => sum_of::<FMA, 2>(taps, from, out),
            _ => sum_of::<FMA, 4>(taps, from, out),
        }
    }
}

#[inline(always)]
fn sum_of<const FMA: bool, const TAPS: usize>(taps: &Taps<'_>, from: &[f32], out: &mut [f32]) {
    let count = out.len();
    let places: [&[u32]; TAPS] = std::array::from_fn(|tap| &taps.places[tap * count..][..count]);
    let weights: [&[f32]; TAPS] = std::array::from_fn(|tap| &taps.weights[tap * count..][..count]);
    for (i, out) in out.iter_mut().enumerate() {
        let mut sum = 0.0;
        for tap in 0..TAPS {
            // SAFETY: `i` is below the length of every slice; `Taps::sum` has checked every place.
            let (value, weight) = unsafe {
                let place = *places[tap].get_unchecked(i) as usize;
                (*from.get_unchecked(place), *weights[tap].get_unchecked(i))
            };
            sum = mul_add::<FMA>(weight, value, sum);
        }
        *out = sum;
    }
}
