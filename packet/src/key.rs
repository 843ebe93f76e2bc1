//! The flow key: every header and metadata field that a lookup can look at, in one flat structure.
//!
//! # Layout
//!
//! [`FlowKey`] is `repr(C)`, has no padding, and is a whole number of 64-bit words, so that it can be hashed, masked
//! and compared word by word ([`FlowKey::words`]). Every field holds its bytes in *network order*; a field that is
//! absent from the packet is zero, and prerequisites (`eth_type`, `nw_proto`) tell an absent field from a zero one.
//!
//! The first [`DP_WORDS`] words are what a datapath sees: packet headers, tunnel, connection state, port. The words
//! after them are the OpenFlow pipeline's own: registers, metadata. The datapath neither extracts nor
//! matches those; they are zero at table 0 and live with the recirculation state.
//!
//! A [`FlowMask`] has the same shape; a bit that is one is a bit that is looked at ("un-wildcarded").
//!
//! # Fields that share a place
//!
//! As in Open vSwitch: ARP's `spa`/`tpa` are in `nw_src`/`nw_dst` and the low byte of its opcode in `nw_proto`;
//! neighbour discovery's `sll`/`tll` are in `arp_sha`/`arp_tha`; the ICMP and ICMPv6 type and code are in the low bytes of
//! `tp_src`/`tp_dst`; an IGMP group is in `igmp_group`, and so is the reserved word of a neighbour discovery message, whose
//! last address option's type (1 or 2) is in `tcp_flags`.

use zerocopy::byteorder::network_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Number of 64-bit words of a key that the datapath extracts and matches.
pub const DP_WORDS: usize = 36;
/// Number of 64-bit words of a whole key, pipeline fields included.
pub const WORDS: usize = 46;

/// The words of a key that hold the packet's own headers, from `eth_dst` to `igmp_group`.
pub const HEADER_WORDS: std::ops::Range<usize> = 20..DP_WORDS;

/// `nw_frag`: the packet is a fragment (first or later).
pub const FRAG_ANY: u8 = 1;
/// `nw_frag`: the packet is a fragment with a non-zero offset, so it has no transport header.
pub const FRAG_LATER: u8 = 2;

/// The VLAN tag control information bit that says "a tag is present" in `vlan[n].tci` (the CFI/DEI bit on the wire).
pub const VLAN_PRESENT: u16 = 0x1000;

/// One VLAN tag as it stands in a key: zero when absent, else `tci` has [`VLAN_PRESENT`] set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct VlanTag {
    /// Tag protocol identifier: 0x8100 or 0x88a8.
    pub tpid: U16,
    /// Priority (3 bits), [`VLAN_PRESENT`], VLAN id (12 bits).
    pub tci: U16,
}

