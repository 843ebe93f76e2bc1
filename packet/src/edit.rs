//! Edits: header fields set under masks, tags and labels pushed and popped, with checksums kept right.
//!
//! # Rules
//!
//! - An edit touches what is there: a field of a header that the frame does not have is left alone, silently, since
//!   whoever made the edit has looked at the key.
//! - Checksums are updated incrementally, so a wrong one stays wrong by as much and the packet's receiver still notices. What was
//!   "none" (UDP's zero) stays none.
//! - A *partial* transport checksum ([`Checksum::Partial`]) holds the sum of the pseudo-header only: it follows address
//!   changes, and port changes do not concern it.
//! - The pseudo-header of an IPv6 packet that is still being routed ([`Layers::rerouted`]) has its final destination, not the one in
//!   the header, so a new `ipv6_dst` does not change the checksum.
//! - A later fragment has no transport header. A first fragment's ports and TCP, UDP or ICMP checksums are updated
//!   like those of a whole packet (an incremental update needs no payload); SCTP's CRC needs it all, and stays.

mod l2;
mod l3;
mod l4;
mod nd;

pub use l2::{pop_mpls, pop_vlan, push_mpls, push_vlan};

use zerocopy::IntoBytes;

use crate::buffer::Packet;
use crate::checksum::{self, Sum};
use crate::key::{FlowKey, FlowMask};
use crate::offload::Checksum;
use crate::parse::{Layers, eth_type, ip_proto};

/// Sets every header field of `packet` that `mask` looks at to what `key` says. Metadata fields are ignored.
///
/// Writable are: Ethernet addresses, the tags' TCI, the outermost MPLS label stack entry, IPv4 and IPv6 addresses, ToS
/// or traffic class, TTL or hop limit, flow label; all ARP fields; ports; ICMP and ICMPv6 type and code; ND target,
/// link-layer addresses, reserved word and option type. Lengths, protocols and TCP flags are not.
pub fn apply_set(packet: &mut Packet, layers: &Layers, key: &FlowKey, mask: &FlowMask) {
    let mask = &mask.0;
    if layers.l3 == 0 || layers.end as usize > packet.len() {
        return;
    }
    if mask.eth_dst != [0; 6] || mask.eth_src != [0; 6] {
        l2::set_eth(packet.data_mut(), key, mask);
    }
    if layers.vlans != 0 {
        l2::set_vlans(packet.data_mut(), layers, key, mask);
    }
    match layers.eth_type {
        eth_type::IPV4 if layers.l4 != 0 => {
            l3::set_ipv4(packet, layers, key, mask);
            set_transport(packet, layers, key, mask);
        }
        eth_type::IPV6 if layers.l4 != 0 => {
            l3::set_ipv6(packet, layers, key, mask);
            set_transport(packet, layers, key, mask);
        }
        eth_type::ARP | eth_type::RARP => l3::set_arp(packet.data_mut(), layers, key, mask),
        eth_type::MPLS | eth_type::MPLS_MC => l2::set_mpls(packet.data_mut(), layers, key, mask),
        _ => {}
    }
}

fn set_transport(packet: &mut Packet, layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    if !layers.l4_whole {
        return;
    }
    match layers.nw_proto {
        ip_proto::TCP | ip_proto::UDP => l4::set_ports(packet, layers, key, mask),
        ip_proto::SCTP => l4::set_sctp_ports(packet, layers, key, mask),
        ip_proto::ICMP => l4::set_type_and_code(packet, layers, key, mask),
        ip_proto::ICMPV6 => {
            nd::set(packet, layers, key, mask);
            l4::set_type_and_code(packet, layers, key, mask);
        }
        _ => {}
    }
}

/// Replaces the bits of `place` that `mask` names with those of `value`; all have one length.
fn merge(place: &mut [u8], value: &[u8], mask: &[u8]) {
    for ((byte, new), mask) in place.iter_mut().zip(value).zip(mask) {
        *byte = *byte & !mask | new & mask;
    }
}

/// What part of the packet a change was made in, as far as the transport checksum sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Covered {
    /// The pseudo-header.
    Pseudo,
    /// Transport header or payload.
    Bytes,
}

/// Updates the transport checksum after a change.
fn update_transport_checksum(packet: &mut Packet, layers: &Layers, delta: Sum, covered: Covered) {
    let (offset, least) = match layers.nw_proto {
        ip_proto::TCP => (16, 20),
        ip_proto::UDP => (6, 8),
        ip_proto::ICMPV6 => (2, 4),
        ip_proto::ICMP if covered == Covered::Bytes => (2, 8),
        _ => return,
    };
    let l4 = usize::from(layers.l4);
    if layers.nw_frag & crate::key::FRAG_LATER != 0 || l4 + least > layers.end as usize {
        return;
    }
    let partial = matches!(packet.offload.checksum, Checksum::Partial { start, .. } if start == layers.l4);
    let Some(field) = packet.data_mut()[l4 + offset..].first_chunk_mut::<2>() else { return };
    let old = u16::from_be_bytes(*field);
    let is_udp = layers.nw_proto == ip_proto::UDP;
    let new = match (partial, covered) {
        (true, Covered::Bytes) => return,
        (true, Covered::Pseudo) => checksum::update_partial(old, delta),
        (false, _) if is_udp && old == 0 => return,
        (false, _) if is_udp => checksum::udp_nonzero(checksum::update(old, delta)),
        (false, _) => checksum::update(old, delta),
    };
    *field = new.to_be_bytes();
}

/// Merges into `place` (an even number of bytes at an even distance from the transport header) and updates the checksum.
fn merge_covered(packet: &mut Packet, layers: &Layers, at: usize, value: &[u8], mask: &[u8]) {
    let mut old = [0; 16];
    let old = &mut old[..value.len()];
    let place = &mut packet.data_mut()[at..at + value.len()];
    old.copy_from_slice(place);
    merge(place, value, mask);
    if old != place {
        let delta = Sum::default().replace(old, place);
        update_transport_checksum(packet, layers, delta, Covered::Bytes);
    }
}

/// Whether a field is looked at.
fn looks_at(field: &(impl IntoBytes + zerocopy::Immutable + ?Sized)) -> bool {
    field.as_bytes().iter().any(|&byte| byte != 0)
}
