//! From a picture to the input of a network, as the image processor of a Hugging Face snapshot does it, and the way
//! back of coordinates.
//!
//! [`ImageProcessor`] reads `preprocessor_config.json`: resize, centre crop, rescale, normalise, pad, in that order (RF-DETR,
//! Depth Pro and ZoeDepth resize what is rescaled).
//! [`Prepared`] is what a network takes, and its [`Canvas`] knows where every pixel came from. Bytes are resized as
//! Pillow resizes them: results equal those of transformers' torchvision processors to the last bit, and are within one
//! grey level of its Pillow processors (`tests/golden/preparation`).

mod canvas;
mod classes;
mod config;
mod fill;
mod resample;
mod size_rule;

pub use canvas::Canvas;
pub use config::settings;
pub use resample::Resample;

use percept_core::segment::Image;
use percept_core::{Error, Result};

use crate::{Alignment, Device, Filter, Tensor};
use fill::Frame;
use size_rule::SizeRule;

/// What a snapshot does to a picture before its network sees it.
#[derive(Clone, Debug)]
pub struct ImageProcessor {
    resize: Option<(SizeRule, Resizing)>,
    crop: Option<Crop>,
    pad: Option<Pad>,
    /// Whether the picture is reflected around itself before it is resized (ZoeDepth).
    reflects: bool,
    /// What a byte becomes, by channel.
    values: Box<[[f32; 256]; 3]>,
}

/// How a picture comes to another size.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Resizing {
    /// Its bytes, before anything else.
    Bytes(Resample),
    /// The values of its bytes, by the pixels next to each place alone (RF-DETR, Depth Pro, ZoeDepth): what lies between
    /// them is skipped where the picture shrinks.
    Values { filter: Filter, alignment: Alignment },
}

/// What is cut from the resized picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crop {
    /// The middle, of that width and height; black where the picture is smaller.
    Centre((u32, u32)),
    /// Squares of that side along the longer edge, which overlap just so much that they fit (EoMT).
    Along(u32),
}

/// What the picture is extended to, to the right and at the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pad {
    width: u32,
    height: u32,
    with: Padding,
}

/// What a border is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Padding {
    /// The value 0 of the network's input.
    Zero,
    /// The value of a black pixel.
    Black,
}

/// The input of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// `[3, height, width]` of the canvas: all of red, all of green, all of blue.
    pub pixels: Vec<f32>,
    /// How it lies over the picture.
    pub canvas: Canvas,
}

/// More pixels than this (an f32 canvas of 1.2 GB) come from pictures a few pixels wide and many thousands high.
const MOST_PIXELS: u64 = 100_000_000;

impl ImageProcessor {
    /// What the whole picture becomes. Of a processor that cuts squares along the picture ([`Self::prepare_parts`])
    /// this is the first of them.
    ///
    /// # Errors
    /// For a picture without pixels, or one so narrow that the processor makes it tens of thousands of pixels high.
    pub fn prepare(&self, image: &Image) -> Result<Prepared> {
        let parts = self.prepare_parts(image)?;
        Ok(parts.into_iter().next().expect("a picture has at least one part"))
    }

