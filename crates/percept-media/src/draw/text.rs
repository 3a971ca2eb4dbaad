//! Lines of text in DejaVu Sans: Latin, Greek and Cyrillic; an empty box for any other letter.
//!
//! Letters stand one after the other from left to right: no ligatures, no joining, no writing to the left.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};

use super::canvas::Point;

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../../fonts/DejaVuSans-subset.ttf")).expect("a font of ours")
});

/// The letters, their first at x = 0 on a base line at y = 0, and where the next one would stand.
fn layout(text: &str, height: f32) -> (Vec<Glyph>, f32) {
    let scale = PxScale::from(height);
    let font = FONT.as_scaled(scale);
    let (mut glyphs, mut x) = (Vec::new(), 0.0);
    for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        let id = font.glyph_id(letter);
        glyphs.push(id.with_scale_and_position(scale, point(x, 0.0)));
        x += font.h_advance(id);
    }
    (glyphs, x)
}

/// How wide a line of text is whose letters are `height` high from ascent to descent.
pub(super) fn width(text: &str, height: f32) -> f32 {
    layout(text, height).1
}

/// How far the base line lies below the ascent.
pub(super) fn ascent(height: f32) -> f32 {
    FONT.as_scaled(PxScale::from(height)).ascent()
}

/// Calls `paint` with each pixel that a letter covers, and how much of it.
pub(super) fn glyphs(text: &str, baseline: Point, height: f32, mut paint: impl FnMut(i32, i32, f32)) {
    for mut glyph in layout(text, height).0 {
        glyph.position += point(baseline[0], baseline[1]);
        let Some(outline) = FONT.outline_glyph(glyph) else { continue };
        let corner = outline.px_bounds().min;
        outline
            .draw(|x, y, coverage| paint(corner.x as i32 + x as i32, corner.y as i32 + y as i32, coverage));
    }
}

/// The text, or as much of its beginning as fits into `room` with an ellipsis.
pub(super) fn fitted(text: &str, height: f32, room: f32) -> String {
    if width(text, height) <= room {
        return text.to_owned();
    }
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let cut = |end: &usize| format!("{}…", text[..*end].trim_end());
    ends.iter().rev().map(cut).find(|short| width(short, height) <= room).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_greek_and_cyrillic_have_letters() {
        for letter in "Az09 ñ ß Ő ș αΩ Жя € → ≥ …".chars().filter(|letter| *letter != ' ') {
            assert_ne!(FONT.glyph_id(letter).0, 0, "{letter}");
        }
        assert_eq!(FONT.glyph_id('漢').0, 0);
        // What has no letter has a box, which takes room.
        let mut painted = 0;
        glyphs("漢", [0.0, 20.0], 20.0, |_, _, _| painted += 1);
        assert!(painted > 0 && width("漢", 20.0) > 5.0);
    }

    #[test]
    fn long_text_is_cut() {
        let short = fitted("a very long label indeed", 20.0, 100.0);
        assert!(short.ends_with('…') && short.starts_with("a very"), "{short}");
        assert!(width(&short, 20.0) <= 100.0);
        assert_eq!(fitted("cat", 20.0, 100.0), "cat");
        assert_eq!(fitted("cat", 20.0, 1.0), "");
    }
}
