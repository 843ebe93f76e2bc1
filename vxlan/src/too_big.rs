//! Telling a sender that its packet is too big for a tunnel, so that none disappears without a word: ICMP "fragmentation needed" (RFC 792, RFC
//! 1191, 4) or ICMPv6 "packet too big" (RFC 4443, 3.2).
//!
//! The tunnel is a link of the inner network and has no address there: the message comes from the address that the packet was for, as
//! with the kernel's tunnel devices, and goes back the way that the packet came.

use packet::checksum;
use packet::key::FRAG_LATER;
use packet::parse::{Layers, eth_type, ip_proto};
use packet::{Packet, extract};

/// Most bytes of a message over IPv4 (RFC 1812, 4.3.2.3), IP header included.
const MAX_V4: usize = 576;
/// Over IPv6 (RFC 4443, 2.4 (c)); also the least MTU that an IPv6 link may have (RFC 8200, 5).
const MAX_V6: usize = 1280;
const ICMP_LEN: usize = 8;
const GROUP_BIT: u8 = 1;
/// Type of service of network control (RFC 1812, 4.3.2.5: precedence 6).
const TOS: u8 = 0xc0;
const TTL: u8 = 64;

/// The message for the sender of the inner frame `packet`, for a tunnel whose inner frames may have `inner_max` bytes, Ethernet header
/// included ([`crate::EncapError::TooBig`]).
///
/// `None` where there must be none (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)): the packet is no IP behind EtherType and VLAN tags, it is an ICMP error itself, a later
/// fragment, from or to a group or nobody. `None` also where it would not help: IPv4 without DF, and IPv6 below its least MTU; the tunnel
/// has to fragment then.
pub fn message(packet: &Packet, inner_max: usize) -> Option<Packet> {
    let frame = packet.data();
    let layers = extract(frame, 2).1;
    let mtu = inner_max.checked_sub(usize::from(layers.l3))?;
    let plain = usize::from(layers.l3) == 14 + 4 * usize::from(layers.vlans);
    if !plain || layers.l4 == 0 || layers.nw_frag & FRAG_LATER != 0 || frame[6] & GROUP_BIT != 0 {
        return None;
    }
    let ip = frame.get(usize::from(layers.l3)..layers.end as usize)?;
    let answer = match layers.eth_type {
        eth_type::IPV4 => over_ipv4(ip, frame, &layers, mtu)?,
        eth_type::IPV6 => over_ipv6(ip, frame, &layers, mtu)?,
        _ => return None,
    };
    let tags = &frame[12..usize::from(layers.l3)];
    let mut out = Packet::copy_of(&[&frame[6..12], &frame[..6], tags, &answer].concat()).ok()?;
    (out.in_port, out.mark, out.priority) = (packet.in_port, packet.mark, packet.priority);
    Some(out)
}

