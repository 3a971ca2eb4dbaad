//! What a `config.json` says of the metric heads.

use percept_backbone::WeightsError;
use percept_backbone::checkpoint::{counts, positive, wrong};
use serde_json::Value;

/// The numbers of the metric heads.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    /// Channels of the smallest map, and of those that are fused.
    pub(super) width: usize,
    /// Channels of the relative head's features.
    pub(super) features: usize,
    /// Channels that say where bins go.
    pub(super) embedding: usize,
    /// Points that attract bins, by map.
    pub(super) attractors: Vec<usize>,
    /// Whether what the points do to a bin is summed, not averaged.
    pub(super) sums: bool,
    pub(super) kind: Kind,
    /// The least and the largest temperature of a mixture.
    pub(super) temperature: [f32; 2],
    /// One for each domain.
    pub(super) domains: Vec<Domain>,
    /// Who chooses between domains, where there are two.
    pub(super) router: Option<Router>,
}

/// How the centres of bins are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Between the least and the largest depth (`normed`).
    Bounded,
    /// Above zero (`softplus`).
    Unbounded,
}

/// Where a head's depths lie.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    /// Empty where there is one only.
    pub(super) name: String,
    pub(super) bins: usize,
    /// In metres.
    pub(super) least: f32,
    pub(super) largest: f32,
}

/// The numbers of the Transformer that chooses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Router {
    pub(super) dim: usize,
    pub(super) hidden: usize,
    pub(super) heads: usize,
}

impl Metric {
    /// `width` is that of the fused maps.
    pub(super) fn of(config: &Value, width: usize) -> Result<Self, WeightsError> {
        let bottleneck = positive(config, "bottleneck_features", 256)?;
        if bottleneck != width {
            return Err(wrong(format!(
                "`bottleneck_features` is {bottleneck}, `fusion_hidden_size` {width}"
            )));
        }
        let attractors = counts(config, "num_attractors", &[16, 8, 4, 1])?;
        if attractors.len() != 4 {
            return Err(wrong(format!("`num_attractors` is {attractors:?}, four are wanted")));
        }
        let number = |name: &str, default: f64| match &config[name] {
            Value::Null => Ok(default as f32),
            value => value
                .as_f64()
                .map(|number| number as f32)
                .ok_or_else(|| wrong(format!("`{name}` is {value}, not a number"))),
        };
        let domains = match &config["bin_configurations"] {
            Value::Null => vec![Domain { name: String::new(), bins: 64, least: 0.001, largest: 10.0 }],
            value => {
                let all = value.as_array().filter(|all| (1..=2).contains(&all.len()));
                let all = all.ok_or_else(|| {
                    wrong(format!("`bin_configurations` is {value}, one or two of them are wanted"))
                })?;
                all.iter().map(|one| Domain::of(one, all.len() > 1)).collect::<Result<_, _>>()?
            }
        };
        let choice = |name: &str, default: &str, among: [&str; 2]| {
            let value = if config[name].is_null() { Some(default) } else { config[name].as_str() };
            let found = value.and_then(|value| among.iter().position(|one| *one == value));
            found.ok_or_else(|| {
                wrong(format!("`{name}` is {}, not {} or {}", config[name], among[0], among[1]))
            })
        };
        let router = match domains.len() {
            1 => None,
            _ => {
                let layers = positive(config, "num_patch_transformer_layers", 4)?;
                if layers != 4 {
                    // The reference runs four, however many there are.
                    return Err(wrong(format!("`num_patch_transformer_layers` is {layers}, not 4")));
                }
                Some(Router {
                    dim: positive(config, "patch_transformer_hidden_size", 128)?,
                    hidden: positive(config, "patch_transformer_intermediate_size", 1024)?,
                    heads: positive(config, "patch_transformer_num_attention_heads", 4)?,
                })
            }
        };
        Ok(Self {
            width,
            features: positive(config, "num_relative_features", 32)?,
            embedding: positive(config, "bin_embedding_dim", 128)?,
            attractors,
            sums: choice("attractor_kind", "mean", ["mean", "sum"])? == 1,
            kind: match choice("bin_centers_type", "softplus", ["normed", "softplus"])? {
                0 => Kind::Bounded,
                _ => Kind::Unbounded,
            },
            temperature: [number("min_temp", 0.0212)?, number("max_temp", 50.0)?],
            domains,
            router,
        })
    }
}

impl Domain {
    fn of(config: &Value, named: bool) -> Result<Self, WeightsError> {
        let depth = |key: &str| config[key].as_f64().map(|depth| depth as f32);
        let name = config["name"].as_str().unwrap_or_default();
        let bins = config["n_bins"].as_u64().filter(|bins| (2..1 << 16).contains(bins));
        match (bins, depth("min_depth"), depth("max_depth")) {
            (Some(bins), Some(least), Some(largest)) if least < largest && (!named || !name.is_empty()) => {
                Ok(Self { name: name.to_owned(), bins: bins as usize, least, largest })
            }
            _ => Err(wrong(format!(
                "`bin_configurations` has {config}, not `name`, `n_bins`, `min_depth` and `max_depth`"
            ))),
        }
    }
}
