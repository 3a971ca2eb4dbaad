//! The results of a whole run in one file, from its manifest and the files that it names.

mod parquet;
mod read;
mod rows;
mod separated;
#[cfg(test)]
pub(crate) mod tests;

use std::io::{self, Write};

use percept_core::coco::Coco;
use percept_core::{Error, Result, write};
use percept_flow::{Record, Status};

pub(crate) use read::found;

/// The form of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// A result a line, as `-f json` writes it, but in one line.
    JsonLines,
    /// A row an instance of a picture or a segment of a transcript, separated by commas.
    Csv,
    /// The same, separated by tabs.
    Tsv,
    /// The same as Apache Parquet: text, 64-bit integers, floats of 32 and 64 bits; null where there is none.
    Parquet,
    /// One COCO file of those that `-f coco` wrote: images and annotations numbered anew, categories joined by name.
    Coco,
}

/// Writes what the done inputs of `records` gave, in their order, and answers how many there were. Failed inputs are
/// left out. Of the results of many inputs, one is in memory at a time, but for COCO.
///
/// # Errors
/// `Error::Input` where an output cannot be read or is none of the run's; `Error::Argument` where the run did not write
/// what is needed, or more than one task's results are to share a table; `Error::Output` of the path `-`.
pub fn collect(records: &[Record], form: Collection, out: &mut (dyn Write + Send)) -> Result<usize> {
    let done = || records.iter().filter(|record| record.status == Status::Done);
    match form {
        Collection::JsonLines => {
            for record in done() {
                writeln!(out, "{}", read::result(record)?).map_err(unwritten)?;
            }
        }
        Collection::Csv => rows::each(records, &mut separated::Separated::new(b',', out))?,
        Collection::Tsv => rows::each(records, &mut separated::Separated::new(b'\t', out))?,
        Collection::Parquet => parquet::write(records, out)?,
        Collection::Coco => {
            let mut all = Coco::default();
            for record in done() {
                let failed = |cause: Error| Error::input(record.input.path.to_path(), cause);
                all.append(read::coco(record)?).map_err(failed)?;
            }
            let unwritable = |cause: serde_json::Error| unwritten(cause.into());
            serde_json::to_writer(&mut *out, &all).map_err(unwritable)?;
            out.write_all(b"\n").map_err(unwritten)?;
        }
    }
    Ok(done().count())
}

/// What could not be written; whoever knows the path says it.
pub(crate) fn unwritten(cause: io::Error) -> Error {
    let hint = write::hint(&cause);
    Error::Output { path: "-".into(), cause: cause.into(), hint }
}
