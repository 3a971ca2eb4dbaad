//! A pipeline with its models: one input goes in, what its stages made comes out.

use std::sync::Arc;
use std::time::Instant;

use percept_core::segment::Image;
use percept_core::transcribe::Sound;
use percept_core::{
    Detect, Error, Model, Pose, Precision, Predicted, Prediction, RawTensor, Result, Segment, Task, Timings,
    Transcribe,
};

use super::expression::Value;
use super::kind::{Content, Element};
use super::operate;
use super::stage::{Scope, Source, Stage, Work};
use crate::Loaded;

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
pub(super) struct Way {
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
    pub(super) fn taken<'w>(
        &self,
        source: Source,
        way: &'w Way,
    ) -> Vec<(Option<(usize, usize)>, &'w Content)> {
        match source {
            Source::Input => vec![(None, &way.input)],
            Source::Stage(stage) => {
                let elements = way.stages[stage].elements.iter();
                elements.map(|element| (Some((stage, element.id)), &element.content)).collect()
            }
        }
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

/// The stage and the id there that something was made of; none for the input.
pub(super) type Origin = Option<(usize, usize)>;
/// Where something comes from, and what it is.
pub(super) type Made = (Origin, Content);
