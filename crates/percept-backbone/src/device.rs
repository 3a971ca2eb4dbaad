//! From what was asked to candle's device, and from candle's errors to ours.

use candle_core::Device as CandleDevice;
use percept_core::{Device, Error, Precision, Result};
use rayon::prelude::*;

/// Opens the device that was asked for. One that is not there is an error, never a fall-back.
pub fn open_device(device: Device) -> Result<CandleDevice> {
    let absent = |reason: String| Error::Device { device: device.to_string(), reason };
    match device {
        Device::Auto | Device::Cpu => Ok(CandleDevice::Cpu),
        Device::Cuda(index) if cfg!(feature = "cuda") => {
            CandleDevice::new_cuda(index).map_err(|error| absent(message(error)))
        }
        Device::Metal(index) if cfg!(feature = "metal") => {
            CandleDevice::new_metal(index).map_err(|error| absent(message(error)))
        }
        Device::Cuda(_) => Err(absent("this build has no CUDA (cargo feature `cuda`)".into())),
        Device::Metal(_) => Err(absent("this build has no Metal (cargo feature `metal`)".into())),
    }
}

/// The instruction set that the processor's matrix products use.
pub fn instruction_set() -> &'static str {
    percept_kernels::isa().name()
}

/// The precision that is fastest where integers are fast: int8 where the processor has dot products of
/// bytes, else f32. For models whose task was seen to lose nothing by it.
pub fn fastest_precision(device: &CandleDevice) -> Precision {
    if device.is_cpu() && percept_kernels::isa() >= percept_kernels::Isa::Avx512Vnni {
        Precision::Int8
    } else {
        Precision::F32
    }
}

/// Runs a model's work on the compute pool, and waits for it. Started from any other thread, each of
/// its operations would have to be handed over to the pool and waited for.
pub fn on_compute_threads<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// Does two things at the same time.
pub fn both<A: Send, B: Send>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B + Send) -> (A, B) {
    rayon::join(first, second)
}

/// Does something for each of `count` layers at the same time; the first error in their order.
pub fn for_layers<T: Send, E: Send>(
    count: usize,
    work: impl Fn(usize) -> std::result::Result<T, E> + Send + Sync,
) -> std::result::Result<Vec<T>, E> {
    (0..count).into_par_iter().map(work).collect::<Vec<_>>().into_iter().collect()
}

/// The error of a computation inside `model`, without the stack frames that candle puts into its
/// message.
pub fn compute_error(model: &str) -> impl Fn(candle_core::Error) -> Error + use<> {
    let model = model.to_owned();
    move |error| Error::Compute { model: model.clone(), cause: message(error).into() }
}

fn message(error: candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => message(*inner),
        candle_core::Error::Context { inner, context } => format!("{context}: {inner}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_device_is_an_error() {
        if cfg!(feature = "cuda") {
            return;
        }
        let error = open_device(Device::Cuda(0)).unwrap_err();
        assert!(error.to_string().contains("cuda:0"), "{error}");
        assert!(error.hint().unwrap().contains("--device cpu"));
    }
}
