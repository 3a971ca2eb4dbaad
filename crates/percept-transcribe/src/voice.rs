//! Where somebody speaks: voice activity detection with the earshot network, smoothed into spans.

use earshot::Detector;
use percept_core::transcribe::SAMPLE_RATE;

/// Samples of one decision (16 ms).
const FRAME: usize = 256;
/// A span begins at a frame as sure as this ...
const ENTER: f32 = 0.5;
/// ... and goes on while frames are at least this sure.
const STAY: f32 = 0.35;
/// Speech rises and falls with every syllable. Where the level of the frames within half a second on
/// either side varies less than this [dB], something hums, hisses or beeps.
const MIN_VARIATION: f32 = 1.0;
/// Half a second, in frames.
const NEIGHBOURS: usize = 31;
/// Shorter spans are clicks and coughs.
const MIN_SPEECH: f64 = 0.25;
/// Silence up to this length belongs to the speech around it: cutting there would only take away
/// what the model knows of the context.
const MAX_PAUSE: f64 = 2.0;
/// Kept before and behind each span, so that no soft beginning or end is cut off.
const PADDING: f64 = 0.4;

/// A stretch of time, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its start.
    pub start: f64,
    /// Its end.
    pub end: f64,
}

impl Span {
    /// Whether the two have any time in common.
    pub(crate) fn overlaps(&self, other: &Span) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// The stretches of mono samples at 16 kHz in which somebody speaks, in order, padded, pauses of up to two seconds included.
pub fn speech(samples: &[f32]) -> Vec<Span> {
    let total = samples.len() as f64 / f64::from(SAMPLE_RATE);
    let frame = FRAME as f64 / f64::from(SAMPLE_RATE);
    let mut spans: Vec<Span> = Vec::new();
    let levels = levels(samples);
    let mut sure = confidence(samples);
    for (index, sure) in sure.iter_mut().enumerate() {
        if variation(&levels, index) < MIN_VARIATION {
            *sure = 0.0;
        }
    }
    for (start, end) in runs(&sure) {
        let span = Span { start: start as f64 * frame, end: end as f64 * frame };
        match spans.last_mut() {
            Some(last) if span.start - last.end < MIN_SPEECH => last.end = span.end,
            _ => spans.push(span),
        }
    }
    spans.retain(|span| span.end - span.start >= MIN_SPEECH);
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start - last.end < MAX_PAUSE => last.end = span.end,
            _ => merged.push(span),
        }
    }
    for span in &mut merged {
        span.start = (span.start - PADDING).max(0.0);
        span.end = (span.end + PADDING).min(total);
    }
    merged
}

fn confidence(samples: &[f32]) -> Vec<f32> {
    let mut detector = Detector::default();
    let mut frame = [0.0; FRAME];
    samples
        .chunks(FRAME)
        .map(|chunk| {
            frame.fill(0.0);
            for (to, from) in frame.iter_mut().zip(chunk) {
                *to = from.clamp(-1.0, 1.0);
            }
            detector.predict_f32(&frame)
        })
        .collect()
}

/// The level of each frame in decibels, not below that of the last bit of 16.
fn levels(samples: &[f32]) -> Vec<f32> {
    let level = |frame: &[f32]| {
        let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / frame.len() as f32;
        10.0 * power.max(1e-9).log10()
    };
    samples.chunks(FRAME).map(level).collect()
}

/// The standard deviation of the levels around a frame.
fn variation(levels: &[f32], index: usize) -> f32 {
    let around = &levels[index.saturating_sub(NEIGHBOURS)..(index + NEIGHBOURS + 1).min(levels.len())];
    let count = around.len() as f32;
    let mean = around.iter().sum::<f32>() / count;
    (around.iter().map(|level| (level - mean).powi(2)).sum::<f32>() / count).sqrt()
}

/// Runs of frames that begin sure and stay nearly so, as (first, behind the last).
fn runs(confidence: &[f32]) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut open = None;
    for (index, sure) in confidence.iter().enumerate() {
        match open {
            None if *sure >= ENTER => open = Some(index),
            Some(start) if *sure < STAY => {
                runs.push((start, index));
                open = None;
            }
            _ => {}
        }
    }
    runs.extend(open.map(|start| (start, confidence.len())));
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_speaks_in_silence_a_tone_or_noise() {
        let seconds = 5 * SAMPLE_RATE as usize;
        let silence = vec![0.0; seconds];
        let tone = (0..seconds)
            .map(|n| 0.5 * (n as f32 * 440.0 * std::f32::consts::TAU / SAMPLE_RATE as f32).sin())
            .collect::<Vec<_>>();
        let mut state = 1_u32;
        let noise = (0..seconds)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect::<Vec<_>>();
        for (name, samples) in [("silence", silence), ("tone", tone), ("noise", noise), ("nothing", vec![])] {
            assert_eq!(speech(&samples), vec![], "{name}");
        }
    }

    #[test]
    fn a_run_begins_sure_and_ends_unsure() {
        assert_eq!(runs(&[0.1, 0.4, 0.6, 0.4, 0.2, 0.9]), vec![(2, 4), (5, 6)]);
    }
}
