//! All checks, one after another, with their times.

use std::process::Command;
use std::time::Instant;

use crate::workspace::{Faults, verdict};
use crate::{layers, sources};

/// Checks that cargo does. The cheap ones come first.
const CARGO: &[(&str, &[&str])] = &[
    ("fmt", &["fmt", "--all", "--check"]),
    ("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("test", &["test", "--workspace"]),
    ("doc", &["doc", "--workspace", "--no-deps"]),
];

/// `cargo xtask check`: every step is run, and those that failed are listed at the end.
pub(crate) fn check() -> Result<(), Faults> {
    let mut failed = Vec::new();
    let mut step = |name: &str, work: &dyn Fn() -> Result<(), Faults>| {
        println!("== {name}");
        let began = Instant::now();
        let result = work();
        println!("== {name}: {:.1} s", began.elapsed().as_secs_f64());
        if let Err(faults) = result {
            failed.push(format!("{name} failed\n  {}", faults.join("\n  ")));
        }
    };
    step("layers", &layers::check);
    step("sources", &sources::check);
    for (name, arguments) in CARGO {
        step(name, &|| cargo(arguments));
    }
    verdict(failed)
}

fn cargo(arguments: &[&str]) -> Result<(), Faults> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program)
        .args(arguments)
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()
        .map_err(|error| vec![format!("cannot run cargo: {error}")])?;
    if status.success() { Ok(()) } else { Err(vec![format!("`cargo {}`", arguments.join(" "))]) }
}
