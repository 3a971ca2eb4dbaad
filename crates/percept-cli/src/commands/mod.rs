//! A file a command.

pub(crate) mod bench;
pub(crate) mod caption;
pub(crate) mod clip;
pub(crate) mod completions;
pub(crate) mod depth;
pub(crate) mod detect;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod man;
pub(crate) mod manifest;
pub(crate) mod models;
pub(crate) mod pictures;
pub(crate) mod pose;
pub(crate) mod register;
pub(crate) mod road;
pub(crate) mod run;
pub(crate) mod segment;
pub(crate) mod setup;
pub(crate) mod transcribe;
pub(crate) mod worker;
