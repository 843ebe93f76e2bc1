//! Ethernet, VLAN tags, MPLS labels.

use zerocopy::IntoBytes;

use super::merge;
use crate::buffer::{Packet, TooLong};
use crate::key::{FlowKey, VLAN_PRESENT};
use crate::parse::{ETH_LEN, Layers, eth_type};

pub(super) fn set_eth(frame: &mut [u8], key: &FlowKey, mask: &FlowKey) {
    merge(&mut frame[..6], &key.eth_dst, &mask.eth_dst);
    merge(&mut frame[6..12], &key.eth_src, &mask.eth_src);
}

/// Sets priority and VLAN id; the wire's DEI bit, which keys do not have, stays.
pub(super) fn set_vlans(frame: &mut [u8], layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    for index in 0..usize::from(layers.vlans) {
        let wanted = mask.vlan[index].tci.get() & !VLAN_PRESENT;
        if wanted != 0 {
            let at = ETH_LEN + 4 * index;
            let mask = wanted.to_be_bytes();
            merge(&mut frame[at..at + 2], key.vlan[index].tci.as_bytes(), &mask);
        }
    }
}

pub(super) fn set_mpls(frame: &mut [u8], layers: &Layers, key: &FlowKey, mask: &FlowKey) {
    let at = usize::from(layers.mpls);
    // A label stack may be announced and cut off.
    if let Some(place) = frame.get_mut(at..at + 4) {
        merge(place, key.mpls_lse[0].as_bytes(), mask.mpls_lse[0].as_bytes());
    }
}

/// Opens a gap of `N` bytes at `at`, moving what is before it to the front.
fn insert<const N: usize>(packet: &mut Packet, at: usize, bytes: [u8; N]) -> Result<(), TooLong> {
    let frame = packet.push_front(N)?;
    frame.copy_within(N..N + at, 0);
    frame[at..at + N].copy_from_slice(&bytes);
    Ok(())
}

/// Closes a gap of `n` bytes at `at`.
fn remove(packet: &mut Packet, at: usize, n: usize) {
    packet.data_mut().copy_within(..at, n);
    packet.pull_front(n);
}

/// Inserts a VLAN tag outside all others. Nothing happens to a frame without an Ethernet header.
pub fn push_vlan(packet: &mut Packet, layers: &mut Layers, tpid: u16, tci: u16) -> Result<(), TooLong> {
    if layers.l3 == 0 {
        return Ok(());
    }
    let [t0, t1] = tpid.to_be_bytes();
    let [c0, c1] = (tci & !VLAN_PRESENT).to_be_bytes();
    insert(packet, 12, [t0, t1, c0, c1])?;
    layers.shift(4);
    layers.vlans = (layers.vlans + 1).min(2);
    Ok(())
}

/// Removes the outermost VLAN tag, if there is one.
pub fn pop_vlan(packet: &mut Packet, layers: &mut Layers) {
    let tagged = |frame: &[u8]| {
        frame.len() >= ETH_LEN + 4 && eth_type::is_vlan(u16::from_be_bytes([frame[12], frame[13]]))
    };
    if !tagged(packet.data()) {
        return;
    }
    remove(packet, 12, 4);
    if layers.vlans == 0 {
        // The tag was beyond the limit on tags, so nothing behind it is known.
        *layers = crate::parse::extract(packet.data(), 0).1;
        return;
    }
    layers.shift(-4);
    layers.vlans -= 1;
}

/// Inserts an MPLS label stack entry outside all others and sets the EtherType.
pub fn push_mpls(packet: &mut Packet, layers: &mut Layers, lse: u32, ethertype: u16) -> Result<(), TooLong> {
    if layers.l3 == 0 {
        return Ok(());
    }
    let at = if layers.mpls != 0 { layers.mpls } else { layers.l3 };
    insert(packet, usize::from(at), lse.to_be_bytes())?;
    layers.shift(4);
    layers.mpls = at;
    set_ether_type(packet.data_mut(), layers, at, ethertype);
    Ok(())
}

/// Removes the outermost MPLS label stack entry, if there is one, and sets the EtherType to that of what is inside.
pub fn pop_mpls(packet: &mut Packet, layers: &mut Layers, ethertype: u16) {
    let at = layers.mpls;
    if at == 0 || !eth_type::is_mpls(layers.eth_type) || packet.len() < usize::from(at) + 4 {
        return;
    }
    remove(packet, usize::from(at), 4);
    layers.shift(-4);
    layers.mpls = if eth_type::is_mpls(ethertype) { at } else { 0 };
    set_ether_type(packet.data_mut(), layers, at, ethertype);
}

/// Sets the EtherType, which is the two bytes before the label stack or network header at `at`.
fn set_ether_type(frame: &mut [u8], layers: &mut Layers, at: u16, ethertype: u16) {
    let at = usize::from(at);
    frame[at - 2..at].copy_from_slice(&ethertype.to_be_bytes());
    layers.eth_type = ethertype;
}
