//! The numbers of RT-DETR, RT-DETRv2 and D-FINE behind their backbones.

use percept_backbone::checkpoint::{activation, count, counts, positive, wrong};
use percept_backbone::{Activation, PointSampling, WeightsError};
use serde_json::Value;

/// Which of the three it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    RtDetr,
    RtDetrV2,
    DFine,
}

/// What `config.json` says, with the defaults of transformers where it is silent.
///
/// `anchor_image_size` is not here: it fixes the image's size, and for that size it changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) encoder: EncoderShape,
    /// Channels of queries.
    pub(crate) dim: usize,
    pub(crate) queries: usize,
    pub(crate) classes: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    /// Channels inside the MLPs of the decoder.
    pub(crate) inner: usize,
    pub(crate) activation: Activation,
    /// Channels of the maps that the encoder hands over, as the decoder states them.
    pub(crate) in_channels: Vec<usize>,
    /// Points that a head reads of each map; there are as many maps, the last of them made of the coarsest.
    pub(crate) points: Vec<usize>,
    /// Part of a box that an offset of 1 is, times the number of points.
    pub(crate) offset_scale: f64,
    pub(crate) sampling: PointSampling,
    /// Of layer norms.
    pub(crate) eps: f64,
    /// Of batch norms, but those right behind the backbone.
    pub(crate) batch_eps: f64,
}

/// The numbers of the hybrid encoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EncoderShape {
    /// Channels.
    pub(crate) dim: usize,
    /// Maps.
    pub(crate) levels: usize,
    /// Maps that attention mixes by themselves.
    pub(crate) attended: Vec<usize>,
    /// Layers of attention for each of them.
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    /// Channels inside the MLPs.
    pub(crate) inner: usize,
    pub(crate) activation: Activation,
    /// Of convolutions.
    pub(crate) of_convolutions: Activation,
    /// Whether layers of attention normalise first.
    pub(crate) pre_norm: bool,
    /// The longest wave of positions; none where there are no positions.
    pub(crate) temperature: Option<f64>,
    /// Channels inside a fusion, as a multiple of those outside.
    pub(crate) expansion: f64,
    /// Convolutions inside a fusion, as a multiple of three.
    pub(crate) depth: f64,
    pub(crate) eps: f64,
    pub(crate) batch_eps: f64,
}

impl Shape {
    pub(crate) fn of(config: &Value, family: Family, classes: usize) -> Result<Self, WeightsError> {
        let number = |name: &str, default| positive(config, name, default);
        let norm = |name: &str| config[name].as_f64().unwrap_or(1e-5);
        if config["learn_initial_query"].as_bool().unwrap_or(false) {
            return Err(wrong("learned queries (`learn_initial_query`) are not supported"));
        }
        let levels = number("num_feature_levels", 3)?;
        let points = match (family, &config["decoder_n_points"]) {
            (Family::DFine, Value::Array(_)) => counts(config, "decoder_n_points", &[])?,
            _ => vec![number("decoder_n_points", 4)?; levels],
        };
        if points.len() != levels {
            let (points, levels) = (&config["decoder_n_points"], &config["num_feature_levels"]);
            return Err(wrong(format!(
                "`decoder_n_points` {points} does not fit `num_feature_levels` {levels}"
            )));
        }
        let (offset_scale, sampling) = match family {
            Family::RtDetr => (0.5, PointSampling::Bilinear),
            _ => (config["decoder_offset_scale"].as_f64().unwrap_or(0.5), sampling(config)?),
        };
        let decoded = number("decoder_n_levels", levels)?;
        if family == Family::RtDetrV2 && decoded != levels {
            return Err(wrong(format!("`decoder_n_levels` {decoded} is not `num_feature_levels` {levels}")));
        }
        let (dim, heads) = (number("d_model", 256)?, number("decoder_attention_heads", 8)?);
        let in_channels = counts(config, "decoder_in_channels", &[256; 3])?;
        if in_channels.is_empty() || in_channels.len() > levels {
            let given = &config["decoder_in_channels"];
            return Err(wrong(format!("`decoder_in_channels` {given} is not for {levels} maps or fewer")));
        }
        let encoder = EncoderShape::of(config)?;
        if encoder.levels != in_channels.len() {
            let (ours, theirs) = (&config["encoder_in_channels"], &config["decoder_in_channels"]);
            return Err(wrong(format!(
                "`encoder_in_channels` {ours} and `decoder_in_channels` {theirs} differ in length"
            )));
        }
        Ok(Self {
            encoder,
            dim,
            queries: number("num_queries", 300)?,
            classes,
            layers: number("decoder_layers", 6)?,
            heads,
            inner: number("decoder_ffn_dim", 1024)?,
            activation: activation(config, "decoder_activation_function", Activation::Relu)?,
            in_channels,
            points,
            offset_scale,
            sampling,
            eps: norm("layer_norm_eps"),
            batch_eps: norm("batch_norm_eps"),
        })
    }
}

impl EncoderShape {
    fn of(config: &Value) -> Result<Self, WeightsError> {
        let number = |name: &str, default| positive(config, name, default);
        let norm = |name: &str| config[name].as_f64().unwrap_or(1e-5);
        let in_channels = counts(config, "encoder_in_channels", &[512, 1024, 2048])?;
        let attended = match &config["encode_proj_layers"] {
            Value::Null => Some(vec![2]),
            Value::Array(levels) => {
                levels.iter().map(|level| level.as_u64().map(|level| level as usize)).collect()
            }
            _ => None,
        };
        let levels = in_channels.len();
        let attended = attended.filter(|attended| attended.iter().all(|level| *level < levels));
        let attended = attended.ok_or_else(|| {
            wrong(format!(
                "`encode_proj_layers` {} are not among {levels} maps",
                config["encode_proj_layers"]
            ))
        })?;
        let dim = number("encoder_hidden_dim", 256)?;
        let temperature = config["positional_encoding_temperature"].as_f64().unwrap_or(10_000.0);
        // Positions are those of training there, and are left out.
        let temperature = config["eval_size"].is_null().then_some(temperature);
        if dim % 4 != 0 {
            return Err(wrong(format!("`encoder_hidden_dim` {dim} does not divide by 4")));
        }
        Ok(Self {
            dim,
            levels,
            attended,
            layers: count(config, "encoder_layers", 1)?,
            heads: number("encoder_attention_heads", 8)?,
            inner: number("encoder_ffn_dim", 1024)?,
            activation: activation(config, "encoder_activation_function", Activation::GeluErf)?,
            of_convolutions: activation(config, "activation_function", Activation::Silu)?,
            pre_norm: config["normalize_before"].as_bool().unwrap_or(false),
            temperature,
            expansion: config["hidden_expansion"].as_f64().unwrap_or(1.0),
            depth: config["depth_mult"].as_f64().unwrap_or(1.0),
            eps: norm("layer_norm_eps"),
            batch_eps: norm("batch_norm_eps"),
        })
    }
}

fn sampling(config: &Value) -> Result<PointSampling, WeightsError> {
    match config["decoder_method"].as_str().unwrap_or("default") {
        "default" => Ok(PointSampling::Bilinear),
        "discrete" => Ok(PointSampling::Discrete),
        other => Err(wrong(format!("`decoder_method` is `{other}`, not `default` or `discrete`"))),
    }
}
