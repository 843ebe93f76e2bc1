//! What a message is: the place of every message type in every version, and how long its body may be.
//!
//! A message is known by its type byte; by vendor and subtype for an experimenter message; by statistics type for a multipart one;
//! by all of them for an experimenter's multipart. One table gives, for each [`Kind`] and range of versions, that place and the
//! bounds of the body that follows all those headers. [`identify`] reads the headers, [`start`] writes them.

use crate::error::{NICIRA, ONF, OfError};
use crate::header::{HEADER_LEN, Header};
use crate::version::Version;
use crate::wire::{Reader, put_zeros};
use bytes::BufMut;

/// The type of an experimenter message.
const OFPT_EXPERIMENTER: u8 = 4;
/// The statistics type of an experimenter multipart.
const OFPST_EXPERIMENTER: u16 = 0xffff;
/// Multipart flag: more messages follow.
const OFPSF_MORE: u16 = 1;

/// A type of message, whatever its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum Kind {
    Hello,
    Error,
    EchoRequest,
    EchoReply,
    FeaturesRequest,
    FeaturesReply,
    GetConfigRequest,
    GetConfigReply,
    SetConfig,
    PacketIn,
    FlowRemoved,
    PortStatus,
    PacketOut,
    FlowMod,
    GroupMod,
    PortMod,
    TableMod,
    BarrierRequest,
    BarrierReply,
    QueueGetConfigRequest,
    QueueGetConfigReply,
    RoleRequest,
    RoleReply,
    GetAsyncRequest,
    GetAsyncReply,
    SetAsync,
    MeterMod,
    RoleStatus,
    TableStatus,
    RequestForward,
    BundleControl,
    BundleAdd,
    NxRoleRequest,
    NxRoleReply,
    NxSetFlowFormat,
    NxFlowMod,
    NxFlowRemoved,
    NxFlowModTableId,
    NxSetPacketInFormat,
    NxPacketIn,
    NxFlowAge,
    NxSetAsync,
    NxSetControllerId,
    FlowMonitorCancel,
    FlowMonitorPaused,
    FlowMonitorResumed,
    NxTlvTableMod,
    NxTlvTableRequest,
    NxTlvTableReply,
    NxSetAsync2,
    NxResume,
    NxCtFlushZone,
    NxPacketIn2,
    NxCtFlush,
    DescRequest,
    DescReply,
    FlowRequest,
    FlowReply,
    NxFlowRequest,
    NxFlowReply,
    AggregateRequest,
    AggregateReply,
    NxAggregateRequest,
    NxAggregateReply,
    TableRequest,
    TableReply,
    PortRequest,
    PortReply,
    QueueRequest,
    QueueReply,
    GroupRequest,
    GroupReply,
    GroupDescRequest,
    GroupDescReply,
    GroupFeaturesRequest,
    GroupFeaturesReply,
    MeterRequest,
    MeterReply,
    MeterConfigRequest,
    MeterConfigReply,
    MeterFeaturesRequest,
    MeterFeaturesReply,
    TableFeaturesRequest,
    TableFeaturesReply,
    PortDescRequest,
    PortDescReply,
    TableDescRequest,
    TableDescReply,
    QueueDescRequest,
    QueueDescReply,
    FlowMonitorRequest,
    FlowMonitorReply,
    IpfixBridgeRequest,
    IpfixBridgeReply,
    IpfixFlowRequest,
    IpfixFlowReply,
}

/// Where a kind stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// A type of its own.
    Type(u8),
    /// An experimenter's message.
    Vendor(u32, u32),
    /// A multipart request.
    Request(u16),
    /// A multipart reply.
    Reply(u16),
    /// An experimenter's multipart request.
    VendorRequest(u32, u32),
    /// An experimenter's multipart reply.
    VendorReply(u32, u32),
}
use Place::{Reply, Request, Type, Vendor, VendorReply, VendorRequest};

struct Row {
    kind: Kind,
    place: Place,
    /// First and last version, as on the wire.
    from: u8,
    to: u8,
    /// Bytes that the body has at least.
    min: usize,
    /// What the bytes beyond that are a multiple of; 0 where there are none.
    unit: usize,
}

const fn row(kind: Kind, place: Place, from: u8, to: u8, min: usize, unit: usize) -> Row {
    Row { kind, place, from, to, min, unit }
}

