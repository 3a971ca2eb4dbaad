//! Skeletons over a picture: lines between keypoints, discs on those that are seen, rings on those that are not.

use percept_core::pose::{KeypointScheme, Poses, Side};
use percept_core::segment::Image;

use super::canvas::{Canvas, Point};

/// Of the left side of a body.
const LEFT: [u8; 3] = [255, 140, 0];
/// Of the right side.
const RIGHT: [u8; 3] = [0, 170, 255];
/// Of what is neither.
const CENTRE: [u8; 3] = [120, 220, 80];

/// The picture with skeletons over it: what is left of its owner in orange, right in blue, the middle in green.
///
/// A line joins keypoints that are both seen. A keypoint that is not seen is a ring where the model supposes it, in a
/// pose that has keypoints that are seen; one outside of the picture is not drawn.
pub fn skeletons(image: &Image, poses: &Poses) -> Image {
    let mut canvas = Canvas::new(image);
    if image.pixels() == 0 {
        return canvas.into_image();
    }
    let scheme = &poses.scheme;
    let inside =
        |[x, y]: Point| (0.0..image.width as f32).contains(&x) && (0.0..image.height as f32).contains(&y);
    // The worst first, so that the best are seen whole.
    let mut order: Vec<_> = poses.poses.iter().collect();
    order.sort_by(|a, b| a.score.total_cmp(&b.score));
    for pose in order.into_iter().filter(|pose| pose.keypoints.iter().any(|keypoint| keypoint.seen)) {
        let width = line_width(&canvas, pose.bounding_box, pose.keypoints.len());
        let point = |index: usize| {
            pose.keypoints.get(index).map(|keypoint| ([keypoint.x, keypoint.y], keypoint.seen))
        };
        for bone in &scheme.skeleton {
            if let (Some((from, true)), Some((to, true))) = (point(bone[0]), point(bone[1])) {
                canvas.line(from, to, width, color(scheme.side_of(*bone)));
            }
        }
        for (index, _) in pose.keypoints.iter().enumerate() {
            let Some((at, seen)) = point(index).filter(|(at, _)| inside(*at)) else { continue };
            let color = color(side(scheme, index));
            if seen {
                canvas.disc(at, 1.3 * width, color)
            } else {
                canvas.circle(at, 1.3 * width, width / 2.0, color)
            }
        }
    }
    canvas.into_image()
}

/// In pixels: that of the picture, thinner on small bodies and where keypoints are many.
fn line_width(canvas: &Canvas, [left, top, right, bottom]: [f32; 4], keypoints: usize) -> f32 {
    let body = (right - left).max(bottom - top) / 60.0;
    let crowded = if keypoints > 30 { 0.5 } else { 1.0 };
    (canvas.line_width().min(body) * crowded).max(1.0)
}

fn side(scheme: &KeypointScheme, index: usize) -> Side {
    scheme.sides.get(index).copied().unwrap_or(Side::Centre)
}

fn color(side: Side) -> [u8; 3] {
    match side {
        Side::Left => LEFT,
        Side::Right => RIGHT,
        Side::Centre => CENTRE,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use percept_core::pose::{Keypoint, Pose};

    use super::*;

    fn poses(keypoints: &[(f32, f32, bool)]) -> Poses {
        let scheme = KeypointScheme {
            set: None,
            names: vec!["a".into(), "b".into()],
            skeleton: vec![[0, 1]],
            flip_pairs: vec![],
            sides: vec![Side::Left, Side::Left],
            sigmas: vec![],
        };
        let keypoints = keypoints.iter().map(|&(x, y, seen)| Keypoint { x, y, score: 0.5, seen }).collect();
        let pose =
            Pose { subject: 0, bounding_box: [0.0, 0.0, 200.0, 200.0], label: None, score: 0.5, keypoints };
        Poses { width: 200, height: 200, scheme: Arc::new(scheme), poses: vec![pose] }
    }

    fn at(image: &Image, x: usize, y: usize) -> [u8; 3] {
        image.rgb[3 * (y * image.width as usize + x)..][..3].try_into().unwrap()
    }

    #[test]
    fn what_is_seen_is_joined_and_what_is_not_is_a_ring() {
        let image = Image::new(200, 200, vec![90; 120_000]);
        let joined = skeletons(&image, &poses(&[(20.0, 100.0, true), (180.0, 100.0, true)]));
        assert_eq!(at(&joined, 100, 100), LEFT);
        assert_eq!(at(&joined, 20, 100), LEFT);
        let apart = skeletons(&image, &poses(&[(20.0, 100.0, true), (180.5, 100.5, false)]));
        assert_eq!(at(&apart, 100, 100), [90; 3]);
        assert_ne!(at(&apart, 180, 100), LEFT, "the middle of a ring is empty");
        assert_ne!(apart.rgb, joined.rgb);
        let nothing = skeletons(&image, &poses(&[(20.0, 100.0, false), (f32::NAN, 1e9, false)]));
        assert_eq!(nothing.rgb, image.rgb);
    }
}
