//! Image to text: a module an architecture.
//!
//! [`ARCHS`] lists the architectures. All of them stand in one frame (`captioner`), say their texts with one decoder
//! (`decoder`), and are searched as `generation` reads it from a checkpoint.
#![forbid(unsafe_code)]

mod bert;
mod blip;
mod captioner;
mod coca;
mod decoder;
mod encoder_decoder;
mod florence2;
mod generation;
mod git;
#[cfg(test)]
mod testing;
mod tokens;

use percept_core::{Arch, Caption};

/// The architectures of this task.
pub const ARCHS: &[Arch<Caption>] = &[
    Arch { name: "blip", identifiers: &["BlipForConditionalGeneration", "blip"], load: blip::load },
    Arch { name: "coca", identifiers: &["open_clip.CoCa"], load: coca::load },
    Arch {
        name: "vision-encoder-decoder",
        identifiers: &["VisionEncoderDecoderModel", "vision-encoder-decoder"],
        load: encoder_decoder::load,
    },
    Arch {
        name: "florence2",
        identifiers: &["Florence2ForConditionalGeneration", "florence2"],
        load: florence2::load,
    },
    Arch { name: "git", identifiers: &["GitForCausalLM", "git"], load: git::load },
];
