//! The switch under test, whole and in this process: a datapath with one worker that is stepped by hand, ports in memory, a bridge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use conntrack::Tracker;
use datapath::action::PortNo;
use datapath::port::memory::Wires;
use datapath::port::{PortKind, PortSpec};
use datapath::worker::Worker;
use datapath::{Config, Datapath, DumpCursor, FlowDump};
use frames::Rng;
use ofproto::config::{Attachment, BridgeConfig, FailMode, InterfaceConfig, PortConfig, VlanMode};
use ofproto::events::Event;
use ofproto::{Bridge, Filter, Rule, Switch};
use openflow::OfPort;
use packet::Packet;

use crate::normal::{Mode, Port};
use crate::rule::{Mod, to_flow_mod};
use crate::world::{FAR, Outcome, TableCounts};

/// The switch and the far ends of its ports.
pub struct Rig {
    datapath: Datapath,
    worker: Worker,
    switch: Arc<Switch>,
    bridge: Arc<Bridge>,
    /// The bridge at the other end of a patch.
    far: Option<Arc<Bridge>>,
    wires: BTreeMap<u16, Wires>,
    numbers: BTreeMap<u16, PortNo>,
}

impl std::fmt::Debug for Rig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rig").field("datapath", &self.datapath).finish_non_exhaustive()
    }
}

/// How many packets the caches answered, and how many had to be translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lookups {
    /// Answered from a cache.
    pub hit: u64,
    /// Translated.
    pub missed: u64,
}

/// A port's number in its bridge.
fn ofport(number: u16) -> OfPort {
    OfPort(u32::from(number % u16::from(FAR)))
}

/// Limits that are small enough to be met.
fn config(rng: &mut Rng) -> Config {
    Config {
        workers: 1,
        cpus: Vec::new(),
        max_idle: Duration::from_secs(10),
        flow_limit: rng.pick(&[20, 200, 2000]),
        cache_entries: rng.pick(&[16, 256, 4096]),
        masks_per_port: rng.pick(&[4, 32, 32]),
        ..Config::default()
    }
}

