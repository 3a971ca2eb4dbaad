//! The manifests of several machines as one.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use percept_core::{Error, Result};

use super::index;
use super::record::{PathRecord, Record, Status};

/// What several manifests say together.
#[derive(Debug, Default)]
pub struct Merged {
    /// One record an input, by path.
    pub records: Vec<Record>,
    /// Lines that are no records, by file: those that a killed run cut off.
    pub torn: Vec<(PathBuf, usize)>,
}

impl Merged {
    /// How many inputs ended so.
    pub fn count(&self, status: Status) -> usize {
        self.records.iter().filter(|record| record.status == status).count()
    }

    /// As JSON lines.
    pub fn text(&self) -> Result<String> {
        let line = |record: &Record| serde_json::to_string(record).map(|line| line + "\n");
        self.records
            .iter()
            .map(line)
            .collect::<std::result::Result<_, _>>()
            .map_err(|cause| Error::argument(format!("a record cannot be written: {cause}")))
    }
}

/// Joins manifests. Of what a task made of an input and is in several, a record of success counts, the last one of those.
///
/// # Errors
/// `Error::Input` where one cannot be read.
pub fn merge(paths: &[PathBuf]) -> Result<Merged> {
    let mut all: BTreeMap<(PathRecord, String), Record> = BTreeMap::new();
    let mut torn = Vec::new();
    for path in paths {
        let (mut count, mut records) = (0, 0);
        let file = File::open(path).map_err(|cause| Error::input(path, cause))?;
        let take = |_, line: &[u8]| match index::parse(line) {
            None => count += usize::from(!line.trim_ascii().is_empty()),
            Some(record) => {
                records += 1;
                let key = (record.input.path.clone(), record.identity.task.clone());
                let earlier = all.get(&key).map(|earlier| earlier.status);
                if (earlier, record.status) != (Some(Status::Done), Status::Failed) {
                    all.insert(key, record);
                }
            }
        };
        index::each_line(&file, take).map_err(|cause| Error::input(path, cause))?;
        // One line may be torn; a file of others is none of ours.
        if records == 0 && count > 1 {
            return Err(Error::input(path, "it is no manifest of a run"));
        }
        if count > 0 {
            torn.push((path.clone(), count));
        }
    }
    Ok(Merged { records: all.into_values().collect(), torn })
}
