//! Places and weights of resizing along one axis, in f32 and in torch's order of operations
//! (`aten/src/ATen/native/UpSample.h`), so that positions round as they do there.

use crate::resize::{Alignment, Filter, Resize};

/// Taps of the largest filter.
pub(crate) const MAX_TAPS: usize = 4;

/// Fills `places[taps][output]` and `weights[taps][output]` for one axis.
pub(crate) fn places_and_weights(resize: &Resize, axis: usize, places: &mut [u32], weights: &mut [f32]) {
    let (input, output, taps) = (resize.input[axis], resize.output[axis], resize.filter.taps());
    if output == 0 {
        return;
    }
    assert!(input > 0, "an empty input cannot be resized");
    let corners = resize.alignment == Alignment::Corners;
    assert!(!(corners && resize.filter == Filter::Nearest), "nearest: corners cannot be aligned");
    let step = step(resize.alignment, axis, input, output);
    let last = (input - 1) as i64;
    for x in 0..output {
        let mut set = |tap: usize, place: i64, weight: f32| {
            places[tap * output + x] = place.clamp(0, last) as u32;
            weights[tap * output + x] = weight;
        };
        let position = match resize.filter {
            // torch does not ask for the step here; the cubic filter does.
            Filter::Bilinear if input == output => x as f32,
            _ if corners => step * x as f32,
            _ => step * (x as f32 + 0.5) - 0.5,
        };
        match resize.filter {
            Filter::Nearest => set(0, nearest(x, input, output, step), 1.0),
            Filter::Bilinear => {
                let position = position.max(0.0);
                let place = (position as i64).min(last);
                let part = (position - place as f32).clamp(0.0, 1.0);
                set(0, place, 1.0 - part);
                set(1, place + 1, part);
            }
            Filter::Bicubic => {
                let place = (position.floor() as i64).min(last);
                let part = (position - place as f32).clamp(0.0, 1.0);
                for (tap, weight) in cubic(part).into_iter().enumerate() {
                    set(tap, place - 1 + tap as i64, weight);
                }
            }
        }
    }
    debug_assert_eq!(places.len(), taps * output);
}

/// Input pixels from one output pixel to the next.
fn step(alignment: Alignment, axis: usize, input: usize, output: usize) -> f32 {
    match alignment {
        Alignment::Edges => input as f32 / output as f32,
        Alignment::EdgesByFactor(factor) => (1.0 / factor[axis]) as f32,
        Alignment::Corners if output > 1 => (input - 1) as f32 / (output - 1) as f32,
        Alignment::Corners => 0.0,
    }
}

/// The nearest pixel; torch does not ask for the step where the sizes are equal or doubled.
fn nearest(x: usize, input: usize, output: usize, step: f32) -> i64 {
    if output == input {
        x as i64
    } else if output == 2 * input {
        (x / 2) as i64
    } else {
        (x as f32 * step).floor() as i64
    }
}

/// Weights of the four pixels around a point that is `t` past the second (Keys' kernel with a = -0.75).
fn cubic(t: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
}
