//! Packets to and from controllers.

use crate::action::Action;
use crate::codec::nxm::{self, Rules};
use crate::error::OfError;
use crate::field::FieldId;
use crate::flow_match::Match;
use crate::message::actions;
use crate::message::prop::{self, PropType};
use crate::port::OfPort;
use crate::version::Version;
use crate::wire::{Reader, put_zeros, set_u16};
use bytes::{BufMut, Bytes};

/// In which form packet-ins are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PacketInFormat {
    /// The version's own message.
    #[default]
    Standard,
    /// Nicira's `NXT_PACKET_IN`.
    Nicira,
    /// Nicira's extensible `NXT_PACKET_IN2`.
    Nicira2,
}

/// Why a packet was sent to a controller, with the numbers of OpenFlow 1.4.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum PacketInReason {
    /// No flow matched, or a table-miss flow.
    #[default]
    NoMatch = 0,
    /// An output action.
    Action = 1,
    /// The TTL ran out.
    InvalidTtl = 2,
    /// An output action in an action set (before 1.4 `Action`).
    ActionSet = 3,
    /// An output action in a group (before 1.4 `Action`).
    Group = 4,
    /// An output action in a packet-out (before 1.4 `Action`).
    PacketOut = 5,
}

impl PacketInReason {
    fn from_wire(wire: u8) -> Result<PacketInReason, OfError> {
        Ok(match wire {
            0 => PacketInReason::NoMatch,
            1 => PacketInReason::Action,
            2 => PacketInReason::InvalidTtl,
            3 => PacketInReason::ActionSet,
            4 => PacketInReason::Group,
            5 => PacketInReason::PacketOut,
            _ => return Err(OfError::NXBRC_BAD_REASON),
        })
    }

    /// The number in `version`.
    pub fn to_wire(self, version: Version) -> u8 {
        match self {
            PacketInReason::ActionSet | PacketInReason::Group | PacketInReason::PacketOut
                if version < Version::V14 =>
            {
                PacketInReason::Action as u8
            }
            _ => self as u8,
        }
    }
}

/// A packet on its way to a controller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PacketIn {
    /// Why.
    pub reason: PacketInReason,
    /// Table of the flow.
    pub table_id: u8,
    /// Cookie of the flow; `None` if there was no flow.
    pub cookie: Option<u64>,
    /// Buffer that holds the packet; `u32::MAX` for none.
    pub buffer_id: u32,
    /// Length of the packet, of which `packet` may be the start.
    pub total_len: u32,
    /// The packet, perhaps cut.
    pub packet: Bytes,
    /// Pipeline fields: port, metadata, registers, tunnel, connection state; only exact or masked non-zero values.
    pub metadata: Match,
    /// What the action gave along ([`PacketInFormat::Nicira2`] only).
    pub userdata: Bytes,
    /// State from which the packet may be resumed, opaque to controllers ([`PacketInFormat::Nicira2`] only).
    pub continuation: Option<Bytes>,
}

/// A packet that a controller sends through the switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PacketOut {
    /// Buffer that holds the packet; `u32::MAX` if `packet` holds it.
    pub buffer_id: u32,
    /// The packet; empty if it is buffered.
    pub packet: Bytes,
    /// Ingress port (`in_port`, always there) and, from 1.5 on, other pipeline fields.
    pub metadata: Match,
    /// What to do with it.
    pub actions: Vec<Action>,
}

/// No buffer holds the packet.
pub const NO_BUFFER: u32 = u32::MAX;

/// Property types of `NXT_PACKET_IN2`.
const PACKET: u16 = 0;
const FULL_LEN: u16 = 1;
const BUFFER_ID: u16 = 2;
const TABLE_ID: u16 = 3;
const COOKIE: u16 = 4;
const REASON: u16 = 5;
const METADATA: u16 = 6;
const USERDATA: u16 = 7;
const CONTINUATION: u16 = 8;

/// Bytes before the packet that align its network header.
const ALIGN: usize = 2;

impl Default for PacketIn {
    fn default() -> PacketIn {
        PacketIn {
            reason: PacketInReason::NoMatch,
            table_id: 0,
            cookie: None,
            buffer_id: NO_BUFFER,
            total_len: 0,
            packet: Bytes::new(),
            metadata: Match::any(),
            userdata: Bytes::new(),
            continuation: None,
        }
    }
}

impl PacketIn {
    /// Reads the body of the version's own packet-in.
    pub(super) fn decode(version: Version, body: &[u8]) -> Result<PacketIn, OfError> {
        let mut reader = Reader::new(body);
        let mut pin = PacketIn { buffer_id: reader.u32()?, ..Default::default() };
        match version {
            Version::V10 => {
                pin.total_len = u32::from(reader.u16()?);
                pin.metadata.set_in_port(OfPort::from_u16(reader.u16()?));
                pin.reason = PacketInReason::from_wire(reader.u8()?)?;
                reader.skip(1)?;
            }
            Version::V11 => {
                pin.metadata.set_in_port(OfPort::from_u32(reader.u32()?)?);
                reader.skip(4)?;
                pin.total_len = u32::from(reader.u16()?);
                pin.decode_why(&mut reader)?;
            }
            _ => {
                pin.total_len = u32::from(reader.u16()?);
                pin.decode_why(&mut reader)?;
                if version >= Version::V13 {
                    pin.cookie = some_cookie(reader.u64()?);
                }
                pin.metadata = nxm::pull_oxm(&mut reader, true)?;
                reader.skip(ALIGN)?;
            }
        }
        pin.packet = Bytes::copy_from_slice(reader.rest());
        Ok(pin)
    }

