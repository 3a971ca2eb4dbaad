//! What the commands share that take pictures.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use percept::flow::{Item, OutputTarget};
use percept::media::picture::{PictureInfo, PictureLimits};
use percept::segment::Image;
use percept::{Rendered, Result};

use crate::args::Files;

/// What the writer wants to know of a picture.
pub(super) struct Picture {
    pub(super) image: Arc<Image>,
    pub(super) info: PictureInfo,
}

/// As large as `--max-pixels` allows.
pub(super) fn limits(megapixels: u32) -> PictureLimits {
    PictureLimits { max_pixels: u64::from(megapixels) * 1_000_000 }
}

/// The name of an item's file.
pub(super) fn file_name(item: &Item) -> Cow<'_, str> {
    item.input.path().file_name().unwrap_or(OsStr::new("stdin")).to_string_lossy()
}

/// What was asked for; else what the extension of `-o` says, where it is no folder; else the `usual`.
pub(super) fn formats<F: Clone>(
    asked: &[F],
    files: &Files,
    of_extension: impl Fn(&str) -> Option<F>,
    usual: &[F],
) -> Vec<F> {
    let said = || {
        let output = Path::new(files.output.as_ref()?);
        let extension = output.extension().and_then(OsStr::to_str).filter(|_| !output.is_dir())?;
        of_extension(extension).map(|format| vec![format])
    };
    if asked.is_empty() { said().unwrap_or_else(|| usual.to_vec()) } else { asked.to_vec() }
}

/// Writes what a format came to.
pub(super) fn write(target: &OutputTarget, rendered: Rendered) -> Result<()> {
    match rendered {
        Rendered::File(bytes) => target.write(&bytes),
        Rendered::Folder(files) => target.write_folder(&files),
    }
}
