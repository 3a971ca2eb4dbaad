//! Keypoints in COCO's `person_keypoints` JSON.

use percept_core::coco::{Annotation, Category, Coco, Number};
use percept_core::pose::{Keypoint, KeypointScheme, Pose, Poses};

use super::HALF_A_PIXEL;

/// Adds a picture and the poses in it to a COCO file.
///
/// A keypoint's v is 2 where it is seen and 1 where it is not: it has a place all the same, so all count
/// (`num_keypoints`). Coordinates count pixels, from (0, 0). The area is the box's. People are category 1, as in COCO's
/// own files; animals are a category a class.
pub fn push_coco(coco: &mut Coco, file_name: &str, poses: &Poses) {
    let image_id = coco.image(file_name, (poses.width, poses.height));
    for pose in &poses.poses {
        let category_id = coco.join(category(pose, &poses.scheme));
        let [left, top, right, bottom] = pose.bounding_box;
        let (width, height) = (right - left, bottom - top);
        let flat = |keypoint: &Keypoint| {
            let v = Number(if keypoint.seen { 2.0 } else { 1.0 });
            [(keypoint.x - HALF_A_PIXEL).into(), (keypoint.y - HALF_A_PIXEL).into(), v]
        };
        coco.push(Annotation {
            image_id,
            category_id,
            bbox: [left, top, width, height].map(Number::from),
            area: (width * height).into(),
            score: pose.score,
            keypoints: Some(pose.keypoints.iter().flat_map(flat).collect()),
            num_keypoints: Some(pose.keypoints.len()),
            ..Annotation::default()
        });
    }
}

/// What a pose is of. A set of people's keypoints is of people, whatever a detector called them.
fn category(pose: &Pose, scheme: &KeypointScheme) -> Category {
    let label = pose.label.as_ref().map(|label| label.name.as_str());
    let name = match scheme.set {
        Some(set) if !set.of_animals() => "person",
        Some(_) => label.unwrap_or("animal"),
        None => label.unwrap_or("object"),
    };
    Category {
        // Or the next free one: a detector's numbers are of its classes, not of kinds of keypoints.
        id: 1,
        name: name.to_owned(),
        keypoints: Some(scheme.names.clone()),
        skeleton: Some(scheme.skeleton.iter().map(|pair| pair.map(|end| end as u32 + 1)).collect()),
    }
}
