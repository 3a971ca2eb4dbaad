//! The results that a manifest names.

use std::fs;

use percept_core::coco::Coco;
use percept_core::{Error, Result};
use percept_flow::{OutputRecord, Record};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The result of an input.
pub(super) fn result(record: &Record) -> Result<Value> {
    let is = |value: &Value| value["schema"].as_str().is_some_and(|schema| schema.starts_with("percept/"));
    needed(record, "json", found(record, is)?)
}

/// The COCO file of a picture.
pub(super) fn coco(record: &Record) -> Result<Coco> {
    needed(record, "coco", found(record, |_: &Coco| true)?)
}

fn needed<T>(record: &Record, format: &str, found: Option<T>) -> Result<T> {
    found.ok_or_else(|| Error::Argument {
        message: format!("the run wrote no `{format}` of `{}`", record.input.path.path),
        hint: Some(format!("run it with `-f {format}` among the formats")),
    })
}

/// The first JSON output of an input that is a `T` and that `is` takes; `None` where it has none.
///
/// # Errors
/// `Error::Input`: an output cannot be read, or is no JSON.
pub(crate) fn found<T: DeserializeOwned>(record: &Record, is: impl Fn(&T) -> bool) -> Result<Option<T>> {
    let json = |output: &&OutputRecord| output.path.path.ends_with(".json");
    for output in record.outputs.iter().filter(json) {
        let path = output.path.to_path();
        let bytes = fs::read(&path).map_err(|cause| Error::input(&path, cause))?;
        match serde_json::from_slice(&bytes) {
            Ok(value) if is(&value) => return Ok(Some(value)),
            Err(cause) if !cause.is_data() => return Err(Error::input(&path, cause)),
            _ => {}
        }
    }
    Ok(None)
}
