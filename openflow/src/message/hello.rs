//! Hello and error messages.

use crate::error::OfError;
use crate::version::{Version, Versions};
use crate::wire::Reader;
use bytes::{BufMut, Bytes};

/// Element type of the version bitmap in a Hello (OpenFlow 1.3.1 clause A.5.1).
const BITMAP: u16 = 1;

/// A Hello: which versions its sender speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The versions; never empty in a Hello that is to be sent.
    pub versions: Versions,
}

impl Hello {
    /// Reads the body of a Hello whose header names version `wire`. Elements that are not understood are passed over, and so is whatever
    /// follows a malformed one: a Hello is never refused for its form.
    pub fn decode(wire: u8, body: &[u8]) -> Hello {
        let mut reader = Reader::new(body);
        let mut versions = Versions::up_to(wire);
        while let (Ok(kind), Ok(len)) = (reader.u16(), reader.u16()) {
            let Some(contents) = usize::from(len).checked_sub(4).and_then(|n| reader.bytes(n).ok()) else {
                break;
            };
            if let (BITMAP, Some(bitmap)) = (kind, contents.first_chunk()) {
                versions = Versions(u32::from_be_bytes(*bitmap));
            }
            if reader.skip((8 - usize::from(len) % 8) % 8).is_err() {
                break;
            }
        }
        Hello { versions }
    }

    /// The version that a Hello of these versions has in its header: the newest.
    pub fn header_version(&self) -> Version {
        self.versions.highest().unwrap_or(Version::V10)
    }

    /// Appends the body. A bitmap is sent only if the header's version does not say all by itself, as Open vSwitch does.
    pub fn encode_body(&self, out: &mut Vec<u8>) {
        if self.versions != Versions::up_to(self.header_version().wire()) {
            out.put_u16(BITMAP);
            out.put_u16(8);
            out.put_u32(self.versions.0);
        }
    }
}

/// An error message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorMsg {
    /// The reason; `None` if it is one that we do not know (then `data` is the whole body).
    pub error: Option<OfError>,
    /// The start of the offending message, or the text of a Hello failure.
    pub data: Bytes,
}

impl ErrorMsg {
    /// Reads the body of an error message.
    pub fn decode(version: Version, body: &[u8]) -> ErrorMsg {
        match OfError::decode(version, body) {
            Some((error, data)) => ErrorMsg { error: Some(error), data: Bytes::copy_from_slice(data) },
            None => ErrorMsg { error: None, data: Bytes::copy_from_slice(body) },
        }
    }

    /// Appends the body.
    pub fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        if let Some(error) = self.error {
            error.encode(version, out);
        }
        out.extend_from_slice(&self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmap_is_sent_only_when_needed() {
        let mut out = Vec::new();
        Hello { versions: Versions::ALL }.encode_body(&mut out);
        assert!(out.is_empty());
        let some = Hello { versions: Versions(0x12) };
        some.encode_body(&mut out);
        assert_eq!(out, [0, 1, 0, 8, 0, 0, 0, 0x12]);
        assert_eq!(Hello::decode(4, &out), some);
    }

    #[test]
    fn odd_hellos_are_read_by_their_header() {
        assert_eq!(Hello::decode(4, &[]).versions, Versions(0x1e));
        assert_eq!(Hello::decode(4, &[0, 1, 0, 3]).versions, Versions(0x1e));
        let elements = [0, 7, 0, 5, 1, 0, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0x10];
        assert_eq!(Hello::decode(4, &elements).versions, Versions(0x10));
    }
}
