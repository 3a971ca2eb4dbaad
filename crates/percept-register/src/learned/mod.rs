//! Matches by a transformer that was trained on drawn scenes (`tests/reference/train_register_matcher.py`).

#[cfg(test)]
mod golden;
mod input;
mod network;
mod similarity;

use std::sync::LazyLock;

use percept_backbone::{Device, Weights, WeightsError};

pub use input::{Seen, see};
pub(crate) use input::{flat, seen};
use network::Network;
use similarity::Similarity;

use crate::matching;

/// Written by `tests/reference/train_register_matcher.py`: f16.
const WEIGHTS: &[u8] = include_bytes!("../../assets/matcher.safetensors");

/// None where the file in the program were damaged, which a test rules out.
static NETWORK: LazyLock<Option<Network>> = LazyLock::new(|| load().ok());

fn load() -> Result<Network, WeightsError> {
    Network::load(&Weights::of_safetensors(WEIGHTS, "matcher.safetensors", &Device::Cpu)?)
}

/// Pairs of key points (source, target) that take each other for the likeliest; none where there is too little to see.
pub fn matches(source: &Seen, target: &Seen) -> Option<Vec<(usize, usize)>> {
    let network = NETWORK.as_ref()?;
    let (source, target) = (source.given(), target.given());
    let told = network.run([&source, &target]).ok()??;
    Some(Similarity::new([&source, &target], &told, network.histograms).mutual())
}

/// The same by features alone (FPFH), for who compares.
pub fn matches_of_features(source: &Seen, target: &Seen) -> Vec<(usize, usize)> {
    matching::mutual(&source.features, &target.features)
}
