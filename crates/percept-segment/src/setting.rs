//! What the models of this crate have in common before they see a picture.

use std::time::Instant;

use percept_backbone::{Device, open_device};
use percept_core::{Error, LocalModel, Precision, Result, Runtime};
use serde_json::Value;

/// Where a model runs, and in which precision: f32 where none is asked for.
pub(crate) fn device_and_precision(runtime: &Runtime) -> Result<(Device, Precision)> {
    let device = open_device(runtime.device)?;
    let precision = match runtime.precision {
        Precision::Auto => Precision::F32,
        named => named,
    };
    if !device.is_cpu() && precision != Precision::F32 {
        return Err(Error::Argument {
            message: format!("precision {precision} runs on the processor only"),
            hint: Some("use `--precision f32`, or `--device cpu`".into()),
        });
    }
    Ok((device, precision))
}

/// The `config.json` of a snapshot.
pub(crate) fn configuration(local: &LocalModel) -> Result<Value> {
    let path = local.file("config.json")?;
    let bytes = std::fs::read(path).map_err(|error| Error::input(path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::input(path, error))
}

/// Since a moment.
pub(crate) fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}
