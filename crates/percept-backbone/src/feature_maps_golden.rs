//! Layers of feature maps against torch and transformers (tests/reference/feature_maps.py), by our kernels and by
//! candle's operations.

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use percept_core::LocalModel;
use percept_kernels::{
    Alignment, Between, ConvShape, ConvTransposeShape, Extent, Filter, LastWindow, Outside, PointSampling,
    Pool, Pooling,
};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::activation::Activation;
use crate::batch_norm::BatchNorm;
use crate::conv2d::{AnyShape, Conv2d};
use crate::cpu::Engine;
use crate::deformable::{FeaturePoints, deformable_attention_on};
use crate::grid_sample::{GridSampling, grid_sample_on};
use crate::norm::{GroupNorm, l2_normalize_by};
use crate::pool::pool_on;
use crate::resample::resize_on;
use crate::weights::Weights;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/feature-maps")
}

fn weights() -> Weights {
    let local = LocalModel::of_folder("feature-maps", &folder()).unwrap();
    Weights::open_safetensors(&local, &Device::Cpu).unwrap()
}

/// One entry of the fixture's list.
struct Case<'a> {
    file: &'a SafeTensors<'a>,
    values: Value,
}

impl Case<'_> {
    fn name(&self) -> &str {
        self.text("name").unwrap()
    }

    fn tensor(&self, key: &str) -> Tensor {
        let tensor = self.file.tensor(&format!("{}.{key}", self.name())).unwrap();
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        Tensor::from_vec(values.collect(), tensor.shape(), &Device::Cpu).unwrap()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.values[key].as_str()
    }

    fn number(&self, key: &str) -> usize {
        self.values[key].as_u64().unwrap() as usize
    }

    fn float(&self, key: &str) -> f64 {
        self.values[key].as_f64().unwrap()
    }

    fn list(&self, key: &str) -> Vec<usize> {
        self.values[key].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
    }

    fn pair(&self, key: &str) -> [usize; 2] {
        self.list(key).try_into().unwrap()
    }

    fn is(&self, key: &str) -> bool {
        self.values[key].as_bool().unwrap()
    }

    fn activation(&self) -> Option<Activation> {
        self.text("activation").map(|name| Activation::from_config(name).unwrap())
    }
}

