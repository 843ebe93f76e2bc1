//! Exact counters by the pull model.
//!
//! A rule, or anything else that counts packets, has a [`Counter`]: its own numbers, plus those of every cached flow whose
//! packets cross it, each from where that flow stood when it was attached. Reading adds them up, so a reply is exact at
//! any moment although no packet that hits a cache touches the counter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datapath::owner::{Credit, FlowStats, Hits};
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::mac::MacRef;
use crate::table::lesson::Taught;

/// What a counter came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Packets and bytes.
    pub hits: Hits,
    /// When the last packet came, in nanoseconds of the monotonic clock; 0 for never.
    pub used_ns: u64,
}

#[derive(Debug)]
struct Attached {
    stats: Arc<FlowStats>,
    base: Hits,
    /// How often one packet of the flow counts.
    times: u64,
}

impl Attached {
    fn since(&self) -> Totals {
        let now = read(&self.stats);
        Totals {
            hits: Hits {
                packets: now.packets.wrapping_sub(self.base.packets) * self.times,
                bytes: now.bytes.wrapping_sub(self.base.bytes) * self.times,
            },
            used_ns: self.stats.last_used_ns.load(Ordering::Relaxed),
        }
    }
}

fn read(stats: &FlowStats) -> Hits {
    Hits { packets: stats.packets.load(Ordering::Relaxed), bytes: stats.bytes.load(Ordering::Relaxed) }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Counter {
    packets: AtomicU64,
    bytes: AtomicU64,
    used_ns: AtomicU64,
    flows: Mutex<HashMap<u64, Attached>>,
}

impl Counter {
    fn flows(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Attached>> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A counter at zero that counts as used at this time.
    pub(crate) fn used_at(now_ns: u64) -> Self {
        Self { used_ns: now_ns.into(), ..Self::default() }
    }

    /// Everything counted so far.
    pub fn totals(&self) -> Totals {
        let flows = self.flows();
        let mut sum = Totals {
            hits: Hits {
                packets: self.packets.load(Ordering::Relaxed),
                bytes: self.bytes.load(Ordering::Relaxed),
            },
            used_ns: self.used_ns.load(Ordering::Relaxed),
        };
        for part in flows.values().map(Attached::since).filter(|part| part.hits.packets > 0) {
            sum.hits.packets += part.hits.packets;
            sum.hits.bytes += part.hits.bytes;
            sum.used_ns = sum.used_ns.max(part.used_ns);
        }
        sum
    }

    /// Begins again at zero.
    pub fn reset(&self) {
        let mut flows = self.flows();
        self.packets.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        for flow in flows.values_mut() {
            flow.base = read(&flow.stats);
        }
    }

    fn add(&self, part: Totals) {
        if part.hits.packets == 0 {
            return;
        }
        self.packets.fetch_add(part.hits.packets, Ordering::Relaxed);
        self.bytes.fetch_add(part.hits.bytes, Ordering::Relaxed);
        self.used_ns.fetch_max(part.used_ns, Ordering::Relaxed);
    }

    fn attach(&self, flow: u64, stats: &Arc<FlowStats>, times: u64) {
        let attached = Attached { stats: Arc::clone(stats), base: read(stats), times };
        if let Some(old) = self.flows().insert(flow, attached) {
            self.add(old.since());
        }
    }

    fn detach(&self, flow: u64) {
        let mut flows = self.flows();
        if let Some(old) = flows.remove(&flow) {
            self.add(old.since());
        }
    }
}

/// What the packets of one translation owe.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    counters: SmallVec<[(Arc<Counter>, u64); 8]>,
    pub(crate) macs: SmallVec<[MacRef; 1]>,
    /// Rules that they teach.
    pub(crate) taught: SmallVec<[Taught; 1]>,
    /// Contexts that the actions name by number: they live as long as this.
    pub(crate) held: SmallVec<[Arc<dyn Held>; 1]>,
}

/// Something that is kept alive by a cached flow.
pub(crate) trait Held: Send + Sync + std::fmt::Debug {}

impl Ledger {
    /// Each packet counts in `counter`; once more each time it is said.
    pub(crate) fn owe(&mut self, counter: &Arc<Counter>) {
        match self.counters.iter_mut().find(|(known, _)| Arc::ptr_eq(known, counter)) {
            Some((_, times)) => *times += 1,
            None => self.counters.push((Arc::clone(counter), 1)),
        }
    }
}

impl Credit for Ledger {
    fn count(&self, hits: Hits, _tcp_flags: u16, now_ns: u64) {
        for (counter, times) in &self.counters {
            let _steady = counter.flows();
            let hits = Hits { packets: hits.packets * times, bytes: hits.bytes * times };
            counter.add(Totals { hits, used_ns: now_ns });
        }
    }

    fn attach(&self, flow: u64, stats: &Arc<FlowStats>) {
        self.counters.iter().for_each(|(counter, times)| counter.attach(flow, stats, *times));
    }

    fn detach(&self, flow: u64) {
        self.counters.iter().for_each(|(counter, _)| counter.detach(flow));
    }

    fn refresh(&self, last_used_ns: u64) {
        self.macs.iter().for_each(|mac| mac.refresh(last_used_ns));
        self.taught.iter().filter_map(|rule| rule.get()).for_each(|rule| rule.refresh(last_used_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulls_what_flows_counted_since_they_came() {
        let counter = Arc::new(Counter::default());
        let mut ledger = Ledger::default();
        ledger.owe(&counter);
        let stats = Arc::new(FlowStats::default());
        stats.packets.store(5, Ordering::Relaxed);
        ledger.count(Hits { packets: 1, bytes: 60 }, 0, 10);
        ledger.attach(1, &stats);
        stats.packets.store(8, Ordering::Relaxed);
        stats.bytes.store(300, Ordering::Relaxed);
        stats.last_used_ns.store(77, Ordering::Relaxed);
        assert_eq!(counter.totals(), Totals { hits: Hits { packets: 4, bytes: 360 }, used_ns: 77 });
        ledger.detach(1);
        stats.packets.store(100, Ordering::Relaxed);
        assert_eq!(counter.totals().hits.packets, 4);
        ledger.attach(1, &stats);
        counter.reset();
        stats.packets.store(101, Ordering::Relaxed);
        assert_eq!(counter.totals().hits.packets, 1);
    }

    #[test]
    fn a_counter_that_is_crossed_twice_by_one_flow_counts_twice() {
        let counter = Arc::new(Counter::default());
        let mut ledger = Ledger::default();
        ledger.owe(&counter);
        ledger.owe(&counter);
        ledger.count(Hits { packets: 1, bytes: 60 }, 0, 10);
        assert_eq!(counter.totals().hits.packets, 2);
    }
}
