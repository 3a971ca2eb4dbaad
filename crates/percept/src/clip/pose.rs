//! Poses in the frames of a clip: subjects are found and followed, then their keypoints.

use std::sync::Arc;

use percept_core::detect::{DetectInput, DetectOptions};
use percept_core::pose::{Image, PoseInput, PoseOptions, Poses, Subject};
use percept_core::{Pose, Precision, Result, Runtime};
use percept_hub::Hub;
use percept_media::draw::{self, OverlayItem};
use percept_pose::format::PoseRecord;
use serde::Serialize;

use super::detect::Follower;
use super::{Seen, Watch, track_options};
use crate::Loaded;
use crate::pose::{Finder, Finding, PoseCard, apart, subject};

/// A model of poses in front of a clip, with a detector where frames are not of one subject as a whole.
pub struct PoseWatch {
    poses: Loaded<Pose>,
    finding: Option<Finding>,
    follower: Option<Follower>,
    options: Arc<PoseOptions>,
    card: PoseCard,
}

/// Who is in a frame.
struct Found {
    subjects: Vec<Subject>,
    /// Of the subjects.
    tracks: Vec<Option<u32>>,
    /// Milliseconds that it took to find them.
    taken: f64,
}

impl PoseWatch {
    /// Loads a model of poses, and with a `finder` what finds its subjects; else each frame shows one. With `track`, the
    /// score of the finder is that of the boxes that are sure, as in [`super::DetectWatch::load`].
    ///
    /// # Errors
    /// A model cannot be had, is of another task, or the detector does not know the classes of subjects.
    pub fn load(
        hub: &Hub,
        name: Option<&str>,
        finder: Option<&Finder>,
        options: Arc<PoseOptions>,
        track: bool,
        runtime: &Runtime,
    ) -> Result<Self> {
        let follower = finder.filter(|_| track).map(|finder| Follower::new(track_options(finder.score)));
        let apart = apart(hub, name, finder, options.keypoints, runtime)?;
        let finding = apart.finding.map(|finding| match &follower {
            Some(follower) => {
                let options = DetectOptions { score: Some(follower.least()), ..(*finding.options).clone() };
                Finding { options: Arc::new(options), ..finding }
            }
            None => finding,
        });
        Ok(Self { poses: apart.poses, finding, follower, options, card: apart.card })
    }

    /// Who is in each frame.
    fn subjects(&mut self, frames: &[Arc<Image>]) -> Result<Vec<Found>> {
        let Some(finding) = &self.finding else {
            let whole = |frame: &Arc<Image>| Found {
                subjects: vec![Subject::whole(frame)],
                tracks: vec![None],
                taken: 0.0,
            };
            return Ok(frames.iter().map(whole).collect());
        };
        let input =
            |image: &Arc<Image>| DetectInput { image: image.clone(), options: finding.options.clone() };
        let inputs: Vec<DetectInput> = frames.iter().map(input).collect();
        let mut found = Vec::new();
        for predicted in finding.detector.model.predict(&inputs)? {
            let mut detections = predicted.output.detections;
            let tracks = match &mut self.follower {
                Some(follower) => follower.follow(&mut detections),
                None => vec![None; detections.len()],
            };
            let taken = predicted.timings.spent();
            found.push(Found { subjects: detections.into_iter().map(subject).collect(), tracks, taken });
        }
        Ok(found)
    }
}

impl Watch for PoseWatch {
    type Task = Pose;
    type Card = PoseCard;

    fn card(&self) -> &PoseCard {
        &self.card
    }

    fn precision(&self) -> Precision {
        self.poses.model.precision()
    }

    fn batch(&self) -> usize {
        self.poses.model.batch()
    }

    fn begin(&mut self) {
        if let Some(follower) = &mut self.follower {
            follower.begin();
        }
    }

    fn see(&mut self, frames: &[Arc<Image>]) -> Result<Vec<Seen<Poses>>> {
        let mut found = self.subjects(frames)?;
        let subjects = found.iter_mut().map(|found| std::mem::take(&mut found.subjects));
        let input = |(image, subjects): (&Arc<Image>, Vec<Subject>)| PoseInput {
            image: image.clone(),
            subjects,
            options: self.options.clone(),
        };
        let inputs: Vec<PoseInput> = frames.iter().zip(subjects).map(input).collect();
        let predicted = self.poses.model.predict(&inputs)?.into_iter().zip(found);
        Ok(predicted
            .map(|(predicted, found)| {
                let mut timings = predicted.timings;
                timings.model += found.taken;
                timings.stages.insert(0, ("detect", found.taken));
                let poses = &predicted.output.poses;
                let tracks =
                    poses.iter().map(|pose| found.tracks.get(pose.subject).copied().flatten()).collect();
                Seen { output: predicted.output, tracks, timings }
            })
            .collect())
    }

    fn record(&self, seen: &Seen<Poses>) -> impl Serialize {
        PoseRecord::tracked(&seen.output, &seen.tracks)
    }

    /// The colours of a skeleton say left and right, so a track has a box in its colour.
    fn draw(&self, frame: &Image, seen: &Seen<Poses>) -> Image {
        let drawn = draw::skeletons(frame, &seen.output);
        let followed = seen.output.poses.iter().zip(&seen.tracks);
        let items: Vec<OverlayItem<'_>> = followed
            .filter_map(|(pose, track)| {
                Some(OverlayItem {
                    mask: None,
                    bounding_box: Some(pose.bounding_box),
                    label: format!("#{}", (*track)?),
                    color: (*track)? as usize,
                })
            })
            .collect();
        if items.is_empty() { drawn } else { draw::overlay(&drawn, &items) }
    }
}
