//! One network device as routing netlink describes it (`RTM_NEWLINK`, `linux/if_link.h`).

use crate::netlink::message::{text, u16_at, u32_at};
use crate::netlink::{Attributes, Message};

use super::stats::LinkStats;

/// Length of `struct ifinfomsg`.
pub(super) const IFINFO_LEN: usize = 16;

const IFLA_ADDRESS: u16 = 1;
pub(super) const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_IFALIAS: u16 = 20;
const IFLA_STATS64: u16 = 23;
const IFLA_MIN_MTU: u16 = 50;
const IFLA_MAX_MTU: u16 = 51;

/// A device as it stood when the kernel last spoke of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// Its index; a device that is made again gets another one.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What made it: `veth`, `tun`, `bridge`, ...; empty for hardware.
    pub kind: String,
    /// Its hardware type, `ARPHRD_ETHER` (1) for Ethernet.
    pub hardware: u16,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its MTU, in bytes of payload.
    pub mtu: u32,
    /// The least MTU it takes; 0 when unknown.
    pub min_mtu: u32,
    /// The largest MTU it takes; 0 when unknown.
    pub max_mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it is up and has a carrier (`IFF_RUNNING`).
    pub running: bool,
    /// Whether it is the loopback device.
    pub loopback: bool,
    /// Index of the device it hangs on, for a veth that of its peer in the peer's namespace; 0 when there is none.
    pub peer_index: u32,
    /// The alias that somebody gave it.
    pub alias: String,
    /// Its counters at that time.
    pub stats: LinkStats,
}

impl Link {
    /// Reads an `RTM_NEWLINK` (or the head of an `RTM_DELLINK`); nothing if it is too short.
    pub fn read(message: &Message) -> Option<Self> {
        let fixed = &message.payload;
        let flags = u32_at(fixed, 8)? as i32;
        let mut link = Self {
            hardware: u16_at(fixed, 2)?,
            index: u32_at(fixed, 4)?,
            up: flags & libc::IFF_UP != 0,
            running: flags & libc::IFF_RUNNING != 0,
            loopback: flags & libc::IFF_LOOPBACK != 0,
            ..Self::default()
        };
        for (kind, value) in message.attributes(IFINFO_LEN) {
            link.take(kind, value);
        }
        Some(link)
    }

    /// Whether nothing but the counters differs.
    pub(super) fn same_but_counters(&self, other: &Self) -> bool {
        Self { stats: other.stats, ..self.clone() } == *other
    }

    fn take(&mut self, kind: u16, value: &[u8]) {
        let number = || u32_at(value, 0).unwrap_or(0);
        match kind {
            IFLA_ADDRESS => self.mac = value.try_into().unwrap_or_default(),
            IFLA_IFNAME => self.name = text(value),
            IFLA_MTU => self.mtu = number(),
            IFLA_LINK => self.peer_index = number(),
            IFLA_LINKINFO => self.kind = Attributes(value).find(IFLA_INFO_KIND).map(text).unwrap_or_default(),
            IFLA_IFALIAS => self.alias = text(value),
            IFLA_STATS64 => self.stats = LinkStats::read(value),
            IFLA_MIN_MTU => self.min_mtu = number(),
            IFLA_MAX_MTU => self.max_mtu = number(),
            _ => {}
        }
    }
}

/// `struct ifinfomsg` that names a device by index (0 to name it by an attribute), and changes `flags` under `change`.
pub(super) fn ifinfo(index: u32, flags: u32, change: u32) -> [u8; IFINFO_LEN] {
    let mut fixed = [0; IFINFO_LEN];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..16].copy_from_slice(&change.to_ne_bytes());
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Request;

    #[test]
    fn a_veth_is_read() {
        let mut fixed = ifinfo(7, (libc::IFF_UP | libc::IFF_RUNNING) as u32, 0);
        fixed[2..4].copy_from_slice(&1u16.to_ne_bytes());
        let bytes = Request::new(libc::RTM_NEWLINK, 0)
            .fixed(&fixed)
            .attr_str(IFLA_IFNAME, "v0")
            .attr(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1])
            .attr_u32(IFLA_MTU, 1500)
            .attr_u32(IFLA_LINK, 6)
            .nest(IFLA_LINKINFO, |info| info.attr_str(IFLA_INFO_KIND, "veth"))
            .finish(0, 0);
        let link = Link::read(&Message::split(&bytes)[0]).unwrap();
        assert_eq!((link.index, link.name.as_str(), link.kind.as_str()), (7, "v0", "veth"));
        assert_eq!((link.mac, link.mtu, link.peer_index), ([2, 0, 0, 0, 0, 1], 1500, 6));
        assert!(link.up && link.running && !link.loopback);
    }

    #[test]
    fn a_short_message_is_no_link() {
        let message = Message { kind: 16, flags: 0, sequence: 0, nsid: None, payload: vec![0; 8] };
        assert_eq!(Link::read(&message), None);
    }
}
