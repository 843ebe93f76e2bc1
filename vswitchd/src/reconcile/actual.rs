//! All bridges that exist, and how they are brought to what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use datapath::netdev::{Change, What};
use datapath::port::{PortKind, PortSpec};
use datapath::{Config, OWN_PORT};
use ofproto::config::BridgeConfig;

use super::bridge::{Hints, LiveBridge};
use super::conntrack::LiveConntrack;
use super::spec::{Complaint, Desired, Global, InterfaceKind};
use super::turn::Turn;
use super::world::World;

/// All bridges that exist.
#[derive(Debug, Default)]
pub(super) struct Actual {
    /// By name.
    pub bridges: BTreeMap<String, LiveBridge>,
    global: Option<Global>,
    conntrack: LiveConntrack,
    said: BTreeSet<Complaint>,
    hints: Hints,
    /// Interfaces that were opened since anyone asked: bridge and name.
    opened: Vec<(String, String)>,
}

impl Actual {
    /// Gives interfaces that are not open yet these port numbers, if they are free when the time comes.
    pub(super) fn add_hints(&mut self, hints: Hints) {
        self.hints.extend(hints);
    }

    /// Brings everything to what is wanted. What cannot be done is noted where it belongs, and the rest is done. False when there was
    /// too much to take down for one turn: then it has to be called again.
    pub(super) fn apply(&mut self, desired: &Desired, world: &mut World<'_>) -> bool {
        self.complain(desired);
        self.set_global(&desired.global, world);
        self.conntrack.apply(&desired.conntrack, world);
        self.remember_refused(desired);
        if !self.take_down(desired, world) {
            return false;
        }
        self.set_own_port(!desired.bridges.is_empty(), world);
        for (name, spec) in &desired.bridges {
            if !self.bridges.contains_key(name) {
                match world.switch.add_bridge(name, BridgeConfig::default()) {
                    Ok(handle) => drop(self.bridges.insert(name.clone(), LiveBridge::new(spec, handle))),
                    Err(error) => {
                        tracing::error!(target: "bridge", "failed to create bridge {name}: {error}");
                    }
                }
            }
            if let Some(live) = self.bridges.get_mut(name) {
                let opened = live.apply(spec, &mut self.hints, world);
                self.opened.extend(opened.into_iter().map(|interface| (name.clone(), interface)));
            }
        }
        true
    }

    /// Takes down what is not wanted, as far as one turn goes; whether nothing is left of it.
    fn take_down(&mut self, desired: &Desired, world: &mut World<'_>) -> bool {
        let mut turn = Turn::one();
        let unwanted: Vec<String> =
            self.bridges.keys().filter(|name| !desired.bridges.contains_key(*name)).cloned().collect();
        unwanted.iter().all(|name| self.remove_bridge(name, true, &mut turn, world))
            && self
                .bridges
                .iter_mut()
                .all(|(name, live)| live.close_unwanted(&desired.bridges[name], &mut turn, world))
    }

    /// Notes the numbers of interfaces that are refused from now on, so that they get them back once they are not.
    fn remember_refused(&mut self, desired: &Desired) {
        for live in self.bridges.values().flat_map(|bridge| bridge.interfaces.values()) {
            if desired.refused.contains_key(&live.spec.uuid) {
                self.hints.insert(live.spec.uuid, live.number());
            }
        }
    }

    /// Interfaces that were opened since the last call: bridge and name.
    pub(super) fn take_opened(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.opened)
    }

    /// Ends all bridges. Devices of ours go too if `delete` is set, else they stay for the next time.
    pub(super) fn remove_all(&mut self, delete: bool, world: &mut World<'_>) {
        for name in self.bridges.keys().cloned().collect::<Vec<_>>() {
            self.remove_bridge(&name, delete, &mut Turn::last(), world);
        }
        self.set_own_port(false, world);
    }

    /// Whether it is gone; it goes with its last interface.
    fn remove_bridge(&mut self, name: &str, delete: bool, turn: &mut Turn, world: &mut World<'_>) -> bool {
        let Some(live) = self.bridges.get_mut(name) else { return true };
        if !live.close_all(delete, turn, world) {
            return false;
        }
        self.bridges.remove(name);
        world.conn.remove_bridge(name);
        world.switch.remove_bridge(name);
        true
    }

    /// Takes note of what happened to a device. Whether the configuration is to be applied again.
    pub(super) fn device_changed(&mut self, change: &Change, world: &mut World<'_>) -> bool {
        let wants = |live: &LiveBridge| live.spec.interfaces.contains_key(&change.name);
        let Some(bridge) = self.bridges.values_mut().find(|live| wants(live)) else { return false };
        let Some(live) = bridge.interfaces.get_mut(&change.name) else {
            return change.what == What::Appeared;
        };
        if !live.has_device() {
            return false;
        }
        let same = change.index == live.status.ifindex || live.status.ifindex == 0;
        match change.what {
            What::Gone if !same => false,
            What::Appeared | What::Changed if same || live.spec.kind.is_ours() => {
                let before = (live.status.mtu, live.status.mac);
                live.refresh(&bridge.handle, world);
                before != (live.status.mtu, live.status.mac)
            }
            _ => {
                let (uuid, kind) = (live.spec.uuid, live.spec.kind.clone());
                self.hints.insert(uuid, live.number());
                bridge.close(&change.name, false, world);
                if kind == InterfaceKind::System && change.what == What::Gone {
                    let error = format!("could not open network device {} (No such device)", change.name);
                    bridge.fail(&change.name, error);
                }
                true
            }
        }
    }

    /// Says what is wrong with the configuration, once for as long as it stays wrong.
    fn complain(&mut self, desired: &Desired) {
        for complaint in desired.complaints.difference(&self.said) {
            complaint.log();
        }
        self.said.clone_from(&desired.complaints);
    }

    fn set_global(&mut self, global: &Global, world: &mut World<'_>) {
        if self.global.as_ref() == Some(global) {
            return;
        }
        let defaults = Config::default();
        let cpus = global.cpus.clone().unwrap_or_default();
        let workers = global.workers.or((!cpus.is_empty()).then_some(cpus.len())).unwrap_or(defaults.workers);
        let config = Config {
            workers,
            cpus,
            max_idle: global.max_idle,
            flow_limit: global.flow_limit as usize,
            vlan_limit: global.vlan_limit,
            ..(*world.datapath.config()).clone()
        };
        if *world.datapath.config() != config
            && let Err(error) = world.datapath.set_config(config)
        {
            tracing::error!(target: "dpif_netdev", "settings of the datapath could not be changed: {error}");
        }
        world.switch.set_restoring(global.flow_restore_wait);
        world.conn.set_tls(global.tls.clone());
        self.global = Some(global.clone());
    }

    /// The datapath's own device, which is there while there are bridges.
    fn set_own_port(&mut self, wanted: bool, world: &mut World<'_>) {
        match (world.datapath.port_by_name(OWN_PORT), wanted) {
            (None, true) => {
                if let Err(error) = world.datapath.add_port(PortSpec::new(OWN_PORT, PortKind::Internal)) {
                    tracing::warn!(target: "dpif", "failed to create the datapath's own device: {error}");
                }
            }
            (Some(port), false) => {
                if let Err(error) = world.datapath.del_port(port.number) {
                    tracing::warn!(target: "dpif", "failed to remove port {OWN_PORT}: {error}");
                }
            }
            _ => {}
        }
    }
}
