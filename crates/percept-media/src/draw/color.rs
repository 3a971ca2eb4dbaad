//! Colours that are told apart.

use crate::srgb;

/// The golden angle in degrees: hues that follow one another are far apart, and none comes twice.
const GOLDEN_ANGLE: f32 = 137.507_76;

/// The colour of the thing with this index: sRGB, bright enough for a dark rim, the same in every run.
///
/// The hue of OKLCH (Ottosson 2020, <https://bottosson.github.io/posts/oklab/>) turns by the golden angle and the
/// lightness takes five values in turn, so that hues that come near an earlier one differ in lightness.
pub fn color(index: usize) -> [u8; 3] {
    let lightness = [0.70, 0.86, 0.60, 0.80, 0.65][index % 5];
    // Of the starts and lightnesses tried, these keep the first forty farthest apart.
    let hue = (200.0 + index as f32 * GOLDEN_ANGLE).rem_euclid(360.0).to_radians();
    // As colourful as the display allows.
    let mut chroma = 0.20;
    loop {
        let linear = linear_of_oklab(lightness, chroma * hue.cos(), chroma * hue.sin());
        if chroma < 0.01 || linear.iter().all(|value| (0.0..=1.0).contains(value)) {
            return linear.map(|value| (255.0 * srgb::of_linear(value.clamp(0.0, 1.0))).round() as u8);
        }
        chroma -= 0.005;
    }
}

/// Black or white, whichever is read better on `background`.
pub fn readable_on(background: [u8; 3]) -> [u8; 3] {
    // The contrast of WCAG 2 with black and white is the same at a luminance of 0.179.
    if luminance(background) > 0.179 { [0; 3] } else { [255; 3] }
}

/// Relative luminance of WCAG 2, 0 to 1.
fn luminance(color: [u8; 3]) -> f32 {
    let [red, green, blue] = color.map(|value| srgb::to_linear(f32::from(value) / 255.0));
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn linear_of_oklab(lightness: f32, a: f32, b: f32) -> [f32; 3] {
    let long = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let medium = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let short = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * long - 3.307_711_6 * medium + 0.230_969_94 * short,
        -1.268_438 * long + 2.609_757_4 * medium - 0.341_319_38 * short,
        -0.004_196_086_3 * long - 0.703_418_6 * medium + 1.707_614_7 * short,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oklab_has_the_published_values() {
        // White, and the red of sRGB, from the table in Ottosson's article.
        let near = |got: [f32; 3], want: [f32; 3]| got.iter().zip(want).all(|(a, b)| (a - b).abs() < 2e-3);
        assert!(near(linear_of_oklab(1.0, 0.0, 0.0), [1.0; 3]));
        assert!(near(linear_of_oklab(0.627_955, 0.224_863, 0.125_846), [1.0, 0.0, 0.0]));
    }

    #[test]
    fn the_first_forty_are_told_apart() {
        let colors: Vec<[u8; 3]> = (0..40).map(color).collect();
        let apart =
            |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b))).sum::<u32>();
        for (index, first) in colors.iter().enumerate() {
            for (other, second) in colors.iter().enumerate().skip(index + 1) {
                assert!(apart(*first, *second) >= 40, "{index} {first:?} and {other} {second:?}");
            }
        }
    }

    #[test]
    fn letters_contrast_with_their_plate() {
        assert_eq!(readable_on([255, 255, 0]), [0; 3]);
        assert_eq!(readable_on([0, 0, 160]), [255; 3]);
        for index in 0..40 {
            let plate = color(index);
            let (a, b) = (luminance(plate) + 0.05, luminance(readable_on(plate)) + 0.05);
            assert!(a.max(b) / a.min(b) > 4.5, "{plate:?}");
        }
    }
}
