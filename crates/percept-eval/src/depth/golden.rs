//! The numbers of numpy (`tests/reference/depth_eval.py`).

use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::depth;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/depth-eval")
}

#[test]
fn maps_have_the_numbers_of_numpy() {
    let text = std::fs::read_to_string(folder().join("cases.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let unit = case["unit"].as_str().unwrap();
        let options = DepthOptions {
            unit: serde_json::from_value(case["unit"].clone()).unwrap(),
            alignment: Some(case["alignment"].as_str().unwrap().parse().unwrap()),
            max_depth: case["max_depth"].as_f64(),
            truth_scale: None,
        };
        let report = depth(&folder().join("truth"), &folder().join(unit), &options).unwrap();
        assert_eq!(report.pictures, 2);
        for metric in &report.metrics {
            let theirs = case["metrics"][&metric.name].as_f64().unwrap();
            let ours = metric.value.unwrap();
            assert!(
                (ours - theirs).abs() < 1e-9 * theirs.max(1.0),
                "{}: {ours}, not {theirs}: {case}",
                metric.name
            );
        }
    }
}

#[test]
fn relative_depth_is_not_taken_for_metres() {
    let [truth, relative] = ["truth", "relative_inverse"].map(|name| folder().join(name));
    let unit = Some(DepthUnit::RelativeInverse);
    let options = DepthOptions { unit, alignment: Some(Alignment::None), ..DepthOptions::default() };
    assert!(depth(&truth, &relative, &options).unwrap_err().chain().contains("scale"));
    let usual = depth(&truth, &relative, &DepthOptions { unit, ..DepthOptions::default() }).unwrap();
    assert_eq!(usual.alignment, [Alignment::ScaleShift]);
}
