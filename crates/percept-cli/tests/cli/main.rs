//! The program as a user types it: exit codes, what stands on standard output and standard error,
//! and the files that are written.

mod batch;
mod codes;
mod outputs;
mod project;
mod real;
