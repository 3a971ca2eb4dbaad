//! Depth in colours, with a bar that says what they stand for.

use percept_core::depth::{DepthMap, DepthUnit};
use percept_core::segment::Image;

use super::{Canvas, text};

/// The part of the values at either end that colours do not tell apart: a few pixels of sky would take all colours.
const CUT: f64 = 0.02;
/// Background and letters of the legend.
const PAPER: [u8; 3] = [255; 3];
const INK: [u8; 3] = [24; 3];

/// The map in the colours of matplotlib's `inferno`, which is perceptually uniform, near bright and far dark; at its
/// right a bar with the numbers, in metres where they are.
pub fn depth_colors(map: &DepthMap) -> Image {
    let (least, greatest) = ends(map);
    let nearness = |value: f64| {
        let part = ((value - least) / (greatest - least).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        if map.unit.larger_is_nearer() { part } else { 1.0 - part }
    };
    let letters = (f64::from(map.width) * f64::from(map.height)).sqrt() as f32 / 40.0;
    let letters = letters.clamp(12.0, (map.height as f32 / 6.0).max(12.0));
    let labels: Vec<(f64, String)> = (0..5)
        .map(|index| {
            let value = least + (greatest - least) * f64::from(index) / 4.0;
            (value, label(value, map.unit))
        })
        .collect();
    let widest = labels.iter().map(|(_, label)| text::width(label, letters)).fold(0.0, f32::max);
    let title = match map.unit {
        DepthUnit::Metres => "m",
        DepthUnit::RelativeInverse => "rel. 1/depth",
    };
    let bar = letters.ceil();
    let margin = (letters / 2.0).ceil();
    let legend = (3.0 * margin + bar + widest.max(text::width(title, letters) - bar)).ceil() as usize;
    let (width, height) = (map.width as usize, map.height as usize);
    let mut rgb = Vec::with_capacity(3 * (width + legend) * height);
    let (top, bottom) =
        (margin + 1.5 * letters, (height as f32 - margin - letters / 2.0).max(margin + 2.0 * letters));
    for (y, row) in map.values.chunks_exact(width.max(1)).enumerate() {
        rgb.extend(row.iter().flat_map(|value| inferno(nearness(f64::from(*value)))));
        let middle = y as f32 + 0.5;
        let at = f64::from(((middle - top) / (bottom - top)).clamp(0.0, 1.0));
        let colour = inferno(nearness(greatest + (least - greatest) * at));
        let inside = (top..bottom).contains(&middle);
        let paint = |x: usize| {
            let x = x as f32 + 0.5;
            if inside && (margin..margin + bar).contains(&x) { colour } else { PAPER }
        };
        rgb.extend((0..legend).flat_map(paint));
    }
    let mut canvas = Canvas::new(&Image::new((width + legend) as u32, map.height, rgb));
    let left = width as f32 + margin;
    canvas.text(title, [left, margin + text::ascent(letters) - letters * 0.1], letters, INK);
    for (value, label) in labels {
        let y =
            top + (bottom - top) * ((greatest - value) / (greatest - least).max(f64::MIN_POSITIVE)) as f32;
        let baseline = y + text::ascent(letters) - letters / 2.0;
        canvas.text(&label, [left + bar + margin, baseline], letters, INK);
    }
    canvas.into_image()
}

/// The values that the first and the last colour stand for.
fn ends(map: &DepthMap) -> (f64, f64) {
    let mut values = map.values.clone();
    let mut at = |part: f64| {
        let index = ((values.len().saturating_sub(1)) as f64 * part).round() as usize;
        if values.is_empty() {
            0.0
        } else {
            f64::from(*values.select_nth_unstable_by(index, f32::total_cmp).1)
        }
    };
    (at(CUT), at(1.0 - CUT))
}

/// Three digits that count.
fn label(value: f64, unit: DepthUnit) -> String {
    match (unit, value.abs()) {
        (_, size) if size >= 100.0 => format!("{value:.0}"),
        (_, size) if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn inferno(part: f64) -> [u8; 3] {
    let color = colorous::INFERNO.eval_continuous(part);
    [color.r, color.g, color.b]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(unit: DepthUnit) -> DepthMap {
        let values = (0..200 * 100).map(|at| 1.0 + (at % 200) as f32 / 200.0).collect();
        DepthMap { width: 200, height: 100, values, unit, focal: None }
    }

    fn brightness(image: &Image, x: usize, y: usize) -> u32 {
        image.rgb[3 * (y * image.width as usize + x)..][..3].iter().map(|value| u32::from(*value)).sum()
    }

    #[test]
    fn what_is_near_is_bright() {
        let metres = depth_colors(&map(DepthUnit::Metres));
        assert!(brightness(&metres, 5, 50) > brightness(&metres, 100, 50));
        assert!(brightness(&metres, 100, 50) > brightness(&metres, 195, 50));
        let inverse = depth_colors(&map(DepthUnit::RelativeInverse));
        assert!(brightness(&inverse, 5, 50) < brightness(&inverse, 195, 50));
        assert!(metres.width > 220 && metres.height == 100);
    }

    #[test]
    fn a_flat_map_and_a_small_one_are_drawn() {
        for (width, height) in [(1, 1), (7, 3), (300, 2)] {
            let values = vec![2.0; (width * height) as usize];
            depth_colors(&DepthMap { width, height, values, unit: DepthUnit::Metres, focal: None });
        }
    }
}
