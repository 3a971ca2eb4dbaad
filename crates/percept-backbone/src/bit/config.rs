//! What a `config.json` says of a BiT.

use serde_json::Value;

use crate::activation::Activation;
use crate::checkpoint::{activation, counts, out_stages, positive, wrong};
use crate::weights::WeightsError;

/// The numbers of a BiT. It has no default: each of them changes results.
#[derive(Clone, Debug)]
pub struct BitConfig {
    /// Channels behind the stem.
    pub stem: usize,
    /// Channels of each stage.
    pub channels: Vec<usize>,
    /// Layers of each stage.
    pub depths: Vec<usize>,
    /// Groups of the norms.
    pub groups: usize,
    /// Between layers.
    pub activation: Activation,
    /// What convolutions see beyond the edge.
    pub border: Border,
    /// Whether the stem's pooling has a border that keeps half the size, rounded up.
    pub pools_border: bool,
    /// The maps that come out: 0 is the stem, 1 the first stage.
    pub stages: Vec<usize>,
}

/// The zeros around a convolution's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// As many on each side as half the kernel.
    Symmetric,
    /// So many that the size over the stride, rounded up, comes out; where they are odd, one more behind (TensorFlow's
    /// `SAME`).
    Same,
    /// None.
    Valid,
}

impl BitConfig {
    /// Reads a `config.json` with `model_type` `bit`.
    ///
    /// # Errors
    /// For values that make no sense, and for layers that normalise before each convolution (`preactivation`).
    pub fn of(config: &Value) -> Result<Self, WeightsError> {
        match config["layer_type"].as_str() {
            Some("bottleneck") => {}
            other => {
                let other = other.unwrap_or("preactivation");
                return Err(wrong(format!("`layer_type` is {other}, only bottleneck is supported")));
            }
        }
        let padding = &config["global_padding"];
        let border = match padding.as_str().map(str::to_uppercase).as_deref() {
            None if padding.is_null() => Border::Symmetric,
            Some("SAME") => Border::Same,
            Some("VALID") => Border::Valid,
            _ => return Err(wrong(format!("`global_padding` is {padding}, not SAME or VALID"))),
        };
        let channels = counts(config, "hidden_sizes", &[256, 512, 1024, 2048])?;
        let depths = counts(config, "depths", &[3, 4, 6, 3])?;
        if channels.len() < depths.len() || depths.is_empty() {
            return Err(wrong(format!(
                "`hidden_sizes` has {} stages, `depths` {}",
                channels.len(),
                depths.len()
            )));
        }
        // With the usual stride of 32 no stage of four is dilated.
        if positive(config, "output_stride", 32)? < 32 || depths.len() > 4 {
            return Err(wrong("`output_stride` is below that of the stages: dilation is not supported"));
        }
        let factor = positive(config, "width_factor", 1)?;
        let groups = positive(config, "num_groups", 32)?;
        Ok(Self {
            stem: positive(config, "embedding_size", 64)?,
            channels: channels.iter().take(depths.len()).map(|width| multiple_of_8(width * factor)).collect(),
            stages: out_stages(config, depths.len())?,
            depths,
            groups,
            activation: activation(config, "hidden_act", Activation::Relu)?,
            border,
            pools_border: config["embedding_dynamic_padding"].as_bool().unwrap_or(false),
        })
    }
}

/// `make_div`: the nearest multiple of 8, and one more where that is below nine tenths.
pub(super) fn multiple_of_8(value: usize) -> usize {
    let near = ((value + 4) / 8 * 8).max(8);
    if near * 10 < value * 9 { near + 8 } else { near }
}
