//! Pictures in other sizes.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};
use percept_core::segment::Image;
use percept_core::{Error, Result};

/// How new pixels come from old ones; the filters of Pillow, which widen when a picture shrinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResizeFilter {
    /// The nearest pixel: makes no new values.
    Nearest,
    /// Triangle.
    Bilinear,
    /// Cubic of Catmull and Rom, a = -0.5.
    Bicubic,
    /// Windowed sinc of three lobes.
    #[default]
    Lanczos,
}

impl ResizeFilter {
    fn algorithm(self) -> ResizeAlg {
        match self {
            Self::Nearest => ResizeAlg::Nearest,
            Self::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Self::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Self::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
        }
    }
}

/// The picture in `width` columns and `height` rows; the sides' ratio is not kept, see [`fit_within`].
///
/// # Errors
/// [`Error::Argument`]: the old or the new picture has no pixels.
pub fn resize(image: &Image, width: u32, height: u32, filter: ResizeFilter) -> Result<Image> {
    if width == 0 || height == 0 || image.pixels() == 0 {
        let (old_width, old_height) = image.size();
        return Err(Error::argument(format!(
            "cannot resize {old_width} x {old_height} pixels to {width} x {height}"
        )));
    }
    if image.size() == (width, height) {
        return Ok(image.clone());
    }
    let sizes = [image.size(), (width, height)];
    let rgb = plane::<U8x3>(&image.rgb, sizes, filter)?;
    let alpha = image.alpha.as_deref().map(|alpha| plane::<U8>(alpha, sizes, filter)).transpose()?;
    Ok(Image { width, height, rgb, alpha })
}

/// Typed, so that only the code for these pixels is compiled.
fn plane<P: PixelTrait>(bytes: &[u8], [old, new]: [(u32, u32); 2], filter: ResizeFilter) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::error::Error| Error::argument(format!("cannot resize: {error}"));
    // Colours are not weighted by opacity: what is transparent keeps its colours as they are.
    let options = ResizeOptions::new().resize_alg(filter.algorithm()).use_alpha(false);
    let mut resized = vec![0; new.0 as usize * new.1 as usize * size_of::<P>()];
    let source = TypedImageRef::<P>::from_buffer(old.0, old.1, bytes).map_err(|error| failed(&error))?;
    let mut target =
        TypedImage::<P>::from_buffer(new.0, new.1, &mut resized).map_err(|error| failed(&error))?;
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(|error| failed(&error))?;
    Ok(resized)
}

/// Columns and rows of a picture of `size` that shall have at most `limit` of either, of the same shape; never
/// larger than it is.
pub fn fit_within((width, height): (u32, u32), limit: u32) -> (u32, u32) {
    let longer = width.max(height);
    if longer <= limit {
        return (width, height);
    }
    let shrunk = |side: u32| {
        let exact = f64::from(side) * f64::from(limit) / f64::from(longer);
        (exact.round() as u32).max(1)
    };
    (shrunk(width), shrunk(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_kept() {
        assert_eq!(fit_within((4000, 3000), 1000), (1000, 750));
        assert_eq!(fit_within((300, 400), 1000), (300, 400));
        assert_eq!(fit_within((1, 9000), 100), (1, 100));
    }

    #[test]
    fn opacity_is_resized_too() {
        let image = Image { alpha: Some(vec![0, 0, 255, 255]), ..Image::new(2, 2, vec![9; 12]) };
        let large = resize(&image, 4, 4, ResizeFilter::Nearest).unwrap();
        assert_eq!(large.rgb, [9; 48]);
        assert_eq!(large.alpha.unwrap(), [[0; 8], [255; 8]].concat());
        assert!(resize(&image, 0, 4, ResizeFilter::Nearest).is_err());
    }
}
