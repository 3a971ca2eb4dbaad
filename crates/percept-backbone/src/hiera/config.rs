//! The numbers of a Hiera, and how a `config.json` states them.

use serde_json::Value;

use crate::activation::Activation;
use crate::weights::WeightsError;

/// What differs between Hieras. Published sizes are tiny to large.
#[derive(Clone, Debug, PartialEq)]
pub struct HieraConfig {
    /// Side, step and zero padding of the convolution that makes tokens of pixels.
    pub patch: [usize; 3],
    /// Height and width of the table of positions that is stretched over the map.
    pub background: [usize; 2],
    /// Side of the table of positions that is repeated in each window.
    pub window_positions: usize,
    /// Queries are the largest of as many, down and across, where a stage shrinks the map.
    pub stride: [usize; 2],
    /// Channels by stage.
    pub dims: Vec<usize>,
    /// The last layer of each stage.
    pub stage_ends: Vec<usize>,
    /// The layers.
    pub blocks: Vec<HieraBlockShape>,
    /// Of the MLPs.
    pub activation: Activation,
    /// Of the norms.
    pub eps: f64,
}

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HieraBlockShape {
    /// Channels that go in, and that come out.
    pub dims: [usize; 2],
    /// Heads of attention.
    pub heads: usize,
    /// Channels inside the MLP.
    pub hidden: usize,
    /// Side of the windows of attention, before the map shrinks; `None`: over everything.
    pub window: Option<usize>,
    /// Whether the map shrinks.
    pub shrinks: bool,
}

impl HieraConfig {
    /// Reads a `backbone_config`, with the defaults of transformers where it is silent.
    pub fn of(config: &Value) -> Result<Self, WeightsError> {
        let list = |name: &str, default: &[usize]| match &config[name] {
            Value::Null => Ok(default.to_vec()),
            Value::Array(values) => values
                .iter()
                .map(|value| value.as_u64().map(|value| value as usize))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| wrong(&format!("`{name}` is no list of counts"))),
            value => Err(wrong(&format!("`{name}` is {value}, not a list"))),
        };
        let pair = |name: &str, default: [usize; 2]| match config[name].as_u64() {
            Some(both) => Ok([both as usize; 2]),
            None => list(name, &default)?.try_into().map_err(|_| wrong(&format!("`{name}` is no pair"))),
        };
        let square = |name: &str, default: usize| match pair(name, [default; 2])? {
            [a, b] if a == b => Ok(a),
            other => Err(wrong(&format!("`{name}` is {other:?}, not a square"))),
        };
        let name = config["hidden_act"].as_str().unwrap_or("gelu");
        let activation =
            Activation::from_config(name).ok_or_else(|| wrong(&format!("`{name}` is unknown")))?;
        let dims = list("embed_dim_per_stage", &[96, 192, 384, 768])?;
        let counts = list("blocks_per_stage", &[1, 2, 7, 2])?;
        let heads = list("num_attention_heads_per_stage", &[1, 2, 4, 8])?;
        let windows = list("window_size_per_stage", &[8, 4, 14, 7])?;
        let global = list("global_attention_blocks", &[5, 7, 9])?;
        let shrinking = config["num_query_pool_stages"].as_u64().unwrap_or(3) as usize;
        let ratio = config["mlp_ratio"].as_f64().unwrap_or(4.0);
        let stages = dims.len();
        if stages == 0 || [counts.len(), heads.len(), windows.len()] != [stages; 3] || counts.contains(&0) {
            return Err(wrong("stages of different number, or without layers"));
        }
        let mut blocks = Vec::new();
        let mut stage_ends = Vec::new();
        for stage in 0..stages {
            for index in 0..counts[stage] {
                // The first layer of a stage takes what the stage before it left, in its windows.
                let before = if index == 0 { stage.saturating_sub(1) } else { stage };
                let window =
                    (!global.contains(&blocks.len()) && windows[before] > 0).then_some(windows[before]);
                let shrinks = index == 0 && (1..=shrinking).contains(&stage);
                blocks.push(HieraBlockShape {
                    dims: [dims[before], dims[stage]],
                    heads: heads[stage],
                    hidden: (dims[stage] as f64 * ratio) as usize,
                    window,
                    shrinks,
                });
            }
            stage_ends.push(blocks.len() - 1);
        }
        Ok(Self {
            patch: [square("patch_kernel_size", 7)?, square("patch_stride", 4)?, square("patch_padding", 3)?],
            background: pair("window_positional_embedding_background_size", [7, 7])?,
            window_positions: windows[0],
            stride: pair("query_stride", [2, 2])?,
            dims,
            stage_ends,
            blocks,
            activation,
            eps: config["layer_norm_eps"].as_f64().unwrap_or(1e-6),
        })
    }
}

fn wrong(reason: &str) -> WeightsError {
    WeightsError::Format(format!("config.json: {reason}"))
}
