//! Every check of the project in one command: `cargo xtask check`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for developers")]

mod layers;
mod sources;
mod steps;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  check     everything below, and fmt, clippy, the tests and the documentation
  layers    dependencies between crates are those of the drawing in docs/architecture.md
  sources   lints are inherited, unsafe code is forbidden, files are short and named for an idea";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let result = match (command.as_deref(), arguments.next()) {
        (Some("check"), None) => steps::check(),
        (Some("layers"), None) => layers::check(),
        (Some("sources"), None) => sources::check(),
        _ => Err(vec![USAGE.to_owned()]),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            ExitCode::FAILURE
        }
    }
}
