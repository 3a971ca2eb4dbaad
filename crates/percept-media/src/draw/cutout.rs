//! What a mask cuts out of a picture, and onto what it is laid.

use percept_core::Result;
use percept_core::segment::{Image, Mask};

use super::canvas::mix;
use super::field::Region;
use crate::picture::{ResizeFilter, resize};

/// The edge of a cut-out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edge {
    /// Opacity falls from 1 to 0 within two pixels, half of it at the mask's edge. Pixels on the edge take the
    /// colour of what lies inside, so that no fringe of the old background is left.
    #[default]
    AntiAliased,
    /// A pixel is opaque or transparent, as the mask says; colours stay as they are.
    Hard,
}

/// What lies behind a cut-out.
#[derive(Clone, Debug)]
pub enum Background {
    /// One colour.
    Color([u8; 3]),
    /// A picture: as large as needed to cover everything, cut evenly at the sides that are too long.
    Picture(Image),
}

/// The standard deviation of the Gaussian that softens an edge, in pixels.
const SIGMA: f32 = 0.8;

/// How far from an edge colours come from, in pixels.
const REACH: usize = 3;

/// The part of a picture that is in the mask, with opacity; where the picture has some, the smaller of the two. It
/// has the picture's size: [`trim`] cuts off what is transparent around it.
///
/// For the mask of another picture, or one without pixels, all is transparent.
pub fn cutout(image: &Image, mask: &Mask, edge: Edge) -> Image {
    let mut cut = Image { alpha: Some(vec![0; image.pixels()]), ..image.clone() };
    let fits = (mask.width(), mask.height()) == image.size();
    let Some(region) = Region::around(mask, REACH as u32).filter(|_| fits) else { return cut };
    let opacity = match edge {
        Edge::Hard => region.inside.iter().map(|inside| f32::from(*inside)).collect(),
        Edge::AntiAliased => soft_edge(&region),
    };
    if edge == Edge::AntiAliased {
        clean_edge(&region, &opacity, image, &mut cut.rgb);
    }
    let mut alpha = cut.alpha.take().unwrap_or_default();
    for (row, opacity) in opacity.chunks_exact(region.width).enumerate() {
        let start = (region.top + row) * image.width as usize + region.left;
        for (at, opacity) in (start..).zip(opacity) {
            let limit = image.alpha.as_ref().map_or(255, |alpha| alpha[at]);
            alpha[at] = ((opacity * 255.0).round() as u8).min(limit);
        }
    }
    cut.alpha = Some(alpha);
    cut
}

/// The box around what is not transparent; no pixels where everything is.
pub fn trim(image: &Image) -> Image {
    let Some(alpha) = &image.alpha else { return image.clone() };
    let shown = Mask::from_pixels(image.width, image.height, alpha).bounding_box();
    let [left, top, right, bottom] = shown.unwrap_or_default();
    image.crop(left, top, right - left, bottom - top)
}

/// A cut-out, or any picture with opacity, on a background: opaque, of the same size.
///
/// # Errors
/// [`Error::Argument`](percept_core::Error::Argument): a background picture without pixels.
pub fn composite(image: &Image, background: &Background) -> Result<Image> {
    let Some(alpha) = &image.alpha else { return Ok(image.clone()) };
    let mut rgb = match background {
        Background::Color(color) => color.repeat(image.pixels()),
        Background::Picture(picture) => covering(picture, image.size())?.rgb,
    };
    let colors = image.rgb.as_chunks::<3>().0;
    for ((pixel, color), alpha) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(colors).zip(alpha) {
        mix(pixel, *color, f32::from(*alpha) / 255.0);
    }
    Ok(Image::new(image.width, image.height, rgb))
}

/// The middle of a picture, as large as `size`.
fn covering(picture: &Image, (width, height): (u32, u32)) -> Result<Image> {
    let scale = f64::from(width) / f64::from(picture.width.max(1));
    let scale = scale.max(f64::from(height) / f64::from(picture.height.max(1)));
    let side = |old: u32, least: u32| ((f64::from(old) * scale).round() as u32).max(least);
    let large =
        resize(picture, side(picture.width, width), side(picture.height, height), ResizeFilter::Lanczos)?;
    Ok(large.crop((large.width - width) / 2, (large.height - height) / 2, width, height))
}

/// Opacity by a Gaussian of the mask, steepened so that it spans two pixels; what the mask has stays at least half
/// opaque, so that thin parts do not vanish.
fn soft_edge(region: &Region) -> Vec<f32> {
    let steep = |value: f32| ((value - 0.5) * 1.5 + 0.5).clamp(0.0, 1.0);
    let softened = region.softened(SIGMA).into_iter().zip(&region.inside);
    softened.map(|(value, inside)| if *inside == 1 { steep(value).max(0.5) } else { steep(value) }).collect()
}

