//! Depth maps, by the metrics of Eigen et al. 2014 (arXiv 1406.2283) and the ordinal error of Xian et al. 2020 ("Structure-
//! Guided Ranking Loss", CVPR).
//!
//! Each picture has numbers of its own, and a report has their means. A pixel counts where the truth is finite and above 0.
//! What is relative is aligned with the truth first, as MiDaS does it (Ranftl et al. 2022, arXiv 1907.01341).

mod align;
mod order;

use percept_core::depth::DepthUnit;
use percept_core::{Error, Result};
use percept_media::depth::Field;
use serde::Serialize;

use crate::Metric;
use crate::metric::{as_object, mean};

pub use align::Alignment;

/// How maps are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DepthOptions {
    /// Metres of one step of a PNG of the truth; what it says itself, else millimetres, when absent.
    pub truth_scale: Option<f64>,
    /// What results are that do not say it themselves; metres when absent.
    pub unit: Option<DepthUnit>,
    /// What is done to a result first; scale and shift for what is relative and nothing for metres when absent.
    pub alignment: Option<Alignment>,
    /// Truth beyond this does not count, and aligned results are cut to it, in metres.
    pub max_depth: Option<f64>,
}

/// What maps are worth.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Pairs of maps.
    pub pictures: usize,
    /// Pixels that count.
    pub pixels: u64,
    /// What was done to results first.
    pub alignment: Vec<Alignment>,
    /// `AbsRel`, `SqRel`, `RMSE`, `RMSE-log`, `log10`, `delta1`, `delta2`, `delta3` and `ordinal-error`.
    #[serde(serialize_with = "as_object")]
    pub metrics: Vec<Metric>,
}

/// Names in their order.
const NAMES: [&str; 9] =
    ["AbsRel", "SqRel", "RMSE", "RMSE-log", "log10", "delta1", "delta2", "delta3", "ordinal-error"];

/// Sums over pictures.
#[derive(Clone, Debug, Default)]
pub struct Depths {
    pixels: u64,
    alignments: Vec<Alignment>,
    rows: Vec<[f64; NAMES.len()]>,
}

impl Depths {
    /// Adds a pair.
    ///
    /// # Errors
    /// [`Error::Argument`]: the maps differ in size, no pixel counts, or the result cannot be aligned.
    pub fn add(&mut self, truth: &Field, result: &Field, options: &DepthOptions) -> Result<()> {
        if (truth.width, truth.height) != (result.width, result.height) {
            return Err(Error::argument(format!(
                "the truth has {}x{} values, the result {}x{}",
                truth.width, truth.height, result.width, result.height
            )));
        }
        let most = options.max_depth.unwrap_or(f64::INFINITY);
        let counts = |value: f64| value.is_finite() && value > 0.0 && value <= most;
        let pairs = truth.values.iter().zip(&result.values).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        let (said, mut found): (Vec<f64>, Vec<f64>) = pairs.filter(|(said, _)| counts(*said)).unzip();
        if said.is_empty() {
            return Err(Error::argument("no pixel of the truth has a depth"));
        }
        if found.iter().any(|value| !value.is_finite()) {
            return Err(Error::argument("the result has no depth where the truth has one"));
        }
        let unit = result.unit.or(options.unit).unwrap_or(DepthUnit::Metres);
        let alignment = options.alignment.unwrap_or(match unit {
            DepthUnit::Metres => Alignment::None,
            DepthUnit::RelativeInverse => Alignment::ScaleShift,
        });
        align::align(&mut found, &said, unit, alignment, most)?;
        if let Some(behind) = found.iter().find(|value| **value <= 0.0) {
            return Err(Error::Argument {
                message: format!("the result says {behind} metres"),
                hint: Some("say what it is with --unit, or align it with --align".into()),
            });
        }
        self.rows.push(row(&said, &found));
        self.pixels += said.len() as u64;
        if !self.alignments.contains(&alignment) {
            self.alignments.push(alignment);
        }
        Ok(())
    }

    /// Means over pictures.
    pub fn report(&self) -> Report {
        let metric =
            |(at, name): (usize, &&str)| Metric::new(*name, mean(self.rows.iter().map(|row| row[at])));
        Report {
            pictures: self.rows.len(),
            pixels: self.pixels,
            alignment: self.alignments.clone(),
            metrics: NAMES.iter().enumerate().map(metric).collect(),
        }
    }
}

/// The numbers of one picture.
fn row(said: &[f64], found: &[f64]) -> [f64; NAMES.len()] {
    let over = |each: &dyn Fn(f64, f64) -> f64| {
        said.iter().zip(found).map(|(said, found)| each(*said, *found)).sum::<f64>() / said.len() as f64
    };
    let within =
        |power: i32| over(&|said, found| f64::from((said / found).max(found / said) < 1.25_f64.powi(power)));
    [
        over(&|said, found| (said - found).abs() / said),
        over(&|said, found| (said - found).powi(2) / said),
        over(&|said, found| (said - found).powi(2)).sqrt(),
        over(&|said, found| (said.ln() - found.ln()).powi(2)).sqrt(),
        over(&|said, found| (said.log10() - found.log10()).abs()),
        within(1),
        within(2),
        within(3),
        order::error(said, found),
    ]
}

#[cfg(test)]
mod golden;
