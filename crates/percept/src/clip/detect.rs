//! Boxes in the frames of a clip.

use std::sync::Arc;

use percept_core::detect::{DetectInput, DetectOptions, Detection, Detections, Image};
use percept_core::{Detect, Precision, Result, Runtime};
use percept_detect::format::DetectRecord;
use percept_detect::track::{Sighting, TrackOptions, Tracker};
use percept_hub::Hub;
use serde::Serialize;

use super::{Seen, Watch, track_options};
use crate::detect::{Looks, load, overlay, overlay_tracked};
use crate::{Loaded, ModelCard};

/// A detector in front of a clip.
pub struct DetectWatch {
    detector: Loaded<Detect>,
    card: ModelCard,
    options: Arc<DetectOptions>,
    follower: Option<Follower>,
}

impl DetectWatch {
    /// Loads a detector, as [`crate::detect::load`]. With `track`, the score of `options` is that of the boxes that are sure
    /// ([`TrackOptions::sure`]): unsure ones are given too, where they are in a track.
    ///
    /// # Errors
    /// The model cannot be had, or its architecture is none of this task.
    pub fn load(
        hub: &Hub,
        name: Option<&str>,
        mut options: DetectOptions,
        looks: Option<Looks>,
        track: bool,
        runtime: &Runtime,
    ) -> Result<Self> {
        let follower = track.then(|| Follower::new(track_options(options.score)));
        options.score = follower.as_ref().map(Follower::least).or(options.score);
        let detector = load(hub, name, &options, looks, runtime)?;
        Ok(Self { card: ModelCard::new(&detector), detector, options: Arc::new(options), follower })
    }
}

impl Watch for DetectWatch {
    type Task = Detect;
    type Card = ModelCard;

    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn precision(&self) -> Precision {
        self.detector.model.precision()
    }

    fn batch(&self) -> usize {
        self.detector.model.batch()
    }

    fn begin(&mut self) {
        if let Some(follower) = &mut self.follower {
            follower.begin();
        }
    }

    fn see(&mut self, frames: &[Arc<Image>]) -> Result<Vec<Seen<Detections>>> {
        let options = &self.options;
        let inputs: Vec<DetectInput> = frames
            .iter()
            .map(|image| DetectInput { image: image.clone(), options: options.clone() })
            .collect();
        let predicted = self.detector.model.predict(&inputs)?.into_iter();
        Ok(predicted
            .map(|predicted| {
                let mut output = predicted.output;
                let tracks = match &mut self.follower {
                    Some(follower) => follower.follow(&mut output.detections),
                    None => vec![None; output.detections.len()],
                };
                Seen { output, tracks, timings: predicted.timings }
            })
            .collect())
    }

    fn record(&self, seen: &Seen<Detections>) -> impl Serialize {
        DetectRecord::tracked(&seen.output, &seen.tracks)
    }

    fn draw(&self, frame: &Image, seen: &Seen<Detections>) -> Image {
        match self.follower {
            Some(_) => overlay_tracked(&seen.output, &seen.tracks, frame),
            None => overlay(&seen.output, frame),
        }
    }
}

/// A tracker of detections.
pub(super) struct Follower {
    options: TrackOptions,
    tracker: Tracker,
}

impl Follower {
    pub(super) fn new(options: TrackOptions) -> Self {
        Self { options, tracker: Tracker::new(options) }
    }

    /// Detections that score less are of no use.
    pub(super) fn least(&self) -> f32 {
        self.options.unsure
    }

    pub(super) fn begin(&mut self) {
        self.tracker = Tracker::new(self.options);
    }

    /// The tracks of the detections of the next frame, less those that are unsure and in none.
    pub(super) fn follow(&mut self, detections: &mut Vec<Detection>) -> Vec<Option<u32>> {
        let sightings: Vec<Sighting> = detections
            .iter()
            .map(|found| Sighting {
                bounding_box: found.bounding_box,
                score: found.score,
                class: found.label.id,
            })
            .collect();
        let tracks = self.tracker.update(&sightings);
        let sure = self.options.sure;
        let kept = std::mem::take(detections).into_iter().zip(tracks);
        let kept = kept.filter(|(found, track)| track.is_some() || found.score > sure);
        let (found, tracks) = kept.unzip();
        *detections = found;
        tracks
    }
}

#[cfg(test)]
mod tests {
    use percept_core::detect::Label;

    use super::*;

    #[test]
    fn an_unsure_box_stays_where_it_goes_on_with_a_track() {
        let found = |left: f32, score: f32| Detection {
            label: Label { id: 4, name: "cat".into() },
            score,
            bounding_box: [left, 0.0, left + 30.0, 40.0],
            mask: None,
        };
        let mut follower = Follower::new(track_options(None));
        assert_eq!(follower.least(), 0.1);
        let mut follow = |mut detections: Vec<Detection>| {
            let tracks = follower.follow(&mut detections);
            let lefts: Vec<f32> = detections.iter().map(|found| found.bounding_box[0]).collect();
            (lefts, tracks)
        };
        assert_eq!(follow(vec![found(0.0, 0.9), found(100.0, 0.3)]), (vec![0.0], vec![Some(1)]));
        assert_eq!(follow(vec![found(100.0, 0.3), found(2.0, 0.2)]), (vec![2.0], vec![Some(1)]));
        assert_eq!(follow(vec![found(100.0, 0.8), found(3.0, 0.9)]), (vec![100.0, 3.0], vec![None, Some(1)]));
        assert_eq!(follow(vec![found(100.0, 0.8)]), (vec![100.0], vec![Some(2)]));
    }
}
