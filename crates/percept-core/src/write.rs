//! Files that appear whole or not at all.
//!
//! The bytes go into a temporary file in the folder of the target, which is renamed over the target
//! at the end: a reader sees the old file or the new one, and a process that dies leaves the old one.
//! Nothing is flushed to the platter (`fsync`), so this is no promise about power cuts.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Writes `bytes` to `path`; see [`atomic_with`].
pub fn atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic_with(path, |writer| writer.write_all(bytes))
}

/// Writes what `fill` writes to `path`, which then holds all of it or is untouched.
///
/// Missing folders are created. An existing file is replaced and keeps its permissions; a symbolic
/// link is followed. A target that is no regular file (a pipe, `/dev/null`) is written to directly.
///
/// # Errors
/// [`Error::Output`] with a hint: no space, no permission, a read-only file, a folder in the way, or
/// whatever `fill` returned.
pub fn atomic_with(path: &Path, fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>) -> Result<()> {
    write(path, fill).map_err(|cause| unwritten(path, cause))
}

/// As [`atomic_with`], for a `fill` that answers something, and that may fail for other reasons than writing.
///
/// # Errors
/// What `fill` returned, its [`Error::Output`] as one of `path`; else as [`atomic_with`].
pub fn atomic_filled<T>(path: &Path, fill: impl FnOnce(&mut (dyn Write + Send)) -> Result<T>) -> Result<T> {
    let mut filled = None;
    let written = atomic_with(path, |writer| {
        // What is wrong is told below; here it only keeps the file from being there.
        let outcome = filled.insert(fill(writer));
        outcome.as_ref().map(drop).map_err(|_| ErrorKind::Other.into())
    });
    match filled {
        Some(Ok(value)) => written.map(|()| value),
        Some(Err(Error::Output { cause, hint, .. })) => {
            Err(Error::Output { path: path.to_owned(), cause, hint })
        }
        Some(Err(other)) => Err(other),
        None => written.and(Err(Error::argument("the file was not filled"))),
    }
}

/// Writes files of these names into a folder, which then holds exactly these or is untouched.
///
/// A folder that is there is replaced with all that it holds; missing ones above it are created.
///
/// # Errors
/// [`Error::Output`] with a hint, as [`atomic`].
pub fn folder(path: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    write_folder(path, files).map_err(|cause| unwritten(path, cause))
}

fn write_folder(path: &Path, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    let target = follow_link(path)?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    let mut builder = tempfile::Builder::new();
    let prefix = prefix();
    builder.prefix(&prefix).suffix(SUFFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let new = builder.tempdir_in(parent)?;
    for (name, bytes) in files {
        fs::write(new.path().join(name), bytes)?;
    }
    // A rename replaces an empty folder only: what is there steps aside until the new one stands.
    let old = builder.tempdir_in(parent)?;
    if target.is_dir() {
        fs::rename(&target, old.path().join("old"))?;
    }
    // What is dropped behind it finds nothing to remove.
    fs::rename(new.path(), &target)
}

fn write(path: &Path, fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>) -> io::Result<()> {
    let mut pending = Pending::begun(path)?;
    stream(&mut pending, fill)?;
    pending.kept()
}

/// A file that is being written for long, or by name, and appears at its place when it is whole ([`Pending::keep`]). What
/// is dropped before was never there.
///
/// As with [`atomic_with`], missing folders are created, permissions are kept and links followed; a target that is no
/// regular file is written to directly.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A pipe or a device.
    Special(File),
    /// A file under another name, and the name that it gets.
    New(tempfile::NamedTempFile, PathBuf),
}

impl Pending {
    /// Begins the file for `path`.
    ///
    /// # Errors
    /// [`Error::Output`] with a hint, as [`atomic_with`].
    pub fn new(path: &Path) -> Result<Self> {
        Self::begun(path).map_err(|cause| unwritten(path, cause))
    }

    /// Where the bytes go until then, for what writes files by their names.
    ///
    /// # Errors
    /// [`Error::Output`]: the target is no regular file.
    pub fn name(&self) -> Result<&Path> {
        match &self.place {
            Place::New(temporary, _) => Ok(temporary.path()),
            Place::Special(_) => Err(unwritten(&self.path, io::Error::other("it is no regular file"))),
        }
    }

