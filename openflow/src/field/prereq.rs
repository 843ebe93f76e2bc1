//! Prerequisites: what must be matched before a field means anything.

use packet::FlowKey;
use packet::key::FRAG_LATER;

use super::Field;
use crate::Match;

/// A condition on the other fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prereq {
    /// Nothing.
    None,
    /// The packet is an Ethernet frame.
    Ethernet,
    /// ARP or RARP.
    Arp,
    /// A VLAN tag is present.
    VlanVid,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// IPv4 or IPv6.
    Ip,
    /// MPLS unicast or multicast.
    Mpls,
    /// A TCP header.
    Tcp,
    /// A UDP header.
    Udp,
    /// An SCTP header.
    Sctp,
    /// An ICMP header.
    Icmp,
    /// An ICMPv6 header.
    Icmpv6,
    /// A neighbour solicitation or advertisement.
    Nd,
    /// A neighbour solicitation.
    NdSolicit,
    /// A neighbour advertisement.
    NdAdvert,
    /// A connection that is tracked and valid.
    Ct,
    /// A network service header.
    Nsh,
}

const ETH_IPV4: u16 = 0x0800;
const ETH_ARP: u16 = 0x0806;
const ETH_RARP: u16 = 0x8035;
const ETH_IPV6: u16 = 0x86dd;
const ETH_MPLS: u16 = 0x8847;
const ETH_MPLS_MCAST: u16 = 0x8848;
const ETH_NSH: u16 = 0x894f;
const PRESENT: u16 = packet::key::VLAN_PRESENT;
/// `ct_state` bits of which one shows that the connection was found: new, est, rel, rpl, snat, dnat.
const CT_FOUND: u32 = 0x01 | 0x02 | 0x04 | 0x08 | 0x40 | 0x80;

impl Field {
    /// Whether what this field presupposes is matched by `m`.
    pub fn prereqs_ok(&self, m: &Match) -> bool {
        self.prereq.holds(&m.mask.apply(&m.key))
    }
}

impl Prereq {
    /// Whether `key`, of which every bit counts, meets this condition.
    pub fn holds(self, key: &FlowKey) -> bool {
        match self {
            Prereq::None => true,
            Prereq::Ethernet => is_ethernet(key),
            Prereq::Arp => matches!(eth_type(key), ETH_ARP | ETH_RARP),
            Prereq::VlanVid => is_ethernet(key) && key.vlan[0].tci.get() & PRESENT != 0,
            Prereq::Ipv4 => eth_type(key) == ETH_IPV4,
            Prereq::Ipv6 => eth_type(key) == ETH_IPV6,
            Prereq::Ip => is_ip(key),
            Prereq::Mpls => matches!(eth_type(key), ETH_MPLS | ETH_MPLS_MCAST),
            Prereq::Tcp => has_l4(key, 6),
            Prereq::Udp => has_l4(key, 17),
            Prereq::Sctp => has_l4(key, 132),
            Prereq::Icmp => eth_type(key) == ETH_IPV4 && has_l4(key, 1),
            Prereq::Icmpv6 => is_icmpv6(key),
            Prereq::Nd => is_nd(key, 135) || is_nd(key, 136),
            Prereq::NdSolicit => is_nd(key, 135),
            Prereq::NdAdvert => is_nd(key, 136),
            Prereq::Ct => key.ct_state.get() & CT_FOUND != 0,
            Prereq::Nsh => eth_type(key) == ETH_NSH,
        }
    }
}

fn is_ethernet(key: &FlowKey) -> bool {
    key.packet_type.get() == 0
}

/// The EtherType, or the one that a packet type of namespace 1 stands for.
fn eth_type(key: &FlowKey) -> u16 {
    let kind = key.packet_type.get();
    if kind >> 16 == 1 { kind as u16 } else { key.eth_type.get() }
}

fn is_ip(key: &FlowKey) -> bool {
    matches!(eth_type(key), ETH_IPV4 | ETH_IPV6)
}

fn has_l4(key: &FlowKey, proto: u8) -> bool {
    is_ip(key) && key.nw_proto == proto && key.nw_frag & FRAG_LATER == 0
}

fn is_icmpv6(key: &FlowKey) -> bool {
    eth_type(key) == ETH_IPV6 && has_l4(key, 58)
}

fn is_nd(key: &FlowKey, kind: u16) -> bool {
    is_icmpv6(key) && key.tp_src.get() == kind && key.tp_dst.get() == 0
}
