//! `percept detect` and `percept pose`: what their options do, and what their files say. The networks have random weights
//! (`tests/golden`), so that it is not what they see that counts here, but that all forms of it agree.

use percept::media::picture;
use serde_json::{Value, json};

use crate::project::{Project, Ran, finish, follows_its_schema, root};
use crate::scenes::{read, scene};

fn model(name: &str) -> String {
    root().join("tests/golden").join(name).display().to_string()
}

fn detect(project: &Project, more: &[&str]) -> Ran {
    let model = model("yolos/plain");
    project.run(&[&["detect", "--model", &model, "--no-timings", "--precision", "f32"], more].concat())
}

fn pose(project: &Project, more: &[&str]) -> Ran {
    let model = model("vitpose/simple");
    project.run(&[&["pose", "--model", &model, "--no-timings", "--precision", "f32"], more].concat())
}

fn parsed(ran: &Ran) -> Value {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn project() -> Project {
    let project = Project::new();
    project.write("a.png", &picture::encode_png(&scene("landscape").image()).unwrap());
    project
}

fn corners(detection: &Value) -> [f64; 4] {
    std::array::from_fn(|side| detection["box_xyxy"][side].as_f64().unwrap())
}

#[test]
fn all_formats_say_what_the_json_says() {
    let project = project();
    let all = "json,png,coco,yolo,voc,labelme,csv,crops";
    let ran = detect(&project, &["a.png", "--score", "0.2", "-o", "out/", "-f", all]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let value: Value = serde_json::from_str(&project.read("out/a.detect.json")).unwrap();
    follows_its_schema(&value, "detect.json");
    let result = &value["result"];
    let (width, height) = scene("landscape").image().size();
    assert_eq!(
        (result["width"].as_u64(), result["height"].as_u64()),
        (Some(width.into()), Some(height.into()))
    );
    let found = result["detections"].as_array().unwrap();
    assert!(found.len() > 3, "{found:?}");
    for (one, next) in found.iter().zip(&found[1..]) {
        assert!(one["score"].as_f64() >= next["score"].as_f64());
    }
    let coco: Value = serde_json::from_str(&project.read("out/a.detect.coco.json")).unwrap();
    let labelme: Value = serde_json::from_str(&project.read("out/a.json")).unwrap();
    let (yolo, csv, voc) =
        (project.read("out/a.txt"), project.read("out/a.detect.csv"), project.read("out/a.xml"));
    assert_eq!(coco["annotations"].as_array().unwrap().len(), found.len());
    assert_eq!(labelme["shapes"].as_array().unwrap().len(), found.len());
    assert_eq!((yolo.lines().count(), csv.lines().count()), (found.len(), found.len() + 1));
    assert_eq!(voc.matches("<object>").count(), found.len());
    for (index, one) in found.iter().enumerate() {
        let [left, top, right, bottom] = corners(one);
        assert!(0.0 <= left && left <= right && right <= f64::from(width));
        assert!(0.0 <= top && top <= bottom && bottom <= f64::from(height));
        let bbox = &coco["annotations"][index]["bbox"];
        assert!((bbox[2].as_f64().unwrap() - (right - left)).abs() < 1e-3);
        assert_eq!(coco["annotations"][index]["category_id"], one["label"]["id"]);
        let columns: Vec<f64> =
            yolo.lines().nth(index).unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
        assert!((columns[1] * f64::from(width) - (left + right) / 2.0).abs() < 1e-3);
        assert_eq!(labelme["shapes"][index]["label"], one["label"]["name"]);
        assert!(csv.lines().nth(index + 1).unwrap().contains(one["label"]["name"].as_str().unwrap()));
        let name =
            format!("out/a.detect.crops/{:03}-{}.png", index + 1, one["label"]["name"].as_str().unwrap());
        let crop = read(&project.path(&name));
        assert!(f64::from(crop.width) >= right - left && f64::from(crop.width) < right - left + 2.0);
    }
    let drawn = read(&project.path("out/a.detect.png"));
    assert_eq!(drawn.size(), (width, height));
    assert_ne!(drawn.rgb, scene("landscape").image().rgb);
}

#[test]
fn options_cut_down_what_was_found() {
    let project = project();
    let count = |more: &[&str]| {
        let value = parsed(&detect(&project, &[&["a.png", "--score", "0.2"], more].concat()));
        value["result"]["detections"].as_array().unwrap().clone()
    };
    let all = count(&[]);
    let name = all[0]["label"]["name"].as_str().unwrap().to_owned();
    let same: Vec<&Value> = all.iter().filter(|one| one["label"]["name"] == *name).collect();
    let chosen = count(&["--class", &name.to_uppercase()]);
    assert!(!same.is_empty() && chosen.len() == same.len());
    let ids = |list: &[Value]| list.iter().map(|one| one["box_xyxy"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&chosen), same.iter().map(|one| one["box_xyxy"].clone()).collect::<Vec<_>>());
    assert_eq!(ids(&count(&["--max-detections", "2"])), ids(&all[..2]));
    let apart = count(&["--nms", "0", "--nms-agnostic"]);
    assert!(!apart.is_empty() && apart.len() < all.len());
    assert_eq!(apart[0], all[0]);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_read() {
    let project = project();
    for (more, said) in [
        (&["--class", "catt"][..], "did you mean `cat`"),
        (&["--text", "a red mug"], "reads no texts"),
        (&["--tile", "64", "--overlap", "40"], "cannot share"),
    ] {
        let ran = detect(&project, &[&["a.png"], more].concat());
        assert!(ran.code != 0 && ran.stderr.contains(said), "{more:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    assert_eq!(detect(&project, &["a.png", "--class", "catt"]).code, 2);
    let ran = project.run(&["detect", "a.png", "--model", &model("segformer")]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("RfDetrForObjectDetection"), "{}", ran.stderr);
}

#[test]
fn tiles_find_more_and_stay_in_the_picture() {
    let project = Project::new();
    let image = scene("large").image();
    project.write("a.png", &picture::encode_png(&image).unwrap());
    let count = |more: &[&str]| {
        let value = parsed(&detect(&project, &[&["a.png", "--score", "0.3"], more].concat()));
        let found = value["result"]["detections"].as_array().unwrap().clone();
        for one in &found {
            let [left, top, right, bottom] = corners(one);
            assert!(
                left >= 0.0
                    && top >= 0.0
                    && right <= f64::from(image.width)
                    && bottom <= f64::from(image.height)
            );
        }
        found.len()
    };
    let whole = count(&[]);
    assert!(count(&["--tile", "200"]) > whole);
    assert!(count(&["--tile", "0,200", "--merge", "wbf"]) > whole);
    // A tile that holds the picture is the picture.
    assert_eq!(count(&["--tile", "4000"]), whole);
}

#[test]
fn a_worker_and_a_run_answer_alike() {
    let project = project();
    let ran = detect(&project, &["a.png", "-o", "out/", "-f", "json,coco"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let model = model("yolos/plain");
    let arguments = ["worker", "detect", "--model", &model, "--no-timings", "--precision", "f32"];
    project.write("requests", br#"{"path": "a.png", "id": 5}"#);
    let requests = std::fs::File::open(project.path("requests")).unwrap();
    let ran = finish(project.command(&arguments).stdin(requests).output().unwrap());
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["id"], 5);
    let written: Value = serde_json::from_str(&project.read("out/a.detect.json")).unwrap();
    assert_eq!(answer["result"], written);
    let rows = project.run(&["manifest", "export", "out/", "-f", "csv"]);
    let count = written["result"]["detections"].as_array().unwrap().len();
    assert_eq!(rows.stdout.lines().count(), count + 1, "{}", rows.stderr);
    let coco = project.run(&["manifest", "export", "out/", "-f", "coco"]);
    let coco: Value = serde_json::from_str(&coco.stdout).unwrap();
    assert_eq!(coco["annotations"].as_array().unwrap().len(), count);
    // What is there is not replaced unless that is asked for.
    let export = ["manifest", "export", "out/", "-f", "csv", "-o", "rows.csv"];
    assert_eq!(project.run(&export).code, 0);
    project.write("rows.csv", b"mine");
    let again = project.run(&export);
    assert_eq!(again.code, 2, "{}", again.stderr);
    assert!(again.stderr.contains("replace it with `-y`"), "{}", again.stderr);
    assert_eq!(project.read("rows.csv"), "mine");
    assert_eq!(project.run(&[&export[..], &["-y"]].concat()).code, 0);
    assert_eq!(project.read("rows.csv"), rows.stdout);
}

#[test]
fn a_page_shows_boxes_and_skeletons() {
    let project = project();
    let page = |ran: Ran, name: &str| {
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        project.read(name)
    };
    let boxes = page(
        detect(&project, &["a.png", "--score", "0.2", "-o", "out/", "--report", "boxes.html"]),
        "boxes.html",
    );
    let poses =
        page(pose(&project, &["a.png", "--whole", "-o", "out2/", "--report", "poses.html"]), "poses.html");
    let picture = |page: &str| {
        page.split_once("data:image/jpeg;base64,").unwrap().1.split('"').next().unwrap().to_owned()
    };
    // Of one picture, with other things over it.
    assert_ne!(picture(&boxes), picture(&poses));
    assert!(
        boxes.contains("\"class\":\"cat\"") && poses.contains("\"score\":"),
        "a card lists what was found"
    );
}

#[test]
fn poses_are_of_the_boxes_that_are_given() {
    let project = project();
    project.write("boxes.json", br#"[{"bbox": [10, 10, 60, 80]}, {"bbox": [30, 5, 40, 60], "score": 0.5}]"#);
    let value = parsed(&pose(&project, &["a.png", "--boxes", "boxes.json"]));
    follows_its_schema(&value, "pose.json");
    let poses = value["result"]["poses"].as_array().unwrap();
    assert_eq!(poses.len(), 2);
    assert_eq!(poses[0]["box_xyxy"], json!([10.0, 10.0, 70.0, 90.0]));
    assert_eq!(value["model"].get("detector"), None);
    let whole = parsed(&pose(&project, &["a.png", "--whole"]));
    assert_eq!(whole["result"]["poses"].as_array().unwrap().len(), 1);
    // Our own detections are boxes too.
    let ran = detect(&project, &["a.png", "--score", "0.2", "-o", "found.json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let found: Value = serde_json::from_str(&project.read("found.json")).unwrap();
    let of_file = parsed(&pose(&project, &["a.png", "--boxes", "found.json"]));
    let boxes =
        |list: &Value| list.as_array().unwrap().iter().map(|one| one["box_xyxy"].clone()).collect::<Vec<_>>();
    assert_eq!(boxes(&of_file["result"]["poses"]), boxes(&found["result"]["detections"]));
    // And so they are where the detector is asked at once, but for poses that are alike.
    let (detector, class) = (model("yolos/plain"), "cat,dog,cup,car,kite");
    let at_once = ["a.png", "--detector", &detector, "--class", class, "--detect-score", "0.2", "--oks", "1"];
    let at_once = parsed(&pose(&project, &at_once));
    follows_its_schema(&at_once, "pose.json");
    assert_eq!(at_once["result"], of_file["result"]);
    assert_eq!(at_once["model"]["detector"]["architecture"], "yolos");
}

#[test]
fn poses_have_their_formats_and_their_errors() {
    let project = project();
    let ran = pose(
        &project,
        &["a.png", "--whole", "--score", "0", "-o", "out/", "-f", "json,png,coco,csv,openpose"],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let value: Value = serde_json::from_str(&project.read("out/a.pose.json")).unwrap();
    let keypoints = value["result"]["poses"][0]["keypoints"].as_array().unwrap();
    let coco: Value = serde_json::from_str(&project.read("out/a.pose.coco.json")).unwrap();
    assert_eq!(coco["annotations"][0]["keypoints"].as_array().unwrap().len(), 3 * keypoints.len());
    assert_eq!(project.read("out/a.pose.csv").lines().count(), keypoints.len() + 1);
    let openpose: Value = serde_json::from_str(&project.read("out/a.pose.openpose.json")).unwrap();
    assert_eq!(openpose["people"].as_array().unwrap().len(), 1);
    assert_ne!(read(&project.path("out/a.pose.png")).rgb, scene("landscape").image().rgb);

    project.write("b.png", &picture::encode_png(&scene("small").image()).unwrap());
    project.write("boxes.json", br#"[{"bbox": [10, 10, 60, 80]}]"#);
    let ran = pose(&project, &["a.png", "b.png", "--boxes", "boxes.json", "-o", "more/"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("`image_id`"), "{}", ran.stderr);
    project.write("boxes.json", br#"[{"bbox": [10, 10, -60, 80]}]"#);
    assert_ne!(pose(&project, &["a.png", "--boxes", "boxes.json"]).code, 0);
    let ran = pose(&project, &["a.png", "--detector", &model("yolos/plain")]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("no class `person`"), "{}", ran.stderr);
}

#[test]
fn the_pipeline_of_people_draws_them() {
    let project = project();
    let example = root().join("examples/pipelines/people.toml").display().to_string();
    let set = [
        format!("detector={}", model("yolos/plain")),
        format!("poses={}", model("vitpose/simple")),
        "class=cat".to_owned(),
        "score=0.2".to_owned(),
    ];
    let set: Vec<&str> = set.iter().flat_map(|one| ["--set", one]).collect();
    let ran = project.run(&[&["run", &example, "a.png", "-o", "out/", "--no-timings"], &set[..]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let value: Value = serde_json::from_str(&project.read("out/a.run.json")).unwrap();
    let stages = value["result"]["stages"].as_array().unwrap();
    let bodies = &stages.iter().find(|stage| stage["name"] == "bodies").unwrap()["elements"];
    assert!(!bodies.as_array().unwrap().is_empty());
    assert_eq!(bodies[0]["from"]["stage"], "people");
    assert!(bodies[0]["pose"]["keypoints"].is_array());
    assert_eq!(value["model"].as_array().unwrap().len(), 2);
    let drawn = read(&project.path("out/a.run.files/picture-001.jpg"));
    assert_eq!(drawn.size(), scene("landscape").image().size());
}
