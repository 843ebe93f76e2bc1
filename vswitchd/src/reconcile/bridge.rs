//! A bridge that exists, and how it is brought to what is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;

use ofproto::Bridge;
use ofproto::config::{BridgeConfig, PortConfig};
use openflow::OfPort;
use ovsdb::value::Uuid;

use super::identity::{bridge_mac, datapath_id};
use super::interface::LiveInterface;
use super::plan::{InterfaceDiff, Present};
use super::spec::{BridgeSpec, InterfaceKind, Mac};
use super::turn::Turn;
use super::world::World;

/// A bridge that exists.
#[derive(Debug)]
pub(super) struct LiveBridge {
    /// How it was asked for.
    pub spec: BridgeSpec,
    /// The bridge itself.
    pub handle: Arc<Bridge>,
    /// Its datapath id, once it has one.
    pub datapath_id: Option<u64>,
    /// Its interfaces, by name.
    pub interfaces: BTreeMap<String, LiveInterface>,
    /// Interfaces that could not be opened, by name, and why.
    pub failed: BTreeMap<String, String>,
    /// The MAC address that its local port came with.
    own_mac: Option<Mac>,
    ports: BTreeMap<String, PortConfig>,
    is_connected: bool,
}

/// Port numbers that interfaces had before, to be given to them again.
pub(super) type Hints = BTreeMap<Uuid, u16>;

impl LiveBridge {
    /// A bridge that was just made, without anything in it.
    pub(super) fn new(spec: &BridgeSpec, handle: Arc<Bridge>) -> Self {
        Self {
            spec: spec.clone(),
            handle,
            datapath_id: None,
            interfaces: BTreeMap::new(),
            failed: BTreeMap::new(),
            own_mac: None,
            ports: BTreeMap::new(),
            is_connected: false,
        }
    }

    /// Closes the interfaces that have no place in what is wanted, until the turn is over; whether none is left. Done in all bridges
    /// before any opens one, so that a device can go from one bridge to another.
    pub(super) fn close_unwanted(
        &mut self,
        wanted: &BridgeSpec,
        turn: &mut Turn,
        world: &mut World<'_>,
    ) -> bool {
        let diff = self.diff(wanted);
        let delete = diff.delete.iter().map(|name| (name, true));
        let close = diff.close.iter().map(|name| (name, false));
        for (name, delete) in delete.chain(close) {
            if !turn.has_time() {
                return false;
            }
            self.close(name, delete, world);
        }
        self.failed.retain(|name, _| wanted.interfaces.contains_key(name));
        true
    }

    fn diff(&self, wanted: &BridgeSpec) -> InterfaceDiff {
        let present = self
            .interfaces
            .iter()
            .map(|(name, live)| (name.as_str(), Present { spec: &live.spec, ofport: live.number() }));
        InterfaceDiff::between(&present.collect(), &wanted.interfaces)
    }

    /// Closes one interface.
    pub(super) fn close(&mut self, name: &str, delete: bool, world: &mut World<'_>) {
        let Some(live) = self.interfaces.remove(name) else { return };
        tracing::info!(target: "bridge", "bridge {}: deleted interface {name} on port {}", self.spec.name, live.number());
        live.close(&self.handle, delete, world);
    }

    /// Closes all interfaces, until the turn is over; whether none is left.
    pub(super) fn close_all(&mut self, delete: bool, turn: &mut Turn, world: &mut World<'_>) -> bool {
        while let Some(name) = self.interfaces.keys().next().cloned() {
            if !turn.has_time() {
                return false;
            }
            self.close(&name, delete, world);
        }
        true
    }

    /// Opens what is missing and sets everything as it is wanted. Returns the names of what was to be opened.
    pub(super) fn apply(
        &mut self,
        wanted: &BridgeSpec,
        hints: &mut Hints,
        world: &mut World<'_>,
    ) -> Vec<String> {
        let open = self.diff(wanted).open;
        self.spec = wanted.clone();
        for (name, live) in &mut self.interfaces {
            if let Some(spec) = wanted.interfaces.get(name).filter(|spec| **spec != live.spec) {
                live.update(&self.handle, spec);
            }
        }
        for name in &open {
            self.open(name, hints, world);
        }
        self.set_identity(world);
        self.set_devices(world);
        self.set_ports();
        self.set_connections(world);
        open
    }

