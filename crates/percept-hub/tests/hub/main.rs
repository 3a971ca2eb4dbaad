//! The hub against a server that speaks the Hub's protocol on loopback, and against a pip of our own.
#![allow(unreachable_pub, reason = "the modules of one test binary see each other")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests fail the test")]

mod bench;
mod cached;
mod child;
mod directories;
mod faults;
mod gates;
mod interop;
mod manage;
mod packages;
mod pull;
mod registry;
mod server;
