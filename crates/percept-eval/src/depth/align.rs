//! What is done to a result before it is compared.

use std::str::FromStr;

use percept_core::depth::{DepthUnit, scale_and_shift};
use percept_core::{Error, Result};
use serde::Serialize;

/// What is fitted to the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alignment {
    /// Nothing.
    None,
    /// A factor: the median of truth over that of the result.
    Median,
    /// Scale and shift by least squares, of inverse depth where the result is that.
    ScaleShift,
}

impl FromStr for Alignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "median" => Ok(Self::Median),
            "scale-shift" => Ok(Self::ScaleShift),
            other => Err(format!("`{other}` is no alignment; use none, median or scale-shift")),
        }
    }
}

/// Turns a result into metres. What an aligned result puts beyond `most` metres, or behind the camera, is there.
pub(super) fn align(
    found: &mut [f64],
    said: &[f64],
    unit: DepthUnit,
    alignment: Alignment,
    most: f64,
) -> Result<()> {
    match (alignment, unit) {
        (Alignment::None, DepthUnit::Metres) => {}
        (Alignment::None | Alignment::Median, DepthUnit::RelativeInverse) => {
            return Err(Error::Argument {
                message: "relative depth has a scale and a shift that are unknown".into(),
                hint: Some("`--align scale-shift` finds both".into()),
            });
        }
        (Alignment::Median, DepthUnit::Metres) => {
            let factor = median(said) / median(found);
            found.iter_mut().for_each(|value| *value *= factor);
        }
        (Alignment::ScaleShift, DepthUnit::Metres) => {
            let (scale, shift) = fitted(found, said)?;
            // As near as the nearest truth: least squares may put points behind the camera.
            let least = said.iter().copied().fold(f64::INFINITY, f64::min);
            found.iter_mut().for_each(|value| *value = (scale * *value + shift).clamp(least.min(most), most));
        }
        (Alignment::ScaleShift, DepthUnit::RelativeInverse) => {
            let inverse: Vec<f64> = said.iter().map(|depth| depth.recip()).collect();
            let (scale, shift) = fitted(found, &inverse)?;
            // Beyond the farthest truth, or `most`, there is no more inverse depth to lose.
            let farthest = said.iter().copied().fold(0.0, f64::max);
            let least = if most.is_finite() { most } else { farthest }.recip();
            found.iter_mut().for_each(|value| *value = (scale * *value + shift).max(least).recip());
        }
    }
    Ok(())
}

/// Scale and shift from the result to the truth.
fn fitted(from: &[f64], to: &[f64]) -> Result<(f64, f64)> {
    scale_and_shift(from, to)
        .ok_or_else(|| Error::argument("the result is the same everywhere, which nothing can be fitted to"))
}

/// The middle one; of two the mean.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { sorted[middle - 1].midpoint(sorted[middle]) }
}
