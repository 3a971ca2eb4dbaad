//! Ctrl-C: once to finish what has begun, twice to stop now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percept_core::{Error, Result};

/// Whether the user asked to stop. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    pressed: Arc<AtomicBool>,
}

impl Interrupt {
    /// A flag that nobody has pressed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop after the items that are being predicted or written.
    pub fn press(&self) {
        self.pressed.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked to stop.
    pub fn pressed(&self) -> bool {
        self.pressed.load(Ordering::SeqCst)
    }

    /// Connects SIGINT and SIGTERM: the first presses this flag, the second ends the process at once
    /// with exit code 130. For `main`, once.
    ///
    /// SIGHUP is left alone, so that a run under `nohup` outlives its terminal.
    ///
    /// # Errors
    ///
    /// Where the system refuses a signal handler.
    pub fn listen(&self) -> Result<()> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::flag;
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the shutdown looks at the flag before this same signal sets it.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&self.pressed))
                .and_then(|_| flag::register(signal, Arc::clone(&self.pressed)))
                .map_err(|cause| Error::argument(format!("cannot listen to signal {signal}: {cause}")))?;
        }
        Ok(())
    }
}
