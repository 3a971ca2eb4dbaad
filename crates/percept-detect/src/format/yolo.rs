//! YOLO's detection labels: one line an object, `class x y width height`.

use std::fmt::Write;

use percept_core::detect::Detections;

/// The lines of one picture. `class` is the model's number of the class; x and y are the box's centre, and all four are
/// shares of the picture's width and height. There are no scores, which trainers take for something else.
pub fn yolo(found: &Detections) -> String {
    let (width, height) = (f64::from(found.width), f64::from(found.height));
    let mut text = String::new();
    for detection in &found.detections {
        let [left, top, right, bottom] = detection.bounding_box.map(f64::from);
        let (x, y) = ((left + right) / 2.0 / width, (top + bottom) / 2.0 / height);
        let (across, down) = ((right - left) / width, (bottom - top) / height);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} {x:.6} {y:.6} {across:.6} {down:.6}", detection.label.id);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::found;

    #[test]
    fn a_line_is_a_class_and_four_shares() {
        let text = yolo(&found());
        assert_eq!(text, "3 0.151250 0.401250 0.202500 0.402500\n0 0.500000 0.500000 1.000000 1.000000\n");
    }
}
