//! Splitting work over the current rayon pool, and sharing one output among tasks that write disjoint parts of it.

mod team;

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

/// Whether one call may use the threads of the current rayon pool. Never changes a bit of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parallelism {
    /// On the calling thread.
    Serial,
    /// On the current rayon pool. Call from within the pool (`ThreadPool::install`): work handed over from a thread
    /// outside it pays two thread switches per call.
    Pool,
}

impl Parallelism {
    /// Runs `work` such that between its calls of kernels the threads they use stay awake, where other work of the pool
    /// does not need them. For what makes many short calls, one after the other.
    pub fn together<R>(self, work: impl FnOnce() -> R) -> R {
        match self {
            Self::Pool if rayon::current_thread_index().is_some() && rayon::current_num_threads() > 1 => {
                team::together(work)
            }
            Self::Serial | Self::Pool => work(),
        }
    }

    /// Threads worth using for work of `cost`, if waking another pays from `pays_from` on.
    pub(crate) fn threads(self, cost: usize, pays_from: usize) -> usize {
        match self {
            Self::Serial => 1,
            Self::Pool if cost < pays_from => 1,
            Self::Pool => rayon::current_num_threads(),
        }
    }
}

/// Runs `task(0)` to `task(count - 1)`, in any order, on `threads` threads or this one alone.
pub(crate) fn for_each_task(threads: usize, count: usize, task: impl Fn(usize) + Sync + Send) {
    if threads <= 1 || count <= 1 {
        for index in 0..count {
            task(index);
        }
        return;
    }
    if !team::run(count, &task) {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// The `index`th of `parts` nearly equal parts of `0..length`.
pub(crate) fn part(length: usize, parts: usize, index: usize) -> Range<usize> {
    length * index / parts..length * (index + 1) / parts
}

/// Calls `work` on blocks of whole rows of `values`, each `width` wide; on several threads if there is enough to do.
pub(crate) fn for_each_row_block(
    values: &mut [f32],
    width: usize,
    parallelism: Parallelism,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    // About 10 µs of memory-bound work per thread: below that, waking one costs more than it brings.
    const PAYS_FROM: usize = 64 * 1024;
    if values.is_empty() {
        return;
    }
    let rows = values.len() / width;
    let threads = parallelism.threads(values.len(), PAYS_FROM);
    if threads <= 1 {
        return work(0, values);
    }
    let rows_per_block = rows.div_ceil(2 * threads);
    let block_length = rows_per_block * width;
    let (length, shared) = (values.len(), SharedOutput::new(values));
    for_each_task(threads, length.div_ceil(block_length), |index| {
        let from = index * block_length;
        // SAFETY: blocks do not overlap.
        let block = unsafe { shared.part(from, block_length.min(length - from)) };
        work(index * rows_per_block, block);
    });
}

/// An output slice that several tasks write to, each its own part.
#[derive(Clone, Copy)]
pub(crate) struct SharedOutput<'a> {
    start: *mut f32,
    length: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: it hands out parts only through `part`, whose caller promises that no two live parts overlap.
unsafe impl Send for SharedOutput<'_> {}
// SAFETY: as above.
unsafe impl Sync for SharedOutput<'_> {}

impl<'a> SharedOutput<'a> {
    pub(crate) fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), length: values.len(), lifetime: PhantomData }
    }

    /// Start of `values[from..from + length]`, for tasks whose parts interleave within it.
    ///
    /// # Panics
    /// If it reaches beyond the slice.
    #[inline(always)]
    pub(crate) fn pointer(self, from: usize, length: usize) -> *mut f32 {
        assert!(from <= self.length && length <= self.length - from);
        // SAFETY: within the slice by the check above.
        unsafe { self.start.add(from) }
    }

    /// `values[from..from + length]`
    ///
    /// # Safety
    /// No other live part overlaps it.
    ///
    /// # Panics
    /// If it reaches beyond the slice.
    #[inline(always)]
    pub(crate) unsafe fn part(self, from: usize, length: usize) -> &'a mut [f32] {
        assert!(from <= self.length && length <= self.length - from);
        // SAFETY: within the slice by the check above; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), length) }
    }
}
