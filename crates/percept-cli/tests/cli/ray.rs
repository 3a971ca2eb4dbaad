//! `examples/ray`, where Python has Ray.

use std::process::Command;

use percept::media::picture;
use serde_json::Value;

use crate::project::{Project, root};
use crate::scenes::scenes;

#[test]
fn a_folder_goes_through_two_workers() {
    let python = std::env::var("PERCEPT_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_ray = Command::new(&python).args(["-c", "import ray"]).output();
    if !has_ray.is_ok_and(|ran| ran.status.success()) {
        eprintln!("skipped: `{python}` has no Ray; name one that has with PERCEPT_PYTHON");
        return;
    }
    let project = Project::new();
    for (index, scene) in scenes().iter().cycle().take(10).enumerate() {
        project.write(&format!("in/{index}.png"), &picture::encode_png(&scene.image()).unwrap());
    }
    project.write("in/broken.png", b"no picture");
    let model = root().join("tests/models/shapes-segformer").display().to_string();
    let ran = Command::new(python)
        .arg(root().join("examples/ray/folder.py"))
        .args(["in", "--workers", "2", "--percept", env!("CARGO_BIN_EXE_percept"), "--"])
        .args(["segment", "--model", &model, "--no-timings"])
        .current_dir(project.path(""))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("11 files, 1 failed, 2 workers"), "{stderr}");
    let lines: Vec<Value> = String::from_utf8(ran.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 11);
    assert!(lines.is_sorted_by_key(|line| line["id"].as_str().unwrap().to_owned()));
    // The same as without Ray, but for the number of threads.
    project.run(&[
        "segment",
        "in",
        "-o",
        "out",
        "-f",
        "json",
        "--no-timings",
        "--threads",
        "1",
        "--model",
        &model,
    ]);
    for line in lines.iter().filter(|line| line["status"] == "done") {
        let stem = line["id"].as_str().unwrap().strip_prefix("in/").unwrap().strip_suffix(".png").unwrap();
        let wanted: Value = serde_json::from_str(&project.read(&format!("out/{stem}.segment.json"))).unwrap();
        assert_eq!(line["result"], wanted);
    }
}