    fn decode_why(&mut self, reader: &mut Reader<'_>) -> Result<(), OfError> {
        self.reason = PacketInReason::from_wire(reader.u8()?)?;
        self.table_id = reader.u8()?;
        Ok(())
    }

    /// Reads the body of `NXT_PACKET_IN`.
    pub(super) fn decode_nicira(body: &[u8]) -> Result<PacketIn, OfError> {
        let mut reader = Reader::new(body);
        let mut pin = PacketIn { buffer_id: reader.u32()?, ..Default::default() };
        pin.total_len = u32::from(reader.u16()?);
        pin.decode_why(&mut reader)?;
        pin.cookie = some_cookie(reader.u64()?);
        let len = usize::from(reader.u16()?);
        reader.skip(6)?;
        pin.metadata = nxm::pull_nxm(&mut reader, len, Rules { cookie: false, loose: true })?.flow_match;
        reader.skip(ALIGN)?;
        pin.packet = Bytes::copy_from_slice(reader.rest());
        Ok(pin)
    }

    /// Reads the body of `NXT_PACKET_IN2` or, without `loose`, of `NXT_RESUME`.
    pub(super) fn decode_nicira2(body: &[u8], loose: bool) -> Result<PacketIn, OfError> {
        let mut reader = Reader::new(body);
        let mut pin = PacketIn::default();
        while !reader.is_empty() {
            let (kind, contents) = prop::take(&mut reader)?;
            match kind {
                PropType::Plain(kind @ PACKET..=CONTINUATION) => pin.decode_prop(kind, contents, loose)?,
                _ if loose => {}
                _ => return Err(kind.unknown()),
            }
        }
        if pin.packet.is_empty() {
            return Err(OfError::OFPBRC_BAD_LEN);
        }
        let len = pin.packet.len() as u32;
        if pin.total_len == 0 {
            pin.total_len = len;
        } else if pin.total_len < len {
            return Err(OfError::OFPBRC_BAD_LEN);
        }
        Ok(pin)
    }

    fn decode_prop(&mut self, kind: u16, mut contents: Reader<'_>, loose: bool) -> Result<(), OfError> {
        match kind {
            PACKET => self.packet = Bytes::copy_from_slice(contents.rest()),
            FULL_LEN => self.total_len = prop::only_u32(contents)?,
            BUFFER_ID => self.buffer_id = prop::only_u32(contents)?,
            TABLE_ID => self.table_id = prop::only_u8(contents)?,
            COOKIE => self.cookie = some_cookie(prop::only_u64(contents)?),
            REASON => self.reason = PacketInReason::from_wire(prop::only_u8(contents)?)?,
            METADATA => {
                self.metadata = nxm::parse(contents.rest(), Rules { cookie: false, loose })?.flow_match;
            }
            USERDATA => self.userdata = Bytes::copy_from_slice(contents.rest()),
            _ => self.continuation = Some(Bytes::copy_from_slice(contents.rest())),
        }
        Ok(())
    }

    /// Appends the body in a form.
    pub(super) fn encode_body(&self, version: Version, format: PacketInFormat, out: &mut Vec<u8>) {
        match format {
            PacketInFormat::Standard => self.encode_standard(version, out),
            PacketInFormat::Nicira => self.encode_nicira(version, out),
            PacketInFormat::Nicira2 => self.encode_nicira2(version, out),
        }
    }

    fn encode_standard(&self, version: Version, out: &mut Vec<u8>) {
        let in_port = self.metadata.in_port().unwrap_or(OfPort(0));
        out.put_u32(self.buffer_id);
        match version {
            Version::V10 => {
                out.put_u16(self.total_len as u16);
                out.put_u16(in_port.to_u16());
                out.put_u8(self.reason.to_wire(version));
                out.put_u8(0);
            }
            Version::V11 => {
                out.put_u32(in_port.0);
                out.put_u32(in_port.0);
                out.put_u16(self.total_len as u16);
                out.extend_from_slice(&[self.reason.to_wire(version), self.table_id]);
            }
            _ => {
                out.put_u16(self.total_len as u16);
                out.extend_from_slice(&[self.reason.to_wire(version), self.table_id]);
                if version >= Version::V13 {
                    out.put_u64(self.cookie.unwrap_or(u64::MAX));
                }
                nxm::put_oxm(out, &self.metadata, version);
                put_zeros(out, ALIGN);
            }
        }
        out.extend_from_slice(&self.packet);
    }

