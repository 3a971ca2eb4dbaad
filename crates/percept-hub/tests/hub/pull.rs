//! What goes right: a pull, its traces on disk, and what it spares the next one.

use std::fs;

use percept_core::SourceKind;
use percept_hub::{Refetch, Token};

use crate::bench::{Bench, CONFIG, weights};
use crate::server::{COMMIT, Fault, NEXT_COMMIT, Request, git_sha1, sha256};

#[test]
fn a_clean_pull_lands_in_the_layout_of_the_hugging_face_cache() {
    let bench = Bench::new();
    let model = bench.hub().resolve("transcribe", None).unwrap();

    assert_eq!(model.id, "toy");
    assert_eq!((model.kind, model.source.as_str()), (SourceKind::Hub, "hub:org/toy"));
    assert_eq!(model.revision.as_deref(), Some(COMMIT));
    assert_eq!(model.license.as_deref(), Some("Apache-2.0"));
    assert_eq!(model.identifiers, ["ToyForTests", "toy"]);
    assert_eq!(model.sha256, sha256(&weights()));
    assert_eq!(
        model.files.keys().collect::<Vec<_>>(),
        ["config.json", "model.safetensors", "tokenizer.json"]
    );
    assert_eq!(fs::read(model.file("model.safetensors").unwrap()).unwrap(), weights());

    let root = bench.repository();
    assert_eq!(fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fs::read(root.join("blobs").join(sha256(&weights()))).unwrap(), weights());
    assert_eq!(fs::read_to_string(root.join("blobs").join(git_sha1(CONFIG.as_bytes()))).unwrap(), CONFIG);
    let target = fs::read_link(bench.snapshot().join("model.safetensors")).unwrap();
    assert_eq!(target, std::path::Path::new("../../blobs").join(sha256(&weights())));
    assert!(!bench.incomplete().exists());
    assert!(
        bench.server.log().iter().all(|request| !request.path.contains("README")),
        "what is not needed stays there"
    );
    assert_eq!(bench.lines()[0], "toy: fetching from hub:org/toy");
}

#[test]
fn what_is_here_is_used_without_a_request_and_without_being_read_again() {
    let bench = Bench::new();
    bench.hub().resolve("transcribe", None).unwrap();
    bench.server.clear_log();
    bench.lines.lock().unwrap().clear();
    let model = bench.hub().resolve("transcribe", Some("toy")).unwrap();
    assert_eq!(model.sha256, sha256(&weights()));
    assert!(bench.server.log().is_empty(), "{:?}", bench.server.log());
    assert!(bench.lines().is_empty(), "{:?}", bench.lines());
}

#[test]
fn the_token_goes_to_the_hub_and_not_to_where_it_redirects() {
    let bench = Bench::new();
    let hub = bench.hub_with(|options| options.token = Token::new("hf_secret"));
    hub.resolve("transcribe", None).unwrap();
    let log = bench.server.log();
    let (hub, cdn): (Vec<_>, Vec<_>) = log.iter().partition(|request| request.origin == "hub");
    assert!(hub.iter().all(|request| request.header("authorization") == Some("Bearer hf_secret")), "{hub:?}");
    assert_eq!(cdn.len(), 1);
    assert_eq!(cdn[0].header("authorization"), None);
    assert!(!format!("{cdn:?}").contains("hf_secret"));
    assert!(!fs::read_to_string(bench.home().join("models.lock")).unwrap().contains("hf_secret"));
}

