//! IPv4, IPv6, ARP.

use zerocopy::IntoBytes;

use super::{Covered, merge, update_transport_checksum};
use crate::buffer::Packet;
use crate::checksum::{self, Sum};
use crate::key::FlowKey;
use crate::parse::Layers;

pub(super) fn set_ipv4(packet: &mut Packet, layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    let at = usize::from(layers.l3);
    let Some(header) = packet.data_mut()[at..].first_chunk_mut::<20>() else { return };
    let old = *header;
    merge(&mut header[1..2], &[key.nw_tos], &[mask.nw_tos]);
    merge(&mut header[8..9], &[key.nw_ttl], &[mask.nw_ttl]);
    merge(&mut header[12..16], key.nw_src.as_bytes(), mask.nw_src.as_bytes());
    merge(&mut header[16..20], key.nw_dst.as_bytes(), mask.nw_dst.as_bytes());
    if *header == old {
        return;
    }
    let addresses = Sum::default().replace(&old[12..20], &header[12..20]);
    let delta = addresses.replace(&old[..10], &header[..10]);
    let check = checksum::update(u16::from_be_bytes([old[10], old[11]]), delta);
    header[10..12].copy_from_slice(&check.to_be_bytes());
    if header[12..20] != old[12..20] {
        update_transport_checksum(packet, layers, addresses, Covered::Pseudo);
    }
}

pub(super) fn set_ipv6(packet: &mut Packet, layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    let at = usize::from(layers.l3);
    let Some(header) = packet.data_mut()[at..].first_chunk_mut::<40>() else { return };
    let old = *header;
    let first_word = |fields: &FlowKey| {
        (u32::from(fields.nw_tos) << 20 | fields.ipv6_label.get() & 0xf_ffff).to_be_bytes()
    };
    merge(&mut header[..4], &first_word(key), &first_word(mask));
    merge(&mut header[7..8], &[key.nw_ttl], &[mask.nw_ttl]);
    merge(&mut header[8..24], &key.ipv6_src, &mask.ipv6_src);
    merge(&mut header[24..40], &key.ipv6_dst, &mask.ipv6_dst);
    let end = if layers.rerouted { 24 } else { 40 };
    if header[8..end] != old[8..end] {
        let delta = Sum::default().replace(&old[8..end], &header[8..end]);
        update_transport_checksum(packet, layers, delta, Covered::Pseudo);
    }
}

pub(super) fn set_arp(frame: &mut [u8], layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    let Some(arp) = frame[usize::from(layers.l3)..].first_chunk_mut::<28>() else { return };
    if arp[..6] != [0, 1, 8, 0, 6, 4] {
        return;
    }
    // Only the low byte of the opcode is in keys; the high one stays as it is.
    merge(&mut arp[7..8], &[key.nw_proto], &[mask.nw_proto]);
    merge(&mut arp[8..14], &key.arp_sha, &mask.arp_sha);
    merge(&mut arp[14..18], key.nw_src.as_bytes(), mask.nw_src.as_bytes());
    merge(&mut arp[18..24], &key.arp_tha, &mask.arp_tha);
    merge(&mut arp[24..28], key.nw_dst.as_bytes(), mask.nw_dst.as_bytes());
}
