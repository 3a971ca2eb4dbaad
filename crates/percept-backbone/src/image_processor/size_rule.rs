//! What size a picture is resized to.

/// A rule from the size of a picture to another one; columns and rows. Where a reference rounds, the order of its
/// operations is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum SizeRule {
    /// Whatever it was.
    Exact { width: u32, height: u32 },
    /// The shorter edge becomes this, the other one follows.
    Shortest(u32),
    /// The same, unless the longer edge would become longer than the second (`get_size_with_aspect_ratio`). Both
    /// edges are then rounded to a multiple.
    Edges { shortest: u32, longest: u32, multiple: Multiple },
    /// The longer edge becomes this (SAM).
    Longest(u32),
    /// As large as fits.
    Within { width: u32, height: u32 },
    /// Near a size, but a multiple of something (DPT).
    Near { width: u32, height: u32, aspect: Aspect, multiple: f64 },
}

/// What both edges are made a multiple of; of 1 where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Multiple {
    /// The next larger one (Mask2Former).
    Up(u32),
    /// The next smaller one (YOLOS).
    Down(u32),
}

/// What becomes of the ratio of the edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    /// Each edge is scaled by itself.
    Free,
    /// Both are scaled by the factor that is nearer to 1.
    Kept,
}

impl SizeRule {
    pub(super) fn apply(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let (w, h) = (f64::from(width), f64::from(height));
        match *self {
            Self::Exact { width, height } => (width, height),
            Self::Shortest(size) => {
                let long = (f64::from(size) * w.max(h) / w.min(h)) as u32;
                if width <= height { (size, long) } else { (long, size) }
            }
            Self::Edges { shortest, longest, multiple } => {
                let (width, height) = edges((width, height), shortest, longest);
                let rounded = |size: u32| match multiple {
                    Multiple::Up(of) => size.div_ceil(of).saturating_mul(of),
                    Multiple::Down(of) => size / of * of,
                };
                (rounded(width), rounded(height))
            }
            Self::Longest(size) => {
                let scale = f64::from(size) / w.max(h);
                ((w * scale + 0.5) as u32, (h * scale + 0.5) as u32)
            }
            Self::Within { width, height } => {
                let scale = (f64::from(height) / h).min(f64::from(width) / w);
                ((w * scale) as u32, (h * scale) as u32)
            }
            Self::Near { width, height, aspect, multiple } => {
                let (mut across, mut down) = (f64::from(width) / w, f64::from(height) / h);
                if aspect == Aspect::Kept {
                    let nearer = if (1.0 - across).abs() < (1.0 - down).abs() { across } else { down };
                    (across, down) = (nearer, nearer);
                }
                let near = |size: f64| {
                    let count = (size / multiple).round_ties_even();
                    (count * multiple) as u32
                };
                (near(across * w), near(down * h))
            }
        }
    }
}

/// `get_size_with_aspect_ratio` of transformers' `image_transforms.py`.
fn edges((width, height): (u32, u32), shortest: u32, longest: u32) -> (u32, u32) {
    let (w, h) = (f64::from(width), f64::from(height));
    let (short, long) = (w.min(h), w.max(h));
    // The shorter edge may be a fraction until the longer one is known.
    let raw = if long / short * f64::from(shortest) > f64::from(longest) {
        f64::from(longest) * short / long
    } else {
        f64::from(shortest)
    };
    let size = raw.round_ties_even() as u32;
    if width.min(height) == size {
        (width, height)
    } else if width < height {
        (size, (raw * h / w) as u32)
    } else {
        ((raw * w / h) as u32, size)
    }
}
