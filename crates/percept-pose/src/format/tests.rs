//! Formats of poses, by hand where numbers are few.

use std::sync::Arc;

use percept_core::coco::Coco;
use percept_core::pose::{Keypoint, KeypointSet, Label, Pose, Poses};
use serde_json::{Value, json};

use super::*;
use crate::scheme;

/// Keypoint N is at (N + 0.5, 2 N + 0.5); every fifth is not seen.
fn poses(set: KeypointSet, label: Option<&str>) -> Poses {
    let scheme = scheme(set);
    let keypoint = |index: usize| {
        let at = index as f32;
        Keypoint { x: at + 0.5, y: 2.0 * at + 0.5, score: 0.25, seen: index % 5 != 4 }
    };
    let pose = Pose {
        subject: 3,
        bounding_box: [1.0, 2.0, 11.5, 22.0],
        label: label.map(|name| Label { id: 16, name: name.into() }),
        score: 0.75,
        keypoints: (0..scheme.names.len()).map(keypoint).collect(),
    };
    Poses { width: 40, height: 300, scheme, poses: vec![pose] }
}

#[test]
fn coco_counts_pixels_and_keypoints_from_one() {
    let mut coco = Coco::default();
    push_coco(&mut coco, "a.png", &poses(KeypointSet::Coco, Some("boy")));
    push_coco(&mut coco, "empty.png", &Poses { poses: vec![], ..poses(KeypointSet::Coco, None) });
    let file = serde_json::to_value(&coco).unwrap();
    let annotation = &file["annotations"][0];
    assert_eq!(annotation["keypoints"].as_array().unwrap().len(), 51);
    assert_eq!(annotation["keypoints"].as_array().unwrap()[9..15], [3, 6, 2, 4, 8, 1].map(Value::from));
    assert_eq!(annotation["bbox"], json!([1, 2, 10.5, 20]));
    assert_eq!((&annotation["area"], &annotation["num_keypoints"]), (&json!(210), &json!(17)));
    let category = &file["categories"][0];
    assert_eq!((&category["id"], &category["name"]), (&json!(1), &json!("person")));
    // As in COCO's own files.
    assert_eq!(category["skeleton"][0], json!([16, 14]));
    assert_eq!(category["keypoints"][16], "right_ankle");
    assert_eq!(file["images"][1]["file_name"], "empty.png");
    let back: Coco = serde_json::from_value(file).unwrap();
    assert_eq!(back.annotations(), coco.annotations());
}

#[test]
fn files_of_several_runs_become_one() {
    let file = |name: &str, set, label| {
        let mut coco = Coco::default();
        push_coco(&mut coco, name, &poses(set, label));
        coco
    };
    let mut all = file("a.png", KeypointSet::Ap10k, Some("dog"));
    all.append(file("b.png", KeypointSet::Ap10k, None)).unwrap();
    all.append(file("c.png", KeypointSet::Apt36k, Some("dog"))).unwrap();
    all.append(file("d.png", KeypointSet::Mpii, None)).unwrap();
    let names: Vec<&str> = all.categories().iter().map(|category| category.name.as_str()).collect();
    assert_eq!(names, ["dog", "animal", "person"]);
    let of: Vec<(u64, u64, u32)> =
        all.annotations().iter().map(|one| (one.id, one.image_id, one.category_id)).collect();
    assert_eq!(of, [(1, 1, 1), (2, 2, 2), (3, 3, 1), (4, 4, 3)]);
    for list in ["images", "categories"] {
        let mut broken = serde_json::to_value(file("e.png", KeypointSet::Coco, None)).unwrap();
        broken[list] = json!([]);
        assert!(all.append(serde_json::from_value(broken).unwrap()).is_err(), "{list}");
    }
}

#[test]
fn csv_has_a_line_a_keypoint() {
    let text = csv("a,\"b\".png", &poses(KeypointSet::Coco, Some("boy")));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 17);
    assert_eq!(lines[4], "\"a,\"\"b\"\".png\",3,boy,0.75,4,right_ear,4.5,8.5,0.25,false");
    assert_eq!(CSV_HEADER.split(',').count(), 10);
    assert!(
        csv("a.png", &poses(KeypointSet::Aic, None))
            .starts_with("a.png,3,,0.75,0,right_shoulder,0.5,0.5,0.25,true\n")
    );
}