/// All places. Versions are wire numbers: 1 is OpenFlow 1.0, 6 is OpenFlow 1.5.
#[rustfmt::skip]
static ROWS: &[Row] = &[
    row(Kind::Hello, Type(0), 1, 6, 0, 1),
    row(Kind::Error, Type(1), 1, 6, 4, 1),
    row(Kind::EchoRequest, Type(2), 1, 6, 0, 1),
    row(Kind::EchoReply, Type(3), 1, 6, 0, 1),
    row(Kind::FeaturesRequest, Type(5), 1, 6, 0, 0),
    row(Kind::FeaturesReply, Type(6), 1, 1, 24, 48),
    row(Kind::FeaturesReply, Type(6), 2, 3, 24, 64),
    row(Kind::FeaturesReply, Type(6), 4, 6, 24, 0),
    row(Kind::GetConfigRequest, Type(7), 1, 6, 0, 0),
    row(Kind::GetConfigReply, Type(8), 1, 6, 4, 0),
    row(Kind::SetConfig, Type(9), 1, 6, 4, 0),
    row(Kind::PacketIn, Type(10), 1, 1, 10, 1),
    row(Kind::PacketIn, Type(10), 2, 2, 16, 1),
    row(Kind::PacketIn, Type(10), 3, 3, 8, 1),
    row(Kind::PacketIn, Type(10), 4, 6, 16, 1),
    row(Kind::FlowRemoved, Type(11), 1, 1, 80, 0),
    row(Kind::FlowRemoved, Type(11), 2, 5, 40, 8),
    row(Kind::FlowRemoved, Type(11), 6, 6, 16, 8),
    row(Kind::PortStatus, Type(12), 1, 1, 56, 0),
    row(Kind::PortStatus, Type(12), 2, 4, 72, 0),
    row(Kind::PortStatus, Type(12), 5, 6, 48, 8),
    row(Kind::PacketOut, Type(13), 1, 1, 8, 1),
    row(Kind::PacketOut, Type(13), 2, 5, 16, 1),
    row(Kind::PacketOut, Type(13), 6, 6, 8, 1),
    row(Kind::FlowMod, Type(14), 1, 1, 64, 8),
    row(Kind::FlowMod, Type(14), 2, 6, 40, 8),
    row(Kind::PortMod, Type(15), 1, 1, 24, 0),
    row(Kind::GroupMod, Type(15), 2, 5, 8, 8),
    row(Kind::GroupMod, Type(15), 6, 6, 16, 8),
    row(Kind::GroupMod, Vendor(NICIRA, 31), 1, 1, 16, 8),
    row(Kind::PortMod, Type(16), 2, 4, 32, 0),
    row(Kind::PortMod, Type(16), 5, 6, 24, 8),
    row(Kind::TableMod, Type(17), 2, 4, 8, 0),
    row(Kind::TableMod, Type(17), 5, 6, 8, 8),
    row(Kind::BarrierRequest, Type(18), 1, 1, 0, 0),
    row(Kind::BarrierReply, Type(19), 1, 1, 0, 0),
    row(Kind::BarrierRequest, Type(20), 2, 6, 0, 0),
    row(Kind::BarrierReply, Type(21), 2, 6, 0, 0),
    row(Kind::QueueGetConfigRequest, Type(20), 1, 1, 4, 0),
    row(Kind::QueueGetConfigReply, Type(21), 1, 1, 8, 8),
    row(Kind::QueueGetConfigRequest, Type(22), 2, 4, 8, 0),
    row(Kind::QueueGetConfigReply, Type(23), 2, 4, 8, 8),
    row(Kind::RoleRequest, Type(24), 3, 6, 16, 0),
    row(Kind::RoleReply, Type(25), 3, 6, 16, 0),
    row(Kind::GetAsyncRequest, Type(26), 4, 6, 0, 0),
    row(Kind::GetAsyncReply, Type(27), 4, 4, 24, 0),
    row(Kind::GetAsyncReply, Type(27), 5, 6, 0, 8),
    row(Kind::SetAsync, Type(28), 4, 4, 24, 0),
    row(Kind::SetAsync, Type(28), 5, 6, 0, 8),
    row(Kind::MeterMod, Type(29), 4, 6, 8, 8),
    row(Kind::RoleStatus, Vendor(ONF, 1911), 4, 4, 16, 8),
    row(Kind::RoleStatus, Type(30), 5, 6, 16, 8),
    row(Kind::TableStatus, Type(31), 5, 6, 8, 8),
    row(Kind::RequestForward, Vendor(NICIRA, 132), 1, 3, 8, 8),
    row(Kind::RequestForward, Vendor(ONF, 2350), 4, 4, 8, 8),
    row(Kind::RequestForward, Type(32), 5, 6, 8, 8),
    row(Kind::BundleControl, Vendor(ONF, 2300), 4, 4, 8, 8),
    row(Kind::BundleControl, Type(33), 5, 6, 8, 8),
    row(Kind::BundleAdd, Vendor(ONF, 2301), 4, 4, 8, 1),
    row(Kind::BundleAdd, Type(34), 5, 6, 8, 1),
    row(Kind::NxRoleRequest, Vendor(NICIRA, 10), 1, 6, 4, 0),
    row(Kind::NxRoleReply, Vendor(NICIRA, 11), 1, 6, 4, 0),
    row(Kind::NxSetFlowFormat, Vendor(NICIRA, 12), 1, 1, 4, 0),
    row(Kind::NxFlowMod, Vendor(NICIRA, 13), 1, 6, 32, 8),
    row(Kind::NxFlowRemoved, Vendor(NICIRA, 14), 1, 6, 40, 8),
    row(Kind::NxFlowModTableId, Vendor(NICIRA, 15), 1, 6, 8, 0),
    row(Kind::NxSetPacketInFormat, Vendor(NICIRA, 16), 1, 6, 4, 0),
    row(Kind::NxPacketIn, Vendor(NICIRA, 17), 1, 6, 24, 1),
    row(Kind::NxFlowAge, Vendor(NICIRA, 18), 1, 6, 0, 0),
    row(Kind::NxSetAsync, Vendor(NICIRA, 19), 1, 6, 24, 0),
    row(Kind::NxSetControllerId, Vendor(NICIRA, 20), 1, 6, 8, 0),
    row(Kind::FlowMonitorCancel, Vendor(NICIRA, 21), 1, 3, 4, 0),
    row(Kind::FlowMonitorPaused, Vendor(NICIRA, 22), 1, 3, 0, 0),
    row(Kind::FlowMonitorResumed, Vendor(NICIRA, 23), 1, 3, 0, 0),
    row(Kind::FlowMonitorCancel, Vendor(ONF, 1870), 4, 4, 4, 0),
    row(Kind::FlowMonitorPaused, Vendor(ONF, 1871), 4, 4, 0, 0),
    row(Kind::FlowMonitorResumed, Vendor(ONF, 1872), 4, 4, 0, 0),
    row(Kind::NxTlvTableMod, Vendor(NICIRA, 24), 1, 6, 8, 8),
    row(Kind::NxTlvTableRequest, Vendor(NICIRA, 25), 1, 6, 0, 0),
    row(Kind::NxTlvTableReply, Vendor(NICIRA, 26), 1, 6, 16, 8),
    row(Kind::NxSetAsync2, Vendor(NICIRA, 27), 1, 4, 0, 8),
    row(Kind::NxResume, Vendor(NICIRA, 28), 1, 6, 0, 8),
    row(Kind::NxCtFlushZone, Vendor(NICIRA, 29), 1, 6, 8, 0),
    row(Kind::NxPacketIn2, Vendor(NICIRA, 30), 1, 6, 0, 8),
    row(Kind::NxCtFlush, Vendor(NICIRA, 32), 1, 6, 8, 8),
    row(Kind::DescRequest, Request(0), 1, 6, 0, 0),
    row(Kind::DescReply, Reply(0), 1, 6, 1056, 0),
    row(Kind::FlowRequest, Request(1), 1, 1, 44, 0),
    row(Kind::FlowRequest, Request(1), 2, 6, 32, 8),
    row(Kind::FlowReply, Reply(1), 1, 6, 0, 1),
    row(Kind::NxFlowRequest, VendorRequest(NICIRA, 0), 1, 1, 8, 8),
    row(Kind::NxFlowReply, VendorReply(NICIRA, 0), 1, 1, 0, 1),
    row(Kind::AggregateRequest, Request(2), 1, 1, 44, 0),
    row(Kind::AggregateRequest, Request(2), 2, 6, 32, 8),
    row(Kind::AggregateReply, Reply(2), 1, 5, 24, 0),
    row(Kind::AggregateReply, Reply(2), 6, 6, 0, 1),
    row(Kind::NxAggregateRequest, VendorRequest(NICIRA, 1), 1, 1, 8, 8),
    row(Kind::NxAggregateReply, VendorReply(NICIRA, 1), 1, 1, 24, 0),
    row(Kind::TableRequest, Request(3), 1, 6, 0, 0),
    row(Kind::TableReply, Reply(3), 1, 1, 0, 64),
    row(Kind::TableReply, Reply(3), 2, 2, 0, 88),
    row(Kind::TableReply, Reply(3), 3, 3, 0, 128),
    row(Kind::TableReply, Reply(3), 4, 6, 0, 24),
    row(Kind::PortRequest, Request(4), 1, 6, 8, 0),
    row(Kind::PortReply, Reply(4), 1, 3, 0, 104),
    row(Kind::PortReply, Reply(4), 4, 4, 0, 112),
    row(Kind::PortReply, Reply(4), 5, 6, 0, 8),
    row(Kind::QueueRequest, Request(5), 1, 6, 8, 0),
    row(Kind::QueueReply, Reply(5), 1, 3, 0, 32),
    row(Kind::QueueReply, Reply(5), 4, 4, 0, 40),
    row(Kind::QueueReply, Reply(5), 5, 6, 0, 8),
    row(Kind::GroupRequest, VendorRequest(NICIRA, 7), 1, 1, 8, 0),
    row(Kind::GroupRequest, Request(6), 2, 6, 8, 0),
    row(Kind::GroupReply, VendorReply(NICIRA, 7), 1, 1, 0, 8),
    row(Kind::GroupReply, Reply(6), 2, 6, 0, 8),
    row(Kind::GroupDescRequest, VendorRequest(NICIRA, 8), 1, 1, 8, 0),
    row(Kind::GroupDescRequest, Request(7), 2, 5, 0, 0),
    row(Kind::GroupDescRequest, Request(7), 6, 6, 8, 0),
    row(Kind::GroupDescReply, VendorReply(NICIRA, 8), 1, 1, 0, 8),
    row(Kind::GroupDescReply, Reply(7), 2, 6, 0, 8),
    row(Kind::GroupFeaturesRequest, VendorRequest(NICIRA, 9), 1, 2, 0, 0),
    row(Kind::GroupFeaturesRequest, Request(8), 3, 6, 0, 0),
    row(Kind::GroupFeaturesReply, VendorReply(NICIRA, 9), 1, 2, 40, 0),
    row(Kind::GroupFeaturesReply, Reply(8), 3, 6, 40, 0),
    row(Kind::MeterRequest, Request(9), 4, 6, 8, 0),
    row(Kind::MeterReply, Reply(9), 4, 6, 0, 8),
    row(Kind::MeterConfigRequest, Request(10), 4, 6, 8, 0),
    row(Kind::MeterConfigReply, Reply(10), 4, 6, 0, 8),
    row(Kind::MeterFeaturesRequest, Request(11), 4, 6, 0, 0),
    row(Kind::MeterFeaturesReply, Reply(11), 4, 6, 16, 0),
    row(Kind::TableFeaturesRequest, Request(12), 4, 6, 0, 8),
    row(Kind::TableFeaturesReply, Reply(12), 4, 6, 64, 8),
    row(Kind::PortDescRequest, Request(13), 1, 5, 0, 0),
    row(Kind::PortDescRequest, Request(13), 6, 6, 8, 0),
    row(Kind::PortDescReply, Reply(13), 1, 1, 0, 48),
    row(Kind::PortDescReply, Reply(13), 2, 4, 0, 64),
    row(Kind::PortDescReply, Reply(13), 5, 6, 0, 8),
    row(Kind::TableDescRequest, Request(14), 5, 6, 0, 0),
    row(Kind::TableDescReply, Reply(14), 5, 6, 8, 8),
    row(Kind::QueueDescRequest, Request(15), 5, 6, 8, 0),
    row(Kind::QueueDescReply, Reply(15), 5, 6, 0, 8),
    row(Kind::FlowMonitorRequest, VendorRequest(NICIRA, 2), 1, 3, 0, 8),
    row(Kind::FlowMonitorReply, VendorReply(NICIRA, 2), 1, 3, 0, 8),
    row(Kind::FlowMonitorRequest, VendorRequest(ONF, 1870), 4, 4, 0, 8),
    row(Kind::FlowMonitorReply, VendorReply(ONF, 1870), 4, 4, 0, 8),
    row(Kind::FlowMonitorRequest, Request(16), 5, 6, 0, 8),
    row(Kind::FlowMonitorReply, Reply(16), 5, 6, 0, 8),
    row(Kind::IpfixBridgeRequest, VendorRequest(NICIRA, 3), 1, 6, 0, 0),
    row(Kind::IpfixBridgeReply, VendorReply(NICIRA, 3), 1, 6, 104, 0),
    row(Kind::IpfixFlowRequest, VendorRequest(NICIRA, 4), 1, 6, 0, 0),
    row(Kind::IpfixFlowReply, VendorReply(NICIRA, 4), 1, 6, 0, 8),
];

