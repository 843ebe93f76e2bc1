//! The VXLAN header (RFC 7348, 5), with the group policy extension (draft-smith-vxlan-group-policy-05, 2.1) and the
//! generic protocol extension (GPE, draft-ietf-nvo3-vxlan-gpe-04, 3), which are for ports that have them enabled.
//!
//! ```text
//!  0                   1                   2                   3
//!  |G|R|R|R|I|R|R|R|R|D|R|R|A|R|R|R|        Group Policy ID        |
//!  |                VXLAN Network Identifier       |   Reserved    |
//!
//!  |R|R|Ver|I|P|B|O|       Reserved                | Next Protocol |   GPE's first word
//! ```
//!
//! The I flag must be one on receipt. Reserved bits are sent as zero and ignored when received, as the RFC wants it.

use thiserror::Error;

use crate::{Inner, Vni};

/// Length in bytes.
pub const LEN: usize = 8;

/// First byte: the network identifier is valid.
const FLAG_VNI: u8 = 0x08;
/// First byte: a group policy id is present.
const FLAG_POLICY: u8 = 0x80;
/// First byte, GPE: the protocol of what follows is in the fourth byte.
const FLAG_NEXT_PROTOCOL: u8 = 0x04;
/// First byte, GPE: operation and maintenance.
const FLAG_OAM: u8 = 0x01;
/// Second byte: do not learn the source.
const FLAG_DONT_LEARN: u8 = 0x40;
/// Second byte: the policy has been applied.
const FLAG_APPLIED: u8 = 0x08;

/// Bytes that are no VXLAN header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HeaderError {
    /// Too short.
    #[error("{0} bytes are too few for a VXLAN header")]
    Short(usize),
    /// The I flag is zero.
    #[error("the VXLAN header's VNI is not valid (flags 0x{0:02x})")]
    NoVni(u8),
}

/// A VXLAN header where it lies, at the start of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View<T>(T);

impl<T: AsRef<[u8]>> View<T> {
    /// Wraps bytes after a look at their number.
    pub fn new_checked(bytes: T) -> Result<Self, HeaderError> {
        match bytes.as_ref().len() {
            len @ ..LEN => Err(HeaderError::Short(len)),
            _ => Ok(Self(bytes)),
        }
    }

    fn byte(&self, at: usize) -> u8 {
        self.0.as_ref()[at]
    }

    /// Whether the network identifier is valid (the I flag).
    pub fn has_vni(&self) -> bool {
        self.byte(0) & FLAG_VNI != 0
    }

    /// The network identifier.
    pub fn vni(&self) -> Vni {
        Vni::from_bytes([self.byte(4), self.byte(5), self.byte(6)])
    }

    /// The group policy, if the G flag says there is one.
    pub fn policy(&self) -> Option<Policy> {
        let id = u16::from_be_bytes([self.byte(2), self.byte(3)]);
        (self.byte(0) & FLAG_POLICY != 0).then(|| Policy::new(id, self.byte(1)))
    }

    /// GPE: the version, of which 0 is the only one.
    pub fn gpe_version(&self) -> u8 {
        self.byte(0) >> 4 & 3
    }

    /// GPE: the protocol of what follows, if the P flag says that it is told.
    pub fn next_protocol(&self) -> Option<u8> {
        (self.byte(0) & FLAG_NEXT_PROTOCOL != 0).then(|| self.byte(3))
    }

    /// GPE: a packet for operation and maintenance, not to be forwarded.
    pub fn is_oam(&self) -> bool {
        self.byte(0) & FLAG_OAM != 0
    }

    /// What follows the header: an Ethernet frame.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[LEN..]
    }
}

/// A group policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Policy {
    /// Group policy id.
    pub id: u16,
    /// The egress must not learn the source address.
    pub dont_learn: bool,
    /// The policy has been applied already.
    pub applied: bool,
}

impl Policy {
    /// From its id and the flags' byte; other bits of that are ignored.
    pub const fn new(id: u16, flags: u8) -> Self {
        Self { id, dont_learn: flags & FLAG_DONT_LEARN != 0, applied: flags & FLAG_APPLIED != 0 }
    }

    /// The flags' byte, as it is on the wire and in `tun_gbp_flags`.
    pub const fn flags(self) -> u8 {
        (if self.dont_learn { FLAG_DONT_LEARN } else { 0 }) | if self.applied { FLAG_APPLIED } else { 0 }
    }
}

/// A valid header's meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Header {
    /// Network identifier.
    pub vni: Vni,
    /// Group policy, if there is one.
    pub policy: Option<Policy>,
}

impl Header {
    /// Reads and validates.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let view = View::new_checked(bytes)?;
        if !view.has_vni() {
            return Err(HeaderError::NoVni(bytes[0]));
        }
        Ok(Self { vni: view.vni(), policy: view.policy() })
    }

    /// Writes it.
    pub fn emit(&self) -> [u8; LEN] {
        let [v0, v1, v2] = self.vni.to_bytes();
        let Some(policy) = self.policy else { return [FLAG_VNI, 0, 0, 0, v0, v1, v2, 0] };
        let [p0, p1] = policy.id.to_be_bytes();
        [FLAG_VNI | FLAG_POLICY, policy.flags(), p0, p1, v0, v1, v2, 0]
    }

    /// Writes it as a GPE header, which has no room for a policy, in front of `next`.
    pub fn emit_gpe(&self, next: Inner) -> Option<[u8; LEN]> {
        let [v0, v1, v2] = self.vni.to_bytes();
        let protocol = next.gpe_protocol()?;
        Some([FLAG_VNI | FLAG_NEXT_PROTOCOL, 0, 0, protocol, v0, v1, v2, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_header() {
        let bytes = [8, 0, 0, 0, 0, 0x13, 0x88, 0];
        let header = Header { vni: Vni::new(5000).unwrap(), policy: None };
        assert_eq!(Header::parse(&bytes), Ok(header));
        assert_eq!(header.emit(), bytes);
    }

    #[test]
    fn policy_round_trip() {
        for (dont_learn, applied) in [(false, false), (true, false), (false, true), (true, true)] {
            let policy = Some(Policy { id: 0x1234, dont_learn, applied });
            let header = Header { vni: Vni::MAX, policy };
            assert_eq!(Header::parse(&header.emit()), Ok(header));
        }
    }

    #[test]
    fn reserved_bits_are_ignored_and_errors_named() {
        let noisy = [0x7f, 0x37, 9, 9, 0, 0, 1, 0xff, 1, 2, 3];
        assert_eq!(Header::parse(&noisy), Ok(Header { vni: Vni::new(1).unwrap(), policy: None }));
        assert_eq!(View::new_checked(noisy).unwrap().payload(), [1, 2, 3]);
        assert_eq!(Header::parse(&noisy[..7]), Err(HeaderError::Short(7)));
        assert_eq!(Header::parse(&[0xf7, 0, 0, 0, 0, 0, 1, 0]), Err(HeaderError::NoVni(0xf7)));
    }
}
