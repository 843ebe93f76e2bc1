//! The rate limit of packet-ins: a token bucket and, when it is empty, a bounded queue for each port.
//!
//! Tokens come at the configured rate up to the burst. A packet that finds a token and no queue passes at once. Others are
//! queued by their port; when the queues together hold as many packets as the burst, one is dropped from the longest
//! of them, so that a port that floods hurts itself. Queues are served in turn. All operations cost at most the number of
//! ports that have something queued.

use std::collections::{BTreeMap, VecDeque};

/// One packet costs so many tokens: tokens are thousandths, so that a millisecond at R packets a second brings R of them.
const PACKET_COST: u64 = 1000;

/// What became of packets since the limit was set; `status:packet-in-TYPE-*` of a `Controller` row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct LimiterStats {
    /// Sent at once.
    pub(crate) bypassed: u64,
    /// Queued, whatever came of it.
    pub(crate) queued: u64,
    /// Dropped from a full queue.
    pub(crate) dropped: u64,
    /// In the queues now.
    pub(crate) backlog: u64,
}

/// A rate limiter for items that belong to ports.
#[derive(Debug)]
pub(crate) struct Limiter<T> {
    rate: u64,
    burst: u64,
    tokens: u64,
    filled_ms: u64,
    queues: BTreeMap<u32, VecDeque<T>>,
    next_port: u32,
    stats: LimiterStats,
}

impl<T> Limiter<T> {
    /// `rate` items per second; `burst` is how many may wait or come at once, a quarter of the rate if `None`.
    pub(crate) fn new(rate: u32, burst: Option<u32>, now_ms: u64) -> Self {
        let (rate, burst) = limits(rate, burst);
        Self {
            rate,
            burst,
            tokens: burst * PACKET_COST,
            filled_ms: now_ms,
            queues: BTreeMap::new(),
            next_port: 0,
            stats: LimiterStats::default(),
        }
    }

    /// Changes the limits.
    pub(crate) fn set_limits(&mut self, rate: u32, burst: Option<u32>) {
        (self.rate, self.burst) = limits(rate, burst);
        while self.stats.backlog > self.burst {
            self.drop_one();
        }
    }

    /// Counters.
    pub(crate) fn stats(&self) -> LimiterStats {
        self.stats
    }

    /// Takes an item of `port`: gives it back if it may pass now, else keeps it or drops one.
    pub(crate) fn offer(&mut self, port: u32, item: T, now_ms: u64) -> Option<T> {
        if self.stats.backlog == 0 && self.take_token(now_ms) {
            self.stats.bypassed += 1;
            return Some(item);
        }
        if self.stats.backlog >= self.burst {
            self.drop_one();
        }
        self.queues.entry(port).or_default().push_back(item);
        self.stats.queued += 1;
        self.stats.backlog += 1;
        None
    }

    /// The next item whose time has come.
    pub(crate) fn pop(&mut self, now_ms: u64) -> Option<T> {
        if self.stats.backlog == 0 || !self.take_token(now_ms) {
            return None;
        }
        let after = self.queues.range(self.next_port..).next();
        let port = *after.or_else(|| self.queues.iter().next())?.0;
        self.next_port = port.wrapping_add(1);
        self.pop_from(port)
    }

    /// When the next item's time comes, ms; `None` when nothing waits.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let missing = PACKET_COST.saturating_sub(self.tokens);
        (self.stats.backlog > 0).then(|| self.filled_ms + missing.div_ceil(self.rate))
    }

    fn take_token(&mut self, now_ms: u64) -> bool {
        let fresh = now_ms.saturating_sub(self.filled_ms).saturating_mul(self.rate);
        self.tokens = self.tokens.saturating_add(fresh).min(self.burst * PACKET_COST);
        self.filled_ms = self.filled_ms.max(now_ms);
        let enough = self.tokens >= PACKET_COST;
        if enough {
            self.tokens -= PACKET_COST;
        }
        enough
    }

    fn drop_one(&mut self) {
        if let Some((&port, _)) = self.queues.iter().max_by_key(|(_, queue)| queue.len()) {
            self.pop_from(port);
            self.stats.dropped += 1;
        }
    }

    fn pop_from(&mut self, port: u32) -> Option<T> {
        let queue = self.queues.get_mut(&port)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&port);
        }
        self.stats.backlog -= u64::from(item.is_some());
        item
    }
}

fn limits(rate: u32, burst: Option<u32>) -> (u64, u64) {
    let rate = u64::from(rate.max(1));
    (rate, burst.map_or(rate / 4, u64::from).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_passes_then_the_rate_holds() {
        let mut limiter = Limiter::new(100, Some(25), 0);
        let passed = (0..25).filter(|&i| limiter.offer(1, i, 0).is_some()).count();
        assert_eq!(passed, 25);
        assert_eq!(limiter.offer(1, 99, 0), None);
        assert_eq!(limiter.deadline(), Some(10));
        assert_eq!(limiter.pop(9), None);
        assert_eq!(limiter.pop(10), Some(99));
        assert_eq!(limiter.deadline(), None);
        assert_eq!(limiter.stats(), LimiterStats { bypassed: 25, queued: 1, dropped: 0, backlog: 0 });
    }

    #[test]
    fn the_longest_queue_loses_and_ports_take_turns() {
        let mut limiter = Limiter::new(100, Some(4), 0);
        assert_eq!((0..4).filter_map(|_| limiter.offer(9, "free", 0)).count(), 4);
        for (port, item) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (2, "b2")] {
            assert_eq!(limiter.offer(port, item, 0), None);
        }
        assert_eq!(limiter.stats(), LimiterStats { bypassed: 4, queued: 5, dropped: 1, backlog: 4 });
        let order: Vec<_> = (1..=4).filter_map(|i| limiter.pop(i * 10)).collect();
        assert_eq!(order, ["a2", "b1", "a3", "b2"]);
    }

    #[test]
    fn default_burst_is_a_quarter() {
        let mut limiter = Limiter::new(100, None, 0);
        assert_eq!((0..100).filter(|&i| limiter.offer(1, i, 0).is_some()).count(), 25);
        limiter.set_limits(100, Some(5));
        assert_eq!(limiter.stats().backlog, 5);
    }
}
