//! `percept man`: the page of the program, followed by those of its commands.

use clap::CommandFactory;
use percept::flow::ExitCode;
use percept::{Error, Result};

use crate::args::Arguments;
use crate::report;

pub(crate) fn run() -> Result<ExitCode> {
    let mut command = Arguments::command();
    command.build();
    let mut page = Vec::new();
    let failed = |error: std::io::Error| Error::argument(format!("the manual cannot be made: {error}"));
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(failed)?;
    for sub in command.get_subcommands() {
        clap_mangen::Man::new(sub.clone()).render(&mut page).map_err(failed)?;
    }
    report::data(&String::from_utf8_lossy(&page))
}
