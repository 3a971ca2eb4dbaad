//! `percept completions`.

use clap::CommandFactory;
use percept::Result;
use percept::flow::ExitCode;

use crate::args::{Arguments, CompletionsArguments};
use crate::report;

pub(crate) fn run(arguments: &CompletionsArguments) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "percept", &mut script);
    report::data(&String::from_utf8_lossy(&script))
}