/// A message whose headers have been read.
#[derive(Clone, Copy, Debug)]
pub struct Identified<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its version.
    pub version: Version,
    /// Its transaction id.
    pub xid: u32,
    /// Multipart only: more messages follow.
    pub more: bool,
    /// What follows all headers.
    pub body: &'a [u8],
}

/// Types of multipart requests and replies in `version`.
fn multipart_types(version: Version) -> (u8, u8) {
    if version == Version::V10 { (16, 17) } else { (18, 19) }
}

/// Reads the headers of the message at the start of `message`, which must be whole, and checks its length.
pub fn identify(message: &[u8]) -> Result<Identified<'_>, OfError> {
    let (row, found) = locate(message)?;
    let fits = match (found.body.len().checked_sub(row.min), row.unit) {
        (None, _) => false,
        (Some(extra), 0) => extra == 0,
        (Some(extra), unit) => extra % unit == 0,
    };
    if fits { Ok(found) } else { Err(OfError::OFPBRC_BAD_LEN) }
}

/// The kind of a message, whatever the length of its body.
pub(super) fn kind_of(message: &[u8]) -> Result<Kind, OfError> {
    locate(message).map(|(row, _)| row.kind)
}

fn locate(message: &[u8]) -> Result<(&'static Row, Identified<'_>), OfError> {
    let header = Header::parse(message).ok_or(OfError::OFPBRC_BAD_LEN)?;
    if usize::from(header.length) != message.len() {
        return Err(OfError::OFPBRC_BAD_LEN);
    }
    let version = Version::from_wire(header.version).ok_or(OfError::OFPBRC_BAD_VERSION)?;
    let mut reader = Reader::new(&message[HEADER_LEN..]);
    let (place, more) = read_place(version, header.kind, &mut reader)?;
    let found = |r: &&Row| r.place == place && (r.from..=r.to).contains(&header.version);
    let row = ROWS.iter().find(found).ok_or_else(|| unknown(place))?;
    Ok((row, Identified { kind: row.kind, version, xid: header.xid, more, body: reader.rest() }))
}

