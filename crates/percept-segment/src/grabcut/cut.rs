//! The energy of GrabCut and its least value: likelihoods of colours, and edges between neighbours.

use super::canvas::{Canvas, Ground};
use super::flow::FlowGraph;
use super::mixture::{Color, Mixture, squared_distance};

/// The weight of edges against likelihoods.
const GAMMA: f64 = 50.0;
/// Times that mixtures and cut are made anew.
const ITERATIONS: usize = 5;
/// Pixels are like a colour whose squared distance is at most so many times the mean one between neighbours.
const LIKENESS: f64 = 4.0;
/// Half of the eight neighbours: columns, rows, distance.
const NEIGHBOURS: [(isize, isize, f64); 4] =
    [(1, 0, 1.0), (0, 1, 1.0), (1, 1, std::f64::consts::SQRT_2), (-1, 1, std::f64::consts::SQRT_2)];

/// The colours on both sides.
pub(super) struct Sides {
    foreground: Mixture,
    background: Mixture,
}

impl Sides {
    /// Of the pixels on each side; `None` where one has none.
    fn of(canvas: &Canvas, inside: &[bool], make: impl Fn(bool, &[Color]) -> Mixture) -> Option<Self> {
        let pick = |wanted: bool| {
            let pixels = canvas.colors.iter().zip(inside).filter(|(_, inside)| **inside == wanted);
            let samples: Vec<Color> = pixels.map(|(color, _)| *color).collect();
            (!samples.is_empty()).then(|| make(wanted, &samples))
        };
        Some(Self { foreground: pick(true)?, background: pick(false)? })
    }

    /// How much likelier a colour is in the foreground, as a logarithm.
    fn evidence(&self, color: Color) -> f64 {
        self.foreground.log_density(color) - self.background.log_density(color)
    }

    /// The mean probability of the foreground over the pixels inside, if both sides were as likely; 0 without any.
    pub(super) fn certainty(&self, canvas: &Canvas, inside: &[bool]) -> f32 {
        let pixels = canvas.colors.iter().zip(inside).filter(|(_, inside)| **inside);
        let (mut sum, mut count) = (0.0, 0.0);
        for (color, _) in pixels {
            sum += 1.0 / (1.0 + (-self.evidence(*color)).exp());
            count += 1.0;
        }
        if count == 0.0 { 0.0 } else { (sum / count) as f32 }
    }
}

/// Mixtures and cut in turn, beginning with the sides in `inside`; the sides and their colours in the end. `None`
/// where a side has no pixel to begin with; where one is empty later, it ends with what there was.
pub(super) fn grab(canvas: &Canvas, ground: &[Ground], mut inside: Vec<bool>) -> Option<(Vec<bool>, Sides)> {
    let mut sides = Sides::of(canvas, &inside, |_, samples| Mixture::new(samples))?;
    for _ in 0..ITERATIONS {
        let relearned = Sides::of(canvas, &inside, |foreground, samples| {
            let mixture = if foreground { &sides.foreground } else { &sides.background };
            mixture.relearned(samples)
        });
        let Some(relearned) = relearned else { break };
        sides = relearned;
        inside = cut(canvas, ground, &sides);
    }
    Some((inside, sides))
}

/// The cheapest division: which pixels are inside.
pub(super) fn cut(canvas: &Canvas, ground: &[Ground], sides: &Sides) -> Vec<bool> {
    let mut numbers = vec![usize::MAX; ground.len()];
    let mut terminals = Vec::new();
    for (index, _) in ground.iter().enumerate().filter(|(_, ground)| **ground == Ground::Unknown) {
        numbers[index] = terminals.len();
        terminals.push(sides.evidence(canvas.colors[index]));
    }
    let sharpness = sharpness(canvas);
    let mut joins = Vec::new();
    for_neighbours(canvas, |a, b, distance| {
        // Edges between pixels of which all is known cost the same whatever the cut.
        if ground[a] != Ground::Unknown && ground[b] != Ground::Unknown {
            return;
        }
        let difference = f64::from(squared_distance(canvas.colors[a], canvas.colors[b]));
        let weight = GAMMA / distance * (-sharpness * difference).exp();
        for (unknown, known) in [(a, b), (b, a)] {
            match ground[known] {
                Ground::Foreground => terminals[numbers[unknown]] += weight,
                Ground::Background => terminals[numbers[unknown]] -= weight,
                Ground::Unknown => {}
            }
        }
        if ground[a] == ground[b] {
            joins.push((numbers[a], numbers[b], weight));
        }
    });
    let mut graph = FlowGraph::new(terminals);
    joins.into_iter().for_each(|(a, b, weight)| graph.join(a, b, weight));
    let cut = graph.cut();
    let side = |(ground, number): (&Ground, &usize)| match ground {
        Ground::Unknown => cut[*number],
        known => *known == Ground::Foreground,
    };
    ground.iter().zip(&numbers).map(side).collect()
}

/// The paper's beta: half the inverse of the mean squared difference of neighbours.
fn sharpness(canvas: &Canvas) -> f64 {
    let mean = mean_difference(canvas);
    if mean <= f64::EPSILON { 0.0 } else { 1.0 / (2.0 * mean) }
}

/// The mean squared difference of neighbours.
fn mean_difference(canvas: &Canvas) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0_f64);
    for_neighbours(canvas, |a, b, _| {
        sum += f64::from(squared_distance(canvas.colors[a], canvas.colors[b]));
        count += 1.0;
    });
    sum / count.max(1.0)
}

/// What is taken for the object at first where points show it and no box bounds it: the pixels that are connected to
/// a point and like its colours. The points alone have too few colours to tell an object from anything.
pub(super) fn grown(canvas: &Canvas, ground: &[Ground]) -> Vec<bool> {
    let seeds = || (0..ground.len()).filter(|index| ground[*index] == Ground::Foreground);
    let samples: Vec<Color> = seeds().map(|index| canvas.colors[index]).collect();
    let mixture = Mixture::new(&samples);
    let limit = LIKENESS * mean_difference(canvas);
    let mut inside = vec![false; ground.len()];
    let mut open: Vec<usize> = seeds().collect();
    while let Some(index) = open.pop() {
        let like = || mixture.distance(canvas.colors[index]) <= limit;
        let joins = ground[index] == Ground::Foreground || ground[index] == Ground::Unknown && like();
        if !joins || std::mem::replace(&mut inside[index], true) {
            continue;
        }
        let x = index % canvas.width;
        let beside = [(x > 0).then(|| index - 1), (x + 1 < canvas.width).then_some(index + 1)];
        let above_and_below = [index.checked_sub(canvas.width), Some(index + canvas.width)];
        open.extend(beside.into_iter().chain(above_and_below).flatten().filter(|next| *next < ground.len()));
    }
    inside
}

/// Each pair of neighbours once, with their distance.
fn for_neighbours(canvas: &Canvas, mut visit: impl FnMut(usize, usize, f64)) {
    let (width, height) = (canvas.width, canvas.height);
    for index in 0..width * height {
        let (x, y) = (index % width, index / width);
        for (dx, dy, distance) in NEIGHBOURS {
            let (Some(nx), Some(ny)) = (x.checked_add_signed(dx), y.checked_add_signed(dy)) else { continue };
            if nx < width && ny < height {
                visit(index, ny * width + nx, distance);
            }
        }
    }
}
