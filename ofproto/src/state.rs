//! Everything that translation reads, behind one lock.
//!
//! Workers hold the lock for reading during one translation. The control thread holds it for writing to change a setting, or to put a
//! slice of rules in, at most a millisecond at a time. What a change of rules means to a reader is told by versions, not by the
//! lock; a change of settings stands from when the lock is released, and is announced by the bridge's slot.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use datapath::Datapath;
use datapath::action::PortNo;
use datapath::owner::Credit;
use datapath::stamps::{Slot, Stamps};
use hashbrown::HashMap;
use openflow::OfPort;

use crate::config::{BridgeConfig, PortConfig};
use crate::counter::Counter;
use crate::events::{Events, Waker};
use crate::expiry::Timed;
use crate::mac::MacTable;
use crate::port::{Numbers, Port};
use crate::table::flow_table::{FlowTable, HIDDEN_TABLE};
use crate::table::lesson::Lesson;
use crate::table::retire::{Retired, Undo};
use crate::table::shape::mix;
use crate::zones::ZonePolicies;

/// A bridge's number within a switch; never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct BridgeId(pub u32);

/// What is done with IP fragments (`OFPC_FRAG_*`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum FragMode {
    /// Fragments match as packets whose ports are zero.
    #[default]
    Normal,
    /// Fragments are dropped.
    Drop,
    /// First fragments match with their ports, later ones with zero.
    NxMatch,
}

/// One bridge, as translation sees it.
#[derive(Debug)]
pub(crate) struct BridgeState {
    pub(crate) id: BridgeId,
    pub(crate) name: Arc<str>,
    pub(crate) seed: u64,
    pub(crate) config: BridgeConfig,
    pub(crate) ports: BTreeMap<OfPort, Port>,
    pub(crate) numbers: Numbers,
    /// When the youngest interface came.
    pub(crate) last_created_ns: u64,
    /// The interfaces in the order in which a flood goes to them.
    pub(crate) flood_order: Vec<OfPort>,
    /// In the order in which they were added, which is that of a flood.
    pub(crate) bundles: Vec<Arc<PortConfig>>,
    pub(crate) bundle_of: HashMap<OfPort, Arc<PortConfig>>,
    pub(crate) tables: Vec<FlowTable>,
    /// Counters of the rules that stand for what no rule says, by [`Internal`](crate::table::internal::Internal).
    pub(crate) internal: Vec<Arc<Counter>>,
    pub(crate) macs: Arc<Mutex<MacTable>>,
    pub(crate) frags: FragMode,
    pub(crate) packet_in_on_miss: bool,
    pub(crate) events: Arc<Events>,
    /// Held by whoever walks over the rules of a version: none is taken out meanwhile.
    pub(crate) pin: Arc<()>,
    pub(crate) retired: VecDeque<Retired>,
    pub(crate) undoing: VecDeque<Undo>,
    pub(crate) timed: Timed,
    /// Transactions that have changed something and are not yet committed.
    pub(crate) open_txns: usize,
    /// How many rules have a `learn` whose flows go with the last of them, by table and cookie of those flows.
    pub(crate) teachers: HashMap<(u8, u64), usize>,
    /// What is to be learned once no transaction is open.
    pub(crate) lessons: VecDeque<Lesson>,
}

impl BridgeState {
    pub(crate) fn new(id: BridgeId, name: &str, config: BridgeConfig, seed: u64, events: Events) -> Self {
        let seed = mix(seed, u64::from(id.0) + 1);
        let macs = MacTable::new(mix(seed, 4), config.mac_aging_s, config.mac_table_size);
        let tables = (0..=HIDDEN_TABLE).map(|table| FlowTable::new(mix(seed, u64::from(table) + 16)));
        Self {
            id,
            name: name.into(),
            seed,
            config,
            ports: BTreeMap::new(),
            numbers: Numbers::default(),
            last_created_ns: 0,
            flood_order: Vec::new(),
            bundles: Vec::new(),
            bundle_of: HashMap::new(),
            tables: tables.collect(),
            internal: Vec::new(),
            macs: Arc::new(Mutex::new(macs)),
            frags: FragMode::default(),
            packet_in_on_miss: false,
            events: Arc::new(events),
            pin: Arc::default(),
            retired: VecDeque::new(),
            undoing: VecDeque::new(),
            timed: Timed::default(),
            open_txns: 0,
            teachers: HashMap::new(),
            lessons: VecDeque::new(),
        }
    }

