//! Netlink messages: `struct nlmsghdr`, then a fixed header that depends on the type, then attributes (`linux/netlink.h`).
//!
//! Everything is in host byte order; attributes are padded to four bytes. A reader never trusts a length: whatever does not
//! fit ends the iteration.

/// Length of `struct nlmsghdr`.
pub const HEADER_LEN: usize = 16;
/// The upper bits of an attribute's type are flags (nested, network byte order).
const TYPE_MASK: u16 = 0x3fff;
const NESTED: u16 = 0x8000;

const fn aligned(len: usize) -> usize {
    (len + 3) & !3
}

/// A request under construction.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request of type `kind` (`RTM_GETLINK`, a generic family's id, ...) with `NLM_F_*` flags; `NLM_F_REQUEST` is added.
    pub fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        Self { bytes }
    }

    /// Appends the fixed header of this type of request, or a part of it.
    pub fn fixed(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends an attribute.
    pub fn attr(mut self, kind: u16, value: &[u8]) -> Self {
        let len = (value.len() + 4) as u16;
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    /// Appends a 32-bit attribute.
    pub fn attr_u32(self, kind: u16, value: u32) -> Self {
        self.attr(kind, &value.to_ne_bytes())
    }

    /// Appends a string with its final zero.
    pub fn attr_str(self, kind: u16, value: &str) -> Self {
        self.attr(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Appends an attribute that holds what `inner` appends.
    pub fn nest(mut self, kind: u16, inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        let mut nested = inner(self);
        let len = (nested.bytes.len() - start) as u16;
        nested.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        nested
    }

    /// The bytes to send, under this sequence number.
    pub fn finish(mut self, sequence: u32, flags: u16) -> Vec<u8> {
        let len = self.bytes.len() as u32;
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | flags;
        self.bytes[..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }

    fn pad(&mut self) {
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }
}

/// A message that was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its type.
    pub kind: u16,
    /// Its `NLM_F_*` flags.
    pub flags: u16,
    /// The number of the request it answers; 0 for a notification.
    pub sequence: u32,
    /// The number of the namespace that it is about, for a notification from another one than the socket's.
    pub nsid: Option<u32>,
    /// What stands behind the header.
    pub payload: Vec<u8>,
}

impl Message {
    /// Splits what one receive call returned into its messages.
    pub fn split(mut bytes: &[u8]) -> Vec<Self> {
        let mut messages = Vec::new();
        while let Some(header) = bytes.first_chunk::<HEADER_LEN>() {
            let len = u32_at(header, 0).unwrap_or(0) as usize;
            let Some(payload) = bytes.get(HEADER_LEN..len) else { break };
            messages.push(Self {
                kind: u16_at(header, 4).unwrap_or(0),
                flags: u16_at(header, 6).unwrap_or(0),
                sequence: u32_at(header, 8).unwrap_or(0),
                nsid: None,
                payload: payload.to_vec(),
            });
            bytes = bytes.get(aligned(len)..).unwrap_or(&[]);
        }
        messages
    }

    /// The attributes behind a fixed header of `fixed` bytes.
    pub fn attributes(&self, fixed: usize) -> Attributes<'_> {
        Attributes(self.payload.get(aligned(fixed)..).unwrap_or(&[]))
    }
}

/// Iterates over attributes: (type without flags, value).
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & TYPE_MASK;
        let value = self.0.get(4..len)?;
        self.0 = self.0.get(aligned(len)..).unwrap_or(&[]);
        Some((kind, value))
    }
}

impl<'a> Attributes<'a> {
    /// The value of the first attribute of this type.
    pub fn find(mut self, kind: u16) -> Option<&'a [u8]> {
        Iterator::find(&mut self, |(k, _)| *k == kind).map(|(_, value)| value)
    }
}

/// The native 16-bit word at `at`.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_ne_bytes(*word))
}

/// The native 32-bit word at `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

/// The native 64-bit word at `at`.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_ne_bytes(*word))
}

/// The text of a zero-terminated attribute.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_as_a_message() {
        let bytes = Request::new(18, 0)
            .fixed(&[1, 2, 3, 4, 5])
            .attr_str(3, "eth0")
            .nest(18, |inner| inner.attr_u32(1, 7).attr(2, &[9]))
            .finish(5, libc::NLM_F_ACK as u16);
        let messages = Message::split(&bytes);
        assert_eq!(messages.len(), 1);
        assert_eq!((messages[0].kind, messages[0].flags, messages[0].sequence), (18, 5, 5));
        let attributes = messages[0].attributes(5);
        assert_eq!(attributes.find(3).map(text).as_deref(), Some("eth0"));
        let nested = Attributes(attributes.find(18).unwrap());
        assert_eq!(nested.collect::<Vec<_>>(), [(1, &7u32.to_ne_bytes()[..]), (2, &[9][..])]);
    }

    #[test]
    fn lengths_that_lie_end_the_iteration() {
        let mut bytes = Request::new(1, 0).attr_u32(1, 1).finish(1, 0);
        let whole = bytes.len() as u32;
        bytes[..4].copy_from_slice(&(whole + 1).to_ne_bytes());
        assert!(Message::split(&bytes).is_empty());
        bytes[..4].copy_from_slice(&8u32.to_ne_bytes());
        assert!(Message::split(&bytes).is_empty());
        assert_eq!(Attributes(&[9, 0, 1, 0, 5, 5]).count(), 0);
        assert_eq!(Attributes(&[3, 0, 1, 0, 5, 5]).count(), 0);
        assert_eq!(Attributes(&[5, 0, 1, 0, 5]).count(), 1);
    }
}
