//! `percept segment` with points and boxes.
//!
//! A small SAM that knows shapes shows what points and boxes mean, and so does the model that needs no weights. The SAM 2
//! here learned to draw discs around any point: it shows that coordinates go the whole way and back.

use percept::media::picture;
use percept::segment::{Mask, Orientation};

use crate::project::{Project, Ran, root};
use crate::scenes::{Scene, deep_png, grey_png, masks_of, scene, scenes, stored_png};

/// The bar of the mean IoU on drawn scenes.
const GOOD: f64 = 0.9;

/// A network that draws discs around points, of `family` `sam` or `sam2`.
fn discs(project: &Project, family: &str, arguments: &[&str]) -> Ran {
    let model = root().join(format!("tests/golden/{family}/everything")).display().to_string();
    let mut all = vec!["segment"];
    all.extend(arguments);
    all.extend(["--model", model.as_str(), "--precision", "f32", "--no-timings"]);
    project.run(&all)
}

fn grabcut(project: &Project, arguments: &[&str]) -> Vec<Mask> {
    let mut all = vec!["segment"];
    all.extend(arguments);
    all.extend(["--model", "grabcut", "-f", "json"]);
    let ran = project.run(&all);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    masks_of(&ran.stdout).into_iter().map(|(_, mask)| mask).collect()
}

/// The masks of a SAM that was trained on drawn shapes.
fn shapes(project: &Project, arguments: &[&str]) -> Vec<Mask> {
    let model = root().join("tests/models/shapes-sam").display().to_string();
    let mut all = vec!["segment"];
    all.extend(arguments);
    all.extend(["--model", model.as_str(), "--precision", "f32", "-f", "json"]);
    let ran = project.run(&all);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    masks_of(&ran.stdout).into_iter().map(|(_, mask)| mask).collect()
}

/// A file of prompts: a point inside each shape.
fn points(scene: &Scene) -> String {
    let object = |shape: &crate::scenes::Shape| serde_json::json!({ "points": [[shape.point[0], shape.point[1], 1.0]] });
    serde_json::Value::Array(scene.shapes.iter().map(object).collect()).to_string()
}

/// A file of prompts: a box around each shape, with some room, and perhaps a point on it.
fn boxes(scene: &Scene, points: usize) -> String {
    let object = |shape: &crate::scenes::Shape| {
        let [x0, y0, x1, y1] = shape.bounding_box;
        let corner = (x0.saturating_sub(4), y0.saturating_sub(4));
        serde_json::json!({
            "box": [corner.0, corner.1, (x1 + 4).min(scene.width), (y1 + 4).min(scene.height)],
            "points": vec![[shape.point[0], shape.point[1], 1.0]; points],
        })
    };
    serde_json::Value::Array(scene.shapes.iter().map(object).collect()).to_string()
}

fn mean_iou(scene: &Scene, found: &[Mask]) -> f64 {
    let wanted = scene.masks();
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(&wanted).map(|(found, wanted)| found.iou(wanted)).sum::<f64>() / wanted.len() as f64
}

#[test]
fn boxes_give_the_shapes_that_they_mean() {
    let project = Project::new();
    for scene in scenes() {
        project.write("a.png", &picture::encode_png(&scene.image()).unwrap());
        for points in [0, 1] {
            project.write("prompts.json", boxes(&scene, points).as_bytes());
            let iou = mean_iou(&scene, &grabcut(&project, &["a.png", "--prompts", "prompts.json"]));
            assert!(iou > GOOD, "{}, {points} points: {iou:.3}", scene.name);
        }
    }
}

#[test]
fn points_and_boxes_cut_shapes_out() {
    let project = Project::new();
    for scene in scenes() {
        project.write("a.png", &picture::encode_png(&scene.image()).unwrap());
        for prompts in [points(&scene), boxes(&scene, 0), boxes(&scene, 1)] {
            project.write("prompts.json", prompts.as_bytes());
            let iou = mean_iou(&scene, &shapes(&project, &["a.png", "--prompts", "prompts.json"]));
            assert!(iou > GOOD, "{}: {iou:.3} for {prompts}", scene.name);
        }
    }
}

