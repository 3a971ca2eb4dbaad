//! A stage: what it takes, what it does, what it makes. All of it is checked here, before any model is loaded.

use std::sync::Arc;

use percept_core::Result;
use percept_core::detect::{DetectOptions, Nms, NmsScope};
use percept_core::pose::{KeypointSet, PoseOptions};
use percept_core::segment::{EverythingOptions, SegmentOptions, SegmentRequest, WholeKind};
use percept_core::transcribe::{Goal, TranscribeOptions};

use super::document::{Fields, suggestion};
use super::expression::{Condition, Type};
use super::files::FileFormat;
use super::kind::Kind;
use crate::media::draw::Background;
use crate::segment::{Tiles, background};

/// What a pipeline begins with, by its name in the file.
const INPUT: &str = "input";
/// Sides of pictures and radii, in pixels.
const PIXELS: std::ops::Range<f64> = 1.0..65_535.0;

/// Tasks, and what they make. Those of later versions have their place in the types.
const TASKS: [(&str, Kind); 6] = [
    ("segment", Kind::Masks),
    ("detect", Kind::Boxes),
    ("pose", Kind::Keypoints),
    ("caption", Kind::Texts),
    ("depth", Kind::Depths),
    ("transcribe", Kind::Transcripts),
];

/// Operations that need no model.
const OPERATIONS: [&str; 10] =
    ["crop", "cutout", "resize", "blur", "draw", "cloud", "sound", "speech", "filter", "join"];

/// Where a stage takes its elements from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Input,
    Stage(usize),
}

/// A checked stage.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) work: Work,
    /// What it makes elements of, one or more of each.
    pub(super) source: Source,
    /// Where the pictures are that its masks lie in.
    pub(super) pictures: Option<Source>,
    /// What an element must be, to stay.
    pub(super) condition: Option<Condition>,
    /// Whether results tell of it: where nothing is said, if no other stage takes it or files are asked for.
    pub(super) keep: Option<bool>,
    /// The files that are written of each element.
    pub(super) files: Vec<FileFormat>,
}

/// A model by its name (the task's default where there is none).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) model: Option<String>,
    pub(super) tiles: Option<Tiles>,
}

/// What a stage does with each element of its source.
#[derive(Debug)]
pub(super) enum Work {
    /// Masks in a picture.
    Segment {
        wanted: Wanted,
        options: Arc<SegmentOptions>,
    },
    /// A mask for each box, in the picture that the boxes lie in.
    SegmentBoxes {
        wanted: Wanted,
    },
    /// Boxes in a picture.
    Detect {
        wanted: Wanted,
        options: Arc<DetectOptions>,
    },
    /// Key points in each box, or in the whole picture.
    Pose {
        wanted: Wanted,
        options: Arc<PoseOptions>,
    },
    Transcribe {
        wanted: Wanted,
        options: Arc<TranscribeOptions>,
    },
    /// The box of a thing, larger by a share of its sides.
    Crop {
        padding: f64,
    },
    /// The pixels of a mask.
    Cutout {
        background: Option<Background>,
        trim: bool,
    },
    Resize {
        size: Size,
    },
    /// The picture with these things blurred.
    Blur {
        regions: usize,
        radius: f64,
        whole_box: bool,
    },
    /// The picture with these things drawn over it.
    Draw {
        regions: usize,
    },
    /// The sound as it is.
    Sound,
    /// The stretches in which somebody speaks.
    Speech,
    /// What the condition says, of elements that belong to some of each of these stages.
    Filter {
        with: Vec<usize>,
    },
}

/// The new size of a picture whose sides keep their ratio, unless both are given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) longest: Option<u32>,
}

/// What stands before a stage.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) stages: Vec<Stage>,
    /// What the input is, once a stage has taken it.
    pub(super) input: Option<Kind>,
}

impl Scope {
    /// A stage and those that it was made of, the nearest first.
    fn chain(&self, stage: usize) -> Vec<usize> {
        let mut chain = vec![stage];
        let mut next = self.stages[stage].source;
        while let Source::Stage(stage) = next {
            chain.push(stage);
            next = self.stages[stage].source;
        }
        chain
    }