/// Gives each pixel on the edge the mean colour of the pixels near it that are surely inside.
fn clean_edge(region: &Region, opacity: &[f32], image: &Image, rgb: &mut [u8]) {
    let start = |x: usize, y: usize| 3 * ((region.top + y) * image.width as usize + region.left + x);
    for y in 0..region.height {
        for x in 0..region.width {
            let own = opacity[y * region.width + x];
            if own <= 0.0 || own >= 0.95 {
                continue;
            }
            let (mut sum, mut weights) = ([0.0; 3], 0.0);
            for near_y in y.saturating_sub(REACH)..(y + REACH + 1).min(region.height) {
                for near_x in x.saturating_sub(REACH)..(x + REACH + 1).min(region.width) {
                    if opacity[near_y * region.width + near_x] < 0.95 {
                        continue;
                    }
                    let squared = near_x.abs_diff(x).pow(2) + near_y.abs_diff(y).pow(2);
                    let weight = 1.0 / squared as f32;
                    let at = start(near_x, near_y);
                    for (sum, value) in sum.iter_mut().zip(&image.rgb[at..at + 3]) {
                        *sum += weight * f32::from(*value);
                    }
                    weights += weight;
                }
            }
            if weights > 0.0 {
                // Half transparent pixels are half background; fully opaque ones keep their own colour.
                let at = start(x, y);
                let inner = sum.map(|sum| (sum / weights).round() as u8);
                mix(&mut rgb[at..at + 3], inner, (2.0 * (1.0 - own)).min(1.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red on blue: a square from (4, 4) to (12, 12) of 16 x 16 pixels.
    fn square() -> (Image, Mask) {
        let pixels: Vec<u8> = (0..256)
            .map(|at| u8::from((4..12).contains(&(at % 16)) && (4..12).contains(&(at / 16))))
            .collect();
        let rgb =
            pixels.iter().flat_map(|inside| if *inside == 1 { [250, 0, 0] } else { [0, 0, 250] }).collect();
        (Image::new(16, 16, rgb), Mask::from_pixels(16, 16, &pixels))
    }

    #[test]
    fn a_hard_edge_is_the_mask() {
        let (image, mask) = square();
        let cut = trim(&cutout(&image, &mask, Edge::Hard));
        assert_eq!((cut.size(), cut.alpha.as_ref().unwrap()), ((8, 8), &vec![255; 64]));
        let cut = cutout(&image, &mask, Edge::Hard);
        let inside: Vec<u8> = mask.pixels().iter().map(|inside| 255 * inside).collect();
        assert_eq!((cut.rgb, cut.alpha.unwrap()), (image.rgb, inside));
    }

    #[test]
    fn a_soft_edge_is_half_at_the_edge_and_leaves_no_fringe() {
        let (image, mask) = square();
        let cut = cutout(&image, &mask, Edge::AntiAliased);
        let alpha = cut.alpha.as_ref().unwrap();
        let row: Vec<u8> = (0..16).map(|x| alpha[8 * 16 + x]).collect();
        assert_eq!((row[1], row[8]), (0, 255));
        assert_eq!(u32::from(row[3]) + u32::from(row[4]), 255, "{row:?}");
        assert!(row[3] > 0 && row[4] < 255 && row.is_sorted_by(|a, b| a <= b) || row[15] == 0);
        // On white, no pixel has blue in it that is not white's.
        let white = composite(&cut, &Background::Color([255; 3])).unwrap();
        for pixel in white.rgb.as_chunks::<3>().0 {
            assert!(pixel[0] >= 250 && pixel[1].abs_diff(pixel[2]) <= 1, "{pixel:?}");
        }
    }

    #[test]
    fn thin_parts_do_not_vanish_and_borders_stay_opaque() {
        let (image, _) = square();
        let line = Mask::from_pixels(16, 16, &(0..256).map(|at| u8::from(at / 16 == 7)).collect::<Vec<_>>());
        let alpha = cutout(&image, &line, Edge::AntiAliased).alpha.unwrap();
        assert!((0..16).all(|x| alpha[7 * 16 + x] >= 127));
        let all = Mask::from_pixels(16, 16, &[1; 256]);
        assert_eq!(cutout(&image, &all, Edge::AntiAliased).alpha.unwrap(), [255; 256]);
        let none = trim(&cutout(&image, &Mask::empty(16, 16), Edge::AntiAliased));
        assert_eq!(none.size(), (0, 0));
    }

    #[test]
    fn a_background_covers_everything() {
        let (image, mask) = square();
        let cut = cutout(&image, &mask, Edge::Hard);
        let green = Image::new(5, 2, [0, 200, 0].repeat(10));
        let laid = composite(&cut, &Background::Picture(green)).unwrap();
        assert_eq!(laid.rgb[..3], [0, 200, 0]);
        assert_eq!(laid.rgb[3 * (8 * 16 + 8)..][..3], [250, 0, 0]);
        assert_eq!(laid.alpha, None);
        assert!(composite(&cut, &Background::Picture(Image::new(0, 0, vec![]))).is_err());
    }
}
