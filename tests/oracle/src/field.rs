//! The fields that random rules look at and write, as the oracle sees them: a name, a width, and the slot in which the value
//! of a packet is kept. How a slot lies in a frame is [`crate::view`]'s matter.

use openflow::FieldId;

/// Where the values of a packet are kept. Fields of several protocols may share a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Slot {
    /// Port of arrival.
    InPort,
    /// Metadata.
    Metadata,
    /// Register 0.
    Reg0,
    /// Register 1.
    Reg1,
    /// Register 2.
    Reg2,
    /// Register 3.
    Reg3,
    /// Ethernet source.
    EthSrc,
    /// Ethernet destination.
    EthDst,
    /// EtherType after tags.
    EthType,
    /// Outer tag: TCI with bit 12 set, or 0.
    VlanTci,
    /// Inner tag, likewise.
    InnerTci,
    /// Outermost label stack entry.
    Mpls,
    /// IPv4 source or ARP sender.
    NwSrc,
    /// IPv4 destination or ARP target.
    NwDst,
    /// IPv6 source.
    Ip6Src,
    /// IPv6 destination.
    Ip6Dst,
    /// IPv6 flow label.
    Label,
    /// 1 for a fragment, 3 for a later one.
    Frag,
    /// Type of service.
    Tos,
    /// Time to live.
    Ttl,
    /// Protocol or ARP opcode.
    Proto,
    /// Source port or ICMP type.
    TpSrc,
    /// Destination port or ICMP code.
    TpDst,
    /// TCP flags.
    TcpFlags,
    /// ARP sender hardware address or source link-layer address.
    Sha,
    /// ARP target hardware address or target link-layer address.
    Tha,
    /// Neighbour discovery target.
    NdTarget,
    /// Connection state.
    CtState,
    /// Zone.
    CtZone,
    /// Mark of the connection.
    CtMark,
    /// Label of the connection.
    CtLabel,
    /// Original direction: protocol.
    CtProto,
    /// Original direction: IPv4 source.
    CtNwSrc,
    /// Original direction: IPv4 destination.
    CtNwDst,
    /// Original direction: IPv6 source.
    CtIp6Src,
    /// Original direction: IPv6 destination.
    CtIp6Dst,
    /// Original direction: source port or ICMP type.
    CtTpSrc,
    /// Original direction: destination port or ICMP code.
    CtTpDst,
}

impl Slot {
    /// Those of the pipeline, which are no bridge's but one's.
    pub const PIPELINE: [Self; 5] = [Self::Metadata, Self::Reg0, Self::Reg1, Self::Reg2, Self::Reg3];
    /// Those that the connection tracker fills.
    pub const CT: [Self; 11] = [
        Self::CtState,
        Self::CtZone,
        Self::CtMark,
        Self::CtLabel,
        Self::CtProto,
        Self::CtNwSrc,
        Self::CtNwDst,
        Self::CtIp6Src,
        Self::CtIp6Dst,
        Self::CtTpSrc,
        Self::CtTpDst,
    ];
}

/// Number of slots.
pub const SLOTS: usize = Slot::CtTpDst as usize + 1;

/// The values of a packet and its pipeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Values([u128; SLOTS]);

impl Default for Values {
    fn default() -> Self {
        Self([0; SLOTS])
    }
}

impl std::ops::Index<Slot> for Values {
    type Output = u128;
    fn index(&self, slot: Slot) -> &u128 {
        &self.0[slot as usize]
    }
}

impl std::ops::IndexMut<Slot> for Values {
    fn index_mut(&mut self, slot: Slot) -> &mut u128 {
        &mut self.0[slot as usize]
    }
}

/// Which packets have a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// All.
    Any,
    /// Tagged ones, and those whose lack of a tag is matched.
    Vlan,
    /// MPLS.
    Mpls,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Either.
    Ip,
    /// ARP.
    Arp,
    /// TCP over either.
    Tcp,
    /// UDP over either.
    Udp,
    /// SCTP over either.
    Sctp,
    /// ICMP over IPv4.
    Icmp4,
    /// ICMPv6 over IPv6.
    Icmp6,
    /// Neighbour solicitation.
    Solicitation,
    /// Neighbour advertisement.
    Advertisement,
    /// Packets of which the connection tracker knows the original direction.
    Tracked,
}

