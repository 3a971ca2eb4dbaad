//! From the values in a file to 8-bit sRGB.

use percept_core::segment::Image;

use super::failure::Failure;
use super::info::Mapping;
use crate::srgb;

/// What the values of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    /// Cyan, magenta, yellow, black; the largest value is most ink.
    Inks,
    /// Y, Cb, Cr, 8 bits each.
    LumaChroma,
}

impl Channels {
    /// Values of a pixel.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb | Self::LumaChroma => 3,
            Self::Rgba | Self::Inks => 4,
        }
    }

    /// What `PictureInfo::color` begins with.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::GreyAlpha => "grey_alpha",
            Self::Rgb => "rgb",
            Self::Rgba => "rgba",
            Self::Inks => "cmyk",
            Self::LumaChroma => "ycbcr",
        }
    }
}

/// The values of a picture, row by row.
pub(super) enum Samples {
    /// 0 to 255, or fewer bits spread over that.
    Eight(Vec<u8>),
    /// 0 to 65535.
    Sixteen(Vec<u16>),
    /// 0 to 2^32 - 1.
    ThirtyTwo(Vec<u32>),
    /// Linear light, 1 is white.
    Float(Vec<f32>),
}

impl Samples {
    /// 16-bit values in the machine's byte order.
    pub(super) fn sixteen(bytes: &[u8]) -> Self {
        Self::Sixteen(bytes.as_chunks().0.iter().map(|pair| u16::from_ne_bytes(*pair)).collect())
    }

    /// 32-bit floats in the machine's byte order.
    pub(super) fn float(bytes: &[u8]) -> Self {
        Self::Float(bytes.as_chunks().0.iter().map(|four| f32::from_ne_bytes(*four)).collect())
    }
}

/// A decoded picture, as it is stored.
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: Channels,
    /// `width * height * channels.count()` of them.
    pub(super) samples: Samples,
}

impl Pixels {
    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        match &self.samples {
            Samples::Eight(values) => values.len(),
            Samples::Sixteen(values) => values.len(),
            Samples::ThirtyTwo(values) => values.len(),
            Samples::Float(values) => values.len(),
        }
    }

    /// 8-bit sRGB and how it came about.
    pub(super) fn into_image(self) -> (Image, Mapping) {
        let (channels, brightest) = (self.channels, self.brightest());
        let (values, mapping) = match self.samples {
            Samples::Eight(values) => (values, Mapping::AsStored),
            Samples::Sixteen(values) => {
                (values.into_iter().map(eight_of_sixteen).collect(), Mapping::Sixteen)
            }
            Samples::ThirtyTwo(values) => {
                let eight = |value: u32| ((u64::from(value) + 0x80_8080) / 0x101_0101) as u8;
                (values.into_iter().map(eight).collect(), Mapping::ThirtyTwo)
            }
            Samples::Float(values) => {
                let white = if brightest > 1.0 { brightest } else { 1.0 };
                (eight_of_linear(&values, channels, white), Mapping::Linear { white })
            }
        };
        let mapping = match (channels, mapping) {
            (Channels::Inks, Mapping::AsStored) => Mapping::Inks,
            (Channels::Inks, Mapping::Sixteen) => Mapping::SixteenInks,
            (Channels::LumaChroma, _) => Mapping::LumaChroma,
            (_, mapping) => mapping,
        };
        let (rgb, alpha) = rgb_and_alpha(values, channels);
        (Image { width: self.width, height: self.height, rgb, alpha }, mapping)
    }

    /// The 99th percentile of the brightest channel of a pixel, of at most a million pixels; 0 where values
    /// are no floats.
    fn brightest(&self) -> f32 {
        const ENOUGH: usize = 1 << 20;
        let Samples::Float(values) = &self.samples else { return 0.0 };
        let count = self.channels.count();
        let colors = count - usize::from(matches!(self.channels, Channels::GreyAlpha | Channels::Rgba));
        let step = (values.len() / count).div_ceil(ENOUGH).max(1);
        let mut brightest: Vec<f32> = values
            .chunks_exact(count)
            .step_by(step)
            .map(|pixel| pixel[..colors].iter().copied().fold(0.0, f32::max))
            .filter(|value| value.is_finite())
            .collect();
        if brightest.is_empty() {
            return 0.0;
        }
        let at = (brightest.len() - 1) * 99 / 100;
        *brightest.select_nth_unstable_by(at, f32::total_cmp).1
    }
}

