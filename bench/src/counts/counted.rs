//! Work that is counted: done in a function that callgrind knows by its name, while an allocator counts what this thread
//! allocates.
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait, and a name for tools by its attribute")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use anyhow::Result;

/// The system's allocator, counted. A program that counts has it as its global allocator.
pub struct Counting;

thread_local! {
    /// Allocations and their bytes, while there is something to count.
    static COUNTED: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
}

/// Does the work, and counts how often it allocates and how many bytes that are, on this thread.
///
/// # Errors
/// Those of the work.
pub fn counted(mut work: impl FnMut() -> Result<()>) -> Result<(u64, u64)> {
    COUNTED.set(Some((0, 0)));
    let done = tillflow_counted(&mut work);
    let counts = COUNTED.take().unwrap_or_default();
    done.map(|()| counts)
}

/// Callgrind counts what happens in here.
#[unsafe(no_mangle)]
#[inline(never)]
fn tillflow_counted(work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    // The result is looked at behind the call, so that this is a function that calls, and not a jump to another one.
    black_box(work())
}

fn count(bytes: usize) {
    // While a thread ends its counter may be gone; nobody counts there.
    let _ = COUNTED.try_with(|counted| {
        if let Some((allocations, sum)) = counted.get() {
            counted.set(Some((allocations + 1, sum + bytes as u64)));
        }
    });
}

// SAFETY: each call is passed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}
