//! `percept eval` as it is typed, on the files of `tests/golden` whose numbers are those of the reference tools.

use percept::media::picture;
use serde_json::Value;

use crate::project::{Project, Ran, root};
use crate::scenes::scenes;

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

#[test]
fn what_segment_writes_is_scored_against_class_pictures() {
    let project = Project::new();
    let model = root().join("tests/models/shapes-segformer").display().to_string();
    let names = ["background", "circle", "rectangle", "triangle", "star", "ring"];
    for scene in scenes() {
        project.write(&format!("in/{}.png", scene.name), &picture::encode_png(&scene.image()).unwrap());
        let mut values = vec![0_u16; (scene.width * scene.height) as usize];
        for (class, mask) in scene.classes() {
            let value = names.iter().position(|name| *name == class).unwrap() as u16;
            mask.paint(|at| values[at] = value);
        }
        let palette = [[0; 3]; 6];
        let truth = picture::encode_index_png(scene.width, scene.height, &values, &palette).unwrap();
        project.write(&format!("truth/{}.png", scene.name), &truth);
    }
    let ran = project.run(&["segment", "in", "-o", "out", "-f", "json", "--model", &model, "-q"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let run = |more: &[&str]| project.run(&[&["eval", "segment", "truth", "out", "--json"], more].concat());
    let ran = run(&["--background", "0", "--min", "mIoU=0.9"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert_eq!(json(&ran)["pictures"], scenes().len());
    // All numbers of classes off by one: nothing is right.
    let ran = run(&["--class-offset", "1"]);
    assert!(json(&ran)["metrics"]["mIoU"].as_f64().unwrap() < 0.1, "{ran:?}");
    // What was not found is of no class, and a class that is never found has nothing in common.
    let classes = &json(&run(&[]))["classes"];
    assert_eq!((classes.as_array().unwrap().len(), &classes[0]["IoU"]), (6, &0.0.into()));
}

#[test]
fn segments_have_the_panoptic_quality_of_panopticapi() {
    let project = Project::new();
    let numbers = golden("panoptic-eval/numbers.json");
    let folder = root().join("tests/golden/panoptic-eval");
    let path = |name: &str| folder.join(name).display().to_string();
    for results in ["results.json", "answers"] {
        let ran = project.run(&["eval", "segment", &path("truth.json"), &path(results), "--json"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        for (name, kind) in [("PQ", "All"), ("PQ-things", "Things"), ("PQ-stuff", "Stuff")] {
            close(&json(&ran)["metrics"][name], &numbers[kind]["pq"]);
        }
    }
    let elsewhere = ["--truth-folder", &path("truth"), "--results-folder", &path("results")];
    let files = [&path("truth.json"), &path("results.json"), "--min", "PQ=0.5"];
    let ran = project.run(&[&["eval", "segment"], &files[..], &elsewhere[..]].concat());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("grass, cut") && ran.stderr.contains("PQ is 0.4299"), "{ran:?}");
}

#[test]
fn transforms_have_the_errors_of_scipy() {
    let project = Project::new();
    let numbers = golden("register-eval/numbers.json");
    let folder = root().join("tests/golden/register-eval");
    let path = |name: &str| folder.join(name).display().to_string();
    let run = |truth: &str, results: &str, more: &[&str]| {
        project.run(&[&["eval", "register", &path(truth), &path(results)], more].concat())
    };
    let ran = run("truth.log", "results.log", &["--json", "--max-translation", "0.5"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    for name in ["recall", "RRE", "RTE-median"] {
        close(&json(&ran)["metrics"][name], &numbers["log"][name]);
    }
    let sources = ["--sources", &path("sources"), "--max-rmse", "1", "--min", "recall=0.5"];
    let ran = run("truths", "answers", &sources);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("3 pairs, 2 results") && ran.stderr.contains("recall is 0.3333"), "{ran:?}");
    assert_eq!(run("truths", "answers", &["--max-rmse", "1"]).code, 2);
}