fn unknown(place: Place) -> OfError {
    match place {
        Type(_) => OfError::OFPBRC_BAD_TYPE,
        Request(_) | Reply(_) => OfError::OFPBRC_BAD_STAT,
        _ => OfError::OFPBRC_BAD_SUBTYPE,
    }
}

fn read_place(version: Version, kind: u8, reader: &mut Reader<'_>) -> Result<(Place, bool), OfError> {
    let (request, reply) = multipart_types(version);
    if kind == OFPT_EXPERIMENTER {
        let (vendor, subtype) = take_vendor(reader)?;
        return Ok((Vendor(vendor, subtype), false));
    }
    if kind != request && kind != reply {
        return Ok((Type(kind), false));
    }
    let stat = reader.u16()?;
    let more = reader.u16()? & OFPSF_MORE != 0;
    if version != Version::V10 {
        reader.skip(4)?;
    }
    if stat != OFPST_EXPERIMENTER {
        return Ok((if kind == request { Request(stat) } else { Reply(stat) }, more));
    }
    if version == Version::V10 && reader.len() < 8 {
        // The vendor comes first where a subtype is Nicira's own idea.
        known_vendor(reader.u32()?)?;
    }
    let (vendor, subtype) = take_vendor(reader)?;
    if version == Version::V10 {
        reader.skip(4)?;
    }
    Ok((if kind == request { VendorRequest(vendor, subtype) } else { VendorReply(vendor, subtype) }, more))
}

