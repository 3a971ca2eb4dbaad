//! The lines of a manifest.

use std::io::{self, BufRead, BufReader, Read};

use super::record::{Record, SCHEMA};

/// Gives `take` the records of a file in order; `None` for a line that is none, as the last of a killed run may be.
/// Empty lines are nothing.
pub(super) fn each_record(file: impl Read, mut take: impl FnMut(Option<Record>)) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if !line.trim_ascii().is_empty() {
            take(parse(&line));
        }
        line.clear();
    }
    Ok(())
}

/// A line of this version.
fn parse(line: &[u8]) -> Option<Record> {
    serde_json::from_slice::<Record>(line).ok().filter(|record| record.schema == SCHEMA)
}
