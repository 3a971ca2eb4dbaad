//! The stretches of a recording in which somebody speaks, and how far each is decoded.

use std::collections::VecDeque;

use super::window::Taken;
use crate::voice::Span;

/// What is shorter than this is not decoded: there is no word in it.
pub(super) const MIN_WINDOW: f64 = 0.1;

/// All of a recording's, in order. Results enter the transcript in that order, whichever is decoded first.
#[derive(Default)]
pub(super) struct Stretches {
    all: Vec<Stretch>,
    /// Those before it are in the transcript.
    front: usize,
    /// Length of a window in seconds.
    window: f64,
}

struct Stretch {
    span: Span,
    /// Where the next window begins.
    position: f64,
    /// Whether a window of it is being decoded: the next begins where its text ends.
    busy: bool,
    /// Windows that wait for the stretches before this one.
    held: VecDeque<(Place, Taken)>,
}

impl Stretch {
    fn is_decoded(&self) -> bool {
        self.span.end - self.position <= MIN_WINDOW
    }
}

/// A window of a stretch.
#[derive(Clone, Copy)]
pub(super) struct Place {
    stretch: usize,
    /// Where its stretch begins.
    pub(super) speech: f64,
    pub(super) window: Span,
}

impl Stretches {
    /// Of these spans in windows of so many seconds, from a start of a span and a position in it on, where there is one.
    pub(super) fn new(spans: &[Span], window: f64, from: Option<(f64, f64)>) -> Self {
        let first = from.map_or(f64::NEG_INFINITY, |(speech, _)| speech);
        let stretch = |span: &Span| {
            let position =
                from.filter(|(speech, _)| *speech == span.start).map_or(span.start, |(_, next)| next);
            Stretch { span: *span, position, busy: false, held: VecDeque::new() }
        };
        let all = spans.iter().filter(|span| span.start >= first).map(stretch).collect();
        let mut stretches = Self { all, front: 0, window };
        stretches.pass_decoded();
        stretches
    }

    /// A window that can be decoded now: of the first stretch that is not decoded yet or, where they are `independent`,
    /// of any.
    pub(super) fn next(&mut self, independent: bool) -> Option<Place> {
        let most = if independent { usize::MAX } else { 1 };
        let mut open = self.all.iter_mut().enumerate().skip(self.front).take(most);
        let (index, stretch) = open.find(|(_, stretch)| !stretch.busy && !stretch.is_decoded())?;
        stretch.busy = true;
        let Stretch { span, position, .. } = *stretch;
        let window = Span { start: position, end: span.end.min(position + self.window) };
        Some(Place { stretch: index, speech: span.start, window })
    }

    /// The text of a window is in the transcript, and the next begins at `next`.
    pub(super) fn settled(&mut self, place: Place, next: f64) {
        let stretch = &mut self.all[place.stretch];
        (stretch.busy, stretch.position) = (false, next);
        self.pass_decoded();
    }

    /// The text of a window is there but not in the transcript, and breaks off at `end`.
    pub(super) fn hold(&mut self, place: Place, taken: Taken, end: f64) {
        let stretch = &mut self.all[place.stretch];
        (stretch.busy, stretch.position) = (false, after(place.window, end));
        stretch.held.push_back((place, taken));
    }

    /// Of the windows that are held, the one whose text is next.
    pub(super) fn pop(&mut self) -> Option<(Place, Taken)> {
        let next = self.all.get_mut(self.front)?.held.pop_front()?;
        self.pass_decoded();
        Some(next)
    }

    fn pass_decoded(&mut self) {
        let passed = |stretch: &Stretch| !stretch.busy && stretch.is_decoded() && stretch.held.is_empty();
        while self.all.get(self.front).is_some_and(passed) {
            self.front += 1;
        }
    }
}

/// Where the window behind one begins whose text breaks off at `next`.
pub(super) fn after(window: Span, next: f64) -> f64 {
    // A timestamp at the very start would stand still for ever.
    if next > window.start + MIN_WINDOW { next } else { window.end }
}