/// Vendor and subtype. That there is no subtype counts before that the vendor is not known.
fn take_vendor(reader: &mut Reader<'_>) -> Result<(u32, u32), OfError> {
    let (vendor, subtype) = (reader.u32()?, reader.u32()?);
    Ok((known_vendor(vendor)?, subtype))
}

fn known_vendor(vendor: u32) -> Result<u32, OfError> {
    if vendor == NICIRA || vendor == ONF { Ok(vendor) } else { Err(OfError::OFPBRC_BAD_VENDOR) }
}

/// Appends the headers of a message of this kind, length zero and MORE clear; `None` if the version has no such message.
pub fn start(kind: Kind, version: Version, xid: u32, out: &mut Vec<u8>) -> Option<()> {
    let wire = version.wire();
    let row = ROWS.iter().find(|r| r.kind == kind && (r.from..=r.to).contains(&wire))?;
    let (request, reply) = multipart_types(version);
    let of_type = match row.place {
        Type(kind) => kind,
        Vendor(..) => OFPT_EXPERIMENTER,
        Request(_) | VendorRequest(..) => request,
        Reply(_) | VendorReply(..) => reply,
    };
    Header { version: wire, kind: of_type, length: 0, xid }.put(out);
    let stat = match row.place {
        Type(_) | Vendor(..) => None,
        Request(stat) | Reply(stat) => Some(stat),
        VendorRequest(..) | VendorReply(..) => Some(OFPST_EXPERIMENTER),
    };
    if let Some(stat) = stat {
        out.put_u16(stat);
        put_zeros(out, if version == Version::V10 { 2 } else { 6 });
    }
    if let Vendor(vendor, subtype) | VendorRequest(vendor, subtype) | VendorReply(vendor, subtype) = row.place
    {
        out.put_u32(vendor);
        out.put_u32(subtype);
        if stat.is_some() && version == Version::V10 {
            put_zeros(out, 4);
        }
    }
    Some(())
}

