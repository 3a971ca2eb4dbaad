//! YOLO's segmentation labels: one line an instance, `class x y x y ...`.

use std::fmt::Write;

use percept_core::segment::Segmentation;

use super::join::joined;
use super::polygon::polygons;
use super::rings_of;

/// The lines of one picture. `class` is the model's number of the class, 0 without one; x and y are shares of width
/// and height. All rings of an instance, its parts and their holes, are joined to one polygon as ultralytics'
/// `merge_multi_segment` joins parts; instances without a pixel are left out.
///
/// `tolerance` is that of [`polygons`].
pub fn yolo(segmentation: &Segmentation, tolerance: f64) -> String {
    let (width, height) = (f64::from(segmentation.width), f64::from(segmentation.height));
    let mut text = String::new();
    for instance in segmentation.instances.iter().filter(|instance| instance.area > 0) {
        let parts = polygons(&instance.mask, tolerance);
        let rings: Vec<_> = parts.iter().flat_map(rings_of).collect();
        // Writing to a string does not fail.
        let _ = write!(text, "{}", instance.label.as_ref().map_or(0, |label| label.id));
        for [x, y] in joined(&rings) {
            let _ = write!(text, " {:.6} {:.6}", f64::from(x) / width, f64::from(y) / height);
        }
        text.push('\n');
    }
    text
}
