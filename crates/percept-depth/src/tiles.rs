//! Large pictures in tiles, without seams.
//!
//! A network sees a picture at one size, and of a large one little remains. Tiles keep what is fine, but each comes with a
//! scale and a shift of its own: those are fitted to what the network says of the whole picture, and neighbours are blended
//! where they overlap.

use std::sync::Arc;

use percept_core::depth::{DepthInput, DepthMap, DepthOptions, DepthUnit, scale_and_shift};
use percept_core::{Depth, Error, Model, Precision, Predicted, RawTensor, Result, Span, Tiling, Timings};

/// A model that sees large pictures in tiles.
pub struct Tiled {
    model: Box<dyn Model<Depth>>,
    tiling: Tiling,
}

/// What a side's tiles see, and how much each counts.
struct Side {
    spans: Vec<Span>,
    /// For each tile and each pixel that it sees: from 0 to 1; over all tiles they sum up to 1 at each pixel.
    weights: Vec<Vec<f32>>,
}

/// A rectangle of a map.
#[derive(Clone, Copy)]
struct Window {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Tiled {
    /// Around a model.
    pub fn new(model: Box<dyn Model<Depth>>, tiling: Tiling) -> Self {
        Self { model, tiling }
    }

    fn one(&self, input: &DepthInput) -> Result<Predicted<DepthMap>> {
        let mut predicted = self.model.predict(std::slice::from_ref(input))?;
        predicted.pop().ok_or_else(|| Error::argument("the model gave no result"))
    }

    fn in_tiles(&self, input: &DepthInput) -> Result<Predicted<DepthMap>> {
        let Predicted { output: whole, mut timings } = self.one(input)?;
        let image = &input.image;
        let [across, down] = [image.width, image.height].map(|length| Side::of(self.tiling, length));
        // Tiles are parts of one picture, so they have its focal length.
        let focal = input.options.focal.or(whole.focal);
        let options = Arc::new(DepthOptions { focal });
        // The whole picture is seen coarser than a tile by about this factor.
        let coarser = image.width.max(image.height).div_ceil(self.tiling.tile()) as usize;
        let mut values = vec![0.0; whole.values.len()];
        let places: Vec<(usize, usize)> = (0..down.spans.len())
            .flat_map(|row| (0..across.spans.len()).map(move |column| (row, column)))
            .collect();
        for together in places.chunks(self.model.batch().max(1)) {
            let windows: Vec<Window> = together
                .iter()
                .map(|(row, column)| Window::of(&down.spans[*row], &across.spans[*column]))
                .collect();
            let inputs: Vec<DepthInput> = windows
                .iter()
                .map(|window| {
                    let [left, top, width, height] =
                        [window.left, window.top, window.width, window.height].map(|number| number as u32);
                    DepthInput {
                        image: Arc::new(image.crop(left, top, width, height)),
                        options: options.clone(),
                    }
                })
                .collect();
            let answers = self.model.predict(&inputs)?;
            for (((row, column), window), answer) in together.iter().zip(windows).zip(answers) {
                add(&mut timings, &answer.timings);
                let tile = fitted(&answer.output, &whole, window, coarser);
                let weights = [&down.weights[*row], &across.weights[*column]];
                window.add(&tile, weights, &mut values, whole.width as usize);
            }
        }
        Ok(Predicted { output: DepthMap { values, ..whole }, timings })
    }
}

impl Model<Depth> for Tiled {
    fn predict(&self, inputs: &[DepthInput]) -> Result<Vec<Predicted<DepthMap>>> {
        let small = |input: &DepthInput| input.image.width.max(input.image.height) <= self.tiling.tile();
        inputs.iter().map(|input| if small(input) { self.one(input) } else { self.in_tiles(input) }).collect()
    }

    /// Of the whole picture: tiles have no raw tensors of their own.
    fn raw(&self, input: &DepthInput) -> Result<Vec<RawTensor>> {
        self.model.raw(input)
    }