#[test]
fn no_token_is_sent_where_there_is_none() {
    let bench = Bench::new();
    bench.hub().resolve("transcribe", None).unwrap();
    assert!(bench.server.log().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_cut_connection_is_resumed_where_it_was_cut() {
    let bench = Bench::new();
    bench.server.fail("cdn:model.safetensors", 1, Fault::Cut(100_000));
    bench.server.fail("cdn:model.safetensors", 1, Fault::Cut(50_000));
    let model = bench.hub().resolve("transcribe", None).unwrap();
    assert_eq!(fs::read(model.file("model.safetensors").unwrap()).unwrap(), weights());
    let ranges: Vec<_> =
        bench.server.bodies().iter().map(|request| request.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-".into()), Some("bytes=150000-".into())]);
}

#[test]
fn a_later_run_goes_on_where_an_earlier_one_gave_up() {
    let bench = Bench::new();
    bench.server.fail("cdn:model.safetensors", 1, Fault::Cut(300_000));
    bench.server.fail("cdn:model.safetensors", 9, Fault::Cut(0));
    let error = bench.hub().resolve("transcribe", None).unwrap_err();
    assert!(error.hint().unwrap().contains("what has arrived is kept"), "{error:?}");
    assert_eq!(fs::metadata(bench.incomplete()).unwrap().len(), 300_000);
    assert!(!bench.blob().exists());
    assert!(!bench.snapshot().join("model.safetensors").exists());

    bench.server.heal();
    bench.server.clear_log();
    let pulled = bench.hub().pull("toy", Refetch::Missing).unwrap();
    assert_eq!(pulled.received, weights().len() as u64 - 300_000);
    assert_eq!(bench.server.bodies()[0].header("range"), Some("bytes=300000-"));
    assert_eq!(fs::read(bench.blob()).unwrap(), weights());
}

#[test]
fn a_server_without_ranges_costs_time_only() {
    let bench = Bench::new();
    bench.server.fail("cdn:model.safetensors", 1, Fault::Cut(100_000));
    bench.server.fail("cdn:model.safetensors", 1, Fault::Whole);
    bench.hub().resolve("transcribe", None).unwrap();
    assert_eq!(fs::read(bench.blob()).unwrap(), weights());
}

#[test]
fn a_stalled_body_is_given_up_and_resumed() {
    let bench = Bench::new();
    bench.server.fail("cdn:model.safetensors", 1, Fault::Stall(200_000));
    bench.hub().resolve("transcribe", None).unwrap();
    assert_eq!(bench.server.bodies()[1].header("range"), Some("bytes=200000-"));
}

#[test]
fn a_partial_file_of_other_content_is_fetched_anew() {
    let bench = Bench::new();
    fs::create_dir_all(bench.incomplete().parent().unwrap()).unwrap();
    fs::write(bench.incomplete(), vec![7; 1000]).unwrap();
    bench.hub().resolve("transcribe", None).unwrap();
    assert_eq!(fs::read(bench.blob()).unwrap(), weights());
    assert_eq!(bench.server.bodies().len(), 2);
    fs::remove_file(bench.blob()).unwrap();
    // Longer than the file itself: nothing of it can be right.
    fs::write(bench.incomplete(), vec![7; 800_000]).unwrap();
    bench.hub().pull("toy", Refetch::Everything).unwrap();
    assert_eq!(fs::read(bench.blob()).unwrap(), weights());
}

#[test]
fn shards_are_those_of_the_index() {
    let bench = Bench::empty();
    bench.server.point("org/big", "main", COMMIT);
    let index = r#"{"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let shards = [weights(), weights().into_iter().rev().collect::<Vec<_>>()];
    for (file, content) in [
        ("config.json", CONFIG.as_bytes()),
        ("model.safetensors.index.json", index.as_bytes()),
        ("model-00001-of-00002.safetensors", &shards[0]),
        ("model-00002-of-00002.safetensors", &shards[1]),
        ("model-old.safetensors", b"not in the index"),
    ] {
        bench.server.put("org/big", COMMIT, file, content);
    }
    let model = bench.hub().resolve("transcribe", Some("org/big")).unwrap();
    assert_eq!(
        model.files.keys().collect::<Vec<_>>(),
        [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json"
        ]
    );
    let digests = shards.map(|shard| sha256(&shard)).concat();
    assert_eq!(model.sha256, sha256(digests.as_bytes()));
}

#[test]
fn a_repository_outside_the_catalogue_and_its_branches() {
    let bench = Bench::new();
    bench.server.point("org/own", "refs/pr/1", NEXT_COMMIT);
    bench.server.tag("org/own", "license:bsd-3-clause");
    bench.server.put("org/own", NEXT_COMMIT, "config.json", CONFIG);
    bench.server.put("org/own", NEXT_COMMIT, "model.safetensors", weights());
    let model = bench.hub().resolve("transcribe", Some("org/own@refs/pr/1")).unwrap();
    assert_eq!(model.id, "org/own@refs/pr/1");
    assert_eq!(model.revision.as_deref(), Some(NEXT_COMMIT));
    assert_eq!(model.license.as_deref(), Some("bsd-3-clause"));
    assert_eq!(
        fs::read_to_string(bench.cache().join("models--org--own/refs/refs/pr/1")).unwrap(),
        NEXT_COMMIT
    );
    // A catalogued repository keeps its name, and its licence with a revision.
    assert_eq!(bench.hub().resolve("transcribe", Some("org/toy")).unwrap().id, "toy");
    let pinned = bench.hub().resolve("transcribe", Some(&format!("org/toy@{COMMIT}"))).unwrap();
    assert_eq!(pinned.license.as_deref(), Some("Apache-2.0"));
}

#[test]
fn a_renamed_repository_is_followed_with_the_token() {
    let bench = Bench::new();
    bench.server.rename("org/toy", "org/new-name");
    for (file, content) in [
        ("config.json", CONFIG.as_bytes().to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("model.safetensors", weights()),
    ] {
        bench.server.put("org/new-name", COMMIT, file, content);
    }
    let hub = bench.hub_with(|options| options.token = Token::new("hf_secret"));
    hub.resolve("transcribe", None).unwrap();
    let to_hub = |request: &Request| request.origin == "hub" && request.path.starts_with("/org/new-name");
    let followed: Vec<_> = bench.server.log().into_iter().filter(to_hub).collect();
    assert!(!followed.is_empty());
    assert!(followed.iter().all(|request| request.header("authorization").is_some()), "{followed:?}");
}

#[test]
fn the_pinned_commit_stays_until_the_newest_is_asked_for() {
    let bench = Bench::new();
    bench.hub().resolve("transcribe", None).unwrap();
    let newer: Vec<u8> = weights().into_iter().map(|byte| byte ^ 0x55).collect();
    bench.publish(NEXT_COMMIT, &newer);
    let revision = |refetch| bench.hub().pull("toy", refetch).unwrap().revision.unwrap();
    assert_eq!(revision(Refetch::Missing), COMMIT);
    // Even where the files are gone, or another tool moved `main`.
    fs::remove_dir_all(bench.snapshot()).unwrap();
    bench.cache_by_hand(NEXT_COMMIT);
    assert_eq!(revision(Refetch::Missing), COMMIT);
    assert_eq!(revision(Refetch::Everything), NEXT_COMMIT);
    assert_eq!(bench.hub().resolve("transcribe", None).unwrap().sha256, sha256(&newer));
}
