//! What tasks share when results become files.

use percept_core::{Error, Result};
use serde::Serialize;

/// What a format comes to.
pub enum Rendered {
    /// A file.
    File(Vec<u8>),
    /// Files by name, for a folder.
    Folder(Vec<(String, Vec<u8>)>),
}

/// The name of a file in a folder of `count` files: `001-person.png` for the first, which shows a person.
pub(crate) fn numbered_name(number: usize, count: usize, label: &str) -> String {
    let digits = count.to_string().len().max(3);
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let label: String = label.chars().map(plain).take(60).collect();
    format!("{number:0digits$}-{label}.png")
}

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::argument(format!("this cannot be written as JSON: {error}")))
}
