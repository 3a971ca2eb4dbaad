//! The numbers that only D-FINE has.

use percept_backbone::WeightsError;
use serde_json::Value;

use percept_backbone::checkpoint::{positive, wrong};

/// What `config.json` says, with the defaults of transformers where it is silent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Refinement {
    /// Places that an edge may be moved to, less one; even.
    pub(super) bins: usize,
    /// How far the last places lie, as a part of the box.
    pub(super) up: f64,
    /// How close the middle places lie.
    pub(super) scale: f64,
    /// Of each edge, the likelihoods of so many places say how sure a box is.
    pub(super) best: usize,
    /// Channels inside what reads them.
    pub(super) quality_inner: usize,
    /// Its layers.
    pub(super) quality_layers: usize,
}

impl Refinement {
    /// `layers` is the number of layers of the decoder.
    pub(super) fn of(config: &Value, layers: usize) -> Result<Self, WeightsError> {
        // Where it is not the last layer that answers, transformers itself fails.
        let answers = config["eval_idx"].as_i64().unwrap_or(-1);
        if answers != -1 && answers != layers as i64 - 1 {
            return Err(wrong(format!(
                "`eval_idx` {answers}, which is not the last layer, is not supported"
            )));
        }
        let bins = positive(config, "max_num_bins", 32)?;
        if bins % 2 != 0 || bins < 4 {
            return Err(wrong(format!("`max_num_bins` is {bins}, not an even count from 4 on")));
        }
        let best = positive(config, "top_prob_values", 4)?;
        if best > bins + 1 {
            return Err(wrong(format!("`top_prob_values` is {best}, of {} places", bins + 1)));
        }
        Ok(Self {
            bins,
            up: config["up"].as_f64().unwrap_or(0.5),
            scale: config["reg_scale"].as_f64().unwrap_or(4.0),
            best,
            quality_inner: positive(config, "lqe_hidden_dim", 64)?,
            quality_layers: positive(config, "lqe_layers", 2)?,
        })
    }
}
