//! What is remembered for `upcall/show`.

use std::time::{Duration, Instant};

/// Open vSwitch adds a sixteenth of the difference with each dump, so often.
const DUMP_INTERVAL: Duration = Duration::from_millis(500);
const WEIGHT: f64 = 1.0 / 16.0;

/// See the module documentation.
#[derive(Debug)]
pub struct Upcalls {
    average: f64,
    last: Option<Instant>,
    /// Whether dumps are said to name flows by their ids.
    pub ufid: bool,
}

impl Default for Upcalls {
    fn default() -> Self {
        Self { average: 0.0, last: None, ufid: true }
    }
}

impl Upcalls {
    /// Takes note of the number of cached flows at this time. It counts for all the time since the last call.
    pub fn sample(&mut self, now: Instant, flows: usize) {
        let elapsed = self.last.map_or(DUMP_INTERVAL, |last| now.saturating_duration_since(last));
        if elapsed < DUMP_INTERVAL {
            return;
        }
        self.last = Some(now);
        let kept = (1.0 - WEIGHT).powf(elapsed.as_secs_f64() / DUMP_INTERVAL.as_secs_f64());
        self.average = self.average * kept + flows as f64 * (1.0 - kept);
    }

    /// The moving average of the number of cached flows.
    pub fn average(&self) -> usize {
        self.average.round() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_slowly_and_depends_on_time_alone() {
        let start = Instant::now();
        let (mut often, mut seldom) = (Upcalls::default(), Upcalls::default());
        often.sample(start, 1600);
        seldom.sample(start, 1600);
        assert_eq!(often.average(), 100);
        for step in 1..=20 {
            often.sample(start + DUMP_INTERVAL * step, 1600);
        }
        seldom.sample(start + DUMP_INTERVAL * 20, 1600);
        assert_eq!(often.average(), seldom.average());
        assert!((1100..1300).contains(&often.average()), "{}", often.average());
    }
}
