//! From location tokens to boxes (`Florence2PostProcessor`, `parse_description_with_bboxes_from_text_and_spans`).

use percept_core::caption::Detection;
use percept_core::segment::Label;

/// Places along each axis.
const PLACES: f64 = 1000.0;

/// A text without the tokens that begin, end and fill up sequences.
pub(super) fn without_ends(text: &str) -> String {
    ["<s>", "</s>", "<pad>"].iter().fold(text.to_owned(), |text, token| text.replace(token, ""))
}

/// What a text says is where, in a picture of that size: `car<loc_52><loc_333><loc_932><loc_774>`, where a name may have
/// several boxes. The model states no score: it is 1.
pub(super) fn regions(text: &str, size: (u32, u32)) -> Vec<Detection> {
    let text = &without_ends(text);
    let mut names: Vec<String> = vec![];
    let mut regions = vec![];
    for (phrase, places) in phrases(text) {
        let phrase = phrase.trim();
        // The reference's pattern does not go over the end of a line.
        if phrase.contains('\n') {
            continue;
        }
        let name = phrase.chars().filter(char::is_ascii).collect::<String>();
        let id = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name.clone());
            names.len() - 1
        });
        let label = Label { id: id as u32, name };
        let boxes = places.chunks_exact(4).map(|places| {
            let side = |index: usize| if index.is_multiple_of(2) { size.0 } else { size.1 };
            let at = |index: usize| pixel(places[index], side(index));
            [at(0), at(1), at(2), at(3)]
        });
        regions.extend(boxes.map(|bounding_box| Detection {
            label: label.clone(),
            score: 1.0,
            bounding_box,
            mask: None,
        }));
    }
    regions
}

/// The middle of a place, down to a whole pixel as the reference has it, and never outside of the picture.
fn pixel(place: u32, side: u32) -> f32 {
    let at = (place as f32 + 0.5) * (f64::from(side) / PLACES) as f32;
    at.trunc().clamp(0.0, side as f32)
}

/// Words, each with at least four places behind them.
fn phrases(text: &str) -> Vec<(&str, Vec<u32>)> {
    let (mut found, mut rest) = (vec![], text);
    while !rest.is_empty() {
        let (phrase, mut behind) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
        if phrase.is_empty() {
            // What cannot be read as a word's beginning is passed over, a letter at a time.
            rest = &rest[1..];
            continue;
        }
        let (after_phrase, mut places) = (behind, vec![]);
        while let Some((place, next)) = location(behind) {
            places.push(place);
            behind = next;
        }
        rest = if places.len() < 4 { after_phrase } else { behind };
        if places.len() >= 4 {
            found.push((phrase, places));
        }
    }
    found
}

/// A location token at the beginning of a text, and what follows.
fn location(text: &str) -> Option<(u32, &str)> {
    let (number, rest) = text.strip_prefix("<loc_")?.split_once('>')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    Some((number.parse().ok().filter(|_| digits)?, rest))
}
