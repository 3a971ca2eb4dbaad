//! Voxels: at most one point of a cloud for each cube of a grid, the mean of what lies in it.

use nalgebra::Vector3;

/// Where the grid stands relative to zero, in voxels. Nothing round: coordinates that are rounded to centimetres would
/// lie on the faces of cubes otherwise, and a difference in the last bit would move them to the next cube.
const PHASE: f64 = 0.123_456_789;
/// Bits of a cube's number along an axis.
const BITS: u32 = 21;
/// Steps in a cube to which coordinates are rounded before they are added, so that sums do not depend on the order of
/// the points.
const STEPS: f64 = (1_u64 << 40) as f64;

/// Means of the points in each occupied cube of a grid.
#[derive(Clone, Debug, Default)]
pub(crate) struct Voxels {
    /// The means, in the order of a curve (Morton) through the grid: neighbours in it are near each other in space, and
    /// it does not depend on the order of the points.
    pub(crate) points: Vec<Vector3<f64>>,
    /// The means of what was given for each point, in the same order.
    pub(crate) values: Vec<f64>,
}

/// The sum over one cube.
#[derive(Clone, Copy)]
struct Cell {
    key: u64,
    sum: [i64; 3],
    value: i64,
    count: u32,
}

/// Cubes by their number, in an open table: the standard one spends most of its time on hashing.
struct Grid {
    slots: Vec<u32>,
    cells: Vec<Cell>,
}

const EMPTY: u32 = u32::MAX;

impl Grid {
    fn new(points: usize) -> Self {
        let slots = (points / 2).clamp(1 << 10, 1 << 20).next_power_of_two();
        Self { slots: vec![EMPTY; slots], cells: Vec::with_capacity(slots / 2) }
    }

    fn slot(key: u64, slots: usize) -> usize {
        // Fibonacci hashing: the upper bits of the product are the well mixed ones.
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize & (slots - 1)
    }

