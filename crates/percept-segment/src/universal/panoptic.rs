//! Every pixel to at most one segment.

use std::convert::Infallible;

use percept_backbone::for_layers;

use super::rows::{Grid, Projection};
use super::{HALF, OVERLAP, Queries, Recipe, Segment, sigmoid};
use crate::label_map::masks;

/// Rows of the picture that are decided at a time.
const BAND: usize = 32;

/// A query that competes for pixels.
struct Rival {
    query: usize,
    label: usize,
    score: f32,
}

/// Pixels of one query.
#[derive(Clone, Copy, Debug, Default)]
struct Areas {
    /// Where it is the likeliest.
    won: u64,
    /// Where its own mask is.
    own: u64,
    /// Both.
    both: u64,
}

/// `post_process_panoptic_segmentation`: segments in the order of their queries. Those of a class that is stuff are
/// one, with the score of the first of them.
///
/// Where Mask2Former's image processor meets such a class again it goes back to that segment's number, and the next
/// new segment then gets a number that another one has already; here each keeps its own.
pub(crate) fn panoptic(
    queries: &Queries,
    projection: Projection,
    recipe: Recipe,
    threshold: f32,
    is_stuff: impl Fn(usize) -> bool,
) -> Vec<Segment> {
    let rivals = (0..queries.count)
        .filter_map(|query| queries.object(query).map(|(label, score)| Rival { query, label, score }))
        .filter(|rival| rival.score > threshold)
        .collect::<Vec<_>>();
    if rivals.is_empty() {
        return Vec::new();
    }
    let (map, areas) = compete(queries, &rivals, projection, recipe);
    let mut segments: Vec<(usize, f32)> = Vec::new();
    // By the number in the map: 0 is nobody.
    let mut segment_of = vec![None];
    for (Rival { label, score, .. }, areas) in rivals.iter().zip(areas) {
        if !areas.suffice(recipe) {
            segment_of.push(None);
            continue;
        }
        let earlier = segments.iter().position(|(other, _)| other == label).filter(|_| is_stuff(*label));
        segment_of.push(Some(earlier.unwrap_or(segments.len())));
        if earlier.is_none() {
            segments.push((*label, *score));
        }
    }
    let masks = masks(&map, projection.picture, segments.len(), |number| segment_of[usize::from(number)]);
    let segment = |((label, score), mask)| Segment { label, score, mask };
    segments.into_iter().zip(masks).map(segment).collect()
}

impl Areas {
    /// Whether enough of a mask is left (`check_segment_validity`).
    fn suffice(self, recipe: Recipe) -> bool {
        let there = self.won > 0 && self.own > 0 && (recipe == Recipe::Mask2Former || self.both > 0);
        there && self.won as f32 / self.own as f32 > OVERLAP
    }

    fn plus(self, other: Self) -> Self {
        Self { won: self.won + other.won, own: self.own + other.own, both: self.both + other.both }
    }
}

/// Who has which pixel, from 1 on and 0 for nobody, and how many each has.
fn compete(
    queries: &Queries,
    rivals: &[Rival],
    projection: Projection,
    recipe: Recipe,
) -> (Vec<u16>, Vec<Areas>) {
    let grid = Grid::new(queries.size, projection);
    let bands = grid.rows().div_ceil(BAND);
    let band = |band: usize| {
        let rows = band * BAND..((band + 1) * BAND).min(grid.rows());
        Ok::<_, Infallible>(compete_for(rows, queries, rivals, &grid, recipe))
    };
    let Ok(bands) = for_layers(bands, band);
    let mut map = Vec::with_capacity(grid.rows() * grid.columns());
    let mut areas = vec![Areas::default(); rivals.len()];
    for (part, counted) in bands {
        map.extend(part);
        areas.iter_mut().zip(counted).for_each(|(sum, areas)| *sum = sum.plus(areas));
    }
    (map, areas)
}

/// The same for some rows of the picture.
fn compete_for(
    rows: std::ops::Range<usize>,
    queries: &Queries,
    rivals: &[Rival],
    grid: &Grid,
    recipe: Recipe,
) -> (Vec<u16>, Vec<Areas>) {
    let columns = grid.columns();
    let between = (recipe == Recipe::Mask2Former).then_some(sigmoid as fn(f32) -> f32);
    let mut readers =
        rivals.iter().map(|rival| grid.read(queries.mask(rival.query), between)).collect::<Vec<_>>();
    let mut map = vec![0_u16; rows.len() * columns];
    let mut areas = vec![Areas::default(); rivals.len()];
    let mut values = vec![0.0; columns];
    // The best so far of each column: its value, its number, whether it is in its own mask.
    let mut best = vec![(0.0, 0, false); columns];
    for (row, map) in rows.zip(map.chunks_exact_mut(columns)) {
        best.fill((f32::NEG_INFINITY, 0, false));
        for (number, (reader, rival)) in readers.iter_mut().zip(rivals).enumerate() {
            reader.fill(row, &mut values);
            let own = &mut areas[number].own;
            for (value, best) in values.iter().zip(&mut best) {
                let (value, inside) = match recipe {
                    Recipe::Mask2Former => {
                        let value = value * rival.score;
                        (value, value >= HALF)
                    }
                    Recipe::Eomt => {
                        let inside = *value >= 0.0;
                        *own += u64::from(inside);
                        // Outside of its mask a query is at most half sure: mostly that decides it.
                        if !inside && rival.score * HALF <= best.0 {
                            continue;
                        }
                        (rival.score * sigmoid(*value), inside)
                    }
                };
                if recipe == Recipe::Mask2Former {
                    *own += u64::from(inside);
                }
                // The first of equals has the pixel.
                if value > best.0 {
                    *best = (value, number, inside);
                }
            }
        }
        for (pixel, (_, number, inside)) in map.iter_mut().zip(&best) {
            areas[*number].won += 1;
            areas[*number].both += u64::from(*inside);
            if *inside || recipe == Recipe::Mask2Former {
                *pixel = *number as u16 + 1;
            }
        }
    }
    (map, areas)
}
