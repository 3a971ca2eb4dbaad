//! What a `config.json` says of a Depth Pro.

use percept_backbone::WeightsError;
use percept_backbone::checkpoint::{count, counts, positive, wrong};
use serde_json::{Value, json};

/// The numbers of a Depth Pro.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// Side of a patch, and of the image that the other encoders see, in pixels.
    pub(super) patch: usize,
    /// The sizes at which the picture is cut into patches, the smallest first.
    pub(super) scales: Vec<Scale>,
    /// Layers of the patch encoder whose states are used too, from 1, and the channels that they come to.
    pub(super) hooks: Vec<(usize, usize)>,
    /// Tokens that are cut off where patches meet, at the picture's own size.
    pub(super) seam: f64,
    /// Channels of the maps that are fused.
    pub(super) width: usize,
    /// Whether the residual units have batch normalisation.
    pub(super) batch_norm: bool,
    /// Layers of the head of the field of view; `None` where there is no such model.
    pub(super) fov_layers: Option<usize>,
    /// Configurations of the three encoders.
    pub(super) patch_encoder: Value,
    pub(super) image_encoder: Value,
    pub(super) fov_encoder: Value,
}

/// One size of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Of the picture's side.
    pub(super) ratio: f64,
    /// Part of a patch that its neighbour has too.
    pub(super) overlap: f64,
    /// Channels that the states come to.
    pub(super) channels: usize,
}

impl Config {
    pub(super) fn of(config: &Value) -> Result<Self, WeightsError> {
        let patch = positive(config, "patch_size", 384)?;
        let ratios = numbers(config, "scaled_images_ratios", &[0.25, 0.5, 1.0])?;
        let overlaps = numbers(config, "scaled_images_overlap_ratios", &[0.0, 0.5, 0.25])?;
        let channels = counts(config, "scaled_images_feature_dims", &[1024, 1024, 512])?;
        let lengths = [ratios.len(), overlaps.len(), channels.len()];
        if lengths.iter().any(|length| *length != lengths[0]) || lengths[0] == 0 {
            return Err(wrong(format!("`scaled_images_ratios`, .. have {lengths:?} numbers")));
        }
        if !ratios.is_sorted() || ratios.iter().any(|ratio| *ratio <= 0.0) {
            return Err(wrong(format!("`scaled_images_ratios` is {ratios:?}, not sorted from above zero")));
        }
        if overlaps.iter().any(|overlap| !(0.0..1.0).contains(overlap)) {
            return Err(wrong(format!(
                "`scaled_images_overlap_ratios` is {overlaps:?}, not from 0 to below 1"
            )));
        }
        let scales = ratios.into_iter().zip(overlaps).zip(channels);
        let layers = match &config["intermediate_hook_ids"] {
            Value::Null => Some(vec![11, 5]),
            value => value.as_array().and_then(|ids| {
                ids.iter().map(|id| id.as_u64().map(|id| id as usize)).collect::<Option<Vec<_>>>()
            }),
        };
        let layers = layers.ok_or_else(|| {
            wrong(format!(
                "`intermediate_hook_ids` is {}, not a list of layers",
                config["intermediate_hook_ids"]
            ))
        })?;
        let widths = counts(config, "intermediate_feature_dims", &[256, 256])?;
        if layers.len() != widths.len() {
            let (ids, dims) = (layers.len(), widths.len());
            return Err(wrong(format!(
                "`intermediate_hook_ids` has {ids}, `intermediate_feature_dims` {dims}"
            )));
        }
        let fov = config["use_fov_model"].as_bool().unwrap_or(false);
        let encoder = |name: &str| {
            let mut encoder = match &config[name] {
                Value::Object(given) => Value::Object(given.clone()),
                _ => json!({"model_type": "dinov2"}),
            };
            if encoder["model_type"].is_null() {
                encoder["model_type"] = json!("dinov2");
            }
            // The reference overwrites it, too.
            encoder["image_size"] = json!(patch);
            encoder
        };
        Ok(Self {
            patch,
            scales: scales.map(|((ratio, overlap), channels)| Scale { ratio, overlap, channels }).collect(),
            hooks: layers.into_iter().map(|layer| layer + 1).zip(widths).collect(),
            seam: count(config, "merge_padding_value", 3)? as f64,
            width: positive(config, "fusion_hidden_size", 256)?,
            batch_norm: config["use_batch_norm_in_fusion_residual"].as_bool().unwrap_or(false),
            fov_layers: if fov { Some(count(config, "num_fov_head_layers", 2)?) } else { None },
            patch_encoder: encoder("patch_model_config"),
            image_encoder: encoder("image_model_config"),
            fov_encoder: encoder("fov_model_config"),
        })
    }
}

fn numbers(config: &Value, name: &str, default: &[f64]) -> Result<Vec<f64>, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default.to_vec()),
        value => {
            let all = value.as_array().and_then(|all| all.iter().map(Value::as_f64).collect());
            all.ok_or_else(|| wrong(format!("`{name}` is {value}, not a list of numbers")))
        }
    }
}
