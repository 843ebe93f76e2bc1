//! Following devices: a table of all links of the switch's namespace, kept by notifications.
//!
//! # Algorithm
//!
//! Two sockets, one that listens (`RTNLGRP_LINK`) and one that asks. The table is filled by one dump, taken after the listening began, and kept by what is heard from then on. When the kernel says that it lost
//! notifications, the dump is taken again and compared.
//!
//! The listening socket also hears of other namespaces (`NETLINK_LISTEN_ALL_NSID`). Of those, only the switch's own taps are looked
//! at, which somebody moved there: when a device goes from home and the switch has a tap of its name, or when there is word
//! of such a name from abroad, the tap's descriptor is asked where it is ([`taps::netns_of`]) and the device is asked about
//! there. No namespace but home is held open longer than a question takes: it can be removed, and the tap in it with it.
//!
//! One case is beyond that: a tap that was found in another namespace when the switch was started holds that namespace itself, by
//! its descriptor. [`Netdevs::sweep`] sees when nobody else does, and calls such a tap gone.
//!
//! # Costs
//!
//! A notification costs a hash lookup; the table is as large as the namespace has devices. A tap abroad costs a thread that enters
//! its namespace, for each question.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use crate::netlink::{Message, Netns, Socket};
use crate::port::taps;

use super::{Driver, Link, LinkStats, Links, Settings};

const RTNLGRP_LINK: u32 = 1;
const LISTEN_BYTES: u32 = 4 << 20;

/// A device that is followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// What the kernel said of it last. The counters in it are old: ask [`Netdevs::statistics`].
    pub link: Link,
    /// How often its link went up or down since it is followed.
    pub resets: u64,
}

/// What happened to a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// It is there now, and was not, or was another device (another index) under the same name.
    Appeared,
    /// Something about it changed: state, MTU, MAC, namespace of a tap.
    Changed,
    /// It is gone: removed, renamed or moved to another namespace.
    Gone,
}

/// Word of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// What happened.
    pub what: What,
}

/// All devices of the switch's namespace, and the switch's taps wherever they are.
#[derive(Debug)]
pub struct Netdevs {
    netns: Netns,
    home: Space,
    abroad: HashMap<String, Device>,
}

impl Netdevs {
    /// Begins to follow the devices of the calling thread's namespace.
    pub fn open() -> io::Result<Self> {
        let mut netdevs = Self { netns: Netns::current()?, home: Space::open()?, abroad: HashMap::new() };
        for name in taps::names() {
            netdevs.look_abroad(&name);
        }
        Ok(netdevs)
    }

    /// What is readable when [`poll`](Self::poll) has something to say.
    pub fn fd(&self) -> RawFd {
        self.home.heard.as_raw_fd()
    }

    /// What happened since the last time, in order. Never blocks.
    pub fn poll(&mut self) -> io::Result<Vec<Change>> {
        let Some(messages) = self.home.heard.notifications()? else {
            let changes = self.home.dump()?;
            return Ok(changes.into_iter().map(|change| self.at_home(change)).collect());
        };
        // A namespace may have a number for itself.
        let own = if messages.iter().any(|message| message.nsid.is_some()) {
            self.home.links.netns_id(&self.netns)?
        } else {
            None
        };
        let mut changes = Vec::new();
        for message in &messages {
            if message.nsid.is_none() || message.nsid == own {
                let heard = self.home.take(message);
                changes.extend(heard.into_iter().map(|change| self.at_home(change)));
            } else if let Some(link) = Link::read(message) {
                changes.extend(self.word_from_abroad(&link.name));
            }
        }
        Ok(changes)
    }

    /// Looks for taps whose device is gone with the namespace it was in, of which there is no word, or that are in a namespace that
    /// only the switch itself still holds, and calls them gone. To be called every few seconds.
    pub fn sweep(&mut self) -> Vec<Change> {
        if self.abroad.is_empty() {
            return Vec::new();
        }
        let alive: Vec<u64> = Netns::others().iter().map(Netns::inode).collect();
        let is_alive =
            |name: &String| taps::netns_of(name).is_some_and(|netns| alive.contains(&netns.inode()));
        let gone = self.abroad.extract_if(|name, _| !is_alive(name));
        gone.map(|(name, device)| Change { name, index: device.link.index, what: What::Gone }).collect()
    }

    /// The device of this name: in the switch's namespace, or a tap of the switch in another one.
    pub fn get(&self, name: &str) -> Option<&Device> {
        self.home.device(name).or_else(|| self.abroad.get(name))
    }

