//! What stages make, and which fields conditions may use of it.

use std::sync::Arc;

use percept_core::detect::Detection;
use percept_core::pose::{KeypointScheme, Pose};
use percept_core::segment::{Image, Instance, Label, Mask};
use percept_core::transcribe::{Sound, Transcript};

use super::expression::{Type, Value};

/// What a stage takes or makes: any number of elements of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Pictures,
    /// Boxes around things in pictures.
    Boxes,
    /// Masks of things in pictures; whoever takes boxes takes these too.
    Masks,
    /// Key points of bodies in pictures.
    Keypoints,
    /// A distance for each pixel.
    Depths,
    /// Point clouds.
    Clouds,
    /// Texts about pictures.
    Texts,
    /// Sound.
    Sounds,
    /// What is said, with times.
    Transcripts,
}

impl Kind {
    /// The plural noun.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pictures => "pictures",
            Self::Boxes => "boxes",
            Self::Masks => "masks",
            Self::Keypoints => "key points",
            Self::Depths => "depths",
            Self::Clouds => "clouds",
            Self::Texts => "texts",
            Self::Sounds => "sounds",
            Self::Transcripts => "transcripts",
        }
    }

    /// Whether what takes `wanted` takes this.
    pub(super) fn serves_as(self, wanted: Self) -> bool {
        self == wanted || (self, wanted) == (Self::Masks, Self::Boxes)
    }

    /// The fields of an element.
    pub(super) fn fields(self) -> &'static [(&'static str, Type)] {
        use Type::{Number, Text};
        match self {
            Self::Pictures => &[("index", Number), ("width", Number), ("height", Number)],
            Self::Masks | Self::Boxes => &[
                ("index", Number),
                ("score", Number),
                ("class", Text),
                ("area", Number),
                ("left", Number),
                ("top", Number),
                ("right", Number),
                ("bottom", Number),
                ("width", Number),
                ("height", Number),
            ],
            Self::Sounds => &[("index", Number), ("start", Number), ("end", Number), ("duration", Number)],
            Self::Transcripts => &[
                ("index", Number),
                ("text", Text),
                ("language", Text),
                ("duration", Number),
                ("words", Number),
                ("confidence", Number),
            ],
            Self::Keypoints => &[
                ("index", Number),
                ("score", Number),
                ("class", Text),
                ("seen", Number),
                ("left", Number),
                ("top", Number),
                ("right", Number),
                ("bottom", Number),
                ("width", Number),
                ("height", Number),
            ],
            Self::Texts => &[("index", Number), ("text", Text), ("score", Number)],
            Self::Depths | Self::Clouds => &[("index", Number)],
        }
    }
}

/// One of the things that a stage made of an input.
#[derive(Clone, Debug)]
pub struct Element {
    /// From 1 within its stage and input, before any were left out.
    pub id: usize,
    /// What it was made of: a stage, and the id there. None for what was made of the input.
    pub from: Option<(usize, usize)>,
    /// What it is.
    pub content: Content,
}

/// What an element is.
#[derive(Clone, Debug)]
pub enum Content {
    /// A picture.
    Picture(Arc<Image>),
    /// A mask with its class and score, and the picture that it lies in.
    Mask(Box<Instance>, Arc<Image>),
    /// A box with its class and score, and the picture that it lies in.
    Box(Box<Detection>, Arc<Image>),
    /// The key points of a body, what they are, and the picture that they lie in.
    Pose(Box<Pose>, Arc<KeypointScheme>, Arc<Image>),
    /// A sound, and where in the input it begins, in seconds.
    Sound(Arc<Sound>, f64),
    /// What is said; times are those of the input.
    Transcript(Box<Transcript>),
}

/// Something in a picture, whatever is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thing<'a> {
    pub(super) image: &'a Arc<Image>,
    /// Left, top, right, bottom in pixels.
    pub(super) bounding_box: [f32; 4],
    pub(super) label: Option<&'a Label>,
    pub(super) score: f32,
    /// All of the box where there is none.
    pub(super) mask: Option<&'a Mask>,
}

impl Thing<'_> {
    /// Pixels of the mask, or of the box.
    fn area(&self) -> f64 {
        let [left, top, right, bottom] = self.bounding_box.map(f64::from);
        self.mask.map_or((right - left) * (bottom - top), |mask| mask.area() as f64)
    }
}

impl Content {
    /// What it is in a picture, where it lies in one.
    pub(super) fn thing(&self) -> Option<Thing<'_>> {
        Some(match self {
            Self::Mask(instance, image) => Thing {
                image,
                bounding_box: instance.bounding_box.map(|side| side as f32),
                label: instance.label.as_ref(),
                score: instance.score,
                mask: Some(&instance.mask),
            },
            Self::Box(found, image) => Thing {
                image,
                bounding_box: found.bounding_box,
                label: Some(&found.label),
                score: found.score,
                mask: found.mask.as_ref(),
            },
            Self::Pose(pose, _, image) => Thing {
                image,
                bounding_box: pose.bounding_box,
                label: pose.label.as_ref(),
                score: pose.score,
                mask: None,
            },
            _ => return None,
        })
    }

    /// A field by its name.
    pub(super) fn field(&self, name: &str, index: usize) -> Value {
        let number = |value: f64| Value::Number(value);
        if name == "index" {
            return number(index as f64);
        }
        if let Some(thing) = self.thing() {
            let [left, top, right, bottom] = thing.bounding_box.map(f64::from);
            return match name {
                "score" => number(f64::from(thing.score)),
                "class" => thing.label.map_or(Value::Missing, |label| Value::Text(label.name.clone())),
                "area" => number(thing.area()),
                "left" => number(left),
                "top" => number(top),
                "right" => number(right),
                "bottom" => number(bottom),
                "width" => number(right - left),
                "height" => number(bottom - top),
                "seen" => match self {
                    Self::Pose(pose, ..) => {
                        number(pose.keypoints.iter().filter(|keypoint| keypoint.seen).count() as f64)
                    }
                    _ => Value::Missing,
                },
                _ => Value::Missing,
            };
        }
        match self {
            Self::Mask(..) | Self::Box(..) | Self::Pose(..) => Value::Missing,
            Self::Picture(image) => match name {
                "width" => number(f64::from(image.width)),
                "height" => number(f64::from(image.height)),
                _ => Value::Missing,
            },
            Self::Sound(sound, start) => match name {
                "start" => number(*start),
                "end" => number(start + sound.seconds()),
                "duration" => number(sound.seconds()),
                _ => Value::Missing,
            },
            Self::Transcript(transcript) => match name {
                "text" => Value::Text(transcript.text.clone()),
                "language" => transcript.language.clone().map_or(Value::Missing, Value::Text),
                "duration" => number(transcript.duration),
                "words" => number(transcript.text.split_whitespace().count() as f64),
                "confidence" => {
                    let (sum, length) =
                        transcript.segments.iter().fold((0.0, 0.0), |(sum, length), segment| {
                            let seconds = segment.end - segment.start;
                            (sum + f64::from(segment.avg_logprob) * seconds, length + seconds)
                        });
                    if length > 0.0 { number((sum / length).exp()) } else { Value::Missing }
                }
                _ => Value::Missing,
            },
        }
    }
}
