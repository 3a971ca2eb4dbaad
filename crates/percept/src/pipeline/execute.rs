//! A pipeline with its models: one input goes in, what its stages made comes out.

use std::sync::Arc;
use std::time::Instant;

use percept_core::detect::{DetectInput, DetectOptions};
use percept_core::pose::{PoseInput, PoseOptions, Poses, Subject};
use percept_core::segment::{
    Candidates, Image, Instance, Label, ObjectPrompt, SegmentInput, SegmentOptions, SegmentRequest,
    Segmentation,
};
use percept_core::transcribe::{Sound, TranscribeInput, Transcript};
use percept_core::{
    Detect, Error, Model, Pose, Precision, Predicted, Prediction, RawTensor, Result, Segment, Task, Timings,
    Transcribe,
};

use super::expression::Value;
use super::kind::{Content, Element, Thing};
use super::operate;
use super::stage::{Scope, Source, Stage, Work};
use crate::Loaded;

/// Inputs of one model that are answered together: an embedding is kept for each.
const TOGETHER: usize = 8;

/// A pipeline as a task. A name at the type level; never built.
#[derive(Debug)]
pub enum Run {}

impl Task for Run {
    const NAME: &'static str = "run";
    type Input = PipelineInput;
    type Output = PipelineOutput;
}

/// A decoded input.
#[derive(Clone, Debug)]
pub enum PipelineInput {
    /// Of a pipeline of pictures.
    Picture(Arc<Image>),
    /// Of a pipeline of sounds.
    Sound(Arc<Sound>),
}

/// What the stages made of one input.
#[derive(Clone, Debug, Default)]
pub struct PipelineOutput {
    /// By stage, in the order of the file.
    pub stages: Vec<StageOutput>,
}

/// What a stage made of one input.
#[derive(Clone, Debug, Default)]
pub struct StageOutput {
    /// What stayed.
    pub elements: Vec<Element>,
    /// How long it took, in milliseconds; of stages that share a model call, its share.
    pub ms: f64,
}

impl From<PipelineOutput> for Prediction {
    fn from(_: PipelineOutput) -> Self {
        Self::Pipeline
    }
}

/// The models of a pipeline's stages.
#[derive(Default)]
pub(super) struct Models {
    pub(super) segment: Vec<Loaded<Segment>>,
    pub(super) detect: Vec<Loaded<Detect>>,
    pub(super) pose: Vec<Loaded<Pose>>,
    pub(super) transcribe: Vec<Loaded<Transcribe>>,
    /// By stage: which of them.
    pub(super) of_stage: Vec<Option<usize>>,
}

/// A pipeline that is ready.
pub(super) struct Ready {
    pub(super) scope: Arc<Scope>,
    pub(super) models: Models,
}

/// One input on its way.
struct Way {
    input: Content,
    stages: Vec<StageOutput>,
}

impl Model<Run> for Ready {
    fn predict(&self, inputs: &[PipelineInput]) -> Result<Vec<Predicted<PipelineOutput>>> {
        let way = |input: &PipelineInput| Way {
            input: match input {
                PipelineInput::Picture(image) => Content::Picture(image.clone()),
                PipelineInput::Sound(sound) => Content::Sound(sound.clone(), 0.0),
            },
            stages: vec![StageOutput::default(); self.scope.stages.len()],
        };
        let mut ways: Vec<Way> = inputs.iter().map(way).collect();
        let mut done = vec![false; self.scope.stages.len()];
        for first in 0..done.len() {
            if !done[first] {
                let group = self.together(first, &done);
                group.iter().for_each(|stage| done[*stage] = true);
                self.stages(&group, &mut ways)?;
            }
        }
        let predicted = |way: Way| {
            let model = way.stages.iter().map(|stage| stage.ms).sum();
            let timings = Timings { model, ..Timings::default() };
            Predicted { output: PipelineOutput { stages: way.stages }, timings }
        };
        Ok(ways.into_iter().map(predicted).collect())
    }

    fn raw(&self, _: &PipelineInput) -> Result<Vec<RawTensor>> {
        Err(Error::argument("a pipeline has no raw tensors; the commands of its tasks have"))
    }

