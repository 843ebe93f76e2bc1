//! From a packet to its [`View`]; a packet that has none is invalid to the tracker.
//!
//! What is looked at follows Open vSwitch's userspace tracker: IP header and IPv4 header checksum; for TCP, UDP, ICMP, ICMPv6 and SCTP a
//! whole header, lengths that fit the packet, and the transport checksum; ICMP messages that are a request, a reply or an error. Other
//! protocols are known by their addresses.
//!
//! A transport checksum is summed unless the packet's [`Offload`](packet::Offload) says that it is right or not made yet, or the packet
//! is a super-frame. So a packet that goes through several zones is summed once when the caller notes [`Checksum::Verified`] after the first.
//!
//! Costs: reads what the flow key and [`Layers`] already hold, then the transport header; the sum over a packet of `n` bytes is the only thing
//! that grows with it.

mod sctp;

use packet::checksum::{self, Sum};
use packet::key::FlowKey;
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

/// Reads a packet. `layers` and the header fields of `key` are those of the packet as it stands. `checksums`: whether they are looked at at all.
pub(crate) fn view(
    packet: &Packet,
    layers: &Layers,
    key: &FlowKey,
    zone: u16,
    checksums: bool,
) -> Result<View, Bad> {
    let data = packet.data();
    let (l3, l4, end) = (usize::from(layers.l3), usize::from(layers.l4), layers.end as usize);
    if l4 == 0 || l4 > end || end > data.len() {
        return Err(Bad::NotIp);
    }
    if layers.nw_frag != 0 {
        return Err(Bad::Fragment);
    }
    let mut tuple = addresses(layers, key, zone).ok_or(Bad::NotIp)?;
    if checksums && tuple.family == 4 && checksum::of(&data[l3..l3 + header_len_v4(data[l3])]) != 0 {
        return Err(Bad::L3Checksum);
    }
    let segment = &data[l4..end];
    let is_summed = checksums && packet.offload.checksum == Checksum::Unknown && packet.offload.gso.is_none();
    if is_summed {
        check_transport(&tuple, key, segment)?;
    }
    let l4 = match layers.nw_proto {
        ip_proto::TCP => {
            ports(layers, key, &mut tuple)?;
            L4::Tcp(tcp(segment).ok_or(Bad::Short)?)
        }
        ip_proto::UDP => {
            ports(layers, key, &mut tuple)?;
            udp_length(segment)?;
            L4::Other
        }
        ip_proto::SCTP => {
            ports(layers, key, &mut tuple)?;
            L4::Sctp(sctp::view(segment).ok_or(Bad::Short)?)
        }
        ip_proto::ICMP | ip_proto::ICMPV6 => return icmp(data, layers, tuple),
        _ => L4::Other,
    };
    Ok(View { tuple, l4 })
}

/// Bytes of an IPv4 header by its first byte; [`Layers::l4`] stands behind it, so that it is there.
fn header_len_v4(first: u8) -> usize {
    usize::from(first & 0xf) * 4
}

/// The tuple without ports.
fn addresses(layers: &Layers, key: &FlowKey, zone: u16) -> Option<Tuple> {
    let (src, dst, family) = match layers.eth_type {
        eth_type::IPV4 => (mapped(key.nw_src.to_bytes()), mapped(key.nw_dst.to_bytes()), 4),
        eth_type::IPV6 => (key.ipv6_src, key.ipv6_dst, 6),
        _ => return None,
    };
    Some(Tuple { src, dst, sport: 0, dport: 0, zone, proto: layers.nw_proto, family })
}

/// An IPv4 address as tuples hold it.
pub(crate) fn mapped(v4: [u8; 4]) -> Addr {
    (u128::from(u32::from_be_bytes(v4))).to_be_bytes()
}

fn ports(layers: &Layers, key: &FlowKey, tuple: &mut Tuple) -> Result<(), Bad> {
    (tuple.sport, tuple.dport) = (key.tp_src.get(), key.tp_dst.get());
    if layers.l4_whole { Ok(()) } else { Err(Bad::Short) }
}

/// Sums what has a checksum. Lengths are looked at by others.
fn check_transport(tuple: &Tuple, key: &FlowKey, segment: &[u8]) -> Result<(), Bad> {
    let six = tuple.family == 6;
    let pseudo = || pseudo_header(six, key, tuple.proto, segment.len());
    let is_right = match tuple.proto {
        ip_proto::TCP => pseudo().bytes(segment).checksum() == 0,
        // Over IPv4 none at all is right too (RFC 768).
        ip_proto::UDP if !six && segment.get(6..8) == Some(&[0, 0]) => true,
        ip_proto::UDP => pseudo().bytes(segment).checksum() == 0,
        ip_proto::ICMP => checksum::of(segment) == 0,
        ip_proto::ICMPV6 => pseudo().bytes(segment).checksum() == 0,
        ip_proto::SCTP => checksum::sctp(segment).is_none_or(|crc| segment.get(8..12) == Some(&crc)),
        _ => true,
    };
    if is_right { Ok(()) } else { Err(Bad::L4Checksum) }
}

fn pseudo_header(six: bool, key: &FlowKey, proto: u8, len: usize) -> Sum {
    // A frame is shorter than 4 GiB.
    let len = len as u32;
    if six {
        checksum::pseudo_v6(key.ipv6_src, key.ipv6_dst, proto, len)
    } else {
        checksum::pseudo_v4(key.nw_src.to_bytes(), key.nw_dst.to_bytes(), proto, len)
    }
}

/// A UDP length that the packet holds. In a super-frame that is cut up later it may be that of one segment.
fn udp_length(segment: &[u8]) -> Result<(), Bad> {
    let len = segment.get(4..6).map_or(0, |len| usize::from(u16::from_be_bytes([len[0], len[1]])));
    if (8..=segment.len()).contains(&len) { Ok(()) } else { Err(Bad::Short) }
}

/// Reads a TCP header with its options.
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

fn icmp(data: &[u8], layers: &Layers, mut tuple: Tuple) -> Result<View, Bad> {
    let (l4, end) = (usize::from(layers.l4), layers.end as usize);
    let header: &[u8; 8] = data[l4..end].first_chunk().ok_or(Bad::Short)?;
    let six = tuple.proto == ip_proto::ICMPV6;
    if six != (tuple.family == 6) {
        return Err(Bad::IcmpType);
    }
    match icmp_kind(six, header[0], header[1]) {
        Icmp::Query => {
            tuple.sport = u16::from_be_bytes([header[4], header[5]]);
            tuple.dport = u16::from_be_bytes([header[0], header[1]]);
            Ok(View { tuple, l4: L4::Icmp(header[0]) })
        }
        Icmp::Error => {
            let (inside, inner) = related::inner(&data[..end], l4 + 8, &tuple).ok_or(Bad::Inner)?;
            Ok(View { tuple: inside.reversed(), l4: L4::Error(inner) })
        }
        Icmp::Unknown => Err(Bad::IcmpType),
    }
}
