//! Things one by one.

use std::convert::Infallible;

use percept_backbone::for_layers;
use percept_core::segment::Mask;

use super::rows::{Grid, Projection};
use super::{Queries, Recipe, Segment, sigmoid};

/// What keeps the mean over no pixel from being a division by zero, in the reference.
const EPS: f64 = 1e-6;

/// `post_process_instance_segmentation`: segments that may overlap, the best first. The score is the class's
/// probability times the mask's mean probability inside of it.
pub(crate) fn instances(
    queries: &Queries,
    projection: Projection,
    recipe: Recipe,
    threshold: f32,
    is_thing: impl Fn(usize) -> bool,
) -> Vec<Segment> {
    let candidates = match recipe {
        Recipe::Eomt => one_a_query(queries),
        Recipe::Mask2Former => best_pairs(queries),
    };
    // The mean of a mask is at most 1, so the others cannot reach the threshold.
    let kept = candidates.into_iter().filter(|pair| pair.probability >= threshold && is_thing(pair.label));
    let kept = kept.collect::<Vec<_>>();
    let drawn = |index: usize| {
        let Pair { query, label, probability } = kept[index];
        let mask = queries.mask(query);
        let (mask, mean) = match recipe {
            Recipe::Eomt => draw(mask, &Grid::new(queries.size, projection)),
            Recipe::Mask2Former => {
                let small = Grid::new(queries.size, Projection::direct(projection.input, projection.input));
                let (pixels, mean) = inside(mask, &small);
                (enlarged(&pixels, projection.input, projection.picture), mean)
            }
        };
        let score = probability * mean;
        Ok::<_, Infallible>((mask.area() > 0 && score >= threshold).then_some(Segment { label, score, mask }))
    };
    let Ok(found) = for_layers(kept.len(), drawn);
    let mut found = found.into_iter().flatten().collect::<Vec<_>>();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

/// A query as a thing of a class.
#[derive(Clone, Copy)]
struct Pair {
    query: usize,
    label: usize,
    probability: f32,
}

fn one_a_query(queries: &Queries) -> Vec<Pair> {
    let pair = |query| queries.class(query).map(|(label, probability)| Pair { query, label, probability });
    (0..queries.count).filter_map(pair).collect()
}

/// The likeliest pairs of query and class, as many as there are queries; a query may be there as several classes.
fn best_pairs(queries: &Queries) -> Vec<Pair> {
    let of = |query: usize| {
        let pair =
            move |(label, probability): (usize, &f32)| Pair { query, label, probability: *probability };
        queries.probabilities(query).iter().enumerate().map(pair)
    };
    let mut pairs = (0..queries.count).flat_map(of).collect::<Vec<_>>();
    pairs.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    pairs.truncate(queries.count);
    pairs
}

/// Which pixels are inside, and the mask's mean probability there.
fn inside(logits: &[f32], grid: &Grid) -> (Vec<u8>, f32) {
    let mut rows = grid.read(logits, None);
    let mut pixels = vec![0_u8; grid.rows() * grid.columns()];
    let mut values = vec![0.0; grid.columns()];
    let (mut sum, mut area) = (0.0, 0_u64);
    for (row, pixels) in pixels.chunks_exact_mut(grid.columns()).enumerate() {
        rows.fill(row, &mut values);
        for (pixel, value) in pixels.iter_mut().zip(&values).filter(|(_, value)| **value > 0.0) {
            *pixel = 1;
            sum += f64::from(sigmoid(*value));
            area += 1;
        }
    }
    (pixels, (sum / (area as f64 + EPS)) as f32)
}

fn draw(logits: &[f32], grid: &Grid) -> (Mask, f32) {
    let (pixels, mean) = inside(logits, grid);
    (Mask::from_pixels(grid.columns() as u32, grid.rows() as u32, &pixels), mean)
}

/// By the nearest pixel, as torch's `nearest` finds it.
fn enlarged(pixels: &[u8], from: [usize; 2], to: [usize; 2]) -> Mask {
    let [down, across] = [0, 1].map(|axis| {
        let step = from[axis] as f32 / to[axis] as f32;
        (0..to[axis]).map(|at| ((at as f32 * step) as usize).min(from[axis] - 1)).collect::<Vec<_>>()
    });
    let row = |row: &usize| {
        let line = &pixels[row * from[1]..][..from[1]];
        across.iter().map(|column| line[*column]).collect::<Vec<_>>()
    };
    Mask::from_pixels(to[1] as u32, to[0] as u32, &down.iter().flat_map(row).collect::<Vec<_>>())
}
