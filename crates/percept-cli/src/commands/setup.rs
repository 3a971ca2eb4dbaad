//! What every command needs before its work: a runtime, a hub, and a plan's parts.

use std::sync::Arc;

use percept::flow::{FilesFrom, Interrupt, ListSource, Separator};
use percept::hub::{Hub, HubOptions};
use percept::{Result, Runtime};

use crate::args::{Compute, Fetching, Files, ProgressChoice};
use crate::report::Fetch;

/// The runtime that was asked for; sizes the compute pool.
pub(crate) fn runtime(compute: &Compute) -> Result<Runtime> {
    let mut runtime = Runtime { device: compute.device, precision: compute.precision, ..Runtime::default() };
    if let Some(threads) = compute.threads {
        runtime.threads = usize::from(threads);
    }
    percept::use_threads(runtime.threads)?;
    Ok(runtime)
}

/// The hub as the environment and the options say.
pub(crate) fn hub(fetching: &Fetching, progress: &ProgressChoice) -> Hub {
    let mut options = HubOptions::from_env();
    options.offline |= fetching.offline;
    options.accept_license = fetching.accept_license;
    options.progress = Arc::new(Fetch::new(progress));
    Hub::new(options)
}

/// Where further inputs are listed.
pub(crate) fn files_from(files: &Files) -> Option<FilesFrom> {
    let path = files.files_from.as_ref()?;
    let source = if path.as_os_str() == "-" { ListSource::Stdin } else { ListSource::File(path.clone()) };
    let separator = if files.null { Separator::Zero } else { Separator::Line };
    Some(FilesFrom { source, separator })
}

/// A listener for Ctrl-C.
pub(crate) fn interrupt() -> Result<Interrupt> {
    let interrupt = Interrupt::new();
    interrupt.listen()?;
    Ok(interrupt)
}