    /// The path that the file is for.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// [`Error::Output`] with a hint.
    pub fn keep(self) -> Result<()> {
        let path = self.path.clone();
        self.kept().map_err(|cause| unwritten(&path, cause))
    }

    fn begun(path: &Path) -> io::Result<Self> {
        let place = |place| Self { path: path.to_owned(), place };
        let target = follow_link(path)?;
        let existing = match fs::metadata(&target) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(metadata) = &existing {
            if metadata.is_dir() {
                return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder"));
            }
            if !metadata.is_file() {
                return File::options().write(true).open(&target).map(|file| place(Place::Special(file)));
            }
            if metadata.permissions().readonly() {
                return Err(io::Error::new(ErrorKind::PermissionDenied, "the file is read-only"));
            }
        }
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;

        let mut builder = tempfile::Builder::new();
        let prefix = prefix();
        builder.prefix(&prefix).suffix(SUFFIX);
        match existing {
            Some(metadata) => builder.permissions(metadata.permissions()),
            None => builder.permissions(default_permissions(folder)?),
        };
        Ok(place(Place::New(builder.tempfile_in(folder)?, target)))
    }

    fn kept(self) -> io::Result<()> {
        match self.place {
            Place::Special(_) => Ok(()),
            Place::New(temporary, target) => {
                temporary.persist(&target).map(drop).map_err(|error| error.error)
            }
        }
    }

    fn file(&mut self) -> &mut File {
        match &mut self.place {
            Place::Special(file) => file,
            Place::New(temporary, _) => temporary.as_file_mut(),
        }
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

fn unwritten(path: &Path, cause: io::Error) -> Error {
    Error::Output { path: path.to_path_buf(), hint: hint(&cause), cause: cause.into() }
}

/// Buffers and flushes: an error that only shows at the last flush is an error too.
fn stream<W: Write + Send>(
    file: W,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = BufWriter::with_capacity(1 << 16, file);
    fill(&mut buffer)?;
    buffer.flush()
}

/// The file a symbolic link names, so that the link survives.
fn follow_link(path: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => match fs::canonicalize(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A dangling link: its target is created next to nothing we could look up.
                let target = fs::read_link(path)?;
                Ok(path.parent().unwrap_or(Path::new("")).join(target))
            }
            other => other,
        },
        _ => Ok(path.to_path_buf()),
    }
}

/// What an ordinary new file gets: temporary files are private to their owner otherwise.
#[cfg(unix)]
fn default_permissions(_folder: &Path) -> io::Result<fs::Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::Permissions::from_mode(0o666)) // the kernel takes the umask off
}

#[cfg(not(unix))]
fn default_permissions(folder: &Path) -> io::Result<fs::Permissions> {
    Ok(fs::metadata(folder)?.permissions())
}

const SUFFIX: &str = ".part";

/// How temporary files are called: by machine and process, so that what a killed process left can be told from what
/// another one is writing.
fn prefix() -> String {
    format!(".percept-{}-{}-", machine(), std::process::id())
}

/// The machine's name as far as it can be part of a file name.
fn machine() -> &'static str {
    static NAME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    NAME.get_or_init(|| {
        let name =
            fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
        let name = name.unwrap_or_default();
        name.chars().filter(char::is_ascii_alphanumeric).take(32).collect()
    })
}

/// Whether a file or folder is what a process of this machine was writing when it was killed. Known on Linux only.
pub fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let rest = name.and_then(|name| name.strip_prefix(".percept-")?.strip_suffix(SUFFIX));
    let Some((whose, rest)) = rest.and_then(|rest| rest.split_once('-')) else { return false };
    let process = rest.split_once('-').and_then(|(process, _)| process.parse::<u32>().ok());
    let processes = Path::new("/proc");
    process.is_some_and(|process| {
        whose == machine() && processes.join("self").exists() && !processes.join(process.to_string()).exists()
    })
}

