//! Offload state: what a sender left for a device to do, and what a receiver already did.
//!
//! A frame may come with its transport checksum only begun (the pseudo-header's sum stands in the field) and may be a
//! *super-frame* of many segments under one header. This state travels with the packet (design contract 8); a port that
//! can hand it on does so, for the others [`crate::gso`] does the work.
//!
//! [`Offload::from_vnet`] and [`Offload::to_vnet`] convert from and to `struct virtio_net_hdr` (10 bytes, host byte order
//! as Linux taps and packet sockets use it; virtio 1.2, 5.1.6).

use thiserror::Error;

/// Length of `struct virtio_net_hdr` in bytes.
pub const VNET_LEN: usize = 10;

const F_NEEDS_CSUM: u8 = 1;
const F_DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_UDP: u8 = 3;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// What is known about the transport checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Checksum {
    /// Nothing: it stands in the packet, right or wrong.
    #[default]
    Unknown,
    /// Somebody has verified it (or it never left this machine): it is right.
    Verified,
    /// The field holds the pseudo-header's sum. The checksum is that of all bytes from `start` to the end of the
    /// packet, to be stored `offset` bytes after `start`.
    Partial {
        /// Where summing begins, in bytes from the start of the frame.
        start: u16,
        /// Where the field is, in bytes from `start`.
        offset: u16,
    },
}

/// What a super-frame is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum GsoKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP datagrams of equal size, over IPv4 or IPv6 (`UDP_SEGMENT`).
    Udp,
    /// One big UDP datagram to be cut into IP fragments (the old UFO).
    UdpFragments,
}

/// A super-frame: many segments under one header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gso {
    /// What the segments are.
    pub kind: GsoKind,
    /// Whether the first segment only may carry CWR (`SKB_GSO_TCP_ECN`).
    pub ecn: bool,
    /// Bytes of payload per segment; never 0.
    pub size: u16,
    /// A hint at the length of all headers, in bytes from the start of the frame.
    pub hdr_len: u16,
}

/// Offload state of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offload {
    /// Transport checksum.
    pub checksum: Checksum,
    /// Segmentation.
    pub gso: Option<Gso>,
}

/// A `virtio_net_hdr` that makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum VnetError {
    /// The checksum field lies outside the frame.
    #[error("checksum at {start}+{offset} lies outside a frame of {len} bytes")]
    ChecksumOutside {
        /// `csum_start`.
        start: u16,
        /// `csum_offset`.
        offset: u16,
        /// Length of the frame.
        len: usize,
    },
    /// A segmentation type nobody knows.
    #[error("unknown GSO type {0}")]
    GsoType(u8),
    /// A super-frame whose segments have no length.
    #[error("GSO with a segment size of 0")]
    GsoSize,
}

impl Offload {
    /// Reads a header that came before a frame of `len` bytes.
    pub fn from_vnet(header: &[u8; VNET_LEN], len: usize) -> Result<Self, VnetError> {
        if header[..2] == [0, GSO_NONE] {
            return Ok(Self::default());
        }
        let word = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let (start, offset) = (word(6), word(8));
        let checksum = if header[0] & F_NEEDS_CSUM != 0 {
            if usize::from(start) + usize::from(offset) + 2 > len {
                return Err(VnetError::ChecksumOutside { start, offset, len });
            }
            Checksum::Partial { start, offset }
        } else if header[0] & F_DATA_VALID != 0 {
            Checksum::Verified
        } else {
            Checksum::Unknown
        };
        Ok(Self { checksum, gso: gso_of_vnet(header[1], word(2), word(4))? })
    }

    /// Writes the header for a frame of `len` bytes.
    pub fn to_vnet(&self, len: usize) -> [u8; VNET_LEN] {
        let mut header = [0; VNET_LEN];
        let mut put = |at: usize, value: u16| header[at..at + 2].copy_from_slice(&value.to_ne_bytes());
        let mut least = 0;
        let mut flags = 0;
        match self.checksum {
            Checksum::Unknown => {}
            Checksum::Verified => flags = F_DATA_VALID,
            Checksum::Partial { start, offset } => {
                flags = F_NEEDS_CSUM;
                put(6, start);
                put(8, offset);
                least = usize::from(start) + usize::from(offset) + 2;
            }
        }
        let mut gso_type = GSO_NONE;
        if let Some(gso) = self.gso {
            let hdr_len = usize::from(gso.hdr_len).max(least).min(len);
            put(2, u16::try_from(hdr_len).unwrap_or(u16::MAX));
            put(4, gso.size);
            gso_type = gso.kind.vnet() | if gso.ecn { GSO_ECN } else { 0 };
        }
        header[0] = flags;
        header[1] = gso_type;
        header
    }

