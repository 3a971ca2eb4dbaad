//! COCO's panoptic files, and answers of percept, to a report.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use percept_core::{Error, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::quality::{self, Counts};
use super::segments::{Segment, Segments};
use super::{ClassReport, Report};
use crate::Metric;
use crate::answers::{self, Answer};
use crate::files;
use crate::metric::mean;

/// Where pictures of segments are, if they are not in the folder that is called like the JSON file.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// Those of the truth.
    pub truth: Option<PathBuf>,
    /// Those of results in COCO's form.
    pub results: Option<PathBuf>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: Value,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Value,
    file_name: String,
    segments_info: Vec<Info>,
}

#[derive(Deserialize)]
struct Info {
    id: u32,
    category_id: i64,
    #[serde(default)]
    iscrowd: u8,
    #[serde(default)]
    area: Option<u64>,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    isthing: u8,
}

fn read(path: &Path) -> Result<File> {
    parse(path, &files::text(path)?)
}

fn parse(path: &Path, text: &str) -> Result<File> {
    serde_json::from_str(text).map_err(|error| Error::Input {
        path: path.to_owned(),
        cause: error.into(),
        hint: Some("it is COCO's panoptic JSON: `annotations` with `file_name` and `segments_info`".into()),
    })
}

impl Annotation {
    fn segments(&self, folder: &Path) -> Result<Segments> {
        let segment = |info: &Info| Segment {
            id: info.id,
            class: info.category_id,
            crowd: info.iscrowd == 1,
            area: info.area,
        };
        Segments::read(&folder.join(&self.file_name), self.segments_info.iter().map(segment).collect())
    }
}

/// Scores results against COCO's panoptic JSON. `results` are another such file, or answers of `percept segment` in JSON: a
/// file, or a folder of them. Pictures of segments lie in the folder that is called like their JSON, without `.json`.
///
/// # Errors
/// [`Error::Input`]: a file cannot be read, does not fit the truth, or lacks a picture of it.
pub fn score(truth_path: &Path, results: &Path, folders: &Folders) -> Result<Report> {
    let truth = read(truth_path)?;
    if truth.categories.is_empty() || truth.annotations.is_empty() {
        return Err(Error::input(truth_path, "it has no `categories`, or no `annotations`"));
    }
    let folder = |own: &Option<PathBuf>, path: &Path| own.clone().unwrap_or_else(|| path.with_extension(""));
    let answered = match coco(results)? {
        Some(file) => Answered::coco(results, folder(&folders.results, results), file),
        None => Answered::percept(results, &truth)?,
    };
    let truth_folder = folder(&folders.truth, truth_path);
    let mut counts: BTreeMap<i64, Counts> = BTreeMap::new();
    let (mut truths, mut found, mut left) = (0, 0, BTreeSet::new());
    for annotation in &truth.annotations {
        let said = annotation.segments(&truth_folder)?;
        let heard = answered.of(annotation, &said, &truth, &mut left)?;
        truths += said.segments.len();
        found += heard.segments.len();
        quality::add(&mut counts, &said, &heard);
    }
    let mut report = report(&truth, &counts);
    (report.truths, report.results) = (truths, found);
    if !left.is_empty() {
        let left: Vec<&str> = left.iter().map(String::as_str).collect();
        let classes = left.join(", ");
        report.notes.push(format!("results of classes that the truth does not have are left out: {classes}"));
    }
    Ok(report)
}

/// Results in COCO's form; none where they are of another.
fn coco(results: &Path) -> Result<Option<File>> {
    /// What tells the forms apart, without a copy of what is in it.
    #[derive(Deserialize)]
    struct Form {
        annotations: Option<IgnoredAny>,
    }
    if results.is_dir() {
        return Ok(None);
    }
    let text = files::text(results)?;
    let form: Form = serde_json::from_str(&text).map_err(|error| Error::input(results, error))?;
    form.annotations.map(|_| parse(results, &text)).transpose()
}

fn report(truth: &File, counts: &BTreeMap<i64, Counts>) -> Report {
    let class = |category: &Category| {
        let counts = counts.get(&category.id)?;
        let [pq, sq, rq] = counts.qualities()?;
        let Counts { found, missed, wrong, .. } = *counts;
        let (name, thing) = (category.name.clone(), category.isthing == 1);
        Some(ClassReport { id: category.id, name, thing, found, missed, wrong, pq, sq, rq })
    };
    let classes: Vec<ClassReport> = truth.categories.iter().filter_map(class).collect();
    let mut metrics = Vec::new();
    for (kind, thing) in [("", None), ("-things", Some(true)), ("-stuff", Some(false))] {
        let counted = || classes.iter().filter(|class| thing.is_none_or(|thing| class.thing == thing));
        metrics.push(Metric::new(format!("PQ{kind}"), mean(counted().map(|class| class.pq))));
        metrics.push(Metric::new(format!("SQ{kind}"), mean(counted().map(|class| class.sq))));
        metrics.push(Metric::new(format!("RQ{kind}"), mean(counted().map(|class| class.rq))));
    }
    let pictures = truth.annotations.len();
    Report { pictures, truths: 0, results: 0, metrics, classes, notes: Vec::new() }
}

