//! Pixels of PNGs whose values mean something, and how often two pictures' values meet.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use percept_core::{Error, Result};
use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

/// The bytes of a PNG.
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) color: ColorType,
    pub(crate) depth: BitDepth,
    /// Bytes of a row.
    pub(crate) line: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Pixels {
    /// A PNG after `transformations`, whose colours are then of a `wanted` kind.
    ///
    /// # Errors
    /// [`Error::Input`]: it is no PNG, or one of other colours: then with `cause` and `hint`.
    pub(crate) fn read(
        path: &Path,
        transformations: Transformations,
        wanted: [ColorType; 2],
        (cause, hint): (&'static str, &str),
    ) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::input(path, error))?;
        let mut decoder = Decoder::new_with_limits(BufReader::new(file), Limits { bytes: 1 << 30 });
        decoder.set_transformations(transformations);
        let mut reader = decoder.read_info().map_err(|error| Error::input(path, error))?;
        let (color, depth) = reader.output_color_type();
        if !wanted.contains(&color) {
            return Err(Error::Input {
                path: path.to_owned(),
                cause: cause.into(),
                hint: Some(hint.to_owned()),
            });
        }
        let size = reader.output_buffer_size().ok_or_else(|| Error::input(path, "it is too large"))?;
        let mut bytes = vec![0; size];
        let frame = reader.next_frame(&mut bytes).map_err(|error| Error::input(path, error))?;
        bytes.truncate(frame.buffer_size());
        Ok(Self { width: frame.width, height: frame.height, color, depth, line: frame.line_size, bytes })
    }
}

/// Calls `add` with a value of one picture, that of the other at the same place, and how many pixels in a row have both:
/// neighbours are mostly alike, so that who counts looks up a run, not a pixel.
pub(crate) fn runs<T: Copy + Eq>(one: &[T], other: &[T], mut add: impl FnMut((T, T), u64)) {
    let mut pairs = one.iter().copied().zip(other.iter().copied());
    let Some(mut last) = pairs.next() else { return };
    let mut run = 1;
    for pair in pairs {
        if pair != last {
            add(last, run);
            (last, run) = (pair, 0);
        }
        run += 1;
    }
    add(last, run);
}
