//! f32 memory aligned to cache lines, and scratch that outlives a call.

use std::cell::RefCell;

const LINE: usize = 16;

/// One cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// A growable f32 buffer that starts at a cache line.
#[derive(Debug, Clone, Default)]
pub(crate) struct AlignedBuffer {
    lines: Vec<Line>,
}

impl AlignedBuffer {
    /// `length` zeros (rounded up to whole lines).
    pub(crate) fn zeros(length: usize) -> Self {
        Self { lines: vec![Line([0.0; LINE]); length.div_ceil(LINE)] }
    }

    fn grow(&mut self, length: usize) {
        if self.lines.len() * LINE < length {
            self.lines.resize(length.div_ceil(LINE), Line([0.0; LINE]));
        }
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen f32 without padding, and the vector holds `len` of them.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * LINE) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * LINE) }
    }
}

/// The same memory as bytes.
pub(crate) fn bytes_of(values: &mut [f32]) -> &mut [u8] {
    // SAFETY: any bytes are f32 values and the other way round, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// The same memory as values of 16 bits.
pub(crate) fn halves_of(values: &[f32]) -> &[u16] {
    // SAFETY: any bytes are values of 16 bits, and f32 is aligned for them.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), 2 * values.len()) }
}

/// [`halves_of`], to be written.
pub(crate) fn halves_of_mut(values: &mut [f32]) -> &mut [u16] {
    // SAFETY: as above and the other way round, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), 2 * values.len()) }
}

thread_local! {
    static SCRATCH: RefCell<AlignedBuffer> = RefCell::default();
}

/// Lends `length` values of this thread's scratch, of any content, to `work`, which must not ask for scratch itself
/// nor hand work to other threads. Dispatch inside `work`, not around this call: a closure would lose the features.
pub(crate) fn with_scratch<T>(length: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    SCRATCH.with_borrow_mut(|buffer| {
        buffer.grow(length);
        work(&mut buffer.as_mut_slice()[..length])
    })
}
