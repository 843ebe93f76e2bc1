//! Explicit congestion notification across a tunnel (RFC 6040), the two low bits of a type-of-service byte.
//!
//! On the way in ("normal mode", 4.1) the outer header gets a copy of the inner field. On the way out (4.2, figure 4):
//!
//! | inner \ outer | Not-ECT | ECT(0) | ECT(1) | CE |
//! |---|---|---|---|---|
//! | Not-ECT | Not-ECT | Not-ECT | Not-ECT | drop |
//! | ECT(0) | ECT(0) | ECT(0) | ECT(1) | CE |
//! | ECT(1) | ECT(1) | ECT(1) | ECT(1) | CE |
//! | CE | CE | CE | CE | CE |

use packet::checksum::{self, Sum};
use packet::parse::eth_type;

/// The bits in a type-of-service or traffic-class byte.
pub const MASK: u8 = 3;
/// The sender does not understand it.
pub const NOT_ECT: u8 = 0;
/// The sender understands it, codepoint 1.
pub const ECT_1: u8 = 1;
/// The sender understands it, codepoint 0.
pub const ECT_0: u8 = 2;
/// Congestion experienced.
pub const CE: u8 = 3;

/// The outer type of service: the DSCP of `outer` and the ECN field of `inner`.
pub const fn encapsulate(outer: u8, inner: u8) -> u8 {
    outer & !MASK | inner & MASK
}

/// The inner type of service after decapsulation: its own DSCP and the ECN field of both; `None` when the packet must be
/// dropped, because a router signalled congestion to an end that would not understand.
pub const fn decapsulate(inner: u8, outer: u8) -> Option<u8> {
    let ecn = match (inner & MASK, outer & MASK) {
        (NOT_ECT, CE) => return None,
        (ECT_0, ECT_1) => ECT_1,
        (ECT_0 | ECT_1, CE) => CE,
        (own, _) => own,
    };
    Some(inner & !MASK | ecn)
}

/// The packet must be dropped (RFC 6040, 4.2): congestion was experienced by a packet whose sender does not understand it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotCapable;

/// Puts the outer type of service into the IP header of an inner frame, behind its VLAN tags; what is no IP stays as it is. An IPv4
/// header checksum is updated, one that was wrong stays wrong.
pub fn apply(frame: &mut [u8], outer: u8) -> Result<(), NotCapable> {
    if outer & MASK == NOT_ECT {
        return Ok(());
    }
    let mut at = 12;
    loop {
        let Some(kind) = frame.get(at..).and_then(<[u8]>::first_chunk::<2>) else { return Ok(()) };
        let kind = u16::from_be_bytes(*kind);
        at += 2;
        match kind {
            kind if eth_type::is_vlan(kind) => at += 2,
            eth_type::IPV4 | eth_type::IPV6 => return apply_network(&mut frame[at..], outer),
            _ => return Ok(()),
        }
    }
}

/// Does the same for a packet without an Ethernet header: IPv4 or IPv6, as its version says.
pub fn apply_network(packet: &mut [u8], outer: u8) -> Result<(), NotCapable> {
    match packet.first().map(|first| first >> 4) {
        Some(4) => {
            let Some(header) = packet.first_chunk_mut::<20>() else { return Ok(()) };
            let tos = decapsulate(header[1], outer).ok_or(NotCapable)?;
            let delta = Sum::default().replace(&header[..2], &[header[0], tos]);
            header[1] = tos;
            let check = checksum::update(u16::from_be_bytes([header[10], header[11]]), delta);
            header[10..12].copy_from_slice(&check.to_be_bytes());
        }
        Some(6) => {
            let Some(header) = packet.first_chunk_mut::<40>() else { return Ok(()) };
            let class = header[0] << 4 | header[1] >> 4;
            let class = decapsulate(class, outer).ok_or(NotCapable)?;
            header[0] = header[0] & 0xf0 | class >> 4;
            header[1] = header[1] & 0x0f | class << 4;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use frames::{Frame, L4, Net, V4};

    #[test]
    fn figure_4_of_the_rfc() {
        let expected = [
            [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None],
            [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)],
            [Some(ECT_0), Some(ECT_1), Some(ECT_0), Some(CE)],
            [Some(CE), Some(CE), Some(CE), Some(CE)],
        ];
        for inner in 0..4 {
            for outer in 0..4 {
                let want = expected[usize::from(inner)][usize::from(outer)];
                assert_eq!(decapsulate(0xb8 | inner, outer), want.map(|ecn| 0xb8 | ecn), "{inner} {outer}");
                assert_eq!(encapsulate(0x28 | outer, 0xb8 | inner), 0x28 | inner);
            }
        }
    }

    #[test]
    fn marks_reach_the_inner_header_behind_tags() {
        let l4 = L4::Udp { src: 1, dst: 2, checksum: true, payload: vec![1, 2, 3] };
        for vlans in [vec![], vec![(0x8100, 5)], vec![(0x88a8, 6), (0x8100, 5)]] {
            let v4 = V4 { tos: 0x2a, l4: l4.clone(), ..V4::default() };
            let mut bytes = Frame { vlans: vlans.clone(), ..Frame::new(Net::V4(v4)) }.build();
            apply(&mut bytes, CE).unwrap();
            frames::verify(&bytes).unwrap();
            assert_eq!(bytes[15 + 4 * vlans.len()], 0x2b);
            bytes[15 + 4 * vlans.len()] &= !MASK;
            assert_eq!(apply(&mut bytes, CE), Err(NotCapable));
        }
    }

    #[test]
    fn marks_reach_an_ipv6_header_and_nothing_else() {
        let mut packet = [0x6b, 0xa1, 0x23, 0x45, 0, 0, 59, 64].to_vec();
        packet.resize(40, 0);
        apply_network(&mut packet, CE).unwrap();
        assert_eq!(packet[..4], [0x6b, 0xb1, 0x23, 0x45]);
        let mut arp = [[0xff; 12].as_slice(), &[8, 6], &[0; 28]].concat();
        let before = arp.clone();
        apply(&mut arp, CE).unwrap();
        assert_eq!(arp, before);
        for len in 0..34 {
            apply(&mut vec![0x45; len], CE).unwrap();
            apply_network(&mut vec![0x46; len.min(19)], CE).unwrap();
        }
    }
}
