//! Bundles: messages that take effect together (OpenFlow 1.4 clause 7.3.9, ONF extension 230 for 1.3).

use crate::error::OfError;
use crate::header::{HEADER_LEN, Header};
use crate::message::kind::{self, Kind};
use crate::wire::Reader;
use bitflags::bitflags;
use bytes::{BufMut, Bytes};

bitflags! {
    /// How a bundle takes effect.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct BundleFlags: u16 {
        /// All or nothing, for every packet.
        const ATOMIC = 1;
        /// In the order of the messages.
        const ORDERED = 2;
        // Bits that are not known are kept: refusing them is the switch's decision.
        const _ = !0;
    }
}

/// What a bundle control message asks for or answers: an even number asks, the next odd one answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BundleCommand(pub u16);

impl BundleCommand {
    /// Open a bundle.
    pub const OPEN_REQUEST: BundleCommand = BundleCommand(0);
    /// The bundle is open.
    pub const OPEN_REPLY: BundleCommand = BundleCommand(1);
    /// Close it to further messages.
    pub const CLOSE_REQUEST: BundleCommand = BundleCommand(2);
    /// It is closed.
    pub const CLOSE_REPLY: BundleCommand = BundleCommand(3);
    /// Let it take effect.
    pub const COMMIT_REQUEST: BundleCommand = BundleCommand(4);
    /// It has taken effect.
    pub const COMMIT_REPLY: BundleCommand = BundleCommand(5);
    /// Forget it.
    pub const DISCARD_REQUEST: BundleCommand = BundleCommand(6);
    /// It is forgotten.
    pub const DISCARD_REPLY: BundleCommand = BundleCommand(7);
}

/// A bundle control message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BundleControl {
    /// Which bundle of this connection.
    pub bundle_id: u32,
    /// What is to be done, or was.
    pub command: BundleCommand,
    /// How the bundle takes effect.
    pub flags: BundleFlags,
}

impl BundleControl {
    /// Reads the body.
    pub(super) fn decode(body: &[u8]) -> Result<BundleControl, OfError> {
        let mut reader = Reader::new(body);
        Ok(BundleControl {
            bundle_id: reader.u32()?,
            command: BundleCommand(reader.u16()?),
            flags: BundleFlags::from_bits_retain(reader.u16()?),
        })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u32(self.bundle_id);
        out.put_u16(self.command.0);
        out.put_u16(self.flags.bits());
    }
}

/// A message that joins a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BundleAdd {
    /// Which bundle.
    pub bundle_id: u32,
    /// The bundle's flags.
    pub flags: BundleFlags,
    /// The message, whole; its body has not been looked at.
    pub message: Bytes,
}

impl BundleAdd {
    /// Reads the body of the message whose header is `outer`: the inner message must have its version and transaction id, and be one
    /// that may stand in a bundle.
    pub(super) fn decode(outer: &Header, body: &[u8]) -> Result<BundleAdd, OfError> {
        let mut reader = Reader::or(body, OfError::OFPBFC_MSG_BAD_LEN);
        let bundle_id = reader.u32()?;
        reader.skip(2)?;
        let flags = BundleFlags::from_bits_retain(reader.u16()?);
        let header = Header::parse(reader.peek()).ok_or(OfError::OFPBFC_MSG_BAD_LEN)?;
        if header.version != outer.version {
            return Err(OfError::OFPBFC_BAD_VERSION);
        }
        let length = usize::from(header.length);
        if length < HEADER_LEN {
            return Err(OfError::OFPBFC_MSG_BAD_LEN);
        }
        let message = reader.bytes(length)?;
        if header.xid != outer.xid {
            return Err(OfError::OFPBFC_MSG_BAD_XID);
        }
        // What is wrong within it shows when it is read itself.
        match kind::kind_of(message) {
            Ok(Kind::FlowMod | Kind::NxFlowMod | Kind::GroupMod | Kind::PortMod | Kind::PacketOut) => {}
            _ => return Err(OfError::OFPBFC_MSG_UNSUP),
        }
        Ok(BundleAdd { bundle_id, flags, message: Bytes::copy_from_slice(message) })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, out: &mut Vec<u8>) {
        out.put_u32(self.bundle_id);
        out.put_u16(0);
        out.put_u16(self.flags.bits());
        out.extend_from_slice(&self.message);
    }
}

/// Reads the body of a forwarded request: a group-mod or meter-mod of another controller, whole.
pub(super) fn decode_forward(body: &[u8]) -> Result<Bytes, OfError> {
    let header = Header::parse(body).ok_or(OfError::OFPBFC_MSG_BAD_LEN)?;
    let length = usize::from(header.length);
    if length < HEADER_LEN || length > body.len() {
        return Err(OfError::OFPBFC_MSG_BAD_LEN);
    }
    match kind::identify(&body[..length])?.kind {
        Kind::GroupMod | Kind::MeterMod => Ok(Bytes::copy_from_slice(&body[..length])),
        _ => Err(OfError::OFPBFC_MSG_UNSUP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(inner: &[u8]) -> Result<BundleAdd, OfError> {
        let outer = Header { version: 5, kind: 34, length: 0, xid: 1 };
        let body: Vec<u8> = [0, 0, 0, 9, 0, 0, 0, 2].iter().chain(inner).copied().collect();
        BundleAdd::decode(&outer, &body)
    }

    #[test]
    fn inner_messages_are_checked() {
        let mut port_mod = vec![5, 16, 0, 32, 0, 0, 0, 1];
        port_mod.resize(32, 0);
        assert_eq!(decode(&port_mod).map(|b| (b.bundle_id, b.flags)), Ok((9, BundleFlags::ORDERED)));
        assert_eq!(decode(&port_mod[..31]), Err(OfError::OFPBFC_MSG_BAD_LEN));
        assert_eq!(decode(&port_mod[..7]), Err(OfError::OFPBFC_MSG_BAD_LEN));
        let change = |at: usize, to: u8| {
            let mut bytes = port_mod.clone();
            bytes[at] = to;
            decode(&bytes).unwrap_err()
        };
        assert_eq!(change(0, 4), OfError::OFPBFC_BAD_VERSION);
        assert_eq!(change(3, 7), OfError::OFPBFC_MSG_BAD_LEN);
        assert_eq!(change(7, 2), OfError::OFPBFC_MSG_BAD_XID);
        assert_eq!(decode(&[5, 5, 0, 8, 0, 0, 0, 1]), Err(OfError::OFPBFC_MSG_UNSUP));
        assert_eq!(decode(&[5, 99, 0, 8, 0, 0, 0, 1]), Err(OfError::OFPBFC_MSG_UNSUP));
    }
}
