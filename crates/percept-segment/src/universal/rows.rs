//! Masks at the picture's size, row by row.

/// How the masks of a network lie over a picture, in rows and columns.
///
/// As image processors do it in two steps: masks are brought to the size of the network's input, what is no border of
/// that is cut out, and is brought to the size of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Projection {
    /// The first step's size.
    pub(crate) input: [usize; 2],
    /// The part of that which shows the picture, from the upper left.
    pub(crate) shown: [usize; 2],
    /// The picture.
    pub(crate) picture: [usize; 2],
}

impl Projection {
    /// In one step.
    pub(crate) fn direct(from: [usize; 2], to: [usize; 2]) -> Self {
        Self { input: from, shown: from, picture: to }
    }
}

/// The positions of every pixel of a picture in masks of one size.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// Columns of a mask, and of what is shown of it after the first step.
    width: usize,
    shown: usize,
    /// What each row, and each column, of the first step and of the second is made of.
    first: [Vec<Tap>; 2],
    second: [Vec<Tap>; 2],
}

/// A pixel between two others.
#[derive(Clone, Copy, Debug)]
struct Tap {
    low: usize,
    high: usize,
    /// How much of `high` is in it.
    part: f32,
}

impl Tap {
    fn between(self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.part
    }
}

/// As `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` has it.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let step = from as f32 / to as f32;
    let tap = |index: usize| {
        let at = (step * (index as f32 + 0.5) - 0.5).max(0.0);
        let low = (at as usize).min(from - 1);
        Tap { low, high: (low + 1).min(from - 1), part: (at - low as f32).min(1.0) }
    };
    (0..to).map(tap).collect()
}

impl Grid {
    /// For masks of `size` (rows, columns).
    pub(crate) fn new(size: [usize; 2], projection: Projection) -> Self {
        let Projection { input, shown, picture } = projection;
        Self {
            width: size[1],
            shown: shown[1],
            first: [0, 1].map(|axis| taps(size[axis], input[axis])),
            second: [0, 1].map(|axis| taps(shown[axis], picture[axis])),
        }
    }

    /// Rows of the picture.
    pub(crate) fn rows(&self) -> usize {
        self.second[0].len()
    }

    /// Columns of the picture.
    pub(crate) fn columns(&self) -> usize {
        self.second[1].len()
    }

    /// A reader of one mask; `between` is applied to what the first step gives.
    pub(crate) fn read<'a>(&'a self, mask: &'a [f32], between: Option<fn(f32) -> f32>) -> Rows<'a> {
        Rows { grid: self, mask, between, held: [(usize::MAX, Vec::new()), (usize::MAX, Vec::new())] }
    }
}

/// Reads one mask at the picture's size. Rows are best asked for from top to bottom.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    grid: &'a Grid,
    mask: &'a [f32],
    between: Option<fn(f32) -> f32>,
    /// Rows after the first step, by their number, as wide as the picture.
    held: [(usize, Vec<f32>); 2],
}

impl Rows<'_> {
    /// Writes a row of the picture.
    pub(crate) fn fill(&mut self, row: usize, out: &mut [f32]) {
        let tap = self.grid.second[0][row];
        self.hold(tap.low);
        self.hold(tap.high);
        let [even, odd] = &self.held;
        let of = |row: usize| if row.is_multiple_of(2) { &even.1 } else { &odd.1 };
        let pairs = of(tap.low).iter().zip(of(tap.high));
        out.iter_mut().zip(pairs).for_each(|(out, (low, high))| *out = tap.between(*low, *high));
    }

    /// Neighbours have different places, as one of them is even.
    fn hold(&mut self, row: usize) {
        let place = &mut self.held[row % 2];
        if place.0 == row {
            return;
        }
        place.0 = row;
        let Grid { width, shown, first, second } = self.grid;
        let down = first[0][row];
        let [low, high] = [down.low, down.high].map(|row| &self.mask[row * width..][..*width]);
        let pixel = |across: &Tap| {
            let at = |column: usize| down.between(low[column], high[column]);
            let value = across.between(at(across.low), at(across.high));
            self.between.map_or(value, |between| between(value))
        };
        let line = first[1][..*shown].iter().map(pixel).collect::<Vec<_>>();
        place.1.clear();
        place.1.extend(second[1].iter().map(|tap| tap.between(line[tap.low], line[tap.high])));
    }
}
