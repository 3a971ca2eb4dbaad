//! Pictures as the inputs of tasks.

use std::path::Path;
use std::sync::Arc;

use percept_core::Result;
use percept_core::segment::Image;
use percept_flow::InputSource;
use percept_media::picture::{self, PictureInfo, PictureLimits, PictureSource};

/// Extensions of files in folders that are taken for pictures.
const EXTENSIONS: [&str; 17] = [
    "bmp", "dib", "gif", "hdr", "jfif", "jpe", "jpeg", "jpg", "pam", "pbm", "pgm", "png", "pnm", "ppm",
    "tif", "tiff", "webp",
];

/// Whether a file that lies in a folder is taken for a picture, by its name.
pub fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
}

/// Reads a picture.
///
/// # Errors
/// It cannot be read, is no picture, or is larger than `limits`.
pub fn read(source: &InputSource, limits: PictureLimits) -> Result<(Arc<Image>, PictureInfo)> {
    let source = match source {
        InputSource::Path(path) => PictureSource::Path(path.clone()),
        InputSource::Stdin => PictureSource::Stdin,
    };
    let (image, info) = picture::read(source, limits)?;
    Ok((Arc::new(image), info))
}
