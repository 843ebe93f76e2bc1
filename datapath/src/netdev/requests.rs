//! Questions and orders about devices, to the kernel, in one namespace.

use std::io;

use crate::netlink::message::u32_at;
use crate::netlink::{Netns, Request, Socket};

use super::ethtool::{Driver, Ethtool, Settings};
use super::link::{IFLA_IFNAME, Link, ifinfo};

const IFLA_ADDRESS: u16 = 1;
const IFLA_MTU: u16 = 4;
const IFLA_IFALIAS: u16 = 20;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
/// Length of `struct rtgenmsg`, padded.
const RTGENMSG_LEN: usize = 4;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// Longest name of a device, in bytes.
pub const NAME_MAX: usize = libc::IFNAMSIZ - 1;

/// Devices of one network namespace, asked about and changed.
#[derive(Debug)]
pub struct Links {
    route: Socket,
    ethtool: Ethtool,
}

impl Links {
    /// Those of the calling thread's namespace.
    pub fn here() -> io::Result<Self> {
        Ok(Self { route: Socket::open(libc::NETLINK_ROUTE)?, ethtool: Ethtool::open()? })
    }

    /// Those of another namespace.
    pub fn inside(netns: &Netns) -> io::Result<Self> {
        netns.run(Self::here)
    }

    /// The device of this name. `ENODEV`: there is none. `ENAMETOOLONG`: there never will be.
    pub fn get(&mut self, name: &str) -> io::Result<Link> {
        check_name(name)?;
        let request = Request::new(libc::RTM_GETLINK, 0).fixed(&ifinfo(0, 0, 0)).attr_str(IFLA_IFNAME, name);
        self.one(request)
    }

    /// The device with this index.
    pub fn get_by_index(&mut self, index: u32) -> io::Result<Link> {
        self.one(Request::new(libc::RTM_GETLINK, 0).fixed(&ifinfo(index, 0, 0)))
    }

    /// All devices.
    pub fn all(&mut self) -> io::Result<Vec<Link>> {
        let request = Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP as u16).fixed(&ifinfo(0, 0, 0));
        Ok(self.route.ask(request)?.iter().filter_map(Link::read).collect())
    }

    /// Sets the MTU, in bytes of payload.
    pub fn set_mtu(&mut self, index: u32, mtu: u32) -> io::Result<()> {
        self.set(index, |request| request.attr_u32(IFLA_MTU, mtu))
    }

    /// Sets the MAC address.
    pub fn set_mac(&mut self, index: u32, mac: [u8; 6]) -> io::Result<()> {
        self.set(index, |request| request.attr(IFLA_ADDRESS, &mac))
    }

    /// Sets the alias.
    pub fn set_alias(&mut self, index: u32, alias: &str) -> io::Result<()> {
        self.set(index, |request| request.attr(IFLA_IFALIAS, alias.as_bytes()))
    }

    /// Takes the device up or down.
    pub fn set_up(&mut self, index: u32, up: bool) -> io::Result<()> {
        let up_flag = libc::IFF_UP as u32;
        let fixed = ifinfo(index, if up { up_flag } else { 0 }, up_flag);
        self.route.ask(Request::new(libc::RTM_SETLINK, 0).fixed(&fixed)).map(drop)
    }

    /// Moves the device into another namespace.
    pub fn move_to(&mut self, index: u32, netns: &Netns) -> io::Result<()> {
        let fd = netns.raw_fd() as u32;
        self.set(index, |request| request.attr_u32(IFLA_NET_NS_FD, fd))
    }

    /// The number that the namespace of these devices has for another one; none when it was never given one.
    pub fn netns_id(&mut self, netns: &Netns) -> io::Result<Option<u32>> {
        let request = Request::new(libc::RTM_GETNSID, 0)
            .fixed(&[0; RTGENMSG_LEN])
            .attr_u32(NETNSA_FD, netns.raw_fd() as u32);
        let answers = self.route.ask(request)?;
        let id = answers.iter().find_map(|answer| answer.attributes(RTGENMSG_LEN).find(NETNSA_NSID));
        // -1 stands for "none".
        Ok(id.and_then(|id| u32_at(id, 0)).filter(|id| *id != u32::MAX))
    }

    /// Makes a pair of veths.
    pub fn add_veth(&mut self, name: &str, peer: &str) -> io::Result<()> {
        check_name(name)?;
        check_name(peer)?;
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
        let request = Request::new(libc::RTM_NEWLINK, flags)
            .fixed(&ifinfo(0, 0, 0))
            .attr_str(IFLA_IFNAME, name)
            .nest(IFLA_LINKINFO, |info| {
                info.attr_str(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
                    data.nest(VETH_INFO_PEER, |end| end.fixed(&ifinfo(0, 0, 0)).attr_str(IFLA_IFNAME, peer))
                })
            });
        self.route.ask(request).map(drop)
    }

    /// Removes the device.
    pub fn delete(&mut self, index: u32) -> io::Result<()> {
        self.route.ask(Request::new(libc::RTM_DELLINK, 0).fixed(&ifinfo(index, 0, 0))).map(drop)
    }

    /// Speed, duplex and features.
    pub fn settings(&self, name: &str) -> io::Result<Settings> {
        self.ethtool.settings(name)
    }

    /// Name and versions of the driver.
    pub fn driver(&self, name: &str) -> io::Result<Driver> {
        self.ethtool.driver(name)
    }

    fn set(&mut self, index: u32, change: impl FnOnce(Request) -> Request) -> io::Result<()> {
        let request = Request::new(libc::RTM_SETLINK, 0).fixed(&ifinfo(index, 0, 0));
        self.route.ask(change(request)).map(drop)
    }

    fn one(&mut self, request: Request) -> io::Result<Link> {
        let answers = self.route.ask(request)?;
        answers.iter().find_map(Link::read).ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
    }
}

