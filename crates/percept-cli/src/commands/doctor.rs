//! `percept doctor`: what a bug report should say of the machine, the build and the caches.

use percept::flow::ExitCode;
use percept::hub::{CacheSummary, ModelSummary};
use percept::{Build, Machine, Rates, Result, Runtime};
use serde::Serialize;

use super::setup;
use crate::args::DoctorArguments;
use crate::report::{self, size};

/// All of it, as `--json` prints it.
#[derive(Serialize)]
struct Findings {
    build: Build,
    machine: Machine,
    threads: usize,
    processors: usize,
    /// In 10^9 operations a second.
    rates: Rates,
    cache: CacheSummary,
    models: Vec<Here>,
}

/// A model that is on this machine.
#[derive(Serialize)]
struct Here {
    name: String,
    bytes: Option<u64>,
}

pub(crate) fn run(arguments: &DoctorArguments) -> Result<ExitCode> {
    let processors = Runtime::default().threads;
    let threads = arguments.threads.map_or(processors, usize::from);
    percept::use_threads(threads)?;
    let hub = setup::hub(&arguments.fetching, &arguments.progress);
    let here = |model: ModelSummary| Here { name: model.name, bytes: model.bytes };
    let findings = Findings {
        build: Build::THIS,
        machine: Machine::look(),
        threads,
        processors,
        rates: Rates::measure(),
        cache: hub.cache(),
        models: hub.list(None)?.into_iter().filter(|model| model.path.is_some()).map(here).collect(),
    };
    report::data(&if arguments.json { report::json(&findings)? } else { findings.text() })
}

impl Findings {
    fn text(&self) -> String {
        let mut text = format!("percept {}\n", self.build.version);
        let mut line = |name: &str, value: String| text.push_str(&format!("  {name:13} {value}\n"));
        line("instructions", instructions(&self.machine));
        line("threads", format!("{} of {} processors", self.threads, self.processors));
        let Rates { f32, bf16, int8 } = self.rates;
        line("products", format!("f32 {f32:.0}, bf16 {bf16:.0}, int8 {int8:.0} billion operations a second"));
        let Build { video, cuda, metal, .. } = self.build;
        let features = [("video", video), ("cuda", cuda), ("metal", metal)];
        let features = features.map(|(name, there)| format!("{name} {}", if there { "yes" } else { "no" }));
        line("features", features.join(", "));
        let free = self.cache.free_bytes.map_or("free space unknown".into(), |free| size(free) + " free");
        line("model cache", format!("{} ({free})", self.cache.path.display()));
        line("own folder", self.cache.home.display().to_string());
        let endpoint = &self.cache.endpoint;
        line(
            "network",
            if self.cache.offline { "not used (offline)".into() } else { format!("used: {endpoint}") },
        );
        let models = self.models.iter().map(|model| match model.bytes {
            Some(bytes) => format!("{} ({})", model.name, size(bytes)),
            None => model.name.clone(),
        });
        let models = models.collect::<Vec<_>>();
        line("models here", if models.is_empty() { "none".into() } else { models.join(", ") });
        text
    }
}

/// The instruction set in use, and why it is that one.
fn instructions(machine: &Machine) -> String {
    let Machine { instruction_set, detected, limit } = machine;
    match limit {
        None => format!("{instruction_set}, the best of this processor (PERCEPT_ISA sets a lower one)"),
        Some(limit) if limit.known => {
            format!("{instruction_set}, since PERCEPT_ISA={}; this processor has {detected}", limit.text)
        }
        Some(limit) => {
            format!("{instruction_set}; PERCEPT_ISA={} names no instruction set and is ignored", limit.text)
        }
    }
}
