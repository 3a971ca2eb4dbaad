//! Outputs reach their targets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use percept_flow::OutputTarget;

#[test]
fn files_get_their_folders() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c.txt");
    OutputTarget::File(path.clone()).write(b"text").unwrap();
    assert_eq!(fs::read(path).unwrap(), b"text");
}

#[cfg(unix)]
#[test]
fn devices_are_written_and_stay() {
    OutputTarget::Stream("/dev/null".into()).write(b"text").unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_name_that_is_too_long_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x".repeat(300));
    let error = OutputTarget::File(path.clone()).write(b"text").unwrap_err();
    assert!(error.chain().contains(&path.display().to_string()), "{}", error.chain());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}