    fn precision(&self) -> Precision {
        let segment = self.models.segment.iter().map(|loaded| loaded.model.precision());
        let detect = self.models.detect.iter().map(|loaded| loaded.model.precision());
        let pose = self.models.pose.iter().map(|loaded| loaded.model.precision());
        let transcribe = self.models.transcribe.iter().map(|loaded| loaded.model.precision());
        segment.chain(detect).chain(pose).chain(transcribe).next().unwrap_or(Precision::F32)
    }
}

impl Ready {
    /// A stage and those after it that ask the same model about what is known now: so they share embeddings.
    fn together(&self, first: usize, done: &[bool]) -> Vec<usize> {
        let model = |stage: usize| {
            let segments =
                matches!(self.scope.stages[stage].work, Work::Segment { .. } | Work::SegmentBoxes { .. });
            self.models.of_stage[stage].filter(|_| segments)
        };
        let known = |stage: &Stage| match stage.source {
            Source::Input => true,
            Source::Stage(source) => done[source],
        };
        let later = (first + 1..done.len()).filter(|stage| {
            model(first).is_some()
                && model(*stage) == model(first)
                && !done[*stage]
                && known(&self.scope.stages[*stage])
        });
        std::iter::once(first).chain(later).collect()
    }

    fn stages(&self, group: &[usize], ways: &mut [Way]) -> Result<()> {
        let began = Instant::now();
        let made: Vec<Vec<Vec<Made>>> = match &self.scope.stages[group[0]].work {
            Work::Segment { .. } | Work::SegmentBoxes { .. } => self.segment(group, ways)?,
            Work::Detect { options, .. } => vec![self.detect(group[0], options, ways)?],
            Work::Pose { options, .. } => vec![self.pose(group[0], options, ways)?],
            Work::Transcribe { .. } => vec![self.transcribe(group[0], ways)?],
            _ => vec![ways.iter().map(|way| self.operate(group[0], way)).collect::<Result<_>>()?],
        };
        let ms = began.elapsed().as_secs_f64() * 1e3 / (group.len() * ways.len()).max(1) as f64;
        for (stage, made) in group.iter().zip(made) {
            for (way, made) in ways.iter_mut().zip(made) {
                let elements = self.kept(*stage, made, way);
                way.stages[*stage] = StageOutput { elements, ms };
            }
        }
        Ok(())
    }

    /// Numbers what was made, and leaves out what the condition does not want.
    fn kept(&self, stage: usize, made: Vec<Made>, way: &Way) -> Vec<Element> {
        let numbered = made.into_iter().enumerate();
        let element = |(index, (from, content)): (usize, Made)| Element { id: index + 1, from, content };
        numbered.map(element).filter(|element| self.stays(stage, element, way)).collect()
    }

    fn stays(&self, stage: usize, element: &Element, way: &Way) -> bool {
        let Stage { work, condition, .. } = &self.scope.stages[stage];
        let with = if let Work::Filter { with } = work { with.as_slice() } else { &[] };
        let mut partners = Vec::with_capacity(with.len());
        for other in with {
            let related = |candidate: &&Element| self.related(element, (*other, candidate), way);
            let found: Vec<&Element> = way.stages[*other].elements.iter().filter(related).collect();
            if found.is_empty() {
                return false;
            }
            partners.push((self.scope.stages[*other].name.as_str(), found));
        }
        let Some(condition) = condition else { return true };
        // Some partner of each stage together with some of the others.
        let combinations = partners.iter().map(|(_, found)| found.len()).product::<usize>();
        (0..combinations).any(|mut number| {
            let chosen = partners.iter().map(|(name, found)| {
                let chosen = found[number % found.len()];
                number /= found.len();
                (*name, chosen)
            });
            let chosen: Vec<(&str, &Element)> = chosen.collect();
            condition.holds(&|field: &str| match field.split_once('.') {
                Some((stage, field)) => chosen
                    .iter()
                    .find(|(name, _)| *name == stage)
                    .map_or(Value::Missing, |(_, element)| element.content.field(field, element.id)),
                None => element.content.field(field, element.id),
            })
        })
    }

    /// Whether two elements were made of the same element of the last stage that both come from.
    fn related(&self, element: &Element, (other, candidate): (usize, &Element), way: &Way) -> bool {
        // The filter's own elements are not among the stages yet; what it filters is.
        let Some((own, own_id)) = element.from else { return false };
        let Some(common) = self.scope.common(own, other) else { return false };
        let above = |mut at: usize, mut id: usize| {
            while at != common {
                let from = way.stages[at].elements.iter().find(|element| element.id == id)?.from?;
                (at, id) = from;
            }
            Some(id)
        };
        above(own, own_id).is_some() && above(own, own_id) == above(other, candidate.id)
    }

