//! All that the host configured on a device, written down and given to a tap of the same name.
//!
//! Addresses and routes are kept as the kernel tells them and told back with the new device's index in place of the old one's;
//! attributes that only say how long ago something happened are left out. What the kernel makes by itself (routes of
//! `RTPROT_KERNEL`) comes back with the addresses.

use std::io;

use crate::netdev::{Link, Links};
use crate::netlink::message::u32_at;
use crate::netlink::{Message, Netns, Request, Socket};
use crate::port::tap;

/// Length of `struct ifaddrmsg`, in which the index is at 4.
const IFADDR_LEN: usize = 8;
/// Length of `struct rtmsg`, in which the protocol is at 5 and the table at 4.
const RTMSG_LEN: usize = 12;
const IFA_CACHEINFO: u16 = 6;
const RTA_OIF: u16 = 4;
const RTA_MULTIPATH: u16 = 9;
const RTA_CACHEINFO: u16 = 12;
const RTPROT_KERNEL: u8 = 2;
const RTM_F_CLONED: u32 = 0x200;

/// A device and what was configured on it.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    link: Link,
    addresses: Vec<Message>,
    routes: Vec<Message>,
}

impl Saved {
    /// Writes down what is configured on the device of this name in the calling thread's namespace.
    pub(super) fn save(name: &str) -> io::Result<Self> {
        let link = Links::here()?.get(name)?;
        let mut route = Socket::open(libc::NETLINK_ROUTE)?;
        let dump = libc::NLM_F_DUMP as u16;
        let mut addresses = route.ask(Request::new(libc::RTM_GETADDR, dump).fixed(&[0; IFADDR_LEN]))?;
        addresses.retain(|message| u32_at(&message.payload, 4) == Some(link.index));
        let mut routes = route.ask(Request::new(libc::RTM_GETROUTE, dump).fixed(&[0; RTMSG_LEN]))?;
        routes.retain(|message| is_configured_on(message, link.index));
        Ok(Self { link, addresses, routes })
    }

    /// The device's name.
    pub(super) fn name(&self) -> &str {
        &self.link.name
    }

    /// Makes a persistent tap in the calling thread's namespace and gives it all of that. Returns how many of the addresses and
    /// routes it could not be given; `home` is the switch's own namespace.
    pub(super) fn restore(&self, home: &Netns) -> io::Result<usize> {
        tap::make(&self.link.name, home)?;
        let mut links = Links::here()?;
        let index = links.get(&self.link.name)?.index;
        links.set_mac(index, self.link.mac)?;
        links.set_mtu(index, self.link.mtu)?;
        links.set_up(index, self.link.up)?;
        let mut route = Socket::open(libc::NETLINK_ROUTE)?;
        let mut lost =
            self.addresses.iter().filter(|address| !tell_address(&mut route, address, index)).count();
        // A route may need another one, which may come after it: what fails is tried once more at the end.
        let again: Vec<_> =
            self.routes.iter().filter(|message| !tell_route(&mut route, message, index)).collect();
        lost += again.into_iter().filter(|message| !tell_route(&mut route, message, index)).count();
        Ok(lost)
    }
}

/// Whether a route leads out of the device and was put there by somebody.
fn is_configured_on(route: &Message, index: u32) -> bool {
    let made_by_kernel = route.payload.get(5) == Some(&RTPROT_KERNEL);
    let cloned = u32_at(&route.payload, 8).is_some_and(|flags| flags & RTM_F_CLONED != 0);
    let out = route.attributes(RTMSG_LEN).find(RTA_OIF).and_then(|value| u32_at(value, 0));
    let one_of_many = route.attributes(RTMSG_LEN).find(RTA_MULTIPATH);
    let leads_out = out == Some(index) || one_of_many.is_some_and(|hops| has_hop(hops, index));
    leads_out && !made_by_kernel && !cloned
}

/// Whether one of the hops (`struct rtnexthop`: length, flags, hops, index, attributes) leads out of the device.
fn has_hop(mut hops: &[u8], index: u32) -> bool {
    while let (Some(len), Some(out)) = (crate::netlink::message::u16_at(hops, 0), u32_at(hops, 4)) {
        if out == index {
            return true;
        }
        let Some(rest) = hops.get((usize::from(len).max(8) + 3) & !3..) else { break };
        hops = rest;
    }
    false
}

