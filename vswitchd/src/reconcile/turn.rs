//! How much is taken down in one turn of the control loop, so that it is not away from its connections for long.
//!
//! The kernel takes some 26 ms to remove a device, and nobody can cut that short: there is one in each turn at least, and no
//! other is begun once [`TURN`] has passed.

use std::time::{Duration, Instant};

/// The time after which nothing more is begun.
const TURN: Duration = Duration::from_millis(5);

/// The rest of a turn.
#[derive(Debug)]
pub(super) struct Turn {
    /// When it is over; not before something was done, and never if there is no other turn to come.
    until: Option<Instant>,
    begun: bool,
}

impl Turn {
    /// One of many.
    pub(super) fn one() -> Self {
        Self { until: Some(Instant::now() + TURN), begun: false }
    }

    /// The last one: everything has to be done in it.
    pub(super) fn last() -> Self {
        Self { until: None, begun: false }
    }

    /// Whether one more thing may be done.
    pub(super) fn has_time(&mut self) -> bool {
        let begun = std::mem::replace(&mut self.begun, true);
        !begun || self.until.is_none_or(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_done_in_each_turn_however_late_it_is() {
        let mut late = Turn { until: Some(Instant::now()), begun: false };
        assert!(late.has_time());
        assert!(!late.has_time());
        let mut last = Turn::last();
        assert!(last.has_time() && last.has_time());
    }
}
