//! Taking over from the openvswitch kernel module.
//!
//! A host that ran Open vSwitch with its kernel module still has that datapath when Turnout is started in its place, and on its
//! internal devices (`br0`) the host's own addresses. [`run`] makes taps of them, under the same names: it
//!
//! 1. asks the module, by generic netlink, for its datapaths and the ports of each ([`module`]),
//! 2. writes down the MAC, MTU, state, addresses, routes and namespace of each internal device ([`saved`]),
//! 3. deletes the datapaths, with which the internal devices go and all others are free,
//! 4. makes persistent taps of the same names in the same namespaces and gives them all of that back.
//!
//! The host is without its addresses between the last two steps, some milliseconds. It is done once, before any port is opened.

mod module;
mod saved;

use std::io;

use crate::netdev::Links;
use crate::netlink::{Netns, Socket};

use module::{Families, Vport};
use saved::Saved;

/// A device that was taken over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Its name.
    pub name: String,
    /// The datapath that had it.
    pub datapath: String,
    /// How many of its addresses and routes could not be given back.
    pub lost: usize,
}

/// Takes over all datapaths of the openvswitch module in the calling thread's namespace. Returns the internal devices that are taps
/// now; none when the module is not there.
pub fn run() -> io::Result<Vec<Taken>> {
    let mut generic = Socket::open(libc::NETLINK_GENERIC)?;
    let Some(families) = Families::find(&mut generic)? else { return Ok(Vec::new()) };
    let home = Netns::current()?;
    let mut saved = Vec::new();
    for datapath in families.datapaths(&mut generic)? {
        for vport in families.vports(&mut generic, &datapath)?.into_iter().filter(Vport::is_internal) {
            let netns = namespace_of(&vport, &home)?;
            saved.push((datapath.name.clone(), netns.clone(), netns.run(|| Saved::save(&vport.name))?));
        }
        families.delete(&mut generic, &datapath)?;
    }
    let mut taken = Vec::new();
    for (datapath, netns, device) in saved {
        let lost = netns.run(|| device.restore(&home))?;
        taken.push(Taken { name: device.name().to_owned(), datapath, lost });
    }
    Ok(taken)
}

/// The namespace that a port's device is in: the module gives it by the number that it has for the switch's own.
fn namespace_of(vport: &Vport, home: &Netns) -> io::Result<Netns> {
    let Some(id) = vport.netnsid else { return Ok(home.clone()) };
    let mut links = Links::here()?;
    let found = Netns::others().into_iter().find(|netns| links.netns_id(netns).ok().flatten() == Some(id));
    found.ok_or_else(|| io::Error::other(format!("{}: its network namespace is not found", vport.name)))
}
