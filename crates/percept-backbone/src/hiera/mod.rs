//! Hiera, a Vision Transformer in stages that shrink the map and widen its channels by pooling queries (Ryali et al. 2023,
//! arXiv 2306.00989), with attention in windows and absolute positions in windows (Bolya et al. 2023, arXiv 2311.05613),
//! as SAM 2 has it (`Sam2HieraDetModel` of transformers 5.23.0).

mod block;
mod config;
mod network;

pub use block::HieraBlock;
pub use config::{HieraBlockShape, HieraConfig};
pub use network::Hiera;
