//! The command `percept`: arguments in, text out. No model code, no tensors.
//!
//! `args` says what may be typed, `commands` has a file a command, `report` is the only place that
//! writes to the terminal.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod report;
mod spelling;

use std::process;

use clap::Parser;
use percept::flow::ExitCode;

use args::{Arguments, Command};

/// The system's allocator gives large buffers back to the kernel after every operation and gets them
/// again, page by page; that alone made a Whisper encoder three times slower.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> process::ExitCode {
    let arguments = match Arguments::try_parse_from(spelling::as_ours(std::env::args_os())) {
        Ok(arguments) => arguments,
        Err(error) => return report::usage(&error).into(),
    };
    let code = match dispatch(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            report::error(&error);
            ExitCode::of(&error)
        }
    };
    code.into()
}

fn dispatch(command: Command) -> percept::Result<ExitCode> {
    match command {
        Command::Detect(arguments) => commands::detect::run(&arguments),
        Command::Caption(arguments) => commands::caption::run(*arguments),
        Command::Depth(arguments) => commands::depth::run(&arguments),
        Command::Pose(arguments) => commands::pose::run(&arguments),
        Command::Segment(arguments) => commands::segment::run(&arguments),
        Command::Transcribe(arguments) => commands::transcribe::run(&arguments),
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Worker(task) => commands::worker::run(&task),
        Command::Register(arguments) => commands::register::run(&arguments),
        Command::Eval(arguments) => commands::eval::run(&arguments),
        Command::Models(arguments) => commands::models::run(&arguments),
        Command::Manifest(arguments) => commands::manifest::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Doctor(arguments) => commands::doctor::run(&arguments),
        Command::Completions(arguments) => commands::completions::run(&arguments),
        Command::Man => commands::man::run(),
    }
}
