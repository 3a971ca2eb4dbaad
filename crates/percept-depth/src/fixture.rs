//! What the tests of all architectures compare (tests/reference/depth_case.py).

use std::collections::BTreeMap;
use std::sync::Arc;

use percept_backbone::{Device, Tensor};
use percept_core::depth::{DepthInput, DepthMap, DepthOptions, DepthUnit};
use percept_core::{Depth, LocalModel, Model, Precision, RawValues};
use percept_golden::{error, picture, runtime};

use crate::estimator::{Estimator, Network};

pub(crate) fn open<N: Network>(local: &LocalModel) -> Estimator<N> {
    Estimator::open(local, &runtime(Precision::F32)).unwrap()
}

pub(crate) fn input(wanted: &BTreeMap<String, Tensor>, index: usize, options: DepthOptions) -> DepthInput {
    DepthInput { image: picture(&wanted[&format!("picture.{index}")]), options: Arc::new(options) }
}

/// A map is the reference's.
pub(crate) fn check_map(output: &DepthMap, wanted: &Tensor) {
    let error = error(&map(output), wanted);
    println!("{error:e}");
    assert!(error <= 2e-4, "{error}");
}

fn map(output: &DepthMap) -> Tensor {
    let shape = (output.height as usize, output.width as usize);
    Tensor::from_vec(output.values.clone(), shape, &Device::Cpu).unwrap()
}

/// The network on two images at once, the whole way of two pictures, and the raw tensors of one. `prefix` stands before
/// the names of what the network says.
pub(crate) fn check<N: Network>(
    model: &Estimator<N>,
    wanted: &BTreeMap<String, Tensor>,
    prefix: &str,
    unit: DepthUnit,
) -> Vec<DepthMap> {
    let found = model.network().forward(&wanted["pixel_values"]).unwrap();
    let named = [("predicted_depth", found.depth)].into_iter().chain(found.more);
    for (name, tensor) in named {
        let error = error(&tensor, &wanted[&format!("{prefix}{name}")]);
        println!("{prefix}{name}: {error:e}");
        assert!(error <= 1e-4, "{prefix}{name}: {error}");
    }
    let inputs = [0, 1].map(|index| input(wanted, index, DepthOptions::default()));
    let answers = model.predict(&inputs).unwrap();
    let outputs: Vec<DepthMap> = answers.into_iter().map(|answer| answer.output).collect();
    for (index, output) in outputs.iter().enumerate() {
        let error = error(&map(output), &wanted[&format!("{prefix}depth.{index}")]);
        println!("{prefix}depth.{index}: {error:e}");
        assert!(error <= 2e-4, "{prefix}depth.{index}: {error}");
        assert_eq!(output.unit, unit);
        // Alone it is the same, to the last bit.
        let alone = model.predict(&inputs[index..=index]).unwrap();
        assert_eq!(alone[0].output, *output);
    }
    let raw = model.raw(&inputs[1]).unwrap();
    assert_eq!(raw[0].name, "pixel_values");
    assert_eq!(raw[1].name, "predicted_depth");
    let RawValues::F32(pixels) = &raw[0].values else { panic!("floats are wanted") };
    let pixels = Tensor::from_vec(pixels.clone(), raw[0].shape.as_slice(), &Device::Cpu).unwrap();
    let second = wanted.get("prepared.1").cloned();
    let second = second.unwrap_or_else(|| wanted["pixel_values"].narrow(0, 1, 1).unwrap());
    let error = error(&pixels, &second);
    println!("prepared.1: {error:e}");
    assert!(error <= 1e-5, "prepared.1: {error}");
    outputs
}

/// Lower precisions stay close to the reference's `predicted_depth`, and are not f32.
pub(crate) fn check_precisions<N: Network>(
    local: &LocalModel,
    wanted: &BTreeMap<String, Tensor>,
    most: [f32; 3],
) {
    for (precision, most) in [Precision::Bf16x3, Precision::Bf16, Precision::Int8].into_iter().zip(most) {
        let model: Estimator<N> = Estimator::open(local, &runtime(precision)).unwrap();
        assert_eq!(Model::<Depth>::precision(&model), precision);
        let depth = model.network().forward(&wanted["pixel_values"]).unwrap().depth;
        let error = error(&depth, &wanted["predicted_depth"]);
        println!("{precision}: {error:e}");
        assert!(error <= most, "{precision}: {error}");
    }
}
