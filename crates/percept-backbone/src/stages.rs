//! Which maps of a backbone its `config.json` wants.

use candle_core::Tensor;
use serde_json::Value;

use crate::Result;
use crate::checkpoint::wrong;
use crate::weights::WeightsError;

/// The `wanted` maps (numbered as [`out_stages`] does) of a backbone whose stem gave `map`: each stage takes what the one
/// before it gave.
pub(crate) fn stage_maps<S>(
    mut map: Tensor,
    stages: &[S],
    wanted: &[usize],
    forward: impl Fn(&S, &Tensor) -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    let mut maps = Vec::with_capacity(wanted.len());
    for index in 0..=stages.len() {
        if let Some(stage) = index.checked_sub(1) {
            map = forward(&stages[stage], &map)?;
        }
        if wanted.contains(&index) {
            maps.push(map.clone());
        }
    }
    Ok(maps)
}

/// The maps that come out, of a stem (0) and `count` stages (from 1): `out_features` or `out_indices`; the last stage
/// where there are neither. Of a Transformer a stage is a layer.
///
/// # Errors
/// [`WeightsError::Format`]: they are not some of the stages, in their order.
pub fn out_stages(config: &Value, count: usize) -> Result<Vec<usize>, WeightsError> {
    let index = |name: &Value| match name.as_str()? {
        "stem" => Some(0),
        name => name.strip_prefix("stage")?.parse().ok(),
    };
    // -1 is the last one.
    let place = |number: &Value| {
        let number = number.as_i64()?;
        usize::try_from(if number < 0 { number + count as i64 + 1 } else { number }).ok()
    };
    let found: Option<Vec<usize>> = match (&config["out_features"], &config["out_indices"]) {
        (Value::Array(names), _) => names.iter().map(index).collect(),
        (_, Value::Array(numbers)) => numbers.iter().map(place).collect(),
        _ => Some(vec![count]),
    };
    let fits = |stages: &Vec<usize>| {
        !stages.is_empty() && stages.iter().all(|at| *at <= count) && stages.is_sorted_by(|a, b| a < b)
    };
    found.filter(fits).ok_or_else(|| {
        let (names, numbers) = (&config["out_features"], &config["out_indices"]);
        wrong(format!("`out_features` {names} and `out_indices` {numbers} are not some of {count} stages"))
    })
}
