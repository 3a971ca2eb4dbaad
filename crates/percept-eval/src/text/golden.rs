//! Whisper's normalisers string by string, and jiwer's counts (`tests/reference/wer_golden.py`).

use serde_json::Value;

use super::*;

fn cases() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/wer/cases.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn strings_are_those_of_whisper() {
    let english = English::new().unwrap();
    let mut wrong = Vec::new();
    for case in cases()["normalized"].as_array().unwrap() {
        let [text, as_english, as_basic] = [0, 1, 2].map(|at| case[at].as_str().unwrap());
        for (ours, theirs) in [(english.normalized(text), as_english), (basic::normalized(text), as_basic)] {
            if ours != theirs {
                wrong.push(format!("{text:?}\n  ours:   {ours:?}\n  theirs: {theirs:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} strings:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn counts_are_those_of_jiwer() {
    let cases = cases();
    let mut all = Report::default();
    for case in cases["pairs"].as_array().unwrap() {
        let [said, heard] = [0, 1].map(|at| case[at].as_str().unwrap());
        let mut report = Report::default();
        report.add(said, heard, &Normalizer::None);
        all.add(said, heard, &Normalizer::None);
        for (ours, theirs) in [(report.words, &case[2]), (report.characters, &case[3])] {
            let counts = [ours.hits, ours.substitutions, ours.insertions, ours.deletions];
            let wanted = [0, 1, 2, 3].map(|at| theirs[at].as_u64().unwrap() as usize);
            assert_eq!(counts, wanted, "{said:?} as {heard:?}");
            assert!((ours.rate().unwrap() - theirs[4].as_f64().unwrap()).abs() < 1e-12);
        }
    }
    assert!((all.words.rate().unwrap() - cases["wer_of_all"].as_f64().unwrap()).abs() < 1e-12);
}

#[test]
fn nothing_said_has_no_rate_unless_nothing_was_heard() {
    let rate = |said: &str, heard: &str| {
        let mut report = Report::default();
        report.add(said, heard, &Normalizer::Basic);
        report.words.rate()
    };
    assert_eq!((rate("", "..."), rate("", "word"), rate("word", "")), (Some(0.0), None, Some(1.0)));
}
