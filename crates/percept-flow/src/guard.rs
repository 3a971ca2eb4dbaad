//! A panic while one item is worked on becomes that item's error.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use percept_core::{Cause, Result};

/// Runs `work`; a panic in it becomes the error that `error` makes of the panic's message.
///
/// The panic hook still runs: whether a panic is printed is the program's decision.
pub(crate) fn guard<V>(
    work: impl FnOnce() -> Result<V>,
    error: impl FnOnce(Cause) -> percept_core::Error,
) -> Result<V> {
    // What `work` leaves behind after a panic is one item's state, which is dropped with the item.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(error(message(&*payload).into())))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    format!("internal error, please report it: {text}")
}
