//! EoMT against transformers 5.23 (tests/reference/eomt.py).

use percept_backbone::Tensor;
use percept_core::Precision;
use serde_json::Value;

use super::network::Network;
use crate::universal::fixture::{Fixture, error, json, pair, weights};
use crate::universal::{Outputs, Part, Projection, Queries, Recipe, Segment, instances, panoptic, semantic};

fn network(kind: &str, precision: Precision) -> Network {
    let config = json(&format!("eomt/{kind}/config.json"));
    Network::load(&weights(&format!("eomt/{kind}"), precision), &config, 5).unwrap()
}

#[test]
fn networks_compute_what_transformers_computes() {
    for kind in ["plain", "masked"] {
        let (network, fixture) = (network(kind, Precision::F32), Fixture::open(&format!("eomt/{kind}/fixture.safetensors")));
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

/// The picture of a fixture, as [`Projection`] has it for a canvas of `side` by `side`.
fn padded(picture: [usize; 2], side: usize) -> Projection {
    let longest = picture[0].max(picture[1]) as f64;
    // Of `get_size_with_aspect_ratio`, for pictures whose longer edge comes to `side`.
    let short = |edge: usize| (side as f64 * edge as f64 / longest) as usize;
    Projection { input: [side; 2], shown: picture.map(short), picture }
}

/// Segments as the reference has them: a number for each pixel, -1 where there is none.
fn painted(segments: &[Segment], [rows, columns]: [usize; 2]) -> Vec<i32> {
    let mut map = vec![-1; rows * columns];
    for (index, segment) in segments.iter().enumerate() {
        segment.mask.paint(|pixel| map[pixel] = index as i32);
    }
    map
}

/// At most one pixel in a thousand may lie on the other side of a border.
#[track_caller]
fn assert_map(found: &[i32], wanted: &[i32], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let wrong = found.iter().zip(wanted).filter(|(a, b)| a != b).count();
    assert!(wrong * 1000 <= wanted.len(), "{what}: {wrong} of {} pixels", wanted.len());
}

#[track_caller]
fn assert_segments(found: &[Segment], wanted: &Value, what: &str) {
    let wanted = wanted.as_array().unwrap();
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(found.label as u64, wanted["label_id"].as_u64().unwrap(), "{what}");
        let score = wanted["score"].as_f64().unwrap();
        assert!((f64::from(found.score) - score).abs() < 1e-5, "{what}: {} {score}", found.score);
    }
}

fn outputs(fixture: &Fixture, prefix: &str) -> Outputs {
    let read = |name: &str| fixture.tensor(&format!("{prefix}{name}"));
    Outputs { masks: read("masks_queries_logits"), classes: read("class_queries_logits") }
}

#[test]
fn logits_become_the_segments_of_the_image_processor() {
    let (fixture, answers) = (Fixture::open("eomt/post.safetensors"), json("eomt/post.json"));
    let outputs = outputs(&fixture, "");
    for (index, size) in answers["target_sizes"].as_array().unwrap().iter().enumerate() {
        let (queries, projection) = (outputs.of(index).unwrap(), padded(pair(size), 80));
        let stuff = |class: usize| class == 4 || class == 5;
        let none = |_: usize| false;
        let found = |threshold, stuff: &dyn Fn(usize) -> bool| {
            panoptic(&queries, projection, Recipe::Eomt, threshold, stuff)
        };
        for (name, found) in
            [("panoptic", found(0.8, &none)), ("fused", found(0.8, &stuff)), ("sure", found(0.97, &none))]
        {
            let what = format!("{name} {index}");
            assert_segments(&found, &answers[name][index], &what);
            assert_map(
                &painted(&found, projection.picture),
                &fixture.integers(&format!("{name}.{index}")),
                &what,
            );
        }
        let mut found = instances(&queries, projection, Recipe::Eomt, 0.8, |_| true);
        assert!(found.is_sorted_by(|a, b| a.score >= b.score));
        // The reference has them in the order of queries, and paints the later over the earlier.
        let wanted = answers["instance"][index].as_array().unwrap();
        let place = |segment: &Segment| {
            let near = |wanted: &Value| (wanted["score"].as_f64().unwrap() - f64::from(segment.score)).abs() < 1e-5;
            wanted.iter().position(near)
        };
        found.sort_by_key(place);
        assert_segments(&found, &answers["instance"][index], "instance");
        let map = painted(&found, projection.picture);
        assert_map(&map, &fixture.integers(&format!("instance.{index}")), "instance");
    }
}

/// A number for each pixel: its class.
fn classes(segments: &[Segment], [rows, columns]: [usize; 2]) -> Vec<i32> {
    let mut map = vec![-1; rows * columns];
    for segment in segments {
        segment.mask.paint(|pixel| map[pixel] = segment.label as i32);
    }
    map
}

#[test]
fn parts_of_a_picture_become_its_semantic_map() {
    let (fixture, answers) = (Fixture::open("eomt/post.safetensors"), json("eomt/post.json"));
    let outputs = outputs(&fixture, "patches.");
    let answers = &answers["patches"];
    for (index, size) in answers["target_sizes"].as_array().unwrap().iter().enumerate() {
        let picture = pair(size);
        let shortest = picture[0].min(picture[1]);
        let shown = picture.map(|edge| edge * 32 / shortest);
        let offsets = answers["patch_offsets"].as_array().unwrap().iter().enumerate();
        let parts = offsets.filter(|(_, offset)| offset[0] == index).map(|(part, offset)| {
            let start = offset[1].as_u64().unwrap() as usize;
            let offset = if picture[0] > picture[1] { [start, 0] } else { [0, start] };
            Part { queries: outputs.of(part).unwrap(), offset }
        });
        let parts = parts.collect::<Vec<_>>();
        assert!(parts.len() > 1);
        let found = semantic(&parts, Projection { input: [32; 2], shown, picture }).unwrap();
        assert!(found.iter().all(|segment| segment.score > 0.0 && segment.score <= 1.0));
        let wanted = fixture.integers(&format!("semantic.{index}"));
        assert_map(&classes(&found, picture), &wanted, &format!("semantic {index}"));
    }
    let whole: Queries = self::outputs(&fixture, "").of(2).unwrap();
    let projection = Projection { input: [80; 2], shown: [80; 2], picture: [64; 2] };
    let found = semantic(&[Part { queries: whole, offset: [0, 0] }], projection).unwrap();
    assert_map(&classes(&found, [64; 2]), &fixture.integers("semantic.whole"), "whole");
}

#[test]
fn nothing_found_is_no_segment() {
    let masks = Tensor::zeros((1, 2, 3, 3), percept_backbone::DType::F32, &percept_backbone::Device::Cpu).unwrap();
    let classes = Tensor::new(&[[[0.0_f32, 0.0, 9.0], [0.0, 0.0, 9.0]]], &percept_backbone::Device::Cpu).unwrap();
    let queries = Outputs { masks, classes }.of(0).unwrap();
    let projection = Projection::direct([6; 2], [7, 5]);
    assert!(panoptic(&queries, projection, Recipe::Eomt, 0.8, |_| false).is_empty());
    assert!(instances(&queries, projection, Recipe::Eomt, 0.8, |_| true).is_empty());
}
