//! Windows that know nothing of each other, decoded in step: of several recordings and, where nothing that was said
//! conditions the next window, of several stretches of speech in one. A step reads the decoder's weights once for all.
//!
//! What a recording says is the same, to the bit, as when it is alone: it is encoded alone, its prompt is read alone, its
//! attention is computed alone, and matrices are shared only where their rows are independent
//! ([`Decoder::goes_in_step`](super::network::Decoder::goes_in_step)). A window that ends makes room for the next at
//! once, and one that is tried again at a higher temperature stays among the others.

use std::time::Instant;

use percept_backbone::decode::advance;
use percept_backbone::for_layers;
use percept_core::transcribe::{TranscribeInput, Transcript};
use percept_core::{Predicted, Result};

use super::recording::Recording;
use super::stretches::Place;
use super::window::{Attempt, Ended};
use super::{Whisper, milliseconds};

/// More windows than this at a time have gained nothing (docs/performance.md), and each costs memory: who wants more
/// hands over more recordings.
const MOST: usize = 2;
/// What the windows of one batch may hold together, in bytes, unless there is one only.
const MOST_BYTES: usize = 512 << 20;
/// Rows of a window, to judge its memory by: the default number of beams, and of candidates.
const ROWS: usize = 5;

/// How many windows are worth decoding at a time.
pub(super) fn most(whisper: &Whisper) -> usize {
    if !whisper.decoder.goes_in_step() {
        return 1;
    }
    (MOST_BYTES / whisper.decoder.bytes_a_decode(ROWS).max(1)).clamp(1, MOST)
}

/// A window under way.
struct Running<'a> {
    recording: usize,
    place: Place,
    attempt: Attempt<'a>,
}

/// Transcribes recordings, with up to `most` windows at a time.
pub(super) fn transcribe(
    whisper: &Whisper,
    inputs: &[TranscribeInput],
    most: usize,
) -> Result<Vec<Predicted<Transcript>>> {
    // Listening for speech takes one thread.
    let recordings = for_layers(inputs.len(), |index| {
        let mut recording = Recording::new(whisper, &inputs[index])?;
        recording.begin();
        Ok(recording)
    })?;
    run(whisper, recordings, most)
}

/// Takes recordings that have begun to their ends.
pub(super) fn run<'a>(
    whisper: &'a Whisper,
    mut recordings: Vec<Recording<'a>>,
    most: usize,
) -> Result<Vec<Predicted<Transcript>>> {
    let (mut running, mut scores) = (Vec::with_capacity(most), Vec::new());
    loop {
        for (index, recording) in recordings.iter_mut().enumerate() {
            while running.len() < most
                && let Some((place, attempt)) = recording.next()?
            {
                running.push(Running { recording: index, place, attempt });
            }
        }
        if running.is_empty() {
            return Ok(recordings.into_iter().map(Recording::finish).collect());
        }
        running = step(whisper, running, &mut recordings, &mut scores)?;
    }
}

/// Takes all windows one token further. Those that have ended go to their recordings; gives the others.
fn step<'a>(
    whisper: &Whisper,
    mut running: Vec<Running<'a>>,
    recordings: &mut [Recording<'a>],
    scores: &mut Vec<f32>,
) -> Result<Vec<Running<'a>>> {
    let began = Instant::now();
    let walks = running.iter_mut().map(|running| running.attempt.walk()).filter(|walk| !walk.ended());
    let mut walks = walks.collect::<Vec<_>>();
    if !walks.is_empty() {
        advance(&whisper.decoder, &mut walks, scores).map_err(whisper.compute_error())?;
    }
    let share = milliseconds(began) / running.len() as f64;
    let mut left = Vec::with_capacity(running.len());
    for Running { recording, place, mut attempt } in running {
        attempt.spend(share);
        if !attempt.has_ended() {
            left.push(Running { recording, place, attempt });
            continue;
        }
        match attempt.settle().map_err(whisper.compute_error())? {
            Ended::Taken(taken) => recordings[recording].take(place, taken)?,
            Ended::Again(attempt) => left.push(Running { recording, place, attempt: *attempt }),
        }
    }
    Ok(left)
}
