//! The Geneve header (RFC 8926, 3.4) and its options (3.5).
//!
//! ```text
//!  |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
//!  |        Virtual Network Identifier (VNI)       |    Reserved   |
//!  |                 options, 4 * Opt Len bytes                    |
//! ```
//!
//! An option is a class (2 bytes), a type (1 byte, its highest bit says critical), three reserved bits and a length of five bits in words
//! of four bytes, and as many bytes of data. Options stay bytes here; [`options`] walks them.

use thiserror::Error;

use crate::{Inner, Vni};

/// The UDP port that IANA assigned.
pub const UDP_PORT: u16 = 6081;
/// Length of the header without options, in bytes.
pub const LEN: usize = 8;
/// Most bytes of options.
pub const MAX_OPTIONS: usize = 63 * 4;

const FLAG_OAM: u8 = 0x80;
const FLAG_CRITICAL: u8 = 0x40;

/// Bytes that are no Geneve header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HeaderError {
    /// Too short for the header, or for the options that it announces.
    #[error("{0} bytes are too few for a Geneve header")]
    Short(usize),
    /// Only version 0 is known (RFC 8926, 3.4: others must be dropped).
    #[error("Geneve version {0}")]
    Version(u8),
    /// An option reaches beyond the options.
    #[error("a Geneve option at byte {0} is cut off")]
    Option(usize),
}

/// A valid header's meaning, but for the options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Network identifier.
    pub vni: Vni,
    /// A control packet.
    pub oam: bool,
    /// Some option is critical: who does not know it must drop the packet.
    pub critical: bool,
    /// What is inside.
    pub inner: Inner,
}

/// One option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GeneveOption<'a> {
    /// Option class.
    pub class: u16,
    /// Type within the class; the highest bit says critical.
    pub kind: u8,
    /// Data, a multiple of four bytes.
    pub data: &'a [u8],
}

impl Header {
    /// Reads and validates header and options; also gives the options, which the inner packet follows.
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), HeaderError> {
        let short = HeaderError::Short(bytes.len());
        let fixed = bytes.first_chunk::<LEN>().ok_or(short)?;
        if fixed[0] >> 6 != 0 {
            return Err(HeaderError::Version(fixed[0] >> 6));
        }
        let len = usize::from(fixed[0] & 0x3f) * 4;
        let found = bytes.get(LEN..LEN + len).ok_or(short)?;
        for option in options(found) {
            option?;
        }
        let header = Self {
            vni: Vni::from_bytes([fixed[4], fixed[5], fixed[6]]),
            oam: fixed[1] & FLAG_OAM != 0,
            critical: fixed[1] & FLAG_CRITICAL != 0,
            inner: Inner::of_ether_type(u16::from_be_bytes([fixed[2], fixed[3]])),
        };
        Ok((header, found))
    }

    /// Writes it for options of `options_len` bytes, a multiple of 4 and at most [`MAX_OPTIONS`].
    pub fn emit(&self, options_len: usize) -> [u8; LEN] {
        let flags = if self.oam { FLAG_OAM } else { 0 } | if self.critical { FLAG_CRITICAL } else { 0 };
        let [t0, t1] = self.inner.ether_type().to_be_bytes();
        let [v0, v1, v2] = self.vni.to_bytes();
        [(options_len / 4) as u8 & 0x3f, flags, t0, t1, v0, v1, v2, 0]
    }
}

/// Walks options; the first that is cut off is an error, and the last.
pub fn options(bytes: &[u8]) -> impl Iterator<Item = Result<GeneveOption<'_>, HeaderError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let start = std::mem::replace(&mut at, bytes.len());
        let cut = HeaderError::Option(start);
        let Some(head) = rest.first_chunk::<4>() else { return Some(Err(cut)) };
        let end = 4 + usize::from(head[3] & 0x1f) * 4;
        let Some(data) = rest.get(4..end) else { return Some(Err(cut)) };
        at = start + end;
        Some(Ok(GeneveOption { class: u16::from_be_bytes([head[0], head[1]]), kind: head[2], data }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: [u8; 12] = [0x01, 0x02, 0x80, 1, 9, 9, 9, 9, 0xff, 0xff, 3, 0];

    #[test]
    fn header_and_options_and_back() {
        let header = Header { vni: Vni::MAX, oam: true, critical: true, inner: Inner::Ethernet };
        let bytes = [&header.emit(12)[..], &OPTIONS, b"inner"].concat();
        assert_eq!(bytes[..4], [3, 0xc0, 0x65, 0x58]);
        assert_eq!(Header::parse(&bytes), Ok((header, &OPTIONS[..])));
        let found: Vec<_> = options(&OPTIONS).map(Result::unwrap).collect();
        assert_eq!(found[0], GeneveOption { class: 0x0102, kind: 0x80, data: &[9; 4] });
        assert_eq!(found[1], GeneveOption { class: 0xffff, kind: 3, data: &[] });
    }

    #[test]
    fn errors_are_named() {
        let header = Header { vni: Vni::MAX, oam: false, critical: false, inner: Inner::Bare(0x0800) };
        let bytes = [&header.emit(8)[..], &OPTIONS[..8]].concat();
        assert!(Header::parse(&bytes).is_ok());
        for len in 0..16 {
            assert_eq!(Header::parse(&bytes[..len]), Err(HeaderError::Short(len)));
        }
        assert_eq!(Header::parse(&[0x40; 8]), Err(HeaderError::Version(1)));
        let cut = [&header.emit(4)[..], &OPTIONS[..8]].concat();
        assert_eq!(Header::parse(&cut), Err(HeaderError::Option(0)));
    }
}
