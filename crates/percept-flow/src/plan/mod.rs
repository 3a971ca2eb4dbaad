//! What will be done, settled before anything runs: inputs listed, output names fixed, collisions found.
//!
//! `list` finds the inputs, `target` reads what `-o` means, `name` gives every item its outputs,
//! `check` refuses what would lose data.

mod check;
mod list;
mod name;
mod native;
mod output;
mod shard;
mod target;
mod template;
mod walk;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use percept_core::{Error, Result};

pub use output::OutputTarget;
pub use shard::Shard;

/// What was typed, as far as inputs and outputs go.
pub struct PlanRequest<'a> {
    /// Files, folders, globs and `-`, as typed.
    pub inputs: Vec<OsString>,
    /// A list of further inputs.
    pub files_from: Option<FilesFrom>,
    /// What `-o` was given: `-`, a file, a folder or a template.
    pub output: Option<OsString>,
    /// What to write for each input, at least one.
    pub formats: Vec<Format>,
    /// What to do where an output exists.
    pub existing: Existing,
    /// Whether a file that was found in a folder is this task's media. Files that were named are
    /// always taken.
    pub accept: &'a dyn Fn(&Path) -> bool,
    /// Of the files that are found in folders, only those that fit one of these globs, where there are any. A glob with
    /// a slash is for the path below the folder, one without for the name.
    pub include: &'a [String],
    /// And none that fits one of these.
    pub exclude: &'a [String],
    /// The part that is to be done; names are settled for all.
    pub shard: Option<Shard>,
    /// Tasks whose outputs (`STEM.TASK.EXT`) are left out where they are found in a folder.
    pub own_outputs: &'a [&'a str],
}

/// A list of inputs in a file or on stdin. Its entries are paths: no globs, no `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesFrom {
    /// Where the list is.
    pub source: ListSource,
    /// What ends an entry.
    pub separator: Separator,
}

/// Where a list of inputs is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListSource {
    /// On our stdin.
    Stdin,
    /// In a file.
    File(PathBuf),
}

/// What ends an entry of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Separator {
    /// A line feed, with or without a carriage return. Empty lines are skipped.
    #[default]
    Line,
    /// A zero byte, as `find -print0` writes it.
    Zero,
}

/// One kind of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The file name extension, without the dot.
    pub extension: String,
    /// What it consists of.
    pub kind: FormatKind,
    /// How its files are called.
    pub naming: Naming,
}

/// What an output consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatKind {
    /// Text and JSON: a single input's goes to stdout unless `-o` says otherwise.
    Text,
    /// Pictures, tensors: always a file, unless `-o -` says otherwise.
    Binary,
    /// A folder of files, whose number is known only when they are written.
    Folder,
}

/// How an output is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `STEM.EXT`: players find subtitles, and trainers find labels, under the stem of what they belong to.
    Stem,
    /// `STEM.TASK.EXT`: a picture beside a picture.
    StemTask(&'static str),
}

/// What to do where an output exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse the plan.
    #[default]
    Refuse,
    /// Replace it (`-y`).
    Replace,
}

/// What will be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The items in the order in which they are done and written.
    pub items: Vec<Item>,
    /// The folder that outputs go to, where one was named.
    pub folder: Option<PathBuf>,
    /// Folders and links that could not be listed, and why. [`crate::run`] counts them as failures.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// One input and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Position in the plan, from 0.
    pub index: usize,
    /// The input.
    pub input: InputSource,
    /// One target per format, in the order of [`PlanRequest::formats`].
    pub outputs: Vec<OutputTarget>,
}

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum InputSource {
    /// A file, with its path as it was typed or found.
    Path(PathBuf),
    /// Our stdin.
    Stdin,
}

impl InputSource {
    /// The path for people: `-` for stdin.
    pub fn path(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Stdin => Path::new("-"),
        }
    }
}

impl Plan {
    /// Settles what will be done. Reads folders and looks at outputs; writes nothing.
    ///
    /// Inputs keep the order in which they were typed, the files of a folder are in byte order of their
    /// paths. A file that is named twice is one item. A named file that is not there is an item that
    /// will fail on its own, unless it is the only one.
    ///
    /// Where no `-o` is given, the text of a single input goes to stdout if one text format is asked for;
    /// everything else is written beside its input. Under a folder given by `-o`, the files of a folder input keep
    /// their place within it; where several folders are given, each keeps its own name too. Inputs that
    /// would share an output name keep their full file name: `a.wav.srt` and `a.mp3.srt`.
    ///
    /// # Errors
    ///
    /// `Error::Argument` where there is nothing to do, where two inputs still share an output, where an
    /// output is an input or exists already, and where `-o` does not fit the inputs. `Error::Input`
    /// where the only input or the list of inputs cannot be read.
    pub fn new(request: &PlanRequest<'_>) -> Result<Self> {
        if request.formats.is_empty() {
            return Err(Error::argument("no output format is given"));
        }
        for (at, format) in request.formats.iter().enumerate() {
            let same =
                |earlier: &Format| (&earlier.extension, earlier.naming) == (&format.extension, format.naming);
            if request.formats[..at].iter().any(same) {
                return Err(Error::argument(format!("format `{}` is named twice", format.extension)));
            }
        }
        let listing = list::list(request)?;
        let target = target::Target::new(request, &listing)?;
        let items = name::settle(request, &target, listing.entries)?;
        let folder = match target {
            target::Target::Folder(path) => Some(path),
            _ => None,
        };
        let plan = Self { items, folder, unreadable: listing.unreadable };
        let plan = match request.shard {
            Some(shard) => plan.part(shard),
            None => plan,
        };
        check::check(&plan.items, request.existing)?;
        Ok(plan)
    }
}
