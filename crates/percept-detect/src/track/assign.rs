//! The Hungarian method: rows and columns paired so that the sum of costs is least.

/// For each row of a matrix of finite costs its column, where it has one: as many pairs as the shorter side is long
/// (Kuhn 1955; shortest augmenting paths as in Jonker and Volgenant 1987, O(rows² · columns)).
fn cheapest(rows: usize, columns: usize, cost: &dyn Fn(usize, usize) -> f64) -> Vec<Option<usize>> {
    if rows > columns {
        let mut turned = vec![None; rows];
        for (column, row) in cheapest(columns, rows, &|column, row| cost(row, column)).into_iter().enumerate()
        {
            if let Some(row) = row {
                turned[row] = Some(column);
            }
        }
        return turned;
    }
    // Potentials, whose sum is at most the cost of a pair and equal to it in chosen pairs. Index 0 stands for nothing, all
    // else is counted from 1.
    let (mut of_row, mut of_column) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let mut row_of = vec![0; columns + 1];
    for row in 1..=rows {
        row_of[0] = row;
        let mut least = vec![f64::INFINITY; columns + 1];
        let (mut came_from, mut done) = (vec![0; columns + 1], vec![false; columns + 1]);
        let mut at = 0;
        while row_of[at] != 0 {
            done[at] = true;
            let from = row_of[at];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for column in (1..=columns).filter(|column| !done[*column]) {
                let reduced = cost(from - 1, column - 1) - of_row[from] - of_column[column];
                if reduced < least[column] {
                    (least[column], came_from[column]) = (reduced, at);
                }
                if least[column] < step {
                    (step, next) = (least[column], column);
                }
            }
            for column in 0..=columns {
                if done[column] {
                    of_row[row_of[column]] += step;
                    of_column[column] -= step;
                } else {
                    least[column] -= step;
                }
            }
            at = next;
        }
        while at != 0 {
            row_of[at] = row_of[came_from[at]];
            at = came_from[at];
        }
    }
    let mut chosen = vec![None; rows];
    for column in 1..=columns {
        if row_of[column] != 0 {
            chosen[row_of[column] - 1] = Some(column - 1);
        }
    }
    chosen
}

/// The pairs `(row, column)` of the cheapest assignment that cost no more than `limit`, in the order of rows; dearer pairs
/// all count the same.
pub(super) fn pairs(
    rows: usize,
    columns: usize,
    limit: f64,
    cost: impl Fn(usize, usize) -> f64,
) -> Vec<(usize, usize)> {
    let capped = |row, column| Some(cost(row, column)).filter(|cost| *cost <= limit).unwrap_or(limit + 1e-4);
    let matrix: Vec<f64> = (0..rows)
        .flat_map(|row| (0..columns).map(move |column| (row, column)))
        .map(|(r, c)| capped(r, c))
        .collect();
    let at = |row: usize, column: usize| matrix[row * columns + column];
    let chosen = cheapest(rows, columns, &at).into_iter().enumerate();
    chosen.filter_map(|(row, column)| Some((row, column?))).filter(|&(r, c)| at(r, c) <= limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least sum over all ways to give each row a column of its own.
    fn by_trying(
        rows: usize,
        columns: usize,
        cost: &dyn Fn(usize, usize) -> f64,
        used: u32,
        row: usize,
    ) -> f64 {
        if row == rows {
            return 0.0;
        }
        let rest =
            |column: usize| cost(row, column) + by_trying(rows, columns, cost, used | 1 << column, row + 1);
        (0..columns).filter(|column| used & 1 << column == 0).map(rest).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn nothing_is_cheaper() {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1_u64 << 24) as f64
        };
        for (rows, columns) in [(1, 1), (2, 5), (4, 4), (6, 7), (7, 6), (5, 2)] {
            for _ in 0..20 {
                let costs: Vec<f64> = (0..rows * columns).map(|_| random()).collect();
                let cost = |row: usize, column: usize| costs[row * columns + column];
                let found = cheapest(rows, columns, &cost);
                let taken: Vec<(usize, usize)> =
                    found.iter().enumerate().filter_map(|(row, column)| Some((row, (*column)?))).collect();
                assert_eq!(taken.len(), rows.min(columns));
                let mut own: Vec<usize> = taken.iter().map(|(_, column)| *column).collect();
                own.sort_unstable();
                own.dedup();
                assert_eq!(own.len(), taken.len(), "a column is in one pair");
                let sum: f64 = taken.iter().map(|(row, column)| cost(*row, *column)).sum();
                let least = match rows <= columns {
                    true => by_trying(rows, columns, &cost, 0, 0),
                    false => by_trying(columns, rows, &|column, row| cost(row, column), 0, 0),
                };
                assert!((sum - least).abs() < 1e-9, "{rows} x {columns}: {sum} {least}");
            }
        }
    }

    #[test]
    fn what_is_too_dear_is_no_pair() {
        let cost = |row: usize, column: usize| [[0.9, 0.2], [0.95, 0.3]][row][column];
        assert_eq!(pairs(2, 2, 0.8, cost), [(0, 1)]);
        assert_eq!(pairs(0, 3, 0.8, |_, _| 0.0), []);
        assert_eq!(pairs(3, 0, 0.8, |_, _| 0.0), []);
    }
}
