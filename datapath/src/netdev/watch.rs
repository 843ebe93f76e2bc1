//! Following devices: a table of all links of the switch's namespace, kept by notifications.
//!
//! # Algorithm
//!
//! A *space* is one namespace seen by two sockets, one that listens (`RTNLGRP_LINK`) and one that asks. It is filled by one
//! dump, taken after the listening began, and kept by what is heard from then on. When the kernel says that it lost
//! notifications, the dump is taken again and compared.
//!
//! There is a space for the switch's own namespace, and one for every other namespace into which somebody moved a tap of the
//! switch: when a device goes from a space and the switch has a tap of its name, the tap's descriptor is asked where it
//! is now ([`taps::netns_of`]). In another namespace only the switch's own taps are looked at.
//!
//! # Costs
//!
//! A notification costs a hash lookup; the table is as large as the namespace has devices. All listening sockets stand behind
//! one epoll descriptor, so the control loop polls one thing.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

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
    home: Space,
    elsewhere: HashMap<u64, Space>,
    epoll: Epoll,
}

impl Netdevs {
    /// Begins to follow the devices of the calling thread's namespace.
    pub fn open() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let home = Space::open(Netns::current()?, &epoll)?;
        Ok(Self { home, elsewhere: HashMap::new(), epoll })
    }

    /// What is readable when [`poll`](Self::poll) has something to say.
    pub fn fd(&self) -> RawFd {
        self.epoll.0.as_raw_fd()
    }

    /// What happened since the last time, in order. Never blocks.
    pub fn poll(&mut self) -> io::Result<Vec<Change>> {
        let mut changes = self.home.poll()?;
        for space in self.elsewhere.values_mut() {
            let heard = space.poll()?;
            changes.extend(heard.into_iter().filter(|change| taps::is_open(&change.name)));
        }
        for change in &mut changes {
            if change.what == What::Gone {
                self.look_elsewhere(change);
            }
        }
        self.leave_empty_spaces();
        Ok(changes)
    }

    /// The device of this name: in the switch's namespace, or a tap of the switch in another one.
    pub fn get(&self, name: &str) -> Option<&Device> {
        self.space_of(name)?.device(name)
    }

    /// Its counters now. Those of a tap of the switch are seen from the switch: what it received is what the device sent.
    pub fn statistics(&mut self, name: &str) -> io::Result<LinkStats> {
        let (links, index) = self.at(name)?;
        let stats = links.get_by_index(index)?.stats;
        Ok(if taps::is_open(name) { stats.swapped() } else { stats })
    }

    /// Its speed, duplex and features.
    pub fn settings(&mut self, name: &str) -> io::Result<Settings> {
        self.at(name)?.0.settings(name)
    }

    /// Its driver.
    pub fn driver(&mut self, name: &str) -> io::Result<Driver> {
        self.at(name)?.0.driver(name)
    }

    /// Sets its MTU.
    pub fn set_mtu(&mut self, name: &str, mtu: u32) -> io::Result<()> {
        let (links, index) = self.at(name)?;
        links.set_mtu(index, mtu)
    }

    /// Sets its MAC address.
    pub fn set_mac(&mut self, name: &str, mac: [u8; 6]) -> io::Result<()> {
        let (links, index) = self.at(name)?;
        links.set_mac(index, mac)
    }

    /// Takes it up or down.
    pub fn set_up(&mut self, name: &str, up: bool) -> io::Result<()> {
        let (links, index) = self.at(name)?;
        links.set_up(index, up)
    }

    fn space_of(&self, name: &str) -> Option<&Space> {
        if self.home.device(name).is_some() {
            return Some(&self.home);
        }
        self.elsewhere.get(&taps::netns_of(name)?.inode())
    }

    /// The device's index and those who can be asked about it. A device that was made a moment ago is found although word of it
    /// has not been heard yet.
    fn at(&mut self, name: &str) -> io::Result<(&mut Links, u32)> {
        let no_device = || io::Error::from_raw_os_error(libc::ENODEV);
        let away = taps::netns_of(name).filter(|netns| *netns != self.home.netns);
        let space = match away {
            None => &mut self.home,
            Some(netns) => {
                self.follow(&netns)?;
                self.elsewhere.get_mut(&netns.inode()).ok_or_else(no_device)?
            }
        };
        let index = match space.device(name) {
            Some(device) => device.link.index,
            None => space.links.get(name)?.index,
        };
        Ok((&mut space.links, index))
    }

    /// A device has gone from where it was: if it is a tap of ours that is somewhere else now, it merely changed.
    fn look_elsewhere(&mut self, change: &mut Change) {
        let Some(netns) = taps::netns_of(&change.name) else { return };
        if netns != self.home.netns && self.follow(&netns).is_err() {
            return;
        }
        if let Some(device) = self.space_of(&change.name).and_then(|space| space.device(&change.name)) {
            change.what = What::Changed;
            change.index = device.link.index;
        }
    }

    fn follow(&mut self, netns: &Netns) -> io::Result<()> {
        if let std::collections::hash_map::Entry::Vacant(slot) = self.elsewhere.entry(netns.inode()) {
            slot.insert(Space::open(netns.clone(), &self.epoll)?);
        }
        Ok(())
    }

    fn leave_empty_spaces(&mut self) {
        if !self.elsewhere.is_empty() {
            let inhabited = taps::namespaces();
            self.elsewhere.retain(|inode, _| inhabited.contains(inode));
        }
    }
}

/// One namespace.
#[derive(Debug)]
struct Space {
    netns: Netns,
    links: Links,
    heard: Socket,
    devices: HashMap<u32, Device>,
    by_name: HashMap<String, u32>,
}

impl Space {
    fn open(netns: Netns, epoll: &Epoll) -> io::Result<Self> {
        let (heard, links) = netns
            .run(|| Ok((Socket::listen(libc::NETLINK_ROUTE, RTNLGRP_LINK, LISTEN_BYTES)?, Links::here()?)))?;
        epoll.add(heard.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, netns.inode()))?;
        let mut space = Self { netns, links, heard, devices: HashMap::new(), by_name: HashMap::new() };
        space.dump()?;
        Ok(space)
    }

    fn device(&self, name: &str) -> Option<&Device> {
        self.devices.get(self.by_name.get(name)?)
    }

    fn poll(&mut self) -> io::Result<Vec<Change>> {
        match self.heard.notifications()? {
            Some(messages) => Ok(messages.iter().flat_map(|message| self.take(message)).collect()),
            None => self.dump(),
        }
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
                let quiet = Link { stats: device.link.stats, ..link.clone() } == device.link;
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
        let name = self.devices.remove(&index)?.link.name;
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