    /// The elements that a stage takes, with where they come from.
    fn taken<'w>(&self, source: Source, way: &'w Way) -> Vec<(Option<(usize, usize)>, &'w Content)> {
        match source {
            Source::Input => vec![(None, &way.input)],
            Source::Stage(stage) => {
                let elements = way.stages[stage].elements.iter();
                elements.map(|element| (Some((stage, element.id)), &element.content)).collect()
            }
        }
    }

    fn segment(&self, group: &[usize], ways: &[Way]) -> Result<Vec<Vec<Vec<Made>>>> {
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

    fn detect(&self, stage: usize, options: &Arc<DetectOptions>, ways: &[Way]) -> Result<Vec<Vec<Made>>> {
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

    fn pose(&self, stage: usize, options: &Arc<PoseOptions>, ways: &[Way]) -> Result<Vec<Vec<Made>>> {
        let model = self.models.of_stage[stage].map(|index| &self.models.pose[index]);
        let model = model.ok_or_else(|| Error::argument("a stage has no model"))?;
        let of_way = |way: &Way| {
            // The subjects of one picture are one question.
            let mut asked: Vec<(PoseInput, Vec<Option<(usize, usize)>>)> = Vec::new();
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

    fn transcribe(&self, stage: usize, ways: &[Way]) -> Result<Vec<Vec<Made>>> {
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

    fn operate<'w>(&self, stage: usize, way: &'w Way) -> Result<Vec<Made>> {
        let Stage { work, source, .. } = &self.scope.stages[stage];
        let taken = self.taken(*source, way);
        let picture = |image: Image| Content::Picture(Arc::new(image));
        // The things of a stage that lie in one picture.
        let within = |regions: usize, image: &Arc<Image>| -> Vec<&'w Element> {
            let inside = |element: &&Element| {
                element.content.thing().is_some_and(|thing| Arc::ptr_eq(thing.image, image))
            };
            way.stages[regions].elements.iter().filter(inside).collect()
        };
        let mut made = Vec::new();
        for (from, content) in taken {
            match (work, content) {
                (Work::Filter { .. } | Work::Sound, content) => made.push((from, content.clone())),
                (Work::Crop { padding }, content) => {
                    let cropped = content.thing().map(|thing| operate::crop(thing, *padding));
                    // A mask without pixels has no box.
                    if let Some(cropped) = cropped.filter(|cropped| cropped.pixels() > 0) {
                        made.push((from, picture(cropped)));
                    }
                }
                (Work::Cutout { background, trim }, Content::Mask(instance, image)) if instance.area > 0 => {
                    let cut = operate::cutout(instance, image, background.as_ref(), *trim)?;
                    // A mask of a few pixels may be all edge, of which nothing is left.
                    if cut.pixels() > 0 {
                        made.push((from, picture(cut)));
                    }
                }
                (Work::Resize { size }, Content::Picture(image)) => {
                    made.push((from, picture(operate::resize(image, *size)?)));
                }
                (Work::Blur { regions, radius, whole_box }, Content::Picture(image)) => {
                    let found = within(*regions, image);
                    let found: Vec<_> = found.iter().filter_map(|element| element.content.thing()).collect();
                    made.push((from, picture(operate::blur(image, &found, *radius, *whole_box))));
                }
                (Work::Draw { regions }, Content::Picture(image)) => {
                    made.push((from, picture(operate::drawn(image, &within(*regions, image)))));
                }
                (Work::Speech, Content::Sound(sound, start)) => {
                    made.extend(operate::speech(sound, *start).into_iter().map(|content| (from, content)));
                }
                _ => {}
            }
        }
        Ok(made)
    }
}

/// Where something comes from, and what it is.
type Made = (Option<(usize, usize)>, Content);
/// A box that a mask is asked for.
struct Boxed {
    from: Option<(usize, usize)>,
    bounding_box: [f32; 4],
    label: Option<Label>,
}

/// Something that a model is asked.
struct Question {
    input: SegmentInput,
    from: Option<(usize, usize)>,
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