/// Sets the MORE flag of the multipart message at the start of `message`.
pub(super) fn set_more(message: &mut [u8]) {
    message[HEADER_LEN + 3] |= OFPSF_MORE as u8;
}

/// Clears the MORE flag of the multipart message at the start of `message`.
pub(super) fn clear_more(message: &mut [u8]) {
    message[HEADER_LEN + 3] &= !(OFPSF_MORE as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_written_and_read_back() {
        for row in ROWS {
            for wire in row.from..=row.to {
                let version = Version::from_wire(wire).unwrap();
                let mut out = Vec::new();
                start(row.kind, version, 7, &mut out).unwrap();
                put_zeros(&mut out, row.min);
                let length = u16::try_from(out.len()).unwrap();
                crate::wire::set_u16(&mut out, 2, length);
                let found = identify(&out).unwrap();
                assert_eq!((found.kind, found.version, found.xid), (row.kind, version, 7));
                assert_eq!(found.body.len(), row.min);
            }
        }
    }

    #[test]
    fn places_are_unique() {
        for (i, a) in ROWS.iter().enumerate() {
            for b in &ROWS[i + 1..] {
                let apart = a.to < b.from || b.to < a.from;
                assert!(apart || (a.place != b.place && a.kind != b.kind), "{:?} {:?}", a.kind, b.kind);
            }
        }
    }

    #[test]
    fn unknown_messages_have_exact_errors() {
        let identified = |bytes: &[u8]| identify(bytes).map(|i| i.kind);
        assert_eq!(identified(&[1, 99, 0, 8, 0, 0, 0, 0]), Err(OfError::OFPBRC_BAD_TYPE));
        assert_eq!(identified(&[9, 0, 0, 8, 0, 0, 0, 0]), Err(OfError::OFPBRC_BAD_VERSION));
        assert_eq!(identified(&[1, 4, 0, 8, 0, 0, 0, 0]), Err(OfError::OFPBRC_BAD_LEN));
        let vendor = [1, 4, 0, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
        assert_eq!(identified(&[1, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1]), Err(OfError::OFPBRC_BAD_LEN));
        assert_eq!(identified(&vendor), Err(OfError::OFPBRC_BAD_VENDOR));
        let subtype = [1, 4, 0, 16, 0, 0, 0, 0, 0, 0, 0x23, 0x20, 0, 0, 0, 99];
        assert_eq!(identified(&subtype), Err(OfError::OFPBRC_BAD_SUBTYPE));
        let stat = [4, 18, 0, 16, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0];
        assert_eq!(identified(&stat), Err(OfError::OFPBRC_BAD_STAT));
        assert_eq!(identified(&[1, 5, 0, 9, 0, 0, 0, 0, 0]), Err(OfError::OFPBRC_BAD_LEN));
    }
}
