//! The GRE header (RFC 2784, 2; key and sequence number: RFC 2890, 2).
//!
//! ```text
//!  |C|R|K|S| Reserved0       | Ver |         Protocol Type         |
//!  |   Checksum (if C)             |       Reserved1 (if C)        |
//!  |                         Key (if K)                            |
//!  |                    Sequence number (if S)                     |
//! ```
//!
//! The R bit and bits 4 and 5 are RFC 1701's; a packet with one of them set must be discarded (RFC 2784, 2.3). The other reserved bits
//! are ignored. The checksum is over header and payload; [`crate::decap()`](crate::decap()) looks at it.

use thiserror::Error;

use crate::Inner;

/// IP protocol number.
pub const IP_PROTO: u8 = 47;

const CHECKSUM: u8 = 0x80;
const KEY: u8 = 0x20;
const SEQUENCE: u8 = 0x10;
/// First byte: what must be zero.
const MUST_BE_ZERO: u8 = 0x4c;
/// Second byte.
const VERSION: u8 = 7;

/// Bytes that are no GRE header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HeaderError {
    /// Too short for the header that the flags announce.
    #[error("{0} bytes are too few for a GRE header")]
    Short(usize),
    /// Only version 0 is known.
    #[error("GRE version {0}")]
    Version(u8),
    /// A flag that must be zero.
    #[error("GRE flags 0x{0:02x}")]
    Flags(u8),
}

/// A valid header's meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Whether there is a checksum, at byte 4.
    pub checksum: bool,
    /// Key.
    pub key: Option<u32>,
    /// Sequence number.
    pub sequence: Option<u32>,
    /// What is inside.
    pub inner: Inner,
}

impl Header {
    /// Reads and validates, but for the checksum.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let short = HeaderError::Short(bytes.len());
        let fixed = bytes.first_chunk::<4>().ok_or(short)?;
        if fixed[1] & VERSION != 0 {
            return Err(HeaderError::Version(fixed[1] & VERSION));
        }
        if fixed[0] & MUST_BE_ZERO != 0 {
            return Err(HeaderError::Flags(fixed[0]));
        }
        let mut words = bytes[4..].as_chunks::<4>().0.iter();
        let mut word = |flag| match fixed[0] & flag {
            0 => Ok(None),
            _ => words.next().map(|word| Some(u32::from_be_bytes(*word))).ok_or(short),
        };
        let checksum = word(CHECKSUM)?.is_some();
        let (key, sequence) = (word(KEY)?, word(SEQUENCE)?);
        let inner = Inner::of_ether_type(u16::from_be_bytes([fixed[2], fixed[3]]));
        Ok(Self { checksum, key, sequence, inner })
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        4 + 4 * [self.checksum, self.key.is_some(), self.sequence.is_some()]
            .map(usize::from)
            .iter()
            .sum::<usize>()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Appends it to `out`, its checksum zero.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let flag = |present, flag| if present { flag } else { 0 };
        let flags = flag(self.checksum, CHECKSUM)
            | flag(self.key.is_some(), KEY)
            | flag(self.sequence.is_some(), SEQUENCE);
        out.extend_from_slice(&[flags, 0]);
        out.extend_from_slice(&self.inner.ether_type().to_be_bytes());
        let checksum = self.checksum.then_some(0);
        for word in [checksum, self.key, self.sequence].into_iter().flatten() {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_and_back() {
        for form in 0..8u32 {
            let header = Header {
                checksum: form & 1 != 0,
                key: (form & 2 != 0).then_some(0xdead_beef),
                sequence: (form & 4 != 0).then_some(7),
                inner: Inner::Ethernet,
            };
            let mut bytes = Vec::new();
            header.emit(&mut bytes);
            assert_eq!(bytes.len(), header.len());
            assert_eq!(Header::parse(&bytes), Ok(header));
            for len in 0..bytes.len() {
                assert_eq!(Header::parse(&bytes[..len]), Err(HeaderError::Short(len)));
            }
        }
    }

    #[test]
    fn errors_are_named() {
        assert_eq!(Header::parse(&[0, 1, 8, 0]), Err(HeaderError::Version(1)));
        assert_eq!(Header::parse(&[0x40, 0, 8, 0]), Err(HeaderError::Flags(0x40)));
        assert_eq!(Header::parse(&[0x04, 0, 8, 0]), Err(HeaderError::Flags(0x04)));
        let noisy = Header::parse(&[0x03, 0xf8, 8, 0]).unwrap();
        assert_eq!(noisy, Header { checksum: false, key: None, sequence: None, inner: Inner::Bare(0x0800) });
    }
}
