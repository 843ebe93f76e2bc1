//! Doing in software what a port cannot: completing partial checksums, cutting super-frames into segments.
//!
//! [`fit`] is what a port calls with what it can do ([`Caps`]). A segment is the super-frame's headers, VLAN tags and MPLS
//! labels included, and a slice of its payload, with
//!
//! - IPv4: total length; identification counted up from the first; header checksum. IPv6: payload length;
//! - TCP: sequence number; FIN and PSH on the last segment only; CWR on the first only (RFC 3168, 6.1.2);
//! - UDP: length;
//! - the transport checksum, complete, or partial again when the port can complete it.

use thiserror::Error;

use crate::buffer::Packet;
use crate::checksum::{self, Sum};
use crate::offload::{Checksum, Gso, GsoKind, Offload};
use crate::parse::{eth_type, ip_proto};

/// What a port can take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Caps {
    /// Partial checksums (of TCP and UDP; SCTP's CRC is always completed here).
    pub checksum: bool,
    /// TCP super-frames over IPv4.
    pub tso4: bool,
    /// TCP super-frames over IPv6.
    pub tso6: bool,
    /// TCP super-frames with ECN's CWR.
    pub ecn: bool,
    /// UDP super-frames.
    pub uso: bool,
}

impl Caps {
    /// Everything a tap or packet socket with vnet headers takes.
    pub const ALL: Self = Self { checksum: true, tso4: true, tso6: true, ecn: true, uso: true };

    /// Whether a frame with this state can go out as it is.
    pub fn cover(&self, offload: &Offload) -> bool {
        let checksum_fits = match offload.checksum {
            Checksum::Partial { offset, .. } => self.checksum && offset != SCTP_CHECKSUM,
            _ => true,
        };
        checksum_fits && offload.gso.is_none_or(|gso| self.cover_gso(gso))
    }

    fn cover_gso(&self, gso: Gso) -> bool {
        let kind_fits = match gso.kind {
            GsoKind::Tcp4 => self.tso4,
            GsoKind::Tcp6 => self.tso6,
            GsoKind::Udp => self.uso,
            GsoKind::UdpFragments => false,
        };
        kind_fits && (self.ecn || !gso.ecn)
    }
}

/// Why a super-frame could not be cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SegmentError {
    /// Its headers are not what its GSO type says, or are cut off.
    #[error("headers do not fit the GSO type {0:?}")]
    Headers(GsoKind),
    /// It would become more than [`MAX_SEGMENTS`].
    #[error("a super-frame of {0} segments")]
    TooMany(usize),
    /// Nobody cuts this kind.
    #[error("GSO type {0:?} cannot be segmented")]
    Unsupported(GsoKind),
}

/// Most segments a super-frame is cut into: more than 64 KiB need with TCP's least segment size, so that a sender cannot have
/// one frame multiplied by its length.
pub const MAX_SEGMENTS: usize = 2048;

const SCTP_CHECKSUM: u16 = 8;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// Makes of `packet` what a port with these abilities can send: itself, or its segments, appended to `out`.
pub fn fit(mut packet: Packet, caps: Caps, out: &mut Vec<Packet>) -> Result<(), SegmentError> {
    if !caps.cover(&packet.offload) {
        if let Some(gso) = packet.offload.gso
            && !(caps.checksum && caps.cover_gso(gso))
        {
            return segment(&packet, gso, caps.checksum, out);
        }
        complete(&mut packet);
    }
    out.push(packet);
    Ok(())
}

/// Completes a partial checksum; the packet's state is then [`Checksum::Verified`]. Not for super-frames, whose checksum
/// belongs to their segments.
pub fn complete(packet: &mut Packet) {
    let Checksum::Partial { start, offset } = packet.offload.checksum else { return };
    packet.offload.checksum = Checksum::Unknown;
    let covered = packet.data_mut().get_mut(usize::from(start)..).unwrap_or_default();
    let at = usize::from(offset);
    if offset == SCTP_CHECKSUM {
        let Some(crc) = checksum::sctp(covered) else { return };
        covered[at..at + 4].copy_from_slice(&crc);
    } else {
        let sum = checksum::udp_nonzero(checksum::of(covered));
        let Some(field) = covered.get_mut(at..at + 2) else { return };
        field.copy_from_slice(&sum.to_be_bytes());
    }
    packet.offload.checksum = Checksum::Verified;
}

