//! What tasks share when results become files.

use std::fmt::Debug;

use percept_core::{Error, Result};
use percept_flow as flow;
use serde::Serialize;

/// A form in which a task writes its results.
pub trait ResultFormat: Copy + Debug + PartialEq + Send + Sync + 'static {
    /// All of the task.
    const ALL: &'static [Self];
    /// Everything, with what made it.
    const JSON: Self;

    /// How it is called on the command line.
    fn name(self) -> &'static str;

    /// What a file of this extension, in lower case, is where nothing else is said.
    fn of_extension(extension: &str) -> Option<Self>;

    /// How its files are called, and what they are.
    fn file(self) -> flow::Format;

    /// The format that is called so.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name() == name)
    }
}

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
