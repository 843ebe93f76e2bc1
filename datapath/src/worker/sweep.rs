//! Housekeeping: a walk through all flows twice a second, in slices between batches.
//!
//! For each flow: out with it when it was idle too long; its credit is told of its use; when the version has moved on, it is checked,
//! and translated again where what it was made from has changed, so that a dump shows no stale actions even where there is no traffic.
//!
//! The same walk does what the control side orders of all flows at once (purge, sweep).

use std::sync::atomic::Ordering;

use super::{Errand, Worker};
use crate::megaflow::FlowId;
use crate::megaflow::flow::Cold;

/// Flows looked at between two batches.
const SLICE: usize = 64;
/// Empty slots passed over between two batches.
const SLOTS: u32 = 1024;
/// How often the walk starts, in nanoseconds.
const PERIOD_NS: u64 = 500_000_000;
/// Flows compared when one has to go.
const SAMPLE: usize = 8;

const START: FlowId = FlowId { subtable: 0, slot: 0 };

/// How far the walk has come.
#[derive(Debug)]
pub(super) struct Sweep {
    at: Option<FlowId>,
    started_ns: u64,
    /// Where eviction looks next.
    hand: FlowId,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { at: None, started_ns: 0, hand: START }
    }
}

impl Sweep {
    /// Starts the walk from the beginning.
    pub(super) fn restart(&mut self) {
        self.at = Some(START);
    }

    /// Whether a walk is under way.
    pub(super) fn under_way(&self) -> bool {
        self.at.is_some()
    }

    /// When the next walk starts.
    pub(super) fn next_ns(&self) -> u64 {
        self.started_ns.saturating_add(PERIOD_NS)
    }
}

impl Worker {
    /// A slice of housekeeping, if it is time.
    pub(super) fn housekeep(&mut self, now_ns: u64) {
        if self.sweep.at.is_none() {
            if now_ns < self.sweep.next_ns() {
                return;
            }
            self.sweep.at = Some(START);
        }
        if self.sweep.at == Some(START) {
            self.sweep.started_ns = now_ns;
        }
        if self.flows.len() != 0 {
            self.enter_version();
        }
        for _ in 0..SLICE {
            let Some(at) = self.sweep.at else { break };
            match self.flows.walk(at, SLOTS) {
                Ok(Some(id)) => {
                    self.sweep.at = Some(FlowId { slot: id.slot + 1, ..id });
                    self.tend(id, now_ns);
                }
                Ok(None) => self.walked(now_ns),
                Err(at) => {
                    self.sweep.at = Some(at);
                    break;
                }
            }
        }
        self.flows.reclaim();
        self.registry.flush(&self.me.registry, false);
    }

    /// The walk is at its end.
    fn walked(&mut self, now_ns: u64) {
        self.sweep.at = None;
        self.me.walk_ns.store(now_ns.saturating_sub(self.sweep.started_ns), Ordering::Relaxed);
        self.flows.tidy();
        self.lists.tidy();
        if self.errand.take().is_some() {
            self.order_done();
        }
    }

    /// Looks after one flow.
    fn tend(&mut self, id: FlowId, now_ns: u64) {
        let max_idle_ns = u64::try_from(self.config.max_idle.as_nanos()).unwrap_or(u64::MAX);
        let Some(cold) = self.flows.cold_mut(id) else { return };
        cold.refresh();
        if self.errand == Some(Errand::Purge) {
            self.remove(id);
        } else if now_ns.saturating_sub(cold.last_use_ns()) > max_idle_ns {
            self.shared.coverage.expire.fetch_add(1, Ordering::Relaxed);
            self.remove(id);
        } else {
            self.refresh_flow(id, now_ns);
        }
    }

    /// Takes all flows out, in no slices.
    pub(super) fn purge_at_once(&mut self) {
        let mut at = START;
        while let Ok(Some(id)) = self.flows.walk(at, u32::MAX) {
            self.remove(id);
            at = id;
        }
        self.flows.reclaim();
    }

    /// Makes room for one more flow: of the next few flows in order, the one that was unused longest goes.
    pub(super) fn make_room(&mut self) {
        let limit = (self.config.flow_limit / self.config.workers.max(1)).max(1);
        if self.flows.len() < limit {
            return;
        }
        let mut victim: Option<(u64, FlowId)> = None;
        let mut at = self.sweep.hand;
        let mut wrapped = false;
        for _ in 0..SAMPLE {
            match self.flows.walk(at, SLOTS) {
                Ok(Some(id)) => {
                    let used = self.flows.cold(id).map_or(0, Cold::last_use_ns);
                    if victim.is_none_or(|(oldest, _)| used < oldest) {
                        victim = Some((used, id));
                    }
                    at = FlowId { slot: id.slot + 1, ..id };
                }
                Err(next) => at = next,
                Ok(None) if wrapped => break,
                Ok(None) => (at, wrapped) = (START, true),
            }
        }
        self.sweep.hand = at;
        if let Some((_, id)) = victim {
            self.shared.coverage.evict.fetch_add(1, Ordering::Relaxed);
            self.remove(id);
        }
    }
}
