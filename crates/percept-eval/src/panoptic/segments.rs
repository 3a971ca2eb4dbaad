//! One picture, divided into segments.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use percept_core::{Error, Result};
use png::{ColorType, Decoder, Limits, Transformations};

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
        let file = File::open(path).map_err(|error| Error::input(path, error))?;
        let mut decoder = Decoder::new_with_limits(BufReader::new(file), Limits { bytes: 1 << 30 });
        decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
        let mut reader = decoder.read_info().map_err(|error| Error::input(path, error))?;
        let (color, _) = reader.output_color_type();
        let channels = match color {
            ColorType::Rgb => 3,
            ColorType::Rgba => 4,
            _ => {
                return Err(Error::Input {
                    path: path.to_owned(),
                    cause: "it is no picture in colour".into(),
                    hint: Some("ids of segments are red + 256 green + 65536 blue".into()),
                });
            }
        };
        let size = reader.output_buffer_size().ok_or_else(|| Error::input(path, "it is too large"))?;
        let mut bytes = vec![0; size];
        let frame = reader.next_frame(&mut bytes).map_err(|error| Error::input(path, error))?;
        let id = |pixel: &[u8]| u32::from_le_bytes([pixel[0], pixel[1], pixel[2], 0]);
        let ids = bytes[..frame.buffer_size()].chunks_exact(channels).map(id).collect();
        Ok(Self { width: frame.width, height: frame.height, ids, segments })
    }

    /// Pixels by the id that they have here and there. Both are of one size.
    pub(super) fn shared(&self, other: &Self) -> HashMap<(u32, u32), u64> {
        let mut shared: HashMap<(u32, u32), u64> = HashMap::new();
        let mut pairs = self.ids.iter().copied().zip(other.ids.iter().copied());
        let Some(mut last) = pairs.next() else { return shared };
        let mut run = 1;
        // Neighbours are mostly alike: a look-up a run, not a pixel.
        for pair in pairs {
            if pair != last {
                *shared.entry(last).or_default() += run;
                (last, run) = (pair, 0);
            }
            run += 1;
        }
        *shared.entry(last).or_default() += run;
        shared
    }
}
