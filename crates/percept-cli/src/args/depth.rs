//! The options of `percept depth`.

use clap::Args;
use percept::depth::Format;

use super::shared::{OnPictures, format};

/// Image to depth.
///
/// Relative models say what is nearer, metric ones how many metres; every output says which. A single picture gives a
/// 16-bit picture beside it, and JSON with what its values mean on standard output.
#[derive(Args)]
#[command(after_help = "Examples:\n  percept depth room.jpg\n  \
                        percept depth room.jpg -f png,npy,ply,color --model depth-pro\n  \
                        percept depth photos/ -o out/ -f tiff\n  \
                        percept depth room.jpg -f ply --model depth-anything-v2-metric-indoor-small --fov 68")]
pub(crate) struct DepthArguments {
    #[command(flatten)]
    pub(crate) on: OnPictures,
    /// Formats, separated by commas: json, png (16 bits), npy, tiff (32-bit floats), color (with a legend), ply (points in
    /// space). [default: json and png, or what the extension of --output says]
    #[arg(short, long, value_delimiter = ',', value_parser = format::<Format>)]
    pub(crate) format: Vec<Format>,
    /// The camera's focal length in pixels of the displayed picture. [default: what EXIF says, else the model's estimate]
    #[arg(long, value_name = "PIXELS")]
    pub(crate) focal: Option<f32>,
    /// The horizontal field of view of the displayed picture.
    #[arg(long, value_name = "DEGREES", conflicts_with = "focal")]
    pub(crate) fov: Option<f32>,
    /// See large pictures in tiles of N by N pixels too, each fitted to what the whole looks like; seams do not show.
    #[arg(long, value_name = "N")]
    pub(crate) tile: Option<u32>,
    /// Pixels that neighbouring tiles share. [default: a quarter of a tile]
    #[arg(long, value_name = "M", requires = "tile")]
    pub(crate) overlap: Option<u32>,
}
