//! [`Piece`]: what the headers of one fragment say (RFC 791 3.2, RFC 8200 4.5).

use packet::checksum;
use packet::parse::{eth_type, ip_proto};
use packet::{Checksum, FlowKey, Layers, Packet};

use super::{Family, Reason};
use crate::tuple::Addr;

/// Longest IPv4 packet, and longest IPv6 payload, in bytes.
pub(super) const MAX_IP_LEN: usize = 65_535;

/// Length of an IPv6 header without extensions, in bytes.
pub(super) const IPV6_LEN: usize = 40;
const FRAGMENT_LEN: usize = 8;

/// What the fragments of one datagram have in common, and those of others have not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    pub(super) src: Addr,
    pub(super) dst: Addr,
    /// Recirculation id under which the fragments were met: each `ct()` of a pipeline puts together for itself.
    pub(super) recirc_id: u32,
    pub(super) id: u32,
    pub(super) zone: u16,
    pub(super) family: Family,
    /// IPv4: the protocol. IPv6: 0, since there only the first fragment's next header counts.
    pub(super) proto: u8,
}

/// One fragment: which bytes of which datagram it holds, and where they stand in its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// Network header, in bytes from the start of the frame.
    pub(super) l3: usize,
    /// End of the headers that the datagram keeps: of the IPv4 header, or of those before the IPv6 fragment header.
    pub(super) head_end: usize,
    /// First byte of the fragment's share of the datagram.
    pub(super) payload_at: usize,
    /// Where, before `head_end`, it says what follows; and what that is once the datagram is whole.
    pub(super) next: (usize, u8),
    /// First byte of the share, counted in the datagram's payload.
    pub(super) start: usize,
    /// One after its last byte; always more than `start`.
    pub(super) end: usize,
    /// There are others behind it.
    pub(super) more: bool,
}

impl Piece {
    /// Reads the headers of a packet that `layers` says is a fragment.
    pub(super) fn read(
        packet: &Packet,
        layers: &Layers,
        key: &FlowKey,
        zone: u16,
    ) -> Result<(Key, Self), Reason> {
        if packet.offload.gso.is_some() || matches!(packet.offload.checksum, Checksum::Partial { .. }) {
            return Err(Reason::Offload);
        }
        let frame = packet.data().get(..layers.end as usize).ok_or(Reason::Malformed)?;
        let (mut id, piece) = match layers.eth_type {
            eth_type::IPV4 => ipv4(frame, layers)?,
            eth_type::IPV6 => ipv6(frame, layers)?,
            _ => return Err(Reason::Malformed),
        };
        id.recirc_id = key.recirc_id.get();
        id.zone = zone;
        let len = piece.end - piece.start;
        if len == 0 || piece.more && !len.is_multiple_of(8) {
            return Err(Reason::Malformed);
        }
        if piece.fixed_len(id.family) + piece.end > MAX_IP_LEN {
            return Err(Reason::TooLong);
        }
        Ok((id, piece))
    }

    /// Bytes of headers that count as part of the whole datagram's length field.
    pub(super) fn fixed_len(&self, family: Family) -> usize {
        match family {
            Family::V4 => self.head_end - self.l3,
            Family::V6 => self.head_end - self.l3 - IPV6_LEN,
        }
    }

    /// Length of the IP packet that this fragment is.
    pub(super) fn ip_len(&self) -> usize {
        self.payload_at - self.l3 + self.end - self.start
    }

    /// The fragment's share of the datagram in its frame.
    pub(super) fn payload(&self) -> std::ops::Range<usize> {
        self.payload_at..self.payload_at + (self.end - self.start)
    }
}

fn ipv4(frame: &[u8], layers: &Layers) -> Result<(Key, Piece), Reason> {
    let (l3, l4) = (usize::from(layers.l3), usize::from(layers.l4));
    let header = frame.get(l3..l4).ok_or(Reason::Malformed)?;
    let fixed = header.first_chunk::<20>().ok_or(Reason::Malformed)?;
    if checksum::of(header) != 0 {
        return Err(Reason::BadChecksum);
    }
    let word = u16::from_be_bytes([fixed[6], fixed[7]]);
    let start = usize::from(word & 0x1fff) * 8;
    let mut key = Key {
        src: [0; 16],
        dst: [0; 16],
        recirc_id: 0,
        id: u32::from(u16::from_be_bytes([fixed[4], fixed[5]])),
        zone: 0,
        family: Family::V4,
        proto: fixed[9],
    };
    key.src[12..].copy_from_slice(&fixed[12..16]);
    key.dst[12..].copy_from_slice(&fixed[16..]);
    let piece = Piece {
        l3,
        head_end: l4,
        payload_at: l4,
        next: (l3 + 9, fixed[9]),
        start,
        end: start + frame.len() - l4,
        more: word & 0x2000 != 0,
    };
    Ok((key, piece))
}

fn ipv6(frame: &[u8], layers: &Layers) -> Result<(Key, Piece), Reason> {
    let l3 = usize::from(layers.l3);
    let fixed = frame.get(l3..).and_then(<[u8]>::first_chunk::<IPV6_LEN>).ok_or(Reason::Malformed)?;
    let (link_at, at) = fragment_header(frame, l3).ok_or(Reason::Malformed)?;
    let &[next, _, o0, o1, i0, i1, i2, i3] = frame[at..].first_chunk().ok_or(Reason::Malformed)?;
    let word = u16::from_be_bytes([o0, o1]);
    let start = usize::from(word & 0xfff8);
    let payload_at = at + FRAGMENT_LEN;
    let mut key = Key {
        src: [0; 16],
        dst: [0; 16],
        recirc_id: 0,
        id: u32::from_be_bytes([i0, i1, i2, i3]),
        zone: 0,
        family: Family::V6,
        proto: 0,
    };
    key.src.copy_from_slice(&fixed[8..24]);
    key.dst.copy_from_slice(&fixed[24..]);
    let piece = Piece {
        l3,
        head_end: at,
        payload_at,
        next: (link_at, next),
        start,
        end: start + frame.len() - payload_at,
        more: word & 1 != 0,
    };
    Ok((key, piece))
}

/// Where the fragment header is, and before that the byte that announces it.
fn fragment_header(frame: &[u8], l3: usize) -> Option<(usize, usize)> {
    let (mut link_at, mut at) = (l3 + 6, l3 + IPV6_LEN);
    loop {
        let &[_, len, ..] = frame.get(at..)?.first_chunk::<8>()?;
        let header_len = match frame[link_at] {
            ip_proto::FRAGMENT => return Some((link_at, at)),
            ip_proto::AH => (usize::from(len) + 2) * 4,
            ip_proto::HOPOPTS | ip_proto::ROUTING | ip_proto::DSTOPTS => (usize::from(len) + 1) * 8,
            _ => return None,
        };
        (link_at, at) = (at, at + header_len);
    }
}
