//! Plans: which inputs, which outputs, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod inputs;
mod outputs;
mod tree;
#[cfg(unix)]
mod unix;
