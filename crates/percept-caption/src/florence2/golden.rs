//! Florence-2 against transformers 5.23 (tests/reference/florence2.py).

use percept_core::caption::{CaptionOptions, CaptionRequest, CaptionTask};
use percept_core::{Model, Precision};
use percept_golden::{error, fixture, folder, runtime, snapshot};
use serde::Deserialize;

use super::{open, places};
use crate::captioner::Network;
use crate::testing::{
    cases, inputs_do_not_depend_on_each_other, pixels_are_the_references, says_what_the_reference_says,
};

const KIND: &str = "caption/florence2";

#[test]
fn the_image_encoder_is_that_of_the_reference() {
    let (model, wanted) = (open(&snapshot(KIND, &[]), &runtime(Precision::F32)).unwrap(), fixture(KIND));
    for index in 0..2 {
        let pixels = wanted["pixel_values"].narrow(0, index, 1).unwrap();
        let found = model.network.look(&pixels).unwrap();
        let error = error(&found, &wanted["image_features"].narrow(0, index, 1).unwrap());
        assert!(error <= 2e-4, "{index}: {error}");
        println!("{KIND}: the encoder is off by {error}");
    }
}

#[test]
fn texts_are_those_of_the_reference() {
    let model = open(&snapshot(KIND, &[]), &runtime(Precision::F32)).unwrap();
    pixels_are_the_references(KIND, &model);
    says_what_the_reference_says(KIND, &model);
    inputs_do_not_depend_on_each_other(KIND, &model);
    let mut input = cases(KIND)[0].input(KIND);
    let request = CaptionRequest::Caption(Some("a".into()));
    input.options = std::sync::Arc::new(CaptionOptions { request, ..CaptionOptions::default() });
    assert!(model.predict(&[input]).is_err(), "it continues no texts");
}

#[test]
fn places_are_boxes_as_the_reference_reads_them() {
    #[derive(Deserialize)]
    struct Parsed {
        text: String,
        size: (u32, u32),
        bboxes: Vec<[f32; 4]>,
        labels: Vec<String>,
    }
    let parsed = std::fs::read(folder(KIND).join("parsed.json")).unwrap();
    let parsed: Vec<Parsed> = serde_json::from_slice(&parsed).unwrap();
    assert!(parsed.iter().map(|one| one.bboxes.len()).sum::<usize>() > 8);
    for Parsed { text, size, bboxes, labels } in parsed {
        let found = places::regions(&text, size);
        let boxes = found.iter().map(|region| region.bounding_box).collect::<Vec<_>>();
        assert_eq!(boxes, bboxes, "{text}");
        let names = found.iter().map(|region| region.label.name.clone()).collect::<Vec<_>>();
        assert_eq!(names, labels, "{text}");
    }
}

#[test]
fn a_model_that_finds_objects_gives_regions() {
    let model = open(&snapshot(KIND, &[]), &runtime(Precision::F32)).unwrap();
    let regions = std::fs::read(folder(KIND).join("regions.json")).unwrap();
    let wanted: Vec<Vec<[f32; 4]>> = serde_json::from_slice(&regions).unwrap();
    let cases = cases(KIND);
    let od = cases.iter().filter(|case| case.task() == Some(CaptionTask::Od)).collect::<Vec<_>>();
    assert_eq!(od.len(), wanted.len());
    for (case, wanted) in od.iter().zip(&wanted) {
        let answer = model.predict(&[case.input(KIND)]).unwrap().remove(0).output;
        let found = answer.regions.iter().map(|region| region.bounding_box).collect::<Vec<_>>();
        assert_eq!(found, *wanted);
    }
    assert!(wanted.iter().any(|boxes| !boxes.is_empty()));
}
