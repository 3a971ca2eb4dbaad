//! A recording that is gone through in two runs gives what it gives in one.

use std::sync::{Arc, Mutex};

use percept_core::transcribe::{Sound, Step, Steps, TranscribeInput, TranscribeOptions};

use super::golden::whisper;
use super::lockstep::transcribe;

/// Steps of an earlier run, and those of this one.
#[derive(Default)]
struct Noted {
    known: Vec<Step>,
    new: Mutex<Vec<Step>>,
}

impl Steps for Noted {
    fn known(&self) -> Vec<Step> {
        // As they come back from a file.
        let text = serde_json::to_string(&self.known).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn keep(&self, step: &Step) {
        self.new.lock().unwrap().push(step.clone());
    }
}

#[test]
fn what_an_earlier_run_decoded_is_not_decoded_again() {
    let whisper = whisper("whisper/f32");
    // Bursts of a warbling tone: random weights say something different in each window.
    let wave = |at: usize| {
        let time = at as f32 / 16_000.0;
        (time * (900.0 + 300.0 * (time * 3.0).sin())).sin() * 0.3 * (time * 1.7).sin().max(0.0)
    };
    let sound = Sound { samples: (0..16_000 * 17).map(wave).collect() };
    let options = Arc::new(TranscribeOptions {
        language: None,
        vad: false,
        temperatures: vec![0.0],
        beam_size: 2,
        no_speech_threshold: None,
        word_timestamps: true,
        ..TranscribeOptions::default()
    });
    let run = |known: &[Step]| {
        let noted = Arc::new(Noted { known: known.to_vec(), new: Mutex::default() });
        let input = TranscribeInput {
            steps: Some(noted.clone()),
            ..TranscribeInput::new(sound.clone(), options.clone())
        };
        let output = transcribe(&whisper, &[input], 1).unwrap().remove(0).output;
        let new = noted.new.lock().unwrap().clone();
        (output, new)
    };
    let (whole, steps) = run(&[]);
    assert!(steps.len() >= 8, "{} windows", steps.len());
    assert!(!whole.segments.is_empty() && whole.text.len() > 20, "{whole:?}");
    for known in 0..=steps.len() {
        let (output, new) = run(&steps[..known]);
        assert_eq!(output, whole, "{known} known");
        assert_eq!(new, steps[known..], "{known} known");
    }
    let without = TranscribeInput::new(sound, options);
    assert_eq!(transcribe(&whisper, &[without], 1).unwrap().remove(0).output, whole);
}
