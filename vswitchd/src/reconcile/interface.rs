//! An interface that is open: how it comes to be, how it is set, how it ends.

use std::sync::Arc;

use datapath::netdev::reason;
use datapath::port::{Port, PortError, PortKind};
use ofproto::config::{Attachment, InterfaceConfig};
use ofproto::{Bridge, BridgeError};
use openflow::OfPort;

use super::devices::{DeviceStatus, link_state, made_up_mac};
use super::spec::{InterfaceKind, InterfaceSpec, Mac};
use super::world::World;

/// An interface that is open.
#[derive(Debug)]
pub(super) struct LiveInterface {
    /// How it was asked for.
    pub spec: InterfaceSpec,
    /// Its OpenFlow port number.
    pub ofport: OfPort,
    /// Its port in the datapath; none for a patch port.
    pub port: Option<Arc<Port>>,
    /// What was last known of its device.
    pub status: DeviceStatus,
    /// The MTU and the MAC address that it was last told to have.
    told_mtu: Option<u32>,
    told_mac: Option<Mac>,
    /// How often its link had changed when it was opened; what was before does not count.
    resets_before: u64,
}

impl LiveInterface {
    /// Opens an interface and puts it into the bridge, on the port number `request` if it is free. The error is what
    /// `Interface.error` says.
    pub(super) fn open(
        bridge: &Bridge,
        spec: &InterfaceSpec,
        request: Option<u16>,
        world: &mut World<'_>,
    ) -> Result<Self, String> {
        let (port, attachment) = match &spec.kind {
            InterfaceKind::Patch { peer } => (None, Attachment::Patch(peer.clone())),
            kind => {
                let port =
                    world.datapath.add_port(port_spec(spec, kind)).map_err(|error| refusal(spec, &error))?;
                let attachment = Attachment::Datapath(port.number);
                world.hear();
                (Some(port), attachment)
            }
        };
        let own_mac = made_up_mac(bridge.name(), &spec.name);
        let mut live = Self {
            spec: spec.clone(),
            ofport: OfPort::NONE,
            port,
            status: DeviceStatus::virtual_port(own_mac),
            told_mtu: None,
            told_mac: None,
            resets_before: world.netdevs.get(&spec.name).map_or(0, |device| device.resets),
        };
        let config = InterfaceConfig {
            name: spec.name.clone(),
            attachment,
            local: spec.kind == InterfaceKind::Local,
            ofport_request: request.map(|number| OfPort(u32::from(number))),
            hw_addr: live.mac(world).0,
        };
        match bridge.add_interface(&config, world.now_ns) {
            Ok(ofport) => live.ofport = ofport,
            Err(error) => {
                live.close_port(world, true);
                return Err(refused(&spec.name, bridge.name(), &error));
            }
        }
        live.refresh(bridge, world);
        Ok(live)
    }

    /// Its OpenFlow port number as the database has it: 65534 for the local port.
    pub(super) fn number(&self) -> u16 {
        self.ofport.to_u16()
    }

    /// Takes the interface out of the bridge and closes it. A device of ours goes with it when `delete` is set, else it
    /// stays for the next time.
    pub(super) fn close(self, bridge: &Bridge, delete: bool, world: &mut World<'_>) {
        bridge.remove_interface(self.ofport, world.now_ns);
        self.close_port(world, delete);
    }

    fn close_port(&self, world: &mut World<'_>, delete: bool) {
        let Some(port) = &self.port else { return };
        let closed = if delete {
            world.datapath.del_port(port.number)
        } else {
            world.datapath.close_port(port.number)
        };
        if let Err(error) = closed {
            tracing::warn!(target: "dpif", "failed to remove port {}: {error}", self.spec.name);
        }
    }

    /// Whether there is a network device behind it.
    pub(super) fn has_device(&self) -> bool {
        matches!(self.spec.kind, InterfaceKind::System) || self.spec.kind.is_ours()
    }