/// Cuts a super-frame. With `partial`, the segments' checksums are left partial.
fn segment(packet: &Packet, gso: Gso, partial: bool, out: &mut Vec<Packet>) -> Result<(), SegmentError> {
    let plan = Plan::of(packet, gso)?;
    let (headers, payload) = packet.data().split_at(plan.headers);
    let count = payload.len().div_ceil(usize::from(gso.size)).max(1);
    if count > MAX_SEGMENTS {
        return Err(SegmentError::TooMany(count));
    }
    for (index, piece) in (0..count).zip(payload.chunks(usize::from(gso.size)).chain([&[][..]])) {
        let mut segment = Packet::copy_of(headers).map_err(|_| SegmentError::Headers(gso.kind))?;
        segment.extend(piece).map_err(|_| SegmentError::Headers(gso.kind))?;
        (segment.in_port, segment.mark, segment.priority) = (packet.in_port, packet.mark, packet.priority);
        plan.write_headers(segment.data_mut(), index, index + 1 == count, gso.size);
        segment.offload.checksum = Checksum::Partial { start: plan.l4 as u16, offset: plan.check as u16 };
        if !partial {
            complete(&mut segment);
        }
        out.push(segment);
    }
    Ok(())
}

/// Where the headers of a super-frame are, and what its segments' headers are made from.
struct Plan {
    ipv6: bool,
    tcp: bool,
    l3: usize,
    l4: usize,
    /// Offset of the checksum in the transport header.
    check: usize,
    /// Length of all headers.
    headers: usize,
    /// The pseudo-header's sum without the length.
    pseudo: Sum,
}

impl Plan {
    fn of(packet: &Packet, gso: Gso) -> Result<Self, SegmentError> {
        let tcp = match gso.kind {
            GsoKind::Tcp4 | GsoKind::Tcp6 => true,
            GsoKind::Udp => false,
            GsoKind::UdpFragments => return Err(SegmentError::Unsupported(gso.kind)),
        };
        Self::locate(packet, gso.kind, tcp).ok_or(SegmentError::Headers(gso.kind))
    }

    fn locate(packet: &Packet, kind: GsoKind, tcp: bool) -> Option<Self> {
        let frame = packet.data();
        let l3 = network_header(frame)?;
        let ipv6 = match (frame.get(l3)? >> 4, kind) {
            (4, GsoKind::Tcp4 | GsoKind::Udp) => false,
            (6, GsoKind::Tcp6 | GsoKind::Udp) => true,
            _ => return None,
        };
        let least = if ipv6 { 40 } else { usize::from(frame[l3] & 0xf) * 4 };
        let l4 = match packet.offload.checksum {
            Checksum::Partial { start, .. } => usize::from(start),
            _ => l3 + least,
        };
        let len = if tcp { usize::from(frame.get(l4 + 12)? >> 4) * 4 } else { 8 };
        let headers = l4.checked_add(len)?;
        if least < 20 || l4 < l3 + least || len < if tcp { 20 } else { 8 } || headers > frame.len() {
            return None;
        }
        let check = if tcp { 16 } else { 6 };
        let proto = if tcp { ip_proto::TCP } else { ip_proto::UDP };
        let field = u16::from_be_bytes([frame[l4 + check], frame[l4 + check + 1]]);
        let pseudo = match packet.offload.checksum {
            // The field has the sum with the whole length: right even where the header's destination is not the final one.
            Checksum::Partial { .. } if ipv6 && l4 != l3 + 40 => {
                let whole = ((frame.len() - l4) as u32).to_be_bytes();
                Sum::default().replace(&whole, &[0; 4]).word(field)
            }
            _ if ipv6 => addresses::<16>(frame, l3 + 8, proto)?,
            _ => addresses::<4>(frame, l3 + 12, proto)?,
        };
        Some(Self { ipv6, tcp, l3, l4, check, headers, pseudo })
    }

    fn write_headers(&self, frame: &mut [u8], index: usize, last: bool, size: u16) {
        let len = frame.len();
        let (network, transport) = frame.split_at_mut(self.l4);
        self.write_network(&mut network[self.l3..], len - self.l3, index);
        if self.tcp {
            let seq = u32::from_be_bytes([transport[4], transport[5], transport[6], transport[7]]);
            let seq = seq.wrapping_add((index as u32).wrapping_mul(u32::from(size)));
            transport[4..8].copy_from_slice(&seq.to_be_bytes());
            transport[13] &= !(if last { 0 } else { FIN | PSH } | if index == 0 { 0 } else { CWR });
        } else {
            transport[4..6].copy_from_slice(&word(len - self.l4));
        }
        let pseudo = self.pseudo.bytes(&((len - self.l4) as u32).to_be_bytes()).folded();
        transport[self.check..self.check + 2].copy_from_slice(&pseudo.to_be_bytes());
    }

