//! ViTPose against transformers 5.23 (tests/reference/vitpose.py).

use std::sync::Arc;

use percept_backbone::checkpoint::configuration;
use percept_backbone::{Device, Tensor, Weights};
use percept_core::pose::{KeypointSet, PoseInput, PoseOptions, Subject};
use percept_core::{Model, Precision, RawValues};
use percept_golden::{error, fixture, numbers, picture, runtime, snapshot};
use serde::Deserialize;

use super::heads::{flipped_back, mirrored};
use super::network::Network;
use super::*;

const KINDS: [&str; 3] = ["simple", "classic", "moe"];

fn folder(kind: &str) -> String {
    format!("vitpose/{kind}")
}

fn vitpose(kind: &str, precision: Precision) -> VitPose {
    VitPose::load(&snapshot(&folder(kind), &[]), &runtime(precision)).unwrap()
}

fn weights(kind: &str) -> (Weights, Value) {
    let local = snapshot(&folder(kind), &[]);
    (Weights::open_safetensors(&local, &Device::Cpu).unwrap(), configuration(&local).unwrap())
}

/// Without the decoders that transformers has no room for, as published.
fn published() -> Network {
    let (weights, config) = weights("moe");
    let weights = weights.renamed(|name, shape| match name.starts_with("associate_heads") {
        true => vec![],
        false => vec![(name.to_owned(), 0..shape[0])],
    });
    Network::load(&weights, &config).unwrap()
}

fn pixel_values() -> Tensor {
    fixture(&folder("simple"))["pixel_values"].clone()
}

fn subjects(boxes: &Tensor) -> Vec<Subject> {
    let boxes = boxes.to_vec2::<f32>().unwrap();
    let subject =
        |corners: Vec<f32>| Subject { bounding_box: corners.try_into().unwrap(), score: 0.5, label: None };
    boxes.into_iter().map(subject).collect()
}

fn inputs(kind: &str, options: &PoseOptions) -> Vec<PoseInput> {
    let wanted = fixture(&folder(kind));
    let input = |index: usize| PoseInput {
        image: picture(&wanted[&format!("picture.{index}")]),
        subjects: subjects(&wanted[&format!("boxes.{index}")]),
        options: Arc::new(options.clone()),
    };
    vec![input(0), input(1)]
}

#[test]
fn heat_maps_are_those_of_the_reference() {
    for kind in KINDS {
        let (weights, config) = weights(kind);
        let network = Network::load(&weights, &config).unwrap();
        let found = network.heatmaps(&pixel_values(), &network.answers()[0]).unwrap();
        let error = error(&found, &fixture(&folder(kind))["heatmaps"]);
        println!("{kind}: {error:e}");
        assert!(error <= 2e-4, "{kind}: {error}");
    }
    // With one expert, which is folded into the layers' matrices.
    let network = published();
    let found = network.heatmaps(&pixel_values(), &network.answers()[0]).unwrap();
    let error = error(&found, &fixture(&folder("moe"))["heatmaps"]);
    assert!(error <= 2e-4, "{error}");
}

#[test]
fn crops_are_those_of_the_reference() {
    let model = vitpose("simple", Precision::F32);
    let mut found = Vec::new();
    for input in inputs("simple", &PoseOptions::default()) {
        let crops = input.subjects.iter().enumerate();
        let crops = crops.map(|(index, subject)| model.crop(index, subject, &input.image).unwrap());
        found.push(model.pixels(&input.image, &crops.collect::<Vec<_>>()).unwrap());
    }
    let (found, wanted) = (numbers(&Tensor::cat(&found, 0).unwrap()), numbers(&pixel_values()));
    assert_eq!(found.len(), wanted.len());
    // To the last bit: bytes are the same, and the arithmetic that makes numbers of them too.
    let differ = found.iter().zip(&wanted).filter(|(a, b)| a != b).count();
    assert_eq!(differ, 0, "of {}", found.len());
}

