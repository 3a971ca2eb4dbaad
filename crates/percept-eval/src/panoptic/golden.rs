//! The numbers of panopticapi on the same files (`tests/reference/panoptic_eval.py`).

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/panoptic-eval")
}

fn value(path: &std::path::Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn close(ours: f64, theirs: &Value) {
    assert!((ours - theirs.as_f64().unwrap()).abs() < 1e-12, "{ours}, not {theirs}");
}

fn compare(report: &Report, numbers: &Value) {
    for (metrics, kind) in report.metrics.chunks(3).zip(["All", "Things", "Stuff"]) {
        for (metric, name) in metrics.iter().zip(["pq", "sq", "rq"]) {
            close(metric.value.unwrap(), &numbers[kind][name]);
        }
    }
    let classes = numbers["classes"].as_object().unwrap();
    assert!(!classes.is_empty());
    assert_eq!(report.classes.len(), classes.len());
    for class in &report.classes {
        let theirs = &classes[&class.id.to_string()];
        for (ours, name) in [(class.pq, "pq"), (class.sq, "sq"), (class.rq, "rq")] {
            close(ours, &theirs[name]);
        }
    }
}

#[test]
fn numbers_are_those_of_panopticapi() {
    let report =
        score(&folder().join("truth.json"), &folder().join("results.json"), &Folders::default()).unwrap();
    compare(&report, &value(&folder().join("numbers.json")));
    // Crowds and what lies nowhere are in the files.
    assert!(report.classes.iter().any(|class| class.wrong > 0 && class.missed > 0 && class.found > 0));
}

#[test]
fn answers_of_percept_have_the_same_numbers() {
    // The same results as percept writes them: names of classes, masks as run lengths, another order of files.
    let answers = folder().join("answers");
    let report = score(&folder().join("truth.json"), &answers, &Folders::default()).unwrap();
    compare(&report, &value(&folder().join("numbers.json")));
    assert!(report.notes.is_empty());
}

#[test]
fn what_does_not_fit_is_an_error() {
    let scored = |change: &dyn Fn(&mut Value)| {
        let temporary = tempfile::tempdir().unwrap();
        let mut results = value(&folder().join("results.json"));
        change(&mut results);
        let path = temporary.path().join("results.json");
        std::fs::write(&path, results.to_string()).unwrap();
        let folders = Folders { results: Some(folder().join("results")), truth: None };
        score(&folder().join("truth.json"), &path, &folders)
    };
    assert!(scored(&|_| {}).is_ok());
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(Change<'_>, &str); 4] = [
        (&|file| drop(file["annotations"].as_array_mut().unwrap().pop()), "no result for image"),
        (
            &|file| drop(file["annotations"][0]["segments_info"].as_array_mut().unwrap().pop()),
            "in the picture and not in the JSON",
        ),
        (&|file| file["annotations"][0]["segments_info"][0]["category_id"] = json!(77), "no category 77"),
        (&|file| file["annotations"][0]["file_name"] = json!("nothing.png"), "nothing.png"),
    ];
    for (change, wanted) in cases {
        let error = scored(change).unwrap_err();
        assert!(error.chain().contains(wanted), "{}", error.chain());
    }
    // Masks that may overlap have no panoptic quality.
    let temporary = tempfile::tempdir().unwrap();
    let truth = value(&folder().join("truth.json"));
    for image in truth["images"].as_array().unwrap() {
        let stem = crate::answers::stem(image["file_name"].as_str().unwrap());
        let mut answer = value(&folder().join(format!("answers/{stem}.segment.json")));
        answer["result"]["kind"] = json!("instance");
        std::fs::write(temporary.path().join(format!("{stem}.json")), answer.to_string()).unwrap();
    }
    let error = score(&folder().join("truth.json"), temporary.path(), &Folders::default()).unwrap_err();
    assert!(error.hint().unwrap().contains("--kind panoptic"));
}
