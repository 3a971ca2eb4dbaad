//! The rule of timestamp tokens: they come in pairs, never go back, and are taken when together they
//! are more probable than any word (`whisper/decoding.py`, `ApplyTimestampRules`; transformers'
//! `WhisperTimeStampLogitsProcessor`).

use percept_backbone::decode::{Rule, largest, log_sum_exp};

/// The rule, for one checkpoint.
#[derive(Clone, Debug)]
pub(super) struct TimestampRule {
    pub(super) end: u32,
    pub(super) no_timestamps: u32,
    /// The latest first timestamp, in steps.
    pub(super) max_initial: Option<usize>,
}

impl Rule for TimestampRule {
    fn apply(&self, generated: &[u32], scores: &mut [f32]) {
        let first = self.no_timestamps as usize + 1;
        if first >= scores.len() {
            return;
        }
        let is_timestamp = |token: &u32| *token as usize >= first;
        scores[self.no_timestamps as usize] = f32::NEG_INFINITY;

        let last = generated.last().is_some_and(is_timestamp);
        let before_last = generated.len() < 2 || is_timestamp(&generated[generated.len() - 2]);
        match (last, before_last) {
            // A pair is closed: text follows.
            (true, true) => scores[first..].fill(f32::NEG_INFINITY),
            // A segment has ended: the start of the next follows, or the end.
            (true, false) => scores[..self.end as usize].fill(f32::NEG_INFINITY),
            _ => {}
        }
        if let Some(latest) = generated.iter().copied().rfind(is_timestamp) {
            // The start of a segment may be the end of the one before; else time moves on.
            let open = last && !before_last;
            let forbidden = (latest as usize + usize::from(!open)).clamp(first, scores.len());
            scores[first..forbidden].fill(f32::NEG_INFINITY);
        }
        if generated.is_empty() {
            scores[..first].fill(f32::NEG_INFINITY);
            if let Some(max) = self.max_initial {
                let beyond = (first + max + 1).min(scores.len());
                scores[beyond..].fill(f32::NEG_INFINITY);
            }
        }
        // The common normaliser of both sides cancels out.
        let word = largest(&scores[..first]);
        if log_sum_exp(&scores[first..]) > word {
            scores[..first].fill(f32::NEG_INFINITY);
        }
    }
}
