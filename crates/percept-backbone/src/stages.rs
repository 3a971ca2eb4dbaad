//! What the `config.json` of a convolutional backbone states about its stages.

use serde_json::Value;

use crate::activation::Activation;
use crate::weights::WeightsError;

/// The maps that come out, of a stem (0) and `count` stages (from 1): `out_features` or `out_indices`; the last stage
/// where there are neither.
pub(crate) fn out_stages(config: &Value, count: usize) -> Result<Vec<usize>, WeightsError> {
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

/// Counts above zero, or those of transformers where the configuration is silent.
pub(crate) fn counts(config: &Value, name: &str, default: &[usize]) -> Result<Vec<usize>, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default.to_vec()),
        Value::Array(values) => values.iter().map(|value| positive(name, value)).collect(),
        value => Err(wrong(format!("`{name}` is {value}, not a list of counts"))),
    }
}

/// A count above zero, or that of transformers where the configuration is silent.
pub(crate) fn count(config: &Value, name: &str, default: usize) -> Result<usize, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default),
        value => positive(name, value),
    }
}

/// A non-linearity, or that of transformers where the configuration is silent.
pub(crate) fn activation(
    config: &Value,
    name: &str,
    default: Activation,
) -> Result<Activation, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default),
        value => value
            .as_str()
            .and_then(Activation::from_config)
            .ok_or_else(|| wrong(format!("`{name}` is {value}, which is unknown"))),
    }
}

fn positive(name: &str, value: &Value) -> Result<usize, WeightsError> {
    let number = value.as_u64().filter(|number| (1..1 << 20).contains(number));
    number.map(|number| number as usize).ok_or_else(|| wrong(format!("`{name}` is {value}, not a count")))
}

pub(crate) fn wrong(reason: String) -> WeightsError {
    WeightsError::Format(format!("config.json: {reason}"))
}
