//! The numbers that papers print: `COCOeval.summarize`, and the same by class.

use serde::Serialize;

use super::accumulate::{Curve, Curves};
use super::read::{Results, Truth};
use super::{RECALLS, THRESHOLDS};
use crate::Metric;
use crate::metric::{as_object, mean};

/// What results are worth.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Images of the truth.
    pub images: usize,
    /// Objects of the truth, crowds included.
    pub truths: usize,
    /// Results of classes that the truth has.
    pub results: usize,
    /// Over all classes.
    #[serde(serialize_with = "as_object")]
    pub metrics: Vec<Metric>,
    /// By class, in the order of their numbers.
    pub classes: Vec<ClassReport>,
    /// What should be known of these numbers, a sentence each.
    pub notes: Vec<String>,
}

/// One class of a [`Report`]. `None` where the truth has no object of it that counts.
#[derive(Clone, Debug, Serialize)]
pub struct ClassReport {
    /// The truth's number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Objects of the truth, crowds included.
    pub truths: usize,
    /// Mean over the thresholds 0.5 to 0.95.
    #[serde(rename = "AP")]
    pub ap: Option<f64>,
    /// At 0.5.
    #[serde(rename = "AP50")]
    pub ap50: Option<f64>,
    /// At 0.75.
    #[serde(rename = "AP75")]
    pub ap75: Option<f64>,
    /// Share of truths found, mean over the thresholds.
    #[serde(rename = "AR")]
    pub ar: Option<f64>,
}

/// All thresholds, 0.5 and 0.75: rows of [`Curve`].
const EVERY: std::ops::Range<usize> = 0..THRESHOLDS;
const AT_50: std::ops::Range<usize> = 0..1;
const AT_75: std::ops::Range<usize> = 5..6;

type Rows = std::ops::Range<usize>;

fn precision<'a>(curves: impl Iterator<Item = &'a Curve>, rows: Rows) -> Option<f64> {
    mean(curves.flat_map(|curve| &curve.precision[rows.start * RECALLS..rows.end * RECALLS]).copied())
}

fn recall<'a>(curves: impl Iterator<Item = &'a Curve>, rows: Rows) -> Option<f64> {
    mean(curves.flat_map(|curve| &curve.recall[rows.clone()]).copied())
}

pub(super) fn boxes(truth: &Truth, results: &Results, curves: &Curves) -> Report {
    let ap = |range: usize, rows: Rows| precision(curves.of_all(range, 2), rows);
    let ar = |range: usize, count: usize| recall(curves.of_all(range, count), EVERY);
    let metrics = vec![
        Metric::new("AP", ap(0, EVERY)),
        Metric::new("AP50", ap(0, AT_50)),
        Metric::new("AP75", ap(0, AT_75)),
        Metric::new("AP-small", ap(1, EVERY)),
        Metric::new("AP-medium", ap(2, EVERY)),
        Metric::new("AP-large", ap(3, EVERY)),
        Metric::new("AR-1", ar(0, 0)),
        Metric::new("AR-10", ar(0, 1)),
        Metric::new("AR-100", ar(0, 2)),
        Metric::new("AR-small", ar(1, 2)),
        Metric::new("AR-medium", ar(2, 2)),
        Metric::new("AR-large", ar(3, 2)),
    ];
    report(truth, results, curves, 2, metrics)
}

pub(super) fn keypoints(truth: &Truth, results: &Results, curves: &Curves) -> Report {
    let ap = |range: usize, rows: Rows| precision(curves.of_all(range, 0), rows);
    let ar = |range: usize, rows: Rows| recall(curves.of_all(range, 0), rows);
    let metrics = vec![
        Metric::new("AP", ap(0, EVERY)),
        Metric::new("AP50", ap(0, AT_50)),
        Metric::new("AP75", ap(0, AT_75)),
        Metric::new("AP-medium", ap(1, EVERY)),
        Metric::new("AP-large", ap(2, EVERY)),
        Metric::new("AR", ar(0, EVERY)),
        Metric::new("AR50", ar(0, AT_50)),
        Metric::new("AR75", ar(0, AT_75)),
        Metric::new("AR-medium", ar(1, EVERY)),
        Metric::new("AR-large", ar(2, EVERY)),
    ];
    report(truth, results, curves, 0, metrics)
}

fn report(truth: &Truth, results: &Results, curves: &Curves, count: usize, metrics: Vec<Metric>) -> Report {
    let class = |(at, (id, name)): (usize, &(i64, String))| {
        let curve = || curves.at(at, 0, count).into_iter();
        ClassReport {
            id: *id,
            name: name.clone(),
            truths: truth.objects.iter().filter(|object| object.class == *id).count(),
            ap: precision(curve(), EVERY),
            ap50: precision(curve(), AT_50),
            ap75: precision(curve(), AT_75),
            ar: recall(curve(), EVERY),
        }
    };
    let mut notes = results.notes.clone();
    if truth.objects.iter().any(|object| object.id == 0) {
        notes.push(
            "the truth has an annotation of id 0, which counts as never found, as in pycocotools; number from 1"
                .into(),
        );
    }
    Report {
        images: truth.images(),
        truths: truth.objects.len(),
        results: results.objects.len(),
        metrics,
        classes: truth.classes.iter().enumerate().map(class).collect(),
        notes,
    }
}
