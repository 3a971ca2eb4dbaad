//! The numbers of a residual network, and how a `config.json` states them.

use serde_json::{Value, json};

use crate::activation::Activation;
use crate::checkpoint::{activation, counts, positive, wrong};
use crate::stages::out_stages;
use crate::weights::WeightsError;

/// What a layer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layers {
    /// Two convolutions of 3 x 3.
    Basic,
    /// A convolution of 3 x 3 over a quarter of the channels, between two of 1 x 1.
    Bottleneck,
}

/// What differs between residual networks. It has no default: each of them changes results.
#[derive(Clone, Debug, PartialEq)]
pub struct ResnetConfig {
    /// Whether it is ResNet-D, as RT-DETR has it.
    pub deep: bool,
    /// Channels of the stem.
    pub stem: usize,
    /// Channels of each stage.
    pub channels: Vec<usize>,
    /// Layers of each stage.
    pub depths: Vec<usize>,
    /// What all of them are made of.
    pub layers: Layers,
    /// Of the stem, and behind each layer; inside of layers it is always ReLU.
    pub activation: Activation,
    /// Whether a bottleneck halves the map in its first convolution, not in its second.
    pub halve_early: bool,
    /// Of the first layer of each stage: pixels of its input from one of its output to the next.
    pub strides: Vec<usize>,
    /// Of the layers of each stage but the first: pixels between those that a convolution of 3 x 3 sees. The first layer
    /// has that of the stage before.
    pub dilations: Vec<usize>,
    /// The maps that come out, in order: 0 is the stem, stages count from 1.
    pub stages: Vec<usize>,
}

impl ResnetConfig {
    /// Reads the `config.json` of a residual network, or the part of one that describes it (`backbone_config`), with
    /// the defaults of transformers where it is silent. `model_type` is `resnet`, `rt_detr_resnet`, or `timm_backbone`
    /// for the names that timm gives (`resnet50`).
    ///
    /// # Errors
    /// If it is no residual network that is known here, or its numbers make no sense.
    pub fn of(config: &Value) -> Result<Self, WeightsError> {
        let deep = match config["model_type"].as_str().unwrap_or("resnet") {
            "resnet" => false,
            "rt_detr_resnet" => true,
            "timm_backbone" => return Self::of_timm(config),
            other => return Err(wrong(format!("`{other}` is no residual network that is known here"))),
        };
        let layers = match config["layer_type"].as_str().unwrap_or("bottleneck") {
            "basic" => Layers::Basic,
            "bottleneck" => Layers::Bottleneck,
            other => return Err(wrong(format!("`layer_type` is `{other}`, not `basic` or `bottleneck`"))),
        };
        let switch = |name: &str| config[name].as_bool().unwrap_or(false);
        let depths = counts(config, "depths", &[3, 4, 6, 3])?;
        let channels = counts(config, "hidden_sizes", &[256, 512, 1024, 2048])?;
        let found = Self {
            deep,
            stem: positive(config, "embedding_size", 64)?,
            stages: out_stages(config, depths.len())?,
            strides: strides(depths.len(), switch("downsample_in_first_stage")),
            dilations: vec![1; depths.len()],
            channels,
            depths,
            layers,
            activation: activation(config, "hidden_act", Activation::Relu)?,
            halve_early: switch("downsample_in_bottleneck"),
        };
        found.checked(config)
    }

