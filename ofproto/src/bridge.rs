//! The handle to one bridge.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, PoisonError};

use openflow::{Action, FlowMod, Match, OfError, OfPort};
use thiserror::Error;

use crate::config::{Attachment, BridgeConfig, InterfaceConfig, PortConfig, TableConfig};
use crate::counter::Totals;
use crate::events::{Event, Events, PortReason};
use crate::mac::{MacKey, MacRow, MacStats, MacTable};
use crate::packet_out::packet_out;
use crate::port::{LinkState, Port, PortFlags};
use crate::state::{BridgeId, BridgeState, Core, FragMode, State};
use crate::table::flow_table::{Filter, FlowTable, HIDDEN_TABLE};
use crate::table::internal;
use crate::table::rule::Rule;
use crate::table::selection::Selection;
use crate::table::txn::Txn;

/// Why a bridge cannot be configured as asked.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BridgeError {
    /// The bridge has been removed.
    #[error("bridge {0} is gone")]
    Gone(String),
    /// Another bridge has the name.
    #[error("bridge {0} exists already")]
    Exists(String),
    /// All port numbers are taken.
    #[error("no more OpenFlow port numbers on bridge {0}")]
    NoPortNumbers(String),
    /// The interface belongs to a bridge already.
    #[error("interface {0} is in use already")]
    InUse(String),
}

/// Numbers of a table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableStats {
    /// Name as configured, or empty.
    pub name: String,
    /// Flows at present.
    pub active: usize,
    /// Most flows, if limited.
    pub limit: Option<usize>,
    /// Packets looked up.
    pub lookups: u64,
    /// Packets that matched.
    pub matches: u64,
    /// Whether a flow that does not fit evicts another.
    pub evict: bool,
}

/// A bridge of a [`Switch`](crate::Switch). All methods are for the control thread.
#[derive(Debug)]
pub struct Bridge {
    pub(crate) core: Arc<Core>,
    id: BridgeId,
    name: Arc<str>,
    events: Arc<Events>,
}

