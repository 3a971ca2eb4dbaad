//! A truth and results on disk, to a report.

use std::path::Path;

use percept_core::{Error, Result};
use percept_media::depth::read;

use crate::files::{self, Alike};
use crate::text::{self, Normalizer};
use crate::{answers, caption as captions, coco, depth as depths, masks};

/// Boxes: a COCO file, and results as [`coco::Results::parse`] takes them.
///
/// # Errors
/// As [`coco::Truth::parse`], [`coco::Results::parse`] and [`coco::boxes`].
pub fn detect(truth: &Path, results: &Path) -> Result<coco::Report> {
    let (truth, results) = coco_files(truth, results)?;
    coco::boxes(&truth, &results)
}

/// Keypoints, likewise; of COCO's 17 unless there are sigmas of others.
///
/// # Errors
/// As [`coco::Truth::parse`], [`coco::Results::parse`] and [`coco::keypoints`].
pub fn pose(truth: &Path, results: &Path, sigmas: Option<&[f64]>) -> Result<coco::Report> {
    let (truth, results) = coco_files(truth, results)?;
    coco::keypoints(&truth, &results, sigmas.unwrap_or(&coco::COCO_SIGMAS))
}

fn coco_files(truth: &Path, results: &Path) -> Result<(coco::Truth, coco::Results)> {
    let truth = coco::Truth::parse(truth, &files::text(truth)?)?;
    let results = coco::Results::parse(results, &files::text(results)?, &truth)?;
    Ok((truth, results))
}

/// Index pictures: two PNGs, or two folders of PNGs with the same names. Where the truth has a value of `ignored`, nothing
/// counts. Results can be answers of `percept segment` in JSON too, a file or a folder of them; then a pixel's value is
/// what `numbers` makes of the model's class.
///
/// # Errors
/// [`Error::Input`]: a picture is no index picture, or has no result; [`Error::Argument`]: the folders differ, or two
/// pictures in size.
pub fn segment(
    truth: &Path,
    results: &Path,
    ignored: &[u16],
    numbers: masks::ClassNumbers,
) -> Result<masks::Report> {
    let mut confusion = masks::Confusion::default();
    let mut add = |truth: &Path, result: &Path, found: &masks::IndexPicture| {
        let said = masks::IndexPicture::read(truth)?;
        confusion.add(&said, found, ignored).map_err(|error| Error::input(result, error))
    };
    if answers::are(results) {
        let answers = answers::read(results)?;
        let truths = if truth.is_dir() { files::all(truth, "png")? } else { vec![truth.to_owned()] };
        for path in truths {
            let stem = answers::stem(&path.to_string_lossy());
            let answer = answers.get(&stem).ok_or_else(|| {
                Error::input(results, format!("it has no result of a picture `{stem}`, which the truth has"))
            })?;
            add(&path, &answer.path, &answer.index_picture(&numbers)?)?;
        }
    } else {
        for pair in files::pairs(truth, results, &["png"], Alike::Path)? {
            add(&pair.truth, &pair.result, &masks::IndexPicture::read(&pair.result)?)?;
        }
    }
    Ok(confusion.report())
}

/// Captions: two JSON files as COCO has them, or two text files or folders of them with the same stems, where each line of a
/// truth is a reference.
///
/// # Errors
/// [`Error::Input`]: a file cannot be read, or results are not of the truth's pictures; [`Error::Argument`]: folders differ.
pub fn caption(truth: &Path, results: &Path) -> Result<captions::Report> {
    Ok(captions::score(&captions::pairs(truth, results)?))
}

/// Depth maps: two files (npy, TIFF, PNG of 16-bit grey), or two folders of files with the same stems.
///
/// # Errors
/// [`Error::Input`]: a file cannot be read or compared; [`Error::Argument`]: the folders differ.
pub fn depth(truth: &Path, results: &Path, options: &depths::DepthOptions) -> Result<depths::Report> {
    let mut all = depths::Depths::default();
    for pair in files::pairs(truth, results, &["npy", "tiff", "tif", "png"], Alike::Stem)? {
        let (said, found) = (read(&pair.truth, options.truth_scale)?, read(&pair.result, None)?);
        all.add(&said, &found, options).map_err(|error| Error::input(&pair.result, error))?;
    }
    Ok(all.report())
}

/// Transcripts: two files (text, JSON of percept or whisper, srt or vtt), or two folders of files with the same stems.
///
/// # Errors
/// [`Error::Input`]: a file cannot be read; [`Error::Argument`]: the folders differ.
pub fn transcribe(truth: &Path, results: &Path, normalizer: &Normalizer) -> Result<text::Report> {
    let mut report = text::Report::default();
    for pair in files::pairs(truth, results, &text::EXTENSIONS, Alike::Stem)? {
        report.add(&text::read(&pair.truth)?, &text::read(&pair.result)?, normalizer);
    }
    Ok(report)
}
