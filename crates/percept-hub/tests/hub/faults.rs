//! What goes wrong on the way: damage, changing lengths, busy servers, dead networks, full disks.

use std::fs;
use std::time::{Duration, Instant};

use percept_core::Error;
use percept_hub::Refetch;

use crate::bench::{Bench, CONFIG, closed_port, patience, weights};
use crate::child;
use crate::server::{Fault, git_sha1, sha256};

fn attempts() -> usize {
    patience().attempts as usize
}

/// Neither the blob nor a way to it.
fn nothing_was_kept(bench: &Bench) {
    assert!(!bench.blob().exists());
    assert!(!bench.incomplete().exists());
    assert!(!bench.snapshot().join("model.safetensors").exists());
    let blobs = fs::read_dir(bench.repository().join("blobs")).unwrap();
    assert!(blobs.flatten().all(|blob| blob.metadata().unwrap().len() < 10_000));
}

#[test]
fn a_flipped_bit_is_refused_and_the_next_pull_is_clean() {
    let bench = Bench::new();
    bench.server.fail("cdn:model.safetensors", 1, Fault::Flip(345_678));
    let mut damaged = weights();
    damaged[345_678] ^= 1;
    match bench.hub().resolve("transcribe", None).unwrap_err() {
        Error::Corrupt { want, got, .. } => assert_eq!((want, got), (sha256(&weights()), sha256(&damaged))),
        other => panic!("{other:?}"),
    }
    nothing_was_kept(&bench);
    bench.hub().resolve("transcribe", None).unwrap();
    assert_eq!(fs::read(bench.blob()).unwrap(), weights());
}

#[test]
fn a_flipped_bit_in_a_small_file_is_refused_by_its_git_digest() {
    let bench = Bench::new();
    bench.server.fail("get:config.json", 1, Fault::Flip(3));
    match bench.hub().resolve("transcribe", None).unwrap_err() {
        Error::Corrupt { want, path, .. } => {
            assert_eq!(want, git_sha1(CONFIG.as_bytes()));
            assert!(!path.exists());
        }
        other => panic!("{other:?}"),
    }
    bench.hub().resolve("transcribe", None).unwrap();
}

#[test]
fn a_file_that_grows_or_shrinks_is_tried_once_more_and_then_refused() {
    for fault in [Fault::Resize(5), Fault::Resize(-5), Fault::GrowUnannounced(5)] {
        let bench = Bench::new();
        bench.server.fail("cdn:model.safetensors", 9, fault.clone());
        let error = bench.hub().resolve("transcribe", None).unwrap_err();
        assert!(error.chain().contains("changed on the server"), "{fault:?}: {}", error.chain());
        assert!(error.chain().contains("700000 bytes"), "{}", error.chain());
        nothing_was_kept(&bench);
        assert_eq!(bench.server.bodies().len(), 2);

        bench.server.heal();
        bench.server.fail("cdn:model.safetensors", 1, fault);
        bench.hub().resolve("transcribe", None).unwrap();
        assert_eq!(fs::read(bench.blob()).unwrap(), weights());
    }
}

#[test]
fn a_file_that_changes_between_the_parts_is_not_patched_together() {
    for fault in [Fault::Resize(5), Fault::Resize(-5), Fault::Resize(-650_000)] {
        let bench = Bench::new();
        bench.server.fail("cdn:model.safetensors", 1, Fault::Cut(100_000));
        bench.server.fail("cdn:model.safetensors", 1, fault);
        bench.hub().resolve("transcribe", None).unwrap();
        assert_eq!(fs::read(bench.blob()).unwrap(), weights());
        let ranges: Vec<_> =
            bench.server.bodies().iter().map(|request| request.header("range").is_some()).collect();
        assert_eq!(ranges, [false, true, false]);
    }
}

#[test]
fn a_part_that_starts_elsewhere_is_refused() {
    let bench = Bench::new();
    bench.server.fail("cdn:model.safetensors", 1, Fault::Cut(100_000));
    bench.server.fail("cdn:model.safetensors", 1, Fault::OtherRange);
    let error = bench.hub().resolve("transcribe", None).unwrap_err();
    assert!(error.chain().contains("Content-Range: bytes 100001-"), "{}", error.chain());
    assert!(!bench.blob().exists());
    bench.hub().resolve("transcribe", None).unwrap();
}

#[test]
fn an_answer_for_another_commit_is_refused() {
    let bench = Bench::new();
    bench.server.fail("head:model.safetensors", 1, Fault::OtherCommit);
    let error = bench.hub().resolve("transcribe", None).unwrap_err();
    assert!(error.chain().contains("does not speak the Hub's protocol"), "{}", error.chain());
}

#[test]
fn retry_after_is_obeyed() {
    for (place, status) in
        [("api", 429), ("head:config.json", 503), ("cdn:model.safetensors", 429), ("get:config.json", 503)]
    {
        let bench = Bench::new();
        bench.server.fail(place, 1, Fault::Status(status, "Retry-After: 1\r\n"));
        let start = Instant::now();
        bench.hub().resolve("transcribe", None).unwrap();
        assert!(start.elapsed() >= Duration::from_secs(1), "{place}: {:?}", start.elapsed());
        assert!(
            bench.lines().iter().any(|line| line.contains("trying again in 1.0 s")),
            "{:?}",
            bench.lines()
        );
    }
}

