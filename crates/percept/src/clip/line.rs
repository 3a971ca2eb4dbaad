//! The lines of JSON of a clip: what made it first, then a line a frame. `docs/schema/clip.json` has their schema.

use percept_core::{Task, Timings};
use serde::Serialize;

use crate::RunCard;
use crate::envelope::{SCHEMA, TimingsCard};

/// The first line: what was read, what made the others, and how.
#[derive(Serialize)]
pub struct HeadLine<'a, I, M> {
    schema: &'static str,
    task: &'static str,
    input: I,
    model: &'a M,
    runtime: &'a RunCard,
    every: u32,
    track: bool,
}

impl<'a, I, M> HeadLine<'a, I, M> {
    /// Of the task `T`, asked for every `every`th frame, with tracks or without.
    pub fn new<T: Task>(input: I, model: &'a M, runtime: &'a RunCard, every: u32, track: bool) -> Self {
        Self { schema: SCHEMA, task: T::NAME, input, model, runtime, every, track }
    }
}

/// The line of a frame.
#[derive(Serialize)]
pub struct FrameLine<R> {
    schema: &'static str,
    task: &'static str,
    frame: u64,
    time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings_ms: Option<TimingsCard>,
    result: R,
}

impl<R> FrameLine<R> {
    /// Of the task `T`: a frame's number in its clip, from 0, and when it is shown, in seconds.
    pub fn new<T: Task>(frame: u64, time: f64, timings: Option<&Timings>, result: R) -> Self {
        // Microseconds; what lies beyond is arithmetic.
        let time = (time * 1e6).round() / 1e6;
        let timings_ms = timings.map(TimingsCard::new);
        Self { schema: SCHEMA, task: T::NAME, frame, time, timings_ms, result }
    }
}
