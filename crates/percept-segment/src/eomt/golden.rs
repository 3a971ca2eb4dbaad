//! EoMT against transformers 5.23 (tests/reference/eomt.py).

use std::sync::Arc;

use percept_core::segment::{
    EverythingOptions, Image, SegmentInput, SegmentOptions, SegmentRequest, SegmentationKind, WholeKind,
};
use percept_core::{LocalModel, Precision, RawValues, Runtime};

use super::network::Network;
use crate::universal::Network as _;
use crate::universal::fixture::{Fixture, error, folder, json, snapshot, together_as_alone, weights};

fn network(kind: &str, precision: Precision) -> Network {
    let config = json(&format!("eomt/{kind}/config.json"));
    Network::load(&weights(&format!("eomt/{kind}"), precision), &config, 5).unwrap()
}

#[test]
fn networks_compute_what_transformers_computes() {
    for kind in ["plain", "masked"] {
        let (network, fixture) =
            (network(kind, Precision::F32), Fixture::open(&format!("eomt/{kind}/fixture.safetensors")));
        let images = fixture.tensor("pixel_values");
        let (states, grid) = network.encode(&images).unwrap();
        assert_eq!(grid, [6, 6]);
        let outputs = network.forward(&images).unwrap();
        for (name, found) in [
            ("last_hidden_state", &states),
            ("masks_queries_logits", &outputs.masks),
            ("class_queries_logits", &outputs.classes),
        ] {
            let error = error(found, &fixture.tensor(name));
            assert!(error <= 2e-4, "{kind} {name}: {error}");
        }
    }
}

#[test]
fn lower_precisions_stay_close() {
    for (precision, most) in [(Precision::Bf16, 0.05), (Precision::Int8, 0.1)] {
        let fixture = Fixture::open("eomt/plain/fixture.safetensors");
        let outputs = network("plain", precision).forward(&fixture.tensor("pixel_values")).unwrap();
        let error = error(&outputs.masks, &fixture.tensor("masks_queries_logits"));
        assert!((1e-4..most).contains(&error), "{precision:?}: {error}");
    }
}

#[test]
fn a_model_amid_its_training_is_refused() {
    let mut config = json("eomt/plain/config.json");
    config["num_blocks"] = 5.into();
    let weights = weights("eomt/plain", Precision::F32);
    assert!(Network::load(&weights, &config, 5).unwrap_err().to_string().contains("5 of 4 layers"));
    config["num_blocks"] = 3.into();
    assert!(Network::load(&weights, &config, 5).unwrap_err().to_string().contains("attn_mask_probs"));
}

/// A snapshot with another one's image processor.
fn prepared_as(processor: &str) -> LocalModel {
    let mut local = snapshot("eomt/plain");
    let name = "preprocessor_config.json";
    local.files.insert(name.into(), folder(&format!("eomt/prepare/{processor}")).join(name));
    local
}

fn picture(fixture: &Fixture, index: usize) -> Arc<Image> {
    let (shape, rgb) = fixture.bytes(&format!("image.{index}"));
    Arc::new(Image::new(shape[1] as u32, shape[0] as u32, rgb))
}

fn asked(image: &Arc<Image>, request: SegmentRequest, score: Option<f32>) -> SegmentInput {
    let options = SegmentOptions { request, score, ..SegmentOptions::default() };
    SegmentInput { image: image.clone(), options: Arc::new(options) }
}

#[test]
fn a_picture_becomes_segments() {
    let runtime = Runtime { precision: Precision::F32, ..Runtime::default() };
    let model = super::load(&prepared_as("padded"), &runtime).unwrap();
    let fixture = Fixture::open("eomt/prepare/padded/fixture.safetensors");
    for index in 0..3 {
        let image = picture(&fixture, index);
        let whole = |kind| asked(&image, SegmentRequest::Whole(kind), Some(0.0));
        let raw = model.raw(&whole(WholeKind::Auto)).unwrap();
        let names = raw.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["pixel_values", "masks_queries_logits", "class_queries_logits"]);
        let RawValues::F32(pixels) = &raw[0].values else { panic!("floats") };
        let wanted = fixture.tensor(&format!("pixel_values.{index}"));
        assert_eq!(raw[0].shape, wanted.dims());
        let wanted = wanted.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        // One grey level of the channel with the least spread.
        assert!(pixels.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1.01 / 255.0 / 0.224));

        let inputs = [WholeKind::Auto, WholeKind::Instance, WholeKind::Semantic].map(whole);
        let kinds = [SegmentationKind::Panoptic, SegmentationKind::Instance, SegmentationKind::Semantic];
        let found = model.predict(&inputs).unwrap();
        for (found, kind) in found.iter().zip(kinds) {
            let found = &found.output;
            assert_eq!((found.kind, found.width, found.height), (kind, image.width, image.height));
            assert!(
                found.instances.iter().zip(1..).all(|(instance, id)| instance.id == id && instance.area > 0)
            );
        }
        // Every pixel has a class.
        let covered = found[2].output.instances.iter().map(|instance| instance.area).sum::<u64>();
        assert_eq!(covered, image.pixels() as u64);
    }
}

#[test]
fn a_picture_in_parts_becomes_a_semantic_map() {
    let runtime = Runtime { precision: Precision::F32, ..Runtime::default() };
    let model = super::load(&prepared_as("split"), &runtime).unwrap();
    let fixture = Fixture::open("eomt/prepare/split/fixture.safetensors");
    let image = picture(&fixture, 0);
    let found = model.predict(&[asked(&image, SegmentRequest::default(), None)]).unwrap().remove(0).output;
    assert_eq!(found.kind, SegmentationKind::Semantic);
    assert_eq!(found.instances.iter().map(|instance| instance.area).sum::<u64>(), image.pixels() as u64);
    let raw = model.raw(&asked(&image, SegmentRequest::default(), None)).unwrap();
    assert_eq!(raw[0].shape, fixture.tensor("pixel_values.0").dims());
    let panoptic = asked(&image, SegmentRequest::Whole(WholeKind::Panoptic), None);
    assert!(model.predict(&[panoptic]).unwrap_err().hint().unwrap().contains("panoptic"));
}

#[test]
fn prompts_are_refused_with_a_hint() {
    let model = super::load(&prepared_as("padded"), &Runtime::default()).unwrap();
    let image = Arc::new(Image::new(2, 2, vec![0; 12]));
    for (request, hint) in [
        (SegmentRequest::Everything(EverythingOptions::default()), "SAM"),
        (SegmentRequest::Objects { objects: vec![], candidates: Default::default() }, "SAM"),
        (SegmentRequest::Text(vec!["a cat".into()]), "CLIPSeg"),
    ] {
        let error = model.predict(&[asked(&image, request, None)]).unwrap_err();
        assert!(error.hint().unwrap().contains(hint), "{error}");
    }
}

#[test]
fn pictures_together_are_seen_as_alone() {
    let runtime = Runtime { precision: Precision::F32, ..Runtime::default() };
    for preparation in ["padded", "split"] {
        let model = super::load(&prepared_as(preparation), &runtime).unwrap();
        together_as_alone(&*model, &SegmentRequest::Whole(WholeKind::Semantic));
    }
}
