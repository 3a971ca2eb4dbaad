//! Things followed from frame to frame: ByteTrack (Zhang et al. 2022, <https://arxiv.org/abs/2110.06864>).
//!
//! Boxes that a detector is sure of are paired with tracks first, then the unsure ones with what is left: a thing that is
//! half hidden keeps its number. No pixels are looked at.

mod assign;
mod motion;

use percept_backbone::box_iou;

use assign::pairs;
use motion::Motion;

/// When a detection is part of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackOptions {
    /// A detection that scores more is sure, and may find what was lost.
    pub sure: f32,
    /// One that scores less than that, and more than this, may only go on with a track of the last frame.
    pub unsure: f32,
    /// Tracks begin with this score or more.
    pub begin: f32,
    /// For so many frames a track that is not seen is kept.
    pub buffer: u32,
}

impl TrackOptions {
    /// The published ones, with detections that score more than `sure` as the sure ones.
    pub fn new(sure: f32) -> Self {
        Self { sure, unsure: sure.min(0.1), begin: sure + 0.1, buffer: 30 }
    }
}

impl Default for TrackOptions {
    fn default() -> Self {
        Self::new(0.5)
    }
}

// The published limits of costs: 1 less the overlap, which in the first and the last association counts by the score.
const SURE_LIMIT: f64 = 0.8;
const UNSURE_LIMIT: f64 = 0.5;
const UNCONFIRMED_LIMIT: f64 = 0.7;
const SAME_LIMIT: f64 = 0.15;

/// What was found in a frame, as far as a tracker looks at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// Left, top, right and bottom, in pixels. One without an area is in no track.
    pub bounding_box: [f32; 4],
    /// 0 to 1.
    pub score: f32,
    /// Only things of one class are one thing. (The published tracker knows one class.)
    pub class: u32,
}

/// Detections with their places in a frame.
type Placed<'s> = Vec<(usize, &'s Sighting)>;

/// Numbers the things of one clip.
#[derive(Clone, Debug)]
pub struct Tracker {
    options: TrackOptions,
    frame: u64,
    next: u32,
    /// Those that were seen in the last frame.
    tracked: Vec<Track>,
    lost: Vec<Track>,
}

#[derive(Clone, Debug)]
struct Track {
    number: u32,
    class: u32,
    motion: Motion,
    /// Seen in two frames, one after the other, or there from the beginning.
    confirmed: bool,
    first: u64,
    last: u64,
    /// Its place among the detections of the last frame in which it was seen.
    seen: usize,
}

impl Track {
    fn see(&mut self, frame: u64, (seen, sighting): (usize, &Sighting)) {
        self.motion.update(sighting.bounding_box);
        self.confirmed = true;
        (self.last, self.seen) = (frame, seen);
    }

    fn cost(&self, sighting: &Sighting) -> f64 {
        1.0 - self.overlap(sighting)
    }

    /// The overlap of an unsure detection counts for less.
    fn fused_cost(&self, sighting: &Sighting) -> f64 {
        1.0 - self.overlap(sighting) * f64::from(sighting.score)
    }

    fn overlap(&self, sighting: &Sighting) -> f64 {
        match self.class == sighting.class {
            true => f64::from(box_iou(self.motion.corners(), sighting.bounding_box)),
            false => 0.0,
        }
    }
}

impl Tracker {
    /// Before the first frame of a clip.
    pub fn new(options: TrackOptions) -> Self {
        Self { options, frame: 0, next: 1, tracked: Vec::new(), lost: Vec::new() }
    }

