//! How a run ended.

use std::process;
use std::time::Duration;

use percept_core::Error;

use crate::InputSource;

/// How the process ends, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Everything was done.
    Done = 0,
    /// Some items failed; the others were done.
    SomeFailed = 1,
    /// Wrong usage or configuration; nothing was begun.
    Usage = 2,
    /// A model or a device could not be had.
    Unavailable = 3,
    /// The user stopped the run.
    Interrupted = 130,
}

impl ExitCode {
    /// The code of an error that ended the whole command, as opposed to one item.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Interrupted => Self::Interrupted,
            Error::UnknownModel { .. }
            | Error::UnsupportedArchitecture { .. }
            | Error::MissingFile { .. }
            | Error::Fetch { .. }
            | Error::Corrupt { .. }
            | Error::Weights { .. }
            | Error::Device { .. } => Self::Unavailable,
            Error::Compute { .. } | Error::Output { .. } => Self::SomeFailed,
            _ => Self::Usage,
        }
    }

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

/// An input that could not be done.
#[derive(Debug)]
pub struct Failure {
    /// Of the item; a folder that could not be listed is none.
    pub index: Option<usize>,
    /// The input; for a folder that could not be listed, the folder.
    pub input: InputSource,
    /// Why.
    pub error: Error,
}

/// Time by stage, summed over all items. The stages overlap, so the sum may exceed the elapsed time;
/// the largest is the bottleneck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Reading and decoding.
    pub read: Duration,
    /// The model.
    pub predict: Duration,
    /// Writing.
    pub write: Duration,
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Summary {
    /// Items that the plan had, and folders that could not be listed.
    pub planned: usize,
    /// Items whose outputs are written.
    pub done: usize,
    /// Items that an earlier run has done.
    pub kept: usize,
    /// What failed: first the folders that could not be listed, then items in the order of the plan.
    pub failed: Vec<Failure>,
    /// Whether the user stopped the run. Items that are neither done nor failed were not begun, or
    /// only decoded.
    pub interrupted: bool,
    /// Whether the reader of our stdout went away, as `head` does. That is no failure.
    pub stdout_closed: bool,
    /// Wall time.
    pub elapsed: Duration,
    /// Where the time went.
    pub times: StageTimes,
}

impl Summary {
    /// How the process should end.
    pub fn exit_code(&self) -> ExitCode {
        if self.interrupted {
            ExitCode::Interrupted
        } else if self.failed.is_empty() {
            ExitCode::Done
        } else {
            ExitCode::SomeFailed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_manual() {
        let mut summary = Summary { done: 3, ..Summary::default() };
        assert_eq!(summary.exit_code().code(), 0);
        summary.failed.push(Failure { index: None, input: InputSource::Stdin, error: Error::argument("x") });
        assert_eq!(summary.exit_code().code(), 1);
        summary.interrupted = true;
        assert_eq!(summary.exit_code().code(), 130);
        assert_eq!(ExitCode::of(&Error::argument("x")).code(), 2);
        assert_eq!(ExitCode::of(&Error::input("a", "gone")).code(), 2);
        let device = Error::Device { device: "cuda:0".into(), reason: "no driver".into() };
        assert_eq!(ExitCode::of(&device).code(), 3);
        assert_eq!(ExitCode::of(&Error::Interrupted).code(), 130);
    }
}