#[test]
fn a_server_that_stays_busy_or_asks_for_an_hour_has_failed() {
    let bench = Bench::new();
    bench.server.fail("api", 99, Fault::Status(503, ""));
    let error = bench.hub().resolve("transcribe", None).unwrap_err();
    assert!(error.chain().contains("busy (HTTP 503)"), "{}", error.chain());
    assert_eq!(bench.server.log().len(), attempts());

    let bench = Bench::new();
    bench.server.fail("api", 99, Fault::Status(429, "Retry-After: 3600\r\n"));
    let start = Instant::now();
    let error = bench.hub().resolve("transcribe", None).unwrap_err();
    assert!(error.chain().contains("asks to wait 3600 s"), "{}", error.chain());
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(bench.server.log().len(), 1);
}

#[test]
fn other_errors_of_a_server_are_tried_again_or_not_as_fits() {
    let bench = Bench::new();
    bench.server.fail("head:config.json", 2, Fault::Status(500, ""));
    bench.hub().resolve("transcribe", None).unwrap();

    let bench = Bench::new();
    bench.server.fail("api", 9, Fault::Status(400, ""));
    let error = bench.hub().resolve("transcribe", None).unwrap_err();
    assert!(error.chain().contains("answered HTTP 400"), "{}", error.chain());
    assert_eq!(bench.server.log().len(), 1);
}

#[test]
fn a_dead_network_fails_in_seconds_and_says_where() {
    let bench = Bench::new();
    let endpoint = closed_port();
    let start = Instant::now();
    let error = bench
        .hub_with(|options| options.endpoint.clone_from(&endpoint))
        .resolve("transcribe", None)
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(
        error.chain().starts_with(&format!("cannot fetch `toy`: cannot reach {endpoint}")),
        "{}",
        error.chain()
    );
    assert!(error.hint().unwrap().contains("HF_ENDPOINT"), "{error:?}");
    assert!(
        bench.lines().iter().any(|line| line.starts_with("toy: hub:org/toy failed: cannot reach")),
        "{:?}",
        bench.lines()
    );
}

#[test]
fn a_server_that_accepts_and_says_nothing_fails_in_seconds() {
    let bench = Bench::new();
    bench.server.fail("api", 9, Fault::Silent);
    let start = Instant::now();
    let error = bench.hub().resolve("transcribe", None).unwrap_err();
    assert!(error.chain().contains("does not answer"), "{}", error.chain());
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[test]
fn a_name_that_no_resolver_knows_is_said_to_be_unreachable() {
    let bench = Bench::new();
    let hub = bench.hub_with(|options| options.endpoint = "http://no-such-host.invalid".into());
    let error = hub.resolve("transcribe", None).unwrap_err();
    assert!(error.chain().contains("cannot reach http://no-such-host.invalid"), "{}", error.chain());
}

/// `/dev/full` takes a write as a full disk does, without any privilege.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_to_be_full() {
    let bench = Bench::new();
    fs::create_dir_all(bench.incomplete().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", bench.incomplete()).unwrap();
    let error = bench.hub().resolve("transcribe", None).unwrap_err();
    assert!(error.chain().contains("the disk is full"), "{}", error.chain());
    assert!(error.chain().contains("needs 700000 more bytes"), "{}", error.chain());
    assert!(error.hint().unwrap().contains("make room"), "{error:?}");
    assert!(!bench.blob().exists());
    fs::remove_file(bench.incomplete()).unwrap();
    bench.hub().resolve("transcribe", None).unwrap();
}

/// A process that may write no file above a limit stops in the middle of one, as on a disk that fills up.
#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_keeps_what_arrived_and_the_next_run_goes_on() {
    let bench = Bench::new();
    let (succeeded, output) = child::limited(&bench, 200).wait();
    assert!(!succeeded);
    assert!(output.contains("the disk is full"), "{output}");
    let kept = fs::metadata(bench.incomplete()).unwrap().len();
    assert!((100_000..=204_800).contains(&kept), "{kept}");
    assert!(!bench.blob().exists());
    bench.server.clear_log();
    let pulled = bench.hub().pull("toy", Refetch::Missing).unwrap();
    assert_eq!(pulled.received, 700_000 - kept);
    assert_eq!(fs::read(bench.blob()).unwrap(), weights());
}

#[test]
fn two_processes_at_once_both_succeed_with_one_download() {
    let bench = Bench::new();
    // The first one stalls long enough for the second to arrive at the lock.
    bench.server.fail("cdn:model.safetensors", 1, Fault::Stall(500_000));
    let children = [child::pull(&bench), child::pull(&bench)];
    for child in children {
        let (succeeded, output) = child.wait();
        assert!(succeeded, "{output}");
    }
    let asked: Vec<_> =
        bench.server.bodies().iter().map(|request| request.header("range").map(str::to_owned)).collect();
    assert_eq!(asked, [None, Some("bytes=500000-".to_owned())], "the bytes came once");
    assert_eq!(fs::read(bench.blob()).unwrap(), weights());
    assert!(bench.hub().verify(Some("toy")).unwrap()[0].ok);
}
