//! What the driver itself costs an item: `cargo bench -p percept-flow --bench engine`.
//!
//! The task does nothing. `bare` is the driver alone; `manifest` also reads and hashes a file of 1 kB, writes an output of
//! 1 kB as every run does, and notes both; `resumed` finds all of that done.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::num::NonZero;
use std::sync::Arc;
use std::time::Instant;

use percept_core::transcribe::Transcript;
use percept_core::{Model, Precision, Predicted, Prediction, RawTensor, Result, Task, Timings};
use percept_flow::{
    Existing, Format, FormatKind, Identity, Item, Manifest, Naming, Plan, PlanRequest, Resume, RunOptions,
    run,
};

enum Nothing {}

struct Done;

impl Task for Nothing {
    const NAME: &'static str = "nothing";
    type Input = ();
    type Output = Done;
}

impl From<Done> for Prediction {
    fn from(_: Done) -> Self {
        Self::Transcribe(Transcript::default())
    }
}

struct Idle;

impl Model<Nothing> for Idle {
    fn predict(&self, inputs: &[()]) -> Result<Vec<Predicted<Done>>> {
        Ok(inputs.iter().map(|()| Predicted { output: Done, timings: Timings::default() }).collect())
    }

    fn raw(&self, (): &()) -> Result<Vec<RawTensor>> {
        Ok(vec![])
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}

fn plan(folder: &std::path::Path) -> Plan {
    Plan::new(&PlanRequest {
        inputs: vec![folder.join("in").into()],
        files_from: None,
        output: Some(folder.join("out").into()),
        formats: vec![Format { extension: "txt".into(), kind: FormatKind::Text, naming: Naming::Stem }],
        existing: Existing::Replace,
        accept: &|_| true,
        include: &[],
        exclude: &[],
        shard: None,
        own_outputs: &[],
    })
    .unwrap()
}

fn main() {
    const COUNT: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    for index in 0..COUNT {
        let path = folder.path().join(format!("in/{:02}/{index}.bin", index % 100));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![index as u8; 1024]).unwrap();
    }
    for jobs in [1, 2] {
        let options = RunOptions { jobs: NonZero::new(jobs).unwrap(), ..RunOptions::default() };
        let mut told = vec![];
        for (name, resume) in
            [("bare", None), ("manifest", Some(Resume::Nothing)), ("resumed", Some(Resume::Missing))]
        {
            let began = Instant::now();
            let plan = plan(folder.path());
            let planned = began.elapsed();
            let manifest = resume.map(|resume| {
                let path = folder.path().join("out/percept-run.jsonl");
                Arc::new(
                    Manifest::open(&path, Identity::new("nothing", "idle", "", ""), resume, &plan).unwrap(),
                )
            });
            let writes = manifest.is_some();
            let options = RunOptions { manifest, ..options.clone() };
            let read = |_: &Item| Ok(((), ()));
            let write = |item: &Item, (): (), _: Predicted<Done>| match writes {
                true => item.outputs[0].write(&[7; 1024]),
                false => Ok(()),
            };
            let summary = run::<Nothing, _, _, _>(&Idle, &plan, read, write, &options, &());
            assert_eq!(summary.done + summary.kept, COUNT);
            if let Some(manifest) = options.manifest.and_then(Arc::into_inner) {
                manifest.finish(&plan).unwrap();
            }
            let each = |time: std::time::Duration| time.as_secs_f64() * 1e3 / COUNT as f64;
            told.push(format!("{name} {:.4} (planning {:.4})", each(began.elapsed()), each(planned)));
        }
        println!("{jobs} jobs, ms an item: {}", told.join(", "));
    }
}
