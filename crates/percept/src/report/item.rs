//! What a card of the page shows.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use percept_core::coco::NO_CLASS;
use percept_core::segment::Label;
use percept_core::transcribe::Transcript;
use percept_core::{Error, Result};
use percept_detect::format::DetectionRecord;
use percept_flow::Record;
use percept_media::draw;
use percept_pose::format::PoseEntry;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::speech::Speech;
use super::thumbnail::{Shown, Thumbnail, color};
use super::{link, summary};
use crate::{collect, transcribe};

/// Instances that a card knows.
const MOST_INSTANCES: usize = 200;
/// Characters of a name, a text, an error.
const MOST_CHARACTERS: usize = 1_000;
/// Bytes of a text file that are shown where there is no JSON.
const MOST_TEXT: u64 = 4 << 10;

/// A result.
#[derive(Serialize)]
pub(super) struct Item {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    /// Milliseconds, all stages together.
    ms: f64,
    /// What was written, with links.
    outputs: Vec<(String, Option<String>)>,
    /// Whether a player is wanted.
    sound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<Thumbnail>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    found: Vec<Found>,
    /// Instances that the card does not know.
    more: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    speech: Option<Speech>,
    /// The text, where nothing better is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What else is to be said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// An instance in a picture.
#[derive(Serialize)]
struct Found {
    class: String,
    score: f32,
    area: u64,
    color: String,
}

/// The parts of a result that a page shows, whatever the task.
#[derive(Deserialize)]
pub(super) struct Envelope {
    schema: String,
    #[serde(default)]
    input: Map<String, Value>,
    #[serde(default)]
    model: Value,
    #[serde(default)]
    pub(super) runtime: Map<String, Value>,
    #[serde(default)]
    result: Value,
}

impl Envelope {
    /// What made the result: of a pipeline, the model of each stage.
    pub(super) fn model(&mut self) -> Map<String, Value> {
        match self.model.take() {
            Value::Object(model) => model,
            Value::Array(stages) => {
                let of_stage = |stage: &Value| {
                    let text = |key: &str| stage[key].as_str().unwrap_or_default().to_owned();
                    let made = format!("{}, {}, SHA-256 {}", text("id"), text("precision"), text("sha256"));
                    (format!("of {}", text("stage")), Value::String(made))
                };
                stages.iter().map(of_stage).collect()
            }
            _ => Map::new(),
        }
    }
}

/// The result of a record; `None` where the run wrote no JSON.
pub(super) fn envelope(record: &Record) -> Result<Option<Envelope>> {
    collect::found(record, |envelope: &Envelope| envelope.schema.starts_with("percept/"))
}

impl Item {
    /// Of a record, for a page in `folder`. What cannot be read is said in its notes.
    pub(super) fn new(record: &Record, folder: &Path) -> Self {
        let path = record.input.path.to_path();
        let mut item = Self {
            name: cut(&record.input.path.path),
            link: (path != Path::new("-")).then(|| link::relative(folder, &path)).flatten(),
            ms: summary::total(&record.ms),
            outputs: outputs(record, folder),
            sound: false,
            picture: None,
            found: vec![],
            more: 0,
            speech: None,
            text: None,
            notes: vec![],
        };
        let envelope = envelope(record).unwrap_or_else(|error| {
            item.note(&error);
            None
        });
        for warning in envelope.iter().filter_map(|envelope| envelope.input.get("warnings")?.as_array()) {
            item.notes.extend(warning.iter().map(|warning| cut(&plain(warning))));
        }
        let result = envelope.map(|envelope| envelope.result);
        match record.identity.task.as_str() {
            "segment" => item.picture(record, &path, parsed(result).map(Shown::Masks)),
            "detect" => item.picture(record, &path, parsed(result).map(Shown::Boxes)),
            "pose" => item.picture(record, &path, parsed(result).map(Shown::Poses)),
            "transcribe" => item.recording(record, parsed(result)),
            "caption" => {
                item.text = result.as_ref().and_then(captions).or_else(|| text(record));
                item.picture(record, &path, None);
            }
            _ if crate::picture::is_picture(&path) => item.picture(record, &path, None),
            _ => item.sound = transcribe::is_recording(&path),
        }
        item
    }

