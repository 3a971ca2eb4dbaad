//! The program as a user types it: exit codes, what stands on standard output and standard error,
//! and the files that are written.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests")]

mod batch;
mod boxes;
mod caption;
mod clips;
mod codes;
mod depth;
mod detect;
mod doctor;
mod eval;
mod figures;
mod jobs;
mod outputs;
mod pipelines;
mod project;
mod ray;
mod real;
mod register;
mod report;
mod resume;
mod scenes;
mod segment;
mod segment_prompts;
mod worker;
