//! Where in a manifest the last line of each input is: a hundred thousand lines are not kept in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::record::{PathRecord, Record, SCHEMA};

/// A line by its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    start: u64,
    length: usize,
}

/// The last line of each input and task.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<[u8; 16], Line>);

impl Index {
    /// Of a whole file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let mut lines = HashMap::new();
        each_line(file, |start, line| {
            if let Some(record) = parse(line) {
                lines.insert(
                    key(&record.identity.task, &record.input.path),
                    Line { start, length: line.len() },
                );
            }
        })?;
        Ok(Self(lines))
    }

    /// Whether there is no record at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The record of what a task made of an input.
    pub(super) fn get(&self, file: &File, task: &str, path: &PathRecord) -> io::Result<Option<Record>> {
        let Some(line) = self.0.get(&key(task, path)) else { return Ok(None) };
        Ok(parse(&text(file, *line)?).filter(|record| record.input.path == *path))
    }

    /// Takes the line of an input out.
    pub(super) fn remove(&mut self, task: &str, path: &PathRecord) -> Option<Line> {
        self.0.remove(&key(task, path))
    }

    /// The lines that are left, by path.
    pub(super) fn rest(self, file: &File) -> io::Result<Vec<Line>> {
        let mut lines = Vec::with_capacity(self.0.len());
        for line in self.0.into_values() {
            let of = |record: Record| (record.input.path, record.identity.task);
            lines.push((parse(&text(file, line)?).map(of), line));
        }
        lines.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }
}

/// The bytes of a line, with its end.
pub(super) fn text(mut file: &File, line: Line) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(line.start))?;
    let mut text = vec![0; line.length];
    file.read_exact(&mut text)?;
    Ok(text)
}

/// Every line of a file with where it starts, its end included.
pub(super) fn each_line(mut file: &File, mut take: impl FnMut(u64, &[u8])) -> io::Result<()> {
    // A pipe is read from where it is.
    let _ = file.seek(SeekFrom::Start(0));
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut start = 0;
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        take(start, &line);
        start += length as u64;
    }
}

/// A line of this version; lines that are none, as the last of a killed run may be, are passed over.
pub(super) fn parse(line: &[u8]) -> Option<Record> {
    serde_json::from_slice::<Record>(line).ok().filter(|record| record.schema == SCHEMA)
}

/// Two tasks may have one manifest.
fn key(task: &str, path: &PathRecord) -> [u8; 16] {
    use sha2::{Digest as _, Sha256};
    let digest =
        Sha256::new().chain_update(task).chain_update([0]).chain_update(&path.path).chain_update([0]);
    let digest = digest.chain_update(path.path_bytes.as_deref().unwrap_or_default()).finalize();
    std::array::from_fn(|at| digest[at])
}
