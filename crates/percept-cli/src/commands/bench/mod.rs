//! `percept bench`: where the time of a model goes, as JSON.

mod segment;
mod transcribe;

use std::time::Instant;

use percept::flow::ExitCode;
use percept::hub::Hub;
use percept::{Result, Runtime};
use serde_json::{Map, Value, json};

use super::setup;
use crate::args::BenchArguments;
use crate::report;

pub(crate) fn run(arguments: &BenchArguments) -> Result<ExitCode> {
    let (runtime, hub) = setup::begin(&arguments.running)?;
    let bench: fn(&Hub, &BenchArguments, &Runtime) -> Result<Value> =
        if arguments.input.as_deref().is_some_and(percept::picture::is_picture) {
            segment::run
        } else {
            transcribe::run
        };
    report::data(&report::json(&bench(&hub, arguments, &runtime)?)?)
}

/// The milliseconds of one run, by stage.
type Row = Vec<(&'static str, f64)>;

/// Runs once to warm caches up, then as often as was asked: the median of each stage, and what came out last.
fn repeat<O>(runs: u32, mut one: impl FnMut() -> Result<(Row, O)>) -> Result<(Map<String, Value>, O)> {
    let (first, mut last) = one()?;
    let mut rows = Vec::new();
    for _ in 0..runs {
        let (row, output) = one()?;
        rows.push(row);
        last = output;
    }
    let stages = first.iter().enumerate().map(|(index, (name, _))| {
        let times = rows.iter().filter_map(|row| row.get(index)).map(|(_, time)| *time).collect();
        ((*name).to_owned(), round(median(times)))
    });
    Ok((stages.collect(), last))
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn round(value: f64) -> Value {
    json!((value * 1e3).round() / 1e3)
}
