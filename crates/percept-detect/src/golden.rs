//! How the fixture of any detector is compared (tests/reference/detect_case.py).

use std::sync::Arc;

use percept_backbone::Weights;
use percept_backbone::checkpoint::configuration;
use percept_core::detect::{DetectInput, DetectOptions, Image};
use percept_core::{Arch, Detect, Precision, Predicted, RawValues};
use percept_golden::{error, fixture, numbers, picture, runtime, snapshot};

use crate::detector::Network;

/// What the reference is allowed to differ by, as a part of the largest value.
const TOLERANCE: f32 = 2e-4;

/// The network alone, on two images at once.
pub(crate) fn network<N: Network>(folder: &str, classes: usize) {
    let wanted = fixture(folder);
    let local = snapshot(folder, &[]);
    let weights = Weights::open_safetensors(&local, &percept_backbone::Device::Cpu).unwrap();
    let network = N::load(&weights, &configuration(&local).unwrap(), classes).unwrap();
    let found = network.forward(&wanted["pixel_values"]).unwrap();
    let pairs =
        [("logits", Some(found.logits)), ("pred_boxes", Some(found.boxes)), ("pred_masks", found.masks)];
    for (name, tensor) in pairs {
        let Some(tensor) = tensor else { continue };
        let error = error(&tensor, &wanted[name]);
        assert!(error <= TOLERANCE, "{folder}, {name}: {error}");
    }
}

/// The whole way: two pictures of other sizes, together and one at a time.
pub(crate) fn pictures(arch: &Arch<Detect>, folder: &str, threshold: f32) {
    let wanted = fixture(folder);
    let model = (arch.load)(&snapshot(folder, &[]), &runtime(Precision::F32)).unwrap();
    let pictures = [0, 1].map(|index| picture(&wanted[&format!("picture.{index}")]));
    let inputs = pictures.each_ref().map(|image| input(image, threshold));
    let answers = model.predict(&inputs).unwrap();
    for (index, Predicted { output, .. }) in answers.iter().enumerate() {
        let of = |name: &str| numbers(&wanted[&format!("{name}.{index}")]);
        let (labels, scores, boxes) = (of("labels"), of("scores"), of("boxes"));
        let (width, height) = pictures[index].size();
        assert_eq!((output.width, output.height), (width, height));
        let found: Vec<f32> = output.detections.iter().map(|found| found.label.id as f32).collect();
        assert_eq!(found, labels, "{folder}, picture {index}");
        for ((found, score), corners) in output.detections.iter().zip(scores).zip(boxes.chunks_exact(4)) {
            assert!((found.score - score).abs() < 1e-3, "{folder}: {} and {score}", found.score);
            let limits = [width, height, width, height].map(|side| side as f32);
            for ((found, wanted), limit) in found.bounding_box.into_iter().zip(corners).zip(limits) {
                let wanted = wanted.clamp(0.0, limit);
                assert!((found - wanted).abs() < 2e-3 * limit, "{folder}: {found} and {wanted} of {limit}");
            }
        }
        let raw = model.raw(&inputs[index]).unwrap();
        let pixels = raw.iter().find(|tensor| tensor.name == "pixel_values").unwrap();
        let RawValues::F32(values) = &pixels.values else { panic!("pixels are floats") };
        let prepared = &wanted[&format!("prepared.{index}")];
        assert_eq!(pixels.shape, prepared.dims());
        let worst = values.iter().zip(numbers(prepared)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5, "{folder}, picture {index}: prepared {worst}");
        let alone = model.predict(&inputs[index..=index]).unwrap();
        assert_eq!(alone[0].output, *output, "{folder}: alone it is the same");
    }
}

fn input(image: &Arc<Image>, score: f32) -> DetectInput {
    let options = Arc::new(DetectOptions { score: Some(score), ..DetectOptions::default() });
    DetectInput { image: image.clone(), options }
}

/// The line of [`crate::ARCHS`] with that name.
pub(crate) fn arch(name: &str) -> &'static Arch<Detect> {
    crate::ARCHS.iter().find(|arch| arch.name == name).unwrap()
}
