//! The numbers of a Swin Transformer, and how a `config.json` states them.

use serde_json::Value;

use crate::activation::Activation;
use crate::checkpoint::{above_zero, activation, counts, wrong};
use crate::weights::WeightsError;

/// What differs between Swin Transformers. It has no default: each of them changes results.
#[derive(Clone, Debug, PartialEq)]
pub struct SwinConfig {
    /// Channels of the first stage; each stage has twice as many as the one before it.
    pub dim: usize,
    /// Layers of each stage.
    pub depths: Vec<usize>,
    /// Heads of each stage.
    pub heads: Vec<usize>,
    /// Tokens down and across a window.
    pub window: usize,
    /// Channels inside the MLP, as a multiple of those outside.
    pub mlp_ratio: f64,
    /// Of the MLP.
    pub activation: Activation,
    /// Of the norms inside of layers.
    pub eps: f64,
    /// Side of a patch, in pixels.
    pub patch: usize,
    /// The stages, from 0, whose maps come out, in order.
    pub stages: Vec<usize>,
}

impl SwinConfig {
    /// Reads the `config.json` of a Swin, or the part of one that describes it (`backbone_config`), with the defaults
    /// of transformers where it is silent.
    ///
    /// # Errors
    /// If it is no Swin, or its numbers make no sense.
    pub fn of(config: &Value) -> Result<Self, WeightsError> {
        let kind = config["model_type"].as_str().unwrap_or("swin");
        if kind != "swin" {
            return Err(wrong(format!("`{kind}` is no Swin")));
        }
        if config["use_absolute_embeddings"].as_bool().unwrap_or(false) {
            return Err(wrong("a Swin with absolute positions is not supported"));
        }
        let depths = counts(config, "depths", &[2, 2, 6, 2])?;
        let heads = counts(config, "num_heads", &[3, 6, 12, 24])?;
        if depths.is_empty() || heads.len() != depths.len() {
            return Err(wrong(format!("{} stages with heads for {}", depths.len(), heads.len())));
        }
        let one = |name: &str, default: usize| match &config[name] {
            // Patches are square in every published one.
            Value::Array(pair) if pair.len() == 2 && pair[0] == pair[1] => above_zero(name, &pair[0]),
            Value::Null => Ok(default),
            value => above_zero(name, value),
        };
        Ok(Self {
            dim: one("embed_dim", 96)?,
            window: one("window_size", 7)?,
            mlp_ratio: config["mlp_ratio"].as_f64().unwrap_or(4.0),
            activation: activation(config, "hidden_act", Activation::GeluErf)?,
            eps: config["layer_norm_eps"].as_f64().unwrap_or(1e-5),
            patch: one("patch_size", 4)?,
            stages: stages(config, depths.len())?,
            depths,
            heads,
        })
    }

    /// Channels of a stage.
    pub fn channels(&self, stage: usize) -> usize {
        self.dim << stage
    }
}

/// `out_features` or `out_indices`; the last stage where there are neither.
fn stages(config: &Value, count: usize) -> Result<Vec<usize>, WeightsError> {
    let found: Option<Vec<usize>> = match (&config["out_features"], &config["out_indices"]) {
        (Value::Array(names), _) => {
            let number = |name: &Value| name.as_str()?.strip_prefix("stage")?.parse().ok();
            names.iter().map(number).collect()
        }
        (_, Value::Array(numbers)) => {
            numbers.iter().map(|number| number.as_u64().map(|number| number as usize)).collect()
        }
        _ => Some(vec![count]),
    };
    let stages =
        found.filter(|stages| !stages.is_empty() && stages.iter().all(|at| (1..=count).contains(at)));
    let stages = stages.filter(|stages| stages.is_sorted_by(|a, b| a < b));
    stages.map(|stages| stages.iter().map(|stage| stage - 1).collect()).ok_or_else(|| {
        wrong(format!("`out_features` {} are not some of {count} stages", config["out_features"]))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_config_that_leaves_things_out_means_the_defaults_of_transformers() {
        let tiny = SwinConfig::of(&json!({"model_type": "swin"})).unwrap();
        assert_eq!((tiny.dim, tiny.window, tiny.patch, tiny.stages), (96, 7, 4, vec![3]));
        // `facebook/mask2former-swin-large-*`.
        let large = json!({"embed_dim": 192, "window_size": 12, "depths": [2, 2, 18, 2], "num_heads": [6, 12, 24, 48],
            "out_features": ["stage1", "stage2", "stage3", "stage4"]});
        let large = SwinConfig::of(&large).unwrap();
        assert_eq!((large.channels(3), large.stages), (1536, vec![0, 1, 2, 3]));
        assert_eq!(SwinConfig::of(&json!({"out_indices": [2, 4]})).unwrap().stages, [1, 3]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for wrong in [
            json!({"model_type": "resnet"}),
            json!({"use_absolute_embeddings": true}),
            json!({"depths": [2, 2], "num_heads": [3]}),
            json!({"depths": []}),
            json!({"window_size": 0}),
            json!({"patch_size": [4, 2]}),
            json!({"out_features": ["stem"]}),
            json!({"out_indices": [5]}),
            json!({"hidden_act": "mish"}),
        ] {
            assert!(SwinConfig::of(&wrong).is_err(), "{wrong}");
        }
    }
}
