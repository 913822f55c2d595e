//! The allocator of the process.
//!
//! A step allocates and frees gigabytes. mimalloc keeps freed memory for reuse; the system's allocator returns it to the system, which
//! has to clear the pages again: that costs a fifth of the time of a step.
#![expect(unsafe_code, reason = "options of the allocator are set through its C interface")]

use libmimalloc_sys::{mi_option_set, mi_option_t};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of `mimalloc.h`, which the bindings do not name.
const PURGE_DELAY: mi_option_t = 15;
/// Milliseconds that freed memory is kept for later use: longer than the longest step, short enough to return memory when
/// work is over. The default, 10, gives it back within a step.
const KEPT: std::ffi::c_long = 60_000;

/// Keeps freed memory for a while. Must be called before work begins.
pub fn keep() {
    set_purge_delay(KEPT);
}

/// Returns freed memory at once: for work that copies large files once and allocates nothing again.
pub fn give_back() {
    set_purge_delay(0);
}

fn set_purge_delay(milliseconds: std::ffi::c_long) {
    // SAFETY: the function only stores a number in the allocator's table of options, at an index that lies within it.
    unsafe { mi_option_set(PURGE_DELAY, milliseconds) }
}
