//! Connected regions of a mask, found on its runs: time and memory go with the outline, not with the picture.

use percept_core::segment::Mask;

/// Which neighbours of a pixel belong to its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connectivity {
    /// Those that share an edge.
    Four,
    /// Those that share an edge or a corner.
    Eight,
}

/// Which pixels are divided into regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Those in the mask.
    Inside,
    /// Those that are not.
    Outside,
}

/// Pixels `top..bottom` of one column, all of one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    column: u32,
    top: u32,
    bottom: u32,
    region: usize,
}

/// The regions of one side of a mask, numbered from 0 in the order of their first pixels, column by column.
#[derive(Debug)]
pub(crate) struct Regions {
    width: u32,
    height: u32,
    runs: Vec<Run>,
    areas: Vec<u64>,
    at_border: Vec<bool>,
}

impl Regions {
    /// Divides one side of a mask.
    pub(crate) fn new(mask: &Mask, side: Side, connectivity: Connectivity) -> Self {
        let (width, height) = (mask.width(), mask.height());
        let mut runs = column_runs(mask, side);
        let mut parents: Vec<usize> = (0..runs.len()).collect();
        unite_neighbours(&runs, connectivity, &mut parents);

        let mut numbers = vec![usize::MAX; runs.len()];
        let (mut areas, mut at_border) = (Vec::new(), Vec::new());
        for (index, run) in runs.iter_mut().enumerate() {
            let root = root(&mut parents, index);
            if numbers[root] == usize::MAX {
                numbers[root] = areas.len();
                areas.push(0);
                at_border.push(false);
            }
            run.region = numbers[root];
            areas[run.region] += u64::from(run.bottom - run.top);
            at_border[run.region] |=
                run.column == 0 || run.column + 1 == width || run.top == 0 || run.bottom == height;
        }
        Self { width, height, runs, areas, at_border }
    }

    /// Pixels of each region.
    pub(crate) fn areas(&self) -> &[u64] {
        &self.areas
    }

    /// Whether a region has a pixel at the picture's border.
    pub(crate) fn at_border(&self, region: usize) -> bool {
        self.at_border[region]
    }

    /// The region of a pixel, where it is on this side.
    pub(crate) fn at(&self, x: u32, y: u32) -> Option<usize> {
        let after = self.runs.partition_point(|run| (run.column, run.top) <= (x, y));
        let run = self.runs[..after].last()?;
        (run.column == x && y < run.bottom).then_some(run.region)
    }

    /// The pixels of the regions that `keep` names by their number.
    pub(crate) fn mask(&self, keep: impl Fn(usize) -> bool) -> Mask {
        let rows = u64::from(self.height);
        let spans = self.runs.iter().filter(|run| keep(run.region)).map(|run| {
            let start = u64::from(run.column) * rows;
            (start + u64::from(run.top), start + u64::from(run.bottom))
        });
        Mask::from_runs(self.width, self.height, spans)
    }
}

/// The runs of one side, cut where columns meet.
fn column_runs(mask: &Mask, side: Side) -> Vec<Run> {
    let rows = u64::from(mask.height());
    let wanted = usize::from(side == Side::Inside);
    let (mut runs, mut at) = (Vec::new(), 0);
    for (index, count) in mask.counts().iter().enumerate() {
        let end = at + u64::from(*count);
        while index % 2 == wanted && at < end {
            let (column, top) = (at / rows, at % rows);
            let bottom = (top + end - at).min(rows);
            runs.push(Run { column: column as u32, top: top as u32, bottom: bottom as u32, region: 0 });
            at += bottom - top;
        }
        at = end;
    }
    runs
}

/// Joins each run with those of the column to its left that it touches.
fn unite_neighbours(runs: &[Run], connectivity: Connectivity, parents: &mut [usize]) {
    let reach = u32::from(connectivity == Connectivity::Eight);
    // The first run of the column to the left that this run or a later one can touch.
    let mut first = 0;
    for (index, run) in runs.iter().enumerate() {
        while first < index {
            let left = runs[first];
            let above = left.column + 1 == run.column && left.bottom + reach <= run.top;
            if left.column + 1 >= run.column && !above {
                break;
            }
            first += 1;
        }
        let touching = runs[first..index]
            .iter()
            .take_while(|left| left.column + 1 == run.column && left.top < run.bottom + reach)
            .count();
        for left in first..first + touching {
            let (a, b) = (root(parents, left), root(parents, index));
            // The earlier run leads, so that numbers follow the first pixels.
            parents[a.max(b)] = a.min(b);
        }
    }
}

/// The first of those that `index` has been united with.
pub(crate) fn root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}
