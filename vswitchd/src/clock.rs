//! The clock and chance: the two things that engines take as arguments.

use std::hash::{BuildHasher, Hasher, RandomState};

use nix::time::{ClockId, clock_gettime};

/// Now, in nanoseconds of the monotonic clock, as workers tell it.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs())
}

/// A number that nobody outside can guess.
pub fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
