//! The kernel's devices below ports: their counters, and whether they are up, for those who ask or order by OpenFlow.
//!
//! A device is in the switch's own network namespace or, if it is a tap of the switch, in whichever it was moved to. Ports
//! without a device count in the datapath and are up when their flags say so.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use datapath::Datapath;
use datapath::netdev::{Link, LinkStats, Links};
use datapath::netlink::Netns;
use datapath::port::{PortKind, taps};

use crate::Bridge;
use crate::port::{LinkState, Port};

/// Beyond so many ports all devices are asked about at once.
const ONE_BY_ONE: usize = 16;

/// Asks and orders devices.
#[derive(Debug)]
pub(super) struct Devices {
    datapath: Arc<Datapath>,
    /// Those of the switch's namespace, and the namespace's number.
    home: Option<(Links, u64)>,
}

impl Devices {
    pub(super) fn new(datapath: Arc<Datapath>) -> Self {
        Self { datapath, home: None }
    }

    /// The datapath whose ports these are.
    pub(super) fn datapath(&self) -> &Datapath {
        &self.datapath
    }

    /// The counters of the devices below `ports`, by port name; ports without one are not in it.
    pub(super) fn stats(&mut self, ports: &[Port]) -> HashMap<String, LinkStats> {
        let names: Vec<&str> = ports.iter().filter_map(|port| self.device_of(port)).collect();
        let all = if names.len() > ONE_BY_ONE { self.all() } else { HashMap::new() };
        let look = |name: &str| {
            let link = all.get(name).cloned();
            let stats = link.or_else(|| self.with_links(name, |links| links.get(name)).ok())?.stats;
            Some((name.to_owned(), if taps::is_open(name) { stats.swapped() } else { stats }))
        };
        names.into_iter().filter_map(look).collect()
    }

    fn all(&mut self) -> HashMap<String, Link> {
        let links = self.home().and_then(|(links, _)| links.all()).unwrap_or_default();
        links.into_iter().map(|link| (link.name.clone(), link)).collect()
    }

    /// Sets the device below a port up or down, if it has one and it is not so already, and tells the bridge how it is then.
    /// Whether the port has a device.
    pub(super) fn set_up(&mut self, bridge: &Bridge, port: &Port, up: bool) -> bool {
        let Some(name) = self.device_of(port) else { return false };
        let set = self.with_links(name, |links| {
            let link = links.get(name)?;
            links.set_up(link.index, up)?;
            links.get_by_index(link.index)
        });
        match set {
            Ok(link) => {
                let state = LinkState { link_down: !link.running, admin_down: !link.up, ..port.link };
                bridge.set_link(port.number, state, port.hw_addr);
            }
            Err(error) => {
                let what = if up { "up" } else { "down" };
                tracing::warn!(target: "ofproto", "{name}: cannot bring device {what} ({error})");
            }
        }
        true
    }

    /// The name of the device below a port.
    fn device_of<'a>(&self, port: &'a Port) -> Option<&'a str> {
        let below = self.datapath.port(port.dp?)?;
        let is_device = matches!(below.spec.kind, PortKind::System | PortKind::Internal | PortKind::Tap);
        is_device.then_some(&port.name)
    }

    fn home(&mut self) -> io::Result<&mut (Links, u64)> {
        if self.home.is_none() {
            self.home = Some((Links::here()?, Netns::current()?.inode()));
        }
        self.home.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Does `work` in the namespace where the device is.
    fn with_links<T>(&mut self, name: &str, work: impl FnOnce(&mut Links) -> io::Result<T>) -> io::Result<T> {
        let (links, home) = self.home()?;
        match taps::netns_of(name) {
            Some(netns) if netns.inode() != *home => work(&mut Links::inside(&netns)?),
            _ => work(links),
        }
    }
}
