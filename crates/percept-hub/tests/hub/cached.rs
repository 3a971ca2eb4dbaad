//! What is in the caches already: of other tools, damaged, in part, or not to be written to.

use std::fs;

use percept_core::Error;
use percept_hub::Refetch;

use crate::bench::{Bench, closed_port, weights};
use crate::server::{COMMIT, sha256};

#[test]
fn files_of_other_tools_are_used_without_a_network_and_pinned() {
    let bench = Bench::empty();
    bench.cache_by_hand(COMMIT);
    let hub = bench.hub_with(|options| options.endpoint = closed_port());
    let model = hub.resolve("transcribe", None).unwrap();
    assert_eq!(model.revision.as_deref(), Some(COMMIT));
    assert_eq!(model.sha256, sha256(&weights()));
    assert!(fs::read_to_string(bench.home().join("models.lock")).unwrap().contains(&sha256(&weights())));
}

#[test]
fn a_file_of_another_tool_that_is_not_what_its_name_says_is_refused() {
    let bench = Bench::empty();
    bench.cache_by_hand(COMMIT);
    bench.cache_file_by_hand(COMMIT, "model.safetensors", &sha256(&weights()), b"something else");
    let error = bench.hub().resolve("transcribe", None).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_snapshot_in_part_is_completed_and_offline_used_as_it_is() {
    let bench = Bench::new();
    bench.cache_by_hand(COMMIT);
    fs::remove_file(bench.snapshot().join("tokenizer.json")).unwrap();
    let offline = bench.hub_with(|options| options.offline = true).resolve("transcribe", None).unwrap();
    assert!(offline.find("tokenizer.json").is_none());
    fs::remove_dir_all(bench.home()).unwrap();
    let model = bench.hub().resolve("transcribe", None).unwrap();
    assert!(model.find("tokenizer.json").is_some());
    assert!(bench.server.bodies().is_empty(), "the weights were here");
}

#[test]
fn a_file_that_changed_after_it_was_fetched_is_refused_and_repaired() {
    let bench = Bench::new();
    bench.hub().resolve("transcribe", None).unwrap();
    let mut damaged = weights();
    damaged[5] ^= 1;
    fs::write(bench.blob(), &damaged).unwrap();
    match bench.hub().resolve("transcribe", None).unwrap_err() {
        Error::Corrupt { want, got, .. } => assert_eq!((want, got), (sha256(&weights()), sha256(&damaged))),
        other => panic!("{other:?}"),
    }
    let checks = bench.hub().verify(Some("toy")).unwrap();
    assert!(!checks[0].ok);
    assert_eq!(checks[0].files.iter().filter(|file| !file.ok).count(), 1);
    let pulled = bench.hub().pull("toy", Refetch::Everything).unwrap();
    assert_eq!(pulled.received, 700_000);
    assert!(bench.hub().verify(None).unwrap()[0].ok);
    assert_eq!(bench.hub().resolve("transcribe", None).unwrap().sha256, sha256(&weights()));
}

#[test]
fn a_file_that_was_only_touched_is_read_and_accepted() {
    let bench = Bench::new();
    bench.hub().resolve("transcribe", None).unwrap();
    let file = fs::File::options().write(true).open(bench.blob()).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    bench.lines.lock().unwrap().clear();
    bench.hub().resolve("transcribe", None).unwrap();
    assert_eq!(bench.lines(), ["model.safetensors: checking"]);
}

#[test]
fn everything_is_asked_for_again_but_not_fetched_when_it_is_right() {
    let bench = Bench::new();
    bench.hub().resolve("transcribe", None).unwrap();
    let pulled = bench.hub().pull("toy", Refetch::Everything).unwrap();
    assert_eq!(pulled.received, 0);
    assert_eq!(bench.server.bodies().len(), 1);
}

#[test]
fn what_is_gone_is_fetched_as_it_was() {
    let bench = Bench::new();
    bench.hub().resolve("transcribe", None).unwrap();
    fs::remove_dir_all(bench.cache()).unwrap();
    bench.hub().resolve("transcribe", None).unwrap();
    // The server now has other bytes under the pinned commit.
    fs::remove_dir_all(bench.cache()).unwrap();
    bench.publish(COMMIT, &vec![1; 700_000]);
    let error = bench.hub().resolve("transcribe", None).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("pull --force"));
}

#[test]
fn a_home_that_cannot_be_written_is_no_obstacle_to_what_is_here() {
    let bench = Bench::empty();
    bench.cache_by_hand(COMMIT);
    // A file in its place: no folder can be made there, whoever runs the test.
    fs::write(bench.home(), "").unwrap();
    let model = bench.hub().resolve("transcribe", None);
    // Reading the lock file below a file fails as "not a directory", which is no lock file either.
    assert_eq!(model.unwrap().sha256, sha256(&weights()));
    let error = bench.hub().pull("toy", Refetch::Missing).unwrap_err();
    assert!(matches!(error, Error::Output { .. }), "{error:?}");
}