fn tell_address(route: &mut Socket, address: &Message, index: u32) -> bool {
    let Some(mut fixed) = address.payload.first_chunk::<IFADDR_LEN>().copied() else { return false };
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut request = new_or_same(libc::RTM_NEWADDR).fixed(&fixed);
    for (kind, value) in address.attributes(IFADDR_LEN) {
        request = if kind == IFA_CACHEINFO {
            request.attr(kind, &lifetimes(value))
        } else {
            request.attr(kind, value)
        };
    }
    done_or_there(route.ask(request))
}

/// `struct ifa_cacheinfo` with its preferred and valid lifetimes only.
fn lifetimes(cacheinfo: &[u8]) -> [u8; 16] {
    let mut kept = [0; 16];
    if let Some(lifetimes) = cacheinfo.get(..8) {
        kept[..8].copy_from_slice(lifetimes);
    }
    kept
}

fn tell_route(route: &mut Socket, message: &Message, index: u32) -> bool {
    let Some(fixed) = message.payload.first_chunk::<RTMSG_LEN>() else { return false };
    let mut request = new_or_same(libc::RTM_NEWROUTE).fixed(fixed);
    for (kind, value) in message.attributes(RTMSG_LEN) {
        request = match kind {
            RTA_OIF => request.attr_u32(RTA_OIF, index),
            RTA_CACHEINFO => request,
            _ => request.attr(kind, value),
        };
    }
    done_or_there(route.ask(request))
}

fn new_or_same(kind: u16) -> Request {
    Request::new(kind, (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16)
}

fn done_or_there(answer: io::Result<Vec<Message>>) -> bool {
    answer.is_ok() || answer.is_err_and(|error| error.raw_os_error() == Some(libc::EEXIST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netdev::testing::{in_new_netns, run};
    use std::process::Command;

    fn said(command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the host configured on `br0`, as text without the device's index.
    fn configuration() -> [String; 4] {
        let addresses = said("ip -o address show dev br0");
        let addresses: Vec<&str> =
            addresses.lines().filter_map(|line| line.split_once(": ")).map(|l| l.1).collect();
        [
            addresses.join("\n"),
            said("ip route show"),
            said("ip route show table 77"),
            said("ip -6 route show 2001:db8:1::/48"),
        ]
    }

    #[test]
    fn a_device_comes_back_as_a_tap_with_all_that_was_on_it() {
        in_new_netns(|| {
            assert!(run("ip link add br0 type veth peer name far") && run("ip link set far up"));
            for command in [
                "ip link set br0 address 02:00:00:00:00:07 mtu 1400 up",
                "ip address add 10.7.0.1/24 dev br0",
                "ip address add 10.8.0.1/16 dev br0 label br0:a",
                "ip address add 2001:db8::1/64 dev br0 nodad",
                "ip route add default via 10.7.0.254 metric 5",
                "ip route add 10.9.0.0/16 dev br0 src 10.8.0.1",
                "ip route add 192.0.2.0/24 via 10.8.0.9 table 77",
                "ip route add 2001:db8:1::/48 via 2001:db8::9",
            ] {
                assert!(run(command), "{command}");
            }
            let before = configuration();
            assert!(before.iter().all(|part| !part.is_empty()), "{before:?}");
            let saved = Saved::save("br0").unwrap();
            Links::here().unwrap().delete(saved.link.index).unwrap();
            assert_eq!(saved.restore(&Netns::current().unwrap()).unwrap(), 0);
            let link = Links::here().unwrap().get("br0").unwrap();
            assert_eq!((link.kind.as_str(), link.mac, link.mtu), ("tun", [2, 0, 0, 0, 0, 7], 1400));
            assert!(link.up);
            let after = configuration();
            for (now, then) in after.iter().zip(&before) {
                assert_eq!(plain(now), plain(then));
            }
        });
    }

    /// Without what a link's state adds to it, and without the link-local address that each device makes from its MAC.
    fn plain(text: &str) -> Vec<String> {
        let line = |line: &str| {
            let words = line
                .split_whitespace()
                .filter(|word| !matches!(*word, "linkdown" | "tentative" | "dadfailed"));
            words.collect::<Vec<_>>().join(" ")
        };
        let mut lines: Vec<String> = text.lines().filter(|l| !l.contains("fe80::")).map(line).collect();
        lines.sort();
        lines
    }
}
