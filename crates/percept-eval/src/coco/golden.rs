//! The numbers of pycocotools (`tests/reference/coco_eval.py`).

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::Metric;

fn read(name: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/coco-eval");
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

fn truth(value: &Value) -> Truth {
    Truth::parse(Path::new("truth.json"), &value.to_string()).unwrap()
}

fn results(value: &Value, truth: &Truth) -> Result<Results> {
    Results::parse(Path::new("results.json"), &value.to_string(), truth)
}

fn same(ours: Option<f64>, theirs: &Value, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!((ours.unwrap_or(-1.0) - theirs).abs() < 1e-9, "{what}: {ours:?}, not {theirs}");
}

fn same_metrics(ours: &[Metric], theirs: &Value, what: &str) {
    let theirs = theirs.as_array().unwrap();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        same(ours.value, theirs, &format!("{what}: {}", ours.name));
    }
}

fn same_report(report: &Report, case: &Value, what: &str) {
    same_metrics(&report.metrics, &case["stats"], what);
    let classes = case["classes"].as_array().unwrap();
    assert_eq!(report.classes.len(), classes.len());
    for (ours, theirs) in report.classes.iter().zip(classes) {
        assert_eq!(ours.id, theirs["id"].as_i64().unwrap());
        let values = [("AP", ours.ap), ("AP50", ours.ap50), ("AP75", ours.ap75), ("AR", ours.ar)];
        for (name, value) in values {
            same(value, &theirs[name], &format!("{what}, class {}: {name}", ours.id));
        }
    }
}

#[test]
fn boxes_have_the_numbers_of_pycocotools() {
    for name in ["boxes-1.json", "boxes-2.json", "boxes-id-0.json"] {
        let case = read(name);
        let truth = truth(&case["truth"]);
        for form in ["results", "file"] {
            let report = boxes(&truth, &results(&case[form], &truth).unwrap()).unwrap();
            same_report(&report, &case, &format!("{name}, {form}"));
            assert_eq!(report.notes.len(), usize::from(name == "boxes-id-0.json"), "{:?}", report.notes);
        }
    }
}

#[test]
fn keypoints_have_the_numbers_of_pycocotools() {
    for name in ["keypoints-1.json", "keypoints-2.json"] {
        let mut case = read(name);
        let truth = truth(&case["truth"]);
        for form in ["results", "file"].into_iter().filter(|form| !case[*form].is_null()) {
            let report = keypoints(&truth, &results(&case[form], &truth).unwrap(), &COCO_SIGMAS).unwrap();
            same_report(&report, &case, &format!("{name}, {form}"));
        }
        for result in case["results"].as_array_mut().unwrap() {
            result.as_object_mut().unwrap().remove("bbox");
        }
        let bare = results(&case["results"], &truth).unwrap();
        let report = keypoints(&truth, &bare, &COCO_SIGMAS).unwrap();
        same_metrics(&report.metrics, &case["bare_stats"], &format!("{name}, without boxes"));
    }
}

#[test]
fn no_results_find_nothing() {
    let case = read("boxes-1.json");
    let truth = truth(&case["truth"]);
    let report = boxes(&truth, &results(&serde_json::json!([]), &truth).unwrap()).unwrap();
    assert_eq!((report.results, report.metrics[0].value), (0, Some(0.0)));
}

#[test]
fn what_does_not_fit_is_said() {
    let case = read("boxes-1.json");
    let truth = truth(&case["truth"]);
    let result = |image: i64, class: i64| serde_json::json!({"image_id": image, "category_id": class, "bbox": [0, 0, 1, 1], "score": 1});
    let chain = |value: Value| results(&value, &truth).unwrap_err().chain();
    assert!(chain(serde_json::json!([result(999, 1)])).contains("does not have its images 999"));
    assert!(chain(serde_json::json!([result(3, 77)])).contains("none of its classes"));
    assert!(
        chain(serde_json::json!([{"image_id": 3, "category_id": 1, "bbox": [0, 0, 1, 1]}])).contains("score")
    );
    assert!(chain(serde_json::json!({"images": []})).contains("annotations"));
    let some = results(&serde_json::json!([result(3, 77), result(3, 1)]), &truth).unwrap();
    assert!(some.notes[0].contains("1 of 2") && some.notes[0].contains("77"), "{:?}", some.notes);
    let mut file = case["file"].clone();
    file["images"].as_array_mut().unwrap().iter_mut().for_each(|image| image["file_name"] = "x.jpg".into());
    assert!(results(&file, &truth).is_err());
    let error = keypoints(&truth, &some, &COCO_SIGMAS).unwrap_err();
    assert!(error.to_string().contains("no keypoints"), "{error}");
    let pose = read("keypoints-1.json");
    let people = self::truth(&pose["truth"]);
    let found = results(&pose["results"], &people).unwrap();
    let error = keypoints(&people, &found, &COCO_SIGMAS[..5]).unwrap_err();
    assert!(error.to_string().contains("51 numbers") && error.hint().is_some(), "{error}");
}
