//! What `-o` means for these inputs.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use percept_core::{Error, Result};

use super::list::Listing;
use super::template::Template;
use super::{FormatKind, InputSource, PlanRequest, native};

/// Where outputs go.
#[derive(Debug)]
pub(super) enum Target {
    /// To our stdout, one after another.
    Stdout,
    /// The one text to stdout; pictures beside the input, under the task's names.
    TextToStdout,
    /// Beside each input, under the task's names.
    Beside,
    /// To one file.
    File(PathBuf),
    /// Into a folder, under the task's names.
    Folder(PathBuf),
    /// Where the template says.
    Template(Template),
    /// Into the folder that the template names, under the task's names.
    FolderTemplate(Template),
}

impl Target {
    pub(super) fn new(request: &PlanRequest<'_>, listing: &Listing) -> Result<Self> {
        let Some(output) = request.output.as_deref() else {
            return without_option(request, listing);
        };
        if is_stdout(output) {
            return stdout(request, listing);
        }
        if output.is_empty() {
            return Err(Error::argument("the output is an empty name"));
        }
        let is_folder = native::ends_in_separator(output);
        if let Some(template) = Template::parse(output)? {
            return Ok(if is_folder { Self::FolderTemplate(template) } else { Self::Template(template) });
        }
        let path = PathBuf::from(output);
        // Without the separator at its end: the system knows no `file/`.
        let metadata = fs::metadata(path.components().collect::<PathBuf>()).ok();
        let exists_as_folder = metadata.as_ref().is_some_and(fs::Metadata::is_dir);
        if !(is_folder || exists_as_folder || !listing.single) {
            return Ok(Self::File(path));
        }
        // A device takes any number of results: `-o /dev/null` is how to run for nothing.
        let is_device = metadata.as_ref().is_some_and(|data| !data.is_file() && !data.is_dir());
        if is_device && !is_folder {
            return Ok(Self::File(path));
        }
        if metadata.is_some() && !exists_as_folder {
            return Err(Error::Argument {
                message: format!("`{}` is a file, and several outputs need a folder", path.display()),
                hint: Some("name a folder, or a template such as `-o '{.}.out'`".into()),
            });
        }
        Ok(Self::Folder(path))
    }
}

fn without_option(request: &PlanRequest<'_>, listing: &Listing) -> Result<Target> {
    let one_text = request.formats.iter().filter(|format| format.kind == FormatKind::Text).count() == 1;
    let pictures = request.formats.len() > 1;
    let stdin = listing.entries.iter().any(|entry| entry.input == InputSource::Stdin);
    if listing.single && one_text && !pictures {
        Ok(Target::Stdout)
    } else if listing.single && one_text && !stdin {
        Ok(Target::TextToStdout)
    } else if listing.single && stdin {
        Err(Error::Argument {
            message: "an input from stdin has no place for these formats".into(),
            hint: Some("say where they go with `-o`".into()),
        })
    } else {
        Ok(Target::Beside)
    }
}

fn stdout(request: &PlanRequest<'_>, listing: &Listing) -> Result<Target> {
    let [format] = &request.formats[..] else {
        return Err(Error::Argument {
            message: "several formats cannot share stdout".into(),
            hint: Some("choose one format, or a folder for the output".into()),
        });
    };
    if format.kind == FormatKind::Folder {
        return Err(Error::Argument {
            message: format!("`{}` is a folder of files, which stdout cannot take", format.extension),
            hint: Some("choose a folder for the output".into()),
        });
    }
    if format.kind == FormatKind::Binary && !listing.single {
        return Err(Error::Argument {
            message: format!("several `{}` outputs cannot share stdout", format.extension),
            hint: Some("choose a folder for the output".into()),
        });
    }
    Ok(Target::Stdout)
}

/// `-`, and the names that Unix has for it: a rename over one of those would replace the device.
fn is_stdout(output: &OsStr) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| output == *name)
}
