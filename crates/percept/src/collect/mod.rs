//! The results of a whole run in one file, from its manifest and the files that it names.

use std::fs;
use std::io::Write;

use percept_core::{Error, Result};
use percept_flow::{OutputRecord, Record, Status};
use serde_json::{Map, Value, json};

/// The form of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// A result a line, as `-f json` writes it, but in one line.
    JsonLines,
    /// A row an instance of a picture or a segment of a transcript, separated by commas.
    Csv,
    /// The same, separated by tabs.
    Tsv,
    /// One COCO file of those that `-f coco` wrote: images and annotations numbered anew, categories joined by name.
    Coco,
}

/// Writes what the done inputs of `records` gave, in their order, and answers how many there were. Failed inputs are
/// left out.
///
/// # Errors
/// `Error::Input` where an output cannot be read or is none of the run's; `Error::Argument` where the run did not write
/// what is needed, or more than one task's results are to share a table.
pub fn collect(records: &[Record], form: Collection, out: &mut dyn Write) -> Result<usize> {
    let done = || records.iter().filter(|record| record.status == Status::Done);
    match form {
        Collection::JsonLines => {
            for record in done() {
                writeln!(out, "{}", result(record)?).map_err(unwritten)?;
            }
        }
        Collection::Csv => table(done(), b',', out)?,
        Collection::Tsv => table(done(), b'\t', out)?,
        Collection::Coco => {
            let mut all = Coco::default();
            for record in done() {
                all.add(read(record, "coco", |value| value["annotations"].is_array())?);
            }
            writeln!(out, "{}", all.finish()).map_err(unwritten)?;
        }
    }
    Ok(done().count())
}

fn unwritten(cause: std::io::Error) -> Error {
    Error::Output { path: "-".into(), cause: cause.into(), hint: None }
}

/// The result of an input.
fn result(record: &Record) -> Result<Value> {
    read(record, "json", |value| {
        value["schema"].as_str().is_some_and(|schema| schema.starts_with("percept/"))
    })
}

/// The first JSON output of an input that `is` takes. It was made by `-f format`.
fn read(record: &Record, format: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
    let json = |output: &&OutputRecord| output.path.path.ends_with(".json");
    for output in record.outputs.iter().filter(json) {
        let path = output.path.to_path();
        let bytes = fs::read(&path).map_err(|cause| Error::input(&path, cause))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|cause| Error::input(&path, cause))?;
        if is(&value) {
            return Ok(value);
        }
    }
    Err(Error::Argument {
        message: format!("the run wrote no `{format}` of `{}`", record.input.path.path),
        hint: Some(format!("run it with `-f {format}` among the formats")),
    })
}

/// The columns of a task's rows, and where the rows are.
fn columns(task: &str) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
    match task {
        "segment" => Some((
            "/result/instances",
            &[
                ("instance", "/id"),
                ("class", "/label/name"),
                ("score", "/score"),
                ("left", "/box/0"),
                ("top", "/box/1"),
                ("right", "/box/2"),
                ("bottom", "/box/3"),
                ("area", "/area"),
            ],
        )),
        "transcribe" => Some((
            "/result/segments",
            &[
                ("segment", "/id"),
                ("start", "/start"),
                ("end", "/end"),
                ("text", "/text"),
                ("avg_logprob", "/avg_logprob"),
                ("no_speech_prob", "/no_speech_prob"),
            ],
        )),
        _ => None,
    }
}

fn table<'a>(records: impl Iterator<Item = &'a Record>, delimiter: u8, out: &mut dyn Write) -> Result<()> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(out);
    let failed = |cause: csv::Error| unwritten(cause.into());
    let mut task: Option<&str> = None;
    for record in records {
        let of = record.identity.task.as_str();
        let Some((place, columns)) = columns(of) else {
            return Err(Error::argument(format!("results of `{of}` have no rows")));
        };
        match task {
            None => {
                let names = columns.iter().map(|(name, _)| *name);
                writer.write_record(["input"].into_iter().chain(names)).map_err(failed)?;
                task = Some(of);
            }
            Some(first) if first != of => {
                return Err(Error::argument(format!("results of `{first}` and `{of}` share no table")));
            }
            Some(_) => {}
        }
        let value = result(record)?;
        for row in value.pointer(place).and_then(Value::as_array).into_iter().flatten() {
            let cells = columns.iter().map(|(_, pointer)| match row.pointer(pointer) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            });
            writer.write_record([record.input.path.path.clone()].into_iter().chain(cells)).map_err(failed)?;
        }
    }
    writer.flush().map_err(unwritten)
}

/// COCO files joined.
#[derive(Default)]
struct Coco {
    images: Vec<Value>,
    annotations: Vec<Value>,
    categories: Vec<Value>,
}

impl Coco {
    fn add(&mut self, mut file: Value) {
        let mut take = |name: &str| match file[name].take() {
            Value::Array(values) => values,
            _ => vec![],
        };
        let (images, annotations, categories) = (take("images"), take("annotations"), take("categories"));
        let numbers: Map<String, Value> = categories
            .iter()
            .map(|category| (category["id"].to_string(), json!(self.category(category))))
            .collect();
        let first = self.images.len();
        let renumbered = |old: &Value| {
            let at = images.iter().position(|image| image["id"] == *old);
            at.map_or(Value::Null, |at| json!(first + at + 1))
        };
        for mut annotation in annotations {
            annotation["id"] = json!(self.annotations.len() + 1);
            annotation["image_id"] = renumbered(&annotation["image_id"]);
            annotation["category_id"] = numbers[&annotation["category_id"].to_string()].clone();
            self.annotations.push(annotation);
        }
        for (index, mut image) in images.iter().cloned().enumerate() {
            image["id"] = json!(first + index + 1);
            self.images.push(image);
        }
    }

    /// The number of a category: its own, unless that is another name's here.
    fn category(&mut self, category: &Value) -> u64 {
        let same = |other: &&Value| other["name"] == category["name"];
        if let Some(known) = self.categories.iter().find(same) {
            return known["id"].as_u64().unwrap_or_default();
        }
        let taken = |id: u64| self.categories.iter().any(|other| other["id"] == json!(id));
        let own = category["id"].as_u64().unwrap_or_default();
        let id = if taken(own) { (1..).find(|id| !taken(*id)).unwrap_or(own) } else { own };
        let mut category = category.clone();
        category["id"] = json!(id);
        self.categories.push(category);
        id
    }

    fn finish(mut self) -> Value {
        self.categories.sort_by_key(|category| category["id"].as_u64());
        json!({ "images": self.images, "annotations": self.annotations, "categories": self.categories })
    }
}
