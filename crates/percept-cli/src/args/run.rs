//! The options of `percept run`.

use std::path::PathBuf;

use clap::Args;

use super::shared::{Compute, Fetching, Files, ProgressChoice};

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
    /// Refuse pictures that say they have more millions of pixels.
    #[arg(long, value_name = "MEGAPIXELS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_pixels: u32,
    #[command(flatten)]
    pub(crate) compute: Compute,
    #[command(flatten)]
    pub(crate) fetching: Fetching,
    #[command(flatten)]
    pub(crate) progress: ProgressChoice,
}
