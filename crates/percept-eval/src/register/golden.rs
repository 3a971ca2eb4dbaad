//! The numbers of SciPy and numpy on the same files (`tests/reference/register_eval.py`).

use serde_json::Value;

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/register-eval")
}

fn scored(truth: &str, results: &str, options: &RegisterOptions) -> Report {
    score(&folder().join(truth), &folder().join(results), options).unwrap()
}

fn close(ours: Option<f64>, theirs: &Value, name: &str) {
    let theirs = theirs.as_f64();
    assert_eq!(ours.is_some(), theirs.is_some(), "{name}");
    let (ours, theirs) = (ours.unwrap_or(0.0), theirs.unwrap_or(0.0));
    assert!((ours - theirs).abs() < 1e-9 * theirs.abs().max(1.0), "{name}: {ours}, not {theirs}");
}

#[test]
fn errors_are_those_of_scipy_in_every_form_of_file() {
    let numbers: Value = serde_json::from_str(&files::text(&folder().join("numbers.json")).unwrap()).unwrap();
    let options = RegisterOptions { degrees: 5.0, distance: 0.5, ..RegisterOptions::default() };
    for results in ["results.log", "results.kitti", "results.tum", "results.txt", "results.json"] {
        let truth = if results == "results.log" { "truth.log" } else { "truth.txt" };
        let report = scored(truth, results, &options);
        let case = &numbers[if results == "results.log" { "log" } else { "all" }];
        for (name, value) in case.as_object().unwrap() {
            let ours = report.metrics.iter().find(|metric| &metric.name == name).unwrap();
            close(ours.value, value, &format!("{results} {name}"));
        }
        assert_eq!(report.metrics.iter().find(|metric| metric.name == "RMSE").unwrap().value, None);
    }
    // The log lacks a pair, and has the others in another order.
    let report = scored("truth.log", "results.log", &options);
    assert_eq!((report.pairs, report.results), (9, 8));
}

#[test]
fn points_tell_the_rmse_and_answers_their_trust() {
    let numbers: Value = serde_json::from_str(&files::text(&folder().join("numbers.json")).unwrap()).unwrap();
    let sources = Some(folder().join("sources"));
    let options = RegisterOptions { degrees: 5.0, distance: 0.5, sources, rmse: None };
    let report = scored("truths", "answers", &options);
    assert_eq!((report.pairs, report.results), (3, 2));
    for (name, value) in numbers["folder"].as_object().unwrap() {
        close(report.metrics.iter().find(|metric| &metric.name == name).unwrap().value, value, name);
    }
    // Near 5,000 km from zero a turn of half a degree is a shift of kilometres there, and of little where the points are.
    let by_points = scored("truths", "answers", &RegisterOptions { rmse: Some(1.0), ..options });
    assert_eq!(by_points.metrics[0].value, Some(1.0 / 3.0));
    let missing = report.each.iter().find(|pair| pair.degrees.is_none()).unwrap();
    assert!(!missing.registered && missing.name == "c");
}

#[test]
fn what_does_not_fit_is_said() {
    let error = |truth: &str, results: &str| {
        let result = score(&folder().join(truth), &folder().join(results), &RegisterOptions::default());
        result.unwrap_err().chain()
    };
    assert!(error("truth.txt", "truths/a.txt").contains("1 transforms"));
    assert!(error("truths", "answers/..").contains("no truth of"));
    assert!(error("numbers.json", "truth.txt").contains("no `matrix`"));
    assert!(error("truth.txt", "truths").contains("folder"));
}
