//! What is decoded in step is what transformers says, and to the bit what is decoded alone.

use std::sync::{Arc, Mutex};

use percept_backbone::decode::advance;
use percept_core::Precision;
use percept_core::transcribe::{LiveSegments, Sound, TranscribeInput, TranscribeOptions, Transcript};

use super::Whisper;
use super::golden::{Fixture, case, check_found, prompted, whisper, whisper_in};
use super::lockstep::{run, transcribe};
use super::recording::Recording;
use crate::voice::Span;

/// Searches of every kind, with prompts of different lengths, that end at different steps.
fn check_cases(model: &str, names: &[&'static str]) {
    let (whisper, options) = (whisper(model), TranscribeOptions::default());
    let (inputs, outputs) = (Fixture::open("whisper/f32"), Fixture::open(model));
    let cases = names.iter().flat_map(|name| [0, 1].map(|item| (case(name), item))).collect::<Vec<_>>();
    let mut walks = Vec::new();
    for (case, item) in &cases {
        let (memory, prompt) = prompted(&whisper, &inputs, case, *item);
        let request = whisper.request(&options, &prompt);
        let (walk, _) = request.begin(&memory, case.strategy, whisper.shape.target_positions).unwrap();
        walks.push((walk, prompt));
    }
    let mut scores = Vec::new();
    loop {
        let mut left =
            walks.iter_mut().map(|(walk, _)| walk).filter(|walk| !walk.ended()).collect::<Vec<_>>();
        if left.is_empty() {
            break;
        }
        advance(&whisper.decoder, &mut left, &mut scores).unwrap();
    }
    for ((case, item), (walk, prompt)) in cases.iter().zip(walks) {
        check_found(&walk.finish()[0], &prompt, &outputs, case, *item);
    }
}

#[test]
fn searches_in_step_say_what_transformers_says() {
    // Of halves, matrices meet all rows at once; of f32, that depends on the processor.
    assert!(whisper("whisper/f16").decoder.goes_in_step());
    check_cases("whisper/f16", &["greedy", "greedy_timestamps"]);
    check_cases(
        "whisper/f32",
        &[
            "greedy",
            "beam5",
            "greedy_prompt_timestamps",
            "beam3_timestamps",
            "greedy_detect",
            "beam5_short",
            "greedy_translate",
            "beam5_long",
        ],
    );
}

/// A warbling tone: random weights say something different in each window.
fn sound(seconds: f64, pitch: f32) -> Sound {
    let wave = |at: usize| {
        let time = at as f32 / 16_000.0;
        (time * (pitch + 300.0 * (time * 3.0).sin())).sin() * 0.3 * (time * 1.7).sin().max(0.0)
    };
    Sound { samples: (0..(16_000.0 * seconds) as usize).map(wave).collect() }
}

/// Recordings of very different lengths, one of them empty and one too short for a window.
fn recordings() -> Vec<Sound> {
    let lengths = [5.3, 0.0, 2.0, 7.1, 0.05, 1.1];
    lengths.iter().enumerate().map(|(index, seconds)| sound(*seconds, 700.0 + 90.0 * index as f32)).collect()
}

fn options() -> TranscribeOptions {
    TranscribeOptions { vad: false, no_speech_threshold: None, ..TranscribeOptions::default() }
}

fn transcripts(whisper: &Whisper, inputs: &[TranscribeInput], most: usize) -> Vec<Transcript> {
    transcribe(whisper, inputs, most).unwrap().into_iter().map(|predicted| predicted.output).collect()
}

#[test]
fn a_batch_says_what_each_recording_says_alone() {
    let one = vec![0.0];
    let variants = [
        TranscribeOptions { temperatures: one.clone(), beam_size: 1, ..options() },
        TranscribeOptions { temperatures: one.clone(), ..options() },
        TranscribeOptions { temperatures: one.clone(), word_timestamps: true, beam_size: 3, ..options() },
        TranscribeOptions { temperatures: one, condition_on_previous_text: false, ..options() },
        // Random weights are never sure: every window falls back.
        TranscribeOptions { temperatures: vec![0.0, 0.4, 0.9], best_of: 3, ..options() },
    ];
    for (whisper, what) in [
        (whisper("whisper/f16"), "halves"),
        (whisper_in("whisper/f32", Precision::Int8), "int8"),
        (whisper("whisper/f32"), "f32"),
    ] {
        for (number, options) in variants.iter().cloned().enumerate() {
            let options = Arc::new(options);
            let inputs = recordings().into_iter().map(|sound| TranscribeInput::new(sound, options.clone()));
            let inputs = inputs.collect::<Vec<_>>();
            let alone =
                inputs.chunks(1).flat_map(|input| transcripts(&whisper, input, 1)).collect::<Vec<_>>();
            let said = alone.iter().map(|transcript| transcript.segments.len() + transcript.dropped.len());
            assert!(said.filter(|said| *said > 0).count() >= 3, "{what} {number}: {alone:?}");
            for most in [3, 8] {
                assert_eq!(transcripts(&whisper, &inputs, most), alone, "{what} {number} {most}");
            }
        }
    }
}

#[test]
fn stretches_side_by_side_say_what_they_say_in_turn() {
    let whisper = whisper_in("whisper/f32", Precision::Int8);
    let speech = [(0.2, 3.9), (4.4, 5.0), (5.5, 10.2), (10.3, 10.35), (11.0, 16.5)];
    let speech = speech.map(|(start, end)| Span { start, end }).to_vec();
    for (language, conditioned) in [(Some("en"), false), (None, false), (Some("en"), true)] {
        let options = Arc::new(TranscribeOptions {
            language: language.map(str::to_owned),
            condition_on_previous_text: conditioned,
            temperatures: vec![0.0],
            beam_size: 2,
            ..options()
        });
        let of = |most: usize| {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let listener = heard.clone();
            let live: LiveSegments = Arc::new(move |segment| listener.lock().unwrap().push(segment.clone()));
            let input = TranscribeInput {
                live: Some(live),
                ..TranscribeInput::new(sound(17.0, 900.0), options.clone())
            };
            let mut recording = Recording::new(&whisper, &input).unwrap();
            recording.begin_with(speech.clone());
            let transcript = run(&whisper, vec![recording], most).unwrap().remove(0).output;
            assert_eq!(*heard.lock().unwrap(), transcript.segments, "heard in order");
            transcript
        };
        let in_turn = of(1);
        assert!(in_turn.segments.len() + in_turn.dropped.len() >= 8, "{in_turn:?}");
        for most in [2, 4, 8] {
            assert_eq!(of(most), in_turn, "{language:?} {conditioned} {most}");
        }
    }
}

#[test]
fn windows_that_are_conditioned_are_not_decoded_side_by_side() {
    let whisper = whisper_in("whisper/f32", Precision::Int8);
    let input = |conditioned: bool, prompt: Option<&str>, words: bool, language: Option<&str>| {
        let options = TranscribeOptions {
            language: language.map(str::to_owned),
            condition_on_previous_text: conditioned,
            prompt: prompt.map(str::to_owned),
            word_timestamps: words,
            ..options()
        };
        TranscribeInput::new(sound(9.0, 900.0), Arc::new(options))
    };
    for (input, wanted) in [
        (input(false, None, false, Some("en")), 3),
        // The language is that of the first window, whose sound is encoded before the second begins.
        (input(false, None, false, None), 3),
        (input(true, None, false, Some("en")), 1),
        (input(false, Some("Hi."), false, Some("en")), 1),
        (input(false, None, true, Some("en")), 1),
    ] {
        let mut recording = Recording::new(&whisper, &input).unwrap();
        let spans = [(0.0, 2.5), (3.0, 5.5), (6.0, 9.0)];
        recording.begin_with(spans.map(|(start, end)| Span { start, end }).to_vec());
        let begun = std::iter::from_fn(|| recording.next().unwrap()).count();
        assert_eq!(begun, wanted);
    }
}
