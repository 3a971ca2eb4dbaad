//! From a model's name to a model.

use percept_core::{Arch, Error, LocalModel, Model, Result, Runtime, Task};
use percept_hub::Hub;

/// A model and where it came from.
pub struct Loaded<T: Task> {
    /// The model.
    pub model: Box<dyn Model<T>>,
    /// Its files, verified.
    pub local: LocalModel,
    /// `Arch::name`.
    pub architecture: &'static str,
}

/// Resolves a name (the task's default when there is none), picks the architecture that the
/// checkpoint names, and loads it.
pub(crate) fn load<T: Task>(
    hub: &Hub,
    archs: &'static [Arch<T>],
    name: Option<&str>,
    runtime: &Runtime,
) -> Result<Loaded<T>> {
    let local = hub.resolve(T::NAME, name)?;
    let arch = choose(archs, &local)?;
    let model = (arch.load)(&local, runtime)?;
    Ok(Loaded { model, local, architecture: arch.name })
}

fn choose<T: Task>(archs: &'static [Arch<T>], local: &LocalModel) -> Result<&'static Arch<T>> {
    let knows = |arch: &&Arch<T>| {
        local.identifiers.iter().any(|found| arch.identifiers.iter().any(|known| known == found))
    };
    archs.iter().find(knows).ok_or_else(|| Error::UnsupportedArchitecture {
        model: local.id.clone(),
        task: T::NAME.into(),
        found: local.identifiers.first().cloned().unwrap_or_else(|| "model of no stated architecture".into()),
        supported: archs
            .iter()
            .flat_map(|arch| arch.identifiers.first())
            .map(|id| (*id).to_owned())
            .collect(),
    })
}

/// Sizes the one compute pool of the process. Only the first call has an effect, and only before
/// anything is computed.
pub fn use_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Error::argument(format!("cannot use {threads} threads: {error}")))
}
