//! The way of clips, which `detect` and `pose` share: frames through a model in their order, a line of JSON or a drawn frame
//! for each.
//!
//! A clip is not an item of `percept-flow`: its outputs grow while it is read, and what it is made of is never in memory as
//! a whole. What is planned is the same: inputs, names of outputs, collisions.

#[cfg(feature = "video")]
mod frames;

use std::ffi::OsStr;
use std::path::Path;

use percept::clip::Format;
use percept::media::video;
use percept::{Error, Result};
#[cfg(not(feature = "video"))]
use percept::{Runtime, clip::Watch, flow::ExitCode, hub::Hub};

#[cfg(not(feature = "video"))]
use crate::args::OnPictures;
use crate::args::{Files, FormatOf, OnClips};

/// What a command is about.
pub(super) enum Way<F> {
    /// Pictures, in these formats where some were asked for.
    Pictures(Vec<F>),
    /// Clips.
    Clips(Vec<Format>),
}

/// What the inputs are: clips where one is named, or a format or an option of clips is.
pub(super) fn way<F: Copy + std::fmt::Debug>(
    files: &Files,
    formats: &[FormatOf<F>],
    clips: &OnClips,
) -> Result<Way<F>> {
    let (mut of_clips, mut of_pictures) = (Vec::new(), Vec::new());
    for format in formats {
        match format {
            FormatOf::Clip(format) => of_clips.push(*format),
            FormatOf::Picture(format) => of_pictures.push(*format),
        }
    }
    if formats.is_empty() {
        of_clips.extend(by_extension(files));
    }
    let named = files.inputs.iter().map(Path::new).find(|path| video::is_clip(path));
    if named.is_none() && of_clips.is_empty() && clips.every.is_none() && !clips.track {
        return Ok(Way::Pictures(of_pictures));
    }
    if !video::SUPPORTED {
        let message = match named {
            Some(path) => format!("`{}` is a video, which this build does not read", path.display()),
            None => "this build reads no videos".to_owned(),
        };
        return Err(Error::Argument { message, hint: Some("build percept with `--features video`".into()) });
    }
    if let Some(format) = of_pictures.first() {
        return Err(Error::Argument {
            message: format!("{format:?} is a format of pictures, not of clips").to_lowercase(),
            hint: Some("clips have jsonl (a line a frame) and mp4 (drawn)".into()),
        });
    }
    Ok(Way::Clips(if of_clips.is_empty() { vec![Format::Jsonl] } else { of_clips }))
}

/// What the extension of `-o` says, where it is no folder.
fn by_extension(files: &Files) -> Option<Format> {
    let output = Path::new(files.output.as_ref()?);
    let extension = output.extension().and_then(OsStr::to_str).filter(|_| !output.is_dir())?;
    Format::of_extension(&extension.to_ascii_lowercase())
}

/// Refuses what is of clips, where there are none.
pub(super) fn refuse(clips: &OnClips) -> Result<()> {
    match clips.every.is_some() || clips.track {
        true => Err(Error::argument("--every and --track are of clips")),
        false => Ok(()),
    }
}

/// Takes the clips that were named through a task, one after the other.
#[cfg(feature = "video")]
pub(super) use frames::run;

/// [`way`] says before what to do about it.
#[cfg(not(feature = "video"))]
pub(super) fn run<W: Watch>(
    _: &OnPictures,
    _: &OnClips,
    _: &[Format],
    _: impl FnOnce(&Hub, Option<&str>, &Runtime) -> Result<W>,
) -> Result<ExitCode> {
    Err(Error::argument("this build reads no videos"))
}