    /// The device's MAC address, or the one that was made up.
    fn mac(&self, world: &mut World<'_>) -> Mac {
        let device = world.netdevs.get(&self.spec.name).filter(|_| self.has_device());
        device.map_or(self.status.mac, |device| Mac(device.link.mac))
    }

    /// Looks at the device again, and tells the bridge and the datapath.
    pub(super) fn refresh(&mut self, bridge: &Bridge, world: &mut World<'_>) {
        if !self.has_device() {
            return;
        }
        if let Some(status) = DeviceStatus::of(world.netdevs, &self.spec.name) {
            if let (Some(port), Some(mtu)) = (&self.port, status.mtu) {
                port.set_mtu(mtu);
            }
            let link_resets = status.link_resets.saturating_sub(self.resets_before);
            self.status = DeviceStatus { link_resets, ..status };
        }
        bridge.set_link(self.ofport, link_state(world.netdevs, &self.spec.name), self.status.mac.0);
    }

    /// Changes what can be changed while it is open.
    pub(super) fn update(&mut self, bridge: &Bridge, spec: &InterfaceSpec) {
        if self.spec.kind != spec.kind
            && let InterfaceKind::Patch { peer } = &spec.kind
        {
            bridge.reattach(self.ofport, &Attachment::Patch(peer.clone()));
        }
        self.spec = spec.clone();
    }

    /// Tells the device to have this MTU, unless it was told before: what the administrator set by hand meanwhile stays.
    pub(super) fn tell_mtu(&mut self, mtu: Option<u32>, world: &mut World<'_>) {
        if self.told_mtu == mtu || !self.has_device() {
            return;
        }
        self.told_mtu = mtu;
        let Some(mtu) = mtu.filter(|&mtu| self.status.mtu != Some(mtu)) else { return };
        match world.netdevs.set_mtu(&self.spec.name, mtu) {
            Ok(()) => self.status.mtu = Some(mtu),
            Err(error) => {
                let name = &self.spec.name;
                tracing::warn!(target: "netdev", "failed to set MTU for network device {name}: {}", reason(&error));
            }
        }
    }

    /// Tells the device to have this MAC address, unless it was told before.
    pub(super) fn tell_mac(&mut self, mac: Option<Mac>, world: &mut World<'_>) {
        if self.told_mac == mac || !self.has_device() {
            return;
        }
        self.told_mac = mac;
        let Some(mac) = mac.filter(|&mac| self.status.mac != mac) else { return };
        match world.netdevs.set_mac(&self.spec.name, mac.0) {
            Ok(()) => self.status.mac = mac,
            Err(error) => {
                let name = &self.spec.name;
                tracing::error!(target: "bridge", "interface {name}: setting MAC failed ({})", reason(&error));
            }
        }
    }
}

fn port_spec(spec: &InterfaceSpec, kind: &InterfaceKind) -> datapath::port::PortSpec {
    let kind = match kind {
        InterfaceKind::Local | InterfaceKind::Internal => PortKind::Internal,
        InterfaceKind::Tap => PortKind::Tap,
        InterfaceKind::Replay(options) => PortKind::Replay(options.clone()),
        InterfaceKind::Null => PortKind::Null,
        InterfaceKind::System | InterfaceKind::Patch { .. } => PortKind::System,
    };
    datapath::port::PortSpec {
        mac: spec.mac.map(|mac| mac.0),
        n_rxq: spec.n_rxq.unwrap_or(1),
        ..datapath::port::PortSpec::new(&spec.name, kind)
    }
}

/// What `Interface.error` says. No device that exists has a name that none can have.
fn refusal(spec: &InterfaceSpec, error: &PortError) -> String {
    match (error, &spec.kind) {
        (PortError::BadName(name), InterfaceKind::System) => {
            format!("could not open network device {name} (No such device)")
        }
        _ => error.open_text(),
    }
}

fn refused(name: &str, bridge: &str, error: &BridgeError) -> String {
    format!("could not add network device {name} to ofproto {bridge} ({error})")
}
