//! Which keypoints a checkpoint can give.
//!
//! ViTPose++ is trained on six data sets at once, with an expert and a decoder for each. The published snapshots of
//! `VitPoseForPoseEstimation` have all six experts, but one decoder: COCO's (`num_labels` 17, `id2label` from `Nose` to
//! `R_Ankle`), since transformers' model has room for one and the conversion leaves the others out
//! (`associate_keypoint_heads`). An expert of other data without its decoder gives nothing that has a meaning, so such a
//! checkpoint gives COCO's keypoints only. Snapshots with the other decoders (`associate_heads.0` to `.4`;
//! `tests/reference/vitpose_heads.py` makes them of the authors' files) give all six sets.

use std::sync::Arc;

use percept_backbone::{Experts, Weights, WeightsError};
use percept_core::pose::{KeypointScheme, KeypointSet};
use percept_core::{Error, Result};
use serde_json::Value;

use crate::sets::{scheme, scheme_of_names, sets_of_count, sets_of_names};

/// A set of keypoints, and what of the network gives it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) scheme: Arc<KeypointScheme>,
    /// A place in the list of decoders.
    pub(super) head: usize,
    /// The expert; 0 where there is none.
    pub(super) expert: usize,
}

/// The answers of a checkpoint, the usual one first, and where its decoders stand.
pub(super) fn answers(
    weights: &Weights,
    config: &Value,
    experts: Option<&Experts>,
) -> Result<(Vec<Answer>, Vec<String>), WeightsError> {
    let names = names(weights, config)?;
    let known = match names.iter().all(|name| name.to_uppercase().starts_with("LABEL_")) {
        true => sets_of_count(names.len()),
        false => sets_of_names(&names),
    };
    let expert = |set: KeypointSet| experts.map(|_| set as usize);
    let mut answers = Vec::new();
    for set in known {
        // Without its expert a set cannot be meant.
        if experts.is_none_or(|experts| (set as usize) < experts.count) {
            answers.push(Answer { scheme: scheme(set), head: 0, expert: expert(set).unwrap_or(0) });
        }
    }
    if answers.is_empty() {
        let scheme = Arc::new(scheme_of_names(names, edges(config)?));
        answers.push(Answer { scheme, head: 0, expert: 0 });
    }
    let mut prefixes = vec!["head".to_owned()];
    for (index, set) in KeypointSet::ALL.into_iter().skip(1).enumerate() {
        let prefix = format!("associate_heads.{index}");
        let has = weights.has(&format!("{prefix}.conv.weight"));
        if has && experts.is_some_and(|experts| (set as usize) < experts.count) {
            // Names alone do not tell AP-10K from APT-36K: a decoder of its own does.
            answers.retain(|answer| answer.scheme.set != Some(set));
            answers.push(Answer { scheme: scheme(set), head: prefixes.len(), expert: set as usize });
            prefixes.push(prefix);
        }
    }
    Ok((answers, prefixes))
}

/// The answer with the keypoints of a data set, or the usual one.
///
/// # Errors
/// [`Error::Argument`]: the checkpoint has no decoder for that set.
pub(super) fn chosen<'a>(
    answers: &'a [Answer],
    wanted: Option<KeypointSet>,
    model: &str,
) -> Result<&'a Answer> {
    let Some(set) = wanted else {
        return answers.first().ok_or_else(|| Error::argument(format!("`{model}` has no keypoints")));
    };
    answers.iter().find(|answer| answer.scheme.set == Some(set)).ok_or_else(|| {
        let sets: Vec<&str> =
            answers.iter().filter_map(|answer| answer.scheme.set).map(KeypointSet::name).collect();
        let has = match sets.as_slice() {
            [] => format!("{} of its own", answers.first().map_or(0, |answer| answer.scheme.names.len())),
            sets => format!("those of {}", sets.join(", ")),
        };
        Error::Argument {
            message: format!("`{model}` does not give the keypoints of {set}, but {has}"),
            hint: Some(
                "the published ViTPose++ snapshots have COCO's decoder only; one made of the authors' checkpoint with \
                 tests/reference/vitpose_heads.py has all six"
                    .into(),
            ),
        }
    })
}

/// What the first decoder's keypoints are called.
fn names(weights: &Weights, config: &Value) -> Result<Vec<String>, WeightsError> {
    let count = weights.shape("head.conv.weight").map_or(0, |shape| shape[0]);
    let Some(named) = config["id2label"].as_object() else {
        return Ok((0..count).map(|index| format!("LABEL_{index}")).collect());
    };
    if named.len() != count {
        return Err(WeightsError::Format(format!(
            "config.json: `id2label` has {} keypoints, the decoder {count}",
            named.len()
        )));
    }
    let name = |index: usize| config["id2label"][index.to_string()].as_str().map(str::to_owned);
    Ok((0..count).map(|index| name(index).unwrap_or_else(|| format!("LABEL_{index}"))).collect())
}

/// The lines between keypoints, where the configuration has them.
fn edges(config: &Value) -> Result<Vec<[usize; 2]>, WeightsError> {
    let Some(edges) = config["edges"].as_array() else { return Ok(Vec::new()) };
    let count = config["id2label"].as_object().map_or(0, serde_json::Map::len);
    let edge = |edge: &Value| {
        let [from, to] = edge.as_array()?.as_slice() else { return None };
        let number = |end: &Value| end.as_u64().map(|end| end as usize).filter(|end| *end < count);
        Some([number(from)?, number(to)?])
    };
    edges.iter().map(edge).collect::<Option<_>>().ok_or_else(|| {
        WeightsError::Format(format!("config.json: `edges` are not pairs of numbers below {count}"))
    })
}
