//! `percept segment` with points and boxes, by a small trained SAM and by the model that needs no weights.

use percept::media::picture;
use percept::segment::{Mask, Orientation};

use crate::project::{Project, Ran, root};
use crate::scenes::{Scene, masks_of, scene, scenes, stored_png};

/// The bar of the mean IoU on drawn scenes.
const GOOD: f64 = 0.9;

fn sam(project: &Project, arguments: &[&str]) -> Ran {
    let model = root().join("tests/models/shapes-sam").display().to_string();
    let mut all = vec!["segment"];
    all.extend(arguments);
    all.extend(["--model", model.as_str(), "--precision", "f32", "--no-timings"]);
    project.run(&all)
}

fn masks(ran: &Ran) -> Vec<Mask> {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    masks_of(&ran.stdout).into_iter().map(|(_, mask)| mask).collect()
}

fn mean_iou(scene: &Scene, found: &[Mask]) -> f64 {
    let wanted = scene.masks();
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(&wanted).map(|(found, wanted)| found.iou(wanted)).sum::<f64>() / wanted.len() as f64
}

/// A file of prompts, one object a shape.
fn prompts(scene: &Scene, points: bool, boxes: bool) -> String {
    let object = |shape: &crate::scenes::Shape| {
        let mut object = serde_json::Map::new();
        if points {
            object.insert("points".into(), serde_json::json!([[shape.point[0], shape.point[1], 1]]));
        }
        if boxes {
            object.insert("box".into(), serde_json::json!(shape.bounding_box));
        }
        serde_json::Value::Object(object)
    };
    serde_json::Value::Array(scene.shapes.iter().map(object).collect()).to_string()
}

#[test]
fn boxes_and_points_give_the_shapes_that_they_mean() {
    let project = Project::new();
    for (points, boxes) in [(false, true), (true, false), (true, true)] {
        let mut sum = 0.0;
        for scene in scenes() {
            project.write("a.png", &picture::encode_png(&scene.image()).unwrap());
            project.write("prompts.json", prompts(&scene, points, boxes).as_bytes());
            let found = masks(&sam(&project, &["a.png", "--prompts", "prompts.json", "-f", "json"]));
            sum += mean_iou(&scene, &found);
        }
        let mean = sum / scenes().len() as f64;
        assert!(mean > GOOD, "points {points}, boxes {boxes}: {mean:.3}");
    }
}

#[test]
fn prompts_are_of_the_displayed_picture() {
    let project = Project::new();
    let scene = scene("landscape");
    project.write("prompts.json", prompts(&scene, false, true).as_bytes());
    for orientation in Orientation::all() {
        project.write("a.png", &stored_png(&scene.image(), orientation));
        let found = masks(&sam(&project, &["a.png", "--prompts", "prompts.json", "-f", "json"]));
        let iou = mean_iou(&scene, &found);
        assert!(iou > GOOD, "{orientation:?}: {iou:.3}");
    }
}

#[test]
fn a_mask_prompt_and_candidates_go_round() {
    let project = Project::new();
    let scene = scene("landscape");
    project.write("a.png", &picture::encode_png(&scene.image()).unwrap());
    let point = format!("{},{}", scene.shapes[0].point[0], scene.shapes[0].point[1]);
    let first = sam(
        &project,
        &["a.png", "--point", &point, "--candidates", "--raw", "raw.safetensors", "-f", "json"],
    );
    let json: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(json["result"]["instances"][0]["candidates"].as_array().unwrap().len(), 3);
    let refined =
        sam(&project, &["a.png", "--point", &point, "--mask-prompt", "raw.safetensors", "-f", "json"]);
    let found = masks(&refined);
    let wanted = &scene.masks()[0];
    assert!(found[0].iou(wanted) > GOOD, "{:.3}", found[0].iou(wanted));
}

#[test]
fn everything_finds_the_shapes() {
    let project = Project::new();
    let scene = scene("landscape");
    project.write("a.png", &picture::encode_png(&scene.image()).unwrap());
    let arguments = ["a.png", "--everything", "--points-per-side", "12", "--pred-iou-thresh", "0.7"];
    let loose = ["--stability-score-thresh", "0.7", "-f", "json"];
    let found = masks(&sam(&project, &[&arguments[..], &loose].concat()));
    for (shape, wanted) in scene.shapes.iter().zip(scene.masks()) {
        let best = found.iter().map(|mask| mask.iou(&wanted)).fold(0.0, f64::max);
        assert!(best > 0.8, "{} of {} masks: {best:.3}", shape.class, found.len());
    }
}

#[test]
fn grabcut_answers_boxes_when_it_is_named() {
    let project = Project::new();
    let scene = scene("landscape");
    project.write("a.png", &picture::encode_png(&scene.image()).unwrap());
    let [x0, y0, x1, y1] = scene.shapes[0].bounding_box;
    let (x0, y0) = (x0.saturating_sub(4), y0.saturating_sub(4));
    let corner = format!("{x0},{y0},{},{}", x1 + 4, y1 + 4);
    let ran = project.run(&["segment", "a.png", "--box", &corner, "--model", "grabcut", "-f", "json"]);
    let found = masks(&ran);
    let wanted = &scene.masks()[0];
    assert!(found[0].iou(wanted) > GOOD, "{:.3}", found[0].iou(wanted));
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["model"]["kind"], "built-in");
    // Never silently: where the default cannot be had, that is the error.
    let ran = project.run(&["segment", "a.png", "--box", &corner, "--offline"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
}
