//! One picture, divided into segments.

use std::collections::HashMap;
use std::path::Path;

use percept_core::Result;
use png::{ColorType, Transformations};

use crate::pixels::{self, Pixels};

/// Where the truth says nothing.
pub(super) const VOID: u32 = 0;

/// One segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Its value in the picture.
    pub(super) id: u32,
    /// The truth's number of its class.
    pub(super) class: i64,
    pub(super) crowd: bool,
    /// Pixels as the file says; counted where it does not.
    pub(super) area: Option<u64>,
}

/// A picture whose values are segments, and these segments.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Row by row.
    pub(super) ids: Vec<u32>,
    pub(super) segments: Vec<Segment>,
}

impl Segments {
    /// A PNG in colour, whose ids are red + 256 green + 65536 blue.
    pub(super) fn read(path: &Path, segments: Vec<Segment>) -> Result<Self> {
        let plain = Transformations::EXPAND | Transformations::STRIP_16;
        let hint = "ids of segments are red + 256 green + 65536 blue";
        let colors = [ColorType::Rgb, ColorType::Rgba];
        let Pixels { width, height, color, bytes, .. } =
            Pixels::read(path, plain, colors, ("it is no picture in colour", hint))?;
        let id = |pixel: &[u8]| u32::from_le_bytes([pixel[0], pixel[1], pixel[2], 0]);
        let ids = bytes.chunks_exact(color.samples()).map(id).collect();
        Ok(Self { width, height, ids, segments })
    }

    /// Pixels by the id that they have here and there. Both are of one size.
    pub(super) fn shared(&self, other: &Self) -> HashMap<(u32, u32), u64> {
        let mut shared: HashMap<(u32, u32), u64> = HashMap::new();
        pixels::runs(&self.ids, &other.ids, |pair, run| *shared.entry(pair).or_default() += run);
        shared
    }
}
