//! The one error of percept, cut by who can fix it.

use std::path::PathBuf;

/// What lies beneath an error.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// `Result` with percept's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. `Display` says what happened; [`Error::hint`] says what to do; `source()` has
/// the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Your file: it cannot be read or decoded.
    #[error("cannot read `{}`", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Cause,
        /// What to do.
        hint: Option<String>,
    },
    /// Your flag or your argument.
    #[error("{message}")]
    Argument {
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A name that is in no catalogue.
    #[error("no {task} model is called `{name}`")]
    UnknownModel {
        /// `Task::NAME`.
        task: String,
        /// What was typed.
        name: String,
        /// The nearest name.
        nearest: Option<String>,
    },
    /// A checkpoint of an architecture that we do not implement.
    #[error("`{model}` is a `{found}`, which `{task}` does not support")]
    UnsupportedArchitecture {
        /// The model.
        model: String,
        /// `Task::NAME`.
        task: String,
        /// What the checkpoint calls itself.
        found: String,
        /// What is supported.
        supported: Vec<String>,
    },
    /// A model folder that lacks a file.
    #[error("`{model}` has no file `{file}`")]
    MissingFile {
        /// The model.
        model: String,
        /// What was looked for.
        file: String,
        /// What is there.
        present: Vec<String>,
    },
    /// Network, disk or server: a model could not be had.
    #[error("cannot fetch `{model}`")]
    Fetch {
        /// The model.
        model: String,
        /// Why.
        #[source]
        cause: Cause,
        /// What to do.
        hint: Option<String>,
    },
    /// A file that is not what it should be.
    #[error("`{}` is damaged: its SHA-256 is {got}, not {want}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The promised digest.
        want: String,
        /// The digest that was found.
        got: String,
    },
    /// A checkpoint that does not fit its architecture.
    #[error("the weights of `{model}` do not fit")]
    Weights {
        /// The model.
        model: String,
        /// Which tensor, what was wanted, what was found.
        #[source]
        cause: Cause,
    },
    /// A device that is absent, or out of memory.
    #[error("device `{device}` is not available: {reason}")]
    Device {
        /// As it was typed.
        device: String,
        /// Why.
        reason: String,
    },
    /// Our fault: a computation failed.
    #[error("`{model}` failed on this input")]
    Compute {
        /// The model.
        model: String,
        /// What the engine said.
        #[source]
        cause: Cause,
    },
    /// A result that cannot be written.
    #[error("cannot write `{}`", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Cause,
        /// What to do.
        hint: Option<String>,
    },
    /// What an earlier run, which this one continues, said of an item.
    #[error("{message}")]
    Earlier {
        /// Its error.
        message: String,
    },
    /// The user pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// What the user can do next. Printed as `hint: …`.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Input { hint, .. }
            | Self::Argument { hint, .. }
            | Self::Fetch { hint, .. }
            | Self::Output { hint, .. } => hint.clone(),
            Self::UnknownModel { nearest: Some(name), .. } => Some(format!("did you mean `{name}`?")),
            Self::UnknownModel { task, .. } => Some(format!(
                "`percept models list --task {task}` names them; a folder or ORG/REPO works too"
            )),
            Self::UnsupportedArchitecture { supported, .. } => {
                Some(format!("supported: {}", supported.join(", ")))
            }
            Self::MissingFile { present, .. } if present.is_empty() => {
                Some("a model folder holds `config.json` and the weights as published on the Hub".into())
            }
            Self::MissingFile { present, .. } => Some(format!("it has: {}", present.join(", "))),
            Self::Corrupt { .. } => Some("fetch it again with `percept models pull --force NAME`".into()),
            Self::Device { .. } => Some("use `--device cpu`; `percept doctor` lists what is there".into()),
            Self::Earlier { .. } => Some("it failed so before; `--retry-failed` tries it again".into()),
            Self::Weights { .. } | Self::Compute { .. } | Self::Interrupted => None,
        }
    }

    /// The whole chain in one line: `message: cause: cause`.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            let part = cause.to_string();
            // Some libraries repeat their source in their own message; once is enough.
            if !text.ends_with(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            next = cause.source();
        }
        text
    }

    /// A wrong argument, without a hint.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::Argument { message: message.into(), hint: None }
    }

    /// An unreadable input, without a hint.
    pub fn input(path: impl Into<PathBuf>, cause: impl Into<Cause>) -> Self {
        Self::Input { path: path.into(), cause: cause.into(), hint: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_once() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::input("a.wav", cause);
        assert_eq!(error.chain(), "cannot read `a.wav`: disk on fire");
    }
}
