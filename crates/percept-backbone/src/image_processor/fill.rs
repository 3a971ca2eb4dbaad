//! From bytes to the planes of a network's input.

use rayon::prelude::*;

use percept_core::segment::Image;

use super::{Canvas, Padding};
use crate::Filter;
use crate::resample::resize_plane;

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

/// `[3, rows, columns]` of the values of a picture's bytes, resized to `size` (columns, rows) without antialiasing, as
/// `torch.nn.functional.interpolate` does it.
pub(super) fn resized_planes(
    image: &Image,
    size: (u32, u32),
    filter: Filter,
    values: &[[f32; 256]; 3],
) -> Vec<f32> {
    let (width, height) = image.size();
    let [from, to] =
        [(height, width), (size.1, size.0)].map(|(rows, columns)| [rows as usize, columns as usize]);
    let mut planes = vec![0.0; 3 * to[0] * to[1]];
    // A channel at a time: pictures may be large.
    for (channel, plane) in planes.chunks_exact_mut(to[0] * to[1]).enumerate() {
        let values = &values[channel];
        let pixels = image.rgb.par_chunks_exact(3).with_min_len(1 << 14);
        let source: Vec<f32> = pixels.map(|pixel| values[usize::from(pixel[channel])]).collect();
        resize_plane(&source, from, to, filter, plane);
    }
    planes
}
