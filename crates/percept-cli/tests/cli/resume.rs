//! A run that was killed goes on, and a finished one does only what changed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Stdio;
use std::time::Duration;

use percept::media::picture;

use crate::project::{Project, Ran, root};
use crate::scenes::scene;

fn command<'a>(model: &'a str, folder: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["segment", "in", "-o", folder, "-f", "json,png,instances", "--no-timings"];
    all.extend(["--model", model, "--precision", "f32"]);
    all.extend(more);
    all
}

fn model() -> String {
    root().join("tests/models/shapes-segformer").display().to_string()
}

fn segment(project: &Project, folder: &str, more: &[&str]) -> Ran {
    project.run(&command(&model(), folder, more))
}

/// Pictures in folders, under names that some tools stumble over, and two that are none.
fn pictures(project: &Project) -> usize {
    let png = picture::encode_png(&scene("small").image()).unwrap();
    let names =
        ["a.png", "b c.png", "d'e\".png", "f\ng.png", "\u{e9}.png", "sub/a.png", "sub/sub/a.PNG", "h.jpg"];
    for name in names {
        project.write(&format!("in/{name}"), &png);
    }
    project.write("in/broken.png", &png[..100]);
    project.write("in/empty.png", b"");
    names.len()
}

/// What lies below a folder, but for the manifest, as digests.
fn tree(project: &Project, folder: &str) -> BTreeMap<String, u64> {
    let files = project.files().into_iter().filter_map(|file| {
        let name = file.strip_prefix(folder)?.to_owned();
        let bytes = std::fs::read(project.path(&file)).unwrap();
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        (name != "/percept-run.jsonl").then(|| (name, hasher.finish()))
    });
    files.collect()
}