impl Bridge {
    pub(crate) fn new(core: &Arc<Core>, state: &BridgeState) -> Self {
        Self {
            core: Arc::clone(core),
            id: state.id,
            name: Arc::clone(&state.name),
            events: Arc::clone(&state.events),
        }
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number within the switch.
    pub fn id(&self) -> BridgeId {
        self.id
    }

    /// What the bridge tells its controllers.
    pub fn events(&self) -> &Arc<Events> {
        &self.events
    }

    pub(crate) fn read<T: Default>(&self, look: impl FnOnce(&BridgeState) -> T) -> T {
        self.core.read().bridges.get(&self.id).map(look).unwrap_or_default()
    }

    /// Changes a setting and announces that.
    fn change<T: Default>(&self, change: impl FnOnce(&mut BridgeState) -> T) -> T {
        let mut state = self.core.write();
        let Some(bridge) = state.bridges.get_mut(&self.id) else { return T::default() };
        let out = change(bridge);
        let slot = bridge.config_slot();
        drop(state);
        self.core.touch([slot]);
        out
    }

    /// The settings in force.
    pub fn config(&self) -> BridgeConfig {
        self.read(|bridge| bridge.config.clone())
    }

    /// Puts settings in force.
    pub fn configure(&self, config: BridgeConfig) {
        let forgotten = self.change(|bridge| {
            for (number, table) in bridge.tables.iter_mut().enumerate() {
                let wanted = config.tables.get(&(number as u8));
                if wanted.unwrap_or(&TableConfig::default()) != &table.config {
                    table.configure(wanted.cloned().unwrap_or_default());
                }
            }
            let mut macs = bridge.macs.lock().unwrap_or_else(PoisonError::into_inner);
            let mut gone = macs.configure(config.mac_aging_s, config.mac_table_size);
            if config.flood_vlans != bridge.config.flood_vlans {
                gone.extend(macs.flush(|_| true));
            }
            drop(macs);
            bridge.config = config;
            gone
        });
        self.announce_macs(&forgotten);
    }

    /// The datapath id.
    pub fn datapath_id(&self) -> u64 {
        self.read(|bridge| bridge.config.datapath_id)
    }

    // Ports.

    /// Adds an interface and gives it a number. Whether it takes part in NORMAL is said by [`set_port`](Self::set_port).
    pub fn add_interface(&self, config: &InterfaceConfig, now_ns: u64) -> Result<OfPort, BridgeError> {
        let mut state = self.core.write();
        if is_taken(&state, &config.attachment, &config.name) {
            return Err(BridgeError::InUse(config.name.clone()));
        }
        let Some(bridge) = state.bridges.get_mut(&self.id) else { return Err(self.gone()) };
        let number = if config.local {
            OfPort::LOCAL
        } else {
            let (ports, numbers) = (&bridge.ports, &mut bridge.numbers);
            numbers
                .allocate(config.ofport_request, now_ns, |port| ports.contains_key(&port))
                .ok_or_else(|| BridgeError::NoPortNumbers(self.name.to_string()))?
        };
        internal::install(bridge, now_ns);
        // Ports are listed by age, so no two have the same.
        bridge.last_created_ns = now_ns.max(bridge.last_created_ns + 1);
        let port = port_of(config, number, bridge.last_created_ns);
        bridge.ports.insert(number, port.clone());
        bridge.order_ports();
        let slot = bridge.config_slot();
        let mut slots = vec![slot];
        match &config.attachment {
            Attachment::Datapath(dp) => {
                state.by_dp.insert(*dp, (self.id, number));
            }
            Attachment::Patch(peer) => {
                slots.extend(peer_slot(&state, peer));
                state.by_patch.insert(config.name.clone(), (self.id, number));
            }
        }
        drop(state);
        self.core.touch(slots);
        self.port_status(PortReason::Add, port);
        Ok(number)
    }

    /// Removes an interface. Its number rests before it is given out again.
    pub fn remove_interface(&self, number: OfPort, now_ns: u64) {
        let mut state = self.core.write();
        let Some(bridge) = state.bridges.get_mut(&self.id) else { return };
        let Some(port) = bridge.ports.remove(&number) else { return };
        if number != OfPort::LOCAL {
            bridge.numbers.release(number, now_ns);
        }
        bridge.bundle_of.remove(&number);
        bridge.order_ports();
        let gone = lock(&bridge.macs).forget_port(number);
        let mut slots = vec![bridge.config_slot()];
        if let Some(dp) = port.dp {
            state.by_dp.remove(&dp);
        }
        if let Some(peer) = &port.peer {
            slots.extend(peer_slot(&state, peer));
            state.by_patch.remove(&port.name);
        }
        drop(state);
        self.core.touch(slots);
        self.announce_macs(&gone);
        self.port_status(PortReason::Delete, port);
    }

    /// Attaches an interface to another port of the datapath, or to another peer.
    pub fn reattach(&self, number: OfPort, attachment: &Attachment) {
        let mut state = self.core.write();
        let Some(port) = state.bridges.get(&self.id).and_then(|b| b.ports.get(&number)).cloned() else {
            return;
        };
        let mut slots = Vec::new();
        if let Some(dp) = port.dp {
            state.by_dp.remove(&dp);
        }
        if let Some(peer) = &port.peer {
            slots.extend(peer_slot(&state, peer));
            state.by_patch.remove(&port.name);
        }
        match attachment {
            Attachment::Datapath(dp) => {
                state.by_dp.insert(*dp, (self.id, number));
            }
            Attachment::Patch(peer) => {
                slots.extend(peer_slot(&state, peer));
                state.by_patch.insert(port.name, (self.id, number));
            }
        }
        let Some(bridge) = state.bridges.get_mut(&self.id) else { return };
        slots.push(bridge.config_slot());
        if let Some(port) = bridge.ports.get_mut(&number) {
            (port.dp, port.peer) = ends_of(attachment);
        }
        drop(state);
        self.core.touch(slots);
    }

    /// Adds or changes a port in the sense of the database. The MACs that were learned there are forgotten if its VLANs change.
    pub fn set_port(&self, config: PortConfig) {
        let gone = self.change(|bridge| {
            let members = config.members.clone();
            let at = bridge.bundles.iter().position(|old| old.name == config.name);
            let changed = at.is_some_and(|at| *bridge.bundles[at] != config);
            match at {
                Some(at) => bridge.bundles[at] = Arc::new(config),
                None => bridge.bundles.push(Arc::new(config)),
            }
            bridge.index_bundles();
            if changed { lock(&bridge.macs).flush(|port| members.contains(&port)) } else { Vec::new() }
        });
        self.announce_macs(&gone);
    }

    /// Removes a port in the sense of the database; its interfaces stay.
    pub fn remove_port(&self, name: &str) {
        let gone = self.change(|bridge| {
            let Some(at) = bridge.bundles.iter().position(|old| old.name == name) else { return Vec::new() };
            let old = bridge.bundles.remove(at);
            bridge.index_bundles();
            lock(&bridge.macs).flush(|port| old.members.contains(&port))
        });
        self.announce_macs(&gone);
    }

    /// Names of the ports in the sense of the database.
    pub fn port_names(&self) -> Vec<String> {
        self.read(|bridge| bridge.bundles.iter().map(|port| port.name.clone()).collect())
    }

    /// All interfaces by number, the local one last.
    pub fn ports(&self) -> Vec<Port> {
        self.read(|bridge| bridge.ports.values().cloned().collect())
    }

    /// One interface.
    pub fn port(&self, number: OfPort) -> Option<Port> {
        self.read(|bridge| bridge.ports.get(&number).cloned())
    }

    /// The interface of this name.
    pub fn port_by_name(&self, name: &str) -> Option<Port> {
        self.read(|bridge| bridge.ports.values().find(|port| port.name == name).cloned())
    }

    /// Takes note of what the device below an interface is like now.
    pub fn set_link(&self, number: OfPort, link: LinkState, hw_addr: [u8; 6]) {
        let known = self.port(number);
        if known.is_none_or(|port| port.link == link && port.hw_addr == hw_addr) {
            return;
        }
        let changed = self.change(|bridge| {
            let port = bridge.ports.get_mut(&number)?;
            (port.link, port.hw_addr) = (link, hw_addr);
            Some(port.clone())
        });
        if let Some(port) = changed {
            self.port_status(PortReason::Modify, port);
        }
    }

    /// What a port-mod asks for: sets the flags of `mask` to those of `flags`. `hw_addr` must be the port's.
    pub fn port_mod(
        &self,
        number: OfPort,
        hw_addr: [u8; 6],
        flags: PortFlags,
        mask: PortFlags,
    ) -> Result<Port, OfError> {
        let port = self.port(number).ok_or(OfError::OFPPMFC_BAD_PORT)?;
        if port.hw_addr != hw_addr {
            return Err(OfError::OFPPMFC_BAD_HW_ADDR);
        }
        let wanted = (port.flags - mask) | (flags & mask);
        if wanted == port.flags {
            return Ok(port);
        }
        let port = self.change(|bridge| {
            let port = bridge.ports.get_mut(&number)?;
            port.flags = wanted;
            Some(port.clone())
        });
        let port = port.ok_or(OfError::OFPPMFC_BAD_PORT)?;
        self.port_status(PortReason::Modify, port.clone());
        Ok(port)
    }

    fn port_status(&self, reason: PortReason, port: Port) {
        self.events.notify(Event::PortStatus { reason, port: Box::new(port) });
    }

    // What controllers set.

    /// How fragments are treated.
    pub fn frag_mode(&self) -> FragMode {
        self.read(|bridge| bridge.frags)
    }

    /// Sets how fragments are treated.
    pub fn set_frag_mode(&self, mode: FragMode) {
        self.change(|bridge| bridge.frags = mode);
    }

    /// Whether a packet that no rule matches goes to the controllers (some connection speaks OpenFlow 1.2 or earlier) or is
    /// dropped.
    pub fn set_packet_in_on_miss(&self, wanted: bool) {
        if self.read(|bridge| bridge.packet_in_on_miss) != wanted {
            self.change(|bridge| bridge.packet_in_on_miss = wanted);
        }
    }

    // Flow tables.

    /// Begins a change to the flow tables.
    pub fn begin(&self) -> Txn {
        Txn::new(&self.core, self.id)
    }

    /// Does all of these flow-mods at once or, with the index of the first that fails, none. Returns the version from which on
    /// packets are treated so.
    pub fn flow_mods<'a>(
        &self,
        mods: impl IntoIterator<Item = &'a FlowMod>,
        now_ns: u64,
    ) -> Result<u64, (usize, OfError)> {
        let mut txn = self.begin();
        for (index, fm) in mods.into_iter().enumerate() {
            txn.apply(fm, now_ns).map_err(|error| (index, error))?;
        }
        Ok(txn.commit())
    }

