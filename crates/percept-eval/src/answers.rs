//! What `percept segment -f json` wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use percept_core::coco::Rle;
use percept_core::{Error, Result};
use serde::Deserialize;

use crate::files;
use crate::masks::{ClassNumbers, IndexPicture, NOTHING};

/// The largest picture that is drawn from what a file says.
const MOST_PIXELS: u64 = 1 << 30;

/// The segments of one picture.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) path: PathBuf,
    pub(crate) kind: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) instances: Vec<Instance>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Instance {
    pub(crate) label: Option<Label>,
    pub(crate) score: f32,
    pub(crate) rle: Rle,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Label {
    pub(crate) id: u32,
    pub(crate) name: String,
}

#[derive(Deserialize)]
struct Envelope {
    task: String,
    input: Input,
    result: Record,
}

#[derive(Deserialize)]
struct Input {
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Record {
    kind: String,
    width: u32,
    height: u32,
    instances: Vec<Instance>,
}

impl Answer {
    /// Each pixel's number of its class, as `numbers` says; where masks overlap, of the better score.
    ///
    /// # Errors
    /// [`Error::Input`]: a mask is of no class, or is broken.
    pub(crate) fn index_picture(&self, numbers: &ClassNumbers) -> Result<IndexPicture> {
        let wrong = |cause: &str| Error::input(&self.path, cause.to_owned());
        let pixels = u64::from(self.width) * u64::from(self.height);
        if pixels > MOST_PIXELS {
            return Err(wrong("its picture is too large"));
        }
        let mut values = vec![numbers.background.unwrap_or(NOTHING); pixels as usize];
        let mut order: Vec<&Instance> = self.instances.iter().collect();
        order.sort_by(|a, b| a.score.total_cmp(&b.score));
        for instance in order {
            let label = instance.label.as_ref().ok_or_else(|| wrong("its masks are of no class"))?;
            let value = u16::try_from(label.id).ok().and_then(|id| id.checked_add(numbers.offset));
            let value = value.ok_or_else(|| wrong("the number of a class is too large"))?;
            let mask = instance.rle.mask().map_err(|error| Error::input(&self.path, error))?;
            mask.paint(|at| values[at] = value);
        }
        Ok(IndexPicture { width: self.width, height: self.height, values })
    }
}

/// Whether results are answers: a JSON file, or a folder that has JSON files and no PNG.
pub(crate) fn are(results: &Path) -> bool {
    match results.is_dir() {
        true => files::all(results, "png").is_err() && files::all(results, "json").is_ok(),
        false => results.extension().is_some_and(|extension| extension == "json"),
    }
}

/// Of a file, or of all JSON files in a folder; by the stem of the picture that they are of.
///
/// # Errors
/// [`Error::Input`]: a file is not such an answer; two are of pictures with one stem.
pub(crate) fn read(results: &Path) -> Result<BTreeMap<String, Answer>> {
    let paths = match results.is_dir() {
        true => files::all(results, "json")?,
        false => vec![results.to_owned()],
    };
    let mut answers: BTreeMap<String, Answer> = BTreeMap::new();
    for path in paths {
        let (stem, answer) = one(&path)?;
        if let Some(other) = answers.insert(stem.clone(), answer) {
            let cause = format!("it is of a picture `{stem}`, as `{}` is", other.path.display());
            return Err(Error::input(&path, cause));
        }
    }
    Ok(answers)
}

fn one(path: &Path) -> Result<(String, Answer)> {
    let wrong = |cause: String| Error::Input {
        path: path.to_owned(),
        cause: cause.into(),
        hint: Some("results are the JSON files of `percept segment PICTURES -f json`".into()),
    };
    let text = files::text(path)?;
    let Envelope { task, input, result } =
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if task != "segment" {
        return Err(wrong(format!("it is an answer of `{task}`")));
    }
    let picture = input.path.ok_or_else(|| wrong("it does not say which picture it is of".into()))?;
    let Record { kind, width, height, instances } = result;
    let sizes = instances.iter().map(|instance| instance.rle.size);
    if sizes.clone().any(|size| size != [height, width]) {
        return Err(wrong(format!("a mask is not of {width}x{height} pixels")));
    }
    Ok((stem(&picture.to_string_lossy()), Answer { path: path.to_owned(), kind, width, height, instances }))
}

/// A picture's name without folders and extension.
pub(crate) fn stem(name: &str) -> String {
    let name = files::bare(name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}