#[test]
fn openpose_is_in_the_order_of_body_25() {
    let person = openpose(&poses(KeypointSet::Coco, None)).unwrap().people.remove(0);
    let at = |index: usize| &person.pose_keypoints_2d[3 * index..][..3];
    assert_eq!(person.pose_keypoints_2d.len(), 75);
    assert_eq!(at(0), [0.0, 0.0, 0.25]);
    // The middle of the shoulders, which are keypoints 5 and 6.
    assert_eq!(at(1), [5.5, 11.0, 0.25]);
    assert_eq!((at(2), at(5)), (&[6.0, 12.0, 0.25][..], &[5.0, 10.0, 0.25][..]));
    // The left wrist is keypoint 9, the right ankle 16, the right ear 4: the first and the last are not seen.
    assert_eq!((at(7), at(11), at(17)), (&[0.0; 3][..], &[16.0, 32.0, 0.25][..], &[0.0; 3][..]));
    assert_eq!((at(8), at(24)), (&[11.5, 23.0, 0.25][..], &[0.0; 3][..]));
    assert!(person.face_keypoints_2d.is_empty() && person.person_id == [-1]);
}

#[test]
fn openpose_has_feet_faces_and_hands_of_whole_bodies() {
    let person = openpose(&poses(KeypointSet::WholeBody, None)).unwrap().people.remove(0);
    let counts = [&person.face_keypoints_2d, &person.hand_left_keypoints_2d, &person.hand_right_keypoints_2d];
    assert_eq!(counts.map(|list| list.len() / 3), [70, 21, 21]);
    // The left big toe is keypoint 17, the right heel 22; the face begins at 23, the hands at 91 and 112.
    assert_eq!(person.pose_keypoints_2d[57..60], [17.0, 34.0, 0.25]);
    assert_eq!(person.pose_keypoints_2d[72..], [22.0, 44.0, 0.25]);
    assert_eq!(person.face_keypoints_2d[..3], [23.0, 46.0, 0.25]);
    assert_eq!(person.face_keypoints_2d[68 * 3..], [0.0; 6]);
    assert_eq!(person.hand_left_keypoints_2d[..3], [91.0, 182.0, 0.25]);
    assert_eq!(person.hand_right_keypoints_2d[..3], [112.0, 224.0, 0.25]);
}

#[test]
fn openpose_takes_a_neck_that_is_there_and_no_animals() {
    let person = openpose(&poses(KeypointSet::Mpii, None)).unwrap().people.remove(0);
    // MPII's upper neck and pelvis are its keypoints 8 and 6; it has no nose.
    assert_eq!(person.pose_keypoints_2d[3..6], [8.0, 16.0, 0.25]);
    assert_eq!(person.pose_keypoints_2d[24..27], [6.0, 12.0, 0.25]);
    assert_eq!(person.pose_keypoints_2d[..3], [0.0; 3]);
    let error = openpose(&poses(KeypointSet::Ap10k, None)).unwrap_err();
    assert!(error.to_string().contains("ap10k"), "{error}");
    let mut own = poses(KeypointSet::Coco, None);
    Arc::make_mut(&mut own.scheme).set = None;
    assert!(openpose(&own).is_err());
}

#[test]
fn the_record_says_everything() {
    let record = PoseRecord::new(&poses(KeypointSet::Ap10k, Some("cat")));
    let value = serde_json::to_value(&record).unwrap();
    assert_eq!(value["keypoint_set"], "ap10k");
    let pose = &value["poses"][0];
    assert_eq!((&pose["subject"], &pose["label"]["name"]), (&json!(3), &json!("cat")));
    assert_eq!(pose["box_xyxy"], json!([1.0, 2.0, 11.5, 22.0]));
    assert_eq!(
        pose["keypoints"][4],
        json!({"name": "root_of_tail", "x": 4.5, "y": 8.5, "score": 0.25, "seen": false})
    );
    assert_eq!(serde_json::from_value::<PoseRecord>(value).unwrap(), record);
}
