//! How much memory something takes at the most.

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Whatever comes in, there are some pages to work with: the OpenAPI document takes most of them.
const BASE: usize = 128 * 1024;
/// And so many bytes for each byte of it: JSON takes the most, at two bytes for a value of 32 in a list that doubles.
const FACTOR: usize = 96;

/// Does something with an input of this length, and stops where it takes more memory than that can be worth.
pub fn bounded<T>(len: usize, act: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let done = act();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= BASE + FACTOR * len, "{taken} bytes for an input of {len}");
    done
}
