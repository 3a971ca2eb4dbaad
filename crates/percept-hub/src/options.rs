//! What the hub is told: folders, endpoint, token, limits. Read from the environment once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::progress::{Progress, Silent};

/// The Hub when `HF_ENDPOINT` names no other.
pub(crate) const ENDPOINT: &str = "https://huggingface.co";

/// Everything that a [`Hub`](crate::Hub) depends on.
#[derive(Clone)]
pub struct HubOptions {
    /// Our own folder: the lock file and the files that came out of packages.
    pub home: PathBuf,
    /// The standard Hugging Face cache, shared with other tools.
    pub hf_cache: PathBuf,
    /// Scheme, host, and for a mirror perhaps a path; no slash at the end.
    pub endpoint: String,
    /// Sent to the endpoint's origin and nowhere else.
    pub token: Option<Token>,
    /// No socket is opened and no other program is started.
    pub offline: bool,
    /// The user accepts the licences of the models that are asked for.
    pub accept_license: bool,
    /// Which proxy is used.
    pub proxy: ProxyChoice,
    /// How long to wait, how often to try.
    pub limits: Limits,
    /// How pip is started: candidates in order, each a program with its first arguments.
    pub pip: Vec<Vec<String>>,
    /// Who listens.
    pub progress: Arc<dyn Progress>,
}

/// Which proxy is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyChoice {
    /// The one of `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`, minding `NO_PROXY`.
    Environment,
    /// None.
    Direct,
}

/// How long to wait, and how often to try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// From the name to a connection, encryption included.
    pub connect: Duration,
    /// From the request to the whole header of the answer.
    pub response: Duration,
    /// Between two pieces of a body.
    pub stall: Duration,
    /// How often a request is sent at most, where nothing arrives in between.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with every further one.
    pub pause: Duration,
    /// The longest `Retry-After` that is obeyed; a server that asks for more has failed.
    pub longest_pause: Duration,
    /// What pip is given as `--timeout`, in seconds.
    pub pip_timeout: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            attempts: 4,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            pip_timeout: 10,
        }
    }
}

/// A secret. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token; `None` where the text is empty or cannot stand in a header.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let printable = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        printable.then(|| Self(text.to_owned()))
    }

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("home", &self.home)
            .field("hf_cache", &self.hf_cache)
            .field("endpoint", &self.endpoint)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

impl HubOptions {
    /// Options that touch these two folders only, know no token and read no environment.
    pub fn new(home: impl Into<PathBuf>, hf_cache: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            hf_cache: hf_cache.into(),
            endpoint: ENDPOINT.to_owned(),
            token: None,
            offline: false,
            accept_license: false,
            proxy: ProxyChoice::Direct,
            limits: Limits::default(),
            pip: default_pip(),
            progress: Arc::new(Silent),
        }
    }

    /// Options as the environment of this process says: `PERCEPT_HOME`, and of the Hugging Face tools
    /// `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_OFFLINE`,
    /// `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HUB_ETAG_TIMEOUT`, `HF_HUB_DOWNLOAD_TIMEOUT`, with their
    /// older names.
    pub fn from_env() -> Self {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    /// As [`HubOptions::from_env`], with the variables looked up by `lookup`.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let any = |names: &[&str]| names.iter().find_map(|name| set(name));
        let user = set("HOME").map(PathBuf::from).or_else(std::env::home_dir).unwrap_or_default();
        let expand = |text: String| match text.strip_prefix("~/") {
            Some(rest) => user.join(rest),
            None => PathBuf::from(text),
        };
        let caches = set("XDG_CACHE_HOME").map_or_else(|| user.join(".cache"), PathBuf::from);
        let hf_home = set("HF_HOME").map_or_else(|| caches.join("huggingface"), expand);
        let hf_cache =
            any(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).map_or_else(|| hf_home.join("hub"), expand);
        let home = set("PERCEPT_HOME").map_or_else(|| caches.join("percept"), expand);
        let is_true = |name: &str| {
            set(name).is_some_and(|value| {
                matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
            })
        };
        let token_path = set("HF_TOKEN_PATH").map_or_else(|| hf_home.join("token"), expand);
        let token = any(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
            .and_then(|text| Token::new(&text))
            .or_else(|| if is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN") { None } else { token_in(&token_path) });
        let seconds =
            |name: &str| set(name)?.parse().ok().filter(|&seconds| seconds > 0).map(Duration::from_secs);
        let usual = Limits::default();
        let limits = Limits {
            response: seconds("HF_HUB_ETAG_TIMEOUT").unwrap_or(usual.response),
            stall: seconds("HF_HUB_DOWNLOAD_TIMEOUT").unwrap_or(usual.stall),
            ..usual
        };
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token,
            offline: is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE"),
            proxy: ProxyChoice::Environment,
            limits,
            ..Self::new(home, hf_cache)
        }
    }
}

fn token_in(path: &Path) -> Option<Token> {
    Token::new(&std::fs::read_to_string(path).ok()?)
}

fn default_pip() -> Vec<Vec<String>> {
    let candidates: &[&[&str]] = if cfg!(windows) {
        &[&["py", "-m", "pip"], &["python", "-m", "pip"], &["pip"]]
    } else {
        &[&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]]
    };
    candidates.iter().map(|words| words.iter().map(|&word| word.to_owned()).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> HubOptions {
        HubOptions::from_lookup(&|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_folders_are_those_of_the_hugging_face_tools() {
        let plain = options(&[("HOME", "/h")]);
        assert_eq!(plain.hf_cache, Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(plain.home, Path::new("/h/.cache/percept"));
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(
            options(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).hf_cache,
            Path::new("/x/huggingface/hub")
        );
        assert_eq!(options(&[("HOME", "/h"), ("HF_HOME", "~/hf")]).hf_cache, Path::new("/h/hf/hub"));
        let both = options(&[("HOME", "/h"), ("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")]);
        assert_eq!(both.hf_cache, Path::new("/c"));
    }

    #[test]
    fn the_offline_switch_reads_the_words_that_huggingface_hub_reads() {
        for word in ["1", "ON", "yes", "True"] {
            assert!(options(&[("HF_HUB_OFFLINE", word)]).offline, "{word}");
        }
        for word in ["", "0", "no", "false"] {
            assert!(!options(&[("HF_HUB_OFFLINE", word)]).offline, "{word}");
        }
    }

    #[test]
    fn the_token_comes_from_the_variable_then_from_the_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let home = folder.path().to_str().unwrap();
        let from = |pairs: &[(&str, &str)]| options(pairs).token.map(|token| token.secret().to_owned());
        assert_eq!(from(&[("HF_HOME", home)]).as_deref(), Some("hf_file"));
        assert_eq!(from(&[("HF_HOME", home), ("HF_TOKEN", " hf_variable ")]).as_deref(), Some("hf_variable"));
        assert_eq!(from(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        assert!(!format!("{:?}", options(&[("HF_TOKEN", "hf_secret")]).token).contains("secret"));
    }
}
