//! A small server that speaks the Hub's protocol, and misbehaves on request.
//!
//! Two listeners, so two origins: `hub` answers `/api/models/...` and `/{repo}/resolve/...`, and sends
//! large files to `cdn` by a redirect, as the real one does. Every connection serves one request.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha1::Sha1;
use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const NEXT_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// One misbehaviour.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The whole header, this many bytes of the body, then the connection ends.
    Cut(usize),
    /// As `Cut`, but the connection stays open and silent.
    Stall(usize),
    /// The connection stays open and nothing at all is sent.
    Silent,
    /// The lowest bit of this byte is turned.
    Flip(usize),
    /// The body is longer (or shorter) by this, and so is the announced length.
    Resize(i64),
    /// The body is longer by this, and no length is announced.
    GrowUnannounced(usize),
    /// Another status, with these header lines.
    Status(u16, &'static str),
    /// The answer to a range says that it starts elsewhere.
    OtherRange,
    /// Ranges are ignored.
    Whole,
    /// `HEAD` of a file announces another commit.
    OtherCommit,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub origin: &'static str,
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[derive(Default)]
struct State {
    /// Commit, by repository and revision.
    refs: BTreeMap<(String, String), String>,
    /// Content, by repository, commit and file.
    files: BTreeMap<(String, String, String), Vec<u8>>,
    tags: BTreeMap<String, Vec<String>>,
    /// What goes wrong, by `api`, `head:<file>`, `get:<file>` (at the hub), `cdn:<file>`.
    faults: BTreeMap<String, Vec<Fault>>,
    moved: BTreeMap<String, String>,
    log: Vec<Request>,
}

pub struct Server {
    state: Arc<Mutex<State>>,
    pub endpoint: String,
}

/// From this length on a file is a large one: its ETag is its SHA-256, its bytes come from the CDN.
const LARGE: usize = 10_000;

impl Server {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let listeners = ["hub", "cdn"].map(|name| (name, TcpListener::bind("127.0.0.1:0").unwrap()));
        let [endpoint, cdn] =
            [0, 1].map(|index| format!("http://{}", listeners[index].1.local_addr().unwrap()));
        for (origin, listener) in listeners {
            let (state, cdn) = (state.clone(), cdn.clone());
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (state, cdn) = (state.clone(), cdn.clone());
                    thread::spawn(move || serve(origin, stream, &state, &cdn));
                }
            });
        }
        Self { state, endpoint }
    }

    pub fn put(&self, repository: &str, commit: &str, file: &str, content: impl Into<Vec<u8>>) {
        let key = (repository.to_owned(), commit.to_owned(), file.to_owned());
        self.state.lock().unwrap().files.insert(key, content.into());
    }

    pub fn point(&self, repository: &str, revision: &str, commit: &str) {
        let key = (repository.to_owned(), revision.to_owned());
        self.state.lock().unwrap().refs.insert(key, commit.to_owned());
    }

    pub fn tag(&self, repository: &str, tag: &str) {
        self.state.lock().unwrap().tags.entry(repository.to_owned()).or_default().push(tag.to_owned());
    }

    /// Requests for files of `from` are sent on to the repository `to`, by a relative redirect.
    pub fn rename(&self, from: &str, to: &str) {
        self.state.lock().unwrap().moved.insert(from.to_owned(), to.to_owned());
    }

    pub fn fail(&self, place: &str, times: usize, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        state.faults.entry(place.to_owned()).or_default().extend(std::iter::repeat_n(fault, times));
    }

    pub fn heal(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    pub fn log(&self) -> Vec<Request> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn clear_log(&self) {
        self.state.lock().unwrap().log.clear();
    }

    /// The requests for the bytes of a large file.
    pub fn bodies(&self) -> Vec<Request> {
        self.log().into_iter().filter(|request| request.origin == "cdn").collect()
    }
}

pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

