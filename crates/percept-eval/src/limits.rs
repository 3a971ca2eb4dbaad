//! What a metric has to reach.

use std::str::FromStr;

use percept_core::{Error, Result};

use crate::Metric;

/// Whether a [`Limit`] is from below or from above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The metric has to be as large, or larger.
    Min,
    /// The metric has to be as small, or smaller.
    Max,
}

/// A metric and a number, written `AP=0.4`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// A metric's name, in any case.
    pub metric: String,
    /// What it is compared with.
    pub value: f64,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let form = || "it has the form METRIC=VALUE, such as `AP=0.4`".to_owned();
        let (metric, value) = text.split_once('=').ok_or_else(form)?;
        let value = value.trim().parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(form)?;
        Ok(Self { metric: metric.trim().to_owned(), value })
    }
}

impl Limit {
    /// Why the limit is missed, in a sentence; `None` where it is kept. What could not be measured misses any limit.
    ///
    /// # Errors
    /// [`Error::Argument`]: no metric has that name.
    pub fn missed(&self, bound: Bound, metrics: &[Metric]) -> Result<Option<String>> {
        let named = metrics.iter().find(|metric| metric.name.eq_ignore_ascii_case(&self.metric));
        let Some(Metric { name, value }) = named else {
            let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
            return Err(Error::Argument {
                message: format!("no metric is called `{}`", self.metric),
                hint: Some(format!("there are {}", names.join(", "))),
            });
        };
        let wanted = self.value;
        let than = match bound {
            Bound::Min => "less",
            Bound::Max => "more",
        };
        Ok(match value {
            None => Some(format!("{name} could not be measured: the truth has nothing to measure it by")),
            Some(value) if bound == Bound::Min && *value >= wanted => None,
            Some(value) if bound == Bound::Max && *value <= wanted => None,
            Some(value) => Some(format!("{name} is {value:.4}, {than} than {wanted}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kept_missed_or_unknown() {
        let metrics = [Metric::new("AP", Some(0.5)), Metric::new("AP-small", None)];
        let missed = |text: &str, bound| text.parse::<Limit>().unwrap().missed(bound, &metrics);
        assert_eq!(missed("ap=0.5", Bound::Min).unwrap(), None);
        assert_eq!(missed("AP=0.5", Bound::Max).unwrap(), None);
        assert_eq!(missed("AP=0.6", Bound::Min).unwrap().unwrap(), "AP is 0.5000, less than 0.6");
        assert_eq!(missed("AP=0.4", Bound::Max).unwrap().unwrap(), "AP is 0.5000, more than 0.4");
        assert!(missed("AP-small=0", Bound::Min).unwrap().is_some());
        assert!(missed("mAP=0", Bound::Min).unwrap_err().hint().unwrap().contains("AP-small"));
        for wrong in ["AP", "AP=", "AP=x", "AP=nan"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }
}
