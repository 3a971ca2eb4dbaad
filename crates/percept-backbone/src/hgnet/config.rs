//! The numbers of an HGNetV2, and how a `config.json` states them.

use serde_json::Value;

use crate::activation::Activation;
use crate::checkpoint::{activation, counts, wrong};
use crate::stages::out_stages;
use crate::weights::WeightsError;

/// What differs between HGNetV2s. It has no default: each of them changes results.
#[derive(Clone, Debug, PartialEq)]
pub struct HgnetConfig {
    /// Channels inside the stem and behind it.
    pub stem: [usize; 2],
    /// Strides of the five convolutions of the stem.
    pub stem_strides: [usize; 5],
    /// Of the stem; in stages it is always ReLU.
    pub activation: Activation,
    /// Whether a factor and a summand follow each activation (`use_learnable_affine_block`).
    pub affine: bool,
    /// The stages.
    pub stages: Vec<HgnetStage>,
    /// The maps that come out, in order: 0 is the stem, stages count from 1.
    pub out: Vec<usize>,
}

/// The numbers of one stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HgnetStage {
    /// Channels of its input.
    pub from: usize,
    /// Channels of its layers.
    pub middle: usize,
    /// Channels of its output.
    pub to: usize,
    /// Blocks.
    pub blocks: usize,
    /// Layers of a block.
    pub layers: usize,
    /// Side of their kernels.
    pub kernel: usize,
    /// Whether a layer is a mixture of channels and then a convolution of each channel by itself.
    pub light: bool,
    /// Pixels of its input from one of its output to the next; none where it begins without a convolution for that.
    pub stride: Option<usize>,
}

impl HgnetConfig {
    /// Reads the `config.json` of an HGNetV2, or the part of one that describes it (`backbone_config`), with the defaults
    /// of transformers where it is silent.
    ///
    /// # Errors
    /// If it is no HGNetV2, or its numbers make no sense.
    pub fn of(config: &Value) -> Result<Self, WeightsError> {
        let kind = config["model_type"].as_str().unwrap_or("hgnet_v2");
        if kind != "hgnet_v2" {
            return Err(wrong(format!("`{kind}` is no HGNetV2")));
        }
        let of_stages = |name: &str, default: [usize; 4]| counts(config, name, &default);
        let from = of_stages("stage_in_channels", [48, 128, 512, 1024])?;
        let middle = of_stages("stage_mid_channels", [48, 96, 192, 384])?;
        let to = of_stages("stage_out_channels", [128, 512, 1024, 2048])?;
        let blocks = of_stages("stage_num_blocks", [1, 1, 3, 1])?;
        let layers = of_stages("stage_numb_of_layers", [6; 4])?;
        let kernels = of_stages("stage_kernel_size", [3, 3, 5, 5])?;
        let strides = strides(config, "stage_downsample_strides", &[2; 4])?;
        let halves = switches(config, "stage_downsample", &[false, true, true, true])?;
        let light = switches(config, "stage_light_block", &[false, false, true, true])?;
        let lengths = [&from, &middle, &to, &blocks, &layers, &kernels, &strides].map(Vec::len);
        if lengths.iter().chain(&[halves.len(), light.len()]).any(|length| *length != from.len()) {
            return Err(wrong("the lists of stages (`stage_in_channels` and others) differ in length"));
        }
        let stage = |at: usize| HgnetStage {
            from: from[at],
            middle: middle[at],
            to: to[at],
            blocks: blocks[at],
            layers: layers[at],
            kernel: kernels[at],
            light: light[at],
            stride: halves[at].then_some(strides[at]),
        };
        let stages: Vec<HgnetStage> = (0..from.len()).map(stage).collect();
        if let Some(even) = stages.iter().find(|stage| stage.kernel % 2 == 0) {
            return Err(wrong(format!("`stage_kernel_size` {} is even", even.kernel)));
        }
        if stages.iter().any(|stage| stage.to < 2) {
            return Err(wrong(format!("`stage_out_channels` is {to:?}")));
        }
        let stem = counts(config, "stem_channels", &[3, 32, 48])?;
        let &[3, inside, behind] = stem.as_slice() else {
            return Err(wrong(format!("`stem_channels` is {stem:?}, not three counts from 3 on")));
        };
        let stem_strides = self::strides(config, "stem_strides", &[2, 1, 1, 2, 1])?;
        Ok(Self {
            stem: [inside, behind],
            stem_strides: stem_strides
                .try_into()
                .map_err(|found| wrong(format!("`stem_strides` is {found:?}, not five counts")))?,
            activation: activation(config, "hidden_act", Activation::Relu)?,
            affine: config["use_learnable_affine_block"].as_bool().unwrap_or(false),
            out: out_stages(config, stages.len())?,
            stages,
        })
    }

    /// Channels of the maps that come out.
    pub fn out_channels(&self) -> Vec<usize> {
        let channels = |at: &usize| if *at == 0 { self.stem[1] } else { self.stages[at - 1].to };
        self.out.iter().map(channels).collect()
    }
}

/// Counts, each of which may stand twice, for both directions.
fn strides(config: &Value, name: &str, default: &[usize]) -> Result<Vec<usize>, WeightsError> {
    let mut config = Value::Object([(name.to_owned(), config[name].clone())].into_iter().collect());
    for value in config[name].as_array_mut().into_iter().flatten() {
        if let Some([both, again]) = value.as_array().map(Vec::as_slice)
            && both == again
        {
            *value = both.clone();
        }
    }
    counts(&config, name, default)
}

fn switches(config: &Value, name: &str, default: &[bool]) -> Result<Vec<bool>, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default.to_vec()),
        value => value
            .as_array()
            .and_then(|values| values.iter().map(Value::as_bool).collect())
            .ok_or_else(|| wrong(format!("`{name}` is {value}, not a list of true and false"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_config_that_leaves_things_out_means_the_defaults_of_transformers() {
        let plain = HgnetConfig::of(&json!({"out_indices": [2, 3, 4]})).unwrap();
        assert_eq!((plain.stem, plain.out_channels()), ([32, 48], vec![512, 1024, 2048]));
        assert_eq!((plain.stages[0].stride, plain.stages[3].stride), (None, Some(2)));
        assert!(plain.stages[2].light && !plain.stages[1].light && !plain.affine);
        let pairs = json!({"stem_strides": [[2, 2], 1, 1, 2, 1]});
        assert_eq!(HgnetConfig::of(&pairs).unwrap().stem_strides, [2, 1, 1, 2, 1]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_says_what() {
        for (config, said) in [
            (json!({"model_type": "hgnet"}), "hgnet"),
            (json!({"stage_mid_channels": [8, 8]}), "stage_in_channels"),
            (json!({"stage_kernel_size": [3, 4, 5, 5]}), "stage_kernel_size"),
            (json!({"stage_light_block": [1, 0, 1, 1]}), "stage_light_block"),
            (json!({"stem_channels": [1, 8, 8]}), "stem_channels"),
            (json!({"stem_strides": [[2, 1], 1, 1, 2, 1]}), "stem_strides"),
            (json!({"stem_strides": [2, 2]}), "stem_strides"),
            (json!({"out_indices": [6]}), "out_indices"),
        ] {
            let error = HgnetConfig::of(&config).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