    /// Its counters now. Those of a tap of the switch are seen from the switch: what it received is what the device sent.
    pub fn statistics(&mut self, name: &str) -> io::Result<LinkStats> {
        let stats = self.ask(name, |links| links.get(name))?.stats;
        Ok(if taps::is_open(name) { stats.swapped() } else { stats })
    }

    /// Its speed, duplex and features.
    pub fn settings(&mut self, name: &str) -> io::Result<Settings> {
        self.ask(name, |links| links.settings(name))
    }

    /// Its driver.
    pub fn driver(&mut self, name: &str) -> io::Result<Driver> {
        self.ask(name, |links| links.driver(name))
    }

    /// Sets its MTU.
    pub fn set_mtu(&mut self, name: &str, mtu: u32) -> io::Result<()> {
        self.ask(name, |links| links.get(name).and_then(|link| links.set_mtu(link.index, mtu)))
    }

    /// Sets its MAC address.
    pub fn set_mac(&mut self, name: &str, mac: [u8; 6]) -> io::Result<()> {
        self.ask(name, |links| links.get(name).and_then(|link| links.set_mac(link.index, mac)))
    }

    /// Takes it up or down.
    pub fn set_up(&mut self, name: &str, up: bool) -> io::Result<()> {
        self.ask(name, |links| links.get(name).and_then(|link| links.set_up(link.index, up)))
    }

    /// Asks in the namespace where the device is. One that was made a moment ago is found although word of it has not been
    /// heard yet.
    fn ask<T: Send>(
        &mut self,
        name: &str,
        question: impl FnOnce(&mut Links) -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let away = if self.home.device(name).is_some() { None } else { taps::netns_of(name) };
        match away.filter(|netns| *netns != self.netns) {
            None => question(&mut self.home.links),
            Some(netns) => netns.run(|| question(&mut Links::here()?)),
        }
    }

    /// Something happened at home. If a tap of ours has gone, it may be abroad now.
    fn at_home(&mut self, change: Change) -> Change {
        if self.home.device(&change.name).is_some() {
            self.abroad.remove(&change.name);
            return change;
        }
        match self.look_abroad(&change.name) {
            Some(link) => Change { index: link.index, what: What::Changed, name: link.name },
            None => change,
        }
    }

    /// There was word from abroad of a device of this name. It may be a tap of ours or somebody else's device.
    fn word_from_abroad(&mut self, name: &str) -> Option<Change> {
        if self.home.device(name).is_some() || !taps::is_open(name) {
            return None;
        }
        let before = self.abroad.get(name).map(|device| device.link.clone());
        let name = name.to_owned();
        match (self.look_abroad(&name), before) {
            (Some(now), Some(before)) if now.same_but_counters(&before) => None,
            (Some(now), _) => Some(Change { name, index: now.index, what: What::Changed }),
            (None, Some(before)) => Some(Change { name, index: before.index, what: What::Gone }),
            (None, None) => None,
        }
    }

    /// Looks for a tap of ours outside of the switch's namespace and remembers how it is there.
    fn look_abroad(&mut self, name: &str) -> Option<Link> {
        let before = self.abroad.remove(name);
        let netns = taps::netns_of(name).filter(|netns| *netns != self.netns)?;
        let link = netns.run(|| Links::here()?.get(name)).ok()?;
        let known = before.as_ref().or_else(|| self.home.left.get(name));
        let resets = known.map_or(0, |known| known.resets + u64::from(known.link.running != link.running));
        self.home.left.remove(name);
        self.abroad.insert(name.to_owned(), Device { link: link.clone(), resets });
        Some(link)
    }
}

/// The switch's own namespace.
#[derive(Debug)]
struct Space {
    links: Links,
    heard: Socket,
    devices: HashMap<u32, Device>,
    by_name: HashMap<String, u32>,
    /// Taps of ours that have just left.
    left: HashMap<String, Device>,
}

impl Space {
    fn open() -> io::Result<Self> {
        let heard = Socket::listen(libc::NETLINK_ROUTE, RTNLGRP_LINK, LISTEN_BYTES)?;
        let links = Links::here()?;
        let mut space =
            Self { links, heard, devices: HashMap::new(), by_name: HashMap::new(), left: HashMap::new() };
        space.dump()?;
        Ok(space)
    }

    fn device(&self, name: &str) -> Option<&Device> {
        self.devices.get(self.by_name.get(name)?)
    }

