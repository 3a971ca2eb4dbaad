//! A folder of one's own.

use std::fs;
use std::path::PathBuf;

use percept_core::{Error, LocalModel, Result, SourceKind};

use crate::bench::{Bench, weights};
use crate::server::sha256;

fn folder(bench: &Bench, files: &[(&str, &[u8])]) -> PathBuf {
    let folder = bench.folder.path().join("mine");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
    folder
}

fn resolve(bench: &Bench, folder: &std::path::Path) -> Result<LocalModel> {
    bench.hub_with(|options| options.offline = true).resolve("transcribe", folder.to_str())
}

#[test]
fn a_snapshot_is_used_where_it_lies() {
    let bench = Bench::empty();
    let weights = weights();
    let mine = folder(
        &bench,
        &[
            (
                "config.json",
                br#"{"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper"}"#,
            ),
            ("model.safetensors", &weights),
            ("pytorch_model.bin", b"never read"),
            ("tokenizer.json", b"{}"),
            ("notes.txt", b""),
        ],
    );
    let model = resolve(&bench, &mine).unwrap();
    assert_eq!(model.kind, SourceKind::Directory);
    assert_eq!(model.id, mine.to_str().unwrap());
    assert_eq!(model.identifiers, ["WhisperForConditionalGeneration", "whisper"]);
    assert_eq!(
        model.files.keys().collect::<Vec<_>>(),
        ["config.json", "model.safetensors", "tokenizer.json"]
    );
    assert_eq!(model.file("model.safetensors").unwrap(), mine.join("model.safetensors"));
    assert_eq!(model.sha256, sha256(&weights));
    assert!(!bench.cache().exists(), "nothing is copied");
    // Nothing is pinned either: the folder is the user's own to change.
    fs::write(mine.join("model.safetensors"), b"other").unwrap();
    assert_eq!(resolve(&bench, &mine).unwrap().sha256, sha256(b"other"));
}

#[test]
fn a_ctranslate2_folder_is_known_by_its_header() {
    let bench = Bench::empty();
    let header = b"\x06\x00\x00\x00\x0c\x00WhisperSpec\x00\x03\x00\x00\x00";
    let mine =
        folder(&bench, &[("config.json", b"{}"), ("model.bin", header), ("vocabulary.txt", b"a\nb\n")]);
    assert_eq!(resolve(&bench, &mine).unwrap().identifiers, ["WhisperSpec"]);
    let mine = folder(&bench, &[("config.json", b"{}"), ("model.bin", b"PK\x03\x04 a pickle in a zip")]);
    let error = resolve(&bench, &mine).unwrap_err();
    assert!(error.chain().contains("`model.bin` is not a CTranslate2 model"), "{}", error.chain());
}

#[test]
fn shards_have_to_be_all_there() {
    let bench = Bench::empty();
    let index = br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let files: [(&str, &[u8]); 4] = [
        ("config.json", b"{}"),
        ("model.safetensors.index.json", index),
        ("model-00001-of-00002.safetensors", b"1"),
        ("model-00002-of-00002.safetensors", b"2"),
    ];
    assert_eq!(resolve(&bench, &folder(&bench, &files)).unwrap().files.len(), 4);
    match resolve(&bench, &folder(&bench, &files[..3])).unwrap_err() {
        Error::MissingFile { file, .. } => assert_eq!(file, "model-00002-of-00002.safetensors"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_missing_is_named() {
    let bench = Bench::empty();
    for (files, named) in [
        (&[][..], "model.safetensors"),
        (&[("config.json", &b"{}"[..])][..], "model.safetensors"),
        (&[("model.safetensors", &b"x"[..])][..], "config.json"),
    ] {
        let error = resolve(&bench, &folder(&bench, files)).unwrap_err();
        assert!(error.to_string().contains(&format!("has no file `{named}`")), "{error}");
        assert!(error.hint().is_some());
    }
    let broken = folder(&bench, &[("config.json", b"{ not json"), ("model.safetensors", b"x")]);
    assert!(resolve(&bench, &broken).unwrap_err().chain().contains("config.json"));
    let pickled = folder(&bench, &[("config.json", b"{}"), ("pytorch_model.bin", b"x")]);
    assert!(resolve(&bench, &pickled).unwrap_err().to_string().contains("safetensors are needed"));
}

/// A folder without a slash in its name, relative to where the process runs: this crate's own `src`.
#[test]
fn a_plain_name_is_a_folder_where_no_model_has_it() {
    let bench = Bench::empty();
    let error = bench.hub().resolve("transcribe", Some("src")).unwrap_err();
    assert!(matches!(error, Error::MissingFile { .. }), "{error:?}");
    let error = bench.hub().resolve("transcribe", Some("no-such-folder")).unwrap_err();
    assert!(matches!(error, Error::UnknownModel { .. }), "{error:?}");
}
