//! Big Transfer (Kolesnikov et al. 2020, arXiv 1912.11370): a residual network with standardised weights and group
//! normalisation (`BitBackbone`), as the hybrid DPT has it. Its layers are bottlenecks that normalise behind each
//! convolution.

mod config;
mod network;

pub use config::{BitConfig, Border};
pub use network::Bit;
