//! What a pipeline made of an input, as JSON and as files.

use percept_core::Result;
use percept_core::transcribe::Transcript;
use percept_detect::format::DetectionRecord;
use percept_pose::format::PoseEntry;
use percept_segment::format::InstanceRecord;
use serde::Serialize;

use super::Pipeline;
use super::execute::{PipelineOutput, StageOutput};
use super::kind::{Content, Element};
use super::stage::Stage;
use crate::TimingsPolicy;

/// The `result` of a pipeline's envelope.
#[derive(Serialize)]
pub struct PipelineRecord<'a> {
    stages: Vec<StageRecord<'a>>,
}

#[derive(Serialize)]
struct StageRecord<'a> {
    name: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<f64>,
    elements: Vec<ElementRecord<'a>>,
}

#[derive(Serialize)]
struct ElementRecord<'a> {
    id: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<From<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
    #[serde(flatten)]
    content: ContentRecord<'a>,
}

/// What an element was made of.
#[derive(Serialize)]
struct From<'a> {
    stage: &'a str,
    id: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ContentRecord<'a> {
    Picture { width: u32, height: u32 },
    Mask { instance: InstanceRecord },
    Box { detection: DetectionRecord },
    Pose { pose: PoseEntry },
    Sound { start: f64, end: f64 },
    Transcript { transcript: &'a Transcript },
}

impl ContentRecord<'_> {
    fn of(element: &Element) -> ContentRecord<'_> {
        match &element.content {
            Content::Picture(image) => ContentRecord::Picture { width: image.width, height: image.height },
            Content::Mask(instance, _) => ContentRecord::Mask { instance: InstanceRecord::new(instance) },
            Content::Box(found, _) => {
                ContentRecord::Box { detection: DetectionRecord::new(found, element.id as u32) }
            }
            Content::Pose(pose, scheme, _) => ContentRecord::Pose { pose: PoseEntry::new(pose, scheme) },
            Content::Sound(sound, start) => {
                let milliseconds = |seconds: f64| (seconds * 1e3).round() / 1e3;
                ContentRecord::Sound {
                    start: milliseconds(*start),
                    end: milliseconds(start + sound.seconds()),
                }
            }
            Content::Transcript(transcript) => ContentRecord::Transcript { transcript },
        }
    }
}

impl Pipeline {
    /// The stages that results tell of.
    fn kept<'a>(
        &'a self,
        output: &'a PipelineOutput,
    ) -> impl Iterator<Item = (&'a Stage, &'a StageOutput)> + use<'a> {
        let stages = self.scope.stages.iter().zip(&output.stages).enumerate();
        stages.filter(|(index, _)| self.keeps(*index)).map(|(_, stage)| stage)
    }

    /// The `result` of an input's envelope.
    pub fn record<'a>(&'a self, output: &'a PipelineOutput, timings: TimingsPolicy) -> PipelineRecord<'a> {
        let stage = |(stage, output): (&'a Stage, &'a StageOutput)| StageRecord {
            name: &stage.name,
            kind: stage.kind.name(),
            ms: (timings == TimingsPolicy::Tell).then(|| (output.ms * 1e3).round() / 1e3),
            elements: output.elements.iter().map(|element| self.element(stage, output, element)).collect(),
        };
        PipelineRecord { stages: self.kept(output).map(stage).collect() }
    }

    fn element<'a>(
        &'a self,
        stage: &'a Stage,
        output: &StageOutput,
        element: &'a Element,
    ) -> ElementRecord<'a> {
        ElementRecord {
            id: element.id,
            from: element.from.map(|(from, id)| From { stage: &self.scope.stages[from].name, id }),
            files: stage
                .files
                .iter()
                .map(|format| file_name(stage, output, element, format.extension()))
                .collect(),
            content: ContentRecord::of(element),
        }
    }

    /// The files of an input, by name.
    ///
    /// # Errors
    /// `Error::Argument` where a picture cannot be encoded.
    pub fn files(&self, output: &PipelineOutput) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = Vec::new();
        for (stage, output) in self.kept(output) {
            for element in &output.elements {
                for format in &stage.files {
                    if let Some(bytes) = format.encode(&element.content)? {
                        files.push((file_name(stage, output, element, format.extension()), bytes));
                    }
                }
            }
        }
        Ok(files)
    }
}

/// `cut-003-person.png`.
fn file_name(stage: &Stage, output: &StageOutput, element: &Element, extension: &str) -> String {
    let last = output.elements.last().map_or(0, |last| last.id);
    let digits = last.to_string().len().max(3);
    format!("{}-{:0digits$}{}.{extension}", stage.name, element.id, class(&element.content))
}

fn class(content: &Content) -> String {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    match content.thing().and_then(|thing| thing.label) {
        Some(label) => format!("-{}", label.name.chars().map(plain).take(60).collect::<String>()),
        None => String::new(),
    }
}
