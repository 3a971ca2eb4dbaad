//! What task crates ask of a checkpoint before and after its network runs: its configuration, the names of its classes,
//! where it runs, and its tensors as `--raw` writes them.

mod class_filter;
mod class_names;
mod settings;

use std::time::Instant;

use percept_core::{Error, LocalModel, Precision, RawTensor, RawValues, Runtime};
use serde_json::Value;

use crate::{DType, Device, EngineError, Tensor, open_device};

pub use class_filter::ClassFilter;
pub use class_names::ClassNames;
pub(crate) use settings::above_zero;
pub use settings::{activation, count, counts, positive, wrong};

pub use crate::stages::out_stages;

/// Where a model runs, and in which precision: f32 where none is asked for.
///
/// # Errors
/// [`Error::Argument`]: a precision that the device does not have; or the device is not there.
pub fn device_and_precision(runtime: &Runtime) -> percept_core::Result<(Device, Precision)> {
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
///
/// # Errors
/// The file is not there, cannot be read, or is not JSON.
pub fn configuration(local: &LocalModel) -> percept_core::Result<Value> {
    let path = local.file("config.json")?;
    let bytes = std::fs::read(path).map_err(|error| Error::input(path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::input(path, error))
}

/// Since a moment.
pub fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

/// A tensor of floats under a name, as `--raw` writes it.
///
/// # Errors
/// Those of `tensor`, or of copying it from its device.
pub fn raw_floats(name: &str, tensor: Result<Tensor, EngineError>) -> Result<RawTensor, EngineError> {
    let tensor = tensor?;
    let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(RawTensor { name: name.into(), shape: tensor.dims().to_vec(), values: RawValues::F32(values) })
}
