//! Pillow's resize of bytes.

use std::borrow::Cow;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use percept_core::segment::Image;
use rayon::prelude::*;

/// A filter of Pillow. Where the picture shrinks it is as wide as the ratio, so that nothing is skipped, but for
/// [`Resample::Nearest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// The nearest pixel (`0`).
    Nearest,
    /// A sinc windowed by a sinc, three lobes (`1`).
    Lanczos,
    /// A triangle (`2`).
    Bilinear,
    /// A cubic with `a = -0.5` (`3`).
    Bicubic,
    /// The mean (`4`).
    Box,
    /// A triangle windowed by Hamming's (`5`).
    Hamming,
}

impl Resample {
    /// By its number in a `preprocessor_config.json` (`PIL.Image.Resampling`).
    pub fn from_number(number: u64) -> Option<Self> {
        [Self::Nearest, Self::Lanczos, Self::Bilinear, Self::Bicubic, Self::Box, Self::Hamming]
            .get(usize::try_from(number).ok()?)
            .copied()
    }

    fn algorithm(self) -> ResizeAlg {
        ResizeAlg::Convolution(match self {
            Self::Nearest => return ResizeAlg::Nearest,
            Self::Lanczos => FilterType::Lanczos3,
            Self::Bilinear => FilterType::Bilinear,
            Self::Bicubic => FilterType::CatmullRom,
            Self::Box => FilterType::Box,
            Self::Hamming => FilterType::Hamming,
        })
    }

    /// The bytes of a picture at another size (columns, rows), red, green and blue, row by row. They are borrowed
    /// where nothing changes.
    pub fn apply(self, image: &Image, size: (u32, u32)) -> Cow<'_, [u8]> {
        let (width, height) = image.size();
        // Pillow's order: rows first. What lies between is rounded to bytes, so the order shows.
        let wide = match size.0 == width {
            true => Cow::Borrowed(image.rgb.as_slice()),
            false => Cow::Owned(self.rows(&image.rgb, (width, height), size.0)),
        };
        match size.1 == height {
            true => wide,
            false => {
                let mut pixels = vec![0; bytes(size)];
                self.run(&wide, (size.0, height), &mut pixels, size);
                Cow::Owned(pixels)
            }
        }
    }

    /// Changes the width. Rows do not know of each other, so threads share them.
    fn rows(self, source: &[u8], (width, height): (u32, u32), columns: u32) -> Vec<u8> {
        let together = (height as usize).div_ceil(rayon::current_num_threads());
        let mut pixels = vec![0; bytes((columns, height))];
        let bands = source.par_chunks(together * bytes((width, 1)));
        bands.zip(pixels.par_chunks_mut(together * bytes((columns, 1)))).for_each(|(source, target)| {
            let rows = (target.len() / bytes((columns, 1))) as u32;
            self.run(source, (width, rows), target, (columns, rows));
        });
        pixels
    }

    fn run(self, source: &[u8], from: (u32, u32), target: &mut [u8], to: (u32, u32)) {
        // Typed, so that only the code for three bytes a pixel is compiled.
        let source = TypedImageRef::<U8x3>::from_buffer(from.0, from.1, source).expect("three bytes a pixel");
        let mut target = TypedImage::<U8x3>::from_buffer(to.0, to.1, target).expect("three bytes a pixel");
        let options = ResizeOptions::new().resize_alg(self.algorithm()).use_alpha(false);
        Resizer::new().resize_typed(&source, &mut target, &options).expect("the whole is resized");
    }
}

fn bytes((width, height): (u32, u32)) -> usize {
    3 * width as usize * height as usize
}