    /// The version that packets are treated by now.
    pub fn version(&self) -> u64 {
        self.core.stamps.version()
    }

    /// Whether every packet taken in from now on, on every worker, is treated by `version` or a later one.
    pub fn has_passed(&self, version: u64) -> bool {
        self.core.has_passed(version)
    }

    /// How many packets were handed to the datapath to be sent, by all bridges.
    pub fn packets_handed_in(&self) -> u64 {
        self.core.datapath().map_or(0, |datapath| datapath.handed_in())
    }

    /// Whether so many of the packets handed to the datapath are out, counted as [`packets_handed_in`](Self::packets_handed_in) does.
    pub fn are_out(&self, packets: u64) -> bool {
        self.core.datapath().is_none_or(|datapath| datapath.is_out(packets))
    }

    /// Whether nothing is left of a transaction that was not committed. Until then nobody may change the tables.
    pub fn is_settled(&self) -> bool {
        self.core.read().bridges.get(&self.id).is_none_or(|bridge| bridge.undoing.is_empty())
    }

    /// Begins to look for the rules of the version in force that pass a filter. The rest is [`go_on`](Self::go_on)'s.
    pub fn begin_select(&self, filter: Filter) -> Option<Selection> {
        let version = self.version();
        self.read(|bridge| Some(Selection::for_readers(filter, version, bridge)))
    }

