//! `percept models`: what is listed, shown, removed.

use std::fs;

use percept_core::Error;
use percept_hub::Refetch;

use crate::bench::{Bench, CONFIG, TOKENIZER, weights};
use crate::server::{COMMIT, NEXT_COMMIT, sha256};

#[test]
fn a_list_says_what_is_here() {
    let bench = Bench::new();
    let list = bench.hub().list(None).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].name.as_str(), list[0].here, list[0].bytes), ("toy", false, None));
    assert!(bench.server.log().is_empty());
    bench.hub().resolve("transcribe", None).unwrap();
    bench.hub().resolve("transcribe", Some("org/toy@main")).unwrap();
    let list = bench.hub().list(Some("transcribe")).unwrap();
    assert_eq!(list.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["toy", "org/toy@main"]);
    let total = (weights().len() + CONFIG.len() + TOKENIZER.len()) as u64;
    assert!(list.iter().all(|model| model.here && model.bytes == Some(total)), "{list:?}");
    assert!(bench.hub().list(Some("depth")).unwrap().is_empty());
}

#[test]
fn show_has_the_files_and_serialises() {
    let bench = Bench::new();
    bench.hub().pull("toy", Refetch::Missing).unwrap();
    let json = serde_json::to_value(bench.hub().show("toy").unwrap()).unwrap();
    assert_eq!(json["parameters"], 10);
    assert_eq!(json["revision"], COMMIT);
    assert_eq!(json["files"][1]["name"], "model.safetensors");
    assert_eq!(json["files"][1]["sha256"], sha256(&weights()));
    assert_eq!(bench.hub().show("toi").unwrap_err().hint().as_deref(), Some("did you mean `toy`?"));
}

#[test]
fn path_and_verify_want_a_model_that_is_here() {
    let bench = Bench::new();
    let hint = bench.hub().path("toy").unwrap_err().hint().unwrap();
    assert!(hint.contains("percept models pull toy"), "{hint}");
    assert!(bench.hub().verify(Some("toy")).is_err());
    assert!(bench.hub().verify(None).unwrap().is_empty());
    bench.hub().pull("toy", Refetch::Missing).unwrap();
    assert_eq!(bench.hub().path("toy").unwrap(), bench.snapshot());
    let checks = bench.hub().verify(None).unwrap();
    assert_eq!((checks.len(), checks[0].ok, checks[0].files.len()), (1, true, 3));
    assert!(checks[0].files.iter().all(|file| file.want == file.got && file.got.is_some()), "{checks:?}");
}

#[test]
fn rm_gives_the_room_back_and_leaves_other_revisions() {
    let bench = Bench::new();
    bench.hub().pull("toy", Refetch::Missing).unwrap();
    bench.server.point("org/toy", "old", NEXT_COMMIT);
    for (file, content) in [("config.json", CONFIG.as_bytes()), ("model.safetensors", &[9; 20_000][..])] {
        bench.server.put("org/toy", NEXT_COMMIT, file, content);
    }
    bench.hub().pull("org/toy@old", Refetch::Missing).unwrap();
    let removed = bench.hub().rm("toy").unwrap();
    assert_eq!(removed.bytes, (weights().len() + CONFIG.len() + TOKENIZER.len()) as u64);
    assert!(!bench.blob().exists() && !bench.snapshot().exists());
    assert!(bench.hub().verify(Some("org/toy@old")).unwrap()[0].ok, "config.json is shared with it");
    assert!(matches!(bench.hub().rm("toy"), Err(Error::Argument { .. })));
    bench.hub().rm("org/toy@old").unwrap();
    assert!(!bench.repository().exists());
    assert!(!fs::read_to_string(bench.home().join("models.lock")).unwrap().contains("org/toy"));
}