    fn open(&mut self, name: &str, hints: &mut Hints, world: &mut World<'_>) {
        let Some(spec) = self.spec.interfaces.get(name) else { return };
        let request = spec.ofport_request.or_else(|| hints.get(&spec.uuid).copied());
        match LiveInterface::open(&self.handle, spec, request, world) {
            Ok(live) => {
                let bridge = &self.spec.name;
                tracing::info!(target: "bridge", "bridge {bridge}: added interface {name} on port {}", live.number());
                if live.spec.kind == InterfaceKind::Local && self.own_mac.is_none() {
                    self.own_mac = Some(live.status.mac);
                }
                hints.remove(&live.spec.uuid);
                self.failed.remove(name);
                self.interfaces.insert(name.to_owned(), live);
            }
            Err(error) => self.fail(name, error),
        }
    }

    /// Notes why an interface is not there, and says so when it is news.
    pub(super) fn fail(&mut self, name: &str, error: String) {
        if self.failed.get(name) != Some(&error) {
            tracing::warn!(target: "bridge", "{error}");
            self.failed.insert(name.to_owned(), error);
        }
    }

    /// The bridge's MAC address and datapath id, and all of its settings.
    fn set_identity(&mut self, world: &mut World<'_>) {
        let members = self
            .interfaces
            .values()
            .filter(|live| live.has_device() && live.spec.kind != InterfaceKind::Local);
        let own = self.own_mac.unwrap_or_else(|| super::devices::made_up_mac(&self.spec.name, ""));
        let mac = bridge_mac(&self.spec, members.map(|live| live.status.mac), own);
        let id = datapath_id(&self.spec, mac);
        let config = BridgeConfig { datapath_id: id, hw_addr: mac.0, ..self.spec.config.clone() };
        if self.handle.config() != config {
            self.handle.configure(config);
            world.conn.bridge_changed(&self.spec.name, world.now_ns);
        }
        if self.datapath_id != Some(id) {
            tracing::info!(target: "bridge", "bridge {}: using datapath ID {id:016x}", self.spec.name);
            self.datapath_id = Some(id);
        }
        if let Some(local) = self.interfaces.get_mut(&self.spec.name) {
            local.tell_mac(Some(mac), world);
            local.refresh(&self.handle, world);
        }
    }

    /// MTUs and MAC addresses. Devices of ours follow the smallest MTU of the others.
    fn set_devices(&mut self, world: &mut World<'_>) {
        for live in self.interfaces.values_mut().filter(|live| !live.spec.kind.is_ours()) {
            live.tell_mtu(live.spec.mtu_request, world);
        }
        let others = self.interfaces.values().filter(|live| live.spec.kind == InterfaceKind::System);
        let smallest = others.filter_map(|live| live.status.mtu).min();
        for live in self.interfaces.values_mut().filter(|live| live.spec.kind.is_ours()) {
            live.tell_mtu(live.spec.mtu_request.or(smallest), world);
            if live.spec.kind == InterfaceKind::Internal {
                live.tell_mac(live.spec.mac, world);
            }
        }
    }

    /// Ports in the sense of the database: VLANs, and which interfaces belong together.
    fn set_ports(&mut self) {
        let members = |names: &[String]| -> Vec<OfPort> {
            names.iter().filter_map(|name| self.interfaces.get(name)).map(|live| live.ofport).collect()
        };
        let wanted: BTreeMap<String, PortConfig> = self
            .spec
            .ports
            .iter()
            .map(|(name, port)| {
                (name.clone(), PortConfig { members: members(&port.members), ..port.config.clone() })
            })
            .collect();
        for name in self.ports.keys().filter(|name| !wanted.contains_key(*name)) {
            self.handle.remove_port(name);
        }
        for (name, config) in &wanted {
            if self.ports.get(name) != Some(config) {
                self.handle.set_port(config.clone());
            }
        }
        self.ports = wanted;
    }

    fn set_connections(&mut self, world: &mut World<'_>) {
        if !self.is_connected {
            world.conn.add_bridge(&self.handle, world.now_ns);
            self.is_connected = true;
        }
        world.conn.configure(&self.spec.name, &self.spec.conn, world.now_ns);
    }
}