/// Results by picture.
enum Answered<'a> {
    Coco { path: &'a Path, folder: PathBuf, annotations: HashMap<String, Annotation> },
    Percept { path: &'a Path, answers: BTreeMap<String, Answer>, stems: HashMap<String, String> },
}

impl<'a> Answered<'a> {
    fn coco(path: &'a Path, folder: PathBuf, file: File) -> Self {
        let named = |annotation: Annotation| (annotation.image_id.to_string(), annotation);
        let annotations = file.annotations.into_iter().map(named).collect();
        Self::Coco { path, folder, annotations }
    }

    fn percept(path: &'a Path, truth: &File) -> Result<Self> {
        let answers = answers::read(path)?;
        let image = |image: &Image| (image.id.to_string(), answers::stem(&image.file_name));
        Ok(Self::Percept { path, answers, stems: truth.images.iter().map(image).collect() })
    }

    /// The results of one picture of the truth, of its size. Names of classes that the truth does not have are added to
    /// `left`.
    fn of(
        &self,
        truth: &Annotation,
        said: &Segments,
        file: &File,
        left: &mut BTreeSet<String>,
    ) -> Result<Segments> {
        let image = truth.image_id.to_string();
        let fits = |path: &Path, (width, height): (u32, u32)| {
            if (said.width, said.height) == (width, height) {
                return Ok(());
            }
            let (name, size) = (&truth.file_name, (said.width, said.height));
            let cause =
                format!("the truth of `{name}` is {}x{} pixels, the result {width}x{height}", size.0, size.1);
            Err(Error::input(path, cause))
        };
        let lacks = |path: &Path| Error::Input {
            path: path.to_owned(),
            cause: format!("it has no result for image {image} of the truth, `{}`", truth.file_name).into(),
            hint: Some("every picture of the truth needs a result, which may have no segment".into()),
        };
        match self {
            Self::Coco { path, folder, annotations } => {
                let segments = annotations.get(&image).ok_or_else(|| lacks(path))?.segments(folder)?;
                fits(path, (segments.width, segments.height))?;
                checked(path, &segments, file)?;
                Ok(segments)
            }
            Self::Percept { path, answers, stems } => {
                let stem = stems.get(&image).cloned().unwrap_or_else(|| answers::stem(&truth.file_name));
                let answer = answers.get(&stem).ok_or_else(|| lacks(path))?;
                fits(&answer.path, (answer.width, answer.height))?;
                answered(answer, file, left)
            }
        }
    }
}

/// As the reference: ids are in the picture and in the JSON, or in neither, and classes are the truth's.
fn checked(path: &Path, results: &Segments, truth: &File) -> Result<()> {
    let drawn: HashSet<u32> = results.ids.iter().copied().filter(|id| *id != super::segments::VOID).collect();
    let told: HashSet<u32> = results.segments.iter().map(|segment| segment.id).collect();
    if let Some(id) = drawn.symmetric_difference(&told).min() {
        let (here, there) = if drawn.contains(id) { ("picture", "JSON") } else { ("JSON", "picture") };
        return Err(Error::input(path, format!("segment {id} is in the {here} and not in the {there}")));
    }
    let unknown =
        results.segments.iter().find(|segment| truth.categories.iter().all(|c| c.id != segment.class));
    match unknown {
        Some(segment) => {
            Err(Error::input(path, format!("the truth has no category {} of a segment", segment.class)))
        }
        None => Ok(()),
    }
}

fn answered(answer: &Answer, truth: &File, left: &mut BTreeSet<String>) -> Result<Segments> {
    if !matches!(answer.kind.as_str(), "panoptic" | "semantic") {
        return Err(Error::Input {
            path: answer.path.clone(),
            cause: format!("its segments are of the kind `{}`, and may overlap", answer.kind).into(),
            hint: Some("segment with `--kind panoptic`".into()),
        });
    }
    let (width, height) = (answer.width, answer.height);
    let mut results =
        Segments { width, height, ids: vec![0; width as usize * height as usize], segments: Vec::new() };
    for (instance, id) in answer.instances.iter().zip(1..) {
        let name = instance.label.as_ref().map(|label| label.name.as_str());
        let class = truth.categories.iter().find(|category| Some(category.name.as_str()) == name);
        let Some(class) = class else {
            left.insert(name.unwrap_or("no class").to_owned());
            continue;
        };
        let mask = instance.rle.mask().map_err(|error| Error::input(&answer.path, error))?;
        if mask.area() == 0 {
            continue;
        }
        mask.paint(|at| results.ids[at] = id);
        results.segments.push(Segment { id, class: class.id, crowd: false, area: None });
    }
    Ok(results)
}
