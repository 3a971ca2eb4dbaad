//! `percept eval` as it is typed, on the files of `tests/golden` whose numbers are those of the reference tools.

use serde_json::Value;

use crate::project::{Project, Ran, root};

fn golden(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join("tests/golden").join(path)).unwrap()).unwrap()
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// The truth and results of a case, as files.
fn coco(project: &Project, case: &str) -> Value {
    let case = golden(&format!("coco-eval/{case}.json"));
    for name in ["truth", "results", "file"] {
        project.write(&format!("{name}.json"), case[name].to_string().as_bytes());
    }
    case
}

fn close(ours: &Value, theirs: &Value) {
    // -1 of pycocotools is a number that there is not.
    let (ours, theirs) = (ours.as_f64().unwrap_or(-1.0), theirs.as_f64().unwrap());
    assert!((ours - theirs).abs() < 1e-6, "{ours}, not {theirs}");
}

#[test]
fn boxes_and_keypoints_have_the_numbers_of_pycocotools() {
    for (task, name) in [("detect", "boxes-1"), ("pose", "keypoints-1")] {
        let project = Project::new();
        let case = coco(&project, name);
        for results in ["results.json", "file.json"] {
            let ran = project.run(&["eval", task, "truth.json", results, "--json"]);
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
            let report = json(&ran);
            assert_eq!(report["task"], task);
            let metrics = report["metrics"].as_object().unwrap();
            let stats = case["stats"].as_array().unwrap();
            assert_eq!(metrics.len(), stats.len());
            metrics.values().zip(stats).for_each(|(ours, theirs)| close(ours, theirs));
            let classes =
                report["classes"].as_array().unwrap().iter().zip(case["classes"].as_array().unwrap());
            classes.for_each(|(ours, theirs)| close(&ours["AP"], &theirs["AP"]));
        }
        let text = project.run(&["eval", task, "truth.json", "results.json"]);
        let ap = format!("{:.4}", case["stats"][0].as_f64().unwrap());
        let line = text.stdout.lines().find(|line| line.starts_with("AP ")).unwrap();
        assert!(line.ends_with(&ap), "{}", text.stdout);
    }
}

#[test]
fn limits_set_the_exit_code() {
    let project = Project::new();
    let case = coco(&project, "boxes-1");
    let run =
        |more: &[&str]| project.run(&[&["eval", "detect", "truth.json", "results.json"], more].concat());
    let kept = run(&["--min", "AP=0.16", "--min", "ap50=0.3", "--max", "AP=0.2"]);
    assert_eq!((kept.code, kept.stderr.as_str()), (0, ""));
    let said = format!("AP50 is {:.4}, less than 0.9\n", case["stats"][1].as_f64().unwrap());
    let missed = run(&["--min", "AP=0.16", "--min", "AP50=0.9"]);
    assert_eq!((missed.code, missed.stderr.as_str()), (1, said.as_str()));
    assert_eq!(missed.stdout, kept.stdout);
    let unknown = run(&["--min", "mAP=0.1"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (2, ""));
    assert!(unknown.stderr.contains("hint:") && unknown.stderr.contains("AR-100"), "{}", unknown.stderr);
    assert_eq!(run(&["--min", "AP"]).code, 2);
}

#[test]
fn what_does_not_fit_is_said_with_a_hint() {
    let project = Project::new();
    let case = coco(&project, "boxes-1");
    let mut results = case["results"].clone();
    results[0]["image_id"] = 998.into();
    project.write("image.json", results.to_string().as_bytes());
    let mut results = case["results"].clone();
    results.as_array_mut().unwrap().iter_mut().for_each(|result| result["category_id"] = 77.into());
    project.write("class.json", results.to_string().as_bytes());
    project.write("none.txt", b"none");
    for (results, said) in [
        ("absent.json", "absent.json"),
        ("image.json", "998"),
        ("class.json", "77"),
        ("none.txt", "none.txt"),
    ] {
        let ran = project.run(&["eval", "detect", "truth.json", results]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{results}: {ran:?}");
        assert!(ran.stderr.starts_with("error:") && ran.stderr.contains(said), "{results}: {}", ran.stderr);
    }
    let ran = project.run(&["eval", "pose", "truth.json", "results.json"]);
    assert!(ran.code == 2 && ran.stderr.contains("keypoints"), "{ran:?}");
}

#[test]
fn transcripts_are_normalised_and_counted() {
    let project = Project::new();
    project.write("truth/a.txt", b"Mr. Smith can't see the colour, twenty five times.");
    project.write("truth/deep/b.txt", b"one two three four");
    project
        .write("results/a.json", br#"{"result": {"text": "mister smith can not see the color 25 times"}}"#);
    project.write(
        "results/deep/b.srt",
        b"1\n00:00:00,000 --> 00:00:01,000\none too\n\n2\n00:00:01,000 --> 00:00:02,000\nthree\n",
    );
    let run = |more: &[&str]| project.run(&[&["eval", "transcribe", "truth", "results"], more].concat());
    let report = json(&run(&["--json"]));
    // Counts and rates of jiwer on the texts as transformers' normalisers leave them.
    let counts = |report: &Value| {
        ["hits", "substitutions", "insertions", "deletions"]
            .map(|kind| report["words"][kind].as_u64().unwrap())
    };
    assert_eq!((&report["files"], counts(&report)), (&2.into(), [9, 1, 2, 0]));
    close(&report["metrics"]["WER"], &0.3.into());
    close(&report["metrics"]["CER"], &0.191_489_361_702_127_66.into());
    let basic = json(&run(&["--json", "--normalizer", "basic"]));
    assert_eq!(counts(&basic), [7, 5, 0, 2]);
    close(&basic["metrics"]["WER"], &0.5.into());
    close(&basic["metrics"]["CER"], &0.369_230_769_230_769_2.into());
    let missed = run(&["--max", "WER=0.01"]);
    assert!(missed.code == 1 && missed.stderr.contains("WER is "), "{missed:?}");
    assert!(missed.stdout.contains("substitutions"), "{}", missed.stdout);
    project.write("results/c.txt", b"c");
    let extra = run(&[]);
    assert!(extra.code == 2 && extra.stderr.contains("`c`") && extra.stderr.contains("hint:"), "{extra:?}");
    let mixed = project.run(&["eval", "transcribe", "truth", "results/c.txt"]);
    assert!(mixed.code == 2 && mixed.stderr.contains("folder"), "{mixed:?}");
}

#[test]
fn index_pictures_have_the_numbers_of_a_confusion_matrix() {
    let project = Project::new();
    let cases = golden("masks-eval/cases.json");
    let folder = root().join("tests/golden/masks-eval");
    let [truth, results] = ["truth", "results"].map(|side| folder.join(side).display().to_string());
    let all = &cases[2];
    let ran =
        project.run(&["eval", "segment", &truth, &results, "--ignore", "255", "--ignore", "0", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let report = json(&ran);
    close(&report["metrics"]["mIoU"], &all["mIoU"]);
    close(&report["metrics"]["pixel-accuracy"], &all["accuracy"]);
    close(&report["metrics"]["boundary-F"], &all["boundary"]);
    let one = project.run(&[
        "eval",
        "segment",
        &format!("{truth}/f.png"),
        &format!("{results}/f.png"),
        "--min",
        "mIoU=0.9",
    ]);
    assert!(one.code == 1 && one.stderr.contains("mIoU"), "{one:?}");
}