#[test]
fn a_point_means_the_same_however_a_picture_is_stored() {
    let project = Project::new();
    let scene = scene("landscape");
    project.write("prompts.json", points(&scene).as_bytes());
    let stored = Orientation::all().map(|orientation| stored_png(&scene.image(), orientation));
    for bytes in stored.into_iter().chain([deep_png(&scene.image()), grey_png(&scene.image())]) {
        project.write("a.png", &bytes);
        let iou = mean_iou(&scene, &shapes(&project, &["a.png", "--prompts", "prompts.json"]));
        assert!(iou > GOOD, "{iou:.3}");
    }
}

#[test]
fn prompts_are_of_the_displayed_picture() {
    let project = Project::new();
    let scene = scene("landscape");
    project.write("prompts.json", boxes(&scene, 0).as_bytes());
    for orientation in Orientation::all() {
        project.write("a.png", &stored_png(&scene.image(), orientation));
        let iou = mean_iou(&scene, &grabcut(&project, &["a.png", "--prompts", "prompts.json"]));
        assert!(iou > GOOD, "{orientation:?}: {iou:.3}");
    }
}

/// The mean of a mask's pixels.
fn middle(mask: &Mask) -> (f64, f64) {
    let (width, mut sum) = (mask.width() as usize, (0.0, 0.0));
    mask.paint(|at| sum = (sum.0 + (at % width) as f64 + 0.5, sum.1 + (at / width) as f64 + 0.5));
    (sum.0 / mask.area() as f64, sum.1 / mask.area() as f64)
}

#[test]
fn discs_lie_where_the_points_are() {
    let project = Project::new();
    let upright = scene("landscape").image();
    for family in ["sam", "sam2"] {
        for orientation in Orientation::all() {
            project.write("a.png", &stored_png(&upright, orientation));
            for (x, y) in [(110.0, 70.0), (190.0, 130.0)] {
                let point = format!("{x},{y}");
                let ran = discs(&project, family, &["a.png", "--point", &point, "-f", "json"]);
                assert_eq!(ran.code, 0, "{}", ran.stderr);
                let (_, mask) = masks_of(&ran.stdout).remove(0);
                let found = middle(&mask);
                // The networks see 80 pixels of the 300.
                let near = (found.0 - x).abs() < 15.0 && (found.1 - y).abs() < 15.0;
                assert!(near, "{family} {orientation:?}: {found:?} for {point}, {} pixels", mask.area());
            }
        }
    }
}

#[test]
fn the_model_without_weights_is_chosen_by_name_only() {
    let project = Project::new();
    project.write("a.png", &picture::encode_png(&scene("small").image()).unwrap());
    let ran = project.run(&["segment", "a.png", "--box", "4,4,60,60", "--model", "grabcut", "-f", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["model"]["kind"], "built-in");
    assert_eq!(json["model"]["sha256"], serde_json::Value::Null);
    let ran = project.run(&["segment", "a.png", "--box", "4,4,60,60", "--offline"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn candidates_and_mask_prompts_go_round() {
    let project = Project::new();
    project.write("a.png", &picture::encode_png(&scene("landscape").image()).unwrap());
    let point = ["a.png", "--point", "100,60", "-f", "json"];
    let first = discs(&project, "sam", &[&point[..], &["--candidates", "--raw", "raw.safetensors"]].concat());
    assert_eq!(first.code, 0, "{}", first.stderr);
    let json: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    let instance = &json["result"]["instances"][0];
    assert_eq!(instance["candidates"].as_array().unwrap().len(), 3);
    let best = instance["candidates"].as_array().unwrap().iter().map(|one| one["score"].as_f64().unwrap());
    assert_eq!(best.fold(f64::MIN, f64::max), instance["score"].as_f64().unwrap());

    let refined = discs(&project, "sam", &[&point[..], &["--mask-prompt", "raw.safetensors"]].concat());
    assert_eq!(refined.code, 0, "{}", refined.stderr);
    assert_ne!(refined.stdout, discs(&project, "sam", &point).stdout, "the earlier mask has a say");

    let two = discs(&project, "sam", &["a.png", "--box", "3,4,50,60", "--box", "90,4,150,60", "-f", "json"]);
    let json: serde_json::Value = serde_json::from_str(&two.stdout).unwrap();
    assert_eq!(json["result"]["instances"].as_array().unwrap().len(), 2);
    let wrong =
        discs(&project, "sam", &["a.png", "--box", "3,4,50,60", "--box", "90,4,150,60", "--point", "5,6"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}
