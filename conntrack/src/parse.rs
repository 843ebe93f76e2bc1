//! From a packet to its [`View`]; a packet that has none is invalid to the tracker.
//!
//! What is looked at follows Open vSwitch's userspace tracker: IP header and IPv4 header checksum; for TCP, UDP, ICMP, ICMPv6 and SCTP a
//! whole header, lengths that fit the packet, and the transport checksum; ICMP messages that are a request, a reply or an error. Other
//! protocols are known by their addresses.
//!
//! A transport checksum is summed unless the packet's [`Offload`](packet::Offload) says that it is right or not made yet, or the packet
//! is a super-frame. One that was found right is noted as [`Checksum::Verified`]: edits keep it right, and the packet's next `ct()` has
//! nothing to sum.
//!
//! Costs: reads what the flow key and [`Layers`] already hold, then the transport header; the sum over a packet of `n` bytes is the only thing
//! that grows with it.

mod sctp;

use packet::checksum::{self, Sum};
use packet::parse::{Layers, eth_type, ip_proto};
use packet::{Checksum, Packet};

use crate::related;
use crate::tuple::{Addr, Tuple};
use crate::view::{L4, TcpView, View};

/// Why a packet has no view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bad {
    /// Neither IPv4 nor IPv6, or its header does not fit the frame.
    NotIp,
    /// A fragment.
    Fragment,
    /// Headers are cut off, or their lengths contradict each other.
    Short,
    /// The IPv4 header checksum is wrong.
    L3Checksum,
    /// The transport checksum is wrong.
    L4Checksum,
    /// An ICMP message that is neither request nor reply nor error, or has a code it must not have.
    IcmpType,
    /// The packet inside an ICMP error is cut off, a fragment, or was not sent by the one who is told.
    Inner,
}

/// Reads a packet into `view`, which is worth something only if there is no error. `layers` are those of the packet as it stands.
/// (A view that is returned by value is copied several times over.)
pub(crate) fn view(packet: &mut Packet, layers: &Layers, zone: u16, view: &mut View) -> Result<(), Bad> {
    let is_summed = packet.offload.checksum == Checksum::Unknown && packet.offload.gso.is_none();
    addresses(packet.data(), layers, zone, &mut view.tuple)?;
    read(packet.data(), layers, is_summed, view)?;
    if is_summed && has_checksum(layers.nw_proto) {
        packet.offload.checksum = Checksum::Verified;
    }
    Ok(())
}

/// Whether packets of a protocol have a header and a checksum that are looked at.
fn has_checksum(proto: u8) -> bool {
    matches!(proto, ip_proto::TCP | ip_proto::UDP | ip_proto::ICMP | ip_proto::ICMPV6 | ip_proto::SCTP)
}

/// Reads what is behind the addresses, which are in the view.
fn read(data: &[u8], layers: &Layers, is_summed: bool, view: &mut View) -> Result<(), Bad> {
    let (l3, l4, end) = (usize::from(layers.l3), usize::from(layers.l4), layers.end as usize);
    let (Some(header), Some(segment)) = (data.get(l3..l4), data.get(l4..end)) else {
        return Err(Bad::NotIp);
    };
    let tuple = &mut view.tuple;
    if tuple.family == 4 && checksum::of(header) != 0 {
        return Err(Bad::L3Checksum);
    }
    if has_checksum(tuple.proto) && !layers.l4_whole {
        return Err(Bad::Short);
    }
    if is_summed {
        check_transport(tuple, segment)?;
    }
    if matches!(tuple.proto, ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP) {
        let ports: &[u8; 4] = segment.first_chunk().ok_or(Bad::Short)?;
        tuple.sport = u16::from_be_bytes([ports[0], ports[1]]);
        tuple.dport = u16::from_be_bytes([ports[2], ports[3]]);
    }
    view.l4 = match tuple.proto {
        ip_proto::TCP => L4::Tcp(tcp(segment).ok_or(Bad::Short)?),
        ip_proto::UDP => udp_length(segment)?,
        ip_proto::SCTP => L4::Sctp(sctp::view(segment).ok_or(Bad::Short)?),
        ip_proto::ICMP | ip_proto::ICMPV6 => icmp(&data[..end], l4, tuple)?,
        _ => L4::Other,
    };
    Ok(())
}

