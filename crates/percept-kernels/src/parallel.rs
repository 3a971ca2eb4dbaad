//! Sharing tasks among the threads of rayon's current pool.
//!
//! The rule: a kernel splits its own work over the pool that it is called in (rayon's global one unless the
//! caller is inside another), and runs small work on the calling thread alone. Callers that already run one
//! item per thread may call kernels from inside the pool; idle threads then help, busy ones do not wait.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Work below this many multiply-adds (or as many element steps) is not worth waking another thread for.
pub(crate) const SMALL: usize = 1 << 17;

/// Threads that a kernel may use here.
pub(crate) fn threads() -> usize {
    if SERIAL.get() { 1 } else { rayon::current_num_threads() }
}

thread_local! {
    /// Whether this thread is inside [`serially`].
    static SERIAL: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with its kernels on this thread alone: for tasks that are made of several kernels.
pub(crate) fn serially<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            SERIAL.set(self.0);
        }
    }
    let _restore = Restore(SERIAL.replace(true));
    work()
}

/// Calls `task(0..count)`, each index once, on as many threads as the pool has; `cost` in multiply-adds.
///
/// Indices are handed out in order, one at a time. Nothing is allocated.
pub(crate) fn for_each(count: usize, cost: usize, task: &(dyn Fn(usize) + Sync)) {
    let workers = if cost < SMALL { 1 } else { threads().min(count) };
    if workers <= 1 {
        (0..count).for_each(task);
        return;
    }
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            task(index);
        }
    };
    fan_out(workers, &work);
}

/// Runs `work` on up to `workers` threads; a copy that starts late finds nothing left and returns.
fn fan_out(workers: usize, work: &(dyn Fn() + Sync)) {
    if workers <= 1 {
        return work();
    }
    let half = workers / 2;
    rayon::join(|| fan_out(workers - half, work), || fan_out(half, work));
}

/// A slice of `f32` that several threads write, each its own part.
pub(crate) struct SharedOut<'a> {
    start: *mut f32,
    length: usize,
    _borrow: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer stands for an exclusive borrow of plain numbers; the only access is `part`, whose
// contract forbids overlapping parts.
unsafe impl Sync for SharedOut<'_> {}

impl<'a> SharedOut<'a> {
    pub(crate) fn new(out: &'a mut [f32]) -> Self {
        Self { start: out.as_mut_ptr(), length: out.len(), _borrow: std::marker::PhantomData }
    }

    /// Asks for the cache line of one value, to write to it.
    pub(crate) fn prefetch(&self, at: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            // SAFETY: a prefetch reads and writes nothing, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(self.start.wrapping_add(at).cast()) };
        }
        let _ = at;
    }

    /// The part `start..start + length`.
    ///
    /// # Safety
    /// No two parts that are alive at the same time may overlap.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, start: usize, length: usize) -> &mut [f32] {
        assert!(start <= self.length && length <= self.length - start, "part outside the output");
        // SAFETY: inside the borrowed slice by the assertion, not overlapping by this function's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_runs_once() {
        for (count, cost) in [(0, 0), (1, 1 << 30), (7, 0), (1000, 1 << 30)] {
            let seen: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            for_each(count, cost, &|index| {
                seen[index].fetch_add(1, Ordering::Relaxed);
            });
            assert!(seen.iter().all(|times| times.load(Ordering::Relaxed) == 1));
        }
    }
}
