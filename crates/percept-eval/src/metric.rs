//! One number of a report.

use serde::Serializer;

/// A number with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// As `--min` and `--max` take it, such as `AP50`.
    pub name: String,
    /// `None` where nothing in the truth lets it be measured, such as small objects where there are none.
    pub value: Option<f64>,
}

impl Metric {
    pub(crate) fn new(name: impl Into<String>, value: Option<f64>) -> Self {
        Self { name: name.into(), value }
    }
}

/// Metrics as an object of names and numbers.
pub(crate) fn as_object<S: Serializer>(metrics: &[Metric], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metrics.iter().map(|metric| (&metric.name, metric.value)))
}

/// The mean of what there is; `None` of nothing.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in values {
        (sum, count) = (sum + value, count + 1);
    }
    (count > 0).then(|| sum / count as f64)
}