    /// Looks at a slice of the rules; whether that was all.
    pub fn go_on(&self, selection: &mut Selection) -> bool {
        self.core.read().bridges.get(&self.id).is_none_or(|bridge| selection.step(bridge))
    }

    /// The rules that pass a filter, in the order in which they are listed: by table, tuple, and when they were added.
    pub fn select(&self, filter: &Filter) -> VecDeque<Arc<Rule>> {
        let Some(mut selection) = self.begin_select(filter.clone()) else { return VecDeque::new() };
        while !self.go_on(&mut selection) {}
        std::mem::take(selection.found())
    }

    /// Every rule of every table, hidden ones and the hidden table included.
    pub fn all_rules(&self) -> Vec<Arc<Rule>> {
        self.read(|bridge| {
            let mut rules: Vec<_> =
                bridge.tables.iter().flat_map(|table| table.all().cloned().collect::<Vec<_>>()).collect();
            rules.sort_by_key(|rule| (rule.spec().table, -rule.spec().priority, rule.order));
            rules
        })
    }

    /// Numbers of one table.
    pub fn table_stats(&self, table: u8) -> TableStats {
        self.read(|bridge| {
            let Some(table) = bridge.tables.get(usize::from(table)) else { return TableStats::default() };
            let packets = |totals: Totals| totals.hits.packets;
            TableStats {
                name: table.config.name.clone(),
                active: table.live(),
                limit: table.config.flow_limit,
                lookups: packets(table.lookups.totals()),
                matches: packets(table.matches.totals()),
                evict: table.config.evict,
            }
        })
    }

    /// How many rules there are in the tables that controllers see, hidden ones included.
    pub fn flow_count(&self) -> usize {
        self.read(|bridge| bridge.tables[..usize::from(HIDDEN_TABLE)].iter().map(FlowTable::live).sum())
    }