/// What masks a field takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Masks {
    /// All bits or none.
    Exact,
    /// Any.
    Any,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name in Open vSwitch's text.
    pub name: &'static str,
    /// Name in the program under test.
    pub id: FieldId,
    /// Where the value is kept.
    pub slot: Slot,
    /// Distance from the slot's least significant bit.
    pub shift: u32,
    /// Width in bits.
    pub bits: u32,
    /// Which packets have it.
    pub family: Family,
    /// What masks it takes.
    pub masks: Masks,
    /// Whether actions may set it.
    pub writable: bool,
}

impl Field {
    /// A value with all bits set.
    pub fn ones(&self) -> u128 {
        if self.bits == 128 { u128::MAX } else { (1 << self.bits) - 1 }
    }

    /// The field's value.
    pub fn get(&self, values: &Values) -> u128 {
        values[self.slot] >> self.shift & self.ones()
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

const fn row(name: &'static str, id: FieldId, slot: Slot, bits: u32, family: Family, masks: Masks) -> Field {
    Field { name, id, slot, shift: 0, bits, family, masks, writable: true }
}

const fn at(shift: u32, field: Field) -> Field {
    Field { shift, ..field }
}

const fn fixed(field: Field) -> Field {
    Field { writable: false, ..field }
}

use Family as F;
use Masks::{Any, Exact};

/// All fields.
pub static FIELDS: &[Field] = &[
    fixed(row("in_port", FieldId::InPortOxm, Slot::InPort, 16, F::Any, Exact)),
    row("metadata", FieldId::Metadata, Slot::Metadata, 64, F::Any, Any),
    row("reg0", FieldId::Reg0, Slot::Reg0, 32, F::Any, Any),
    row("reg1", FieldId::Reg1, Slot::Reg1, 32, F::Any, Any),
    row("reg2", FieldId::Reg2, Slot::Reg2, 32, F::Any, Any),
    row("reg3", FieldId::Reg3, Slot::Reg3, 32, F::Any, Any),
    row("eth_src", FieldId::EthSrc, Slot::EthSrc, 48, F::Any, Any),
    row("eth_dst", FieldId::EthDst, Slot::EthDst, 48, F::Any, Any),
    fixed(row("eth_type", FieldId::EthType, Slot::EthType, 16, F::Any, Exact)),
    fixed(row("vlan_tci", FieldId::VlanTci, Slot::VlanTci, 16, F::Vlan, Any)),
    at(12, row("mpls_label", FieldId::MplsLabel, Slot::Mpls, 20, F::Mpls, Exact)),
    at(9, row("mpls_tc", FieldId::MplsTc, Slot::Mpls, 3, F::Mpls, Exact)),
    fixed(at(8, row("mpls_bos", FieldId::MplsBos, Slot::Mpls, 1, F::Mpls, Exact))),
    row("ip_src", FieldId::Ipv4Src, Slot::NwSrc, 32, F::V4, Any),
    row("ip_dst", FieldId::Ipv4Dst, Slot::NwDst, 32, F::V4, Any),
    row("ipv6_src", FieldId::Ipv6Src, Slot::Ip6Src, 128, F::V6, Any),
    row("ipv6_dst", FieldId::Ipv6Dst, Slot::Ip6Dst, 128, F::V6, Any),
    row("ipv6_label", FieldId::Ipv6Label, Slot::Label, 20, F::V6, Any),
    fixed(row("ip_frag", FieldId::IpFrag, Slot::Frag, 2, F::Ip, Any)),
    at(2, row("ip_dscp", FieldId::IpDscp, Slot::Tos, 6, F::Ip, Exact)),
    row("nw_ecn", FieldId::NwEcn, Slot::Tos, 2, F::Ip, Exact),
    row("nw_ttl", FieldId::NwTtl, Slot::Ttl, 8, F::Ip, Exact),
    fixed(row("nw_proto", FieldId::NwProto, Slot::Proto, 8, F::Ip, Exact)),
    row("tcp_src", FieldId::TcpSrc, Slot::TpSrc, 16, F::Tcp, Any),
    row("tcp_dst", FieldId::TcpDst, Slot::TpDst, 16, F::Tcp, Any),
    fixed(row("tcp_flags", FieldId::TcpFlags, Slot::TcpFlags, 12, F::Tcp, Any)),
    row("udp_src", FieldId::UdpSrc, Slot::TpSrc, 16, F::Udp, Any),
    row("udp_dst", FieldId::UdpDst, Slot::TpDst, 16, F::Udp, Any),
    row("sctp_src", FieldId::SctpSrc, Slot::TpSrc, 16, F::Sctp, Any),
    row("sctp_dst", FieldId::SctpDst, Slot::TpDst, 16, F::Sctp, Any),
    row("icmp_type", FieldId::IcmpType, Slot::TpSrc, 8, F::Icmp4, Exact),
    row("icmp_code", FieldId::IcmpCode, Slot::TpDst, 8, F::Icmp4, Exact),
    fixed(row("icmpv6_type", FieldId::Icmpv6Type, Slot::TpSrc, 8, F::Icmp6, Exact)),
    fixed(row("icmpv6_code", FieldId::Icmpv6Code, Slot::TpDst, 8, F::Icmp6, Exact)),
    row("arp_op", FieldId::ArpOp, Slot::Proto, 8, F::Arp, Exact),
    row("arp_spa", FieldId::ArpSpa, Slot::NwSrc, 32, F::Arp, Any),
    row("arp_tpa", FieldId::ArpTpa, Slot::NwDst, 32, F::Arp, Any),
    row("arp_sha", FieldId::ArpSha, Slot::Sha, 48, F::Arp, Any),
    row("arp_tha", FieldId::ArpTha, Slot::Tha, 48, F::Arp, Any),
    row("nd_target", FieldId::NdTarget, Slot::NdTarget, 128, F::Solicitation, Any),
    row("nd_sll", FieldId::NdSll, Slot::Sha, 48, F::Solicitation, Any),
    row("nd_target", FieldId::NdTarget, Slot::NdTarget, 128, F::Advertisement, Any),
    row("nd_tll", FieldId::NdTll, Slot::Tha, 48, F::Advertisement, Any),
];

/// The fields of connection tracking. Apart, so that what is drawn from the others stays the same whether or not there are these.
pub static CT_FIELDS: &[Field] = &[
    fixed(row("ct_state", FieldId::CtState, Slot::CtState, 8, F::Any, Any)),
    fixed(row("ct_zone", FieldId::CtZone, Slot::CtZone, 16, F::Any, Exact)),
    fixed(row("ct_mark", FieldId::CtMark, Slot::CtMark, 32, F::Any, Any)),
    fixed(row("ct_label", FieldId::CtLabel, Slot::CtLabel, 128, F::Any, Any)),
    fixed(row("ct_nw_proto", FieldId::CtNwProto, Slot::CtProto, 8, F::Tracked, Exact)),
    fixed(row("ct_nw_src", FieldId::CtNwSrc, Slot::CtNwSrc, 32, F::Tracked, Any)),
    fixed(row("ct_nw_dst", FieldId::CtNwDst, Slot::CtNwDst, 32, F::Tracked, Any)),
    fixed(row("ct_ipv6_src", FieldId::CtIpv6Src, Slot::CtIp6Src, 128, F::Tracked, Any)),
    fixed(row("ct_ipv6_dst", FieldId::CtIpv6Dst, Slot::CtIp6Dst, 128, F::Tracked, Any)),
    fixed(row("ct_tp_src", FieldId::CtTpSrc, Slot::CtTpSrc, 16, F::Tracked, Any)),
    fixed(row("ct_tp_dst", FieldId::CtTpDst, Slot::CtTpDst, 16, F::Tracked, Any)),
];

/// The place of a field in matches.
pub fn order(field: &Field) -> usize {
    FIELDS.iter().chain(CT_FIELDS).position(|other| other == field).unwrap_or(usize::MAX)
}

/// The field of this name.
///
/// # Panics
/// When there is none: names are written by programmers.
pub fn field(name: &str) -> &'static Field {
    FIELDS
        .iter()
        .chain(CT_FIELDS)
        .find(|field| field.name == name)
        .unwrap_or_else(|| panic!("no field {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_program_under_test() {
        for field in FIELDS.iter().chain(CT_FIELDS) {
            let id = if field.id == FieldId::InPortOxm { FieldId::InPort } else { field.id };
            assert_eq!(FieldId::by_name(field.name), Some(id), "{}", field.name);
        }
    }
}