/// Every field that a lookup can look at. See the module documentation for the layout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, align(8))]
pub struct FlowKey {
    /// Recirculation id; 0 for a packet fresh from its port.
    pub recirc_id: U32,
    /// Port of arrival: a datapath port number in the datapath, an OpenFlow port number above it.
    pub in_port: U32,
    /// Hash computed by a `hash` action, else 0.
    pub dp_hash: U32,
    /// Queue chosen by `set_queue` (a Linux `skb->priority`).
    pub skb_priority: U32,
    /// Packet mark (a Linux `skb->mark`).
    pub pkt_mark: U32,
    /// Packet type, namespace in the upper half; 0 is Ethernet.
    pub packet_type: U32,
    /// Connection tracking state bits, 0 when untracked.
    pub ct_state: U32,
    /// Connection mark.
    pub ct_mark: U32,
    /// Connection tracking zone.
    pub ct_zone: U16,
    /// Source port of the connection's original direction.
    pub ct_tp_src: U16,
    /// Destination port of the connection's original direction.
    pub ct_tp_dst: U16,
    /// Protocol of the connection's original direction.
    pub ct_nw_proto: u8,
    /// Always zero.
    pub pad0: u8,
    /// Connection label.
    pub ct_label: [u8; 16],
    /// IPv4 source of the connection's original direction.
    pub ct_nw_src: U32,
    /// IPv4 destination of the connection's original direction.
    pub ct_nw_dst: U32,
    /// IPv6 source of the connection's original direction.
    pub ct_ipv6_src: [u8; 16],
    /// IPv6 destination of the connection's original direction.
    pub ct_ipv6_dst: [u8; 16],
    /// Tunnel key: VNI, GRE key, ...
    pub tun_id: U64,
    /// Outer IPv4 source.
    pub tun_src: U32,
    /// Outer IPv4 destination.
    pub tun_dst: U32,
    /// Outer IPv6 source.
    pub tun_ipv6_src: [u8; 16],
    /// Outer IPv6 destination.
    pub tun_ipv6_dst: [u8; 16],
    /// Tunnel flags (don't fragment, checksum, key, OAM).
    pub tun_flags: U16,
    /// Outer type of service.
    pub tun_tos: u8,
    /// Outer time to live.
    pub tun_ttl: u8,
    /// Outer UDP source port.
    pub tun_tp_src: U16,
    /// Outer UDP destination port.
    pub tun_tp_dst: U16,
    /// VXLAN group policy id.
    pub tun_gbp_id: U16,
    /// VXLAN group policy flags.
    pub tun_gbp_flags: u8,
    /// Always zero.
    pub pad1: [u8; 5],
    /// Ethernet destination.
    pub eth_dst: [u8; 6],
    /// Ethernet source.
    pub eth_src: [u8; 6],
    /// EtherType after all VLAN tags; 0x05ff for a frame without one (IEEE 802.3 length).
    pub eth_type: U16,
    /// Always zero.
    pub pad2: [u8; 2],
    /// VLAN tags, outermost first.
    pub vlan: [VlanTag; 2],
    /// MPLS label stack entries, outermost first.
    pub mpls_lse: [U32; 3],
    /// Always zero.
    pub pad3: U32,
    /// IPv4 source, or ARP sender protocol address.
    pub nw_src: U32,
    /// IPv4 destination, or ARP target protocol address.
    pub nw_dst: U32,
    /// IPv6 source.
    pub ipv6_src: [u8; 16],
    /// IPv6 destination.
    pub ipv6_dst: [u8; 16],
    /// IPv6 flow label (20 bits).
    pub ipv6_label: U32,
    /// [`FRAG_ANY`] | [`FRAG_LATER`].
    pub nw_frag: u8,
    /// IPv4 ToS or IPv6 traffic class: DSCP (6 bits), ECN (2 bits).
    pub nw_tos: u8,
    /// IPv4 TTL or IPv6 hop limit.
    pub nw_ttl: u8,
    /// IP protocol after extension headers, or the low byte of the ARP opcode.
    pub nw_proto: u8,
    /// Neighbour discovery target.
    pub nd_target: [u8; 16],
    /// ARP sender hardware address, or neighbour discovery source link-layer address.
    pub arp_sha: [u8; 6],
    /// ARP target hardware address, or neighbour discovery target link-layer address.
    pub arp_tha: [u8; 6],
    /// TCP flags (12 bits).
    pub tcp_flags: U16,
    /// Always zero.
    pub pad4: [u8; 2],
    /// TCP, UDP or SCTP source port; ICMP type in the low byte.
    pub tp_src: U16,
    /// TCP, UDP or SCTP destination port; ICMP code in the low byte.
    pub tp_dst: U16,
    /// IGMP group address.
    pub igmp_group: U32,
    // Pipeline fields, from here on not the datapath's.
    /// OpenFlow registers; `xreg0` is `regs[0..2]`, `xxreg0` is `regs[0..4]`, most significant first.
    pub regs: [U32; 16],
    /// OpenFlow metadata.
    pub metadata: U64,
    /// Conjunction id.
    pub conj_id: U32,
    /// Output port in the action set (OpenFlow 1.5).
    pub actset_output: U32,
}

const _: () = assert!(size_of::<FlowKey>() == WORDS * 8);
const _: () = assert!(std::mem::offset_of!(FlowKey, regs) == DP_WORDS * 8);
const _: () = assert!(std::mem::offset_of!(FlowKey, eth_dst) == HEADER_WORDS.start * 8);

impl FlowKey {
    /// The whole key as 64-bit words in host representation (fit for masking, comparing and hashing only).
    pub fn words(&self) -> &[u64; WORDS] {
        zerocopy::transmute_ref!(self)
    }

    /// The whole key as mutable 64-bit words.
    pub fn words_mut(&mut self) -> &mut [u64; WORDS] {
        zerocopy::transmute_mut!(self)
    }
}

/// Which bits of a [`FlowKey`] are looked at: a one bit is significant, a zero bit is a wildcard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct FlowMask(pub FlowKey);

impl FlowMask {
    /// The mask that looks at every bit.
    pub fn exact() -> Self {
        let mut mask = Self::default();
        mask.0.words_mut().fill(u64::MAX);
        mask
    }

    /// Un-wildcards every bit that `other` looks at.
    pub fn unite(&mut self, other: &FlowMask) {
        for (mine, theirs) in self.0.words_mut().iter_mut().zip(other.0.words()) {
            *mine |= theirs;
        }
    }

    /// `key` with every bit that this mask does not look at cleared.
    pub fn apply(&self, key: &FlowKey) -> FlowKey {
        let mut out = *key;
        for (word, mask) in out.words_mut().iter_mut().zip(self.0.words()) {
            *word &= mask;
        }
        out
    }

    /// Whether `key` and `value` agree in every bit that this mask looks at.
    pub fn matches(&self, key: &FlowKey, value: &FlowKey) -> bool {
        let pairs = key.words().iter().zip(value.words());
        pairs.zip(self.0.words()).all(|((a, b), mask)| (a ^ b) & mask == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_applies_to_every_word() {
        let mut key = FlowKey::default();
        key.words_mut().iter_mut().enumerate().for_each(|(i, w)| *w = i as u64 + 1);
        assert_eq!(FlowMask::exact().apply(&key), key);
        assert_eq!(FlowMask::default().apply(&key), FlowKey::default());
        assert!(FlowMask::default().matches(&key, &FlowKey::default()));
        assert!(!FlowMask::exact().matches(&key, &FlowKey::default()));
    }
}