/// What to do about an error of writing, where there is something.
pub fn hint(error: &io::Error) -> Option<String> {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space or write to another disk",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "choose a place that you may write to with `--output`"
        }
        ErrorKind::IsADirectory => "name a file, or remove the folder",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "a part of the path is a file, not a folder",
        ErrorKind::InvalidFilename => "choose a shorter or plainer name",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_folder_is_replaced_with_all_that_it_holds() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/pieces");
        folder(&path, &[("1.png".into(), vec![1]), ("2.png".into(), vec![2])]).unwrap();
        folder(&path, &[("3.png".into(), vec![3])]).unwrap();
        assert_eq!(names(&path), ["3.png"]);
        assert_eq!(names(&place.path().join("a")), ["pieces"]);
        fs::write(place.path().join("file"), []).unwrap();
        let error = folder(&place.path().join("file/pieces"), &[]).unwrap_err();
        assert!(error.hint().is_some(), "{}", error.chain());
    }

    #[test]
    fn what_is_pending_is_there_when_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/clip.mp4");
        let mut dropped = Pending::new(&path).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert!(names(path.parent().unwrap()).is_empty());
        let pending = Pending::new(&path).unwrap();
        fs::write(pending.name().unwrap(), b"by name").unwrap();
        assert!(!path.exists());
        pending.keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"by name");
        assert_eq!(names(path.parent().unwrap()), ["clip.mp4"]);
        #[cfg(unix)]
        assert!(Pending::new(Path::new("/dev/null")).unwrap().name().is_err());
    }

    #[test]
    fn missing_folders_are_made_and_nothing_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c.txt");
        atomic(&path, b"hello").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        assert_eq!(names(path.parent().unwrap()), ["c.txt"]);
    }

    #[test]
    fn what_fills_a_file_may_fail_in_its_own_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.txt");
        let answer = atomic_filled(&path, |writer| {
            writer.write_all(b"old").map(|()| 7).map_err(|_| Error::argument("disk"))
        });
        assert_eq!(answer.unwrap(), 7);
        let error = atomic_filled(&path, |_| Err::<(), _>(Error::argument("no such thing"))).unwrap_err();
        assert_eq!(error.chain(), "no such thing");
        let full = |_: &mut (dyn Write + Send)| {
            let cause = io::Error::from(ErrorKind::StorageFull);
            Err::<(), _>(Error::Output { path: "-".into(), cause: cause.into(), hint: None })
        };
        assert!(atomic_filled(&path, full).unwrap_err().chain().contains("c.txt"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let error = atomic_filled(&path.join("d.txt"), |_| Ok(())).unwrap_err();
        assert!(matches!(error, Error::Output { .. }), "{}", error.chain());
    }

    #[test]
    fn a_failure_in_the_middle_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.txt");
        atomic(&path, b"old").unwrap();
        let error = atomic_with(&path, |writer| {
            writer.write_all(b"new")?;
            Err(io::Error::from(ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(matches!(error, Error::Output { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("space"), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["c.txt"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_what_a_dead_process_left_is_left_over() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let of = |process: u32| format!("/x/.percept-{}-{process}-AbC123.part", machine());
        assert!(is_leftover(Path::new(&of(child.id()))));
        assert!(!is_leftover(Path::new(&of(std::process::id()))));
        for other in ["/x/.percept-other.machine-1-A.part", "/x/a.part", "/x/.percept-1.part", "/x/.percept"]
        {
            assert!(!is_leftover(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn a_folder_in_the_way_is_an_error_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let error = atomic(folder.path(), b"x").unwrap_err();
        assert!(error.chain().contains("it is a folder"), "{}", error.chain());
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_file_as_parent_is_an_error_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), b"x").unwrap();
        let error = atomic(&folder.path().join("file/below.txt"), b"x").unwrap_err();
        assert!(error.hint().unwrap().contains("not a folder"), "{error:?}");
    }

    #[cfg(unix)]
    #[test]
    fn permissions_links_and_devices_are_respected() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

        // A new file looks like any other new file, not like a private temporary one.
        let plain = folder.path().join("plain");
        fs::write(&plain, b"x").unwrap();
        let ours = folder.path().join("ours");
        atomic(&ours, b"x").unwrap();
        assert_eq!(mode(&ours), mode(&plain));

        fs::set_permissions(&ours, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link");
        symlink("ours", &link).unwrap();
        atomic(&link, b"through the link").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&ours).unwrap(), b"through the link");
        assert_eq!(mode(&ours), 0o640);

        fs::set_permissions(&ours, fs::Permissions::from_mode(0o440)).unwrap();
        let error = atomic(&ours, b"no").unwrap_err();
        assert!(error.chain().contains("read-only"), "{}", error.chain());

        // Renaming over a device would replace it.
        atomic(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told() {
        let error = atomic(Path::new("/dev/full"), b"x").unwrap_err();
        assert!(error.hint().unwrap().contains("space"), "{}", error.chain());
    }
}
