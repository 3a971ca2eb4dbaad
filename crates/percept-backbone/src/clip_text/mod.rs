//! The text encoder of CLIP (Radford et al. 2021, arXiv 2103.00020): texts become vectors that are near those of the
//! images they fit. CLIPSeg has it as it is; zero-shot models share it.
//!
//! [`ClipTokenizer`] makes numbers of a text, [`ClipText`] states of numbers and, of the state at the text's end, the
//! vector.

mod config;
mod network;
mod tokenizer;

pub use config::{ClipTextConfig, EndOfText};
pub use network::ClipText;
pub use tokenizer::ClipTokenizer;
