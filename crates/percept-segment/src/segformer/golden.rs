//! SegFormer against transformers 5.23 (tests/reference/segformer.py).

use percept_backbone::{Tensor, Weights};
use percept_core::segment::{SegmentRequest, Segmentation, SegmentationKind, WholeKind};
use percept_core::{Model, Precision, RawValues};

use super::SegFormer;
use super::network::Network;
use percept_golden::{error, fixture, numbers, picture, runtime, snapshot};

use crate::testing::input;

const FOLDER: &str = "segformer";
/// The two generations of tensor names.
const GENERATIONS: [&[(&str, &str)]; 2] = [&[], &[("model.safetensors", "model-5.safetensors")]];

fn segformer(precision: Precision) -> SegFormer {
    SegFormer::load(&snapshot(FOLDER, &[]), &runtime(precision)).unwrap()
}

fn whole() -> SegmentRequest {
    SegmentRequest::Whole(WholeKind::Auto)
}

#[test]
fn every_stage_is_that_of_the_reference() {
    let wanted = fixture(FOLDER);
    for files in GENERATIONS {
        let local = snapshot(FOLDER, files);
        let weights = Weights::open_safetensors(&local, &percept_backbone::Device::Cpu).unwrap();
        let config = percept_backbone::checkpoint::configuration(&local).unwrap();
        let network = Network::load(&weights, &config).unwrap();
        let pixels = &wanted["pixel_values"];
        let maps = network.maps(pixels).unwrap();
        assert_eq!(maps.len(), 4);
        for (index, map) in maps.iter().enumerate() {
            let error = error(map, &wanted[&format!("hidden_states.{index}")]);
            assert!(error <= 2e-4, "stage {index}: {error}");
        }
        let error = error(&network.logits(pixels).unwrap(), &wanted["logits"]);
        assert!(error <= 2e-4, "{error}");
    }
}

#[test]
fn pictures_are_prepared_and_answered_as_the_reference_does() {
    let wanted = fixture(FOLDER);
    let model = segformer(Precision::F32);
    let pictures = [0, 1].map(|index| picture(&wanted[&format!("picture.{index}")]));
    let answers = model.predict(&[input(&pictures[0], whole()), input(&pictures[1], whole())]).unwrap();
    for (index, answer) in answers.iter().enumerate() {
        check(&answer.output, &wanted[&format!("segmentation.{index}")], &wanted[&format!("scores.{index}")]);
    }
    // One at a time they are the same.
    let alone = model.predict(&[input(&pictures[1], SegmentRequest::Whole(WholeKind::Semantic))]).unwrap();
    assert_eq!(alone[0].output, answers[1].output);
}

fn check(answer: &Segmentation, classes: &Tensor, scores: &Tensor) {
    let (height, width) = classes.dims2().unwrap();
    assert_eq!((answer.width as usize, answer.height as usize), (width, height));
    assert_eq!(answer.kind, SegmentationKind::Semantic);
    let (classes, scores) = (numbers(classes), numbers(scores));
    // Class 0 of the fixture is called `background`: no instance.
    let present = (1..scores.len()).filter(|class| scores[*class] > 0.0).collect::<Vec<_>>();
    let found = answer.instances.iter().map(|instance| instance.label.as_ref().unwrap().id as usize);
    assert_eq!(found.collect::<Vec<_>>(), present);
    let names = ["background", "wall", "sky", "tree", "road", "car", "person"];
    for (index, instance) in answer.instances.iter().enumerate() {
        let label = instance.label.as_ref().unwrap();
        assert_eq!((instance.id as usize, label.name.as_str()), (index + 1, names[label.id as usize]));
        let wanted = classes.iter().map(|class| u8::from(*class as u32 == label.id));
        let differ = instance.mask.pixels().into_iter().zip(wanted).filter(|(a, b)| a != b).count();
        // A pixel between two classes may fall to either side: the picture itself may be a grey level off.
        assert!(differ <= classes.len() / 500, "{}: {differ} of {} pixels", label.name, classes.len());
        let wanted = scores[label.id as usize];
        assert!((instance.score - wanted).abs() < 2e-3, "{}: {} and {wanted}", label.name, instance.score);
    }
}

#[test]
fn raw_tensors_bear_the_references_names() {
    let wanted = fixture(FOLDER);
    let model = segformer(Precision::F32);
    let raw = model.raw(&input(&picture(&wanted["picture.0"]), whole())).unwrap();
    assert_eq!(raw.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(), ["pixel_values", "logits"]);
    for tensor in raw {
        let RawValues::F32(values) = tensor.values else { panic!("floats are wanted") };
        let found = Tensor::from_vec(values, tensor.shape, &percept_backbone::Device::Cpu).unwrap();
        let wanted = wanted[&tensor.name].narrow(0, 0, 1).unwrap();
        // A grey level is 0.0171 of a picture whose values reach 2.64.
        assert!(error(&found, &wanted) <= 7e-3, "{}", tensor.name);
    }
}

#[test]
fn lower_precisions_stay_close() {
    let wanted = fixture(FOLDER);
    for (precision, most) in [(Precision::Bf16x3, 1e-3), (Precision::Bf16, 4e-2), (Precision::Int8, 8e-2)] {
        let model = segformer(precision);
        assert_eq!(model.precision(), precision);
        let logits = model.network.logits(&wanted["pixel_values"]).unwrap();
        let error = error(&logits, &wanted["logits"]);
        assert!(error <= most, "{precision}: {error}");
    }
}

#[test]
fn what_it_cannot_answer_is_an_error() {
    let model = segformer(Precision::F32);
    let image = picture(&fixture(FOLDER)["picture.0"]);
    for request in [
        SegmentRequest::Whole(WholeKind::Panoptic),
        SegmentRequest::Whole(WholeKind::Instance),
        SegmentRequest::Text(vec!["a cat".into()]),
        SegmentRequest::Everything(Default::default()),
    ] {
        let error = model.predict(&[input(&image, request.clone())]).unwrap_err();
        assert!(error.hint().unwrap().contains("can"), "{request:?}: {error}");
    }
}
