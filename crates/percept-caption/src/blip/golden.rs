//! BLIP against transformers 5.23 (tests/reference/blip.py).

use std::sync::Arc;

use percept_core::caption::{CaptionInput, CaptionOptions, CaptionRequest, CaptionSearch, CaptionTask};
use percept_core::{Model, Precision};
use percept_golden::{runtime, snapshot};

use super::open;
use crate::testing::{answers_what_the_reference_answers, cases, sees_what_the_reference_sees};

/// As narrow as the decoder, and wider; both layouts of a tokenizer.
const KINDS: [&str; 2] = ["caption/blip", "caption/blip-wide"];

#[test]
fn the_image_encoder_is_that_of_the_reference() {
    KINDS.iter().for_each(|kind| sees_what_the_reference_sees(kind, open, "image_embeds"));
}

#[test]
fn texts_are_those_of_the_reference() {
    KINDS.iter().for_each(|kind| answers_what_the_reference_answers(kind, open));
}

#[test]
fn texts_are_drawn_as_the_seed_says() {
    let model = open(&snapshot(KINDS[0], &[]), &runtime(Precision::F32)).unwrap();
    let case = &cases(KINDS[0])[0];
    let image = case.input(KINDS[0]).image;
    let drawn = |top_k, seed, captions| {
        let search = Some(CaptionSearch::Sample { temperature: 1.5, top_k, top_p: Some(0.9), seed });
        let options = Arc::new(CaptionOptions { search, captions, ..CaptionOptions::default() });
        let answer =
            model.predict(&[CaptionInput { image: image.clone(), options }]).unwrap().remove(0).output;
        let ids = |tokens: &[percept_core::caption::CaptionToken]| {
            tokens.iter().map(|token| token.id).collect::<Vec<_>>()
        };
        answer.captions.iter().map(|caption| (caption.score, ids(&caption.tokens))).collect::<Vec<_>>()
    };
    // Of one token, the likeliest is drawn: that is what is said greedily.
    assert_eq!(drawn(Some(1), 7, 1)[0].1, case.sequences[0][1..]);
    let three = drawn(None, 7, 3);
    assert_eq!(three, drawn(None, 7, 3));
    assert!(three.windows(2).all(|pair| pair[0].0 >= pair[1].0), "best first: {three:?}");
    assert!(three[0].1 != three[1].1 || three[1].1 != three[2].1);
    assert_ne!(three, drawn(None, 8, 3));
}

#[test]
fn what_cannot_be_asked_is_an_error_that_says_what() {
    let model = open(&snapshot(KINDS[0], &[]), &runtime(Precision::F32)).unwrap();
    let image = cases(KINDS[0])[0].input(KINDS[0]).image;
    let greedy = CaptionSearch::Greedy;
    let cold = CaptionSearch::Sample { temperature: 0.0, top_k: None, top_p: None, seed: 0 };
    let few = CaptionSearch::Beam { beams: 2, length_penalty: 1.0 };
    for (request, search, captions, says) in [
        (CaptionRequest::Rank(vec!["a".into()]), None, 1, "rank"),
        (CaptionRequest::Rank(vec![]), None, 1, "no texts"),
        (CaptionRequest::Task(CaptionTask::Od), None, 1, "tasks"),
        (CaptionRequest::default(), Some(greedy), 2, "greedily"),
        (CaptionRequest::default(), Some(few), 3, "2 beams"),
        (CaptionRequest::default(), Some(cold), 1, "temperature"),
        (CaptionRequest::Caption(Some("a photo of ".repeat(30))), None, 1, "no room"),
    ] {
        let options = Arc::new(CaptionOptions { request, search, captions, ..CaptionOptions::default() });
        let error = model.predict(&[CaptionInput { image: image.clone(), options }]).unwrap_err();
        assert!(error.to_string().contains(says), "{error} does not say {says}");
    }
}