fn over_ipv4(ip: &[u8], frame: &[u8], layers: &Layers, mtu: usize) -> Option<Vec<u8>> {
    let header = ip.first_chunk::<20>()?;
    let [src, dst] = [12, 16].map(|at| [header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let is_host = |addr: [u8; 4]| (1..224).contains(&addr[0]);
    let is_error = |kind| matches!(kind, 3 | 4 | 5 | 11 | 12);
    let dont_fragment = header[6] & 0x40 != 0;
    if !dont_fragment || !is_host(src) || !is_host(dst) {
        return None;
    }
    if layers.nw_proto == ip_proto::ICMP
        && frame.get(usize::from(layers.l4)).is_none_or(|kind| is_error(*kind))
    {
        return None;
    }
    let quote = &ip[..ip.len().min(MAX_V4 - 20 - ICMP_LEN)];
    let [m0, m1] = u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes();
    let mut icmp = [&[3, 4, 0, 0, 0, 0, m0, m1], quote].concat();
    put_sum(&mut icmp, 2, checksum::of);
    let [l0, l1] = (20 + icmp.len() as u16).to_be_bytes();
    let mut out = vec![0x45, TOS, l0, l1, 0, 0, 0x40, 0, TTL, ip_proto::ICMP, 0, 0];
    out.extend_from_slice(&dst);
    out.extend_from_slice(&src);
    put_sum(&mut out, 10, checksum::of);
    out.extend_from_slice(&icmp);
    Some(out)
}

fn over_ipv6(ip: &[u8], frame: &[u8], layers: &Layers, mtu: usize) -> Option<Vec<u8>> {
    let header = ip.first_chunk::<40>()?;
    let half = |at: usize| <[u8; 16]>::try_from(&header[at..at + 16]).ok();
    let (src, dst) = (half(8)?, half(24)?);
    let is_host = |addr: [u8; 16]| addr[0] != 0xff && addr != [0; 16];
    if mtu < MAX_V6 || !is_host(src) || !is_host(dst) {
        return None;
    }
    if layers.nw_proto == ip_proto::ICMPV6 && frame.get(usize::from(layers.l4)).is_none_or(|kind| *kind < 128)
    {
        return None;
    }
    let quote = &ip[..ip.len().min(MAX_V6 - 40 - ICMP_LEN)];
    let mtu = u32::try_from(mtu).unwrap_or(u32::MAX).to_be_bytes();
    let mut icmp = [&[2, 0, 0, 0], &mtu[..], quote].concat();
    let len = icmp.len() as u32;
    put_sum(&mut icmp, 2, |bytes| {
        checksum::pseudo_v6(dst, src, ip_proto::ICMPV6, len).bytes(bytes).checksum()
    });
    let [l0, l1] = (len as u16).to_be_bytes();
    let mut out = vec![0x60 | TOS >> 4, 0, 0, 0, l0, l1, ip_proto::ICMPV6, TTL];
    out.extend_from_slice(&dst);
    out.extend_from_slice(&src);
    out.extend_from_slice(&icmp);
    Some(out)
}

/// Writes the checksum of `bytes` at `at`, where they are zero.
fn put_sum(bytes: &mut [u8], at: usize, sum: impl Fn(&[u8]) -> u16) {
    let check = sum(bytes).to_be_bytes();
    bytes[at..at + 2].copy_from_slice(&check);
}

#[cfg(test)]
mod tests {
    use super::*;
    use frames::{Frame, L4, Net, V4, V6};
    use proptest::prelude::*;

    const DF: u16 = 0x4000;

    fn udp(payload: usize) -> L4 {
        L4::Udp { src: 7, dst: 8, checksum: true, payload: vec![5; payload] }
    }

    fn v4(l4: L4) -> V4 {
        V4 { frag: DF, l4, ..V4::default() }
    }

    fn v6(l4: L4) -> V6 {
        V6 { src: [1; 16], dst: [2; 16], class: 0, label: 0, hops: 9, extensions: Vec::new(), l4 }
    }

    fn of(net: Net, inner_max: usize) -> Option<Packet> {
        let answer = message(&Packet::copy_of(&Frame::new(net).build()).unwrap(), inner_max)?;
        frames::verify(answer.data()).unwrap();
        Some(answer)
    }

    #[test]
    fn fragmentation_needed() {
        for vlans in [vec![], vec![(0x8100, 5)], vec![(0x88a8, 6), (0x8100, 5)]] {
            let tags = 4 * vlans.len();
            let frame = Frame { vlans, ..Frame::new(Net::V4(v4(udp(1472)))) };
            let bytes = frame.build();
            let answer = message(&Packet::copy_of(&bytes).unwrap(), 1464).unwrap();
            frames::verify(answer.data()).unwrap();
            let answer = answer.data();
            assert_eq!((&answer[..6], &answer[6..12]), (&frame.src[..], &frame.dst[..]));
            assert_eq!(answer[12..14 + tags], bytes[12..14 + tags]);
            let ip = &answer[14 + tags..];
            assert_eq!((ip.len(), &ip[12..20]), (576, &[10, 0, 0, 2, 10, 0, 0, 1][..]));
            assert_eq!(
                (&ip[20..22], u16::from_be_bytes([ip[26], ip[27]])),
                (&[3, 4][..], 1450 - tags as u16)
            );
            assert_eq!(ip[28..], bytes[14 + tags..][..548]);
        }
    }

    #[test]
    fn packet_too_big() {
        let answer = of(Net::V6(v6(udp(1452))), 1444).unwrap();
        let ip = &answer.data()[14..];
        assert_eq!((ip.len(), &ip[8..24], &ip[24..40]), (1280, &[2; 16][..], &[1; 16][..]));
        assert_eq!(ip[40..42], [2, 0]);
        assert_eq!(ip[44..48], 1430u32.to_be_bytes());
        assert!(of(Net::V6(v6(udp(1452))), 14 + 1280).is_some());
        assert!(of(Net::V6(v6(udp(1452))), 14 + 1279).is_none());
    }

    #[test]
    fn where_there_must_be_none() {
        let icmp = |kind| L4::Icmp { kind, code: 0, body: vec![0; 1404] };
        assert!(of(Net::V4(v4(icmp(8))), 1000).is_some());
        assert!(of(Net::V4(v4(icmp(3))), 1000).is_none());
        assert!(of(Net::V4(V4 { frag: 0, ..v4(udp(1400)) }), 1000).is_none());
        assert!(of(Net::V4(V4 { frag: DF | 9, ..v4(udp(1400)) }), 1000).is_none());
        assert!(of(Net::V4(V4 { dst: [224, 0, 0, 1], ..v4(udp(1400)) }), 1000).is_none());
        assert!(of(Net::V4(V4 { src: [0; 4], ..v4(udp(1400)) }), 1000).is_none());
        assert!(of(Net::V6(v6(icmp(128))), 1400).is_some());
        assert!(of(Net::V6(v6(icmp(1))), 1400).is_none());
        assert!(of(Net::V6(V6 { dst: [0xff; 16], ..v6(udp(1400)) }), 1400).is_none());
        assert!(of(Net::Raw { ether_type: 0x88cc, bytes: vec![0; 1500] }, 1400).is_none());
        assert!(
            message(
                &Packet::copy_of(&Frame { snap: true, ..Frame::new(Net::V4(v4(udp(1400)))) }.build())
                    .unwrap(),
                1000
            )
            .is_none()
        );
        let group = Frame { src: [1; 6], ..Frame::new(Net::V4(v4(udp(1400)))) };
        assert!(message(&Packet::copy_of(&group.build()).unwrap(), 1000).is_none());
    }

    proptest! {
        #[test]
        fn any_frame_is_survived(seed in any::<u64>(), inner_max in 0usize..2000) {
            let mut rng = frames::Rng::new(seed);
            let mut bytes = frames::random::frame(&mut rng).build();
            frames::random::spoil(&mut rng, &mut bytes);
            if let Some(answer) = message(&Packet::copy_of(&bytes).unwrap(), inner_max) {
                frames::verify(answer.data()).unwrap();
                prop_assert!(message(&answer, inner_max).is_none());
            }
        }
    }
}
