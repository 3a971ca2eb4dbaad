//! Logits to segments, against the image processors of transformers 5.23 (tests/reference/eomt.py and mask2former.py).

use percept_backbone::Tensor;
use serde_json::Value;

use super::fixture::{Fixture, json, pair};
use super::instance::instances;
use super::panoptic::panoptic;
use super::semantic::{Part, semantic};
use super::{Outputs, Projection, Queries, Recipe, Segment};

/// The picture of a fixture, as [`Projection`] has it for a canvas of `side` by `side`.
fn padded(picture: [usize; 2], side: usize) -> Projection {
    // `get_size_with_aspect_ratio`, in its order of operations, for pictures whose longer edge is brought to `side`.
    let (shortest, longest) = (picture[0].min(picture[1]) as f64, picture[0].max(picture[1]) as f64);
    let raw = side as f64 * shortest / longest;
    let edge = |edge: usize| match edge as f64 == shortest {
        true => raw.round() as usize,
        false => (raw * longest / shortest) as usize,
    };
    Projection { input: [side; 2], shown: picture.map(edge), picture }
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
fn eomt_logits_become_the_segments_of_its_image_processor() {
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
            let near =
                |wanted: &Value| (wanted["score"].as_f64().unwrap() - f64::from(segment.score)).abs() < 1e-5;
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
    let masks =
        Tensor::zeros((1, 2, 3, 3), percept_backbone::DType::F32, &percept_backbone::Device::Cpu).unwrap();
    let classes =
        Tensor::new(&[[[0.0_f32, 0.0, 9.0], [0.0, 0.0, 9.0]]], &percept_backbone::Device::Cpu).unwrap();
    let queries = Outputs { masks, classes }.of(0).unwrap();
    let projection = Projection::direct([6; 2], [7, 5]);
    assert!(panoptic(&queries, projection, Recipe::Eomt, 0.8, |_| false).is_empty());
    assert!(instances(&queries, projection, Recipe::Eomt, 0.8, |_| true).is_empty());
}

#[test]
fn mask2former_logits_become_the_segments_of_its_image_processor() {
    let (fixture, answers) = (Fixture::open("mask2former/post.safetensors"), json("mask2former/post.json"));
    let outputs = outputs(&fixture, "");
    for (index, size) in answers["target_sizes"].as_array().unwrap().iter().enumerate() {
        let (queries, picture) = (outputs.of(index).unwrap(), pair(size));
        let projection = Projection::direct([384; 2], picture);
        let found = |threshold, stuff: &dyn Fn(usize) -> bool| {
            panoptic(&queries, projection, Recipe::Mask2Former, threshold, stuff)
        };
        let none = |_: usize| false;
        for (name, threshold) in [("panoptic", 0.5), ("sure", 0.97)] {
            let (found, what) = (found(threshold, &none), format!("{name} {index}"));
            assert_segments(&found, &answers[name][index], &what);
            // Its numbers begin at 1, and 0 is nothing.
            let map = painted(&found, picture).iter().map(|number| number + 1).collect::<Vec<_>>();
            assert_map(&map, &fixture.integers(&format!("{name}.{index}")), &what);
        }
        // The reference gives numbers twice where stuff is fused, so what is compared is each class.
        let plain = found(0.5, &none);
        let fused = found(0.5, &|class| class == 4 || class == 5);
        assert!(fused.len() < plain.len());
        assert_eq!(classes(&fused, picture), classes(&plain, picture));
        for stuff in [4, 5] {
            let scores = |segments: &[Segment]| {
                let of = segments.iter().filter(|segment| segment.label == stuff);
                of.map(|segment| segment.score).collect::<Vec<_>>()
            };
            let (one, all) = (scores(&fused), scores(&plain));
            assert!(one.len() == all.len().min(1) && one.first() == all.first());
        }
        let mut wanted = Vec::new();
        for segment in answers["fused"][index].as_array().unwrap() {
            let label = segment["label_id"].as_u64().unwrap();
            if !matches!(label, 4 | 5) || !wanted.contains(&label) {
                wanted.push(label);
            }
        }
        assert_eq!(fused.iter().map(|segment| segment.label as u64).collect::<Vec<_>>(), wanted);

        let found = instances(&queries, projection, Recipe::Mask2Former, 0.5, |_| true);
        let wanted = answers["instance"][index].as_array().unwrap();
        let maps = fixture.integers(&format!("instance.{index}"));
        assert_eq!(found.len(), wanted.len());
        for (wanted, map) in wanted.iter().zip(maps.chunks_exact(picture[0] * picture[1])) {
            let (label, score) = (wanted["label_id"].as_u64().unwrap(), wanted["score"].as_f64().unwrap());
            let same = |found: &&Segment| {
                found.label as u64 == label && (f64::from(found.score) - score).abs() < 1e-5
            };
            let found = found.iter().find(same).unwrap_or_else(|| panic!("{wanted}"));
            let pixels = found.mask.pixels().iter().map(|pixel| i32::from(*pixel)).collect::<Vec<_>>();
            assert_map(&pixels, map, "instance");
        }
        let part = Part { queries: outputs.of(index).unwrap(), offset: [0, 0] };
        let found = semantic(&[part], projection).unwrap();
        assert_map(&classes(&found, picture), &fixture.integers(&format!("semantic.{index}")), "semantic");
    }
}
