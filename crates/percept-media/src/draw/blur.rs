//! Parts of a picture made unrecognisable.

use image::{RgbImage, imageops};
use percept_core::segment::{Image, Mask};

use super::field::Region;

/// Blurs what is in the mask with a Gaussian of this standard deviation, in pixels. What lies around the mask flows in,
/// but is left as it is.
///
/// A mask of another picture, or one without pixels, blurs nothing.
pub fn blur(image: &mut Image, mask: &Mask, deviation: f32) {
    let fits = (mask.width(), mask.height()) == image.size();
    let margin = (3.0 * deviation.max(0.0)).ceil() as u32;
    let Some(region) = Region::around(mask, margin).filter(|_| fits) else { return };
    let (left, top) = (region.left as u32, region.top as u32);
    let part = image.crop(left, top, region.width as u32, region.height as u32);
    let Some(part) = RgbImage::from_raw(part.width, part.height, part.rgb) else { return };
    let blurred = imageops::fast_blur(&part, deviation);
    for (at, pixel) in blurred.pixels().enumerate() {
        if region.inside[at] == 1 {
            let (x, y) = (region.left + at % region.width, region.top + at / region.width);
            let start = 3 * (y * image.width as usize + x);
            image.rgb[start..start + 3].copy_from_slice(&pixel.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_inside_changes_and_it_changes_to_a_mean() {
        // A chequerboard: its mean is grey.
        let (width, height) = (60_u32, 40_u32);
        let square = |index: u32| if (index % width + index / width).is_multiple_of(2) { 255 } else { 0 };
        let rgb: Vec<u8> = (0..width * height).flat_map(|index| [square(index); 3]).collect();
        let before = Image::new(width, height, rgb);
        let inside = |index: u32| (20..40).contains(&(index % width)) && (10..30).contains(&(index / width));
        let pixels: Vec<u8> = (0..width * height).map(|index| u8::from(inside(index))).collect();
        let mask = Mask::from_pixels(width, height, &pixels);
        let mut after = before.clone();
        blur(&mut after, &mask, 4.0);
        for index in 0..width * height {
            let at = 3 * index as usize;
            match inside(index) {
                true => assert!((100..156).contains(&after.rgb[at]), "{index}: {}", after.rgb[at]),
                false => assert_eq!(after.rgb[at..at + 3], before.rgb[at..at + 3], "{index}"),
            }
        }
        let mut same = before.clone();
        blur(&mut same, &Mask::empty(width, height), 4.0);
        blur(&mut same, &Mask::from_pixels(1, 1, &[1]), 4.0);
        assert_eq!(same, before);
    }
}