    fn take(&mut self, message: &Message) -> Vec<Change> {
        let Some(link) = Link::read(message) else { return Vec::new() };
        match message.kind {
            libc::RTM_NEWLINK => self.now(link),
            // A bridge announces that a port left it by a message about the port that looks like its removal.
            libc::RTM_DELLINK if message.payload.first() == Some(&0) => {
                self.gone(link.index).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Takes a link's state as it is now.
    fn now(&mut self, link: Link) -> Vec<Change> {
        let (name, index) = (link.name.clone(), link.index);
        let mut changes = Vec::new();
        match self.devices.get_mut(&index) {
            Some(device) if device.link.name == name => {
                device.resets += u64::from(device.link.running != link.running);
                let quiet = link.same_but_counters(&device.link);
                device.link = link;
                if quiet {
                    return changes;
                }
                changes.push(Change { name, index, what: What::Changed });
            }
            known => {
                // Renamed: to everyone else that is one device less and one more.
                if known.is_some() {
                    changes.extend(self.gone(index));
                }
                self.by_name.insert(name.clone(), index);
                self.devices.insert(index, Device { link, resets: 0 });
                changes.push(Change { name, index, what: What::Appeared });
            }
        }
        changes
    }

    fn gone(&mut self, index: u32) -> Option<Change> {
        let device = self.devices.remove(&index)?;
        let name = device.link.name.clone();
        if taps::is_open(&name) {
            self.left.insert(name.clone(), device);
        }
        if self.by_name.get(&name) == Some(&index) {
            self.by_name.remove(&name);
        }
        Some(Change { name, index, what: What::Gone })
    }

    /// Looks at all devices and tells how they differ from what was known.
    fn dump(&mut self) -> io::Result<Vec<Change>> {
        let links = self.links.all()?;
        let missing: Vec<u32> =
            self.devices.keys().copied().filter(|index| !links.iter().any(|l| l.index == *index)).collect();
        let mut changes: Vec<Change> = missing.into_iter().filter_map(|index| self.gone(index)).collect();
        for link in links {
            changes.extend(self.now(link));
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netdev::testing::{in_new_netns, wait_until};

    fn words(changes: &[Change], name: &str) -> Vec<What> {
        changes.iter().filter(|change| change.name == name).map(|change| change.what).collect()
    }

    #[test]
    fn devices_are_followed_from_birth_to_removal() {
        in_new_netns(|| {
            let mut netdevs = Netdevs::open().unwrap();
            let mut links = Links::here().unwrap();
            links.add_veth("w0", "w1").unwrap();
            let changes = netdevs.poll().unwrap();
            assert_eq!(words(&changes, "w0").first(), Some(&What::Appeared));
            let (first, second) = (links.get("w0").unwrap().index, links.get("w1").unwrap().index);
            links.set_up(first, true).unwrap();
            links.set_up(second, true).unwrap();
            // The kernel's word of a carrier may come up to a second later.
            wait_until(|| {
                netdevs.poll().unwrap();
                netdevs.get("w0").unwrap().link.running
            });
            let device = netdevs.get("w0").unwrap();
            assert!(device.link.up);
            assert_eq!(device.resets, 1);
            netdevs.set_mtu("w0", 1400).unwrap();
            netdevs.poll().unwrap();
            assert_eq!(netdevs.get("w0").unwrap().link.mtu, 1400);
            links.delete(first).unwrap();
            assert_eq!(words(&netdevs.poll().unwrap(), "w0").last(), Some(&What::Gone));
            assert!(netdevs.get("w0").is_none());
            assert_eq!(netdevs.set_mtu("w0", 1500).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        });
    }

    #[test]
    fn a_device_made_again_under_its_name_appears_again() {
        in_new_netns(|| {
            let mut netdevs = Netdevs::open().unwrap();
            let mut links = Links::here().unwrap();
            links.add_veth("w0", "w1").unwrap();
            let first = links.get("w0").unwrap().index;
            netdevs.poll().unwrap();
            links.delete(first).unwrap();
            links.add_veth("w0", "w1").unwrap();
            let changes = netdevs.poll().unwrap();
            let mut of_w0 = words(&changes, "w0");
            of_w0.retain(|what| *what != What::Changed);
            assert_eq!(of_w0, [What::Gone, What::Appeared]);
            assert_ne!(netdevs.get("w0").unwrap().link.index, first);
        });
    }
}