    fn precision(&self) -> Precision {
        self.model.precision()
    }
}

impl Side {
    fn of(tiling: Tiling, length: u32) -> Self {
        let spans = tiling.spans(length);
        let ends = |span: &Span| (span.seen.0, span.seen.0 + span.seen.1);
        let mut weights: Vec<Vec<f32>> = Vec::with_capacity(spans.len());
        for (index, span) in spans.iter().enumerate() {
            let (start, end) = ends(span);
            // What is shared with the neighbours; nothing at the edges of the picture.
            let before = index.checked_sub(1).map(|before| ends(&spans[before]).1 - start);
            let behind = spans.get(index + 1).map(|behind| end - ends(behind).0);
            let rise = |distance: u32, shared: Option<u32>| match shared {
                Some(shared) if shared > 0 => smooth((distance as f32 + 0.5) / shared as f32),
                _ => 1.0,
            };
            weights.push(
                (start..end).map(|at| rise(at - start, before).min(rise(end - 1 - at, behind))).collect(),
            );
        }
        // Where several tiles meet they do not sum up to 1 by themselves.
        let mut sums = vec![0.0; length as usize];
        for (span, weights) in spans.iter().zip(&weights) {
            let part = &mut sums[span.seen.0 as usize..][..weights.len()];
            part.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
        }
        for (span, weights) in spans.iter().zip(&mut weights) {
            let part = &sums[span.seen.0 as usize..][..weights.len()];
            weights.iter_mut().zip(part).for_each(|(weight, sum)| *weight /= sum);
        }
        Self { spans, weights }
    }
}

/// From 0 to 1 without a bend at either end.
fn smooth(part: f32) -> f32 {
    let part = part.clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

impl Window {
    fn of(row: &Span, column: &Span) -> Self {
        let [left, width, top, height] =
            [column.seen.0, column.seen.1, row.seen.0, row.seen.1].map(|number| number as usize);
        Self { left, top, width, height }
    }

    /// Its rows in a map of `columns`.
    fn rows(self, columns: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
        (self.top..self.top + self.height).map(move |row| {
            let first = row * columns + self.left;
            first..first + self.width
        })
    }

    /// Its part of a map.
    fn cut(self, map: &DepthMap) -> Vec<f32> {
        self.rows(map.width as usize).flat_map(|row| &map.values[row]).copied().collect()
    }

    /// Adds a tile, as far as it counts, to the values of a map of `columns`.
    fn add(self, tile: &[f32], [down, across]: [&Vec<f32>; 2], values: &mut [f32], columns: usize) {
        for ((row, tile), down) in self.rows(columns).zip(tile.chunks_exact(self.width)).zip(down) {
            let out = values[row].iter_mut().zip(tile).zip(across);
            out.for_each(|((out, value), across)| *out += down * across * value);
        }
    }
}

/// A tile's values, brought to the scale, and of relative depth to the shift, of the whole picture.
///
/// A tile in which nothing speaks for a scale above zero (it is flat, or says the opposite of the whole) gives way to what
/// the whole says there.
fn fitted(tile: &DepthMap, whole: &DepthMap, window: Window, coarser: usize) -> Vec<f32> {
    let part = window.cut(whole);
    if tile.values.len() != part.len() {
        return part;
    }
    let cells = |values: &[f32]| means(values, window.width, coarser);
    let fit = match whole.unit {
        DepthUnit::Metres => scale(&cells(&tile.values), &cells(&part)).map(|scale| (scale, 0.0)),
        DepthUnit::RelativeInverse => scale_and_shift(&cells(&tile.values), &cells(&part)),
    };
    match fit {
        Some((scale, shift)) if scale > 0.0 && scale.is_finite() && shift.is_finite() => {
            tile.values.iter().map(|value| (f64::from(*value) * scale + shift) as f32).collect()
        }
        _ => part,
    }
}

/// The means of squares of `side` pixels, so that both are compared at the resolution of the coarser one: detail that only
/// a tile has would make its scale too small.
fn means(values: &[f32], width: usize, side: usize) -> Vec<f64> {
    let side = side.max(1);
    let mut means = Vec::new();
    for rows in values.chunks(width * side) {
        let height = rows.len() / width;
        for left in (0..width).step_by(side) {
            let right = (left + side).min(width);
            let sum: f64 =
                rows.chunks_exact(width).flat_map(|row| &row[left..right]).map(|v| f64::from(*v)).sum();
            means.push(sum / (height * (right - left)) as f64);
        }
    }
    means
}

/// The factor that takes `from` nearest to `to`, by least squares.
fn scale(from: &[f64], to: &[f64]) -> Option<f64> {
    let products: f64 = from.iter().zip(to).map(|(from, to)| from * to).sum();
    let squares: f64 = from.iter().map(|from| from * from).sum();
    (squares > 0.0).then(|| products / squares)
}

fn add(sum: &mut Timings, more: &Timings) {
    sum.prepare += more.prepare;
    sum.model += more.model;
    sum.finish += more.finish;
}

#[cfg(test)]
mod tests {
    use percept_core::depth::Image;

    use super::*;

    /// Knows the truth, which a picture's red and green are the high and the low byte of. Of a picture larger than 200
    /// pixels it says it blurred, of any other with a scale and a shift that depend on what is seen.
    struct Knowing {
        unit: DepthUnit,
        /// Of the blur, in pixels.
        cell: usize,
        /// What it says of tiles is upside down.
        contrary: bool,
        /// What it says of tiles rises by this from left to right, which neither scale nor shift takes away.
        bend: f32,
    }

    const PLAIN: Knowing = Knowing { unit: DepthUnit::RelativeInverse, cell: 9, contrary: false, bend: 0.0 };

    impl Knowing {
        fn truth(image: &Image) -> Vec<f32> {
            image.rgb.chunks(3).map(|rgb| f32::from(rgb[0]) + f32::from(rgb[1]) / 256.0).collect()
        }

        fn map(&self, input: &DepthInput) -> DepthMap {
            let (width, height) = input.image.size();
            let truth = Self::truth(&input.image);
            let large = width.max(height) > 200;
            let seed = truth.iter().sum::<f32>();
            let random = |seed: f32| (seed * 12.9898).sin().abs().fract();
            let scale = if self.contrary { -1.0 } else { 0.3 + 3.0 * random(seed) };
            let shift = if self.unit == DepthUnit::Metres { 0.0 } else { 100.0 * random(seed + 1.0) - 50.0 };
            let values = match large {
                true => blurred(&truth, width as usize, self.cell),
                false => {
                    let bent = |at: usize| self.bend * (at % width as usize) as f32 / width as f32;
                    let values = truth.iter().enumerate();
                    values.map(|(at, value)| scale * (value + bent(at)) + shift).collect()
                }
            };
            DepthMap { width, height, values, unit: self.unit, focal: large.then_some(321.0) }
        }
    }

    /// The mean of the square of pixels around each.
    fn blurred(values: &[f32], width: usize, cell: usize) -> Vec<f32> {
        let height = values.len() / width;
        let around = |at: usize, length: usize| at.saturating_sub(cell / 2)..(at + cell / 2 + 1).min(length);
        let mean = |at: usize| {
            let (rows, columns) = (around(at / width, height), around(at % width, width));
            let count = (rows.len() * columns.len()) as f32;
            rows.flat_map(|row| &values[row * width..][columns.clone()]).sum::<f32>() / count
        };
        (0..values.len()).map(mean).collect()
    }

    impl Model<Depth> for Knowing {
        fn predict(&self, inputs: &[DepthInput]) -> Result<Vec<Predicted<DepthMap>>> {
            for input in inputs {
                // Tiles are told the focal length of the whole.
                let tile = input.image.width.max(input.image.height) <= 200;
                assert_eq!(input.options.focal, tile.then_some(321.0));
            }
            let map = |input| Predicted { output: self.map(input), timings: Timings::default() };
            Ok(inputs.iter().map(map).collect())
        }

        fn batch(&self) -> usize {
            3
        }

        fn raw(&self, _: &DepthInput) -> Result<Vec<RawTensor>> {
            Ok(Vec::new())
        }

        fn precision(&self) -> Precision {
            Precision::F32
        }
    }

    /// Hills, a step, and fine texture, from about 30 to 200.
    fn scene(width: u32, height: u32) -> DepthInput {
        landscape(width, height, 1.0)
    }

    /// Hills, and so much of a step and of texture.
    fn landscape(width: u32, height: u32, rough: f32) -> DepthInput {
        let pixel = |at: u32| {
            let (x, y) = ((at % width) as f32, (at / width) as f32);
            let hills = 110.0 + 40.0 * (x / 70.0).sin() + 30.0 * (y / 55.0).cos();
            let step = if x + y > 350.0 { 15.0 } else { 0.0 };
            let value = hills + rough * (step + 2.0 * (x * 1.3).sin() * (y * 1.7).sin());
            [value as u8, (value.fract() * 256.0) as u8, 0]
        };
        let rgb = (0..width * height).flat_map(pixel).collect();
        DepthInput { image: Arc::new(Image::new(width, height, rgb)), options: Arc::default() }
    }

    fn tiled(model: Knowing, input: &DepthInput) -> DepthMap {
        let tiled = Tiled::new(Box::new(model), Tiling::new(128, 40).unwrap());
        tiled.predict(std::slice::from_ref(input)).unwrap().remove(0).output
    }

    /// The largest difference between two maps.
    fn apart(found: &[f32], wanted: &[f32]) -> f32 {
        assert_eq!(found.len(), wanted.len());
        found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn the_truth_comes_back_from_tiles_of_any_scale_and_shift() {
        let input = scene(420, 333);
        let truth = Knowing::truth(&input.image);
        for unit in [DepthUnit::RelativeInverse, DepthUnit::Metres] {
            // Where the whole is exact, so is what comes back.
            let found = tiled(Knowing { unit, cell: 1, ..PLAIN }, &input);
            assert_eq!((found.width, found.height, found.unit, found.focal), (420, 333, unit, Some(321.0)));
            assert!(apart(&found.values, &truth) < 2e-3, "{}", apart(&found.values, &truth));
            // Where it is blurred, detail comes back that it has not: it is 8 off at the step, and 2 in the texture.
            let model = Knowing { unit, ..PLAIN };
            let whole = model.map(&input);
            let found = tiled(model, &input);
            let (with, without) = (apart(&found.values, &truth), apart(&whole.values, &truth));
            assert!(without > 5.0 && with < 0.7, "{with} and {without}");
        }
    }

    /// The largest difference between pixels side by side of what is wrong with a map of 420 columns.
    fn jump(found: &[f32], truth: &[f32]) -> f32 {
        let error: Vec<f32> = found.iter().zip(truth).map(|(found, truth)| found - truth).collect();
        let next = error.windows(2).enumerate().filter(|(at, _)| at % 420 != 419);
        let beside = next.map(|(_, pair)| (pair[0] - pair[1]).abs()).fold(0.0, f32::max);
        error.iter().zip(&error[420..]).map(|(a, b)| (a - b).abs()).fold(beside, f32::max)
    }

    #[test]
    fn no_seam_is_seen() {
        let input = scene(420, 333);
        let truth = Knowing::truth(&input.image);
        // A scale that is 1 % off moves the step of 15 by 0.15.
        let found = tiled(PLAIN, &input).values;
        assert!(jump(&found, &truth) < 0.25, "{}", jump(&found, &truth));
        // Tiles that cannot agree: what they are apart is spread over the pixels that they share. Of hills alone, as a step
        // shows that a scale is off.
        let input = landscape(420, 333, 0.0);
        let truth = Knowing::truth(&input.image);
        let found = tiled(Knowing { cell: 1, bend: 10.0, ..PLAIN }, &input).values;
        assert!(jump(&found, &truth) < 0.8, "{}", jump(&found, &truth));
    }

    #[test]
    fn a_tile_that_says_the_opposite_gives_way_to_the_whole() {
        let input = scene(420, 333);
        let model = Knowing { contrary: true, ..PLAIN };
        let whole = model.map(&input).values;
        assert!(apart(&tiled(model, &input).values, &whole) < 1e-3);
        let flat = vec![7.0; 64];
        let rising: Vec<f64> = (0..64).map(f64::from).collect();
        assert_eq!(scale_and_shift(&means(&flat, 8, 1), &rising), None);
        assert_eq!(scale(&[0.0; 4], &[1.0; 4]), None);
    }

    #[test]
    fn a_small_picture_is_seen_as_it_is() {
        let input = scene(128, 100);
        let options = Arc::new(DepthOptions { focal: Some(321.0) });
        let input = DepthInput { options, ..input };
        let model = || Knowing { unit: DepthUnit::Metres, ..PLAIN };
        assert_eq!(tiled(model(), &input), model().map(&input));
    }

    #[test]
    fn weights_sum_up_to_one_everywhere() {
        for (tile, overlap) in [(32, 0), (100, 49), (64, 8)] {
            for length in [1, 33, 152, 1000] {
                let side = Side::of(Tiling::new(tile, overlap).unwrap(), length);
                let mut sums = vec![0.0_f32; length as usize];
                for (span, weights) in side.spans.iter().zip(&side.weights) {
                    for (at, weight) in weights.iter().enumerate() {
                        assert!((0.0..=1.0).contains(weight));
                        sums[span.seen.0 as usize + at] += weight;
                    }
                }
                assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{tile} {overlap} {length}");
            }
        }
    }
}
