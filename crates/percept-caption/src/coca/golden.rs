//! CoCa against open_clip 3.3 (tests/reference/coca.py).

use std::sync::Arc;

use percept_backbone::clip_text::ClipTokenizer;
use percept_core::caption::{CaptionInput, CaptionOptions, CaptionRequest};
use percept_core::{Model, Precision, RawValues};
use percept_golden::{error, fixture, folder, picture, runtime, snapshot};
use serde::Deserialize;

use super::open;
use crate::captioner::Network;
use crate::testing::answers_what_the_reference_answers;
use crate::tokens::{Family, TextTokenizer};

/// As published; with layer scale and another activation.
const KINDS: [&str; 2] = ["caption/coca", "caption/coca-scaled"];

#[derive(Deserialize)]
struct Ranked {
    texts: Vec<String>,
    /// By picture.
    probabilities: Vec<Vec<f32>>,
}

#[test]
fn the_image_encoder_is_that_of_the_reference() {
    for kind in KINDS {
        let (model, wanted) = (open(&snapshot(kind, &[]), &runtime(Precision::F32)).unwrap(), fixture(kind));
        let found = model.network.look(&wanted["pixel_values"].narrow(0, 0, 1).unwrap()).unwrap();
        let found = found.narrow(1, 1, found.dims()[1] - 1).unwrap();
        let error = error(&found, &wanted["image_embs"].narrow(0, 0, 1).unwrap());
        assert!(error <= 2e-4, "{kind}: {error}");
        println!("{kind}: the encoder is off by {error}");
    }
}

#[test]
fn texts_are_those_of_the_reference() {
    KINDS.iter().for_each(|kind| answers_what_the_reference_answers(kind, open));
}

#[test]
fn texts_fit_as_the_reference_says() {
    for kind in KINDS {
        let model = open(&snapshot(kind, &[]), &runtime(Precision::F32)).unwrap();
        let ranked = std::fs::read(folder(kind).join("ranked.json")).unwrap();
        let Ranked { texts, probabilities } = serde_json::from_slice(&ranked).unwrap();
        for (index, wanted) in probabilities.iter().enumerate() {
            let image = picture(&fixture(kind)[&format!("picture.{index}")]);
            let request = CaptionRequest::Rank(texts.clone());
            let options = Arc::new(CaptionOptions { request, ..CaptionOptions::default() });
            let input = CaptionInput { image, options };
            let answer = model.predict(std::slice::from_ref(&input)).unwrap().remove(0).output;
            assert!(answer.captions.is_empty());
            for ((rank, text), wanted) in answer.ranks.iter().zip(&texts).zip(wanted) {
                assert_eq!(rank.text, *text);
                assert!((rank.probability - wanted).abs() < 1e-5, "{kind}: {rank:?} and {wanted}");
            }
            let raw = model.raw(&input).unwrap();
            let RawValues::F32(values) = &raw[1].values else { panic!("floats are wanted") };
            assert_eq!((raw[1].name.as_str(), values.len()), ("probs", texts.len()));
        }
    }
}

#[test]
fn the_vocabulary_that_is_compiled_in_is_openais() {
    #[derive(Deserialize)]
    struct Known {
        text: String,
        ids: Vec<u32>,
        read: String,
    }
    let known = std::fs::read(folder(KINDS[0]).join("openai.json")).unwrap();
    let tokenizer = ClipTokenizer::openai().unwrap();
    let mut without = snapshot(KINDS[0], &[]);
    without.files.retain(|name, _| !["vocab.json", "merges.txt"].contains(&name.as_str()));
    let reader = TextTokenizer::open(&without, Family::Clip).unwrap();
    for Known { text, ids, read } in serde_json::from_slice::<Vec<_>>(&known).unwrap() {
        assert_eq!(tokenizer.tokens(&text).unwrap(), ids, "{text}");
        assert_eq!(reader.text(&ids).unwrap(), read, "{text}");
    }
}
