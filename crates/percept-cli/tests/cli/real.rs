//! Real weights: whisper-tiny.en from its package, on real speech.
//!
//! Where the weights can be had neither from the cache nor from a package index, these tests say so
//! and pass, unless `PERCEPT_REQUIRE_REAL` is set (CI sets it).

use std::process::Command;

use crate::project::{Ran, finish, root};

const MODEL: &str = "whisper-tiny.en";

/// The program with the user's own caches.
fn percept(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_percept"));
    finish(command.args(arguments).env("NO_COLOR", "1").output().unwrap())
}

/// Whether the weights are here, after an attempt to fetch them.
fn model_is_here() -> bool {
    let pulled = percept(&["models", "pull", MODEL]);
    if pulled.code != 0 {
        assert!(std::env::var_os("PERCEPT_REQUIRE_REAL").is_none(), "{pulled:?}");
        eprintln!("skipped: {MODEL} cannot be had here\n{}", pulled.stderr);
    }
    pulled.code == 0
}

/// Words in lower case without punctuation: what Whisper's normaliser makes of texts as plain as
/// these (tests/reference/wer.py has the real one).
fn words(text: &str) -> Vec<String> {
    let kept = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    text.chars().map(kept).collect::<String>().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_first_command_of_the_readme_gives_the_text() {
    if !model_is_here() {
        return;
    }
    let path = root().join("assets/welcome.wav").display().to_string();
    let ran = percept(&["transcribe", &path, "--model", MODEL]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let truth =
        "Welcome to percept. It turns pictures, recordings and scans into answers, on your own machine.";
    assert_eq!(words(&ran.stdout), words(truth));
}

#[test]
fn real_recordings_give_their_true_texts() {
    let folder = root().join("../shared/data/speech");
    if !folder.exists() || !model_is_here() {
        eprintln!("skipped: no {} or no {MODEL}", folder.display());
        return;
    }
    let jfk = "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your \
               country.";
    let beckett = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.";
    for (file, truth) in [("jfk.wav", jfk), ("jfk.mp3", jfk), ("beckett.wav", beckett)] {
        let path = folder.join(file).display().to_string();
        for extra in [&[][..], &["--no-vad"], &["--word-timestamps"]] {
            let mut arguments = vec!["transcribe", path.as_str(), "--model", MODEL];
            arguments.extend(extra);
            let ran = percept(&arguments);
            assert_eq!(words(&ran.stdout), words(truth), "{file} {extra:?} {ran:?}");
        }
    }
}