    /// Reads the backbone that the `config.json` of a detector such as DETR describes: its `backbone_config`, or the
    /// name of a network of timm, as published ones have it (`use_timm_backbone`, `backbone`, `dilation`).
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_detector(config: &Value) -> Result<Self, WeightsError> {
        if config["backbone_config"].is_object() {
            return Self::of(&config["backbone_config"]);
        }
        if !config["use_timm_backbone"].as_bool().unwrap_or(true) {
            return Self::of(&json!({"model_type": "resnet", "out_features": ["stage4"]}));
        }
        let arguments = &config["backbone_kwargs"];
        let or = |value: &Value, default: Value| if value.is_null() { default } else { value.clone() };
        let output_stride = match config["dilation"].as_bool().unwrap_or(false) {
            true => or(&arguments["output_stride"], json!(16)),
            false => Value::Null,
        };
        Self::of_timm(&json!({
            "backbone": or(&config["backbone"], json!("resnet50")),
            "out_indices": or(&arguments["out_indices"], json!([1, 2, 3, 4])),
            "output_stride": output_stride,
        }))
    }

    /// `backbone`, `out_indices` and `output_stride` as timm knows them.
    fn of_timm(config: &Value) -> Result<Self, WeightsError> {
        let name = config["backbone"].as_str().unwrap_or("resnet50");
        // What stands behind the dot names weights.
        let (layers, depths) = match name.split('.').next().unwrap_or(name) {
            "resnet18" => (Layers::Basic, [2, 2, 2, 2]),
            "resnet34" => (Layers::Basic, [3, 4, 6, 3]),
            "resnet50" => (Layers::Bottleneck, [3, 4, 6, 3]),
            "resnet101" => (Layers::Bottleneck, [3, 4, 23, 3]),
            "resnet152" => (Layers::Bottleneck, [3, 8, 36, 3]),
            _ => return Err(wrong(format!("the backbone `{name}` of timm is not supported"))),
        };
        // Its `out_features` are the same by timm's names for them.
        let stages = match &config["out_indices"] {
            named @ Value::Array(_) => out_stages(&json!({"out_indices": named}), depths.len())?,
            _ => out_stages(&json!({"out_indices": [1, 2, 3, 4]}), depths.len())?,
        };
        if stages[0] == 0 {
            // timm's is taken before the maximum, that of transformers behind it.
            return Err(wrong("the map of the stem of a network of timm is not supported"));
        }
        let (strides, dilations) =
            dilated(&strides(depths.len(), false), positive(config, "output_stride", 32)?);
        let widen = if layers == Layers::Basic { 1 } else { 4 };
        Ok(Self {
            deep: false,
            stem: 64,
            channels: [64, 128, 256, 512].map(|channels| widen * channels).to_vec(),
            depths: depths.to_vec(),
            layers,
            activation: Activation::Relu,
            halve_early: false,
            strides,
            dilations,
            stages,
        })
    }

    fn checked(self, config: &Value) -> Result<Self, WeightsError> {
        let stages = self.depths.len();
        if self.channels.len() != stages {
            let (sizes, depths) = (&config["hidden_sizes"], &config["depths"]);
            return Err(wrong(format!("`hidden_sizes` {sizes} and `depths` {depths} are not of one length")));
        }
        if self.layers == Layers::Bottleneck
            && self.channels.iter().any(|channels| !channels.is_multiple_of(4))
        {
            return Err(wrong(format!("`hidden_sizes` {:?} do not divide by 4", self.channels)));
        }
        if self.deep && !self.stem.is_multiple_of(2) {
            return Err(wrong(format!("`embedding_size` {} is odd", self.stem)));
        }
        Ok(self)
    }

    /// Channels of the maps that come out.
    pub fn out_channels(&self) -> Vec<usize> {
        let channels = |stage: &usize| if *stage == 0 { self.stem } else { self.channels[stage - 1] };
        self.stages.iter().map(channels).collect()
    }
}

fn strides(stages: usize, halve_first: bool) -> Vec<usize> {
    (0..stages).map(|stage| if stage == 0 && !halve_first { 1 } else { 2 }).collect()
}

