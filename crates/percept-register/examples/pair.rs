//! Registers two clouds several times from arrays in memory and prints the times: what `benches/peers/register.py` runs.
//!
//! `pair SOURCE TARGET gicp|global|features|learned|ransac RUNS [VOXEL MAX_DISTANCE NEIGHBORS]`
#![expect(clippy::print_stdout, reason = "printing is its work")]

use std::sync::Arc;
use std::time::Instant;

use percept_core::register::{Fine, RegisterInput, RegisterOptions, Start, Transform};
use percept_core::{LocalModel, Runtime};
use percept_media::cloud::{self, CloudLimits, CloudSource};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, target, method, runs, numbers @ ..] = arguments.as_slice() else {
        return Err("pair SOURCE TARGET gicp|global|features|learned|ransac RUNS [VOXEL MAX_DISTANCE]".into());
    };
    let numbers: Vec<f64> = numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    let read = |path: &str| cloud::read(CloudSource::Path(path.into()), CloudLimits::default());
    let (source, target) = (Arc::new(read(source)?.0), Arc::new(read(target)?.0));
    let start = match method.as_str() {
        "global" => Start::Anywhere,
        "features" => Start::Features,
        "learned" => Start::Learned,
        "ransac" => Start::Sampled,
        _ => Start::Guess(Transform::IDENTITY),
    };
    let options = Arc::new(RegisterOptions {
        start,
        fine: Fine::Gicp,
        voxels: numbers.first().copied().filter(|voxel| *voxel >= 0.0).into_iter().collect(),
        max_distance: numbers.get(1).copied(),
        neighbors: numbers.get(2).map(|number| *number as usize),
        ..RegisterOptions::default()
    });
    let files = LocalModel::of_folder("classic", std::path::Path::new("."))?;
    let model = (percept_register::ARCHS[0].load)(&files, &Runtime::default())?;
    let input = RegisterInput { source, target, options };
    for _ in 0..runs.parse()? {
        let began = Instant::now();
        let found = model.predict(std::slice::from_ref(&input))?;
        let whole = began.elapsed().as_secs_f64() * 1e3;
        let (timings, found) = (&found[0].timings, &found[0].output);
        let matrix = found.in_files().matrix();
        println!(
            "{whole:.3} ms (prepare {:.3} model {:.3} finish {:.3}) {matrix:?} doubts {:?} levels {:?} search {:?} fit {:?} free {:?}",
            timings.prepare,
            timings.model,
            timings.finish,
            found.doubts,
            found.levels,
            found.search,
            found.fit,
            found.free
        );
    }
    Ok(())
}