impl Rig {
    /// A switch with these ports and no rules. `seed` is the connection tracker's.
    ///
    /// # Panics
    /// When the switch refuses to be set up: the test cannot begin.
    pub fn new(rng: &mut Rng, ports: &BTreeMap<u16, Port>, vlan_limit: usize, seed: u64) -> Self {
        let config = Config { vlan_limit, seed, ..config(rng) };
        let (datapath, mut workers) = Datapath::manual(config).expect("a datapath");
        let worker = workers.pop().expect("a worker");
        let switch = Arc::new(Switch::new(datapath.stamps().clone(), rng.bits()));
        datapath.set_owner(switch.clone());
        let bridge_config =
            BridgeConfig { datapath_id: 1, fail_mode: FailMode::Secure, ..BridgeConfig::default() };
        let bridge = switch.add_bridge("br0", bridge_config).expect("a bridge");
        let mut rig = Self {
            datapath,
            worker,
            switch,
            bridge,
            far: None,
            wires: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        for (number, port) in ports {
            rig.add_port(*number, port);
        }
        rig.forget_events();
        rig
    }

    /// Adds a second bridge with two ports, which are the first's ports `here` on, at the other end of a patch.
    ///
    /// # Panics
    /// When the switch refuses to be set up: the test cannot begin.
    pub fn add_far(&mut self, (here, there): (u16, u16), ports: &[u16]) {
        let config = BridgeConfig { datapath_id: 2, fail_mode: FailMode::Secure, ..BridgeConfig::default() };
        self.far = Some(self.switch.add_bridge("br1", config).expect("a bridge"));
        for (number, peer) in [(here, there), (there, here)] {
            let config = InterfaceConfig {
                name: format!("patch{number}"),
                attachment: Attachment::Patch(format!("patch{peer}")),
                local: false,
                ofport_request: Some(ofport(number)),
                hw_addr: [2, 0, 0, 0, 2, number as u8],
            };
            let given = self.bridge_of(number).add_interface(&config, 0).expect("an interface");
            assert_eq!(given, ofport(number));
        }
        ports.iter().for_each(|number| self.add_port(*number, &Port::trunk()));
        self.forget_events();
    }

    /// The bridge of a port or table, going by its number.
    fn bridge_of(&self, number: u16) -> Arc<Bridge> {
        let far = self.far.as_ref().filter(|_| number >= u16::from(FAR));
        far.unwrap_or(&self.bridge).clone()
    }

    fn bridges(&self) -> impl Iterator<Item = (u8, &Arc<Bridge>)> {
        [(0, Some(&self.bridge)), (FAR, self.far.as_ref())]
            .into_iter()
            .filter_map(|(base, b)| Some((base, b?)))
    }

    fn forget_events(&self) {
        for (_, bridge) in self.bridges() {
            while bridge.events().pop().is_some() {}
        }
    }

    fn add_port(&mut self, number: u16, port: &Port) {
        let wires = Wires::default();
        let name = format!("p{number}");
        let spec = PortSpec::new(&name, PortKind::Memory(wires.clone()));
        let opened = self.datapath.add_port(spec).expect("a port");
        let config = InterfaceConfig {
            name,
            attachment: Attachment::Datapath(opened.number),
            local: false,
            ofport_request: Some(ofport(number)),
            hw_addr: [2, 0, 0, 0, 1, number as u8],
        };
        let given = self.bridge_of(number).add_interface(&config, 0).expect("an interface");
        assert_eq!(given, ofport(number));
        self.wires.insert(number, wires);
        self.numbers.insert(number, opened.number);
        self.set_port(number, port);
    }

    /// Configures a port for NORMAL.
    pub fn set_port(&mut self, number: u16, port: &Port) {
        let (vlan_mode, tag) = match port.mode {
            Mode::Trunk => (VlanMode::Trunk, 0),
            Mode::Access(tag) => (VlanMode::Access, tag),
            Mode::NativeTagged(tag) => (VlanMode::NativeTagged, tag),
            Mode::NativeUntagged(tag) => (VlanMode::NativeUntagged, tag),
        };
        self.bridge_of(number).set_port(PortConfig {
            name: format!("p{number}"),
            vlan_mode,
            tag,
            trunks: port.trunks.clone(),
            members: vec![ofport(number)],
            ..PortConfig::default()
        });
    }

    /// The datapath's number of a port.
    pub fn datapath_port(&self, number: u16) -> u32 {
        self.numbers[&number].0
    }

    /// Makes changes to the tables, those of a bridge all at once.
    ///
    /// # Panics
    /// When the switch refuses one: they are all valid.
    pub fn change(&mut self, changes: &[Mod], now_ns: u64) {
        for (base, bridge) in self.bridges() {
            let changes: Vec<&Mod> =
                changes.iter().filter(|change| change.spec().table / FAR == base / FAR).collect();
            let mods: Vec<_> = changes.iter().map(|change| to_flow_mod(change)).collect();
            if let Err((index, error)) = bridge.flow_mods(&mods, now_ns) {
                panic!("refused with {error:?}: {:?}", changes[index]);
            }
        }
    }

    /// Sends frames in at a port and collects what comes of it.
    pub fn send(&mut self, in_port: u16, frames: &[Vec<u8>], now_ns: u64) -> Outcome {
        for frame in frames {
            self.wires[&in_port].push(Packet::copy_of(frame).expect("a frame of ordinary length"));
        }
        self.worker.settle(now_ns);
        let mut out = Outcome::default();
        for (number, wires) in &self.wires {
            let sent: Vec<_> = wires.drain().iter().map(|packet| packet.data().to_vec()).collect();
            if !sent.is_empty() {
                out.sent.insert(*number, sent);
            }
        }
        for (base, bridge) in self.bridges() {
            while let Some(event) = bridge.events().pop() {
                if let Event::PacketIn(packet_in) = event {
                    out.punted.push((base, packet_in.reason as u8, packet_in.frame.clone()));
                }
            }
        }
        out
    }

    /// Lets time pass: flows owe nothing any more, rules and addresses expire.
    pub fn advance(&mut self, before_ns: u64, now_ns: u64) {
        self.datapath.sweep_flows();
        self.worker.settle(before_ns);
        self.switch.run(now_ns);
        self.worker.settle(now_ns);
        self.forget_events();
    }

    /// Forgets all learned addresses.
    pub fn flush_macs(&mut self) {
        self.bridge.flush_macs();
    }

    /// Drops all cached flows.
    pub fn purge(&mut self, now_ns: u64) {
        self.datapath.purge_flows();
        self.worker.settle(now_ns);
    }

    /// Has all cached flows looked at.
    pub fn sweep(&mut self, now_ns: u64) {
        self.datapath.sweep_flows();
        self.worker.settle(now_ns);
    }

    /// The connection tracker.
    pub fn tracker(&self) -> &Tracker {
        self.datapath.tracker()
    }

    /// All rules, with what their tables are counted from.
    pub fn rules(&self) -> Vec<(u8, Arc<Rule>)> {
        let of = |(base, bridge): (u8, &Arc<Bridge>)| {
            let rules: Vec<_> = bridge.select(&Filter::default()).into();
            rules.into_iter().map(move |rule| (base, rule))
        };
        self.bridges().flat_map(of).collect()
    }

    /// Learned addresses: VLAN, address, port.
    pub fn macs(&self, now_ns: u64) -> Vec<(u16, [u8; 6], u32)> {
        let rows = self.bridge.mac_rows(now_ns);
        rows.iter().map(|row| (row.key.vlan, row.key.mac, row.port.0)).collect()
    }

    /// Counts of a table.
    pub fn table(&self, table: u8) -> TableCounts {
        let stats = self.bridge_of(table.into()).table_stats(table % FAR);
        TableCounts { lookups: stats.lookups, matches: stats.matches }
    }

    /// Counts of the caches.
    pub fn lookups(&self) -> Lookups {
        let stats = self.datapath.lookup_stats();
        Lookups { hit: stats.hit, missed: stats.missed }
    }

    /// All cached flows.
    pub fn flows(&self) -> Vec<FlowDump> {
        let (mut cursor, mut out) = (DumpCursor::default(), Vec::new());
        loop {
            let more = self.datapath.dump_flows(&mut cursor);
            if more.is_empty() {
                return out;
            }
            out.extend(more);
        }
    }
}
