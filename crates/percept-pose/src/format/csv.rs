//! One line a keypoint.

use std::fmt::Write;

use percept_core::pose::Poses;

/// The first line of a file.
pub const CSV_HEADER: &str = "image,subject,label,pose_score,keypoint,name,x,y,score,seen\n";

/// The lines of one picture: its name, the number of the box (from 0), what it was taken for, the pose's score, and each
/// keypoint's number (from 0), name, place, score, and whether it is seen (`true` or `false`).
pub fn csv(image: &str, poses: &Poses) -> String {
    let mut text = String::new();
    let image = field(image);
    for pose in &poses.poses {
        let label = pose.label.as_ref().map_or_else(String::new, |label| field(&label.name));
        for (index, (keypoint, name)) in pose.keypoints.iter().zip(&poses.scheme.names).enumerate() {
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "{image},{},{label},{},{index},{},{},{},{},{}",
                pose.subject,
                pose.score,
                field(name),
                keypoint.x,
                keypoint.y,
                keypoint.score,
                keypoint.seen
            );
        }
    }
    text
}

/// A text in quotes where a reader would otherwise cut it (RFC 4180).
fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
