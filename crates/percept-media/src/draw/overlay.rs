//! The picture of a result: what was found, over what was looked at.

use percept_core::segment::{Image, Mask};

use super::canvas::Canvas;
use super::color::color;
use super::label::{Anchor, Labels};
use super::mask::Shape;

/// A thing to show.
#[derive(Clone, Debug, Default)]
pub struct OverlayItem<'a> {
    /// Its pixels; the mask of another picture is left out.
    pub mask: Option<&'a Mask>,
    /// Left, top, right and bottom, in pixels; drawn where it is given.
    pub bounding_box: Option<[f32; 4]>,
    /// What is written on it; nothing where it is empty.
    pub label: String,
    /// Which colour it has, see [`color`].
    pub color: usize,
}

/// The picture with masks (translucent, outlined), boxes and labels over it.
///
/// Large masks are drawn first, so that small ones on them are seen. A label stands where its mask is deepest, or
/// on the box where the mask is too thin for it; it is moved where another one is in the way.
pub fn overlay(image: &Image, items: &[OverlayItem<'_>]) -> Image {
    let mut canvas = Canvas::new(image);
    if image.pixels() == 0 {
        return canvas.into_image();
    }
    let (width, rim) = (canvas.line_width(), canvas.rim_width());
    let mut order: Vec<&OverlayItem<'_>> = items.iter().collect();
    order.sort_by_key(|item| std::cmp::Reverse(item.mask.map_or(0, Mask::area)));
    // Kept one at a time: fields of distances are as large as the picture where a mask is.
    let shape = |item: &OverlayItem<'_>| {
        let mask = item.mask.filter(|mask| (mask.width(), mask.height()) == image.size())?;
        Shape::new(mask, rim)
    };
    let mut anchors = Vec::with_capacity(items.len());
    let labels = Labels::new(&canvas);
    for item in &order {
        let shape = shape(item);
        if let Some(shape) = &shape {
            shape.fill(&mut canvas, color(item.color));
            shape.rim(&mut canvas);
            shape.outline(&mut canvas, width, color(item.color));
        }
        anchors.push(anchor(item, shape.as_ref(), labels.plate_height()));
    }
    for item in &order {
        if let Some(bounds) = item.bounding_box {
            canvas.rectangle(bounds, width, color(item.color));
        }
    }
    let mut labels = labels;
    for (item, anchor) in order.iter().zip(anchors) {
        if let Some(anchor) = anchor {
            labels.draw(&mut canvas, &item.label, anchor, color(item.color));
        }
    }
    canvas.into_image()
}

fn anchor(item: &OverlayItem<'_>, shape: Option<&Shape>, plate_height: f32) -> Option<Anchor> {
    if let Some((point, depth)) = shape.map(Shape::deepest)
        && depth >= 0.7 * plate_height
        && item.bounding_box.is_none()
    {
        return Some(Anchor::Center(point));
    }
    let bounds = item.bounding_box.or_else(|| Some(item.mask?.bounding_box()?.map(|side| side as f32)))?;
    Some(Anchor::Corner([bounds[0], bounds[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_tinted_and_the_rest_is_not() {
        let image = Image::new(80, 60, vec![100; 14_400]);
        let pixels: Vec<u8> = (0..4800)
            .map(|at| u8::from((20..60).contains(&(at % 80)) && (10..50).contains(&(at / 80))))
            .collect();
        let mask = Mask::from_pixels(80, 60, &pixels);
        let item = OverlayItem { mask: Some(&mask), color: 1, ..Default::default() };
        let shown = overlay(&image, &[item]);
        let at = |x: usize, y: usize| -> [u8; 3] { shown.rgb[3 * (y * 80 + x)..][..3].try_into().unwrap() };
        let tinted = color(1).map(|value| (100.0 + 0.4 * (f32::from(value) - 100.0)).round() as u8);
        assert_eq!(at(40, 30), tinted);
        // The line on the inside, the rim on the outside, and nothing beyond.
        assert_eq!(at(20, 30), color(1));
        assert!(at(19, 30).iter().all(|value| *value < 60), "{:?}", at(19, 30));
        assert_eq!(at(15, 30), [100; 3]);
    }

    #[test]
    fn what_does_not_fit_does_no_harm() {
        let image = Image::new(9, 7, vec![0; 189]);
        let (empty, other) = (Mask::empty(9, 7), Mask::from_pixels(2, 1, &[1, 1]));
        let items = [
            OverlayItem { mask: Some(&empty), label: "none".into(), ..Default::default() },
            OverlayItem { mask: Some(&other), label: "elsewhere".into(), ..Default::default() },
            OverlayItem {
                bounding_box: Some([-5.0, f32::NAN, 900.0, 3.0]),
                label: "odd".into(),
                ..Default::default()
            },
        ];
        assert_eq!(overlay(&image, &items).size(), (9, 7));
        assert_eq!(overlay(&Image::new(0, 0, vec![]), &items).size(), (0, 0));
    }
}
