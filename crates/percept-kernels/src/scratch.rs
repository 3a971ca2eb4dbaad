//! Scratch memory that is kept for the next call.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// One cache line, so that every buffer starts on one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

thread_local! {
    /// Buffers that this thread has given back. A stack, because work that a thread steals while it waits
    /// may need a buffer of its own.
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// A borrowed buffer of bytes on a 64-byte boundary; it goes back to its thread when dropped.
pub(crate) struct Scratch {
    lines: Vec<Line>,
    length: usize,
}

impl Scratch {
    /// A buffer of `length` bytes with arbitrary (but initialised) content.
    pub(crate) fn bytes(length: usize) -> Self {
        let mut lines = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
        let wanted = length.div_ceil(64);
        if lines.len() < wanted {
            // The old content is of no use: a fresh zeroed block is cheaper than growing and copying.
            lines = vec![Line([0; 64]); wanted];
        }
        Self { lines, length }
    }

    /// A buffer of `length` numbers with arbitrary content.
    pub(crate) fn floats(length: usize) -> Self {
        Self::bytes(length * 4)
    }

    /// The buffer as numbers.
    pub(crate) fn as_floats(&mut self) -> &mut [f32] {
        // SAFETY: aligned to 64, initialised, and every bit pattern is an f32; `length` bytes are in `lines`.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length / 4) }
    }
}

impl Deref for Scratch {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `lines` holds at least `length` initialised bytes.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // While a thread ends its store may be gone already; the buffer is then simply freed.
        let _ = FREE.try_with(|free| {
            if let Ok(mut free) = free.try_borrow_mut() {
                free.push(lines);
            }
        });
    }
}

/// An array that `write` fills; nothing is written to it before, because an output of some megabytes would
/// otherwise pass through memory twice.
///
/// # Safety
/// `write` writes every number, and reads none before it has written it.
pub(crate) unsafe fn filled(length: usize, write: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let mut values: Vec<f32> = Vec::with_capacity(length);
    if cfg!(debug_assertions) {
        values.resize(length, f32::NAN);
    } else {
        // SAFETY: the capacity is there; by contract nobody sees a number before it is written.
        unsafe { values.set_len(length) };
    }
    write(&mut values);
    values
}

/// A fixed block of plain numbers on a 64-byte boundary, for packed weights.
pub(crate) struct Aligned {
    lines: NonNull<Line>,
    count: usize,
}

// SAFETY: a block is owned memory without interior mutability, like `Vec<Line>`.
unsafe impl Send for Aligned {}
// SAFETY: as above.
unsafe impl Sync for Aligned {}

impl Aligned {
    /// Zeroed memory of at least `length` bytes. It comes zeroed from the system, so that its pages are first
    /// touched by the threads that fill them (`vec![]` would write all of it on this one).
    pub(crate) fn zeroed(length: usize) -> Self {
        let count = length.div_ceil(64);
        if count == 0 {
            return Self { lines: NonNull::dangling(), count };
        }
        let layout = Self::layout(count);
        // SAFETY: the layout is not empty.
        let lines = unsafe { alloc_zeroed(layout) };
        let Some(lines) = NonNull::new(lines.cast()) else { handle_alloc_error(layout) };
        Self { lines, count }
    }

    fn layout(count: usize) -> Layout {
        Layout::array::<Line>(count).expect("packed weights are smaller than the address space")
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `count` lines of plain bytes, initialised to zero.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.count * 64) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_ptr().cast(), self.count * 64) }
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Self {
        let mut copy = Self::zeroed(self.count * 64);
        copy.bytes_mut().copy_from_slice(self.bytes());
        copy
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        if self.count > 0 {
            // SAFETY: allocated in `zeroed` with this layout.
            unsafe { dealloc(self.lines.as_ptr().cast(), Self::layout(self.count)) };
        }
    }
}

/// Views bytes as numbers of another plain type.
///
/// # Panics
/// If the bytes are not aligned for it.
pub(crate) fn cast<T: Plain>(bytes: &[u8]) -> &[T] {
    // SAFETY: `Plain` types take every bit pattern; `align_to` keeps bounds and alignment.
    let (head, body, _) = unsafe { bytes.align_to::<T>() };
    assert!(head.is_empty(), "unaligned bytes");
    body
}

/// Views bytes as mutable numbers of another plain type.
///
/// # Panics
/// If the bytes are not aligned for it.
pub(crate) fn cast_mut<T: Plain>(bytes: &mut [u8]) -> &mut [T] {
    // SAFETY: as for `cast`; `Plain` types also have no padding to expose.
    let (head, body, _) = unsafe { bytes.align_to_mut::<T>() };
    assert!(head.is_empty(), "unaligned bytes");
    body
}

/// Views numbers as bytes.
pub(crate) fn as_bytes(numbers: &[f32]) -> &[u8] {
    // SAFETY: f32 have no padding.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// Views numbers as bytes that may be written.
pub(crate) fn as_bytes_mut(numbers: &mut [f32]) -> &mut [u8] {
    // SAFETY: any bytes are valid f32, and f32 have no padding.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), size_of_val(numbers)) }
}

/// Number types without padding for which every bit pattern is a value.
///
/// # Safety
/// Implementors must be such types.
pub(crate) unsafe trait Plain: Copy {}
// SAFETY: plain numbers.
unsafe impl Plain for f32 {}
// SAFETY: plain numbers.
unsafe impl Plain for i32 {}
// SAFETY: plain numbers.
unsafe impl Plain for u32 {}
// SAFETY: plain numbers.
unsafe impl Plain for u16 {}
// SAFETY: plain numbers.
unsafe impl Plain for i8 {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_reused_and_nested_ones_differ() {
        let first = { Scratch::bytes(1000).as_ptr() };
        let mut outer = Scratch::bytes(500);
        assert_eq!(outer.as_ptr(), first);
        let inner = Scratch::floats(16);
        assert_ne!(inner.as_ptr(), outer.as_ptr());
        assert_eq!(outer.len(), 500);
        outer[499] = 1;
        assert_eq!(outer.as_ptr().align_offset(64), 0);
    }
}
