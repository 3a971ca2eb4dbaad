//! The hub in a process of its own: this test binary, started again.

use std::process::{Child, Command, Stdio};

use percept_hub::{Hub, HubOptions, Refetch, Registry};

use crate::bench::{Bench, CATALOGUE, patience};

pub struct Running(Child);

impl Running {
    /// Whether it succeeded, and all it said.
    pub fn wait(self) -> (bool, String) {
        let output = self.0.wait_with_output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    }
}

/// The entry point of a child; does nothing in an ordinary run of the tests.
#[test]
fn child_entry() {
    let Ok(name) = std::env::var("PERCEPT_TEST_CHILD") else { return };
    let mut options = HubOptions::from_env();
    options.limits = patience();
    let hub = Hub::with_registry(options, Registry::parse(&catalogue()).unwrap());
    match hub.pull(&name, Refetch::Missing) {
        Ok(pulled) => println!("PULLED {}", pulled.received),
        Err(error) => panic!("{}; hint: {:?}", error.chain(), error.hint()),
    }
}

fn catalogue() -> String {
    std::env::var("PERCEPT_TEST_CATALOGUE").unwrap_or_else(|_| CATALOGUE.to_owned())
}

/// A child with the environment that a user would set; nothing else of ours reaches it.
pub fn command(bench: &Bench, program: &str, name: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("PERCEPT_TEST_CHILD", name)
        .env("PERCEPT_HOME", bench.home())
        .env("HF_HUB_CACHE", bench.cache())
        .env("HF_ENDPOINT", &bench.server.endpoint)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for variable in [
        "HF_TOKEN",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(variable);
    }
    command
}

pub fn this_binary() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}

pub const ARGUMENTS: [&str; 3] = ["child::child_entry", "--exact", "--nocapture"];

pub fn pull(bench: &Bench) -> Running {
    let mut command = command(bench, &this_binary(), "toy");
    Running(command.args(ARGUMENTS).spawn().unwrap())
}

pub fn spawn(mut command: Command) -> Running {
    Running(command.spawn().unwrap())
}

/// A child that may write no file of more than `kibibytes`. The signal for it is ignored, so that the
/// write fails as on a full disk.
#[cfg(unix)]
pub fn limited(bench: &Bench, kibibytes: u32) -> Running {
    let mut command = command(bench, "bash", "toy");
    let script = format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$0\" \"$@\"");
    Running(command.arg("-c").arg(script).arg(this_binary()).args(ARGUMENTS).spawn().unwrap())
}
