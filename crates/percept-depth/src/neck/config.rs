//! What a `config.json` says of the neck.

use percept_backbone::checkpoint::{activation, counts, positive, wrong};
use percept_backbone::{Activation, WeightsError};
use serde_json::Value;

/// The numbers of a neck.
#[derive(Clone, Debug)]
pub(crate) struct NeckConfig {
    /// What becomes of the token that stands for the image.
    pub(crate) readout: Readout,
    /// A stage for each state of the backbone.
    pub(crate) stages: Vec<Stage>,
    /// Channels of the maps that come out.
    pub(crate) width: usize,
    /// Whether the residual units have batch normalisation, and its eps.
    pub(crate) batch_norm: Option<f64>,
    /// What size a fused map is brought to.
    pub(crate) growth: Growth,
}

/// What becomes of the token that stands for the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readout {
    /// It is left out.
    Ignore,
    /// It is added to all others.
    Add,
    /// A matrix takes it and each of the others to a token.
    Project(Activation),
}

/// One stage of the neck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    /// Channels of its map.
    pub(crate) channels: usize,
    pub(crate) scale: Scale,
}

/// How large a stage's map is beside the grid of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// So many times, by a transposed convolution; 1 is none.
    Up(usize),
    /// An nth, by a convolution.
    Down(usize),
}

/// What size a fused map is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// Twice its own; the next map is brought to that (DPT).
    Twice,
    /// That of the next map; the last to twice its own (Depth Anything).
    ToNext,
}

impl NeckConfig {
    /// Reads a configuration of Depth Anything, DPT or ZoeDepth, whose defaults are `widths` and `width`.
    pub(crate) fn of(
        config: &Value,
        growth: Growth,
        (widths, width): (&[usize], usize),
    ) -> Result<Self, WeightsError> {
        let widths = counts(config, "neck_hidden_sizes", widths)?;
        let scales = match &config["reassemble_factors"] {
            Value::Null => vec![Scale::Up(4), Scale::Up(2), Scale::Up(1), Scale::Down(2)],
            value => factors(value).ok_or_else(|| {
                wrong(format!("`reassemble_factors` is {value}, not factors like 4 or 0.5"))
            })?,
        };
        if scales.len() != widths.len() || widths.is_empty() {
            return Err(wrong(format!(
                "`reassemble_factors` has {} numbers, `neck_hidden_sizes` {}",
                scales.len(),
                widths.len()
            )));
        }
        let readout = match (growth, &config["readout_type"]) {
            // Depth Anything has no such key.
            (Growth::ToNext, _) => Readout::Ignore,
            (_, Value::Null) => Readout::Project(activation(config, "hidden_act", Activation::GeluErf)?),
            (_, value) => match value.as_str() {
                Some("ignore") => Readout::Ignore,
                Some("add") => Readout::Add,
                Some("project") => Readout::Project(activation(config, "hidden_act", Activation::GeluErf)?),
                _ => return Err(wrong(format!("`readout_type` is {value}, not ignore, add or project"))),
            },
        };
        let batch_norm = config["use_batch_norm_in_fusion_residual"].as_bool().unwrap_or(false);
        Ok(Self {
            readout,
            stages: widths
                .into_iter()
                .zip(scales)
                .map(|(channels, scale)| Stage { channels, scale })
                .collect(),
            width: positive(config, "fusion_hidden_size", width)?,
            batch_norm: batch_norm.then(|| config["batch_norm_eps"].as_f64().unwrap_or(1e-5)),
            growth,
        })
    }
}

/// Factors as the reference reads them: a kernel of that size where they are whole, a stride of `int(1 / factor)` below 1.
fn factors(value: &Value) -> Option<Vec<Scale>> {
    let factor = |value: &Value| match value.as_f64()? {
        whole if whole >= 1.0 && whole.fract() == 0.0 && whole <= 64.0 => Some(Scale::Up(whole as usize)),
        part if part > 0.0 && (1.0 / 64.0..1.0).contains(&part) => Some(Scale::Down((1.0 / part) as usize)),
        _ => None,
    };
    value.as_array()?.iter().map(factor).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn factors_that_no_convolution_has_are_errors() {
        assert_eq!(
            factors(&json!([4, 2.0, 1, 0.5])),
            Some(vec![Scale::Up(4), Scale::Up(2), Scale::Up(1), Scale::Down(2)])
        );
        for wrong in [json!([1.5]), json!([0]), json!([-2]), json!(["4"]), json!(4)] {
            assert_eq!(factors(&wrong), None, "{wrong}");
        }
        let config = json!({"readout_type": "mean"});
        let error = NeckConfig::of(&config, Growth::Twice, (&[1, 2, 3, 4], 8)).unwrap_err();
        assert!(error.to_string().contains("readout_type"), "{error}");
    }
}