#[test]
fn keypoints_are_those_of_the_reference() {
    for kind in KINDS {
        for (flip_test, suffix) in [(false, ""), (true, ".flipped")] {
            let wanted = fixture(&folder(kind));
            let Some(keypoints) = wanted.get(&format!("keypoints{suffix}")) else { continue };
            let (keypoints, scores) = (numbers(keypoints), numbers(&wanted[&format!("scores{suffix}")]));
            let model = vitpose(kind, Precision::F32);
            let options = PoseOptions { flip_test, score: Some(0.6), ..PoseOptions::default() };
            let answers = model.predict(&inputs(kind, &options)).unwrap();
            let poses: Vec<&Pose> = answers.iter().flat_map(|answer| &answer.output.poses).collect();
            assert_eq!(poses.iter().map(|pose| pose.subject).collect::<Vec<_>>(), [0, 1, 2, 3, 0, 1]);
            let found: Vec<&Keypoint> = poses.iter().flat_map(|pose| &pose.keypoints).collect();
            assert_eq!(found.len(), scores.len());
            let mut worst = 0.0_f32;
            for ((keypoint, place), score) in found.iter().zip(keypoints.chunks_exact(2)).zip(&scores) {
                assert!((keypoint.score - score).abs() < 1e-4, "{kind}: {} {score}", keypoint.score);
                assert_eq!(keypoint.seen, keypoint.score > 0.6);
                let off = (keypoint.x - 0.5 - place[0]).hypot(keypoint.y - 0.5 - place[1]);
                worst = worst.max(off);
            }
            println!("{kind}{suffix}: {worst} pixels");
            assert!(worst < 0.02, "{kind}{suffix}: {worst} pixels");
            for pose in poses {
                let seen =
                    pose.keypoints.iter().filter(|keypoint| keypoint.seen).map(|keypoint| keypoint.score);
                let mean = seen.clone().sum::<f32>() / (seen.count() as f32).max(1.0);
                assert!((pose.score - 0.5 * mean).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn every_expert_has_its_decoder_and_its_mirror() {
    let (weights, config) = weights("moe");
    let network = Network::load(&weights, &config).unwrap();
    let wanted = fixture(&folder("moe"));
    let pixels = pixel_values().narrow(0, 0, 2).unwrap();
    for set in KeypointSet::ALL.into_iter().skip(1) {
        let answer = chosen(network.answers(), Some(set), "moe").unwrap();
        assert_eq!(answer.scheme.set, Some(set));
        let found = network.heatmaps(&pixels, answer).unwrap();
        assert_eq!(found.dim(1).unwrap(), answer.scheme.names.len());
        let other = network.heatmaps(&mirrored(&pixels).unwrap(), answer).unwrap();
        let found = ((found + flipped_back(&other, &answer.scheme).unwrap()).unwrap() * 0.5).unwrap();
        let third: Vec<u32> = (0..answer.scheme.names.len() as u32).step_by(3).collect();
        let found = found.index_select(&Tensor::new(third, &Device::Cpu).unwrap(), 1).unwrap();
        let error = error(&found, &wanted[&format!("heatmaps.{set}")]);
        assert!(error <= 2e-4, "{set}: {error}");
    }
}

#[test]
fn a_published_checkpoint_gives_cocos_keypoints_only() {
    let network = published();
    assert_eq!(network.answers().len(), 1);
    assert_eq!(chosen(network.answers(), None, "x").unwrap().scheme.set, Some(KeypointSet::Coco));
    for set in KeypointSet::ALL.into_iter().skip(1) {
        let error = chosen(network.answers(), Some(set), "x").unwrap_err();
        assert!(error.to_string().contains(set.name()) && error.to_string().contains("coco"), "{error}");
    }
    let options = PoseOptions { keypoints: Some(KeypointSet::WholeBody), ..PoseOptions::default() };
    let error = vitpose("simple", Precision::F32).predict(&inputs("simple", &options)).unwrap_err();
    assert!(error.to_string().contains("wholebody"), "{error}");
}

#[test]
fn peaks_of_the_published_size_are_those_of_the_reference() {
    let wanted = fixture("vitpose/peaks");
    let (_, _, rows, columns) = wanted["heatmaps"].dims4().unwrap();
    let maps = numbers(&wanted["heatmaps"]);
    let (keypoints, scores) = (numbers(&wanted["keypoints"]), numbers(&wanted["scores"]));
    let image = Image::new(640, 480, vec![0; 640 * 480 * 3]);
    let crops: Vec<Crop> = subjects(&wanted["boxes"])
        .iter()
        .map(|subject| Crop::around(0, subject, &image, [192, 256]).unwrap())
        .collect();
    let peaks = Peaks::new([rows, columns]);
    let each = scores.len() / crops.len();
    for (index, map) in maps.chunks_exact(rows * columns).enumerate() {
        let Peak { at, score } = peaks.find(map);
        assert_eq!(score, scores[index]);
        let at = crops[index / each].to_picture(at, [rows, columns]);
        let wanted = &keypoints[2 * index..][..2];
        let off = (at[0] - wanted[0]).hypot(at[1] - wanted[1]);
        assert!(off < 2e-3, "{index}: {at:?} {wanted:?}");
    }
}

#[derive(Deserialize)]
struct Oks {
    poses: Vec<Vec<[f32; 2]>>,
    areas: Vec<f32>,
    scores: Vec<f32>,
    oks: Vec<Vec<f64>>,
    kept: std::collections::BTreeMap<String, Vec<usize>>,
}

#[test]
fn likeness_and_duplicates_are_those_of_pycocotools_and_mmpose() {
    let path = percept_golden::folder("vitpose").join("oks.json");
    let wanted: Oks = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let sigmas = &crate::scheme(KeypointSet::Coco).sigmas;
    let pose = |(index, (places, score)): (usize, (&Vec<[f32; 2]>, &f32))| {
        let keypoint = |[x, y]: &[f32; 2]| Keypoint { x: *x, y: *y, score: 1.0, seen: true };
        let keypoints = places.iter().map(keypoint).collect();
        Pose { subject: index, bounding_box: [0.0; 4], label: None, score: *score, keypoints }
    };
    let poses: Vec<Pose> = wanted.poses.iter().zip(&wanted.scores).enumerate().map(pose).collect();
    for (a, row) in wanted.oks.iter().enumerate() {
        for (b, wanted_oks) in row.iter().enumerate() {
            let areas = [wanted.areas[a], wanted.areas[b]];
            let found = crate::oks(&poses[a].keypoints, &poses[b].keypoints, areas, sigmas);
            assert!((found - wanted_oks).abs() < 1e-6, "{a} {b}: {found} {wanted_oks}");
        }
    }
    let mut counts = Vec::new();
    for (threshold, kept) in &wanted.kept {
        let found = duplicates::kept(&poses, &wanted.areas, sigmas, threshold.parse().unwrap());
        assert_eq!(found, *kept, "{threshold}");
        counts.push(kept.len());
    }
    assert!(counts.windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn duplicates_go_where_that_is_asked() {
    let model = vitpose("simple", Precision::F32);
    let mut input = inputs("simple", &PoseOptions { oks: Some(0.9), ..PoseOptions::default() }).remove(0);
    let again = Subject { score: 0.9, ..input.subjects[1].clone() };
    input.subjects.push(again);
    let found = model.predict(std::slice::from_ref(&input)).unwrap().remove(0).output;
    // The first of the two has the lower score.
    assert_eq!(found.poses.iter().map(|pose| pose.subject).collect::<Vec<_>>(), [0, 2, 3, 4]);
    input.options = Arc::default();
    assert_eq!(model.predict(&[input]).unwrap()[0].output.poses.len(), 5);
}

#[test]
fn many_boxes_are_as_each_alone() {
    let model = vitpose("moe", Precision::F32);
    let mut input = inputs("moe", &PoseOptions::default()).remove(0);
    let few = input.subjects.clone();
    input.subjects = few.iter().cycle().take(2 * TOGETHER + 3).cloned().collect();
    let many = model.predict(std::slice::from_ref(&input)).unwrap().remove(0).output;
    assert_eq!(many.poses.len(), 2 * TOGETHER + 3);
    for (index, subject) in few.iter().enumerate() {
        input.subjects = vec![subject.clone()];
        let alone = model.predict(std::slice::from_ref(&input)).unwrap().remove(0).output;
        let last = many.poses.iter().rfind(|pose| pose.subject % few.len() == index).unwrap();
        for (a, b) in alone.poses[0].keypoints.iter().zip(&last.keypoints) {
            assert!((a.x - b.x).hypot(a.y - b.y) < 0.01 && (a.score - b.score).abs() < 1e-5);
        }
    }
    input.subjects = vec![];
    assert!(model.predict(std::slice::from_ref(&input)).unwrap()[0].output.poses.is_empty());
    assert!(model.raw(&input).is_err());
}

#[test]
fn raw_tensors_bear_the_references_names() {
    let model = vitpose("classic", Precision::F32);
    let wanted = fixture(&folder("classic"));
    let raw = model.raw(&inputs("classic", &PoseOptions::default())[0]).unwrap();
    assert_eq!(
        raw.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(),
        ["pixel_values", "heatmaps"]
    );
    for (tensor, wanted) in raw.into_iter().zip([&pixel_values(), &wanted["heatmaps"]]) {
        let RawValues::F32(values) = tensor.values else { panic!("floats are wanted") };
        let found = Tensor::from_vec(values, tensor.shape, &Device::Cpu).unwrap();
        assert!(error(&found, &wanted.narrow(0, 0, 4).unwrap()) <= 2e-4, "{}", tensor.name);
    }
}

#[test]
fn lower_precisions_stay_close() {
    for (precision, most) in [(Precision::Bf16x3, 1e-3), (Precision::Bf16, 4e-2), (Precision::Int8, 8e-2)] {
        for kind in KINDS {
            let model = vitpose(kind, precision);
            assert_eq!(model.precision(), precision);
            let found = model.network.heatmaps(&pixel_values(), &model.network.answers()[0]).unwrap();
            let error = error(&found, &fixture(&folder(kind))["heatmaps"]);
            println!("{kind} {precision}: {error:e}");
            assert!(error <= most, "{kind} {precision}: {error}");
        }
    }
}

#[test]
fn configurations_that_are_not_supported_are_errors() {
    let (weights, config) = weights("moe");
    for (pointer, value, says) in [
        ("/backbone_config/model_type", serde_json::json!("swin"), "model_type"),
        ("/backbone_config/num_experts", serde_json::json!(0), "num_experts"),
        ("/backbone_config/part_features", serde_json::json!(24), "part_features"),
        ("/backbone_config/out_indices", serde_json::json!([9]), "out_indices"),
        ("/backbone_config/out_features", serde_json::json!(["stage4"]), "out_features"),
        ("/id2label", serde_json::json!({"0": "Nose"}), "id2label"),
    ] {
        let mut config = config.clone();
        *config.pointer_mut(pointer).unwrap() = value;
        if pointer.ends_with("out_indices") {
            config["backbone_config"]["out_features"] = Value::Null;
        }
        let error = Network::load(&weights, &config).unwrap_err().to_string();
        assert!(error.contains(says), "{pointer}: {error}");
    }
    let settings = |key: &str, value: Value| {
        let mut settings =
            serde_json::json!({"size": {"height": 40, "width": 24}, "normalize_factor": 200.0});
        settings[key] = value;
        check_preparation(&settings, [40, 24]).map_err(|error| error.to_string())
    };
    assert_eq!(settings("do_normalize", Value::Bool(true)), Ok(()));
    for (key, value) in [
        ("size", serde_json::json!({"height": 256, "width": 192})),
        ("do_affine_transform", Value::Bool(false)),
        ("normalize_factor", serde_json::json!(100.0)),
    ] {
        assert!(settings(key, value).unwrap_err().contains(key));
    }
    assert!(check_preparation(&Value::Null, [256, 192]).is_ok());
}
