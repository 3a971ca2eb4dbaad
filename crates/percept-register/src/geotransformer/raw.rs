//! What `--raw` writes: what the authors' `model.py` gives, under its names. "ref" is the target, "src" the source.

use percept_backbone::checkpoint::raw_floats;
use percept_backbone::compute_error;
use percept_core::register::Transform;
use percept_core::{RawTensor, RawValues, Result};

use super::configuration::Configuration;
use super::correspondences::Correspondence;
use super::network::Answer;

/// What the authors' code has where a patch has no point.
const NOTHING: f32 = -1e12;

pub(super) fn tensors(answer: &Answer, config: &Configuration, model: &str) -> Result<Vec<RawTensor>> {
    let mut all = Vec::new();
    let floats = |name: String, shape: Vec<usize>, values: Vec<f32>| RawTensor {
        name,
        shape,
        values: RawValues::F32(values),
    };
    let integers = |name: String, values: Vec<i64>| RawTensor {
        name,
        shape: vec![values.len()],
        values: RawValues::I64(values),
    };
    let points = |name: String, points: &[[f32; 3]]| floats(name, vec![points.len(), 3], points.concat());
    let last = answer.stages.len() - 1;
    let fine = &answer.stages[answer.fine];
    for (cloud, side) in ["ref", "src"].into_iter().enumerate() {
        for (suffix, stage) in [("", 0), ("_f", answer.fine), ("_c", last)] {
            all.push(points(format!("{side}_points{suffix}"), answer.stages[stage].clouds()[cloud]));
        }
        let features = raw_floats(&format!("{side}_feats_c"), Ok(answer.superpoint_features[cloud].clone()));
        all.push(features.map_err(compute_error(model))?);
        let channels = answer.fine_features.channels;
        let (target, source) = answer.fine_features.values.split_at(fine.split * channels);
        let own = if cloud == 0 { target } else { source };
        all.push(floats(format!("{side}_feats_f"), vec![own.len() / channels, channels], own.to_vec()));
        let indices = answer.pairs.iter().map(|pair| i64::from([pair.target, pair.source][cloud]));
        all.push(integers(format!("{side}_node_corr_indices"), indices.collect()));
        let of = |one: &Correspondence| fine.clouds()[cloud][[one.target, one.source][cloud] as usize];
        let own: Vec<[f32; 3]> = answer.correspondences.iter().map(of).collect();
        all.push(points(format!("{side}_corr_points"), &own));
    }
    let scores: Vec<f32> = answer.pairs.iter().map(|pair| pair.score).collect();
    all.push(floats("node_corr_scores".into(), vec![scores.len()], scores));
    let side = config.num_points_in_patch + 1;
    all.push(floats("matching_scores".into(), vec![answer.plans.len(), side, side], padded(answer, side)));
    let scores: Vec<f32> = answer.correspondences.iter().map(|one| one.score).collect();
    all.push(floats("corr_scores".into(), vec![scores.len()], scores));
    if let Some(found) = &answer.found {
        let matrix = Transform::from(&found.motion).matrix();
        let values = matrix.iter().flatten().map(|value| *value as f32).collect();
        all.push(floats("estimated_transform".into(), vec![4, 4], values));
    }
    Ok(all)
}

/// Plans of one size, `[pairs, side, side]`: dustbins are last, and patches are filled up in front of them.
fn padded(answer: &Answer, side: usize) -> Vec<f32> {
    let mut all = vec![NOTHING; answer.plans.len() * side * side];
    for ((plan, pair), out) in answer.plans.iter().zip(&answer.pairs).zip(all.chunks_exact_mut(side * side)) {
        let rows = answer.patches[0][pair.target as usize].len();
        let columns = answer.patches[1][pair.source as usize].len();
        for (row, values) in plan.chunks_exact(columns + 1).enumerate() {
            let row = if row == rows { side - 1 } else { row };
            out[row * side..][..columns].copy_from_slice(&values[..columns]);
            out[row * side + side - 1] = values[columns];
        }
    }
    all
}
