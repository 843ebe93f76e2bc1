//! [`Slice`]: how long one turn of a long command may take.

use std::time::{Duration, Instant};

/// Slots of the connection table looked at between two looks at the clock.
pub(super) const SLOTS: usize = 256;

/// The longest turn.
const LONGEST: Duration = Duration::from_millis(1);

/// A turn.
pub(super) struct Slice(Instant);

impl Slice {
    /// One that begins now.
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Whether it has to end.
    pub(super) fn is_spent(&self) -> bool {
        self.0.elapsed() >= LONGEST
    }
}
