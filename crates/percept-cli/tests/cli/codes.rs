//! Exit codes, and what is said with them.

use crate::project::{Project, finish};

#[test]
fn wrong_usage_is_2() {
    let project = Project::new();
    project.speech("a.wav", 1.0);
    for arguments in [
        &["transcribe"][..],
        &["transcribe", "a.wav", "--no-such-flag"],
        &["transcribe", "a.wav", "--device", "gpu"],
        &["transcribe", "a.wav", "--beam-size", "0"],
        &["transcribe", "a.wav", "--no-timestamps", "--word-timestamps"],
        &["transcribe", "absent.wav"],
        &["no-such-command"],
    ] {
        let ran = project.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?} {ran:?}");
        assert!(ran.stdout.is_empty() && ran.stderr.starts_with("error: "), "{ran:?}");
    }
}

#[test]
fn a_model_that_cannot_be_had_is_3() {
    let project = Project::new();
    project.speech("a.wav", 1.0);
    let unknown = project.run(&["transcribe", "a.wav", "--model", "whisper-tny"]);
    assert_eq!(unknown.code, 3, "{unknown:?}");
    assert!(unknown.stderr.contains("hint: did you mean `whisper-tiny`?"), "{unknown:?}");

    let absent = project.run(&["transcribe", "a.wav", "--offline"]);
    assert_eq!(absent.code, 3, "{absent:?}");
    assert!(absent.stderr.contains("whisper-base") && absent.stderr.contains("hint: "), "{absent:?}");

    project.write("other/config.json", br#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}"#);
    project.write("other/model.safetensors", b"");
    let other = project.run(&["transcribe", "a.wav", "--model", "./other"]);
    assert_eq!(other.code, 3, "{other:?}");
    assert!(other.stderr.contains("LlamaForCausalLM"), "{other:?}");
    assert!(other.stderr.contains("WhisperForConditionalGeneration"), "{other:?}");
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_device_that_is_not_there_is_3_and_never_another() {
    let project = Project::new();
    project.speech("a.wav", 1.0);
    let ran = project.transcribe(&["a.wav", "--device", "cuda"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("cuda:0") && ran.stderr.contains("--device cpu"), "{ran:?}");
}

#[test]
fn a_damaged_model_is_an_error_and_no_panic() {
    let project = Project::new();
    project.speech("a.wav", 1.0);
    let golden = crate::project::root().join("tests/golden/whisper/f32");
    let whole = std::fs::read(golden.join("model.safetensors")).unwrap();
    for (name, weights) in [("cut", &whole[..whole.len() / 2]), ("empty", &[][..]), ("header", &whole[..100])]
    {
        for file in ["config.json", "generation_config.json", "tokenizer.json"] {
            project.write(&format!("{name}/{file}"), &std::fs::read(golden.join(file)).unwrap());
        }
        project.write(&format!("{name}/model.safetensors"), weights);
        let ran = project.run(&["transcribe", "a.wav", "--model", &format!("./{name}")]);
        assert_eq!(ran.code, 3, "{name} {ran:?}");
        assert!(ran.stderr.starts_with("error: ") && !ran.stderr.contains("panicked"), "{name} {ran:?}");
    }
}

#[test]
fn an_unknown_language_names_the_known_ones() {
    let project = Project::new();
    project.speech("a.wav", 1.0);
    let ran =
        project.run(&["transcribe", "a.wav", "--model", &crate::project::tiny_whisper(), "--language", "xx"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("it knows: en de fr"), "{ran:?}");
}

#[test]
fn help_and_version_are_data() {
    let project = Project::new();
    for arguments in
        [&["--help"][..], &["transcribe", "--help"], &["models", "pull", "--help"], &["--version"]]
    {
        let ran = project.run(arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains("percept") && ran.stderr.is_empty(), "{ran:?}");
    }
    assert!(project.run(&["completions", "bash"]).stdout.contains("transcribe"));
    assert!(project.run(&["man"]).stdout.contains(".SH SYNOPSIS"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_batch_keeps_what_is_finished_and_exits_130() {
    let project = Project::new();
    for index in 0..200 {
        project.speech(&format!("in/{index:03}.wav"), 6.0);
    }
    let model = crate::project::tiny_whisper();
    let arguments = ["transcribe", "in", "-o", "out", "--model", &model, "--beam-size", "5"];
    let mut command = project.command(&arguments);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while !project.path("out/002.txt").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let ran = finish(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran:?}");
    let (manifest, done): (Vec<_>, Vec<_>) = project
        .files()
        .into_iter()
        .filter(|file| file.starts_with("out"))
        .partition(|file| file == "out/percept-run.jsonl");
    assert_eq!(manifest.len(), 1);
    assert_eq!(project.read(&manifest[0]).lines().count(), done.len());
    assert!(done.len() >= 3 && done.len() < 200, "{}", done.len());
    assert!(done.iter().all(|file| file.ends_with(".txt")), "{done:?}");
    assert_eq!(ran.stdout.lines().count(), done.len());
}
