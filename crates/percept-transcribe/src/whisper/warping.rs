//! From the gaze of attention heads to a path through the sound: standardised, smoothed, averaged,
//! and warped (`whisper/timing.py`, `find_alignment`, `median_filter`, `dtw`).

/// Width of the median filter along time.
const MEDIAN_WIDTH: usize = 7;

/// Rows of equal length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    rows: Vec<Vec<f32>>,
}

impl Matrix {
    pub(super) fn from_rows(rows: Vec<Vec<f32>>) -> Self {
        Self { rows }
    }

    pub(super) fn rows_between(&self, start: usize, end: usize) -> Self {
        Self { rows: self.rows[start..end].to_vec() }
    }

    fn columns(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }
}

/// How strongly each token looks at each of the first `positions` positions: the mean over heads of
/// standardised, smoothed probabilities, `[tokens, positions]`.
pub(super) fn alignment_matrix(gazes: &[Matrix], positions: usize) -> Matrix {
    let rows = gazes.first().map_or(0, |gaze| gaze.rows.len());
    let mut mean = Matrix { rows: vec![vec![0.0; positions]; rows] };
    for gaze in gazes {
        let mut gaze = crop(gaze, positions);
        standardise(&mut gaze);
        for (row, sum) in gaze.rows.iter().zip(&mut mean.rows) {
            for (value, sum) in median_filter(row, MEDIAN_WIDTH).into_iter().zip(sum) {
                *sum += value / gazes.len() as f32;
            }
        }
    }
    mean
}

/// Probabilities over the first positions alone.
fn crop(gaze: &Matrix, positions: usize) -> Matrix {
    let crop_row = |row: &Vec<f32>| {
        let row = &row[..positions.min(row.len())];
        let total = row.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        row.iter().map(|value| value / total).collect()
    };
    Matrix { rows: gaze.rows.iter().map(crop_row).collect() }
}

/// Mean 0 and deviation 1 along the tokens, at every position.
fn standardise(matrix: &mut Matrix) {
    let count = matrix.rows.len() as f32;
    for column in 0..matrix.columns() {
        let mean = matrix.rows.iter().map(|row| row[column]).sum::<f32>() / count;
        let variance = matrix.rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f32>() / count;
        let deviation = variance.sqrt().max(f32::MIN_POSITIVE);
        matrix.rows.iter_mut().for_each(|row| row[column] = (row[column] - mean) / deviation);
    }
}

/// The median over `width` neighbours, mirrored at the edges; a row that is no longer than half the
/// width stays as it is.
fn median_filter(row: &[f32], width: usize) -> Vec<f32> {
    let half = width / 2;
    if row.len() <= half {
        return row.to_vec();
    }
    let last = row.len() as isize - 1;
    let at = |index: isize| {
        let index = index.abs();
        row[if index > last { 2 * last - index } else { index } as usize]
    };
    let mut neighbours = vec![0.0; width];
    (0..row.len() as isize)
        .map(|centre| {
            for (offset, neighbour) in neighbours.iter_mut().enumerate() {
                *neighbour = at(centre + offset as isize - half as isize);
            }
            neighbours.sort_by(f32::total_cmp);
            neighbours[half]
        })
        .collect()
}

/// A way through a matrix from its first to its last corner, as (row, column).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path(Vec<(usize, usize)>);

impl Path {
    /// The column at which a row begins; of a row beyond the last, the last column.
    pub(super) fn time_of(&self, row: usize) -> usize {
        self.0.iter().find(|(at, _)| *at >= row).or(self.0.last()).map_or(0, |(_, column)| *column)
    }
}

/// The path on which the sum of the matrix is largest.
pub(super) fn warp(matrix: &Matrix) -> Path {
    cheapest_path(&Matrix {
        rows: matrix.rows.iter().map(|row| row.iter().map(|value| -value).collect()).collect(),
    })
}

