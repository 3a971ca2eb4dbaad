//! The numbers of pycocoevalcap (`tests/reference/caption_eval.py`).

use std::path::PathBuf;

use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/caption-eval")
}

#[test]
fn captions_have_the_numbers_of_pycocoevalcap() {
    let text = std::fs::read_to_string(folder().join("numbers.json")).unwrap();
    let theirs: Value = serde_json::from_str(&text).unwrap();
    let report = crate::caption(&folder().join("truth.json"), &folder().join("results.json")).unwrap();
    assert_eq!(report.pictures, 6);
    assert_eq!(report.metrics.len(), 7);
    for metric in &report.metrics {
        let (ours, theirs) = (metric.value.unwrap(), theirs[&metric.name].as_f64().unwrap());
        assert!((ours - theirs).abs() < 1e-9, "{}: {ours}, not {theirs}", metric.name);
    }
}

#[test]
fn a_picture_without_a_caption_is_told() {
    let results = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(results.path(), r#"[{"image_id": 1, "caption": "a"}]"#).unwrap();
    let error = crate::caption(&folder().join("truth.json"), results.path()).unwrap_err();
    assert!(error.chain().contains("has no caption"), "{error}");
}