/// Refuses what no device can be called: an empty name (`EINVAL`) and one that is too long (`ENAMETOOLONG`).
pub fn check_name(name: &str) -> io::Result<()> {
    let errno = match name {
        "" | "." | ".." => libc::EINVAL,
        _ if name.len() > NAME_MAX => libc::ENAMETOOLONG,
        _ if name.bytes().any(|byte| byte == 0 || byte == b'/' || byte.is_ascii_whitespace()) => libc::EINVAL,
        _ => return Ok(()),
    };
    Err(io::Error::from_raw_os_error(errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netdev::testing::in_new_netns;

    #[test]
    fn a_veth_pair_is_made_changed_and_removed() {
        in_new_netns(|| {
            let mut links = Links::here().unwrap();
            links.add_veth("a0", "a1").unwrap();
            let link = links.get("a0").unwrap();
            assert_eq!((link.kind.as_str(), link.up, link.mtu), ("veth", false, 1500));
            assert_eq!(links.get("a1").unwrap().index, link.peer_index);
            links.set_mtu(link.index, 9000).unwrap();
            links.set_mac(link.index, [2, 0, 0, 0, 0, 5]).unwrap();
            links.set_up(link.index, true).unwrap();
            links.set_alias(link.index, "hello").unwrap();
            let now = links.get_by_index(link.index).unwrap();
            assert_eq!((now.mtu, now.mac, now.up, now.running), (9000, [2, 0, 0, 0, 0, 5], true, false));
            assert_eq!(now.alias, "hello");
            assert_eq!(links.all().unwrap().len(), 3);
            assert_eq!(links.settings("a0").unwrap().speed_mbps, Some(10000));
            assert_eq!(links.driver("a0").unwrap().name, "veth");
            links.delete(link.index).unwrap();
            assert_eq!(links.get("a0").unwrap_err().raw_os_error(), Some(libc::ENODEV));
        });
    }

    #[test]
    fn impossible_names_are_refused_before_anyone_is_asked() {
        let errno = |name: &str| check_name(name).unwrap_err().raw_os_error();
        assert_eq!(errno("averyveryverylongname"), Some(libc::ENAMETOOLONG));
        assert_eq!(errno(""), Some(libc::EINVAL));
        assert_eq!(errno("a/b"), Some(libc::EINVAL));
        assert!(check_name("exactly15chars_").is_ok());
    }
}