/// Strides and dilations of a network whose last map is `output_stride` times smaller than the image: stages that would
/// make it smaller still look further apart instead (`timm.models.resnet.make_blocks`).
fn dilated(strides: &[usize], output_stride: usize) -> (Vec<usize>, Vec<usize>) {
    // That of the stem.
    let (mut reached, mut dilation) = (4, 1);
    let stage = |stride: &usize| {
        if reached >= output_stride {
            dilation *= stride;
            return (1, dilation);
        }
        reached *= stride;
        (*stride, dilation)
    };
    strides.iter().map(stage).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_that_leaves_things_out_means_the_defaults_of_transformers() {
        let plain = ResnetConfig::of(&json!({})).unwrap();
        assert_eq!((plain.deep, plain.stem, plain.out_channels()), (false, 64, vec![2048]));
        assert_eq!((plain.strides, plain.depths), (vec![1, 2, 2, 2], vec![3, 4, 6, 3]));
        // `PekingU/rtdetr_r18vd`.
        let small = ResnetConfig::of(&json!({
            "model_type": "rt_detr_resnet", "layer_type": "basic", "depths": [2, 2, 2, 2],
            "hidden_sizes": [64, 128, 256, 512], "out_indices": [2, 3, 4], "out_features": null,
        }));
        let small = small.unwrap();
        assert_eq!(
            (small.deep, small.layers, small.out_channels()),
            (true, Layers::Basic, vec![128, 256, 512])
        );
        assert_eq!(ResnetConfig::of(&json!({"out_indices": [-2, -1]})).unwrap().stages, [3, 4]);
    }

    #[test]
    fn published_detectors_name_a_network_of_timm() {
        // `facebook/detr-resnet-50`, `-101-dc5`, and the former as converted.
        let old =
            ResnetConfig::of_detector(&json!({"backbone": "resnet50", "backbone_config": null})).unwrap();
        assert_eq!((old.strides, old.dilations), (vec![1, 2, 2, 2], vec![1; 4]));
        assert_eq!(old.stages, [1, 2, 3, 4]);
        let dilated = json!({"backbone": "resnet101", "use_timm_backbone": true, "dilation": true});
        let dilated = ResnetConfig::of_detector(&dilated).unwrap();
        assert_eq!(dilated.out_channels(), [256, 512, 1024, 2048]);
        assert_eq!((dilated.strides, dilated.dilations), (vec![1, 2, 2, 1], vec![1, 1, 1, 2]));
        assert_eq!(dilated.depths, [3, 4, 23, 3]);
        let converted = json!({"use_timm_backbone": false, "backbone_config": {"out_features": ["stage4"]}});
        assert_eq!(ResnetConfig::of_detector(&converted).unwrap().stages, [4]);
        // As transformers 5.23 saves a DETR with a network of timm.
        let saved = json!({"backbone_config": {
            "model_type": "timm_backbone", "backbone": "resnet50", "out_indices": [1, 2, 3, 4],
            "out_features": ["layer1", "layer2", "layer3", "layer4"],
        }});
        assert_eq!(ResnetConfig::of_detector(&saved).unwrap().stages, [1, 2, 3, 4]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_says_what() {
        for (config, said) in [
            (json!({"model_type": "convnext"}), "convnext"),
            (json!({"layer_type": "wide"}), "wide"),
            (json!({"depths": [2, 2]}), "hidden_sizes"),
            (json!({"depths": [0, 2, 2, 2]}), "depths"),
            (json!({"hidden_sizes": [6, 8, 8, 8]}), "divide by 4"),
            (json!({"hidden_act": "mish"}), "mish"),
            (json!({"out_indices": [5]}), "[5]"),
            (json!({"out_indices": [3, 2]}), "[3,2]"),
            (json!({"out_features": ["layer4"]}), "layer4"),
            (json!({"model_type": "timm_backbone", "backbone": "resnet50d"}), "resnet50d"),
            (json!({"model_type": "timm_backbone", "out_indices": [0, 4]}), "stem"),
            (json!({"model_type": "rt_detr_resnet", "embedding_size": 7}), "embedding_size"),
        ] {
            let error = ResnetConfig::of(&config).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
