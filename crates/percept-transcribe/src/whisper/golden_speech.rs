//! Whisper against transformers, from samples to words: tests/reference/whisper.py.

use percept_backbone::decode::Strategy;
use percept_core::transcribe::{Goal, TranscribeOptions};

use super::golden::{Fixture, assert_close, flat, folder, whisper};
use super::segments::cut;
use super::{Whisper, word_split};
use crate::voice::Span;

const MODEL: &str = "whisper/f32";
/// Length of the fixture's window in frames of 10 ms.
const WINDOW: usize = 200;

/// The greedy tokens behind a prompt, the end token included.
fn greedy(whisper: &Whisper, features: &[f32], prompt: &[u32]) -> Vec<u32> {
    let memory = whisper.remember(&whisper.encode(features).unwrap()).unwrap();
    let options = TranscribeOptions::default();
    let request = whisper.request(&options, prompt);
    request.search(&memory, Strategy::Greedy, whisper.shape.target_positions).unwrap().0.tokens
}

#[test]
fn samples_become_the_tokens_of_transformers() {
    let whisper = whisper(MODEL);
    let (signals, wanted) =
        (Fixture::read("mel/signals.safetensors"), Fixture::read("whisper/f32/sound.safetensors"));
    for name in ["exact", "short", "silence"] {
        let file = signals.file();
        let pcm = file.tensor(&format!("pcm.{name}")).unwrap();
        let sample = |b: &[u8]| f32::from(i16::from_le_bytes(b.try_into().unwrap())) / 32768.0;
        let samples = pcm.data().chunks_exact(2).map(sample).collect::<Vec<_>>();
        let features = whisper.features(&samples).unwrap();
        let states = whisper.encode(&features).unwrap();
        assert_close(&states, &wanted.floats(&format!("{name}.encoder_last_hidden_state")), name);

        let mut sequence = whisper.vocabulary.opening(Some("en"), Goal::Transcribe).unwrap();
        sequence.push(whisper.vocabulary.no_timestamps);
        let tokens = greedy(&whisper, &features, &sequence);
        sequence.extend(tokens);
        let sequence = sequence.into_iter().map(i64::from).collect::<Vec<_>>();
        assert_eq!(sequence, wanted.integers(&format!("{name}.sequences"))[0], "{name}");
    }
}

#[test]
fn tokens_become_the_words_of_transformers() {
    let whisper = whisper(MODEL);
    let text = std::fs::read_to_string(folder("whisper/f32/words.json")).unwrap();
    let cases: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 3);
    for case in cases {
        let ids =
            case["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect::<Vec<_>>();
        let language = case["language"].as_str().and_then(super::languages::code);
        let timed =
            |(text, tokens)| super::words::TimedWord { text, tokens, start: 0.0, end: 0.0, probability: 1.0 };
        let mut words =
            word_split::split(&whisper.vocabulary, &ids, language).into_iter().map(timed).collect::<Vec<_>>();
        word_split::merge_punctuation(&mut words);
        let found = words.iter().filter(|word| !word.text.is_empty()).map(|word| word.text.as_str());
        let wanted = case["words"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        assert_eq!(found.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    }
}

/// The features of a window that begins at a frame, filled up with zeros as transformers does.
fn window(features: &[f32], frames: usize, start: usize) -> Vec<f32> {
    let row = |bin: usize| {
        (start..start + WINDOW)
            .map(move |frame| if frame < frames { features[bin * frames + frame] } else { 0.0 })
    };
    (0..features.len() / frames).flat_map(row).collect()
}

#[test]
fn a_long_recording_is_walked_through_as_transformers_does() {
    let whisper = whisper(MODEL);
    let features = flat(&Fixture::read("whisper/f32/longform.safetensors").floats("input_features"));
    let frames = features.len() / 80;
    let text = std::fs::read_to_string(folder("whisper/f32/longform.json")).unwrap();
    let cases: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, conditioned) in [("plain", false), ("conditioned", true)] {
        let (mut start, mut starts, mut found, mut said) = (0, Vec::new(), Vec::new(), Vec::new());
        while start < frames {
            starts.push(start);
            let mut prompt = Vec::new();
            if conditioned && !said.is_empty() {
                prompt.extend(whisper.vocabulary.previous);
                prompt.extend(&said);
            }
            prompt.extend(whisper.vocabulary.opening(Some("en"), Goal::Transcribe).unwrap());
            let mut tokens = greedy(&whisper, &window(&features, frames, start), &prompt);
            tokens.pop_if(|token| *token == whisper.vocabulary.end);
            let seconds = start as f64 / 100.0;
            let span = Span { start: seconds, end: seconds + WINDOW as f64 / 100.0 };
            let (pieces, next) = cut(&tokens, &whisper.vocabulary, span);
            for piece in pieces {
                // A lone timestamp says nothing; we and transformers give it different times.
                if piece.tokens.iter().any(|token| *token < whisper.vocabulary.end) {
                    found.push((piece.start, piece.end));
                }
                said.extend(piece.tokens);
            }
            start = match next.follows_text {
                true => (next.position * 100.0).round() as usize,
                false => (start + WINDOW).min(frames),
            };
        }
        let case = &cases[name];
        let wanted =
            case["window_starts"].as_array().unwrap().iter().map(|start| start.as_u64().unwrap() as usize);
        assert_eq!(starts, wanted.collect::<Vec<_>>(), "{name}");
        let says = |segment: &&serde_json::Value| {
            let tokens = segment["tokens"].as_array().unwrap();
            tokens.iter().any(|token| token.as_u64().unwrap() < u64::from(whisper.vocabulary.end))
        };
        let wanted = case["segments"].as_array().unwrap().iter().filter(says).collect::<Vec<_>>();
        assert_eq!(found.len(), wanted.len(), "{name}: {found:?}");
        for ((start, end), wanted) in found.iter().zip(wanted) {
            let near = |a: f64, b: &serde_json::Value| (a - b.as_f64().unwrap()).abs() < 1e-6;
            assert!(near(*start, &wanted["start"]) && near(*end, &wanted["end"]), "{name}: {found:?}");
        }
    }
}