/// The tuple without ports. Addresses are read from the packet: its flow key may be older than its last change.
fn addresses(data: &[u8], layers: &Layers, zone: u16, tuple: &mut Tuple) -> Result<(), Bad> {
    if layers.l4 == 0 {
        return Err(Bad::NotIp);
    }
    if layers.nw_frag != 0 {
        return Err(Bad::Fragment);
    }
    let header = data.get(usize::from(layers.l3)..).ok_or(Bad::NotIp)?;
    match layers.eth_type {
        eth_type::IPV4 => {
            let ip: &[u8; 20] = header.first_chunk().ok_or(Bad::NotIp)?;
            tuple.src = mapped([ip[12], ip[13], ip[14], ip[15]]);
            tuple.dst = mapped([ip[16], ip[17], ip[18], ip[19]]);
            tuple.family = 4;
        }
        eth_type::IPV6 => {
            let ip: &[u8; 40] = header.first_chunk().ok_or(Bad::NotIp)?;
            tuple.src.copy_from_slice(&ip[8..24]);
            tuple.dst.copy_from_slice(&ip[24..]);
            tuple.family = 6;
        }
        _ => return Err(Bad::NotIp),
    }
    (tuple.sport, tuple.dport, tuple.zone, tuple.proto) = (0, 0, zone, layers.nw_proto);
    Ok(())
}

/// An IPv4 address as tuples hold it.
pub(crate) fn mapped(v4: [u8; 4]) -> Addr {
    (u128::from(u32::from_be_bytes(v4))).to_be_bytes()
}

/// Sums what has a checksum. Lengths are looked at by others.
fn check_transport(tuple: &Tuple, segment: &[u8]) -> Result<(), Bad> {
    let six = tuple.family == 6;
    let pseudo = || pseudo_header(tuple, segment.len());
    let is_right = match tuple.proto {
        ip_proto::TCP => pseudo().bytes(segment).checksum() == 0,
        // Over IPv4 none at all is right too (RFC 768).
        ip_proto::UDP if !six && segment.get(6..8) == Some(&[0, 0]) => true,
        ip_proto::UDP => pseudo().bytes(segment).checksum() == 0,
        ip_proto::ICMP if !six => checksum::of(segment) == 0,
        ip_proto::ICMPV6 if six => pseudo().bytes(segment).checksum() == 0,
        ip_proto::SCTP => checksum::sctp(segment).is_none_or(|crc| segment.get(8..12) == Some(&crc)),
        _ => true,
    };
    if is_right { Ok(()) } else { Err(Bad::L4Checksum) }
}

fn pseudo_header(tuple: &Tuple, len: usize) -> Sum {
    // A frame is shorter than 4 GiB.
    let len = len as u32;
    if tuple.family == 6 {
        checksum::pseudo_v6(tuple.src, tuple.dst, tuple.proto, len)
    } else {
        let v4 = |addr: &Addr| [addr[12], addr[13], addr[14], addr[15]];
        checksum::pseudo_v4(v4(&tuple.src), v4(&tuple.dst), tuple.proto, len)
    }
}

/// A UDP length that the packet holds. In a super-frame that is cut up later it may be that of one segment.
fn udp_length(segment: &[u8]) -> Result<L4, Bad> {
    let len = segment.get(4..6).map_or(0, |len| usize::from(u16::from_be_bytes([len[0], len[1]])));
    if (8..=segment.len()).contains(&len) { Ok(L4::Other) } else { Err(Bad::Short) }
}

/// Reads a TCP header with its options.
#[inline(always)]
fn tcp(segment: &[u8]) -> Option<TcpView> {
    let header: &[u8; 20] = segment.first_chunk()?;
    let header_len = usize::from(header[12] >> 4) * 4;
    let options = segment.get(20..header_len)?;
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let flags = header[13];
    Some(TcpView {
        seq: word(4),
        ack: word(8),
        flags,
        window: u16::from_be_bytes([header[14], header[15]]),
        // Means something in a SYN only (RFC 7323, 2.2).
        wscale: if flags & 2 != 0 { window_scale(options) } else { None },
        payload: (segment.len() - header_len) as u32,
    })
}