    fn encode_nicira(&self, version: Version, out: &mut Vec<u8>) {
        out.put_u32(self.buffer_id);
        out.put_u16(self.total_len as u16);
        out.extend_from_slice(&[self.reason.to_wire(version), self.table_id]);
        out.put_u64(self.cookie.unwrap_or(u64::MAX));
        let len_at = out.len();
        put_zeros(out, 8);
        let len = nxm::put_nxm(out, &self.metadata, Version::V10, (0, 0));
        set_u16(out, len_at, len as u16);
        put_zeros(out, ALIGN);
        out.extend_from_slice(&self.packet);
    }

    fn encode_nicira2(&self, version: Version, out: &mut Vec<u8>) {
        prop::put(out, PropType::Plain(PACKET), |out| out.extend_from_slice(&self.packet));
        if self.total_len as usize != self.packet.len() {
            prop::put_u32(out, FULL_LEN, self.total_len);
        }
        if self.buffer_id != NO_BUFFER {
            prop::put_u32(out, BUFFER_ID, self.buffer_id);
        }
        prop::put(out, PropType::Plain(TABLE_ID), |out| out.put_u8(self.table_id));
        if let Some(cookie) = self.cookie {
            prop::put_u64(out, COOKIE, cookie);
        }
        prop::put(out, PropType::Plain(REASON), |out| out.put_u8(self.reason.to_wire(version)));
        prop::put(out, PropType::Plain(METADATA), |out| nxm::put_bare(out, &self.metadata, version));
        if let Some(continuation) = &self.continuation {
            prop::put(out, PropType::Plain(CONTINUATION), |out| out.extend_from_slice(continuation));
        }
        if !self.userdata.is_empty() {
            prop::put(out, PropType::Plain(USERDATA), |out| out.extend_from_slice(&self.userdata));
        }
    }
}

fn some_cookie(wire: u64) -> Option<u64> {
    (wire != u64::MAX).then_some(wire)
}

/// Whether a match looks at no more than the fields that a packet-out may set.
fn is_pipeline_only(metadata: &Match) -> bool {
    let pipeline = |id: &FieldId| {
        let more = [
            FieldId::InPort,
            FieldId::InPortOxm,
            FieldId::ActsetOutput,
            FieldId::PacketType,
            FieldId::Metadata,
        ];
        id.info().is_register() || id.name().starts_with("tun_") || more.contains(id)
    };
    let mut rest = *metadata;
    FieldId::all().filter(pipeline).for_each(|id| rest.clear(id));
    rest.is_any()
}

impl PacketOut {
    /// Reads the body.
    pub(super) fn decode(version: Version, body: &[u8]) -> Result<PacketOut, OfError> {
        let mut reader = Reader::new(body);
        let buffer_id = reader.u32()?;
        let mut metadata = Match::any();
        let actions_len = match version {
            Version::V10 => {
                metadata.set_in_port(OfPort::from_u16(reader.u16()?));
                reader.u16()?
            }
            Version::V15 => {
                let len = reader.u16()?;
                reader.skip(2)?;
                metadata = nxm::pull_oxm(&mut reader, true)?;
                if !is_pipeline_only(&metadata) {
                    return Err(OfError::OFPBRC_PIPELINE_FIELDS_ONLY);
                }
                if metadata.in_port().is_none_or(|port| port == OfPort(0)) {
                    return Err(OfError::OFPBRC_BAD_PORT);
                }
                len
            }
            _ => {
                metadata.set_in_port(OfPort::from_u32(reader.u32()?)?);
                let len = reader.u16()?;
                reader.skip(6)?;
                len
            }
        };
        let actions = actions::take(version, &mut reader, usize::from(actions_len))?;
        let in_port = metadata.in_port().unwrap_or_default();
        if in_port.is_reserved() && ![OfPort::LOCAL, OfPort::NONE, OfPort::CONTROLLER].contains(&in_port) {
            return Err(OfError::OFPBRC_BAD_PORT);
        }
        let packet =
            if buffer_id == NO_BUFFER { Bytes::copy_from_slice(reader.rest()) } else { Bytes::new() };
        Ok(PacketOut { buffer_id, packet, metadata, actions })
    }

    /// Appends the body.
    pub(super) fn encode_body(&self, version: Version, out: &mut Vec<u8>) {
        let in_port = self.metadata.in_port().unwrap_or(OfPort::NONE);
        out.put_u32(self.buffer_id);
        if version == Version::V10 {
            out.put_u16(in_port.to_u16());
        } else if version < Version::V15 {
            out.put_u32(in_port.0);
        }
        let len_at = out.len();
        match version {
            Version::V10 => put_zeros(out, 2),
            Version::V15 => {
                put_zeros(out, 4);
                nxm::put_oxm(out, &self.metadata, version);
            }
            _ => put_zeros(out, 8),
        }
        let start = out.len();
        actions::put(version, &self.actions, out);
        let len = out.len() - start;
        set_u16(out, len_at, len as u16);
        out.extend_from_slice(&self.packet);
    }
}