    fn cell(&mut self, key: u64) -> &mut Cell {
        if self.cells.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut slot = Self::slot(key, self.slots.len());
        loop {
            match self.slots[slot] {
                EMPTY => {
                    self.slots[slot] = self.cells.len() as u32;
                    self.cells.push(Cell { key, sum: [0; 3], value: 0, count: 0 });
                    return self.cells.last_mut().expect("one was pushed");
                }
                at if self.cells[at as usize].key == key => return &mut self.cells[at as usize],
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let slots = self.slots.len() * 2;
        self.slots = vec![EMPTY; slots];
        for (at, cell) in self.cells.iter().enumerate() {
            let mut slot = Self::slot(cell.key, slots);
            while self.slots[slot] != EMPTY {
                slot = (slot + 1) & (slots - 1);
            }
            self.slots[slot] = at as u32;
        }
    }
}

/// The number of the cube that a point lies in along each axis, and where in it, 0 to 1. Points beyond 2^20 cubes from
/// zero fall into the outermost.
fn place(point: &Vector3<f64>, per_unit: f64) -> ([u64; 3], [f64; 3]) {
    let half = (1_u64 << (BITS - 1)) as f64;
    let mut cube = [0; 3];
    let mut within = [0.0; 3];
    for axis in 0..3 {
        let at = point[axis] * per_unit + PHASE;
        let floor = floor(at.clamp(-half, half - 1.0));
        cube[axis] = (floor + half) as u64;
        within[axis] = at - floor;
    }
    (cube, within)
}

/// The whole number below. A processor of 2003 has no instruction for it, and its library function takes longer than all
/// the rest.
fn floor(value: f64) -> f64 {
    let whole = value as i64 as f64;
    if whole > value { whole - 1.0 } else { whole }
}

/// The bits of a number with two empty ones between each.
fn spread(value: u64) -> u64 {
    let mut bits = value & 0x1f_ffff;
    bits = (bits | bits << 32) & 0x1f_0000_0000_ffff;
    bits = (bits | bits << 16) & 0x1f_0000_ff00_00ff;
    bits = (bits | bits << 8) & 0x100f_00f0_0f00_f00f;
    bits = (bits | bits << 4) & 0x10c3_0c30_c30c_30c3;
    (bits | bits << 2) & 0x1249_2492_4924_9249
}

fn unspread(mut bits: u64) -> u64 {
    bits &= 0x1249_2492_4924_9249;
    bits = (bits | bits >> 2) & 0x10c3_0c30_c30c_30c3;
    bits = (bits | bits >> 4) & 0x100f_00f0_0f00_f00f;
    bits = (bits | bits >> 8) & 0x1f_0000_ff00_00ff;
    bits = (bits | bits >> 16) & 0x1f_0000_0000_ffff;
    (bits | bits >> 32) & 0x1f_ffff
}

fn key(cube: [u64; 3]) -> u64 {
    spread(cube[0]) | spread(cube[1]) << 1 | spread(cube[2]) << 2
}

/// The means of `points`, and of `values` where there are any, in cubes of `size`.
pub(crate) fn voxels(points: &[Vector3<f64>], values: Option<&[f64]>, size: f64) -> Voxels {
    let per_unit = 1.0 / size;
    let mut grid = Grid::new(points.len());
    for (at, point) in points.iter().enumerate() {
        let (cube, within) = place(point, per_unit);
        let cell = grid.cell(key(cube));
        for (sum, within) in cell.sum.iter_mut().zip(within) {
            *sum += (within * STEPS) as i64;
        }
        if let Some(values) = values {
            cell.value += (values[at] * STEPS) as i64;
        }
        cell.count += 1;
    }
    grid.cells.sort_unstable_by_key(|cell| cell.key);
    let half = (1_u64 << (BITS - 1)) as f64;
    let mean = |sum: i64, count: u32| sum as f64 / STEPS / f64::from(count);
    let point = |cell: &Cell| {
        Vector3::from_fn(|axis, _| {
            let cube = unspread(cell.key >> axis) as f64 - half;
            (cube + mean(cell.sum[axis], cell.count) - PHASE) * size
        })
    };
    Voxels {
        points: grid.cells.iter().map(point).collect(),
        values: match values {
            Some(_) => grid.cells.iter().map(|cell| mean(cell.value, cell.count)).collect(),
            None => Vec::new(),
        },
    }
}

/// How many cubes of `size` have a point.
pub(crate) fn occupied(points: &[Vector3<f64>], size: f64) -> usize {
    let mut grid = Grid::new(points.len());
    for point in points {
        grid.cell(key(place(point, 1.0 / size).0));
    }
    grid.cells.len()
}

/// A size of cubes of which about `wanted` are occupied, by regula falsi on their logarithms: surfaces have about as many
/// as the square of the inverse size.
pub(crate) fn size_for(points: &[Vector3<f64>], diagonal: f64, wanted: usize) -> f64 {
    let goal = (wanted as f64).ln();
    let mut size = diagonal / (wanted as f64).sqrt();
    let mut earlier: Option<(f64, f64)> = None;
    for _ in 0..6 {
        let count = (occupied(points, size) as f64).ln();
        if (count - goal).abs() < 0.1 {
            break;
        }
        let slope = match earlier {
            Some((log_size, log_count)) => ((count - log_count) / (size.ln() - log_size)).clamp(-3.0, -0.5),
            None => -2.0,
        };
        earlier = Some((size.ln(), count));
        size = (size.ln() + (goal - count) / slope).exp();
    }
    size
}

/// The nearest preferred number (ISO 3, R10: 1, 1.25, 1.6, 2, ...): sizes that people can read, and that a little more or
/// less of a cloud does not change.
pub(crate) fn round(size: f64) -> f64 {
    const STEPS: [f64; 10] = [1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0];
    let step = (size.log10() * 10.0).round() as i32;
    let decade = step.div_euclid(10);
    let digits = STEPS[step.rem_euclid(10) as usize];
    if decade < 0 { digits / 10_f64.powi(-decade) } else { digits * 10_f64.powi(decade) }
}

/// All points along the same curve, with `values`; ties by coordinates, so that the order in a file does not matter.
pub(crate) fn sorted(points: &[Vector3<f64>], values: Option<&[f64]>, diagonal: f64) -> Voxels {
    // Twelve bits an axis, as fine as an order for the cache needs.
    let per_unit = 4096.0 / diagonal.max(f64::MIN_POSITIVE);
    let keyed = |(at, point): (usize, &Vector3<f64>)| (key(place(point, per_unit).0), at);
    let mut order: Vec<(u64, usize)> = points.iter().enumerate().map(keyed).collect();
    order.sort_unstable_by(|(left_key, left), (right_key, right)| {
        let (p, q) = (&points[*left], &points[*right]);
        let coordinates = p.iter().zip(q.iter()).map(|(p, q)| p.total_cmp(q));
        let value = values.map(|values| values[*left].total_cmp(&values[*right]));
        let first = |order: std::cmp::Ordering| order.is_ne().then_some(order);
        left_key
            .cmp(right_key)
            .then_with(|| coordinates.chain(value).find_map(first).unwrap_or(std::cmp::Ordering::Equal))
    });
    Voxels {
        points: order.iter().map(|(_, at)| points[*at]).collect(),
        values: values.map_or(Vec::new(), |values| order.iter().map(|(_, at)| values[*at]).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cube_gives_the_mean_of_what_lies_in_it_in_any_order() {
        let mut points = vec![
            Vector3::new(0.0, 0.0, 0.0),
            Vector3::new(0.2, 0.4, 0.6),
            Vector3::new(-5.0, 7.5, 100.0),
            Vector3::new(0.7, 0.2, 0.3),
        ];
        let found = voxels(&points, Some(&[1.0, 2.0, 5.0, 3.0]), 1.0);
        assert_eq!(found.points.len(), 2);
        let at = found.values.iter().position(|value| (value - 2.0).abs() < 1e-9).unwrap();
        assert!((found.points[at] - Vector3::new(0.3, 0.2, 0.3)).norm() < 1e-11, "{:?}", found.points);
        points.reverse();
        let again = voxels(&points, Some(&[3.0, 5.0, 2.0, 1.0]), 1.0);
        assert_eq!((found.points, found.values), (again.points, again.values));
    }

    #[test]
    fn the_size_is_found_for_a_number() {
        let points: Vec<_> = (0..40_000)
            .map(|at| Vector3::new(f64::from(at % 200) * 0.1, f64::from(at / 200) * 0.1, 0.0))
            .collect();
        let size = size_for(&points, 30.0, 1000);
        let count = occupied(&points, size);
        assert!((900..1120).contains(&count), "{count} of {size}");
    }

    #[test]
    fn sizes_are_round() {
        for (size, want) in
            [(0.0996, 0.1), (0.11, 0.1), (0.115, 0.125), (3.3, 3.15), (950.0, 1000.0), (1.0, 1.0)]
        {
            assert_eq!(round(size), want);
        }
    }

    #[test]
    fn bits_are_spread_and_come_back() {
        for value in [0, 1, 0x1f_ffff, 0x15_5555, 12_345] {
            assert_eq!(unspread(spread(value)), value);
        }
    }
}
