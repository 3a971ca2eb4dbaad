//! Why a source could not deliver. Becomes the cause and the hint of `Error::Fetch`.

use std::path::PathBuf;
use std::time::Duration;

use percept_core::Error;

/// What went wrong with one source.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot reach {host}: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("{host} stopped sending: {reason}")]
    Cut { host: String, reason: String },
    #[error("the Hub has no repository `{repository}`, or it is private")]
    NoRepository { repository: String, page: String },
    #[error("`{repository}` has no revision `{revision}`")]
    NoRevision { repository: String, revision: String },
    #[error("`{repository}` has no file `{file}`")]
    NoFile { repository: String, file: String },
    #[error("the Hub refuses `{repository}` (HTTP {status}): it is gated or private")]
    Refused { repository: String, status: u16, page: String, token_sent: bool },
    #[error("{host} is busy (HTTP {status}) and asks to wait {:.0} s", wait.as_secs_f64())]
    Busy { host: String, status: u16, wait: Duration },
    #[error("{host} answered HTTP {status} to `{what}`")]
    Status { host: String, status: u16, what: String },
    #[error("the length of `{file}` changed on the server while it was fetched: {was} bytes, now {now}")]
    SizeChanged { file: String, was: u64, now: String },
    #[error("{host} does not speak the Hub's protocol: {what}")]
    Protocol { host: String, what: String },
    #[error("the disk is full: `{}` needs {needed} more bytes", path.display())]
    DiskFull { path: PathBuf, needed: u64 },
    #[error("cannot write `{}`: {cause}", path.display())]
    Disk { path: PathBuf, cause: std::io::Error },
    #[error("{0}")]
    Content(String),
    #[error("`{}` is damaged: its digest is {got}, not {want}", path.display())]
    Corrupt { path: PathBuf, want: String, got: String },
    #[error("{reason}")]
    Package { reason: String, hint: Option<String> },
    #[error("{}", .0.chain())]
    Other(Box<Error>),
}

impl Failure {
    /// A failure to write, told apart by what a person can do about it.
    pub(crate) fn disk(path: impl Into<PathBuf>, needed: u64, cause: std::io::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let path = path.into();
        match cause.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::DiskFull { path, needed },
            _ => Self::Disk { path, cause },
        }
    }

    /// Whether the same request may succeed in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::Busy { .. })
            || matches!(self, Self::Status { status, .. } if matches!(status, 408 | 500 | 502 | 504))
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => Some(
                "check the network, or set HF_ENDPOINT to a mirror; a folder works without either: `--model DIR`".into(),
            ),
            Self::Cut { .. } | Self::Busy { .. } => Some("run it again; what has arrived is kept".into()),
            Self::Refused { page, token_sent: true, .. } => {
                Some(format!("accept the terms at {page} with the account that HF_TOKEN belongs to"))
            }
            Self::Refused { page, .. } => {
                Some(format!("accept the terms at {page}, then set HF_TOKEN to a token of that account"))
            }
            Self::NoRepository { page, .. } => Some(format!("see {page}; a private one needs HF_TOKEN")),
            Self::NoRevision { .. } => {
                Some("name another revision as ORG/REPO@REVISION, or `percept models pull --force NAME` for the newest".into())
            }
            Self::NoFile { .. } | Self::SizeChanged { .. } => {
                Some("`percept models pull --force NAME` asks for the newest revision".into())
            }
            Self::DiskFull { .. } => Some(
                "make room and run it again, which goes on where it stopped; HF_HUB_CACHE and PERCEPT_HOME choose another disk"
                    .into(),
            ),
            Self::Disk { .. } => Some("HF_HUB_CACHE and PERCEPT_HOME choose another folder".into()),
            Self::Protocol { .. } => Some("check HF_ENDPOINT".into()),
            Self::Package { hint, .. } => hint.clone(),
            Self::Other(error) => error.hint(),
            Self::Status { .. } | Self::Content(_) | Self::Corrupt { .. } => None,
        }
    }

    /// The error of the whole workspace.
    pub(crate) fn into_error(self, model: &str, more: Option<String>) -> Error {
        match self {
            Self::Corrupt { path, want, got } => Error::Corrupt { path, want, got },
            Self::Other(error) => *error,
            failure => {
                let hint = [more, failure.hint()].into_iter().flatten().collect::<Vec<_>>().join("; ");
                Error::Fetch {
                    model: model.to_owned(),
                    cause: Box::new(failure),
                    hint: (!hint.is_empty()).then_some(hint),
                }
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(Box::new(error))
    }
}

/// Every source failed: each with its reason, in order.
#[derive(Debug)]
pub(crate) struct AllFailed(pub(crate) Vec<(String, Failure)>);

impl std::fmt::Display for AllFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (source, failure)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{source}: {failure}")?;
        }
        Ok(())
    }
}

impl std::error::Error for AllFailed {}

impl AllFailed {
    /// The error of the whole workspace; `more` is added to the hints of the sources.
    pub(crate) fn into_error(mut self, model: &str, more: Option<String>) -> Error {
        if self.0.len() == 1
            && let Some((_, failure)) = self.0.pop()
        {
            return failure.into_error(model, more);
        }
        let mut hints: Vec<String> = Vec::new();
        for hint in more.into_iter().chain(self.0.iter().filter_map(|(_, failure)| failure.hint())) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        let hint = (!hints.is_empty()).then(|| hints.join("; "));
        Error::Fetch { model: model.to_owned(), cause: Box::new(self), hint }
    }
}
