//! Encoder-decoder pairs against transformers 5.23 (tests/reference/vision_encoder_decoder.py).

use super::open;
use crate::testing::{answers_what_the_reference_answers, sees_what_the_reference_sees};

/// ViT as published, without a `generation_config.json`; DeiT and Swin of other widths than the decoder.
const KINDS: [&str; 3] = ["caption/vit-gpt2", "caption/deit-gpt2", "caption/swin-gpt2"];

#[test]
fn the_image_encoder_is_that_of_the_reference() {
    KINDS.iter().for_each(|kind| sees_what_the_reference_sees(kind, open, "encoded"));
}

#[test]
fn texts_are_those_of_the_reference() {
    KINDS.iter().for_each(|kind| answers_what_the_reference_answers(kind, open));
}