    /// All parts of the picture that go through the network one by one: one, unless the snapshot says
    /// `do_split_image` (EoMT, semantic). They are of one size and cover the picture.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_parts(&self, image: &Image) -> Result<Vec<Prepared>> {
        let original = image.size();
        let resized = self.resized(original)?;
        let bytes = match self.resize {
            Some((_, Resizing::Bytes(resample))) => resample.apply(image, resized),
            Some((_, Resizing::Values { filter, alignment })) => {
                let [across, down] = self.border(original);
                let original = (original.0 + 2 * across, original.1 + 2 * down);
                let canvas = Canvas { original, resized, offset: (0, 0), size: resized };
                let source = fill::Source { image, border: [down as usize, across as usize] };
                let pixels = fill::resized_planes(&source, resized, (filter, alignment), &self.values);
                return Ok(vec![Prepared { pixels, canvas }]);
            }
            None => image.rgb.as_slice().into(),
        };
        let offsets = self.offsets(resized);
        let parts = offsets.into_iter().map(|offset| {
            let (frame, canvas) = self.frame(Canvas { original, resized, offset, size: resized });
            Prepared { pixels: fill::planes(&bytes, &canvas, &frame, &self.values), canvas }
        });
        Ok(parts.collect())
    }

    /// The size, columns and rows, that a picture of that size has for the network.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn canvas_size(&self, original: (u32, u32)) -> Result<(u32, u32)> {
        let resized = self.resized(original)?;
        Ok(self.frame(Canvas { original, resized, offset: (0, 0), size: resized }).1.size)
    }

    /// Pixels of a picture of that size that are reflected on each side, before it is resized: to the left and right, and
    /// above and below. Its [`Canvas`] then lies over the picture with this border.
    pub fn border(&self, (width, height): (u32, u32)) -> [u32; 2] {
        let border =
            |side: u32| if self.reflects { ((f64::from(side) / 2.0).sqrt() * 3.0) as u32 } else { 0 };
        [border(width), border(height)]
    }

    /// The filter that values are resized with, where they are, not bytes.
    pub fn value_filter(&self) -> Option<Filter> {
        match self.resize {
            Some((_, Resizing::Values { filter, .. })) => Some(filter),
            _ => None,
        }
    }

    fn resized(&self, original: (u32, u32)) -> Result<(u32, u32)> {
        let (width, height) = original;
        if width == 0 || height == 0 {
            return Err(Error::argument(format!("a picture of {width} x {height} pixels shows nothing")));
        }
        let [across, down] = self.border(original);
        if across >= width || down >= height {
            let least = "a side of 5 pixels at least is wanted";
            return Err(Error::argument(format!(
                "a picture of {width} x {height} pixels is too small: {least}"
            )));
        }
        let bordered = (width + 2 * across, height + 2 * down);
        let (columns, rows) = self.resize.as_ref().map_or(original, |(rule, _)| rule.apply(bordered));
        if columns == 0 || rows == 0 || u64::from(columns) * u64::from(rows) > MOST_PIXELS {
            return Err(Error::Argument {
                message: format!(
                    "a picture of {width} x {height} pixels is too narrow: the model would see it as {columns} x {rows}"
                ),
                hint: Some("cut it into pieces first".into()),
            });
        }
        Ok((columns, rows))
    }

    /// Where parts begin in the resized picture.
    fn offsets(&self, (width, height): (u32, u32)) -> Vec<(i64, i64)> {
        match self.crop {
            None => vec![(0, 0)],
            // `(crop - size) // 2` black pixels before a picture that is too small, `int((size - crop) / 2)` cut off
            // otherwise: both round towards zero.
            Some(Crop::Centre((columns, rows))) => {
                let middle = |size: u32, crop: u32| (i64::from(size) - i64::from(crop)) / 2;
                vec![(middle(width, columns), middle(height, rows))]
            }
            Some(Crop::Along(side)) => {
                let starts = starts_along(width.max(height), side);
                let lay = |start| if height > width { (0, start) } else { (start, 0) };
                starts.into_iter().map(lay).collect()
            }
        }
    }

    /// Gives a canvas its size, and says what the border consists of.
    fn frame(&self, canvas: Canvas) -> (Frame, Canvas) {
        let (width, height) = canvas.resized;
        let cropped = match self.crop {
            None => (width, height),
            Some(Crop::Centre(size)) => size,
            Some(Crop::Along(side)) if height > width => (width, side.min(height)),
            Some(Crop::Along(side)) => (side.min(width), height),
        };
        let size = self.pad.map_or(cropped, |pad| (pad.width.max(cropped.0), pad.height.max(cropped.1)));
        let padding = self.pad.map_or(Padding::Black, |pad| pad.with);
        (Frame { cropped, padding }, Canvas { size, ..canvas })
    }
}

/// Where squares of that side begin so that they cover `length` pixels.
fn starts_along(length: u32, side: u32) -> Vec<i64> {
    let count = length.div_ceil(side);
    let overlap = match count {
        1 => 0.0,
        _ => f64::from(count * side - length) / f64::from(count - 1),
    };
    (0..count).map(|index| (f64::from(index) * (f64::from(side) - overlap)) as i64).collect()
}

impl Prepared {
    /// Canvases of one size as the input of one forward pass, `[count, 3, height, width]`.
    ///
    /// # Errors
    /// If they differ in size, or there are none.
    pub fn batch(parts: &[Self], device: &Device) -> crate::Result<Tensor> {
        let size = parts.first().map(|part| part.canvas.size);
        let Some((width, height)) = size.filter(|size| parts.iter().all(|part| part.canvas.size == *size))
        else {
            candle_core::bail!("pictures of one size are wanted");
        };
        let pixels = parts.iter().flat_map(|part| &part.pixels).copied().collect::<Vec<f32>>();
        Tensor::from_vec(pixels, (parts.len(), 3, height as usize, width as usize), device)
    }

    /// The input of a forward pass for this picture alone, `[1, 3, height, width]`, without a copy.
    pub fn into_tensor(self, device: &Device) -> crate::Result<Tensor> {
        let (width, height) = self.canvas.size;
        Tensor::from_vec(self.pixels, (1, 3, height as usize, width as usize), device)
    }
}
