//! The monotonic clock, read once per batch by whoever has a thread; everything else takes the time as an argument.

use nix::time::{ClockId, clock_gettime};

/// Now, in nanoseconds of the monotonic clock.
pub fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| {
        let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
        seconds * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0)
    })
}
