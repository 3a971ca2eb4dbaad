//! What the stages of a pipeline ask their models.

use std::sync::Arc;

use percept_core::detect::{DetectInput, DetectOptions};
use percept_core::pose::{PoseInput, PoseOptions, Poses, Subject};
use percept_core::segment::{
    Candidates, Instance, Label, ObjectPrompt, SegmentInput, SegmentOptions, SegmentRequest, Segmentation,
};
use percept_core::transcribe::{TranscribeInput, Transcript};
use percept_core::{Error, Result};

use super::execute::{Made, Origin, Ready, Way};
use super::kind::{Content, Thing};
use super::operate;
use super::stage::{Stage, Work};

/// Inputs of one model that are answered together: an embedding is kept for each.
const TOGETHER: usize = 8;

impl Ready {
    pub(super) fn segment(&self, group: &[usize], ways: &[Way]) -> Result<Vec<Vec<Vec<Made>>>> {
        let model = self.models.of_stage[group[0]].map(|index| &self.models.segment[index]);
        let model = model.ok_or_else(|| Error::argument("a stage has no model"))?;
        let mut asked = Vec::new();
        for (at, way) in ways.iter().enumerate() {
            for (place, stage) in group.iter().enumerate() {
                asked.extend(self.questions(*stage, way).into_iter().map(|question| (place, at, question)));
            }
        }
        // What is asked about one picture stands together, so that its embedding is there for all.
        asked.sort_by_key(|(_, at, question)| (*at, Arc::as_ptr(&question.input.image) as usize));
        let mut made = vec![vec![Vec::new(); ways.len()]; group.len()];
        for chunk in asked.chunk_by(|a, b| a.1 == b.1).flat_map(|of_one| of_one.chunks(TOGETHER)) {
            let inputs: Vec<SegmentInput> =
                chunk.iter().map(|(.., question)| question.input.clone()).collect();
            let answers = model.model.predict(&inputs)?;
            for ((place, at, question), answer) in chunk.iter().zip(answers) {
                made[*place][*at].extend(question.read(answer.output)?);
            }
        }
        Ok(made)
    }

    /// What a stage asks its model about one input.
    fn questions(&self, stage: usize, way: &Way) -> Vec<Question> {
        let Stage { work, source, .. } = &self.scope.stages[stage];
        let taken = self.taken(*source, way);
        match work {
            Work::Segment { options, .. } => taken
                .into_iter()
                .filter_map(|(from, content)| match content {
                    Content::Picture(image) => {
                        let input = SegmentInput { image: image.clone(), options: options.clone() };
                        Some(Question { input, from, boxes: None })
                    }
                    _ => None,
                })
                .collect(),
            _ => {
                // The boxes of one picture are one question.
                let mut questions: Vec<Question> = Vec::new();
                let mut boxes: Vec<Vec<Boxed>> = Vec::new();
                for (from, content) in taken {
                    let Some(Thing { image, bounding_box, label, .. }) = content.thing() else { continue };
                    let known =
                        questions.iter().position(|question| Arc::ptr_eq(&question.input.image, image));
                    let index = known.unwrap_or_else(|| {
                        let input = SegmentInput { image: image.clone(), options: Arc::default() };
                        questions.push(Question { input, from: None, boxes: None });
                        boxes.push(vec![]);
                        questions.len() - 1
                    });
                    boxes[index].push(Boxed { from, bounding_box, label: label.cloned() });
                }
                for (question, boxes) in questions.iter_mut().zip(boxes) {
                    let object = |boxed: &Boxed| ObjectPrompt {
                        bounding_box: Some(boxed.bounding_box),
                        ..ObjectPrompt::default()
                    };
                    let objects = boxes.iter().map(object).collect();
                    let request = SegmentRequest::Objects { objects, candidates: Candidates::Best };
                    question.input.options =
                        Arc::new(SegmentOptions { request, ..SegmentOptions::default() });
                    question.boxes = Some(boxes);
                }
                questions
            }
        }
    }

    pub(super) fn detect(
        &self,
        stage: usize,
        options: &Arc<DetectOptions>,
        ways: &[Way],
    ) -> Result<Vec<Vec<Made>>> {
        let model = self.models.of_stage[stage].map(|index| &self.models.detect[index]);
        let model = model.ok_or_else(|| Error::argument("a stage has no model"))?;
        let mut asked = Vec::new();
        for (at, way) in ways.iter().enumerate() {
            for (from, content) in self.taken(self.scope.stages[stage].source, way) {
                if let Content::Picture(image) = content {
                    asked.push((at, from, DetectInput { image: image.clone(), options: options.clone() }));
                }
            }
        }
        let mut made = vec![Vec::new(); ways.len()];
        for chunk in asked.chunks(model.model.batch().max(1)) {
            let inputs: Vec<DetectInput> = chunk.iter().map(|(.., input)| input.clone()).collect();
            for ((at, from, input), answer) in chunk.iter().zip(model.model.predict(&inputs)?) {
                let found = answer.output.detections.into_iter();
                made[*at].extend(found.map(|one| (*from, Content::Box(Box::new(one), input.image.clone()))));
            }
        }
        Ok(made)
    }

