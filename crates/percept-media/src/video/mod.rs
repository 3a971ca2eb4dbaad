//! Clips: their frames as upright pictures, and clips of pictures.
//!
//! With the cargo feature `video` FFmpeg reads and writes them (`Clip`, `ClipWriter`); without it clips are only known
//! when they are seen ([`is_clip`]). Frames come one by one: a clip is never in memory as a whole.

#[cfg(feature = "video")]
mod color;
#[cfg(feature = "video")]
mod failure;
#[cfg(feature = "video")]
mod read;
#[cfg(test)]
#[cfg(feature = "video")]
mod tests;
#[cfg(feature = "video")]
mod write;

use std::fs::File;
use std::io::Read;
use std::path::Path;

#[cfg(feature = "video")]
pub use read::{Clip, ClipInfo, ClipWarning, Frame};
#[cfg(feature = "video")]
pub use write::ClipWriter;

use crate::magic;

/// Whether clips can be read and written: whether this was built with the feature `video`.
pub const SUPPORTED: bool = cfg!(feature = "video");

/// Whether a file is a video, by its first bytes; not where it cannot be read, and nothing but a regular file is looked at.
pub fn is_clip(path: &Path) -> bool {
    let head = || {
        let mut head = Vec::new();
        File::open(path)?.take(magic::VIDEO_HEAD).read_to_end(&mut head)?;
        std::io::Result::Ok(head)
    };
    path.is_file() && head().is_ok_and(|head| magic::video(&head).is_some())
}

/// Whether a file that lies in a folder is taken for a clip, by its name.
pub fn is_clip_name(path: &Path) -> bool {
    const EXTENSIONS: [&str; 16] = [
        "3gp", "asf", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "ts",
        "webm", "wmv",
    ];
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
}
