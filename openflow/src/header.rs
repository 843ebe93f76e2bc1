//! The header of every message, and the cutting of a byte stream into messages.

use crate::error::OfError;
use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// Bytes in a header.
pub const HEADER_LEN: usize = 8;
/// Bytes in the longest message: its length is a 16-bit field.
pub const MAX_MESSAGE_LEN: usize = 65535;

/// The header of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Wire number of the version, not necessarily one that this crate speaks.
    pub version: u8,
    /// Message type in that version.
    pub kind: u8,
    /// Length of the message, header included.
    pub length: u16,
    /// Transaction id: a reply carries its request's.
    pub xid: u32,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` if they are fewer than eight.
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let head = bytes.first_chunk::<HEADER_LEN>()?;
        Some(Header {
            version: head[0],
            kind: head[1],
            length: u16::from_be_bytes([head[2], head[3]]),
            xid: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        })
    }

    /// Appends the header.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.version, self.kind]);
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(&self.xid.to_be_bytes());
    }
}

/// Why a byte stream cannot be cut into messages any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FrameError {
    /// A header says that its message is shorter than a header.
    #[error("received too-short ofp_header ({0} bytes)")]
    TooShort(u16),
}

impl From<FrameError> for OfError {
    fn from(_: FrameError) -> OfError {
        OfError::OFPBRC_BAD_LEN
    }
}

/// Takes the first whole message from `stream`, or `None` if more bytes are needed. No copy is made.
///
/// After an error the stream has lost its framing and the connection must be closed.
pub fn take_message(stream: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(header) = Header::parse(stream) else { return Ok(None) };
    let length = usize::from(header.length);
    if length < HEADER_LEN {
        return Err(FrameError::TooShort(header.length));
    }
    if stream.remaining() < length {
        stream.reserve(length - stream.len());
        return Ok(None);
    }
    Ok(Some(stream.split_to(length).freeze()))
}

/// Cuts bytes that hold whole messages back to back into those messages; what cannot be cut ends the walk.
pub fn messages(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let length = usize::from(Header::parse(&bytes)?.length);
        (HEADER_LEN..=bytes.len()).contains(&length).then(|| bytes.split_to(length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_as_they_arrive() {
        let mut stream = BytesMut::new();
        assert_eq!(take_message(&mut stream), Ok(None));
        stream.extend_from_slice(&[1, 2, 0, 9, 0, 0, 0]);
        assert_eq!(take_message(&mut stream), Ok(None));
        stream.extend_from_slice(&[7, 0xaa, 1, 3, 0, 8, 0, 0, 0, 8]);
        let first = take_message(&mut stream).unwrap().unwrap();
        assert_eq!(Header::parse(&first), Some(Header { version: 1, kind: 2, length: 9, xid: 7 }));
        assert_eq!(take_message(&mut stream).unwrap().unwrap().len(), 8);
        assert_eq!(take_message(&mut stream), Ok(None));
    }

    #[test]
    fn short_length_is_an_error() {
        let mut stream = BytesMut::from(&[1u8, 2, 0, 7, 0, 0, 0, 0][..]);
        assert_eq!(take_message(&mut stream), Err(FrameError::TooShort(7)));
    }

    #[test]
    fn whole_messages_back_to_back() {
        let bytes = Bytes::from_static(&[1, 2, 0, 8, 0, 0, 0, 1, 1, 2, 0, 9, 0, 0, 0, 2, 5, 1, 2]);
        let lens: Vec<_> = messages(bytes).map(|m| m.len()).collect();
        assert_eq!(lens, [8, 9]);
    }
}
