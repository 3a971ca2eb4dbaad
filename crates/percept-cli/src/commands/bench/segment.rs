//! The stages of image to mask.

use std::sync::Arc;
use std::time::Instant;

use percept::flow::InputSource;
use percept::hub::Hub;
use percept::media::picture::PictureLimits;
use percept::segment::{
    self, Candidates, ObjectPrompt, PointLabel, PointPrompt, SegmentInput, SegmentOptions, SegmentRequest,
    WholeKind,
};
use percept::{Error, Result, Runtime, picture};
use serde_json::{Value, json};

use super::{milliseconds, repeat, round};
use crate::args::BenchArguments;

pub(super) fn run(hub: &Hub, arguments: &BenchArguments, runtime: &Runtime) -> Result<Value> {
    let began = Instant::now();
    let whole = SegmentRequest::Whole(WholeKind::Auto);
    let loaded = segment::load(hub, Some(&arguments.model), &whole, None, runtime)?;
    let load = milliseconds(began);
    let Some(path) = &arguments.input else { return Err(Error::argument("no picture is given")) };
    let source = InputSource::Path(path.clone());
    let read = |options: &Arc<SegmentOptions>| {
        picture::read(&source, PictureLimits::default())
            .map(|(image, _)| SegmentInput { image, options: options.clone() })
    };
    let asked = |request| Arc::new(SegmentOptions { request, ..SegmentOptions::default() });
    let mut options = asked(whole);
    let input = read(&options)?;
    // What needs a prompt gets the point in the middle.
    if let Err(Error::Argument { .. }) = loaded.model.predict(std::slice::from_ref(&input)) {
        options = asked(middle(&input));
    }
    let (stages, predicted) = repeat(arguments.runs, || {
        let began = Instant::now();
        let input = read(&options)?;
        let decode = milliseconds(began);
        let predicted = loaded
            .model
            .predict(&[input])?
            .pop()
            .ok_or_else(|| Error::argument("the model gave no result"))?;
        let timings = &predicted.timings;
        let mut row = vec![("decode", decode), ("prepare", timings.prepare), ("model", timings.model)];
        row.extend(&timings.stages);
        row.extend([("finish", timings.finish), ("total", milliseconds(began))]);
        Ok((row, predicted))
    })?;
    Ok(json!({
        "model": loaded.local.id,
        "source": loaded.local.source,
        "precision": loaded.model.precision(),
        "threads": runtime.threads,
        "runs": arguments.runs,
        "width": predicted.output.width,
        "height": predicted.output.height,
        "load_ms": round(load),
        "median_ms": stages,
        "instances": predicted.output.instances.len(),
    }))
}

fn middle(input: &SegmentInput) -> SegmentRequest {
    let (x, y) = (input.image.width as f32 / 2.0, input.image.height as f32 / 2.0);
    let point = PointPrompt { x, y, label: PointLabel::Foreground };
    let object = ObjectPrompt { points: vec![point], ..ObjectPrompt::default() };
    SegmentRequest::Objects { objects: vec![object], candidates: Candidates::Best }
}