/// The shift of the window scale option.
fn window_scale(mut options: &[u8]) -> Option<u8> {
    const END: u8 = 0;
    const NOP: u8 = 1;
    const SCALE: u8 = 3;
    while let [kind, rest @ ..] = options {
        options = match *kind {
            END => return None,
            NOP => rest,
            kind => {
                let len = usize::from(*rest.first()?);
                if kind == SCALE && len == 3 {
                    return rest.get(1).copied();
                }
                options.get(len.max(2)..)?
            }
        };
    }
    None
}

/// Which ICMP or ICMPv6 messages the tracker knows.
pub(crate) enum Icmp {
    /// Request or reply; has an identifier.
    Query,
    /// Error; has the packet inside.
    Error,
    /// Everything else.
    Unknown,
}

/// Sorts a message (RFC 792, RFC 950, RFC 4443). Requests and replies have no codes.
pub(crate) fn icmp_kind(six: bool, kind: u8, code: u8) -> Icmp {
    match (six, kind) {
        (false, 0 | 8 | 13..=16) | (true, 128 | 129) if code == 0 => Icmp::Query,
        (false, 3 | 4 | 5 | 11 | 12) | (true, 1..=4) => Icmp::Error,
        _ => Icmp::Unknown,
    }
}

/// Reads the ICMP or ICMPv6 message at `l4` of `data`, which ends with it. An error changes the tuple to that of what it holds, reversed.
fn icmp(data: &[u8], l4: usize, tuple: &mut Tuple) -> Result<L4, Bad> {
    let header: &[u8; 8] = data[l4..].first_chunk().ok_or(Bad::Short)?;
    let six = tuple.proto == ip_proto::ICMPV6;
    if six != (tuple.family == 6) {
        return Err(Bad::IcmpType);
    }
    match icmp_kind(six, header[0], header[1]) {
        Icmp::Query => {
            tuple.sport = u16::from_be_bytes([header[4], header[5]]);
            tuple.dport = u16::from_be_bytes([header[0], header[1]]);
            Ok(L4::Icmp(header[0]))
        }
        Icmp::Error => {
            let (inside, inner) = related::inner(data, l4 + 8, tuple).ok_or(Bad::Inner)?;
            *tuple = inside.reversed();
            Ok(L4::Error(inner))
        }
        Icmp::Unknown => Err(Bad::IcmpType),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frames::{Extension, Frame, Net, Rng, V4, V6};
    use packet::{Gso, GsoKind};

    fn tcp(payload: usize) -> frames::L4 {
        frames::L4::Tcp { src: 1, dst: 2, flags: 0x10, options: vec![], payload: vec![7; payload] }
    }

    fn packet(net: Net) -> Packet {
        Packet::copy_of(&Frame { vlans: vec![(0x8100, 5)], ..Frame::new(net) }.build()).unwrap()
    }

    fn v4(l4: frames::L4) -> Net {
        Net::V4(V4 { l4, ..V4::default() })
    }

    fn view_of(packet: &mut Packet) -> Result<View, Bad> {
        let (_, layers) = packet::extract(packet.data(), 2);
        let mut read = View::default();
        view(packet, &layers, 9, &mut read).map(|()| read)
    }

    #[test]
    fn a_segment_is_read_and_summed_once() {
        let mut packet = packet(v4(tcp(100)));
        let view = view_of(&mut packet).unwrap();
        let expected = Tuple {
            src: mapped([10, 0, 0, 1]),
            dst: mapped([10, 0, 0, 2]),
            sport: 1,
            dport: 2,
            zone: 9,
            proto: 6,
            family: 4,
        };
        assert_eq!(view.tuple, expected);
        assert!(matches!(view.l4, L4::Tcp(TcpView { payload: 100, flags: 0x10, .. })));
        assert_eq!(packet.offload.checksum, Checksum::Verified);
        let last = packet.len() - 1;
        packet.data_mut()[last] ^= 1;
        assert!(view_of(&mut packet).is_ok());
        packet.offload.checksum = Checksum::Unknown;
        assert_eq!(view_of(&mut packet), Err(Bad::L4Checksum));
        assert_eq!(packet.offload.checksum, Checksum::Unknown);
    }

    #[test]
    fn what_is_not_summed_yet_is_not_summed_here() {
        let mut large = packet(v4(tcp(60_000)));
        large.data_mut()[18 + 20 + 16] ^= 0xff;
        assert_eq!(view_of(&mut large), Err(Bad::L4Checksum));
        large.offload.gso = Some(Gso { kind: GsoKind::Tcp4, ecn: false, size: 1400, hdr_len: 58 });
        assert!(view_of(&mut large).is_ok());
        assert_eq!(large.offload.checksum, Checksum::Unknown);
        large.offload.gso = None;
        large.offload.checksum = Checksum::Partial { start: 38, offset: 16 };
        assert!(view_of(&mut large).is_ok());
        assert_eq!(large.offload.checksum, Checksum::Partial { start: 38, offset: 16 });
    }

    #[test]
    fn what_is_no_whole_packet_is_bad() {
        let fragment = V4 { frag: 0x2000, l4: tcp(8), ..V4::default() };
        assert_eq!(view_of(&mut packet(Net::V4(fragment))), Err(Bad::Fragment));
        let mut cut = packet(v4(frames::L4::Raw { proto: 6, bytes: vec![0; 19] }));
        cut.offload.checksum = Checksum::Verified;
        assert_eq!(view_of(&mut cut), Err(Bad::Short));
        let arp = Net::Raw { ether_type: 0x0806, bytes: vec![0; 28] };
        assert_eq!(view_of(&mut packet(arp)), Err(Bad::NotIp));
        let mut header = packet(v4(tcp(0)));
        header.data_mut()[18 + 8] ^= 1;
        assert_eq!(view_of(&mut header), Err(Bad::L3Checksum));
    }

    #[test]
    fn the_scale_option_is_found() {
        assert_eq!(window_scale(&[1, 2, 4, 5, 0xb4, 3, 3, 7]), Some(7));
        for none in [&[][..], &[0, 3, 3, 7], &[3, 3], &[3], &[3, 4, 7, 1], &[2, 0], &[1; 40]] {
            assert_eq!(window_scale(none), None, "{none:?}");
        }
        // A length of 0 or 1 counts as the two bytes that it has.
        assert_eq!(window_scale(&[2, 0, 3, 3, 9]), Some(9));
    }

    #[test]
    fn agrees_with_an_independent_judge_on_checksums() {
        let mut rng = Rng::new(11);
        let (mut good, mut bad) = (0, 0);
        for _ in 0..20_000 {
            let mut frame = frames::random::frame(&mut rng).build();
            if rng.one_in(2) {
                let at = rng.below(frame.len());
                frame[at] ^= 1 << rng.below(8);
            }
            let said = view_of(&mut Packet::copy_of(&frame).unwrap());
            match (said, frames::verify(&frame)) {
                (Ok(_), Ok(())) => good += 1,
                (Err(Bad::L3Checksum | Bad::L4Checksum), Err(_)) => bad += 1,
                (Err(Bad::L3Checksum | Bad::L4Checksum), Ok(())) if !is_judged_otherwise(&frame) => {
                    panic!("{frame:02x?}")
                }
                _ => {}
            }
        }
        assert!(good > 2000 && bad > 1000, "{good} good, {bad} bad");
    }

    /// As Open vSwitch, and unlike the judge: with segments left the sum is over the address in the header, and UDP over IPv6 has a
    /// checksum (RFC 8200, 8.1).
    fn is_judged_otherwise(frame: &[u8]) -> bool {
        let (key, layers) = packet::extract(frame, 2);
        let udp = &frame[usize::from(layers.l4)..];
        layers.rerouted
            || key.eth_type.get() == 0x86dd && key.nw_proto == 17 && udp.get(6..8) == Some(&[0, 0])
    }

    #[test]
    fn a_routing_header_with_segments_left_is_not_right() {
        let extensions = vec![Extension::Routing { address: [9; 16], left: true }];
        let v6 = V6 { src: [1; 16], dst: [2; 16], class: 0, label: 0, hops: 64, extensions, l4: tcp(3) };
        assert_eq!(view_of(&mut packet(Net::V6(v6))), Err(Bad::L4Checksum));
    }
}
