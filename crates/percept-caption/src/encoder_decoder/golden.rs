//! Encoder-decoder pairs against transformers 5.23 (tests/reference/vision_encoder_decoder.py).

use percept_core::Precision;
use percept_golden::{error, fixture, runtime, snapshot};

use super::open;
use crate::captioner::Network;
use crate::testing::{
    inputs_do_not_depend_on_each_other, pixels_are_the_references, says_what_the_reference_says,
};

/// ViT as published, without a `generation_config.json`; DeiT and Swin of other widths than the decoder.
const KINDS: [&str; 3] = ["caption/vit-gpt2", "caption/deit-gpt2", "caption/swin-gpt2"];

#[test]
fn the_image_encoder_is_that_of_the_reference() {
    for kind in KINDS {
        let (model, wanted) = (open(&snapshot(kind, &[]), &runtime(Precision::F32)).unwrap(), fixture(kind));
        let error = error(&model.network.look(&wanted["pixel_values"]).unwrap(), &wanted["encoded"]);
        assert!(error <= 2e-4, "{kind}: {error}");
        println!("{kind}: the encoder is off by {error}");
    }
}

#[test]
fn texts_are_those_of_the_reference() {
    for kind in KINDS {
        let model = open(&snapshot(kind, &[]), &runtime(Precision::F32)).unwrap();
        pixels_are_the_references(kind, &model);
        says_what_the_reference_says(kind, &model);
        inputs_do_not_depend_on_each_other(kind, &model);
    }
}
