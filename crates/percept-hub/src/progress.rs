//! What the hub tells while it works. The library prints nothing: the caller draws.

use std::fmt;
use std::time::Duration;

/// Listens to the hub. Called from the thread that resolves; must return quickly.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: &Event<'_>) {}
}

/// One thing that happened. `Display` is a line for people; [`Event::is_line`] says which events are
/// worth one, the others move a bar.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A source is tried.
    Attempt {
        /// The model.
        model: &'a str,
        /// Such as `hub:openai/whisper-base`.
        source: &'a str,
    },
    /// A source was tried in vain.
    Failed {
        /// The model.
        model: &'a str,
        /// Such as `hub:openai/whisper-base`.
        source: &'a str,
        /// Why, in one line.
        reason: &'a str,
    },
    /// A file begins to arrive.
    Started {
        /// Its name.
        file: &'a str,
        /// How many bytes are here already from an earlier attempt.
        resumed: u64,
        /// How long it will be, where that is known.
        total: Option<u64>,
    },
    /// Bytes of a file arrived.
    Bytes {
        /// Its name.
        file: &'a str,
        /// How many bytes are here.
        done: u64,
        /// How long it will be, where that is known.
        total: Option<u64>,
    },
    /// A file is read in order to check its digest.
    Verifying {
        /// Its name.
        file: &'a str,
        /// Its length in bytes.
        bytes: u64,
    },
    /// A file is complete and checked.
    Finished {
        /// Its name.
        file: &'a str,
    },
    /// The server or the network failed; the hub tries again.
    Retrying {
        /// What is fetched.
        file: &'a str,
        /// Why it has to be tried again.
        reason: &'a str,
        /// How long the hub waits before it does.
        wait: Duration,
    },
    /// Another process fetches the same file; the hub waits for it.
    Waiting {
        /// The file.
        file: &'a str,
    },
    /// The model is here.
    Ready {
        /// The model.
        model: &'a str,
        /// Such as `hub:openai/whisper-base`.
        source: &'a str,
    },
}

impl Event<'_> {
    /// Whether this event is worth a line on stderr.
    pub fn is_line(&self) -> bool {
        matches!(
            self,
            Self::Attempt { .. } | Self::Failed { .. } | Self::Retrying { .. } | Self::Waiting { .. }
        )
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt { model, source } => write!(f, "{model}: fetching from {source}"),
            Self::Failed { model, source, reason } => write!(f, "{model}: {source} failed: {reason}"),
            Self::Started { file, resumed: 0, .. } => write!(f, "{file}: fetching"),
            Self::Started { file, resumed, .. } => write!(f, "{file}: resuming at byte {resumed}"),
            Self::Bytes { file, done, total: Some(total) } => write!(f, "{file}: {done} of {total} bytes"),
            Self::Bytes { file, done, total: None } => write!(f, "{file}: {done} bytes"),
            Self::Verifying { file, .. } => write!(f, "{file}: checking"),
            Self::Finished { file } => write!(f, "{file}: complete"),
            Self::Retrying { file, reason, wait } => {
                write!(f, "{file}: {reason}; trying again in {:.1} s", wait.as_secs_f64())
            }
            Self::Waiting { file } => write!(f, "{file}: waiting for another process that fetches it"),
            Self::Ready { model, source } => write!(f, "{model}: ready, from {source}"),
        }
    }
}
