//! Ctrl-C, as the system sends it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use percept_flow::Interrupt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::raise;

/// Runs this test again in a process of its own, which may die of it.
fn alone(test: &str) -> (Option<i32>, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env("PERCEPT_FLOW_ALONE", "1");
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_first_press_asks_and_the_second_ends() {
    if std::env::var_os("PERCEPT_FLOW_ALONE").is_none() {
        let (code, text) = alone("the_first_press_asks_and_the_second_ends");
        assert!(text.contains("asked after the first press"), "{text}");
        assert!(!text.contains("alive after the second press"), "{text}");
        assert_eq!(code, Some(130));
        return;
    }
    let interrupt = Interrupt::new();
    interrupt.listen().unwrap();
    assert!(!interrupt.pressed());
    raise(SIGTERM).unwrap();
    if interrupt.pressed() {
        println!("asked after the first press");
    }
    raise(SIGINT).unwrap();
    println!("alive after the second press");
}
