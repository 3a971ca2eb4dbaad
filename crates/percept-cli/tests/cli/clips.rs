//! `percept detect` and `percept pose` on clips: with the cargo feature `video` what comes out, without it how to get it. The
//! networks have random weights.

use crate::project::{Project, Ran, root};

fn project() -> Project {
    let project = Project::new();
    project.write("clip.mp4", &std::fs::read(root().join("tests/golden/clips/plain.mp4")).unwrap());
    project
}

fn detect(project: &Project, more: &[&str]) -> Ran {
    let model = root().join("tests/golden/yolos/plain").display().to_string();
    project.run(&[&["detect", "--model", &model, "--no-timings", "--precision", "f32"], more].concat())
}

#[test]
fn what_takes_no_clips_says_what_does() {
    let project = project();
    let ran = project.run(&["segment", "clip.mp4", "--model", "grabcut", "--box", "1,1,20,20"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("it is an MP4 or QuickTime video, not a picture"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`percept detect` and `percept pose`"), "{}", ran.stderr);
    assert_eq!(ran.stderr.contains("--features video"), !cfg!(feature = "video"), "{}", ran.stderr);
}

#[cfg(not(feature = "video"))]
#[test]
fn without_the_feature_it_is_told_how_to_get_it() {
    let project = project();
    for arguments in
        [&["clip.mp4"][..], &["a.png", "--track"], &["a.png", "-o", "a.mp4"], &["a.png", "--every", "2"]]
    {
        let ran = detect(&project, arguments);
        assert_eq!(ran.code, 2, "{arguments:?} {}", ran.stderr);
        assert!(ran.stderr.contains("build percept with `--features video`"), "{arguments:?} {}", ran.stderr);
    }
}

#[cfg(feature = "video")]
mod with_video {
    use percept::media::video::Clip;
    use serde_json::Value;

    use super::*;

    fn lines(text: &str) -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn follow_their_schema(lines: &[Value]) {
        let schema = std::fs::read_to_string(root().join("docs/schema/clip.json")).unwrap();
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        for line in lines {
            let errors = validator.iter_errors(line).map(|error| error.to_string()).collect::<Vec<_>>();
            assert!(errors.is_empty(), "{errors:?} {line}");
        }
    }

    /// All but those of the home of the program.
    fn files(project: &Project) -> Vec<String> {
        project.files().into_iter().filter(|file| !file.starts_with(".home")).collect()
    }

    fn frames(project: &Project, name: &str) -> Clip {
        Clip::open(&project.path(name), 1.try_into().unwrap(), Default::default()).unwrap()
    }

    #[test]
    fn a_clip_becomes_lines_and_a_drawn_clip() {
        let project = project();
        let ran = detect(&project, &["clip.mp4", "--score", "0.2", "--batch", "5"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let alone = lines(&ran.stdout);
        follow_their_schema(&alone);
        assert_eq!((alone.len(), &alone[0]["input"]["path"]), (13, &Value::from("clip.mp4")));
        assert_eq!(alone[12]["frame"], 11);
        assert!((alone[12]["time"].as_f64().unwrap() - 0.367_033).abs() < 1e-5, "{}", alone[12]);
        assert_eq!(files(&project), ["clip.mp4"]);

        let ran = detect(
            &project,
            &["clip.mp4", "--every", "4", "--score", "0.2", "-o", "out/", "-f", "jsonl,mp4"],
        );
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let some = lines(&project.read("out/clip.detect.jsonl"));
        assert_eq!((some.len(), &some[0]["every"]), (4, &Value::from(4)));
        for (some, all) in some[1..].iter().zip(alone[1..].iter().step_by(4)) {
            assert_eq!((&some["frame"], &some["result"]), (&all["frame"], &all["result"]));
        }
        let drawn = frames(&project, "out/clip.detect.mp4");
        assert_eq!((drawn.info().width, drawn.info().height), (96, 64));
        assert!((drawn.info().frame_rate.unwrap() - 29.97 / 4.0).abs() < 0.01, "{:?}", drawn.info());
        assert_eq!(drawn.map(|frame| frame.unwrap().number).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(files(&project), ["clip.mp4", "out/clip.detect.jsonl", "out/clip.detect.mp4"]);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let project = project();
        project.write("a.png", b"\x89PNG\r\n\x1a\n");
        for (arguments, said) in [
            (&["clip.mp4", "a.png"][..], "`a.png` is no video"),
            (&["clip.mp4", "-f", "png"], "png is a format of pictures"),
            (&["clip.mp4", "-f", "mp4", "-o", "-"], "not to standard output"),
            (&["clip.mp4", "--raw", "x"], "--raw is of pictures"),
            (&["clip.mp4", "-o", "clip.mp4", "-y"], "input"),
        ] {
            let ran = detect(&project, arguments);
            assert_eq!(ran.code, 2, "{arguments:?} {}", ran.stderr);
            assert!(ran.stderr.contains(said), "{arguments:?} {}", ran.stderr);
        }
        // What breaks in the middle leaves nothing.
        let whole = std::fs::read(root().join("tests/golden/clips/plain.mp4")).unwrap();
        project.write("broken.mp4", &whole[..60]);
        let ran = detect(&project, &["broken.mp4", "-o", "out/", "-f", "jsonl,mp4"]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert_eq!(files(&project), ["a.png", "broken.mp4", "clip.mp4"]);
    }

    #[test]
    fn poses_of_a_clip() {
        let project = project();
        let model = root().join("tests/golden/vitpose/simple").display().to_string();
        let start = ["pose", "clip.mp4", "--model", &model, "--no-timings", "--every", "6"];
        let ran = project.run(&[&start[..], &["--whole"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let said = lines(&ran.stdout);
        follow_their_schema(&said);
        assert_eq!((said.len(), said[2]["result"]["poses"].as_array().unwrap().len()), (3, 1));
        let ran = project.run(&[&start[..], &["--whole", "--track"]].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        let detector = root().join("tests/golden/yolos/plain").display().to_string();
        let found = ["--detector", &detector, "--class", "0,1,2,3", "--track", "--detect-score", "0.1"];
        let ran = project.run(&[&start[..], &found].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let poses = lines(&ran.stdout)[1]["result"]["poses"].as_array().unwrap().clone();
        assert!(poses.iter().all(|pose| pose["track"].as_u64().is_some()), "{poses:?}");
    }
}
