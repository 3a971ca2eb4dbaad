//! What `percept doctor` finds.

use crate::project::{Project, finish};

fn found(project: &Project, isa: Option<&str>, arguments: &[&str]) -> serde_json::Value {
    let mut command = project.command(&[&["doctor", "--json"], arguments].concat());
    match isa {
        Some(isa) => command.env("PERCEPT_ISA", isa),
        None => command.env_remove("PERCEPT_ISA"),
    };
    let ran = finish(command.output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn the_machine_the_build_and_the_cache_are_described() {
    let project = Project::new();
    let json = found(&project, None, &["--threads", "1"]);
    assert_eq!(json["build"]["version"], env!("CARGO_PKG_VERSION"));
    for (feature, built) in [
        ("video", cfg!(feature = "video")),
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
    ] {
        assert_eq!(json["build"][feature], built, "{feature}");
    }
    assert_eq!(json["threads"], 1);
    assert_eq!(json["machine"]["instruction_set"], json["machine"]["detected"]);
    for precision in ["f32", "bf16", "int8"] {
        assert!(json["rates"][precision].as_f64().unwrap() > 0.0, "{precision}");
    }
    assert!(json["cache"]["free_bytes"].as_u64().unwrap() > 0);
    assert!(json["cache"]["path"].as_str().unwrap().starts_with(project.path(".home").to_str().unwrap()));
    assert_eq!(json["cache"]["offline"], true);
    assert_eq!(json["models"], serde_json::json!([]));
}

#[test]
fn the_environment_sets_a_lower_instruction_set() {
    let project = Project::new();
    let portable = found(&project, Some("portable"), &[]);
    assert_eq!(portable["machine"]["instruction_set"], "portable");
    assert_eq!(portable["machine"]["limit"], serde_json::json!({"text": "portable", "known": true}));
    let unknown = found(&project, Some("sse9"), &[]);
    assert_eq!(unknown["machine"]["instruction_set"], unknown["machine"]["detected"]);
    assert_eq!(unknown["machine"]["limit"]["known"], false);
}

#[test]
fn people_get_lines() {
    let project = Project::new();
    let ran = finish(project.command(&["doctor"]).env("PERCEPT_ISA", "sse9").output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    let first = format!("percept {}\n", env!("CARGO_PKG_VERSION"));
    assert!(ran.stdout.starts_with(&first), "{ran:?}");
    for part in
        ["PERCEPT_ISA=sse9 names no", "billion operations", "not used (offline)", "models here   none"]
    {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
}
