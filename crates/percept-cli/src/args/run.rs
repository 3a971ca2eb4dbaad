//! The options of `percept run`.

use std::path::PathBuf;

use clap::Args;

use super::shared::{Files, Running, SizeLimit};

/// A pipeline of several stages, from a file.
///
/// Writes STEM.run.json for each input, and what its stages made into the folder STEM.run.files. The pipeline is checked
/// before anything is loaded; --dry-run checks and prints what would be made of what.
#[derive(Args)]
#[command(after_help = "Examples:\n  percept run cutouts.toml photos/ -o out/\n  \
                        percept run cutouts.toml photos/ -o out/ --set model=segformer-b0-ade --dry-run\n  \
                        percept run speech.toml talks/ -o out/ --resume")]
pub(crate) struct RunArguments {
    /// The pipeline.
    pub(crate) pipeline: PathBuf,
    #[command(flatten)]
    pub(crate) files: Files,
    /// A variable of the pipeline: `${NAME}` in its texts becomes VALUE. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    #[command(flatten)]
    pub(crate) size: SizeLimit,
    #[command(flatten)]
    pub(crate) running: Running,
}
