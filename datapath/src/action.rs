//! Datapath actions: what a translation comes to, and what a worker does to a packet.

use conntrack::Request;
use packet::FlowKey;
use zerocopy::byteorder::network_endian::{U16, U32};

pub use crate::drops::DropReason;

/// A datapath port number. 0 is the datapath's own device, as in Open vSwitch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default)]
pub struct PortNo(pub u32);

/// One datapath action.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Send the packet as it now is.
    Output(PortNo),
    /// Cut what the next `Output` sends to this many bytes.
    Trunc(u32),
    /// Overwrite header or metadata bits.
    Set(Box<SetFields>),
    /// Insert a VLAN tag outside all others.
    PushVlan {
        /// Tag protocol identifier.
        tpid: u16,
        /// Tag control information without the "present" bit.
        tci: u16,
    },
    /// Remove the outermost VLAN tag.
    PopVlan,
    /// Insert an MPLS label stack entry and set the EtherType.
    PushMpls {
        /// Label stack entry.
        lse: u32,
        /// EtherType: 0x8847 or 0x8848.
        ethertype: u16,
    },
    /// Remove the outermost MPLS label stack entry and set the EtherType.
    PopMpls {
        /// EtherType of what is inside.
        ethertype: u16,
    },
    /// Hand the packet, as it now is, to the owner with this cookie (packet-in and the like).
    Punt(u64),
    /// Look the packet up again under this recirculation id.
    Recirc(u32),
    /// Pass through the connection tracker: the packet's connection state becomes part of its key.
    Ct(Box<Request>),
    /// Forget the packet's connection state.
    CtClear,
    /// Do these to a copy of the packet.
    Clone(Box<[Action]>),
    /// Drop, for a reason.
    Drop(DropReason),
}

/// Makes the packet that this is the key of untracked.
pub fn clear_ct(key: &mut FlowKey) {
    (key.ct_state, key.ct_mark, key.ct_label) = (U32::ZERO, U32::ZERO, [0; 16]);
    (key.ct_zone, key.ct_tp_src, key.ct_tp_dst, key.ct_nw_proto) = (U16::ZERO, U16::ZERO, U16::ZERO, 0);
    (key.ct_nw_src, key.ct_nw_dst) = (U32::ZERO, U32::ZERO);
    (key.ct_ipv6_src, key.ct_ipv6_dst) = ([0; 16], [0; 16]);
}

/// A masked set: the fields of `key` under `mask` replace the packet's. Only one header group (Ethernet, IPv4, IPv6, ARP, TCP,
/// UDP, SCTP, ICMP, ICMPv6, ND, MPLS, VLAN, tunnel, priority, mark) is touched by one action. `eth_type` and `nw_proto` of `key` are
/// those of the packet: text calls the header by them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SetFields {
    /// New values.
    pub key: FlowKey,
    /// Which bits are set.
    pub mask: packet::FlowMask,
}