    /// Writes an IP header, extension headers or options behind it; `len` counts from its first byte to the frame's last.
    fn write_network(&self, header: &mut [u8], len: usize, index: usize) {
        if self.ipv6 {
            header[4..6].copy_from_slice(&word(len - 40));
            return;
        }
        header[2..4].copy_from_slice(&word(len));
        let id = u16::from_be_bytes([header[4], header[5]]).wrapping_add(index as u16);
        header[4..6].copy_from_slice(&id.to_be_bytes());
        header[10..12].fill(0);
        let header_len = usize::from(header[0] & 0xf) * 4;
        let check = checksum::of(&header[..header_len.min(header.len())]);
        header[10..12].copy_from_slice(&check.to_be_bytes());
    }
}

fn word(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes()
}

/// The pseudo-header's sum, without the length, of two addresses of `N` bytes at `at`.
fn addresses<const N: usize>(frame: &[u8], at: usize, proto: u8) -> Option<Sum> {
    let both = frame.get(at..at + 2 * N)?;
    Some(Sum::default().bytes(both).word(u16::from(proto)))
}

/// Offset of the network header: behind all VLAN tags and MPLS labels.
fn network_header(frame: &[u8]) -> Option<usize> {
    let mut at = 14;
    let type_before = |at: usize| Some(u16::from_be_bytes([*frame.get(at - 2)?, *frame.get(at - 1)?]));
    while eth_type::is_vlan(type_before(at)?) {
        at += 4;
    }
    if eth_type::is_mpls(type_before(at)?) {
        while frame.get(at + 2)? & 1 == 0 {
            at += 4;
        }
        at += 4;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::extract;
    use etherparse::{PacketBuilder, PacketHeaders, TransportHeader};

    fn tagged(mut frame: Vec<u8>, tag: &[u8]) -> Vec<u8> {
        frame.splice(12..12, tag.iter().copied());
        frame
    }

    /// A super-frame with a partial checksum, its payload counting up.
    fn super_frame(v6: bool, tcp: bool, payload: usize, tag: &[u8]) -> Packet {
        let payload: Vec<u8> = (0..payload).map(|i| i as u8).collect();
        let base = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let ip = if v6 { base.ipv6([1; 16], [2; 16], 64) } else { base.ipv4([1; 4], [2; 4], 64) };
        let mut frame = Vec::new();
        if tcp {
            let mut header = etherparse::TcpHeader::new(1, 2, 0xffff_fff0, 9);
            (header.ack, header.psh, header.fin, header.cwr) = (true, true, true, true);
            ip.tcp_header(header).write(&mut frame, &payload).unwrap();
        } else {
            ip.udp(1, 2).write(&mut frame, &payload).unwrap();
        }
        let frame = tagged(frame, tag);
        let start = 14 + tag.len() + if v6 { 40 } else { 20 };
        let kind = match (tcp, v6) {
            (false, _) => GsoKind::Udp,
            (true, false) => GsoKind::Tcp4,
            (true, true) => GsoKind::Tcp6,
        };
        let mut packet = Packet::copy_of(&frame).unwrap();
        let offset = if tcp { 16 } else { 6 };
        let proto = if tcp { ip_proto::TCP } else { ip_proto::UDP };
        let len = (frame.len() - start) as u32;
        let pseudo = if v6 {
            checksum::pseudo_v6([1; 16], [2; 16], proto, len)
        } else {
            checksum::pseudo_v4([1; 4], [2; 4], proto, len)
        };
        packet.data_mut()[start + offset..start + offset + 2].copy_from_slice(&pseudo.folded().to_be_bytes());
        packet.offload.checksum = Checksum::Partial { start: start as u16, offset: offset as u16 };
        packet.offload.gso = Some(Gso { kind, ecn: false, size: 1000, hdr_len: 0 });
        packet
    }

    fn check_transport(headers: &PacketHeaders<'_>) {
        let payload = headers.payload.slice();
        match (headers.net.clone().unwrap(), headers.transport.clone().unwrap()) {
            (etherparse::NetHeaders::Ipv4(ip, _), TransportHeader::Tcp(tcp)) => {
                assert_eq!(tcp.calc_checksum_ipv4(&ip, payload).unwrap(), tcp.checksum);
                assert_eq!(ip.calc_header_checksum(), ip.header_checksum);
            }
            (etherparse::NetHeaders::Ipv6(ip, _), TransportHeader::Tcp(tcp)) => {
                assert_eq!(tcp.calc_checksum_ipv6(&ip, payload).unwrap(), tcp.checksum);
            }
            (etherparse::NetHeaders::Ipv4(ip, _), TransportHeader::Udp(udp)) => {
                assert_eq!(udp.calc_checksum_ipv4(&ip, payload).unwrap(), udp.checksum);
            }
            (etherparse::NetHeaders::Ipv6(ip, _), TransportHeader::Udp(udp)) => {
                assert_eq!(udp.calc_checksum_ipv6(&ip, payload).unwrap(), udp.checksum);
            }
            other => panic!("unexpected headers {other:?}"),
        }
    }

    #[test]
    fn segments_are_right_in_every_header() {
        let double_tag = [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6];
        for tag in [&[][..], &[0x81, 0, 0, 5], &double_tag] {
            for (v6, tcp) in [(false, false), (false, true), (true, false), (true, true)] {
                let whole = super_frame(v6, tcp, 2500, tag);
                let mut out = Vec::new();
                fit(whole.clone(), Caps::default(), &mut out).unwrap();
                assert_eq!(out.len(), 3);
                let mut joined = Vec::new();
                for (i, segment) in out.iter().enumerate() {
                    assert!(segment.offload.is_plain());
                    let headers = PacketHeaders::from_ethernet_slice(segment.data()).unwrap();
                    check_transport(&headers);
                    joined.extend_from_slice(headers.payload.slice());
                    if let Some(TransportHeader::Tcp(tcp)) = headers.transport {
                        assert_eq!(tcp.sequence_number, 0xffff_fff0u32.wrapping_add(1000 * i as u32));
                        assert_eq!((tcp.fin, tcp.psh, tcp.cwr), (i == 2, i == 2, i == 0));
                    }
                    if let Some(etherparse::NetHeaders::Ipv4(ip, _)) = headers.net {
                        assert_eq!(ip.identification, i as u16);
                    }
                }
                assert_eq!(joined, &whole.data()[whole.len() - 2500..]);
            }
        }
    }

    #[test]
    fn labels_stay_outside() {
        let mut whole = super_frame(false, true, 1500, &[]);
        let mut layers = extract(whole.data(), 1).1;
        crate::edit::push_mpls(&mut whole, &mut layers, 0x0001_0140, eth_type::MPLS).unwrap();
        let mut out = Vec::new();
        fit(whole, Caps::default(), &mut out).unwrap();
        assert_eq!(out.len(), 2);
        for mut segment in out {
            let mut layers = extract(segment.data(), 1).1;
            crate::edit::pop_mpls(&mut segment, &mut layers, eth_type::IPV4);
            check_transport(&PacketHeaders::from_ethernet_slice(segment.data()).unwrap());
        }
    }

    #[test]
    fn ports_that_can_get_frames_as_they_are() {
        let whole = super_frame(false, true, 2500, &[]);
        let mut out = Vec::new();
        fit(whole.clone(), Caps::ALL, &mut out).unwrap();
        assert_eq!((out.len(), out[0].data()), (1, whole.data()));
        out.clear();
        fit(whole, Caps { checksum: true, ..Caps::default() }, &mut out).unwrap();
        assert_eq!(out.len(), 3);
        for segment in &mut out {
            assert!(matches!(segment.offload.checksum, Checksum::Partial { start: 34, offset: 16 }));
            complete(segment);
            check_transport(&PacketHeaders::from_ethernet_slice(segment.data()).unwrap());
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |change: &dyn Fn(&mut Packet)| {
            let mut whole = super_frame(false, true, 2500, &[]);
            change(&mut whole);
            let mut out = Vec::new();
            assert!(fit(whole, Caps::default(), &mut out).is_err());
            assert!(out.is_empty());
        };
        refused(&|p| p.offload.gso.as_mut().unwrap().kind = GsoKind::Tcp6);
        refused(&|p| p.offload.gso.as_mut().unwrap().kind = GsoKind::UdpFragments);
        refused(&|p| p.offload.gso.as_mut().unwrap().size = 1);
        refused(&|p| p.truncate(40));
        refused(&|p| p.data_mut()[46] = 0x10);
        refused(&|p| p.data_mut()[14] = 0x41);
        refused(&|p| p.offload.checksum = Checksum::Partial { start: 20, offset: 16 });
    }

    #[test]
    fn sctp_is_always_completed() {
        let mut packet = Packet::copy_of(&[3; 80]).unwrap();
        packet.offload.checksum = Checksum::Partial { start: 34, offset: 8 };
        let mut out = Vec::new();
        fit(packet, Caps::ALL, &mut out).unwrap();
        assert_eq!(out[0].data()[42..46], checksum::sctp(&[3; 46]).unwrap());
        assert_eq!(out[0].offload.checksum, Checksum::Verified);
    }
}