/// Runs all cases of an operation by both engines; `count` of them there must be. Answers of `run` that are
/// `None` are ways that candle does not know.
fn check(operation: &str, count: usize, run: impl Fn(&Case<'_>, Engine) -> Option<Tensor>) {
    let bytes = std::fs::read(folder().join("fixture.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&header.metadata().as_ref().unwrap()["cases"]).unwrap();
    let cases = cases.into_iter().filter(|case| case["operation"] == operation).collect::<Vec<_>>();
    assert_eq!(cases.len(), count, "{operation}: cases in the fixture");
    let mut composed = 0;
    for values in cases {
        let case = Case { file: &file, values };
        let wanted = case.tensor("output");
        for engine in [Engine::Kernels, Engine::Candle] {
            let Some(got) = run(&case, engine) else {
                assert_eq!(engine, Engine::Candle, "{}", case.values);
                continue;
            };
            assert_eq!(got.dims(), wanted.dims(), "{engine:?} {}", case.values);
            let largest =
                wanted.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
            let error = (got - &wanted).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            let error = error.to_scalar::<f32>().unwrap();
            assert!(error <= 3e-6 * largest.max(1.0), "{engine:?} {error} of {largest}: {}", case.values);
            composed += usize::from(engine == Engine::Candle);
        }
    }
    assert!(composed > 0, "{operation}: candle did none");
}

fn convolve(case: &Case<'_>, engine: Engine, shape: AnyShape, same_both_ways: bool) -> Option<Tensor> {
    let weights = weights().at(case.name());
    let norm = case.text("norm").map(|_| {
        BatchNorm::load(&weights.at("normalization"), case.number("out_channels"), case.float("eps")).unwrap()
    });
    let layer = Conv2d::read(&weights.at("convolution"), shape, norm.as_ref(), engine).unwrap();
    let x = case.tensor("input");
    let run = |x: &Tensor| match case.activation() {
        Some(activation) => layer.forward_activated(x, activation),
        None => layer.forward(x),
    };
    if engine == Engine::Candle && !same_both_ways {
        let error = run(&x).unwrap_err().to_string();
        assert!(error.contains("processor only"), "{error}");
        return None;
    }
    let y = run(&x).unwrap();
    let residual = layer.forward_onto(&x, case.activation(), &y).unwrap();
    // x + x is exact.
    let twice = (&y + &y).unwrap();
    let difference =
        (residual - twice).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(difference < 1e-3, "{engine:?} residual: {difference}");
    Some(y)
}

#[test]
fn convolutions_with_normalisation_folded() {
    check("conv2d", 5, |case, engine| {
        let shape = ConvShape {
            out_channels: case.number("out_channels"),
            in_channels: case.number("in_channels"),
            kernel: case.pair("kernel_size"),
            stride: case.pair("stride"),
            padding: case.pair("padding"),
            dilation: case.pair("dilation"),
            groups: case.number("groups"),
        };
        let same = [shape.stride, shape.dilation].iter().all(|[a, b]| a == b);
        convolve(case, engine, AnyShape::Conv(shape), same)
    });
}

#[test]
fn transposed_convolutions_with_normalisation_folded() {
    check("conv_transpose2d", 5, |case, engine| {
        let shape = ConvTransposeShape {
            out_channels: case.number("out_channels"),
            in_channels: case.number("in_channels"),
            kernel: case.pair("kernel_size"),
            stride: case.pair("stride"),
            padding: case.pair("padding"),
            output_padding: case.pair("output_padding"),
            dilation: case.pair("dilation"),
            groups: case.number("groups"),
        };
        let same = [shape.stride, shape.dilation, shape.padding].iter().all(|[a, b]| a == b);
        convolve(case, engine, AnyShape::Transposed(shape), same)
    });
}

#[test]
fn normalisations() {
    check("group_norm", 3, |case, engine| {
        let weights = weights().at(case.name());
        let (groups, channels) = (case.number("groups"), case.number("channels"));
        let norm = GroupNorm::load(&weights, groups, channels, case.float("eps")).unwrap();
        norm.run(&case.tensor("input"), None, engine).ok()
    });
    check("batch_norm", 1, |case, engine| {
        let weights = weights().at(case.name());
        let norm = BatchNorm::load(&weights, case.number("channels"), case.float("eps")).unwrap();
        norm.run(&case.tensor("input"), None, engine).ok()
    });
    check("l2_norm", 1, |case, engine| {
        l2_normalize_by(&case.tensor("input"), case.float("eps") as f32, engine).ok()
    });
}

#[test]
fn pooling() {
    check("pool", 12, |case, engine| {
        let pool = Pool {
            pooling: match case.text("kind").unwrap() {
                "max" => Pooling::Maximum,
                "average" => Pooling::Average,
                _ => Pooling::AverageInside,
            },
            kernel: case.pair("kernel_size"),
            stride: case.pair("stride"),
            padding: case.pair("padding"),
            last: if case.is("ceil_mode") { LastWindow::Cut } else { LastWindow::Whole },
        };
        Some(pool_on(&case.tensor("input"), &pool, engine).unwrap())
    });
}

#[test]
fn resizing() {
    check("resize", 46, |case, engine| {
        let filter = match case.text("mode").unwrap() {
            "nearest" => Filter::Nearest,
            "bilinear" => Filter::Bilinear,
            _ => Filter::Bicubic,
        };
        let factor = case.values["factor"].as_array().map(|pair| [0, 1].map(|d| pair[d].as_f64().unwrap()));
        let alignment = match factor {
            Some(factor) => Alignment::EdgesByFactor(factor),
            None if case.is("corners") => Alignment::Corners,
            None => Alignment::Edges,
        };
        let x = case.tensor("input");
        if let Some(factor) = factor {
            let size = crate::resize_by(&x, factor, filter).unwrap().dims()[2..].to_vec();
            assert_eq!(size, case.list("size"), "{}", case.values);
        }
        Some(resize_on(&x, case.pair("size"), filter, alignment, engine).unwrap())
    });
}

#[test]
fn sampling_at_points() {
    check("grid_sample", 8, |case, engine| {
        let sampling = GridSampling {
            between: if case.text("mode") == Some("nearest") { Between::Nearest } else { Between::Bilinear },
            outside: if case.text("padding") == Some("zeros") { Outside::Zeros } else { Outside::Border },
            extent: if case.is("corners") { Extent::Corners } else { Extent::Edges },
        };
        Some(grid_sample_on(&case.tensor("input"), &case.tensor("grid"), sampling, engine).unwrap())
    });
}

#[test]
fn deformable_attention() {
    check("deformable", 3, |case, engine| {
        let levels = case.values["levels"].as_array().unwrap().iter();
        let levels =
            levels.map(|size| [0, 1].map(|d| size[d].as_u64().unwrap() as usize)).collect::<Vec<_>>();
        let discrete = case.text("method") == Some("discrete");
        let sampling = if discrete { PointSampling::Discrete } else { PointSampling::Bilinear };
        let from = FeaturePoints { levels: &levels, points: &case.list("points"), sampling };
        let [value, locations, weights] = ["value", "locations", "weights"].map(|key| case.tensor(key));
        Some(deformable_attention_on(&value, &locations, &weights, from, engine).unwrap())
    });
}

#[test]
fn what_does_not_fit_is_an_error() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    let weights = weights().at("conv2d.0.convolution");
    let shape = ConvShape::square(9, 6, 3).padding(1);
    let layer = Conv2d::load(&weights, shape).unwrap();
    assert!(layer.forward(&zeros(&[1, 5, 4, 4])).is_err());
    assert!(layer.forward(&zeros(&[6, 4, 4])).is_err());
    assert!(layer.forward_onto(&zeros(&[1, 6, 4, 4]), None, &zeros(&[1, 9, 4, 5])).is_err());
    assert!(Conv2d::load(&weights, shape.groups(4)).is_err());
    assert!(Conv2d::load(&weights, shape.stride(0)).is_err());
    let x = zeros(&[1, 2, 3, 4]);
    assert!(crate::resize(&x, [0, 3], Filter::Bilinear, Alignment::Edges).is_err());
    assert!(crate::resize(&x, [6, 8], Filter::Nearest, Alignment::Corners).is_err());
    assert!(crate::resize_by(&x, [-1.0, 2.0], Filter::Bilinear).is_err());
    let (between, outside, extent) = (Between::Bilinear, Outside::Zeros, Extent::Edges);
    let sampling = GridSampling { between, outside, extent };
    assert!(crate::grid_sample(&x, &zeros(&[2, 3, 3, 2]), sampling).is_err());
    let from = FeaturePoints { levels: &[[3, 4]], points: &[2], sampling: PointSampling::Bilinear };
    let (locations, weights) = (zeros(&[1, 5, 2, 2, 2]), zeros(&[1, 5, 2, 2]));
    assert!(crate::deformable_attention(&zeros(&[1, 11, 2, 8]), &locations, &weights, from).is_err());
    let pool = Pool {
        pooling: Pooling::Maximum,
        kernel: [5, 5],
        stride: [1, 1],
        padding: [0, 0],
        last: LastWindow::Whole,
    };
    assert!(crate::pool(&x, &pool).is_err());
    assert!(crate::pool(&x, &Pool { kernel: [2, 2], padding: [2, 2], ..pool }).is_err());
}
