//! The cache is shared with `huggingface_hub`: what one fetches, the other finds.
//!
//! Needs a Python with that package: `PERCEPT_PYTHON=/opt/ref/bin/python cargo test -p percept-hub`.
//! The layout itself is checked without Python in `pull.rs` and `cached.rs`.

use std::fs;
use std::process::Command;

use crate::bench::{Bench, closed_port, weights};
use crate::server::sha256;

fn python(bench: &Bench, script: &str) -> Option<String> {
    let program = std::env::var("PERCEPT_PYTHON").ok()?;
    let output = Command::new(program)
        .args(["-c", script])
        .env("HF_HUB_CACHE", bench.cache())
        .env("HF_HOME", bench.folder.path().join("hf"))
        .env("HF_ENDPOINT", &bench.server.endpoint)
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn huggingface_hub_finds_what_was_fetched_here() {
    let bench = Bench::new();
    bench.hub().resolve("transcribe", None).unwrap();
    let script = r#"
from huggingface_hub import try_to_load_from_cache, scan_cache_dir, snapshot_download
print(try_to_load_from_cache("org/toy", "model.safetensors"))
print([r.repo_id for r in scan_cache_dir().repos], scan_cache_dir().warnings)
print(snapshot_download("org/toy", local_files_only=True))
"#;
    let Some(output) = python(&bench, script) else { return };
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], bench.snapshot().join("model.safetensors").to_str().unwrap());
    assert_eq!(lines[1], "['org/toy'] []");
    assert_eq!(lines[2], bench.snapshot().to_str().unwrap());
}

#[test]
fn what_huggingface_hub_fetched_is_used_here() {
    let bench = Bench::new();
    let script = r#"
from huggingface_hub import hf_hub_download
for f in ["config.json", "tokenizer.json", "model.safetensors"]:
    hf_hub_download("org/toy", f)
"#;
    if python(&bench, script).is_none() {
        return;
    }
    let model =
        bench.hub_with(|options| options.endpoint = closed_port()).resolve("transcribe", None).unwrap();
    assert_eq!(model.sha256, sha256(&weights()));
    assert_eq!(fs::read(model.file("model.safetensors").unwrap()).unwrap(), weights());
}
