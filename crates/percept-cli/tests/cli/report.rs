//! `--report`, and `percept manifest report`: a page of a whole run.

use percept::media::picture;

use crate::project::{Project, Ran, root};
use crate::scenes::scene;

/// A name that would be markup if it were not escaped; Windows has no such names.
#[cfg(unix)]
const HOSTILE: &str = "<img src=x onerror=alert(1)>.png";
#[cfg(not(unix))]
const HOSTILE: &str = "&lt;.png";

fn segment(project: &Project, more: &[&str]) -> Ran {
    let model = root().join("tests/models/shapes-segformer").display().to_string();
    let mut all = vec!["segment", "in", "-o", "out", "--model", &model, "--precision", "f32"];
    all.extend(more);
    project.run(&all)
}

fn pictures(project: &Project) {
    let png = picture::encode_png(&scene("small").image()).unwrap();
    for name in ["a.png", "sub/b.png", HOSTILE] {
        project.write(&format!("in/{name}"), &png);
    }
    project.write("in/broken.png", &png[..100]);
}

/// The results of a page.
fn items(page: &str) -> Vec<serde_json::Value> {
    let (_, rest) = page.split_once(r#"<script type="application/json" id="items">"#).unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn a_run_and_its_manifest_make_one_page() {
    let project = Project::new();
    pictures(&project);
    let ran = segment(&project, &["-f", "json,png", "--report", "pages/report.html"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("report `pages/report.html`: results of 3 inputs, 1 failed"),
        "{}",
        ran.stderr
    );
    let page = project.read("pages/report.html");
    let ran = project.run(&["manifest", "report", "out", "-o", "pages/again.html"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(project.read("pages/again.html"), page);

    assert!(page.contains(r#"<a href="../in/broken.png">in/broken.png</a>"#));
    assert!(!page.contains("<img"), "a name became markup");
    let items = items(&page);
    let names: Vec<&str> = items.iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 3);
    assert!(names.contains(&format!("in/{HOSTILE}").as_str()), "{names:?}");
    let classes: Vec<String> = scene("small").classes().into_iter().map(|(class, _)| class).collect();
    for item in &items {
        assert!(item["picture"]["source"].as_str().unwrap().starts_with("data:image/jpeg;base64,"));
        let found = item["found"].as_array().unwrap();
        // Stuff around the shapes may be a class too.
        for class in &classes {
            assert!(found.iter().any(|found| found["class"] == class.as_str()), "{class} in {found:?}");
        }
        let outputs: Vec<&str> =
            item["outputs"].as_array().unwrap().iter().map(|output| output[1].as_str().unwrap()).collect();
        assert!(outputs[0].starts_with("../out/") && outputs[0].ends_with(".segment.json"), "{outputs:?}");
    }

    // To standard output, links are from here.
    let ran = project.run(&["manifest", "report", "out"]);
    assert!(ran.code == 0 && ran.stdout.contains(r#"<a href="in/broken.png">"#), "{}", ran.stderr);
}

#[test]
fn recordings_are_played_from_where_they_lie() {
    let project = Project::new();
    project.speech("in/a b.wav", 5.0);
    project.write("in/broken.wav", b"RIFF this is no sound at all");
    let ran = project.transcribe(&["in", "-o", "out", "-f", "json,txt", "--report", "out/report.html"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let page = project.read("out/report.html");
    let items = items(&page);
    let json: serde_json::Value = serde_json::from_str(&project.read("out/a b.json")).unwrap();
    assert_eq!((items.len(), &items[0]["link"]), (1, &"../in/a%20b.wav".into()));
    let texts = |segments: &serde_json::Value| -> Vec<_> {
        let segments = segments.as_array().unwrap().iter();
        segments.map(|one| (one["start"].clone(), one["text"].clone())).collect()
    };
    let said = texts(&json["result"]["segments"]);
    assert_eq!(texts(&items[0]["speech"]["segments"]), said);
    assert!(!said.is_empty() && page.contains("../in/broken.wav"));
}

#[test]
fn a_report_needs_a_manifest_and_a_place() {
    let project = Project::new();
    pictures(&project);
    let model = root().join("tests/models/shapes-segformer").display().to_string();
    let ran = project.run(&["segment", "in/a.png", "--model", &model, "--report", "report.html"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("--manifest"), "{}", ran.stderr);

    project.write("report.html", b"mine");
    let ran = segment(&project, &["--report", "report.html"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("report.html") && ran.stderr.contains("-y"), "{}", ran.stderr);
    assert!(project.read("report.html") == "mine" && !project.path("out").exists());

    // Without JSON there is a page all the same, and it says what it lacks.
    let ran = segment(&project, &["-f", "png", "--report", "report.html", "-y"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let page = project.read("report.html");
    assert!(page.contains("The run wrote no JSON"));
    assert!(items(&page).iter().all(|item| item.get("found").is_none() && item.get("picture").is_some()));
    let ran = project.run(&["manifest", "report", "nowhere"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}