    /// The last stage that both were made of (or are).
    pub(super) fn common(&self, first: usize, second: usize) -> Option<usize> {
        let second = self.chain(second);
        self.chain(first).into_iter().find(|stage| second.contains(stage))
    }

    /// The stage that an entry names.
    fn stage(&self, fields: &Fields<'_>, key: &'static str, wanted: &[Kind]) -> Result<Option<usize>> {
        let Some(name) = fields.text(key)? else { return Ok(None) };
        self.named(fields, key, &name.value, wanted, &name.place).map(Some)
    }

    fn named(
        &self,
        fields: &Fields<'_>,
        key: &str,
        name: &str,
        wanted: &[Kind],
        place: &std::ops::Range<usize>,
    ) -> Result<usize> {
        let Some(index) = self.stages.iter().position(|stage| stage.name == name) else {
            let before = self.stages.iter().map(|stage| stage.name.as_str());
            let hint = suggestion(name, before);
            return Err(fields.wrong_at(place, format!("there is no stage `{name}` before this one"), hint));
        };
        let found = self.stages[index].kind;
        if wanted.is_empty() || wanted.iter().any(|wanted| found.serves_as(*wanted)) {
            return Ok(index);
        }
        let kinds = wanted.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" or ");
        let message = format!("`{key}` takes {kinds}, and `{name}` makes {}", found.name());
        let fits = |stage: &&Stage| wanted.contains(&stage.kind);
        let hint = self.stages.iter().rev().find(fits).map(|stage| format!("`{}` would do", stage.name));
        Err(fields.wrong_at(place, message, hint))
    }

    /// The stage that an entry must name.
    fn needed(&self, fields: &Fields<'_>, key: &'static str, wanted: &[Kind]) -> Result<usize> {
        self.stage(fields, key, wanted)?.ok_or_else(|| {
            fields.wrong(format!("`{key}` is missing"), Some(format!("name a stage: {key} = \"...\"")))
        })
    }

    /// The stage that an entry names, or the input.
    fn source(&mut self, fields: &Fields<'_>, key: &'static str, kind: Kind) -> Result<Source> {
        match fields.text(key)? {
            Some(name) if name.value != INPUT => {
                self.named(fields, key, &name.value, &[kind], &name.place).map(Source::Stage)
            }
            _ => match self.input {
                Some(known) if known != kind => Err(fields.wrong(
                    format!("the inputs cannot be both {} and {}", known.name(), kind.name()),
                    Some(format!("name a stage: {key} = \"...\"")),
                )),
                _ => {
                    self.input = Some(kind);
                    Ok(Source::Input)
                }
            },
        }
    }

    /// Where the pictures are that the elements of a stage lie in.
    fn pictures_of(&self, stage: usize) -> Source {
        self.stages[stage].pictures.unwrap_or(Source::Input)
    }

    /// Reads the next stage.
    pub(super) fn add(&mut self, fields: Fields<'_>) -> Result<()> {
        let name = fields.text("name")?.ok_or_else(|| fields.wrong("a stage has no `name`".into(), None))?;
        let plain = |c: char| c.is_alphanumeric() || c == '_';
        let length = name.value.len();
        if name.value == INPUT || !(1..=60).contains(&length) || !name.value.chars().all(plain) {
            let message = format!("a stage cannot be called `{}`", name.value);
            let hint = "names have 1 to 60 letters, digits and `_`; `input` is what goes in".to_owned();
            return Err(fields.wrong_at(&name.place, message, Some(hint)));
        }
        if self.stages.iter().any(|stage| stage.name == name.value) {
            let message = format!("two stages are called `{}`", name.value);
            return Err(fields.wrong_at(&name.place, message, None));
        }
        let made = match (fields.text("task")?, fields.text("op")?) {
            (Some(task), None) => match task.value.as_str() {
                "segment" => self.segment(&fields)?,
                "detect" => self.detect(&fields)?,
                "pose" => self.pose(&fields)?,
                "transcribe" => self.transcribe(&fields)?,
                other if TASKS.iter().any(|(task, _)| *task == other) => {
                    let message = format!("the task `{other}` is not in this version of percept");
                    return Err(fields.wrong_at(
                        &task.place,
                        message,
                        Some("there are: segment, detect, pose, transcribe".into()),
                    ));
                }
                other => {
                    let hint = suggestion(other, TASKS.iter().map(|(task, _)| *task));
                    return Err(fields.wrong_at(&task.place, format!("there is no task `{other}`"), hint));
                }
            },
            (None, Some(op)) => self.operation(&fields, &op.value, &op.place)?,
            (Some(_), Some(op)) => {
                return Err(fields.wrong_at(
                    &op.place,
                    "a stage has a `task` or an `op`, not both".into(),
                    None,
                ));
            }
            (None, None) => {
                let hint = format!(
                    "tasks: segment, detect, pose, transcribe; operations: {}",
                    OPERATIONS.join(", ")
                );
                return Err(fields.wrong("a stage needs a `task` or an `op`".into(), Some(hint)));
            }
        };
        let Made { kind, work, source, pictures } = made;
        let with = if let Work::Filter { with } = &work { with.as_slice() } else { &[] };
        let condition = self.condition(&fields, kind, with)?;
        let files = FileFormat::of(&fields, kind)?;
        // Whoever wants files of a stage wants it.
        let keep = fields.flag("keep")?.or(fields.has("write").then_some(true));
        fields.finish()?;
        self.stages.push(Stage { name: name.value, kind, work, source, pictures, condition, keep, files });
        Ok(())
    }

    fn condition(&self, fields: &Fields<'_>, kind: Kind, with: &[usize]) -> Result<Option<Condition>> {
        let Some(text) = fields.text("where")? else { return Ok(None) };
        let of = |prefix: &str, kind: Kind| -> Vec<(String, Type)> {
            kind.fields().iter().map(|(name, of)| (format!("{prefix}{name}"), *of)).collect()
        };
        let mut known = of("", kind);
        for stage in with {
            known.extend(of(&format!("{}.", self.stages[*stage].name), self.stages[*stage].kind));
        }
        let condition = Condition::parse(&text.value, &known)
            .map_err(|(message, hint)| fields.wrong_at(&text.place, format!("`where`: {message}"), hint))?;
        Ok(Some(condition))
    }

    fn detect(&mut self, fields: &Fields<'_>) -> Result<Made> {
        let wanted = Wanted { model: model(fields)?, tiles: tiles(fields)? };
        let source = self.source(fields, "image", Kind::Pictures)?;
        let nms = fields.number("nms", 0.0..1.0)?;
        let options = DetectOptions {
            texts: fields.texts("text")?,
            score: fields.number("score", 0.0..1.0)?.map(|score| score as f32),
            text_score: fields.number("text_score", 0.0..1.0)?.map(|score| score as f32),
            classes: fields.texts("class")?,
            nms: nms.map(|iou| Nms { iou: iou as f32, scope: NmsScope::Class }),
            max_detections: fields.count("max_detections", 1.0..1e9)?.map(|count| count as usize),
        };
        let work = Work::Detect { wanted, options: Arc::new(options) };
        Ok(Made { kind: Kind::Boxes, work, source, pictures: Some(source) })
    }

    fn pose(&mut self, fields: &Fields<'_>) -> Result<Made> {
        let wanted = Wanted { model: model(fields)?, tiles: None };
        let sets = KeypointSet::ALL.map(|set| (set.name(), set));
        let options = PoseOptions {
            keypoints: fields.one_of("keypoints", &sets)?,
            flip_test: fields.flag("flip_test")?.unwrap_or(false),
            score: fields.number("score", 0.0..1.0)?.map(|score| score as f32),
            oks: fields.number("oks", 0.0..1.0)?.map(|oks| oks as f32),
        };
        let work = Work::Pose { wanted, options: Arc::new(options) };
        let (source, pictures) = match self.stage(fields, "boxes", &[Kind::Boxes])? {
            Some(boxes) => (Source::Stage(boxes), self.pictures_of(boxes)),
            None => {
                let source = self.source(fields, "image", Kind::Pictures)?;
                (source, source)
            }
        };
        Ok(Made { kind: Kind::Keypoints, work, source, pictures: Some(pictures) })
    }

    fn segment(&mut self, fields: &Fields<'_>) -> Result<Made> {
        let boxes = self.stage(fields, "boxes", &[Kind::Boxes])?;
        let wanted = Wanted { model: model(fields)?, tiles: tiles(fields)? };
        if let Some(boxes) = boxes {
            let pictures = self.pictures_of(boxes);
            let work = Work::SegmentBoxes { wanted };
            return Ok(Made {
                kind: Kind::Masks,
                work,
                source: Source::Stage(boxes),
                pictures: Some(pictures),
            });
        }
        let source = self.source(fields, "image", Kind::Pictures)?;
        let text = fields.texts("text")?;
        let kinds = [
            ("panoptic", WholeKind::Panoptic),
            ("instance", WholeKind::Instance),
            ("semantic", WholeKind::Semantic),
        ];
        let request = match (text.is_empty(), fields.flag("everything")?) {
            (false, _) => SegmentRequest::Text(text),
            (true, Some(true)) => SegmentRequest::Everything(EverythingOptions::default()),
            _ => SegmentRequest::Whole(fields.one_of("kind", &kinds)?.unwrap_or_default()),
        };
        let options = SegmentOptions {
            request,
            score: fields.number("score", 0.0..1.0)?.map(|score| score as f32),
            classes: fields.texts("class")?,
            min_area: fields.count("min_area", 0.0..1e15)?.unwrap_or(0),
            fill_holes: fields.count("fill_holes", 0.0..1e15)?.unwrap_or(0),
            max_instances: fields.count("max_instances", 1.0..1e9)?.map(|count| count as usize),
        };
        let work = Work::Segment { wanted, options: Arc::new(options) };
        Ok(Made { kind: Kind::Masks, work, source, pictures: Some(source) })
    }

    fn transcribe(&mut self, fields: &Fields<'_>) -> Result<Made> {
        let source = self.source(fields, "sound", Kind::Sounds)?;
        let usual = TranscribeOptions::default();
        let goal = if fields.flag("translate")? == Some(true) { Goal::Translate } else { Goal::Transcribe };
        let options = TranscribeOptions {
            language: fields.text("language")?.map(|language| language.value),
            prompt: fields.text("prompt")?.map(|prompt| prompt.value),
            beam_size: fields.count("beam_size", 1.0..64.0)?.map_or(usual.beam_size, |beams| beams as usize),
            word_timestamps: fields.flag("word_timestamps")?.unwrap_or(usual.word_timestamps),
            vad: fields.flag("vad")?.unwrap_or(usual.vad),
            goal,
            ..usual
        };
        let wanted = Wanted { model: model(fields)?, tiles: None };
        let work = Work::Transcribe { wanted, options: Arc::new(options) };
        Ok(Made { kind: Kind::Transcripts, work, source, pictures: None })
    }

    fn operation(&mut self, fields: &Fields<'_>, op: &str, place: &std::ops::Range<usize>) -> Result<Made> {
        let pictures = |work, source| Made { kind: Kind::Pictures, work, source, pictures: None };
        Ok(match op {
            "crop" => {
                let from = self.needed(fields, "from", &[Kind::Boxes])?;
                let padding = fields.number("padding", 0.0..10.0)?.unwrap_or(0.0);
                pictures(Work::Crop { padding }, Source::Stage(from))
            }
            "cutout" => {
                let from = self.needed(fields, "from", &[Kind::Masks])?;
                let behind = match fields.text("background")? {
                    Some(text) => Some(
                        background(&text.value)
                            .map_err(|error| fields.wrong_at(&text.place, error.chain(), error.hint()))?,
                    ),
                    None => None,
                };
                let trim = fields.flag("trim")?.unwrap_or(true);
                pictures(Work::Cutout { background: behind, trim }, Source::Stage(from))
            }
            "resize" => {
                let source = self.source(fields, "image", Kind::Pictures)?;
                let side = |key| fields.count(key, PIXELS).map(|side| side.map(|side| side as u32));
                let size = Size { width: side("width")?, height: side("height")?, longest: side("longest")? };
                if size.width.or(size.height).is_some() == size.longest.is_some() {
                    let message = "a size is `longest`, or `width` and `height`, or one of them";
                    return Err(fields.wrong(message.into(), None));
                }
                pictures(Work::Resize { size }, source)
            }
            "blur" => {
                let regions = self.needed(fields, "from", &[Kind::Boxes])?;
                let radius = fields.number("radius", 0.5..1000.0)?.unwrap_or(12.0);
                let whole_box = fields.one_of("region", &[("mask", false), ("box", true)])?.unwrap_or(false);
                let source = self.pictures_of(regions);
                pictures(Work::Blur { regions, radius, whole_box }, source)
            }
            "draw" => {
                let regions = self.needed(fields, "from", &[Kind::Boxes, Kind::Keypoints])?;
                pictures(Work::Draw { regions }, self.pictures_of(regions))
            }
            "cloud" => {
                self.needed(fields, "from", &[Kind::Depths])?;
                let message = "depths are not in this version of percept".to_owned();
                return Err(fields.wrong_at(place, message, None));
            }
            "sound" => {
                let source = self.source(fields, "sound", Kind::Sounds)?;
                Made { kind: Kind::Sounds, work: Work::Sound, source, pictures: None }
            }
            "speech" => {
                let source = self.source(fields, "sound", Kind::Sounds)?;
                Made { kind: Kind::Sounds, work: Work::Speech, source, pictures: None }
            }
            "filter" => {
                let from = self.needed(fields, "from", &[])?;
                if !fields.has("where") {
                    return Err(fields
                        .wrong("a filter needs a condition".into(), Some("where = \"score > 0.5\"".into())));
                }
                self.of_same_kind(from, vec![])
            }
            "join" => {
                let from = self.needed(fields, "from", &[])?;
                let names = fields.texts("with")?;
                if names.is_empty() {
                    return Err(
                        fields.wrong("`with` is missing".into(), Some("name a stage: with = \"...\"".into()))
                    );
                }
                let with = names.iter().map(|name| self.named(fields, "with", name, &[], place));
                let with = with.collect::<Result<Vec<_>>>()?;
                if let Some(other) = with.iter().find(|other| self.common(from, **other).is_none()) {
                    let (first, second) = (&self.stages[from].name, &self.stages[*other].name);
                    let message = format!("`{first}` and `{second}` have nothing in common but the input");
                    let hint = "a join is of stages of which one was made of the other, or both of a third"
                        .to_owned();
                    return Err(fields.wrong(message, Some(hint)));
                }
                self.of_same_kind(from, with)
            }
            other => {
                let hint = suggestion(other, OPERATIONS.into_iter());
                return Err(fields.wrong_at(place, format!("there is no operation `{other}`"), hint));
            }
        })
    }

    fn of_same_kind(&self, from: usize, with: Vec<usize>) -> Made {
        let Stage { kind, pictures, .. } = self.stages[from];
        Made { kind, work: Work::Filter { with }, source: Source::Stage(from), pictures }
    }
}

/// Tiles of a size, with an overlap of an eighth where nothing is said.
fn tiles(fields: &Fields<'_>) -> Result<Option<Tiles>> {
    let tile = fields.count("tile", 32.0..65_535.0)?;
    let overlap = fields.count("overlap", 0.0..65_535.0)?;
    Ok(tile.map(|size| Tiles { size: size as u32, overlap: overlap.unwrap_or(size / 8) as u32 }))
}

/// The model that is named; an empty name is the task's default, so that a variable can stand for it.
fn model(fields: &Fields<'_>) -> Result<Option<String>> {
    Ok(fields.text("model")?.map(|model| model.value).filter(|name| !name.is_empty()))
}

/// What a stage was found to be.
struct Made {
    kind: Kind,
    work: Work,
    source: Source,
    pictures: Option<Source>,
}
