//! Ports, ICMP type and code.

use zerocopy::IntoBytes;

use super::{looks_at, merge, merge_covered};
use crate::buffer::Packet;
use crate::checksum;
use crate::key::FlowKey;
use crate::offload::Checksum;
use crate::parse::Layers;

/// Source and destination port as they stand in the first four bytes of a header.
fn ports_of(fields: &FlowKey) -> [u8; 4] {
    let ([s0, s1], [d0, d1]) = (fields.tp_src.to_bytes(), fields.tp_dst.to_bytes());
    [s0, s1, d0, d1]
}

pub(super) fn set_ports(packet: &mut Packet, layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    let mask = ports_of(mask);
    if looks_at(&mask) {
        merge_covered(packet, layers, usize::from(layers.l4), &ports_of(key), &mask);
    }
}

/// Sets ports of an SCTP packet. Its CRC is linear, so the difference between the right one before and the right one
/// after goes on top of whatever was there: a wrong one stays wrong.
pub(super) fn set_sctp_ports(packet: &mut Packet, layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    let mask = ports_of(mask);
    if !looks_at(&mask) {
        return;
    }
    let partial = matches!(packet.offload.checksum, Checksum::Partial { start, .. } if start == layers.l4);
    let segment = &mut packet.data_mut()[usize::from(layers.l4)..layers.end as usize];
    if partial || layers.nw_frag != 0 {
        merge(&mut segment[..4], &ports_of(key), &mask);
        return;
    }
    let before = checksum::sctp(segment);
    merge(&mut segment[..4], &ports_of(key), &mask);
    if let (Some(before), Some(after)) = (before, checksum::sctp(segment)) {
        for (i, byte) in segment[8..12].iter_mut().enumerate() {
            *byte ^= before[i] ^ after[i];
        }
    }
}

pub(super) fn set_type_and_code(packet: &mut Packet, layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    let low_bytes = |fields: &FlowKey| [fields.tp_src.as_bytes()[1], fields.tp_dst.as_bytes()[1]];
    let mask = low_bytes(mask);
    if looks_at(&mask) {
        merge_covered(packet, layers, usize::from(layers.l4), &low_bytes(key), &mask);
    }
}
