//! One segment a class.

use std::convert::Infallible;
use std::ops::Range;

use percept_backbone::{Device, Result, Tensor, for_layers};

use super::rows::{Grid, Projection};
use super::{Queries, Segment, sigmoid};
use crate::label_map::masks;

/// Rows that are decided at a time.
const BAND: usize = 32;

/// The queries of a part of a picture.
pub(crate) struct Part {
    pub(crate) queries: Queries,
    /// Where it begins in the prepared picture: row, column.
    pub(crate) offset: [usize; 2],
}

/// `post_process_semantic_segmentation`: segments by class. The score is the class's mean over the mask of what decides:
/// the sum over queries of the probabilities of class and mask.
///
/// `projection` has the size of a part as the network sees it, and of the whole picture as it was prepared, without a
/// border. (EoMT's image processor leaves the border in; no published semantic model has one.)
pub(crate) fn semantic(parts: &[Part], projection: Projection) -> Result<Vec<Segment>> {
    let Projection { input, shown, picture } = projection;
    let Some(classes) = parts.first().map(|part| part.queries.classes()) else { return Ok(Vec::new()) };
    // What decides, class by class, at the size that the network sees.
    let mut sums = vec![0.0; classes * shown[0] * shown[1]];
    let mut counts = vec![0.0_f32; shown[0] * shown[1]];
    for part in parts {
        let [top, left] = part.offset;
        let [height, width] =
            [0, 1].map(|axis| input[axis].min(shown[axis].saturating_sub(part.offset[axis])));
        for first in (0..height).step_by(BAND) {
            let rows = first..(first + BAND).min(height);
            let found = decide(&part.queries, input, rows.clone())?;
            for (class, found) in found.chunks_exact(rows.len() * input[1]).enumerate() {
                for (row, found) in rows.clone().zip(found.chunks_exact(input[1])) {
                    let at = ((class * shown[0]) + top + row) * shown[1] + left;
                    sums[at..at + width].iter_mut().zip(found).for_each(|(sum, value)| *sum += value);
                }
            }
            for row in rows {
                let at = (top + row) * shown[1] + left;
                counts[at..at + width].iter_mut().for_each(|count| *count += 1.0);
            }
        }
    }
    for sums in sums.chunks_exact_mut(counts.len()) {
        sums.iter_mut().zip(&counts).for_each(|(sum, count)| *sum /= count.max(1.0));
    }
    Ok(segments(&sums, classes, Grid::new(shown, Projection::direct(shown, picture))))
}

/// The sum over queries of the probabilities of class and mask, in some rows of a part: `[classes, rows, columns]`.
fn decide(queries: &Queries, input: [usize; 2], rows: Range<usize>) -> Result<Vec<f32>> {
    let grid = Grid::new(queries.size, Projection::direct(input, input));
    let read = |query: usize| {
        let mut reader = grid.read(queries.mask(query), Some(sigmoid));
        let mut values = vec![0.0; rows.len() * input[1]];
        for (row, values) in rows.clone().zip(values.chunks_exact_mut(input[1])) {
            reader.fill(row, values);
        }
        Ok::<_, Infallible>(values)
    };
    let Ok(masks) = for_layers(queries.count, read);
    let masks = Tensor::from_vec(masks.concat(), (queries.count, rows.len() * input[1]), &Device::Cpu)?;
    let classes = (0..queries.count).flat_map(|query| queries.probabilities(query)).copied().collect();
    let classes = Tensor::from_vec::<_, f32>(classes, (queries.count, queries.classes()), &Device::Cpu)?;
    classes.t()?.matmul(&masks)?.flatten_all()?.to_vec1()
}

/// Each pixel to its likeliest class, the first of equals.
fn segments(sums: &[f32], classes: usize, grid: Grid) -> Vec<Segment> {
    let pixels = sums.len() / classes;
    let columns = grid.columns();
    let band = |band: usize| {
        let rows = band * BAND..((band + 1) * BAND).min(grid.rows());
        let mut readers = sums.chunks_exact(pixels).map(|sums| grid.read(sums, None)).collect::<Vec<_>>();
        let mut map = vec![0_u16; rows.len() * columns];
        let mut totals = vec![(0.0, 0_u64); classes];
        let (mut values, mut best) = (vec![0.0; columns], vec![0.0; columns]);
        for (row, map) in rows.zip(map.chunks_exact_mut(columns)) {
            best.fill(f32::NEG_INFINITY);
            for (class, reader) in readers.iter_mut().enumerate() {
                reader.fill(row, &mut values);
                for ((value, best), pixel) in values.iter().zip(&mut best).zip(map.iter_mut()) {
                    if value > best {
                        (*best, *pixel) = (*value, class as u16);
                    }
                }
            }
            for (class, value) in map.iter().zip(&best) {
                let (sum, area) = &mut totals[usize::from(*class)];
                *sum += f64::from(*value);
                *area += 1;
            }
        }
        Ok::<_, Infallible>((map, totals))
    };
    let Ok(bands) = for_layers(grid.rows().div_ceil(BAND), band);
    let mut map = Vec::with_capacity(grid.rows() * columns);
    let mut totals = vec![(0.0, 0_u64); classes];
    for (part, counted) in bands {
        map.extend(part);
        for (total, counted) in totals.iter_mut().zip(counted) {
            *total = (total.0 + counted.0, total.1 + counted.1);
        }
    }
    // Only classes that are there become masks.
    let present = (0..classes).filter(|class| totals[*class].1 > 0).collect::<Vec<_>>();
    let mut index = vec![None; classes];
    present.iter().enumerate().for_each(|(at, class)| index[*class] = Some(at));
    let masks = masks(&map, [grid.rows(), columns], present.len(), |class| index[usize::from(class)]);
    let segment = |(label, mask): (usize, _)| {
        let (sum, area) = totals[label];
        // Several queries of one class may add up to more than 1.
        Segment { label, score: ((sum / area as f64) as f32).clamp(0.0, 1.0), mask }
    };
    present.into_iter().zip(masks).map(segment).collect()
}
