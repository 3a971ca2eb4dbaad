//! What most tests need: a server with one repository, folders of their own, a short patience.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use percept_hub::{Event, Hub, HubOptions, Limits, Progress, Registry};
use tempfile::TempDir;

use crate::server::{COMMIT, Server, git_sha1, sha256};

pub const REPOSITORY: &str = "org/toy";

/// Long enough to need several reads, and to be a large file of the server.
pub fn weights() -> Vec<u8> {
    (0..700_000u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

pub const CONFIG: &str = r#"{"architectures": ["ToyForTests"], "model_type": "toy"}"#;
pub const TOKENIZER: &str = r#"{"version": "1.0"}"#;

pub const CATALOGUE: &str = r#"
[toy]
task = "transcribe"
arch = "toy"
parameters = 10
license = "Apache-2.0"
default = true
[[toy.source]]
hub = "org/toy"
files = ["tokenizer.json"]
"#;

pub struct Bench {
    pub server: Server,
    pub folder: TempDir,
    pub lines: Arc<Mutex<Vec<String>>>,
}

struct Recorder(Arc<Mutex<Vec<String>>>);

impl Progress for Recorder {
    fn event(&self, event: &Event<'_>) {
        if event.is_line() || matches!(event, Event::Started { .. } | Event::Verifying { .. }) {
            self.0.lock().unwrap().push(event.to_string());
        }
    }
}

impl Bench {
    /// The toy repository at `main`.
    pub fn new() -> Self {
        let bench = Self::empty();
        bench.publish(COMMIT, &weights());
        bench
    }

    pub fn empty() -> Self {
        Self { server: Server::start(), folder: tempfile::tempdir().unwrap(), lines: Arc::default() }
    }

    pub fn publish(&self, commit: &str, weights: &[u8]) {
        self.server.point(REPOSITORY, "main", commit);
        for (file, content) in [
            ("config.json", CONFIG.as_bytes()),
            ("tokenizer.json", TOKENIZER.as_bytes()),
            ("README.md", b"read me"),
            ("model.safetensors", weights),
        ] {
            self.server.put(REPOSITORY, commit, file, content);
        }
    }

    pub fn options(&self) -> HubOptions {
        let mut options = HubOptions::new(self.home(), self.cache());
        options.endpoint = self.server.endpoint.clone();
        options.limits = patience();
        options.progress = Arc::new(Recorder(self.lines.clone()));
        // No test reaches a package index by accident.
        options.pip = vec![vec!["/no/pip/in/tests".into()]];
        options
    }

    pub fn hub(&self) -> Hub {
        self.hub_with(|_| {})
    }

    pub fn hub_with(&self, change: impl FnOnce(&mut HubOptions)) -> Hub {
        let mut options = self.options();
        change(&mut options);
        Hub::with_registry(options, Registry::parse(CATALOGUE).unwrap())
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("percept")
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("hub")
    }

    pub fn repository(&self) -> PathBuf {
        self.cache().join("models--org--toy")
    }

    pub fn snapshot(&self) -> PathBuf {
        self.repository().join("snapshots").join(COMMIT)
    }

    pub fn blob(&self) -> PathBuf {
        self.repository().join("blobs").join(sha256(&weights()))
    }

    pub fn incomplete(&self) -> PathBuf {
        self.repository().join("blobs").join(format!("{}.incomplete", sha256(&weights())))
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The toy as another tool would have cached it.
    pub fn cache_by_hand(&self, commit: &str) {
        let files = [
            ("config.json", CONFIG.as_bytes().to_vec()),
            ("tokenizer.json", TOKENIZER.into()),
            ("model.safetensors", weights()),
        ];
        for (file, content) in files {
            let etag = if file == "model.safetensors" { sha256(&content) } else { git_sha1(&content) };
            self.cache_file_by_hand(commit, file, &etag, &content);
        }
    }

    pub fn cache_file_by_hand(&self, commit: &str, file: &str, etag: &str, content: &[u8]) {
        let root = self.repository();
        let snapshot = root.join("snapshots").join(commit);
        for folder in [root.join("blobs"), root.join("refs"), snapshot.clone()] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(root.join("refs/main"), commit).unwrap();
        std::fs::write(root.join("blobs").join(etag), content).unwrap();
        link(&Path::new("../../blobs").join(etag), &snapshot.join(file));
    }
}

#[cfg(unix)]
fn link(target: &Path, link: &Path) {
    let _ = std::fs::remove_file(link);
    std::os::unix::fs::symlink(target, link).unwrap();
}

#[cfg(not(unix))]
fn link(target: &Path, link: &Path) {
    std::fs::copy(link.parent().unwrap().join(target), link).unwrap();
}

pub fn patience() -> Limits {
    Limits {
        connect: Duration::from_secs(2),
        response: Duration::from_millis(700),
        stall: Duration::from_millis(400),
        attempts: 3,
        pause: Duration::from_millis(10),
        longest_pause: Duration::from_secs(5),
        pip_timeout: 5,
    }
}

/// An address on loopback that refuses connections.
pub fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