pub fn git_sha1(content: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", content.len()));
    hasher.update(content);
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn serve(origin: &'static str, mut stream: TcpStream, state: &Mutex<State>, cdn: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut words = line.split_whitespace().map(ToOwned::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let request = Request { origin, method, path, headers };
    state.lock().unwrap().log.push(request.clone());
    if request.method == "CONNECT" {
        let _ =
            stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    let path = request.path.split('?').next().unwrap_or_default().trim_start_matches('/').to_owned();
    if origin == "cdn" {
        let file = path.split('/').next_back().unwrap_or_default();
        let found = state.lock().unwrap().files.iter().find_map(|(key, content)| {
            (path == format!("{}/{}/{}", key.0, key.1, key.2)).then(|| content.clone())
        });
        let fault = take_fault(state, &format!("cdn:{file}"));
        // A CDN has ETags of its own, which say nothing of the content.
        return match found {
            Some(content) => send(&mut stream, &request, &content, "ETag: \"0xCDN\"\r\n", fault),
            None => status(&mut stream, 404, ""),
        };
    }
    if let Some(rest) = path.strip_prefix("api/models/") {
        let (repository, revision) = rest.split_once("/revision/").unwrap_or((rest, "main"));
        return api(&mut stream, state, repository, &revision.replace("%2F", "/"));
    }
    let Some((repository, rest)) = path.split_once("/resolve/") else { return status(&mut stream, 404, "") };
    let (revision, file) = rest.split_once('/').unwrap_or((rest, ""));
    let named = (repository.to_owned(), revision.replace("%2F", "/"));
    let commit = state.lock().unwrap().refs.get(&named).cloned();
    let commit = commit.as_deref().unwrap_or(revision);
    resolve(&mut stream, state, cdn, &request, (repository, commit, file));
}

fn take_fault(state: &Mutex<State>, place: &str) -> Option<Fault> {
    let mut state = state.lock().unwrap();
    let queue = state.faults.get_mut(place)?;
    (!queue.is_empty()).then(|| queue.remove(0))
}

fn api(stream: &mut TcpStream, state: &Mutex<State>, repository: &str, revision: &str) {
    match take_fault(state, "api") {
        Some(Fault::Status(code, lines)) => return status(stream, code, lines),
        Some(Fault::Silent) => return thread::sleep(Duration::from_secs(20)),
        _ => {}
    }
    let state = state.lock().unwrap();
    let known = state.files.keys().any(|key| key.0 == repository);
    let named = state.refs.get(&(repository.to_owned(), revision.to_owned())).cloned();
    let commit = named.unwrap_or_else(|| revision.to_owned());
    let siblings: Vec<_> = state
        .files
        .keys()
        .filter(|key| key.0 == repository && key.1 == commit)
        .map(|key| serde_json::json!({ "rfilename": key.2 }))
        .collect();
    if !known {
        return status(stream, 401, "X-Error-Code: RepoNotFound\r\n");
    }
    if siblings.is_empty() {
        return status(stream, 404, "X-Error-Code: RevisionNotFound\r\n");
    }
    let tags = state.tags.get(repository).cloned().unwrap_or_default();
    let body = serde_json::json!({ "id": repository, "sha": commit, "siblings": siblings, "tags": tags })
        .to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes());
}

fn resolve(
    stream: &mut TcpStream,
    state: &Mutex<State>,
    cdn: &str,
    request: &Request,
    (repository, commit, file): (&str, &str, &str),
) {
    let moved = state.lock().unwrap().moved.get(repository).cloned();
    if let Some(to) = moved {
        return status(stream, 307, &format!("Location: /{to}/resolve/{commit}/{file}\r\n"));
    }
    let fault = take_fault(state, &format!("{}:{file}", request.method.to_lowercase()));
    if let Some(Fault::Status(code, lines)) = fault {
        return status(stream, code, lines);
    }
    let key = (repository.to_owned(), commit.to_owned(), file.to_owned());
    let Some(content) = state.lock().unwrap().files.get(&key).cloned() else {
        return status(stream, 404, "X-Error-Code: EntryNotFound\r\n");
    };
    let commit_now = if matches!(fault, Some(Fault::OtherCommit)) { NEXT_COMMIT } else { commit };
    if content.len() >= LARGE {
        let lines = format!(
            "Location: {cdn}/{repository}/{commit}/{file}?signature=x\r\nX-Repo-Commit: {commit_now}\r\nX-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\nETag: \"of-the-redirect\"\r\n",
            sha256(&content),
            content.len()
        );
        return status(stream, 302, &lines);
    }
    let lines = format!("X-Repo-Commit: {commit_now}\r\nETag: \"{}\"\r\n", git_sha1(&content));
    send(stream, request, &content, &lines, fault);
}

fn status(stream: &mut TcpStream, code: u16, lines: &str) {
    let _ = stream.write_all(
        format!("HTTP/1.1 {code} Status\r\n{lines}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes(),
    );
}

fn send(stream: &mut TcpStream, request: &Request, content: &[u8], lines: &str, fault: Option<Fault>) {
    if let Some(Fault::Status(code, lines)) = fault {
        return status(stream, code, lines);
    }
    if matches!(fault, Some(Fault::Silent)) {
        return thread::sleep(Duration::from_secs(20));
    }
    let mut content = content.to_vec();
    match fault {
        Some(Fault::Flip(at)) => content[at] ^= 1,
        Some(Fault::Resize(by)) => content.resize(usize::try_from(content.len() as i64 + by).unwrap(), b'+'),
        Some(Fault::GrowUnannounced(by)) => content.resize(content.len() + by, b'+'),
        _ => {}
    }
    let range = request
        .header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let total = content.len();
    let (code, from, lines) = match range.filter(|_| !matches!(fault, Some(Fault::Whole))) {
        Some(from) if from >= total => {
            return status(stream, 416, &format!("Content-Range: bytes */{total}\r\n"));
        }
        Some(from) if matches!(fault, Some(Fault::OtherRange)) => {
            (206, from, format!("{lines}Content-Range: bytes {}-{}/{total}\r\n", from + 1, total - 1))
        }
        Some(from) => (206, from, format!("{lines}Content-Range: bytes {from}-{}/{total}\r\n", total - 1)),
        None => (200, 0, lines.to_owned()),
    };
    let body = &content[from..];
    let length = if matches!(fault, Some(Fault::GrowUnannounced(_))) {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let _ = stream
        .write_all(format!("HTTP/1.1 {code} OK\r\n{lines}{length}Connection: close\r\n\r\n").as_bytes());
    if request.method == "HEAD" {
        return;
    }
    let stop = match fault {
        Some(Fault::Cut(at) | Fault::Stall(at)) => at.min(body.len()),
        _ => body.len(),
    };
    let _ = stream.write_all(&body[..stop]);
    let _ = stream.flush();
    if matches!(fault, Some(Fault::Stall(_))) {
        thread::sleep(Duration::from_secs(20));
    }
}
