//! Index pictures, whose pixels are the numbers of classes, by intersection over union.
//!
//! Counts of all pictures are added up before they are divided, as Pascal VOC, Cityscapes and ADE20K score: a class counts
//! by its pixels, wherever they are. Outlines are scored picture by picture, as DAVIS does ([`Confusion::add`]).

mod boundary;
mod picture;

use std::collections::BTreeMap;

use percept_core::{Error, Result};
use serde::Serialize;

use crate::Metric;
use crate::metric::{as_object, mean};
use crate::pixels;

pub use picture::IndexPicture;

/// The value of a pixel of a result where nothing was found: of no class.
pub const NOTHING: u16 = u16::MAX;

/// The truth's numbers of classes, where results have a model's.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClassNumbers {
    /// The truth's number less the model's.
    pub offset: u16,
    /// The truth's number of what no class was found in; no class where absent.
    pub background: Option<u16>,
}

/// Pixels by what they are and what they were taken for.
#[derive(Clone, Debug, Default)]
pub struct Confusion {
    pictures: usize,
    counts: BTreeMap<(u16, u16), u64>,
    /// By class, F of outlines summed over the pictures that have it, and their number.
    outlines: BTreeMap<u16, (f64, usize)>,
}

/// What pictures are worth.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Pairs of pictures.
    pub pictures: usize,
    /// Pixels that count.
    pub pixels: u64,
    /// `mIoU`, `pixel-accuracy` and `boundary-F`.
    #[serde(serialize_with = "as_object")]
    pub metrics: Vec<Metric>,
    /// Classes of truth or results, by number.
    pub classes: Vec<ClassReport>,
}

/// One class of a [`Report`].
#[derive(Clone, Debug, Serialize)]
pub struct ClassReport {
    /// The value of its pixels.
    pub id: u16,
    /// Pixels of the truth.
    pub truth: u64,
    /// Pixels of the results, where the truth counts.
    pub results: u64,
    /// Intersection over union.
    #[serde(rename = "IoU")]
    pub iou: f64,
    /// F of its outline, mean over the pictures that have the class in truth or result.
    #[serde(rename = "boundary-F")]
    pub boundary: f64,
}

impl Confusion {
    /// Adds a pair of pictures; where the truth has a value of `ignored`, nothing counts.
    ///
    /// A pixel of an outline is met by one of the other outline that is at most 0.008 of the picture's diagonal away,
    /// rounded up to whole pixels: `db_eval_boundary` of DAVIS (Perazzi et al. 2016) with its default.
    ///
    /// # Errors
    /// [`Error::Argument`]: the pictures differ in size.
    pub fn add(&mut self, truth: &IndexPicture, result: &IndexPicture, ignored: &[u16]) -> Result<()> {
        if (truth.width, truth.height) != (result.width, result.height) {
            return Err(Error::argument(format!(
                "the truth is {}x{} pixels, the result {}x{}",
                truth.width, truth.height, result.width, result.height
            )));
        }
        self.pictures += 1;
        pixels::runs(&truth.values, &result.values, |pair, run| *self.counts.entry(pair).or_default() += run);
        self.counts.retain(|(truth, _), _| !ignored.contains(truth));
        for (class, score) in boundary::scores(truth, result, ignored) {
            let sum = self.outlines.entry(class).or_default();
            *sum = (sum.0 + score, sum.1 + 1);
        }
        Ok(())
    }

    /// Per class and together. The mean is over the classes that are in truth or results.
    pub fn report(&self) -> Report {
        // Of the truth, of the results, of both.
        let mut classes: BTreeMap<u16, [u64; 3]> = BTreeMap::new();
        for (&(truth, result), count) in &self.counts {
            classes.entry(truth).or_default()[0] += count;
            classes.entry(result).or_default()[1] += count;
            if truth == result {
                classes.entry(truth).or_default()[2] += count;
            }
        }
        let pixels: u64 = self.counts.values().sum();
        let right: u64 = classes.values().map(|counts| counts[2]).sum();
        let classes: Vec<ClassReport> = classes
            .into_iter()
            .filter(|(id, [truth, ..])| *id != NOTHING || *truth > 0)
            .map(|(id, [truth, results, both])| {
                let iou = both as f64 / (truth + results - both) as f64;
                let (sum, pictures) = self.outlines.get(&id).copied().unwrap_or_default();
                let boundary = if pictures == 0 { 0.0 } else { sum / pictures as f64 };
                ClassReport { id, truth, results, iou, boundary }
            })
            .collect();
        let metrics = vec![
            Metric::new("mIoU", mean(classes.iter().map(|class| class.iou))),
            Metric::new("pixel-accuracy", (pixels > 0).then(|| right as f64 / pixels as f64)),
            Metric::new("boundary-F", mean(classes.iter().map(|class| class.boundary))),
        ];
        Report { pictures: self.pictures, pixels, metrics, classes }
    }
}

#[cfg(test)]
mod golden;