    /// The next frame: for each detection the number of its track, from 1, where it is in a confirmed one. A track is
    /// confirmed in its second frame, those of the first frame at once; numbers of tracks that never were are not given
    /// again.
    pub fn update(&mut self, sightings: &[Sighting]) -> Vec<Option<u32>> {
        self.frame += 1;
        let frame = self.frame;
        let (sure, unsure) = self.by_score(sightings);

        let (mut confirmed, mut young): (Vec<Track>, Vec<Track>) =
            std::mem::take(&mut self.tracked).into_iter().partition(|track| track.confirmed);
        let mut lost = std::mem::take(&mut self.lost);
        for (tracks, is_lost) in [(&mut confirmed, false), (&mut lost, true)] {
            tracks.iter_mut().for_each(|track| track.motion.predict(is_lost));
        }

        // First the sure detections, with all that is known.
        let mut pool: Vec<&mut Track> = confirmed.iter_mut().chain(&mut lost).collect();
        let left = associate(&mut pool, &sure, frame, SURE_LIMIT, Track::fused_cost);
        // Then the unsure ones, with what was there in the last frame.
        let mut waiting: Vec<&mut Track> = confirmed.iter_mut().filter(|track| track.last != frame).collect();
        associate(&mut waiting, &unsure, frame, UNSURE_LIMIT, Track::cost);
        // Tracks of one frame take what remains, or were none.
        let mut waiting: Vec<&mut Track> = young.iter_mut().collect();
        let left = associate(&mut waiting, &left, frame, UNCONFIRMED_LIMIT, Track::fused_cost);
        young.retain(|track| track.last == frame);

        let (mut tracked, missed): (Vec<_>, Vec<_>) =
            confirmed.into_iter().chain(young).partition(|track| track.last == frame);
        for (seen, sighting) in left.into_iter().filter(|(_, sighting)| sighting.score >= self.options.begin)
        {
            tracked.push(Track {
                number: self.next,
                class: sighting.class,
                motion: Motion::new(sighting.bounding_box),
                confirmed: frame == 1,
                first: frame,
                last: frame,
                seen,
            });
            self.next += 1;
        }
        let (found, mut lost): (Vec<_>, Vec<_>) = lost.into_iter().partition(|track| track.last == frame);
        tracked.extend(found);
        // A frame longer than the buffer: in the published tracker what is removed in a frame leaves in the next.
        lost.retain(|track| frame - track.last <= u64::from(self.options.buffer) + 1);
        lost.extend(missed);
        (self.tracked, self.lost) = without_doubles(tracked, lost);

        let mut numbers = vec![None; sightings.len()];
        for track in self.tracked.iter().filter(|track| track.confirmed) {
            numbers[track.seen] = Some(track.number);
        }
        numbers
    }

    /// The sure and the unsure detections, with their places.
    fn by_score<'s>(&self, sightings: &'s [Sighting]) -> (Placed<'s>, Placed<'s>) {
        let usable = |(_, sighting): &(usize, &Sighting)| {
            let [left, top, right, bottom] = sighting.bounding_box;
            right - left > 0.0 && bottom - top > 0.0 && (right - left + bottom - top).is_finite()
        };
        let (sure, rest): (Vec<_>, Vec<_>) = sightings
            .iter()
            .enumerate()
            .filter(usable)
            .partition(|(_, sighting)| sighting.score > self.options.sure);
        (sure, rest.into_iter().filter(|(_, sighting)| sighting.score > self.options.unsure).collect())
    }
}

/// Gives tracks their detections; the rest comes back.
fn associate<'s>(
    tracks: &mut [&mut Track],
    sightings: &Placed<'s>,
    frame: u64,
    limit: f64,
    cost: impl Fn(&Track, &Sighting) -> f64,
) -> Placed<'s> {
    let found =
        pairs(tracks.len(), sightings.len(), limit, |row, column| cost(tracks[row], sightings[column].1));
    let mut taken = vec![false; sightings.len()];
    for (row, column) in found {
        tracks[row].see(frame, sightings[column]);
        taken[column] = true;
    }
    sightings.iter().zip(taken).filter(|(_, taken)| !taken).map(|(sighting, _)| *sighting).collect()
}

