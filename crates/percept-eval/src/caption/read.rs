//! Captions from files.

use std::collections::BTreeMap;
use std::path::Path;

use percept_core::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

use super::Said;
use crate::files::{self, Alike};

/// COCO's captions: `annotations` of a truth, or the list of results.
#[derive(Deserialize)]
struct Annotation {
    image_id: Value,
    caption: String,
}

#[derive(Deserialize)]
struct Coco {
    annotations: Vec<Annotation>,
}

/// Two JSON files as COCO has them, or texts: two files, or two folders of files with the same stems; each line of a truth is
/// a reference, and the first line of a result the caption.
pub(crate) fn pairs(truth: &Path, results: &Path) -> Result<Vec<Said>> {
    if truth.extension().is_some_and(|extension| extension == "json") {
        return coco(truth, results);
    }
    let mut all = Vec::new();
    for pair in files::pairs(truth, results, &["txt"], Alike::Stem)? {
        let (said, found) = (files::text(&pair.truth)?, files::text(&pair.result)?);
        let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        let references: Vec<String> = lines.map(str::to_owned).collect();
        if references.is_empty() {
            return Err(Error::input(&pair.truth, "it has no line of text"));
        }
        all.push(Said { caption: found.lines().next().unwrap_or_default().to_owned(), references });
    }
    Ok(all)
}

fn coco(truth: &Path, results: &Path) -> Result<Vec<Said>> {
    let wrong = |path: &Path, error: serde_json::Error, hint: &str| Error::Input {
        path: path.to_owned(),
        cause: error.into(),
        hint: Some(hint.into()),
    };
    let said: Coco = serde_json::from_str(&files::text(truth)?)
        .map_err(|error| wrong(truth, error, "a truth has `annotations` with `image_id` and `caption`"))?;
    let found: Vec<Annotation> = serde_json::from_str(&files::text(results)?)
        .map_err(|error| wrong(results, error, "results are a list of `image_id` and `caption`"))?;
    let mut all: BTreeMap<String, Said> = BTreeMap::new();
    for Annotation { image_id, caption } in said.annotations {
        all.entry(image_id.to_string()).or_default().references.push(caption);
    }
    let mut scored = Vec::with_capacity(found.len());
    for Annotation { image_id, caption } in found {
        // A second caption of a picture has nothing to be compared with any more.
        let known = all.remove(&image_id.to_string()).ok_or_else(|| {
            Error::input(results, format!("picture {image_id} is not in the truth, or has two captions"))
        })?;
        scored.push(Said { caption, ..known });
    }
    match all.into_keys().next() {
        Some(missing) => Err(Error::input(results, format!("picture {missing} of the truth has no caption"))),
        None => Ok(scored),
    }
}
