//! Resizing, sampling at points and deformable attention by their definitions, in f64. Only where a rounded
//! position decides which pixel is taken is the position in f32, as in torch.

use percept_kernels::{
    Alignment, Between, DeformableAttention, Extent, Filter, GridSample, Outside, PointSampling, Resize,
};

use super::{assert_close, numbers, on_each_isa};

/// Positions are f32 with an error of about 1e-7 of the size, times the slope of the image.
fn tolerance(size: [usize; 2]) -> f64 {
    1e-6 * (size[0] + size[1]).max(10) as f64
}

/// Places and weights of one output position along one axis.
fn along(resize: &Resize, d: usize, x: usize) -> Vec<(usize, f64)> {
    let (input, output) = (resize.input[d], resize.output[d]);
    let held = |place: i64| place.clamp(0, input as i64 - 1) as usize;
    let ratio = input as f64 / output as f64;
    let position = match resize.alignment {
        // torch copies, whatever the factor.
        _ if resize.filter == Filter::Bilinear && input == output => x as f64,
        Alignment::Edges => ratio * (x as f64 + 0.5) - 0.5,
        Alignment::EdgesByFactor(factor) => (x as f64 + 0.5) / factor[d] - 0.5,
        Alignment::Corners if output == 1 => 0.0,
        Alignment::Corners => x as f64 * (input - 1) as f64 / (output - 1) as f64,
    };
    match resize.filter {
        Filter::Nearest => {
            let step = match resize.alignment {
                Alignment::EdgesByFactor(factor) => (1.0 / factor[d]) as f32,
                _ => input as f32 / output as f32,
            };
            let exact = match output {
                same if same == input => x as i64,
                double if double == 2 * input => x as i64 / 2,
                _ => (x as f32 * step).floor() as i64,
            };
            vec![(held(exact), 1.0)]
        }
        Filter::Bilinear => {
            let position = position.clamp(0.0, input as f64 - 1.0);
            let part = position.fract();
            let place = position.floor() as i64;
            vec![(held(place), 1.0 - part), (held(place + 1), part)]
        }
        Filter::Bicubic => {
            let weight = |distance: f64| {
                let (a, d) = (-0.75, distance.abs());
                match d {
                    d if d <= 1.0 => (a + 2.0) * d.powi(3) - (a + 3.0) * d.powi(2) + 1.0,
                    d if d < 2.0 => a * (d.powi(3) - 5.0 * d.powi(2) + 8.0 * d - 4.0),
                    _ => 0.0,
                }
            };
            // Past the last pixel torch stays there: the fraction is at most 1.
            let place = (position.floor() as i64).min(input as i64 - 1);
            let position = position.min(place as f64 + 1.0);
            (place - 1..place + 3).map(|p| (held(p), weight(position - p as f64))).collect()
        }
    }
}

/// Compares resizing with its definition, and the matrices with the resizing.
#[track_caller]
pub(crate) fn check_resize(resize: Resize, planes: usize) {
    let ([height, width], [rows, columns]) = (resize.input, resize.output);
    let input = numbers(planes * height * width, 1);
    let [down, across] =
        [0, 1].map(|d| (0..resize.output[d]).map(|x| along(&resize, d, x)).collect::<Vec<_>>());
    let mut wanted = Vec::new();
    for plane in input.chunks_exact(height * width) {
        for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
            let pairs = down[y].iter().flat_map(|a| across[x].iter().map(move |b| (a, b)));
            wanted.push(pairs.map(|(a, b)| f64::from(plane[a.0 * width + b.0]) * a.1 * b.1).sum::<f64>());
        }
    }
    for (d, places) in [down, across].iter().enumerate() {
        let mut matrix = vec![0.0; resize.output[d] * resize.input[d]];
        for (x, taps) in places.iter().enumerate() {
            taps.iter().for_each(|(place, weight)| matrix[x * resize.input[d] + place] += weight);
        }
        assert_close(&resize.matrix(d), &matrix, tolerance(resize.input), &format!("{resize:?} axis {d}"));
    }
    on_each_isa(|isa| {
        let mut out = vec![9.0; wanted.len()];
        resize.apply(&input, planes, &mut out);
        assert_close(&out, &wanted, tolerance(resize.input), &format!("{isa:?} {resize:?} {planes}"));
    });
}

