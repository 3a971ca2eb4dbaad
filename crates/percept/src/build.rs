//! What was compiled in.

use serde::Serialize;

/// The version and the cargo features of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Build {
    /// Of percept.
    pub version: &'static str,
    /// Sound is read with FFmpeg where the own decoders cannot.
    pub video: bool,
    /// Networks run on NVIDIA GPUs.
    pub cuda: bool,
    /// Networks run on Apple GPUs.
    pub metal: bool,
}

impl Build {
    /// This one.
    pub const THIS: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        video: cfg!(feature = "video"),
        cuda: cfg!(feature = "cuda"),
        metal: cfg!(feature = "metal"),
    };
}