fn records(project: &Project, folder: &str) -> Vec<serde_json::Value> {
    let text = project.read(&format!("{folder}/percept-run.jsonl"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_as_one_that_is_not() {
    let project = Project::new();
    let good = pictures(&project);
    let whole = segment(&project, "whole", &[]);
    assert_eq!(whole.code, 1, "{}", whole.stderr);
    let model = model();
    for round in 0..12_u64 {
        let mut child = project
            .command(&command(&model, "again", &["--resume"]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(40 + round * 37 % 300));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = segment(&project, "again", &["--resume"]);
    assert_eq!(last.code, 1, "{}", last.stderr);
    assert_eq!(tree(&project, "again"), tree(&project, "whole"));
    // One line an input, in the order of the plan.
    let (ours, theirs) = (records(&project, "again"), records(&project, "whole"));
    let told = |records: &[serde_json::Value]| -> Vec<_> {
        records.iter().map(|record| (record["input"].clone(), record["status"].clone())).collect()
    };
    assert_eq!(told(&ours), told(&theirs));
    assert_eq!(ours.iter().filter(|record| record["status"] == "done").count(), good);
    assert_eq!(ours.len(), good + 2);
}

#[test]
fn only_what_is_missing_or_changed_is_done_again() {
    let project = Project::new();
    let good = pictures(&project);
    assert_eq!(segment(&project, "out", &[]).code, 1);
    let before = tree(&project, "out");
    let resumed = |more: &[&str], done: usize| {
        let ran = segment(&project, "out", more);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let kept = if done == good { String::new() } else { format!(", {} done before", good - done) };
        let told = format!("{done} of {} done{kept}, 2 failed", good + 2);
        assert!(ran.stderr.contains(&told), "{told}: {}", ran.stderr);
        ran
    };
    let ran = resumed(&["--resume"], 0);
    assert!(ran.stderr.contains("--retry-failed"), "{}", ran.stderr);

    std::fs::remove_file(project.path("out/a.segment.json")).unwrap();
    project.write("out/b c.segment.png", b"somebody wrote here");
    std::fs::remove_file(
        project.path("out/sub/a.segment.instances").read_dir().unwrap().next().unwrap().unwrap().path(),
    )
    .unwrap();
    resumed(&["--resume"], 3);
    assert_eq!(tree(&project, "out"), before);

    project.write("in/h.jpg", &picture::encode_png(&scene("landscape").image()).unwrap());
    resumed(&["--resume"], 1);
    resumed(&["--resume", "--score", "0.2"], good);
    resumed(&["--resume", "--score", "0.2"], 0);

    // What failed is tried again when it is asked for, or when it changed.
    project.write("in/empty.png", &picture::encode_png(&scene("small").image()).unwrap());
    let ran = segment(&project, "out", &["--resume", "--score", "0.2"]);
    assert!(
        ran.stderr.contains(&format!("1 of {} done, {good} done before, 1 failed", good + 2)),
        "{}",
        ran.stderr
    );
    let ran = segment(&project, "out", &["--retry-failed", "--score", "0.2"]);
    assert_eq!(ran.code, 1);
    assert!(!ran.stderr.contains("it failed so before"), "{}", ran.stderr);
}

#[test]
fn every_line_is_what_its_schema_says() {
    let project = Project::new();
    pictures(&project);
    assert_eq!(segment(&project, "out", &[]).code, 1);
    let schema = std::fs::read_to_string(root().join("docs/schema/run.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for record in records(&project, "out") {
        let errors = validator.iter_errors(&record).map(|error| error.to_string()).collect::<Vec<_>>();
        assert!(errors.is_empty(), "{errors:?} in {record}");
        assert_eq!(record.get("error").is_some(), record["status"] == "failed");
    }
}

#[test]
fn a_whole_run_becomes_one_file() {
    let project = Project::new();
    let good = pictures(&project);
    let mut run = command("", "out", &[]);
    let model = model();
    for argument in &mut run {
        *argument = match *argument {
            "" => &model,
            "json,png,instances" => "json,coco",
            other => other,
        };
    }
    assert_eq!(project.run(&run).code, 1);
    let export = |format: &str| {
        let ran = project.run(&["manifest", "export", "out", "-f", format]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("results of {good} inputs, 2 failed")), "{}", ran.stderr);
        ran.stdout
    };
    let lines: Vec<serde_json::Value> =
        export("jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), good);
    let instances: usize =
        lines.iter().map(|line| line["result"]["instances"].as_array().unwrap().len()).sum();

    let csv = export("csv");
    assert!(csv.starts_with("input,instance,class,score,left,top,right,bottom,area\n"), "{csv}");
    // A name with a line break is quoted, as is one with quotes.
    assert!(csv.contains("\n\"in/f\ng.png\",1,") && csv.contains("\n\"in/d'e\"\".png\",1,"), "{csv}");
    assert_eq!(export("tsv").lines().count(), 1 + instances + instances / good, "one name has two lines");

    // What is in it is a matter of percept's own tests; a terminal would not want it.
    let ran = project.run(&["manifest", "export", "out", "-f", "parquet", "-o", "all.parquet"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    let parquet = std::fs::read(project.path("all.parquet")).unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));

    let coco: serde_json::Value = serde_json::from_str(&export("coco")).unwrap();
    let (images, annotations) = (coco["images"].as_array().unwrap(), coco["annotations"].as_array().unwrap());
    assert_eq!((images.len(), annotations.len()), (good, instances));
    for (index, annotation) in annotations.iter().enumerate() {
        assert_eq!(annotation["id"], index + 1);
        assert!(images.iter().any(|image| image["id"] == annotation["image_id"]));
        let categories = coco["categories"].as_array().unwrap();
        assert_eq!(categories.iter().filter(|one| one["id"] == annotation["category_id"]).count(), 1);
    }
    let missing = segment(&project, "other", &["--include", "a.*"]);
    assert_eq!(missing.code, 0, "{}", missing.stderr);
    let ran = project.run(&["manifest", "export", "other", "-f", "coco"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("-f coco"), "{}", ran.stderr);
}

#[test]
fn parts_together_are_the_whole() {
    let project = Project::new();
    let good = pictures(&project);
    assert_eq!(segment(&project, "whole", &[]).code, 1);
    for part in ["1/3", "2/3", "3/3"] {
        segment(&project, "parts", &["--shard", part]);
    }
    let files = tree(&project, "parts").into_iter().filter(|(name, _)| !name.ends_with(".jsonl"));
    assert_eq!(files.collect::<BTreeMap<_, _>>(), tree(&project, "whole"));
    let manifests = ["1", "2", "3"].map(|part| format!("parts/percept-run.{part}-of-3.jsonl"));
    let mut merge = vec!["manifest", "merge", "-o", "parts/percept-run.jsonl"];
    merge.extend(manifests.iter().map(String::as_str));
    let merged = project.run(&merge);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    assert!(merged.stderr.contains(&format!("{} inputs, 2 failed", good + 2)), "{}", merged.stderr);
    // The joined manifest is one to go on from.
    let ran = segment(&project, "parts", &["--resume"]);
    assert!(ran.stderr.contains(&format!("0 of {} done, {good} done before", good + 2)), "{}", ran.stderr);
}

#[test]
fn files_in_folders_are_chosen_by_globs() {
    let project = Project::new();
    pictures(&project);
    let planned = |more: &[&str]| {
        let ran = segment(&project, "out", &[&["--dry-run"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let mut inputs: Vec<String> =
            ran.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
        inputs.dedup();
        inputs
    };
    assert_eq!(planned(&["--include", "a.*"]), ["in/a.png", "in/sub/a.png", "in/sub/sub/a.PNG"]);
    assert_eq!(planned(&["--include", "sub/*"]), ["in/sub/a.png"]);
    assert_eq!(planned(&["--include", "a.*", "--exclude", "**/sub/**"]), ["in/a.png"]);
    let wrong = segment(&project, "out", &["--include", "a[", "--dry-run"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[test]
fn without_a_manifest_there_is_nothing_to_go_on_from() {
    let project = Project::new();
    pictures(&project);
    let ran = project.run(&["segment", "in/a.png", "--model", &model(), "--resume"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("--manifest"), "{}", ran.stderr);
    let dry = segment(&project, "out", &["--dry-run"]);
    assert_eq!((dry.code, dry.stdout.lines().count()), (0, 30), "{}", dry.stdout);
    assert!(!project.path("out").exists());
}