/// Of a track that is seen and one that is lost in the same place, the older stays.
fn without_doubles(mut tracked: Vec<Track>, mut lost: Vec<Track>) -> (Vec<Track>, Vec<Track>) {
    let (mut keep, mut keep_lost) = (vec![true; tracked.len()], vec![true; lost.len()]);
    for (keep, seen) in keep.iter_mut().zip(&tracked) {
        for (keep_lost, gone) in keep_lost.iter_mut().zip(&lost) {
            let overlap = f64::from(box_iou(seen.motion.corners(), gone.motion.corners()));
            if seen.class == gone.class && 1.0 - overlap < SAME_LIMIT {
                let older = seen.last - seen.first > gone.last - gone.first;
                *(if older { &mut *keep_lost } else { &mut *keep }) = false;
            }
        }
    }
    let (mut keep, mut keep_lost) = (keep.into_iter(), keep_lost.into_iter());
    tracked.retain(|_| keep.next().unwrap_or(true));
    lost.retain(|_| keep_lost.next().unwrap_or(true));
    (tracked, lost)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        frames: Vec<Frame>,
    }

    #[derive(Deserialize)]
    struct Frame {
        /// Left, top, right, bottom, score.
        detections: Vec<[f32; 5]>,
        /// Number, the filter's box, and which detection, or -1.
        tracks: Vec<(u32, [f32; 4], i64)>,
    }

    /// `tests/reference/byte_track.py`.
    #[test]
    fn tracks_are_those_of_supervision() {
        let path = percept_golden::folder("byte-track").join("cases.json");
        let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let mut tracker = Tracker::new(TrackOptions::default());
            for (at, frame) in case.frames.iter().enumerate() {
                let sighting = |[left, top, right, bottom, score]: &[f32; 5]| Sighting {
                    bounding_box: [*left, *top, *right, *bottom],
                    score: *score,
                    class: 0,
                };
                let sightings: Vec<Sighting> = frame.detections.iter().map(sighting).collect();
                let mut wanted = vec![None; sightings.len()];
                for (number, _, which) in &frame.tracks {
                    if let Ok(which) = usize::try_from(*which) {
                        wanted[which] = Some(*number);
                    }
                }
                assert_eq!(tracker.update(&sightings), wanted, "{} frame {at}", case.name);
                let confirmed = || tracker.tracked.iter().filter(|track| track.confirmed);
                assert_eq!(confirmed().count(), frame.tracks.len(), "{} frame {at}", case.name);
                for track in confirmed() {
                    let (_, corners, _) =
                        frame.tracks.iter().find(|(number, ..)| *number == track.number).unwrap();
                    let near = track.motion.corners().iter().zip(corners).all(|(a, b)| (a - b).abs() < 1e-3);
                    assert!(near, "{} frame {at}: {:?} {corners:?}", case.name, track.motion.corners());
                }
            }
        }
    }

    fn sighting(left: f32, class: u32) -> Sighting {
        Sighting { bounding_box: [left, 0.0, left + 10.0, 20.0], score: 0.9, class }
    }

    #[test]
    fn things_of_two_classes_are_two_things() {
        let mut tracker = Tracker::new(TrackOptions::default());
        assert_eq!(tracker.update(&[sighting(0.0, 1), sighting(0.0, 2)]), [Some(1), Some(2)]);
        assert_eq!(tracker.update(&[sighting(0.0, 2), sighting(0.5, 1)]), [Some(2), Some(1)]);
        // What was of class 1 is lost, and this is something new, confirmed when it is seen again.
        assert_eq!(tracker.update(&[sighting(0.5, 3), sighting(0.0, 2)]), [None, Some(2)]);
        assert_eq!(tracker.update(&[sighting(0.5, 3)]), [Some(3)]);
    }

    #[test]
    fn boxes_without_an_area_are_in_no_track() {
        let mut tracker = Tracker::new(TrackOptions::default());
        for corners in
            [[1.0, 1.0, 1.0, 5.0], [f32::NAN; 4], [0.0, 0.0, f32::INFINITY, 1.0], [9.0, 9.0, 1.0, 1.0]]
        {
            for _ in 0..3 {
                let odd = Sighting { bounding_box: corners, score: 0.9, class: 0 };
                assert_eq!(tracker.update(&[odd]), [None], "{corners:?}");
            }
        }
        assert_eq!(tracker.update(&[]), []);
    }
}
