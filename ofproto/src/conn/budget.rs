//! How long a turn may take, so that no connection keeps the others waiting.

use std::time::{Duration, Instant};

/// The time that one connection has in one turn.
const TURN: Duration = Duration::from_millis(1);

/// The rest of a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    until: Instant,
}

impl Budget {
    /// A whole turn from now on.
    pub(crate) fn turn() -> Self {
        Self { until: Instant::now() + TURN }
    }

    /// Whether the turn is over.
    pub(crate) fn is_spent(&self) -> bool {
        Instant::now() >= self.until
    }
}