/// A plane between its pixels; positions in pixels, zeros outside.
fn bilinear(size: [usize; 2], at: [f64; 2], pixel: impl Fn(usize, usize) -> f64) -> f64 {
    let [x, y] = at;
    let mut sum = 0.0;
    for (row, part_y) in [(y.floor(), 1.0 - (y - y.floor())), (y.floor() + 1.0, y - y.floor())] {
        for (column, part_x) in [(x.floor(), 1.0 - (x - x.floor())), (x.floor() + 1.0, x - x.floor())] {
            if row >= 0.0 && column >= 0.0 && row < size[0] as f64 && column < size[1] as f64 {
                sum += part_x * part_y * pixel(row as usize, column as usize);
            }
        }
    }
    sum
}

/// Compares sampling at random points, some of them outside, with its definition.
#[track_caller]
pub(crate) fn check_grid(sample: GridSample, batch: usize, channels: usize, points: usize) {
    let [height, width] = sample.input;
    let input = numbers(batch * channels * height * width, 1);
    let grid = numbers(batch * points * 2, 2).iter().map(|v| v * 1.4).collect::<Vec<_>>();
    let mut wanted = Vec::new();
    for (plane, values) in input.chunks_exact(height * width).enumerate() {
        for point in grid[plane / channels * points * 2..][..points * 2].chunks_exact(2) {
            let place = |at: f32, size: usize| {
                let position = match sample.extent {
                    Extent::Edges => ((at + 1.0) * size as f32 - 1.0) / 2.0,
                    Extent::Corners => (at + 1.0) / 2.0 * (size as f32 - 1.0),
                };
                let held = position.clamp(0.0, size as f32 - 1.0);
                let position = if sample.outside == Outside::Border { held } else { position };
                let nearest = sample.between == Between::Nearest;
                f64::from(if nearest { position.round_ties_even() } else { position })
            };
            let at = [place(point[0], width), place(point[1], height)];
            wanted.push(bilinear(sample.input, at, |y, x| f64::from(values[y * width + x])));
        }
    }
    on_each_isa(|isa| {
        let mut out = vec![9.0; wanted.len()];
        sample.apply(&input, channels, &grid, batch, &mut out);
        assert_close(
            &out,
            &wanted,
            tolerance(sample.input),
            &format!("{isa:?} {sample:?} {batch} {channels}"),
        );
    });
}

/// Compares deformable attention at random points, some of them outside, with its definition.
#[track_caller]
pub(crate) fn check_deformable(attention: DeformableAttention<'_>, batch: usize, queries: usize) {
    let DeformableAttention { heads, dim, levels, points, .. } = attention;
    let pixels = levels.iter().map(|size| size[0] * size[1]).sum::<usize>();
    let total = points.iter().sum::<usize>();
    let value = numbers(batch * pixels * heads * dim, 1);
    let weights = numbers(batch * queries * heads * total, 2);
    let locations = numbers(2 * weights.len(), 3).iter().map(|v| v * 0.7 + 0.5).collect::<Vec<_>>();
    let mut wanted = Vec::new();
    for (row, channel) in (0..batch * queries * heads).flat_map(|row| (0..dim).map(move |d| (row, d))) {
        let (item, head) = (row / heads / queries, row % heads);
        let (mut base, mut point, mut sum) = (0, row * total, 0.0);
        for (size, count) in levels.iter().zip(points) {
            let pixel = |y: usize, x: usize| {
                let at = ((item * pixels + base + y * size[1] + x) * heads + head) * dim + channel;
                f64::from(value[at])
            };
            for point in point..point + count {
                let at = &locations[2 * point..2 * point + 2];
                let read = match attention.sampling {
                    PointSampling::Bilinear => {
                        let position = |d: usize| f64::from(at[d]) * size[1 - d] as f64 - 0.5;
                        bilinear(*size, [position(0), position(1)], pixel)
                    }
                    PointSampling::Discrete => {
                        let cut = |d: usize| (at[d] * size[1 - d] as f32 + 0.5) as i64;
                        let held = |d: usize| cut(d).clamp(0, size[1 - d] as i64 - 1) as usize;
                        pixel(held(1), held(0))
                    }
                };
                sum += f64::from(weights[point]) * read;
            }
            (base, point) = (base + size[0] * size[1], point + count);
        }
        wanted.push(sum);
    }
    on_each_isa(|isa| {
        let mut out = vec![9.0; wanted.len()];
        attention.apply(&value, &locations, &weights, batch, &mut out);
        assert_close(&out, &wanted, 2e-5, &format!("{isa:?} {attention:?} {batch} {queries}"));
    });
}
