//! The manifests of several machines as one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use percept_core::{Error, Result};

use super::record::{PathRecord, Record, SCHEMA, Status};

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

/// Joins manifests. Of an input that is in several a record of success counts, the last one of those.
///
/// # Errors
/// `Error::Input` where one cannot be read.
pub fn merge(paths: &[PathBuf]) -> Result<Merged> {
    let mut all: BTreeMap<PathRecord, Record> = BTreeMap::new();
    let mut torn = Vec::new();
    for path in paths {
        let mut count = 0;
        let file = File::open(path).map_err(|cause| Error::input(path, cause))?;
        each_record(file, path, |record| match record {
            None => count += 1,
            Some(record) => {
                let earlier = all.get(&record.input.path).map(|earlier| earlier.status);
                if (earlier, record.status) != (Some(Status::Done), Status::Failed) {
                    all.insert(record.input.path.clone(), record);
                }
            }
        })?;
        if count > 0 {
            torn.push((path.clone(), count));
        }
    }
    Ok(Merged { records: all.into_values().collect(), torn })
}

/// The records of a file in order; `None` for a line that is none. Empty lines are nothing.
fn each_record(file: File, path: &Path, mut take: impl FnMut(Option<Record>)) -> Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|cause| Error::input(path, cause))? == 0 {
            return Ok(());
        }
        if !line.trim_ascii().is_empty() {
            take(parse(&line));
        }
    }
}

/// A line of this version.
pub(super) fn parse(line: &[u8]) -> Option<Record> {
    serde_json::from_slice::<Record>(line).ok().filter(|record| record.schema == SCHEMA)
}