    /// Whether somebody is in the middle of a change to the tables.
    pub(crate) fn is_changing(&self) -> bool {
        self.open_txns > 0 || !self.undoing.is_empty()
    }

    /// The slot that changes with any setting of this bridge or its ports.
    pub(crate) fn config_slot(&self) -> Slot {
        Slot::of_hash(mix(self.seed, 3))
    }

    /// Makes the order of floods anew.
    pub(crate) fn order_ports(&mut self) {
        let ports = self.ports.values().cloned().collect();
        self.flood_order = crate::conn::arrange(ports).iter().map(|port| port.number).collect();
    }

    /// Makes the map from interface to port settings anew.
    pub(crate) fn index_bundles(&mut self) {
        self.bundle_of.clear();
        for bundle in &self.bundles {
            for member in &bundle.members {
                self.bundle_of.insert(*member, Arc::clone(bundle));
            }
        }
    }
}

/// All bridges, and which bridge a port belongs to.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) bridges: BTreeMap<BridgeId, BridgeState>,
    pub(crate) by_dp: HashMap<PortNo, (BridgeId, OfPort)>,
    pub(crate) by_patch: HashMap<String, (BridgeId, OfPort)>,
    pub(crate) next_bridge: u32,
    pub(crate) zones: ZonePolicies,
}

/// How long a packet-out may take to leave the datapath.
const LINGER_NS: u64 = 1_000_000_000;
/// Packet-outs whose debts are kept.
const LINGER_MAX: usize = 4096;

type Passed = Box<dyn Fn(u64) -> bool + Send + Sync>;

/// What the switch and its bridges share.
pub(crate) struct Core {
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) seed: u64,
    pub(crate) contexts: crate::context::Contexts,
    state: RwLock<State>,
    passed: RwLock<Option<Passed>>,
    datapath: RwLock<Weak<Datapath>>,
    /// Debts of packets that are still on their way through the datapath: they keep the contexts alive that actions name.
    lingering: Mutex<VecDeque<(u64, Arc<dyn Credit>)>>,
    pub(crate) waker: Arc<OnceLock<Waker>>,
    /// Packets for controllers that found the queue of their bridge full.
    pub(crate) packet_in_overflow: Arc<AtomicU64>,
    /// Flows that were not learned because too much waited to be done.
    pub(crate) unlearned: AtomicU64,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("version", &self.stamps.version()).finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(stamps: Arc<Stamps>, seed: u64) -> Self {
        Self {
            stamps,
            seed,
            contexts: crate::context::Contexts::default(),
            state: RwLock::default(),
            passed: RwLock::default(),
            datapath: RwLock::new(Weak::new()),
            lingering: Mutex::default(),
            waker: Arc::default(),
            packet_in_overflow: Arc::default(),
            unlearned: AtomicU64::new(0),
        }
    }

    /// The datapath, once there is one.
    pub(crate) fn datapath(&self) -> Option<Arc<Datapath>> {
        self.datapath.read().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    pub(crate) fn set_datapath(&self, datapath: &Arc<Datapath>) {
        *self.datapath.write().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(datapath);
    }

    /// Keeps a debt until the packet has surely left the datapath.
    pub(crate) fn linger(&self, credit: Arc<dyn Credit>, now_ns: u64) {
        let mut lingering = self.lingering.lock().unwrap_or_else(PoisonError::into_inner);
        lingering.push_back((now_ns, credit));
        if lingering.len() > LINGER_MAX {
            lingering.pop_front();
        }
    }

    /// Lets go of debts that have lingered long enough.
    pub(crate) fn release_lingering(&self, now_ns: u64) {
        let mut lingering = self.lingering.lock().unwrap_or_else(PoisonError::into_inner);
        while lingering.front().is_some_and(|(since, _)| now_ns.saturating_sub(*since) > LINGER_NS) {
            lingering.pop_front();
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_passed(&self, passed: Passed) {
        *self.passed.write().unwrap_or_else(PoisonError::into_inner) = Some(passed);
    }

    /// Whether every worker has passed `version`.
    pub(crate) fn has_passed(&self, version: u64) -> bool {
        let passed = self.passed.read().unwrap_or_else(PoisonError::into_inner);
        passed.as_ref().is_none_or(|passed| passed(version))
    }

    /// Announces that state behind these slots has changed.
    pub(crate) fn touch(&self, slots: impl IntoIterator<Item = Slot>) -> u64 {
        self.stamps.publish(|_| slots)
    }
}
