//! The numbers of numpy on pictures that Pillow wrote (`tests/reference/masks_eval.py`).

use std::path::PathBuf;

use serde_json::Value;

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/masks-eval")
}

#[test]
fn classes_have_the_numbers_of_a_confusion_matrix() {
    let cases: Value =
        serde_json::from_str(&std::fs::read_to_string(folder().join("cases.json")).unwrap()).unwrap();
    for case in cases.as_array().unwrap() {
        let ignored: Vec<u16> = serde_json::from_value(case["ignore"].clone()).unwrap();
        let mut confusion = Confusion::default();
        for name in case["pictures"].as_array().unwrap() {
            let [truth, result] = ["truth", "results"]
                .map(|side| IndexPicture::read(&folder().join(side).join(name.as_str().unwrap())).unwrap());
            confusion.add(&truth, &result, &ignored).unwrap();
        }
        let report = confusion.report();
        let close = |ours: f64, theirs: &Value| {
            assert!((ours - theirs.as_f64().unwrap()).abs() < 1e-12, "{ours}, not {theirs} of {case}");
        };
        close(report.metrics[0].value.unwrap(), &case["mIoU"]);
        close(report.metrics[1].value.unwrap(), &case["accuracy"]);
        close(report.metrics[2].value.unwrap(), &case["boundary"]);
        let classes = case["IoU"].as_object().unwrap();
        assert_eq!(report.classes.len(), classes.len());
        for class in &report.classes {
            close(class.iou, &classes[&class.id.to_string()]);
            close(class.boundary, &case["boundaries"][&class.id.to_string()]);
        }
    }
}

#[test]
fn pictures_have_to_fit() {
    let picture = |width: u32, height: u32| {
        let values = vec![0; (width * height) as usize];
        IndexPicture { width, height, values }
    };
    let mut confusion = Confusion::default();
    assert!(confusion.add(&picture(2, 3), &picture(3, 2), &[]).is_err());
    assert_eq!(confusion.report().metrics[0].value, None);
    assert!(IndexPicture::read(&folder().join("colour.png")).unwrap_err().chain().contains("in colour"));
    assert!(IndexPicture::read(&folder().join("cases.json")).is_err());
}