    pub(super) fn pose(
        &self,
        stage: usize,
        options: &Arc<PoseOptions>,
        ways: &[Way],
    ) -> Result<Vec<Vec<Made>>> {
        let model = self.models.of_stage[stage].map(|index| &self.models.pose[index]);
        let model = model.ok_or_else(|| Error::argument("a stage has no model"))?;
        let of_way = |way: &Way| {
            // The subjects of one picture are one question.
            let mut asked: Vec<(PoseInput, Vec<Origin>)> = Vec::new();
            for (from, content) in self.taken(self.scope.stages[stage].source, way) {
                let (image, subject) = match (content, content.thing()) {
                    (_, Some(Thing { image, bounding_box, label, score, .. })) => {
                        (image, Subject { bounding_box, score, label: label.cloned() })
                    }
                    (Content::Picture(image), _) => (image, Subject::whole(image)),
                    _ => continue,
                };
                let known = asked.iter().position(|(input, _)| Arc::ptr_eq(&input.image, image));
                let index = known.unwrap_or_else(|| {
                    let input =
                        PoseInput { image: image.clone(), subjects: vec![], options: options.clone() };
                    asked.push((input, vec![]));
                    asked.len() - 1
                });
                asked[index].0.subjects.push(subject);
                asked[index].1.push(from);
            }
            let mut made = Vec::new();
            for (input, from) in asked {
                for answer in model.model.predict(std::slice::from_ref(&input))? {
                    let Poses { scheme, poses, .. } = answer.output;
                    made.extend(poses.into_iter().map(|pose| {
                        let of = from.get(pose.subject).copied().flatten();
                        (of, Content::Pose(Box::new(pose), scheme.clone(), input.image.clone()))
                    }));
                }
            }
            Ok(made)
        };
        ways.iter().map(of_way).collect()
    }

    pub(super) fn transcribe(&self, stage: usize, ways: &[Way]) -> Result<Vec<Vec<Made>>> {
        let model = self.models.of_stage[stage].map(|index| &self.models.transcribe[index]);
        let model = model.ok_or_else(|| Error::argument("a stage has no model"))?;
        let Stage { work: Work::Transcribe { options, .. }, source, .. } = &self.scope.stages[stage] else {
            return Ok(vec![]);
        };
        let of_way = |way: &Way| {
            let mut made = Vec::new();
            for (from, content) in self.taken(*source, way) {
                let Content::Sound(sound, start) = content else { continue };
                let input = TranscribeInput::new((**sound).clone(), options.clone());
                for answer in model.model.predict(&[input])? {
                    made.push((from, Content::Transcript(Box::new(later(answer.output, *start)))));
                }
            }
            Ok(made)
        };
        ways.iter().map(of_way).collect()
    }
}

/// A box that a mask is asked for.
struct Boxed {
    from: Origin,
    bounding_box: [f32; 4],
    label: Option<Label>,
}

/// Something that a model is asked.
struct Question {
    input: SegmentInput,
    from: Origin,
    boxes: Option<Vec<Boxed>>,
}

impl Question {
    /// The answer as elements.
    fn read(&self, answer: Segmentation) -> Result<Vec<Made>> {
        let image = &self.input.image;
        let Some(boxes) = &self.boxes else {
            let mask = |instance| (self.from, Content::Mask(Box::new(instance), image.clone()));
            return Ok(answer.instances.into_iter().map(mask).collect());
        };
        operate::one_each(answer.instances.len(), boxes.len())?;
        let mask = |(mut instance, of): (Instance, &Boxed)| {
            // What is in the box keeps its name.
            instance.label = instance.label.or_else(|| of.label.clone());
            (of.from, Content::Mask(Box::new(instance), image.clone()))
        };
        Ok(answer.instances.into_iter().zip(boxes).map(mask).collect())
    }
}

/// The same transcript, of a stretch that begins so many seconds into the input.
fn later(mut transcript: Transcript, start: f64) -> Transcript {
    let shift = |time: &mut f64| *time = ((*time + start) * 1e3).round() / 1e3;
    for segment in &mut transcript.segments {
        shift(&mut segment.start);
        shift(&mut segment.end);
        for word in segment.words.iter_mut().flatten() {
            shift(&mut word.start);
            shift(&mut word.end);
        }
    }
    for dropped in &mut transcript.dropped {
        shift(&mut dropped.start);
        shift(&mut dropped.end);
    }
    transcript
}
