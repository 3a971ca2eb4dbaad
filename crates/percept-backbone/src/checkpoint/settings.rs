//! Settings in a `config.json`.

use std::fmt::Display;

use serde_json::Value;

use crate::{Activation, WeightsError};

/// A count, or the default of transformers where the configuration is silent.
///
/// # Errors
/// [`WeightsError::Format`]: it is there, and not a whole number that is not negative.
pub fn count(config: &Value, name: &str, default: usize) -> Result<usize, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default),
        value => value
            .as_u64()
            .map(|number| number as usize)
            .ok_or_else(|| wrong(format!("`{name}` is {value}, not a count"))),
    }
}

/// Counts above zero, or those of transformers where the configuration is silent.
///
/// # Errors
/// [`WeightsError::Format`]: it is there and something else.
pub fn counts(config: &Value, name: &str, default: &[usize]) -> Result<Vec<usize>, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default.to_vec()),
        Value::Array(values) => values.iter().map(|value| above_zero(name, value)).collect(),
        value => Err(wrong(format!("`{name}` is {value}, not a list of counts"))),
    }
}

/// A count above zero, or that of transformers where the configuration is silent.
///
/// # Errors
/// [`WeightsError::Format`]: it is there and something else.
pub fn positive(config: &Value, name: &str, default: usize) -> Result<usize, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default),
        value => above_zero(name, value),
    }
}

/// A non-linearity, or that of transformers where the configuration is silent.
///
/// # Errors
/// [`WeightsError::Format`]: it is there and something else.
pub fn activation(config: &Value, name: &str, default: Activation) -> Result<Activation, WeightsError> {
    match &config[name] {
        Value::Null => Ok(default),
        value => value
            .as_str()
            .and_then(Activation::from_config)
            .ok_or_else(|| wrong(format!("`{name}` is {value}, which is unknown"))),
    }
}

pub(crate) fn above_zero(name: &str, value: &Value) -> Result<usize, WeightsError> {
    let number = value.as_u64().filter(|number| (1..1 << 20).contains(number));
    number.map(|number| number as usize).ok_or_else(|| wrong(format!("`{name}` is {value}, not a count")))
}

/// What is wrong with a `config.json`.
pub fn wrong(reason: impl Display) -> WeightsError {
    WeightsError::Format(format!("config.json: {reason}"))
}
