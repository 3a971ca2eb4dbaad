//! From bytes to the planes of a network's input.

use rayon::prelude::*;

use percept_core::segment::Image;

use super::{Canvas, Padding};
use crate::resample::resize_plane;
use crate::{Alignment, Filter};

/// What is not picture on a canvas.
pub(super) struct Frame {
    /// Columns and rows of what was cropped, borders of black pixels included.
    pub(super) cropped: (u32, u32),
    /// What stands outside of that.
    pub(super) padding: Padding,
}

/// `[3, height, width]` of the canvas, from the bytes of the resized picture.
pub(super) fn planes(bytes: &[u8], canvas: &Canvas, frame: &Frame, values: &[[f32; 256]; 3]) -> Vec<f32> {
    let (width, height) = (canvas.size.0 as usize, canvas.size.1 as usize);
    let [left, top, right, bottom] = canvas.window().map(|at| at as usize);
    let stride = 3 * canvas.resized.0 as usize;
    let first = 3 * (left as i64 + canvas.offset.0) as usize;
    let mut planes = vec![0.0; 3 * width * height];
    let rows = planes.par_chunks_exact_mut(width).enumerate();
    rows.with_min_len(16).for_each(|(index, row)| {
        let (channel, y) = (index / height, index % height);
        let values = &values[channel];
        let black = match frame.padding {
            Padding::Black => width,
            Padding::Zero if y >= frame.cropped.1 as usize => 0,
            Padding::Zero => frame.cropped.0 as usize,
        };
        if !(top..bottom).contains(&y) {
            return row[..black].fill(values[0]);
        }
        row[..left].fill(values[0]);
        row[right..black.max(right)].fill(values[0]);
        let start = (y as i64 + canvas.offset.1) as usize * stride + first;
        let pixels = bytes[start..start + 3 * (right - left)].chunks_exact(3);
        for (value, pixel) in row[left..right].iter_mut().zip(pixels) {
            *value = values[usize::from(pixel[channel])];
        }
    });
    planes
}

/// A picture with a border.
pub(super) struct Source<'a> {
    pub(super) image: &'a Image,
    /// Pixels above and below, and to the left and right, that are the picture's own in a mirror whose line is its
    /// outermost pixel.
    pub(super) border: [usize; 2],
}

/// `[3, rows, columns]` of the values of a picture's bytes, resized to `size` (columns, rows) without antialiasing, as
/// `torch.nn.functional.interpolate` does it.
pub(super) fn resized_planes(
    source: &Source<'_>,
    size: (u32, u32),
    (filter, alignment): (Filter, Alignment),
    values: &[[f32; 256]; 3],
) -> Vec<f32> {
    let [down, across] = source.border;
    let (width, height) = (source.image.width as usize, source.image.height as usize);
    let (from, to) = ([height + 2 * down, width + 2 * across], [size.1 as usize, size.0 as usize]);
    let mut planes = vec![0.0; 3 * to[0] * to[1]];
    // A channel at a time: pictures may be large.
    for (channel, plane) in planes.chunks_exact_mut(to[0] * to[1]).enumerate() {
        let values = &values[channel];
        let mut all = vec![0.0; from[0] * from[1]];
        all.par_chunks_exact_mut(from[1]).enumerate().for_each(|(y, line)| {
            let row = mirrored(y, down, height) * width;
            let pixels = &source.image.rgb[3 * row..][..3 * width];
            let value = |x: usize| values[usize::from(pixels[3 * x + channel])];
            for (x, out) in line[across..across + width].iter_mut().enumerate() {
                *out = value(x);
            }
            for x in (0..across).chain(across + width..from[1]) {
                line[x] = value(mirrored(x, across, width));
            }
        });
        resize_plane(&all, (from, to), (filter, alignment), plane);
    }
    planes
}

/// Which of `count` pixels stands at a place of a line with a border; the border is shorter than the line.
fn mirrored(place: usize, border: usize, count: usize) -> usize {
    match place.checked_sub(border) {
        None => border - place,
        Some(at) if at < count => at,
        Some(beyond) => 2 * (count - 1) - beyond,
    }
}
