//! Matches by a transformer that was trained on drawn scenes (`tests/reference/train_register_matcher.py`).

#[cfg(test)]
mod golden;
mod input;
mod network;

use std::sync::LazyLock;

use nalgebra::DMatrix;
use percept_backbone::{Device, Weights, WeightsError};

pub(crate) use input::looked;
pub use input::{Seen, see};
use network::{Network, WIDTH};

use crate::matching;

/// Written by `tests/reference/train_register_matcher.py`: f16.
const WEIGHTS: &[u8] = include_bytes!("../../assets/matcher.safetensors");

/// None where the file in the program were damaged, which a test rules out.
static NETWORK: LazyLock<Option<Network>> = LazyLock::new(|| load().ok());

fn load() -> Result<Network, WeightsError> {
    Network::load(&Weights::of_safetensors(WEIGHTS, "matcher.safetensors", &Device::Cpu)?)
}

/// Pairs of key points (source, target) that take each other for the most similar; none where there is too little to see.
pub fn matches(source: &Seen, target: &Seen) -> Option<Vec<(usize, usize)>> {
    let (source, target) = (source.given(), target.given());
    let told = NETWORK.as_ref()?.run([&source, &target]).ok()??;
    let [source, target] = told.features.map(|features| {
        let columns = features.len() / WIDTH;
        DMatrix::from_vec(WIDTH, columns, features)
    });
    Some(matching::mutual_products(&source, &target))
}

/// The same by features alone (FPFH), for who compares.
pub fn matches_of_features(source: &Seen, target: &Seen) -> Vec<(usize, usize)> {
    matching::mutual(&source.features, &target.features)
}