    /// Number of rules, those of the switch's own in the hidden table included.
    pub fn rules_in_memory(&self) -> usize {
        self.read(|bridge| bridge.tables.iter().map(FlowTable::live).sum())
    }

    /// Does `actions` to a frame as if it had come in by the port, and with the pipeline fields, of `metadata`.
    pub fn packet_out(
        &self,
        frame: &[u8],
        metadata: &Match,
        actions: &[Action],
        now_ns: u64,
    ) -> Result<(), OfError> {
        packet_out(&self.core, self.id, frame, metadata, actions, now_ns)
    }

    /// Whether the switch can do these actions; a packet-out is refused if not.
    pub fn check_actions(&self, actions: &[Action]) -> Result<(), OfError> {
        crate::check::actions(actions)
    }

    // MAC table.

    fn macs(&self) -> Option<Arc<std::sync::Mutex<MacTable>>> {
        self.read(|bridge| Some(Arc::clone(&bridge.macs)))
    }

    fn with_macs<T: Default>(&self, look: impl FnOnce(&mut MacTable) -> T) -> T {
        self.macs().map(|macs| look(&mut lock(&macs))).unwrap_or_default()
    }

    fn announce_macs(&self, keys: &[MacKey]) {
        if keys.is_empty() {
            return;
        }
        let slots = self.with_macs(|macs| keys.iter().map(|key| macs.slot(*key)).collect::<Vec<_>>());
        self.core.touch(slots);
    }

    /// The MAC table, the longest unused first.
    pub fn mac_rows(&self, now_ns: u64) -> Vec<MacRow> {
        self.with_macs(|macs| macs.rows(now_ns))
    }

    /// Forgets everything learned.
    pub fn flush_macs(&self) {
        let gone = self.with_macs(|macs| macs.flush(|_| true));
        self.announce_macs(&gone);
    }

    /// Adds a static entry.
    pub fn add_mac(&self, key: MacKey, port: OfPort, now_ns: u64) {
        self.with_macs(|macs| macs.add_static(key, port, now_ns));
        self.announce_macs(&[key]);
    }

    /// Removes an entry; whether it was there.
    pub fn remove_mac(&self, key: MacKey) -> bool {
        let there = self.with_macs(|macs| macs.remove(key));
        self.announce_macs(&[key]);
        there
    }

    /// Counts of the MAC table, and its limit.
    pub fn mac_stats(&self) -> (MacStats, usize) {
        self.with_macs(|macs| (macs.stats(), macs.max()))
    }

    /// Starts counting anew.
    pub fn clear_mac_stats(&self) {
        self.with_macs(MacTable::clear_stats);
    }

    fn gone(&self) -> BridgeError {
        BridgeError::Gone(self.name.to_string())
    }
}

pub(crate) fn lock(macs: &std::sync::Mutex<MacTable>) -> MutexGuard<'_, MacTable> {
    macs.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_taken(state: &State, attachment: &Attachment, name: &str) -> bool {
    match attachment {
        Attachment::Datapath(dp) => state.by_dp.contains_key(dp),
        Attachment::Patch(_) => state.by_patch.contains_key(name),
    }
}

/// The slot of the bridge that the patch port of this name is on.
fn peer_slot(state: &State, peer: &str) -> Option<datapath::stamps::Slot> {
    let (bridge, _) = state.by_patch.get(peer)?;
    state.bridges.get(bridge).map(BridgeState::config_slot)
}

fn ends_of(attachment: &Attachment) -> (Option<datapath::action::PortNo>, Option<String>) {
    match attachment {
        Attachment::Datapath(dp) => (Some(*dp), None),
        Attachment::Patch(peer) => (None, Some(peer.clone())),
    }
}

fn port_of(config: &InterfaceConfig, number: OfPort, now_ns: u64) -> Port {
    let (dp, peer) = ends_of(&config.attachment);
    Port {
        number,
        name: config.name.clone(),
        hw_addr: config.hw_addr,
        flags: PortFlags::default(),
        link: LinkState::default(),
        dp,
        peer,
        rx: Arc::default(),
        tx: Arc::default(),
        created_ns: now_ns,
    }
}
