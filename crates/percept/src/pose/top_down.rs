//! A detector in front of a model of poses.

use std::sync::Arc;

use percept_core::detect::{DetectInput, DetectOptions, Detection};
use percept_core::pose::{PoseInput, Poses, Subject};
use percept_core::segment::Label;
use percept_core::{Detect, Model, Pose, Precision, Predicted, RawTensor, Result};

/// What was found as whose pose is wanted.
pub(crate) fn subject(found: Detection) -> Subject {
    Subject { bounding_box: found.bounding_box, score: found.score, label: Some(found.label) }
}

/// Finds subjects, then their poses. Subjects that inputs bring do not count.
pub(super) struct TopDown {
    detector: Box<dyn Model<Detect>>,
    options: Arc<DetectOptions>,
    poses: Box<dyn Model<Pose>>,
}

impl TopDown {
    pub(super) fn new(
        detector: Box<dyn Model<Detect>>,
        options: Arc<DetectOptions>,
        poses: Box<dyn Model<Pose>>,
    ) -> Self {
        Self { detector, options, poses }
    }

    /// The inputs with the subjects that are in their pictures, and the time that it took to find them.
    fn found(&self, inputs: &[PoseInput]) -> Result<Vec<(PoseInput, f64)>> {
        let seen = inputs
            .iter()
            .map(|input| DetectInput { image: input.image.clone(), options: self.options.clone() });
        let found = self.detector.predict(&seen.collect::<Vec<_>>())?;
        let with = |(input, predicted): (&PoseInput, Predicted<percept_core::detect::Detections>)| {
            let taken = predicted.timings.spent();
            let subjects = predicted.output.detections.into_iter().map(subject).collect();
            (PoseInput { subjects, ..input.clone() }, taken)
        };
        Ok(inputs.iter().zip(found).map(with).collect())
    }
}

impl Model<Pose> for TopDown {
    fn predict(&self, inputs: &[PoseInput]) -> Result<Vec<Predicted<Poses>>> {
        let (inputs, taken): (Vec<_>, Vec<_>) = self.found(inputs)?.into_iter().unzip();
        let mut predicted = self.poses.predict(&inputs)?;
        for (predicted, taken) in predicted.iter_mut().zip(taken) {
            predicted.timings.model += taken;
            predicted.timings.stages.insert(0, ("detect", taken));
        }
        Ok(predicted)
    }

    fn batch(&self) -> usize {
        self.poses.batch()
    }

    /// Of the model of poses.
    fn raw(&self, input: &PoseInput) -> Result<Vec<RawTensor>> {
        let found = self.found(std::slice::from_ref(input))?;
        self.poses.raw(found.first().map_or(input, |(input, _)| input))
    }

    fn precision(&self) -> Precision {
        self.poses.precision()
    }

    fn labels(&self) -> &[Label] {
        self.poses.labels()
    }
}