    fn picture(&mut self, record: &Record, path: &Path, result: Option<Shown>) {
        let sha256 = record.input.content.as_ref().map(|content| content.sha256.as_str());
        if self.link.is_some() {
            match Thumbnail::new(path, sha256, result.as_ref()) {
                Ok((thumbnail, note)) => {
                    self.picture = Some(thumbnail);
                    self.notes.extend(note.map(str::to_owned));
                }
                Err(error) => self.note(&error),
            }
        }
        let found = result.map(found).unwrap_or_default();
        self.more = found.len().saturating_sub(MOST_INSTANCES);
        self.found = found.into_iter().take(MOST_INSTANCES).collect();
    }

    fn recording(&mut self, record: &Record, result: Option<Transcript>) {
        self.sound = true;
        self.speech = result.map(Speech::new);
        if self.speech.is_none() {
            self.text = text(record);
        }
    }

    fn note(&mut self, error: &Error) {
        self.notes.push(cut(&error.chain()));
    }
}

/// What a card lists.
fn found(result: Shown) -> Vec<Found> {
    let one = |class: Option<&str>, score: f32, area: u64, shade: usize| {
        let [red, green, blue] = draw::color(shade);
        let class = class.map_or_else(|| NO_CLASS.to_owned(), cut);
        Found { class, score, area, color: format!("#{red:02x}{green:02x}{blue:02x}") }
    };
    let area = |[left, top, right, bottom]: [f32; 4]| ((right - left) * (bottom - top)).max(0.0) as u64;
    match result {
        Shown::Masks(result) => {
            let name = |label: &Option<Label>| label.as_ref().map(|label| label.name.clone());
            let all = result.instances.iter();
            all.map(|each| one(name(&each.label).as_deref(), each.score, each.area, color(each.id))).collect()
        }
        Shown::Boxes(result) => {
            let all = result.detections.iter();
            let each = |found: &DetectionRecord| {
                one(Some(&found.label.name), found.score, area(found.box_xyxy), found.label.id as usize)
            };
            all.map(each).collect()
        }
        Shown::Poses(result) => {
            let all = result.poses.iter();
            let each = |pose: &PoseEntry| {
                let name = pose.label.as_ref().map(|label| label.name.as_str());
                one(name, pose.score, area(pose.box_xyxy), pose.subject)
            };
            all.map(each).collect()
        }
    }
}

/// What a model says of a picture, a line a caption.
fn captions(result: &Value) -> Option<String> {
    let captions = result["captions"].as_array()?.iter().filter_map(|caption| caption["text"].as_str());
    Some(cut(&captions.collect::<Vec<_>>().join("\n"))).filter(|text| !text.is_empty())
}

/// The result of a task, where it is one.
fn parsed<T: for<'a> Deserialize<'a>>(result: Option<Value>) -> Option<T> {
    result.and_then(|result| serde_json::from_value(result).ok())
}

/// The files that were written.
fn outputs(record: &Record, folder: &Path) -> Vec<(String, Option<String>)> {
    let input = record.input.path.to_path();
    let stem = input.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let output = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // What is the input's own name says nothing new.
        let short = name.strip_prefix(&stem).map(|rest| rest.trim_start_matches('.')).unwrap_or_default();
        (cut(if short.is_empty() { &name } else { short }), link::relative(folder, path))
    };
    record.outputs.iter().map(|one| output(&one.path.to_path())).collect()
}

/// The beginning of the text that was written, if one was.
fn text(record: &Record) -> Option<String> {
    let path = record.outputs.iter().map(|output| &output.path).find(|path| path.path.ends_with(".txt"))?;
    let mut bytes = Vec::new();
    File::open(path.to_path()).ok()?.take(MOST_TEXT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A warning as words: `truncated`, or `first_frame: frames 3`.
fn plain(warning: &Value) -> String {
    let words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = |map: &Map<String, Value>| {
        map.iter().map(|(name, value)| format!("{name} {}", words(value))).collect::<Vec<_>>().join(", ")
    };
    match warning {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| match value {
                Value::Object(inner) => format!("{name}: {}", pairs(inner)),
                other => format!("{name}: {}", words(other)),
            })
            .collect::<Vec<_>>()
            .join("; "),
        other => words(other),
    }
    .replace('_', " ")
}

/// A text of bounded length.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((at, _)) => format!("{}\u{2026}", &text[..at]),
        None => text.to_owned(),
    }
}