    /// Whether a port that knows no offloads could send the frame as it is.
    pub fn is_plain(&self) -> bool {
        self.gso.is_none() && !matches!(self.checksum, Checksum::Partial { .. })
    }

    /// Follows the insertion of `n` bytes at the front of the frame (or, with a negative `n`, their removal). A partial
    /// checksum whose start is cut away becomes unknown.
    pub(crate) fn shift(&mut self, n: isize) {
        let moved = |at: u16| usize::from(at).checked_add_signed(n).and_then(|at| u16::try_from(at).ok());
        if let Checksum::Partial { start, offset } = self.checksum {
            self.checksum = match moved(start) {
                Some(start) => Checksum::Partial { start, offset },
                None => Checksum::Unknown,
            };
        }
        if let Some(gso) = &mut self.gso {
            gso.hdr_len = moved(gso.hdr_len).unwrap_or(0);
        }
    }
}

impl GsoKind {
    fn vnet(self) -> u8 {
        match self {
            Self::Tcp4 => GSO_TCPV4,
            Self::Tcp6 => GSO_TCPV6,
            Self::Udp => GSO_UDP_L4,
            Self::UdpFragments => GSO_UDP,
        }
    }
}

fn gso_of_vnet(gso_type: u8, hdr_len: u16, size: u16) -> Result<Option<Gso>, VnetError> {
    let kind = match gso_type & !GSO_ECN {
        GSO_NONE => return Ok(None),
        GSO_TCPV4 => GsoKind::Tcp4,
        GSO_TCPV6 => GsoKind::Tcp6,
        GSO_UDP_L4 => GsoKind::Udp,
        GSO_UDP => GsoKind::UdpFragments,
        _ => return Err(VnetError::GsoType(gso_type)),
    };
    if size == 0 {
        return Err(VnetError::GsoSize);
    }
    Ok(Some(Gso { kind, ecn: gso_type & GSO_ECN != 0, size, hdr_len }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u8, gso: u8, words: [u16; 4]) -> [u8; VNET_LEN] {
        let mut out = [flags, gso, 0, 0, 0, 0, 0, 0, 0, 0];
        for (i, word) in words.iter().enumerate() {
            out[2 + 2 * i..4 + 2 * i].copy_from_slice(&word.to_ne_bytes());
        }
        out
    }

    #[test]
    fn vnet_round_trip() {
        let cases = [
            header(0, 0, [0, 0, 0, 0]),
            header(F_DATA_VALID, 0, [0, 0, 0, 0]),
            header(F_NEEDS_CSUM, 0, [0, 0, 34, 16]),
            header(F_NEEDS_CSUM, GSO_TCPV4, [66, 1448, 34, 16]),
            header(F_NEEDS_CSUM, GSO_TCPV6 | GSO_ECN, [86, 1428, 54, 16]),
            header(F_NEEDS_CSUM, GSO_UDP_L4, [42, 1472, 34, 6]),
        ];
        for case in cases {
            assert_eq!(Offload::from_vnet(&case, 9000).unwrap().to_vnet(9000), case);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let outside = header(F_NEEDS_CSUM, 0, [0, 0, 34, 16]);
        assert_eq!(
            Offload::from_vnet(&outside, 51),
            Err(VnetError::ChecksumOutside { start: 34, offset: 16, len: 51 })
        );
        assert!(Offload::from_vnet(&outside, 52).is_ok());
        assert_eq!(Offload::from_vnet(&header(0, 2, [0, 9, 0, 0]), 60), Err(VnetError::GsoType(2)));
        assert_eq!(Offload::from_vnet(&header(0, 1, [0, 0, 0, 0]), 60), Err(VnetError::GsoSize));
    }

    #[test]
    fn header_length_covers_the_checksum_and_stays_in_the_frame() {
        let mut offload =
            Offload::from_vnet(&header(F_NEEDS_CSUM, GSO_TCPV4, [0, 1448, 34, 16]), 3000).unwrap();
        assert_eq!(offload.to_vnet(3000)[2..4], 52u16.to_ne_bytes());
        offload.gso.as_mut().unwrap().hdr_len = 4000;
        assert_eq!(offload.to_vnet(3000)[2..4], 3000u16.to_ne_bytes());
    }

    #[test]
    fn shifting_moves_the_checksum() {
        let mut offload = Offload { checksum: Checksum::Partial { start: 34, offset: 16 }, gso: None };
        offload.shift(4);
        assert_eq!(offload.checksum, Checksum::Partial { start: 38, offset: 16 });
        offload.shift(-40);
        assert_eq!(offload.checksum, Checksum::Unknown);
    }
}
