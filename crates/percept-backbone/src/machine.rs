//! What the processor can do, and how fast it does it.

use percept_kernels::{Isa, detected, isa, rates};
use serde::Serialize;

/// The instruction sets of this processor, as the kernels see them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// The one in use.
    pub instruction_set: &'static str,
    /// The best that this processor has.
    pub detected: &'static str,
    /// The limit that the environment sets.
    pub limit: Option<InstructionLimit>,
}

/// What `PERCEPT_ISA` says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstructionLimit {
    /// The text.
    pub text: String,
    /// Whether it names an instruction set; what does not is ignored.
    pub known: bool,
}

/// Measured rates of matrix products, in 10^9 operations a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// In 32-bit floats.
    pub f32: f64,
    /// In brain floats, summed in 32 bits.
    pub bf16: f64,
    /// In bytes.
    pub int8: f64,
}

impl Machine {
    /// Looks at this processor.
    pub fn look() -> Self {
        let limit = std::env::var("PERCEPT_ISA").ok().filter(|text| !text.trim().is_empty());
        Self {
            instruction_set: isa().name(),
            detected: detected().name(),
            limit: limit.map(|text| InstructionLimit { known: Isa::from_name(&text).is_some(), text }),
        }
    }
}

impl Rates {
    /// Measures them on the threads of the compute pool; takes about half a second.
    pub fn measure() -> Self {
        // Inside the pool, as models run.
        let rates = rayon::scope(|_| rates());
        Self { f32: rates.f32, bf16: rates.bf16, int8: rates.int8 }
    }
}