/// Memory for `count` bytes, or an error where there is none.
pub(super) fn buffer(width: u32, height: u32, bytes_per_pixel: usize) -> Result<Vec<u8>, Failure> {
    let count = width as usize * height as usize * bytes_per_pixel;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(count).map_err(|_| Failure::NoMemory(width, height))?;
    buffer.resize(count, 0);
    Ok(buffer)
}

fn eight_of_sixteen(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

fn eight_of_linear(values: &[f32], channels: Channels, white: f32) -> Vec<u8> {
    let count = channels.count();
    let has_alpha = matches!(channels, Channels::GreyAlpha | Channels::Rgba);
    let eight = |value: f32| (value * 255.0).round() as u8;
    let mut mapped = Vec::with_capacity(values.len());
    for pixel in values.chunks_exact(count) {
        for (channel, value) in pixel.iter().enumerate() {
            mapped.push(if has_alpha && channel + 1 == count {
                eight(value.clamp(0.0, 1.0))
            } else {
                eight(srgb::of_linear((value / white).clamp(0.0, 1.0)))
            });
        }
    }
    mapped
}

fn rgb_and_alpha(values: Vec<u8>, channels: Channels) -> (Vec<u8>, Option<Vec<u8>>) {
    let each = |color: fn(&[u8]) -> [u8; 3]| {
        let mut rgb = Vec::with_capacity(values.len() / channels.count() * 3);
        for pixel in values.chunks_exact(channels.count()) {
            rgb.extend_from_slice(&color(pixel));
        }
        rgb
    };
    let last = || values.iter().skip(channels.count() - 1).step_by(channels.count()).copied().collect();
    match channels {
        Channels::Grey => (each(|pixel| [pixel[0]; 3]), None),
        Channels::GreyAlpha => (each(|pixel| [pixel[0]; 3]), Some(last())),
        Channels::Rgba => (each(|pixel| [pixel[0], pixel[1], pixel[2]]), Some(last())),
        Channels::Inks => (each(of_inks), None),
        Channels::LumaChroma => (each(of_luma_chroma), None),
        Channels::Rgb => (values, None),
    }
}

/// `cmyk2rgb` of Pillow: (1 - ink) * (1 - black).
fn of_inks(pixel: &[u8]) -> [u8; 3] {
    let light = 255 - u32::from(pixel[3]);
    [0, 1, 2].map(|ink| (light - (u32::from(pixel[ink]) * light + 127) / 255) as u8)
}

/// ITU-T T.871, section 7.
fn of_luma_chroma(pixel: &[u8]) -> [u8; 3] {
    let [y, cb, cr] = [f32::from(pixel[0]), f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0];
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(channels: Channels, samples: Samples) -> (Vec<u8>, Option<Vec<u8>>, String) {
        let (image, mapping) = Pixels { width: 1, height: 1, channels, samples }.into_image();
        (image.rgb, image.alpha, mapping.to_string())
    }

    #[test]
    fn sixteen_bits_are_rounded() {
        let eight = |value: u16| eight_of_sixteen(value);
        assert_eq!([0, 128, 129, 257 * 77, 65_406, 65_407, 65_535].map(eight), [0, 0, 1, 77, 254, 255, 255]);
        // The same by floating point, for every value.
        assert!((0..=u16::MAX).all(|value| f64::from(eight(value)) == (f64::from(value) / 257.0).round()));
    }

    #[test]
    fn floats_are_light() {
        let samples = Samples::Float(vec![0.0, 0.5, 1.0, 0.25]);
        let (rgb, alpha, mapping) = mapped(Channels::Rgba, samples);
        assert_eq!((rgb, alpha), (vec![0, 188, 255], Some(vec![64])));
        assert_eq!(mapping, "linear float, clamped to 0..1, sRGB curve");

        let (rgb, _, mapping) = mapped(Channels::Rgb, Samples::Float(vec![-1.0, f32::NAN, 8.0]));
        assert_eq!(rgb, [0, 0, 255]);
        assert_eq!(mapping, "linear float / 8, clamped to 0..1, sRGB curve");
    }

    #[test]
    fn inks_take_light_away() {
        let (rgb, _, _) = mapped(Channels::Inks, Samples::Eight(vec![0, 255, 128, 0]));
        assert_eq!(rgb, [255, 0, 127]);
        let (rgb, _, mapping) = mapped(Channels::Inks, Samples::Sixteen(vec![0, 0, 0, 65_535]));
        assert_eq!((rgb, mapping.as_str()), (vec![0, 0, 0], "16-bit / 257, (1 - ink) * (1 - black)"));
    }
}
