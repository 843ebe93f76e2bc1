//! The switch: all bridges on one datapath.

use std::sync::Arc;

use datapath::Datapath;
use datapath::stamps::Stamps;

use crate::bridge::{Bridge, BridgeError, lock};
use crate::config::BridgeConfig;
use crate::events::Events;
use crate::expiry;
use crate::state::{BridgeId, BridgeState, Core};
use crate::table::{retire, txn};

/// How often time-outs of rules and MACs are looked at.
const SCAN_INTERVAL_NS: u64 = 500_000_000;
/// How soon to look again for rules whose version workers had not passed.
const RETRY_NS: u64 = 2_000_000;
/// MACs that expire in one go.
const MACS_PER_RUN: usize = 1024;

/// All bridges on one datapath; the datapath's owner.
#[derive(Debug)]
pub struct Switch {
    pub(crate) core: Arc<Core>,
    next_scan_ns: std::sync::atomic::AtomicU64,
    next_run_ns: std::sync::atomic::AtomicU64,
    restoring: std::sync::atomic::AtomicBool,
}

impl Switch {
    /// A switch without bridges, on the datapath that works by `stamps`. `seed` makes hashes unpredictable.
    pub fn new(stamps: Arc<Stamps>, seed: u64) -> Self {
        Self {
            core: Arc::new(Core::new(stamps, seed)),
            next_scan_ns: 0.into(),
            next_run_ns: 0.into(),
            restoring: false.into(),
        }
    }

    /// Whether flows are being restored: until they are, packets are dropped (`other_config:flow-restore-wait`).
    pub fn set_restoring(&self, restoring: bool) {
        self.restoring.store(restoring, std::sync::atomic::Ordering::Relaxed);
    }

    /// See [`set_restoring`](Self::set_restoring).
    pub fn is_restoring(&self) -> bool {
        self.restoring.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// How to ask the datapath whether every worker has passed a version. Until this is set, every version counts as passed at once.
    pub fn set_passed(&self, passed: impl Fn(u64) -> bool + Send + Sync + 'static) {
        self.core.set_passed(Box::new(passed));
    }

    /// The datapath that this switch owns, for packets that are sent by controllers.
    pub fn set_datapath(&self, datapath: &Arc<Datapath>) {
        self.core.set_datapath(datapath);
        let weak = Arc::downgrade(datapath);
        self.set_passed(move |version| weak.upgrade().is_none_or(|datapath| datapath.passed(version)));
    }

    /// Has `wake` called, on whatever thread, when a bridge has something to tell its controllers. Only the first call counts.
    pub fn set_waker(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.core.waker.set(Box::new(wake));
    }

    /// What happened that operators look for, by the names of `coverage/show`.
    pub fn coverage(&self) -> Vec<(&'static str, u64)> {
        let lost = self.core.packet_in_overflow.load(std::sync::atomic::Ordering::Relaxed);
        let unlearned = self.core.unlearned.load(std::sync::atomic::Ordering::Relaxed);
        vec![("packet_in_overflow", lost), ("learn_overflow", unlearned)]
    }

    /// When [`run`](Self::run) is to be called next, as it said itself.
    pub fn next_wakeup(&self) -> u64 {
        self.next_run_ns.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Adds a bridge without ports or rules.
    pub fn add_bridge(&self, name: &str, config: BridgeConfig) -> Result<Arc<Bridge>, BridgeError> {
        let mut state = self.core.write();
        if state.bridges.values().any(|bridge| &*bridge.name == name) {
            return Err(BridgeError::Exists(name.to_owned()));
        }
        state.next_bridge += 1;
        let id = BridgeId(state.next_bridge);
        let events = Events::new(Arc::clone(&self.core.waker), Arc::clone(&self.core.packet_in_overflow));
        let bridge = BridgeState::new(id, name, BridgeConfig::default(), self.core.seed, events);
        let handle = Arc::new(Bridge::new(&self.core, &bridge));
        state.bridges.insert(id, bridge);
        drop(state);
        handle.configure(config);
        Ok(handle)
    }

    /// Removes a bridge and all its ports from the switch. Its handles stay valid and do nothing.
    pub fn remove_bridge(&self, name: &str) {
        let mut state = self.core.write();
        let Some(id) = state.bridges.values().find(|bridge| &*bridge.name == name).map(|bridge| bridge.id)
        else {
            return;
        };
        state.by_dp.retain(|_, (bridge, _)| *bridge != id);
        state.by_patch.retain(|_, (bridge, _)| *bridge != id);
        let slots: Vec<_> = state.bridges.values().map(BridgeState::config_slot).collect();
        state.bridges.remove(&id);
        drop(state);
        self.core.touch(slots);
    }

    /// The bridge of this name.
    pub fn bridge(&self, name: &str) -> Option<Arc<Bridge>> {
        let state = self.core.read();
        let bridge = state.bridges.values().find(|bridge| &*bridge.name == name)?;
        Some(Arc::new(Bridge::new(&self.core, bridge)))
    }

    /// All bridges, in the order in which they were added.
    pub fn bridges(&self) -> Vec<Arc<Bridge>> {
        self.core.read().bridges.values().map(|bridge| Arc::new(Bridge::new(&self.core, bridge))).collect()
    }

    /// Lets rules and MACs expire, and takes out what no worker sees any more. Returns when to call again.
    pub fn run(&self, now_ns: u64) -> u64 {
        use std::sync::atomic::Ordering::Relaxed;
        let ids: Vec<BridgeId> = self.core.read().bridges.keys().copied().collect();
        let mut waiting = false;
        let scan = now_ns >= self.next_scan_ns.load(Relaxed);
        for id in ids {
            if scan {
                self.begin_pass(id);
                self.expire_macs(id, now_ns);
            }
            waiting |= expiry::run(&self.core, id, now_ns);
            waiting |= retire::undo(&self.core, id);
            txn::teach_put_off(&self.core, id, now_ns);
            waiting |= retire::purge(&self.core, id);
        }
        if scan {
            self.next_scan_ns.store(now_ns + SCAN_INTERVAL_NS, Relaxed);
        }
        let next_scan = self.next_scan_ns.load(Relaxed);
        self.core.release_lingering(now_ns);
        let next = if waiting { next_scan.min(now_ns + RETRY_NS) } else { next_scan };
        self.next_run_ns.store(next, Relaxed);
        next
    }

    fn begin_pass(&self, id: BridgeId) {
        if let Some(bridge) = self.core.write().bridges.get_mut(&id) {
            bridge.timed.begin();
        }
    }

    fn expire_macs(&self, id: BridgeId, now_ns: u64) {
        let Some(macs) = self.core.read().bridges.get(&id).map(|bridge| Arc::clone(&bridge.macs)) else {
            return;
        };
        let slots: Vec<_> = {
            let mut macs = lock(&macs);
            let gone = macs.expire(now_ns, MACS_PER_RUN);
            gone.into_iter().map(|key| macs.slot(key)).collect()
        };
        if !slots.is_empty() {
            self.core.touch(slots);
        }
    }
}