fn cheapest_path(cost: &Matrix) -> Path {
    let (rows, columns) = (cost.rows.len(), cost.columns());
    let mut total = vec![vec![f32::INFINITY; columns + 1]; rows + 1];
    let mut step = vec![vec![Step::Column; columns + 1]; rows + 1];
    total[0][0] = 0.0;
    for column in 1..=columns {
        for row in 1..=rows {
            let both = total[row - 1][column - 1];
            let down = total[row - 1][column];
            let along = total[row][column - 1];
            let (best, by) = if both < down && both < along {
                (both, Step::Both)
            } else if down < both && down < along {
                (down, Step::Row)
            } else {
                (along, Step::Column)
            };
            total[row][column] = cost.rows[row - 1][column - 1] + best;
            step[row][column] = by;
        }
    }
    let (mut row, mut column) = (rows, columns);
    let mut path = Vec::with_capacity(rows + columns);
    while row > 0 && column > 0 {
        path.push((row - 1, column - 1));
        match step[row][column] {
            Step::Both => (row, column) = (row - 1, column - 1),
            Step::Row => row -= 1,
            Step::Column => column -= 1,
        }
    }
    path.reverse();
    Path(path)
}

#[derive(Clone, Copy)]
enum Step {
    Both,
    Row,
    Column,
}

#[cfg(test)]
mod tests {
    //! Against transformers' `_median_filter`, `_dynamic_time_warping` and the pieces of
    //! `_extract_token_timestamps` (tests/reference/whisper.py).

    use super::*;
    use safetensors::SafeTensors;

    fn fixture() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/whisper/f32/fixture.safetensors");
        std::fs::read(path).unwrap()
    }

    fn floats(file: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f32>) {
        let tensor = file.tensor(name).unwrap();
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        (tensor.shape().to_vec(), values.collect())
    }

    fn indices(file: &SafeTensors<'_>, name: &str) -> Vec<usize> {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as usize).collect()
    }

    fn matrix(values: &[f32], columns: usize) -> Matrix {
        Matrix { rows: values.chunks_exact(columns).map(<[f32]>::to_vec).collect() }
    }

    #[test]
    fn the_path_is_that_of_transformers() {
        let bytes = fixture();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let names = file.names().into_iter().filter(|name| name.ends_with(".cost")).collect::<Vec<_>>();
        assert!(names.len() >= 2, "{names:?}");
        for name in names {
            let (shape, cost) = floats(&file, name);
            let Path(path) = cheapest_path(&matrix(&cost, shape[1]));
            let (rows, columns): (Vec<_>, Vec<_>) = path.into_iter().unzip();
            let stem = name.trim_end_matches("cost");
            assert_eq!(rows, indices(&file, &format!("{stem}token_indices")), "{name}");
            assert_eq!(columns, indices(&file, &format!("{stem}time_indices")), "{name}");
        }
    }

    #[test]
    fn the_median_is_that_of_transformers() {
        let bytes = fixture();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let names = file.names().into_iter().filter(|n| n.starts_with("median.") && n.ends_with(".input"));
        let mut seen = 0;
        for name in names {
            let width = name.trim_start_matches("median.").split('x').next().unwrap().parse().unwrap();
            let (shape, input) = floats(&file, name);
            let (_, wanted) = floats(&file, &name.replace("input", "output"));
            let columns = *shape.last().unwrap();
            let found =
                input.chunks_exact(columns).flat_map(|row| median_filter(row, width)).collect::<Vec<_>>();
            assert_eq!(found, wanted, "{name}");
            seen += 1;
        }
        assert!(seen >= 2);
    }

    #[test]
    fn the_alignment_matrix_is_that_of_transformers() {
        let bytes = fixture();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        for item in ["0", "1"] {
            let (shape, weights) = floats(&file, &format!("alignment.{item}.weights"));
            let [heads, tokens, positions] = shape[..] else { panic!("{shape:?}") };
            let gazes = weights.chunks_exact(tokens * positions).map(|head| matrix(head, positions));
            let gazes = gazes.collect::<Vec<_>>();
            assert_eq!(gazes.len(), heads);
            // transformers crops without making the rows sum to 1 again, so the crop is left out here.
            let mut mean = vec![0.0; tokens * positions];
            for mut gaze in gazes {
                standardise(&mut gaze);
                let smooth = gaze.rows.iter().flat_map(|row| median_filter(row, MEDIAN_WIDTH));
                mean.iter_mut().zip(smooth).for_each(|(mean, value)| *mean += value / heads as f32);
            }
            let (_, wanted) = floats(&file, &format!("alignment.{item}.matrix"));
            let worst = mean.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-4, "{worst}");
            let Path(path) = warp(&matrix(&wanted, positions));
            let (rows, columns): (Vec<_>, Vec<_>) = path.into_iter().unzip();
            assert_eq!(rows, indices(&file, &format!("alignment.{item}.token_indices")));
            assert_eq!(columns, indices(&file, &format!("alignment.{item}.time_indices")));
        }
    }
}
