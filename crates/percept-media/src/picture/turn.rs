//! Between pictures as stored and as displayed.

use percept_core::segment::{Image, Mask, Orientation};

/// The picture as it is displayed, of one as it is stored.
pub(crate) fn upright(stored: Image, orientation: Orientation) -> Image {
    if orientation == Orientation::UPRIGHT {
        return stored;
    }
    let size = stored.size();
    let rgb = turned::<3>(&stored.rgb, size, orientation);
    let alpha = stored.alpha.as_deref().map(|alpha| turned::<1>(alpha, size, orientation));
    let (width, height) = orientation.turned(size);
    Image { width, height, rgb, alpha }
}

/// Pixels of `CHANNELS` bytes in rows, as displayed, of those of a stored picture of `size`.
fn turned<const CHANNELS: usize>(stored: &[u8], size: (u32, u32), orientation: Orientation) -> Vec<u8> {
    let (width, height) = orientation.turned(size);
    let mut pixels = Vec::with_capacity(stored.len());
    for y in 0..height {
        for x in 0..width {
            let (column, row) = orientation.stored_pixel((x, y), size);
            let at = (row as usize * size.0 as usize + column as usize) * CHANNELS;
            pixels.extend_from_slice(&stored[at..at + CHANNELS]);
        }
    }
    pixels
}

/// The mask of a displayed picture as a mask of the picture as it is stored: the inverse of what
/// [`read`](super::read) did to the pixels.
pub fn stored_mask(mask: &Mask, orientation: Orientation) -> Mask {
    if orientation == Orientation::UPRIGHT {
        return mask.clone();
    }
    let displayed = (mask.width(), mask.height());
    let (width, height) = orientation.turned(displayed);
    let mut pixels = vec![0; width as usize * height as usize];
    mask.paint(|index| {
        let (x, y) = (index % displayed.0 as usize, index / displayed.0 as usize);
        let (column, row) = orientation.stored_pixel((x as u32, y as u32), (width, height));
        pixels[row as usize * width as usize + column as usize] = 1;
    });
    Mask::from_pixels(width, height, &pixels)
}

/// The mask of a stored picture as a mask of the picture as it is displayed: the inverse of [`stored_mask`].
pub fn displayed_mask(mask: &Mask, orientation: Orientation) -> Mask {
    if orientation == Orientation::UPRIGHT {
        return mask.clone();
    }
    let (width, height) = orientation.turned((mask.width(), mask.height()));
    Mask::from_pixels(width, height, &turned::<1>(&mask.pixels(), (mask.width(), mask.height()), orientation))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a picture of 3 x 2 whose pixels are a to f.
    #[test]
    fn pictures_turn_as_exif_says() {
        let want = ["abcdef", "cbafed", "fedcba", "defabc", "adbecf", "daebfc", "fcebda", "cfbead"];
        for (orientation, want) in Orientation::all().zip(want) {
            let shown = turned::<1>(b"abcdef", (3, 2), orientation);
            assert_eq!(String::from_utf8(shown).unwrap(), want, "{orientation:?}");
        }
    }

    #[test]
    fn a_mask_goes_back_to_where_the_pixels_came_from() {
        let pixels = [0, 1, 1, 0, 0, 1];
        for orientation in Orientation::all() {
            let stored = Mask::from_pixels(3, 2, &pixels);
            let (width, height) = orientation.turned((3, 2));
            let shown = Mask::from_pixels(width, height, &turned::<1>(&pixels, (3, 2), orientation));
            assert_eq!(stored_mask(&shown, orientation), stored, "{orientation:?}");
            assert_eq!(displayed_mask(&stored, orientation), shown, "{orientation:?}");
        }
    }
}
