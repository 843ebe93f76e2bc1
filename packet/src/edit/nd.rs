//! Neighbour discovery: target, link-layer address options, reserved word (RFC 4861, 4.3, 4.4, 4.6).

use zerocopy::IntoBytes;

use super::{looks_at, merge_covered};
use crate::buffer::Packet;
use crate::key::FlowKey;
use crate::parse::{Layers, is_nd};

const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;

/// Sets what `mask` looks at in a neighbour solicitation or advertisement; does nothing to other messages.
pub(super) fn set(packet: &mut Packet, layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    let nd_fields = (&mask.nd_target, &mask.arp_sha, &mask.arp_tha, &mask.igmp_group, &mask.tcp_flags);
    let (target, sll, tll, reserved, kind) = nd_fields;
    if !(looks_at(target) || looks_at(sll) || looks_at(tll) || looks_at(reserved) || looks_at(kind)) {
        return;
    }
    let at = usize::from(layers.l4);
    let message = &packet.data()[at..layers.end as usize];
    if !is_nd(message[0], message[1]) {
        return;
    }
    if looks_at(reserved) {
        merge_covered(packet, layers, at + 4, key.igmp_group.as_bytes(), reserved.as_bytes());
    }
    if message_len(packet, layers) < 24 {
        return;
    }
    if looks_at(target) {
        merge_covered(packet, layers, at + 8, &key.nd_target, target);
    }
    set_addresses(packet, layers, key, mask);
    if looks_at(kind) {
        set_option_kind(packet, layers, key, mask);
    }
}

fn message_len(packet: &Packet, layers: &Layers) -> usize {
    packet.data()[usize::from(layers.l4)..layers.end as usize].len()
}

fn set_addresses(packet: &mut Packet, layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    let fields =
        [(SOURCE_ADDRESS, &key.arp_sha, &mask.arp_sha), (TARGET_ADDRESS, &key.arp_tha, &mask.arp_tha)];
    for (kind, value, mask) in fields {
        if !looks_at(mask) {
            continue;
        }
        if let Some(at) = find_option(packet, layers, |found| found == kind) {
            merge_covered(packet, layers, at + 2, value, mask);
        }
    }
}

/// Sets the type of the last address option, which is the one the key shows.
fn set_option_kind(packet: &mut Packet, layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    let kinds = [TARGET_ADDRESS, SOURCE_ADDRESS];
    let found = kinds.map(|kind| find_option(packet, layers, |found| found == kind));
    if let Some(at) = found.into_iter().flatten().max() {
        let low = |fields: &FlowKey| fields.tcp_flags.as_bytes()[1];
        merge_covered(packet, layers, at, &[low(key), 0], &[low(mask), 0]);
    }
}

/// Offset in the frame of the first address option (8 bytes) whose type is wanted.
fn find_option(packet: &Packet, layers: &Layers, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let end = layers.end as usize;
    let mut at = usize::from(layers.l4) + 24;
    let frame = packet.data();
    while at + 8 <= end {
        let len = usize::from(frame[at + 1]) * 8;
        if len == 8 && wanted(frame[at]) {
            return Some(at);
        }
        if len == 0 {
            break;
        }
        at += len;
    }
    None
}
