//! `percept caption`: what its options do, and what its files say. Most networks have random weights
//! (`tests/golden/caption`): it is not what they say that counts, but that all forms of it agree.

use percept::media::picture;
use serde_json::Value;

use crate::project::{Project, Ran, follows_its_schema, root};
use crate::scenes::scene;

fn model(name: &str) -> String {
    root().join("tests/golden/caption").join(name).display().to_string()
}

fn caption(project: &Project, name: &str, more: &[&str]) -> Ran {
    let model = model(name);
    project.run(&[&["caption", "--model", &model, "--no-timings", "--precision", "f32"], more].concat())
}

fn project() -> Project {
    let project = Project::new();
    for name in ["a.png", "more/b.png"] {
        project.write(name, &picture::encode_png(&scene("landscape").image()).unwrap());
    }
    project
}

fn parsed(text: &str) -> Value {
    let value = serde_json::from_str(text).unwrap();
    follows_its_schema(&value, "caption.json");
    value
}

#[test]
fn a_picture_has_a_line_and_a_folder_has_sidecars() {
    let project = project();
    let one = caption(&project, "blip", &["a.png"]);
    assert_eq!((one.code, one.stdout.lines().count()), (0, 1), "{}", one.stderr);
    assert!(one.stdout.trim().len() > 1);
    let all = caption(&project, "blip", &[".", "-f", "txt,json", "--xmp", "--num", "3"]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    for stem in ["a", "more/b"] {
        let said = parsed(&project.read(&format!("{stem}.caption.json")));
        let captions = said["result"]["captions"].as_array().unwrap();
        assert_eq!(captions.len(), 3);
        let score = |caption: &Value| caption["score"].as_f64().unwrap();
        assert!(captions.windows(2).all(|pair| score(&pair[0]) >= score(&pair[1])), "{captions:?}");
        let text = project.read(&format!("{stem}.txt"));
        assert_eq!(text.trim_end(), captions[0]["text"].as_str().unwrap());
        assert!(project.read(&format!("{stem}.xmp")).contains(text.trim_end()));
        assert!(captions[0]["tokens"][0]["log_probability"].as_f64().unwrap() <= 0.0);
    }
}

#[test]
fn a_seed_repeats_what_was_drawn() {
    let project = project();
    let drawn = |seed: &str| {
        let more =
            ["a.png", "-f", "json", "--temperature", "2", "--top-k", "20", "--num", "2", "--seed", seed];
        let ran = caption(&project, "git", &more);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let first = drawn("1");
    assert_eq!(parsed(&first)["runtime"]["seed"], 1);
    assert_eq!(first, drawn("1"));
    assert_ne!(parsed(&first)["result"], parsed(&drawn("2"))["result"]);
}

#[test]
fn a_limit_is_kept_and_a_prompt_begins() {
    let project = project();
    let tokens = |more: &[&str]| {
        let ran = caption(&project, "blip", &[&["a.png", "-f", "json", "--beams", "1"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        parsed(&ran.stdout)["result"]["captions"][0]["tokens"].as_array().unwrap().len()
    };
    assert_eq!(tokens(&["--max-tokens", "3"]), 3);
    assert!(tokens(&["--min-tokens", "9", "--max-tokens", "12"]) >= 9);
    let wrong = caption(&project, "blip", &["a.png", "--num", "4", "--beams", "2"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("--beams"), "{}", wrong.stderr);
}

#[test]
fn texts_are_ranked() {
    let project = project();
    let ran = caption(&project, "coca", &["--rank", "a cat", "a dog", "a.png"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 2), "{}", ran.stderr);
    let parts: Vec<f64> =
        ran.stdout.lines().map(|line| line.split('\t').next().unwrap().parse().unwrap()).collect();
    assert!(parts[0] >= parts[1] && (parts.iter().sum::<f64>() - 1.0).abs() < 2e-4, "{parts:?}");
    let said =
        parsed(&caption(&project, "coca", &["a.png", "-f", "json", "--rank", "a cat", "a dog"]).stdout);
    assert_eq!(said["result"]["ranks"][1]["text"], "a dog");
    let cannot = caption(&project, "blip", &["--rank", "a cat", "a.png"]);
    assert!(cannot.code != 0 && cannot.stderr.contains("CoCa"), "{}", cannot.stderr);
}

#[test]
fn every_architecture_says_something() {
    let project = project();
    for name in ["blip", "git", "coca", "vit-gpt2"] {
        let ran =
            caption(&project, name, &["a.png", "--raw", &format!("{name}.safetensors"), "--beams", "1"]);
        assert_eq!((ran.code, ran.stdout.lines().count()), (0, 1), "{name}: {}", ran.stderr);
        assert!(project.path(&format!("{name}.safetensors")).is_file());
    }
}

/// A small model that was trained on drawn shapes (`tests/models/shapes-caption`), on pictures that it has not seen
/// (`tests/golden/shapes-caption`): it says what transformers makes of it, and what is true.
#[test]
fn what_is_said_of_shapes_is_true() {
    let folder = root().join("tests/golden/shapes-caption");
    let lines = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["pictures"].as_array().unwrap().clone()
    };
    let (truth, reference) = (lines("truth.json"), lines("reference.json"));
    let model = root().join("tests/models/shapes-caption").display().to_string();
    let pictures = folder.display().to_string();
    for (beams, key) in [("1", "greedy"), ("3", "beams")] {
        let project = Project::new();
        let given = ["caption", &pictures, "--include", "*.png", "--model", &model, "--precision", "f32"];
        let asked = ["--beams", beams, "--max-tokens", "20", "-f", "txt,json", "-o", "out/"];
        let ran = project.run(&[&given[..], &asked].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let mut right = 0;
        for (said, theirs) in truth.iter().zip(&reference) {
            assert_eq!(said["file"], theirs["file"]);
            let stem = said["file"].as_str().unwrap().trim_end_matches(".png");
            let card = parsed(&project.read(&format!("out/{stem}.caption.json")));
            let ours = &card["result"]["captions"][0];
            let ids = |tokens: &Value| {
                let tokens = tokens.as_array().unwrap().iter();
                tokens.map(|token| token["id"].as_u64().or(token.as_u64()).unwrap()).collect::<Vec<_>>()
            };
            // Theirs begins with the token that every text begins with.
            assert_eq!(ids(&ours["tokens"]), ids(&theirs[key]["ids"])[1..], "{stem}");
            assert_eq!(ours["text"], theirs[key]["text"]);
            right += usize::from(project.read(&format!("out/{stem}.txt")).trim_end() == said["sentence"]);
        }
        // Of 600 others it says 99 % right.
        assert!(right + 1 >= truth.len(), "{right} of {} are true", truth.len());
    }
}
