//! The machine and this run, as one value made in `main` and passed by reference.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Everything about the machine and this run that a model needs.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Where the network runs.
    pub device: Device,
    /// What was asked for; a model says what it really runs in (`Model::precision`).
    pub precision: Precision,
    /// Threads of the one compute pool.
    pub threads: usize,
}

impl Default for Runtime {
    /// The best device, the fastest precision, all processors.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { device: Device::Auto, precision: Precision::Auto, threads }
    }
}

/// Where a network runs. What was asked for is what runs: there is no silent fall-back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The best that this build and this machine have.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU by index.
    Cuda(usize),
    /// An Apple GPU by index.
    Metal(usize),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => {
                (kind, index.parse().map_err(|_| format!("`{index}` is not a device number"))?)
            }
            None => (text, 0),
        };
        match kind {
            "auto" if !text.contains(':') => Ok(Self::Auto),
            "cpu" if !text.contains(':') => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(index)),
            "metal" => Ok(Self::Metal(index)),
            _ => Err(format!("`{text}` is not a device; use auto, cpu, cuda, cuda:N or metal")),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal(index) => write!(f, "metal:{index}"),
        }
    }
}

/// The number format of the matrix products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// The fastest that keeps the task's accuracy.
    #[default]
    Auto,
    /// 32-bit float.
    F32,
    /// 32-bit float of which products take the first 16 significant bits (two bf16) where that is
    /// faster, as PyTorch's matmul precision `high`.
    Bf16x3,
    /// 16-bit brain float.
    Bf16,
    /// 8-bit integers with scales.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16x3 => "bf16x3",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "bf16x3" => Ok(Self::Bf16x3),
            "bf16" => Ok(Self::Bf16),
            "int8" => Ok(Self::Int8),
            _ => Err(format!("`{text}` is not a precision; use auto, f32, bf16x3, bf16 or int8")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_and_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3", "metal:0"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<Device>(), Ok(Device::Cuda(0)));
        for text in ["gpu", "cpu:1", "cuda:x", "", "auto:0"] {
            assert!(text.parse::<Device>().is_err(), "{text}");
        }
    }
}
