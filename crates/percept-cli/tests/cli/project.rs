//! A folder of its own for each test, and the program run inside it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A temporary folder that is the home, the cache and the working directory of the program.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A tiny Whisper with random weights: it says something, but nothing that makes sense.
pub(crate) fn tiny_whisper() -> String {
    root().join("tests/golden/whisper/f32").display().to_string()
}

/// Whether an answer is what `docs/schema` says.
pub(crate) fn follows_its_schema(value: &Value, name: &str) {
    let schema = std::fs::read_to_string(root().join("docs/schema").join(name)).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors = validator.iter_errors(value).map(|error| error.to_string()).collect::<Vec<_>>();
    assert!(errors.is_empty(), "{errors:?}");
}

impl Project {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Seconds of a voice (`assets/welcome.wav`), from the start.
    pub(crate) fn speech(&self, name: &str, seconds: f64) {
        let mut reader = hound::WavReader::open(root().join("assets/welcome.wav")).unwrap();
        let count = (seconds * 16_000.0) as usize;
        let samples = reader.samples::<i16>().take(count).map(Result::unwrap).collect::<Vec<_>>();
        self.wave(name, &samples);
    }

    /// Seconds of silence.
    pub(crate) fn silence(&self, name: &str, seconds: f64) {
        self.wave(name, &vec![0; (seconds * 16_000.0) as usize]);
    }

    /// A recording of these samples.
    pub(crate) fn wave(&self, name: &str, samples: &[i16]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// All files below the folder, by their paths in it.
    pub(crate) fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, files: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, root, files),
                    false => files.push(path.strip_prefix(root).unwrap().display().to_string()),
                }
            }
        }
        let mut files = Vec::new();
        walk(self.folder.path(), self.folder.path(), &mut files);
        files.sort();
        files
    }

    /// The program with its arguments, ready to start.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let home = self.folder.path().join(".home");
        let mut command = Command::new(env!("CARGO_BIN_EXE_percept"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("HF_TOKEN")
            .env_remove("HF_ENDPOINT")
            .env("HOME", &home)
            .env("HF_HOME", home.join("hf"))
            .env("PERCEPT_HOME", home.join("percept"))
            .env("HF_HUB_OFFLINE", "1")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).output().unwrap())
    }

    /// `percept transcribe ... --model <tiny> --temperature-increment-on-fallback 0`: one try, since
    /// random weights never convince, and in f32, since `auto` depends on the processor.
    pub(crate) fn transcribe(&self, arguments: &[&str]) -> Ran {
        let model = tiny_whisper();
        let mut all = vec!["transcribe"];
        all.extend(arguments);
        all.extend([
            "--model",
            model.as_str(),
            "--language",
            "en",
            "--temperature-increment-on-fallback",
            "0",
        ]);
        all.extend(["--no-speech-threshold", "1", "--beam-size", "1", "--precision", "f32"]);
        self.run(&all)
    }
}

pub(crate) fn finish(output: std::process::Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
