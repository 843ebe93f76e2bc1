//! Coverage counters: how often things happened, and at what rate lately (`coverage/show`, `coverage/read-counter`).
//!
//! Whoever counts keeps the totals; this only samples them, every five seconds, so that rates over the last five
//! seconds, minute and hour can be told.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Time between samples.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Samples kept: an hour and one.
const KEPT: usize = 721;

/// A name and how often it happened so far.
pub type Counter = (&'static str, u64);

/// The history of all counters.
#[derive(Debug, Default)]
pub struct History {
    samples: VecDeque<BTreeMap<&'static str, u64>>,
    last: Option<Instant>,
}

impl History {
    /// Takes a sample when one is due.
    pub fn run(&mut self, now: Instant, counters: impl FnOnce() -> Vec<Counter>) {
        if self.last.is_some_and(|last| now < last + INTERVAL) {
            return;
        }
        self.last = Some(now);
        self.samples.push_front(counters().into_iter().collect());
        self.samples.truncate(KEPT);
    }

    /// When the next sample is due.
    pub fn next_wakeup(&self) -> Option<Instant> {
        self.last.map(|last| last + INTERVAL)
    }

    /// The text of `coverage/show` for these totals.
    pub fn show(&self, counters: &[Counter]) -> String {
        let hit: Vec<_> = counters.iter().filter(|(_, total)| *total > 0).collect();
        let mut out =
            String::from("Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=");
        let _ = writeln!(out, "{:08x}:", fingerprint(counters));
        for &&(name, total) in &hit {
            let rates = (self.rate(name, 1), self.rate(name, 12), self.rate(name, 720));
            let _ = writeln!(
                out,
                "{name:<24} {:>5.1}/sec {:>9.3}/sec {:>13.4}/sec   total: {total}",
                rates.0, rates.1, rates.2
            );
        }
        let _ = writeln!(out, "{} events never hit", counters.len() - hit.len());
        out
    }

    /// Mean rate per second over the last `intervals` samples; what is older than the first sample counts as nothing.
    fn rate(&self, name: &str, intervals: usize) -> f64 {
        let at = |index: usize| self.samples.get(index).and_then(|sample| sample.get(name)).copied();
        let newest = at(0).unwrap_or(0);
        let oldest = at(intervals.min(self.samples.len().saturating_sub(1))).unwrap_or(0);
        newest.saturating_sub(oldest) as f64 / (intervals as f64 * INTERVAL.as_secs_f64())
    }
}

/// A number that is the same while the same counters have been hit about as often (FNV-1a over names and magnitudes).
fn fingerprint(counters: &[Counter]) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for (name, total) in counters.iter().filter(|(_, total)| *total > 0) {
        for byte in name.bytes().chain([total.ilog2() as u8]) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_samples() {
        let (mut history, start) = (History::default(), Instant::now());
        for step in 0..13u64 {
            history.run(start + INTERVAL * step as u32, || vec![("hit", step * 10), ("never", 0)]);
        }
        history.run(start + INTERVAL * 12, || panic!("no sample is due"));
        let text = history.show(&[("hit", 120), ("never", 0)]);
        assert!(
            text.contains(
                "hit                        2.0/sec     2.000/sec        0.0333/sec   total: 120\n"
            ),
            "{text}"
        );
        assert!(text.ends_with("1 events never hit\n"));
    }
}
