//! The files that a stage's elements become.

use percept_core::Result;
use percept_core::transcribe::Transcript;
use percept_transcribe::format::{CueLimits, Format};

use super::document::{Fields, suggestion};
use super::kind::{Content, Kind};
use crate::media::{picture, sound};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileFormat {
    Png,
    Jpg,
    /// Black and white.
    Mask,
    /// 16-bit PCM.
    Wav,
    Txt,
    Srt,
    Vtt,
}

/// Quality of JPEG files.
const QUALITY: u8 = 92;

impl FileFormat {
    const ALL: [(&'static str, Self, Kind); 7] = [
        ("png", Self::Png, Kind::Pictures),
        ("jpg", Self::Jpg, Kind::Pictures),
        ("mask", Self::Mask, Kind::Masks),
        ("wav", Self::Wav, Kind::Sounds),
        ("txt", Self::Txt, Kind::Transcripts),
        ("srt", Self::Srt, Kind::Transcripts),
        ("vtt", Self::Vtt, Kind::Transcripts),
    ];

    /// What `write` asks for; where it says nothing, what has no place in JSON becomes files.
    pub(super) fn of(fields: &Fields<'_>, kind: Kind) -> Result<Vec<Self>> {
        if !fields.has("write") {
            return Ok(match kind {
                Kind::Pictures => vec![Self::Png],
                Kind::Sounds => vec![Self::Wav],
                _ => vec![],
            });
        }
        let one = |name: String| {
            let fits = || Self::ALL.iter().filter(|(.., of)| *of == kind);
            fits().find(|(known, ..)| *known == name).map(|(_, format, _)| *format).ok_or_else(|| {
                let message = format!("{} are not written as `{name}`", kind.name());
                fields.wrong_at(
                    &fields.place_of("write"),
                    message,
                    suggestion(&name, fits().map(|(known, ..)| *known)),
                )
            })
        };
        let mut formats = Vec::new();
        for format in fields.texts("write")?.into_iter().map(one) {
            let format = format?;
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        Ok(formats)
    }

    /// The extension.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Png | Self::Mask => "png",
            Self::Jpg => "jpg",
            Self::Wav => "wav",
            Self::Txt => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
        }
    }

    /// The bytes of an element; none where it is of another kind, which the check of the pipeline excludes.
    pub(super) fn encode(self, content: &Content) -> Result<Option<Vec<u8>>> {
        Ok(Some(match (self, content) {
            (Self::Png, Content::Picture(image)) => picture::encode_png(image)?,
            (Self::Jpg, Content::Picture(image)) => picture::encode_jpeg(image, QUALITY)?,
            (Self::Mask, Content::Mask(instance, _)) => picture::encode_mask_png(&instance.mask)?,
            (Self::Wav, Content::Sound(sound, _)) => sound::encode_wav(sound)?,
            (Self::Txt | Self::Srt | Self::Vtt, Content::Transcript(transcript)) => {
                return Ok(self.text(transcript));
            }
            _ => return Ok(None),
        }))
    }

    fn text(self, transcript: &Transcript) -> Option<Vec<u8>> {
        let format = Format::ALL.iter().find(|(name, _)| *name == self.extension())?.1;
        Some(format.render(transcript, CueLimits::default()).into_bytes())
    }
}
