//! A run as a page to look at: one HTML file that needs nothing else, but for recordings, which it plays from where
//! they lie.
//!
//! What stands above the results is plain HTML: counts, failures, times, what made them. The results follow as JSON in
//! one element, a line an item; the page's own script makes cards of them as they are scrolled to. The page opens no
//! socket: its Content-Security-Policy allows its own script and style by their digests, and pictures only from within.
//!
//! Names, classes, texts and errors may be anything. In HTML they are escaped, in JSON every `<` is, and the script
//! sets texts and attributes only, never markup.

mod escape;
mod item;
mod link;
mod speech;
mod summary;
#[cfg(test)]
mod tests;
mod thumbnail;

use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use percept_core::Result;
use percept_flow::{Record, Status};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::collect::unwritten;
use item::Item;
use summary::Summary;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Results that a page shows at most: more than anybody scrolls through.
const MOST_ITEMS: usize = 5_000;
/// Bytes of results after which no further one is added, so that browsers take the page.
const MOST_BYTES: usize = 64 << 20;
/// Items that are made at once, so that memory does not grow with their number.
const AT_ONCE: usize = 32;

/// Writes the page of `records`, which shall lie in `folder`: links are relative to it. Answers how many results it
/// shows: all done inputs, up to 5,000 and 64 MiB, in the order of `records`. Pictures are read again for their
/// thumbnails; what cannot be read any more is said on the page.
///
/// # Errors
/// `Error::Output` of the path `-`.
pub fn report(records: &[Record], folder: &Path, out: &mut (dyn Write + Send)) -> Result<usize> {
    let summary = Summary::new(records, folder);
    let mut shown = 0;
    let mut rest = PAGE;
    while let Some((before, name, behind)) = placeholder(rest) {
        write(out, before)?;
        match name {
            "policy" => write(out, &policy())?,
            "title" => write(out, &summary.title())?,
            "style" => write(out, STYLE)?,
            "summary" => write(out, &summary.html())?,
            "items" => shown = items(records, folder, out)?,
            "script" => write(out, SCRIPT)?,
            // There are no others, as a test sees.
            _ => {}
        }
        rest = behind;
    }
    write(out, rest)?;
    Ok(shown)
}

/// What stands before the first placeholder, its name, and what stands behind it.
fn placeholder(page: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let (before, rest) = page.split_once("{{")?;
    let (name, behind) = rest.split_once("}}")?;
    Some((before, name, behind))
}

/// What the page may load and run. Digests are of what stands between the tags, to the byte.
fn policy() -> String {
    let digest = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; img-src data:; media-src * file:; style-src 'sha256-{}'; script-src 'sha256-{}'; \
         base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

/// The results as the lines of a JSON array.
fn items(records: &[Record], folder: &Path, out: &mut (dyn Write + Send)) -> Result<usize> {
    let done: Vec<&Record> =
        records.iter().filter(|record| record.status == Status::Done).take(MOST_ITEMS).collect();
    let (mut shown, mut bytes) = (0, 0);
    for some in done.chunks(AT_ONCE) {
        let item = |record: &&Record| escape::json(&Item::new(record, folder));
        for line in some.par_iter().map(item).collect::<Vec<_>>() {
            if bytes >= MOST_BYTES {
                return Ok(shown);
            }
            write(out, if shown == 0 { "\n" } else { ",\n" })?;
            write(out, &line)?;
            bytes += line.len();
            shown += 1;
        }
    }
    Ok(shown)
}

fn write(out: &mut (dyn Write + Send), text: &str) -> Result<()> {
    out.write_all(text.as_bytes()).map_err(unwritten)
}
