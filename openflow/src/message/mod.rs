//! Messages: one value for each message that a switch and a controller exchange, whatever the version.
//!
//! [`decode`] makes a [`Message`] of bytes and [`Message::encode`] makes bytes of it. Where a message has more than one form in a
//! version (flow-mods and statistics in Nicira's form in 1.0, the three forms of packet-ins), the connection's [`Dialect`] says
//! which; a reply to a request that came in one of two forms carries which one it was.
//!
//! Long statistics replies are split over several messages at 64 KB, every one but the last with the MORE flag.

mod actions;
pub mod bundle;
pub mod ct_flush;
pub mod features;
pub mod group;
pub mod hello;
pub mod kind;
pub mod meter;
pub mod monitor;
pub mod multipart;
pub mod packet;
pub mod port;
pub mod port_stats;
pub(crate) mod prop;
pub mod queue;
pub mod role;
pub mod table;
pub mod table_features;
pub mod tlv;

pub use bundle::{BundleAdd, BundleCommand, BundleControl, BundleFlags};
pub use ct_flush::{CtFlush, CtTuple};
pub use features::{Aggregate, Capabilities, Desc, Features, FragMode, SwitchConfig};
pub use group::{Bucket, GroupCommand, GroupDesc, GroupFeatures, GroupMod, GroupStats, GroupType};
pub use hello::{ErrorMsg, Hello};
pub use kind::Kind;
pub use meter::{MeterConfig, MeterFeatures, MeterMod, MeterStats};
pub use monitor::{MonitorFlags, MonitorFlow, MonitorRequest, MonitorUpdate};
pub use multipart::{ReplyWriter, StatsReply, StatsRequest};
pub use packet::{PacketIn, PacketInFormat, PacketInReason, PacketOut};
pub use port::{PortConfig, PortDesc, PortFeatures, PortMod, PortReason, PortState, PortStatus};
pub use port_stats::PortStats;
pub use queue::{QueueConfig, QueueRequest, QueueStats};
pub use role::{AsyncChange, AsyncConfig, AsyncKind, Role, RoleMsg, RoleStatus};
pub use table::{TableDesc, TableMod, TableStats, TableStatus};
pub use table_features::TableFeatures;
pub use tlv::{TlvMap, TlvTable, TlvTableMod};

use crate::error::{DATA_LEN, OfError};
use crate::flow_mod::FlowMod;
use crate::flow_stats::FlowRemoved;
use crate::header::{HEADER_LEN, Header, MAX_MESSAGE_LEN};
use crate::port::OfPort;
use crate::version::Version;
use crate::wire::{Reader, put_zeros, set_u16};
use bytes::{BufMut, Bytes};

/// How a connection speaks: its version and the choices that its controller made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dialect {
    /// The version.
    pub version: Version,
    /// Flow-removed and flow-mods in Nicira's form (1.0 only).
    pub nxm: bool,
    /// The table is in the upper byte of a flow-mod's command (1.0 and Nicira's form).
    pub table_id: bool,
    /// Form of packet-ins.
    pub packet_in: PacketInFormat,
}

impl Dialect {
    /// What a connection of this version speaks before its controller chooses otherwise.
    pub fn new(version: Version) -> Dialect {
        Dialect { version, nxm: false, table_id: false, packet_in: PacketInFormat::Standard }
    }
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Version negotiation.
    Hello(Hello),
    /// A refusal.
    Error(ErrorMsg),
    /// Asks whether the peer is alive.
    EchoRequest(Bytes),
    /// Answers with the same bytes.
    EchoReply(Bytes),
    /// Asks for features.
    FeaturesRequest,
    /// Features.
    FeaturesReply(Features),
    /// Asks for the configuration.
    GetConfigRequest,
    /// The configuration.
    GetConfigReply(SwitchConfig),
    /// Sets the configuration.
    SetConfig(SwitchConfig),
    /// A packet for the controller.
    PacketIn(Box<PacketIn>),
    /// A flow is gone.
    FlowRemoved(Box<FlowRemoved>),
    /// A port has changed.
    PortStatus(Box<PortStatus>),
    /// A packet from the controller.
    PacketOut(Box<PacketOut>),
    /// A change to flows.
    FlowMod(Box<FlowMod>),
    /// A change to groups.
    GroupMod(Box<GroupMod>),
    /// A change to a port.
    PortMod(PortMod),
    /// A change to a table.
    TableMod(TableMod),
    /// A change to meters.
    MeterMod(MeterMod),
    /// Asks that all before it be done.
    BarrierRequest,
    /// All is done.
    BarrierReply,
    /// Asks for a port's queues (up to 1.3).
    QueueGetConfigRequest(OfPort),
    /// A port's queues.
    QueueGetConfigReply(OfPort, Vec<QueueConfig>),
    /// Asks for a role.
    RoleRequest(RoleMsg),
    /// The role now.
    RoleReply(RoleMsg),
    /// The role has changed.
    RoleStatus(RoleStatus),
    /// Asks which asynchronous messages are sent.
    GetAsyncRequest,
    /// Which asynchronous messages are sent.
    GetAsyncReply(AsyncConfig),
    /// Chooses asynchronous messages.
    SetAsync(AsyncChange),
    /// A table has changed.
    TableStatus(TableStatus),
    /// Another controller's request, whole.
    RequestForward(Bytes),
    /// Bundle control.
    BundleControl(BundleControl),
    /// A message for a bundle.
    BundleAdd(BundleAdd),
    /// A statistics request.
    StatsRequest {
        /// More parts follow.
        more: bool,
        /// What is asked.
        request: StatsRequest,
    },
    /// A statistics reply.
    StatsReply {
        /// More replies follow beyond this value.
        more: bool,
        /// The answer.
        reply: StatsReply,
    },
    /// Chooses [`Dialect::nxm`] (1.0).
    NxSetFlowFormat {
        /// Nicira's form.
        nxm: bool,
    },
    /// Chooses [`Dialect::table_id`].
    NxFlowModTableId(bool),
    /// Chooses [`Dialect::packet_in`].
    NxSetPacketInFormat(PacketInFormat),
    /// Sets the connection's controller id.
    NxSetControllerId(u16),
    /// Chooses asynchronous messages by masks, in any version.
    NxSetAsync(AsyncChange),
    /// Chooses asynchronous messages by properties, before 1.4.
    NxSetAsync2(AsyncChange),
    /// Asks for flows' ages in statistics; nothing answers.
    NxFlowAge,
    /// Resumes a packet that was paused; the packet-in, changed or not.
    NxResume(Box<PacketIn>),
    /// Ends a flow monitor (up to 1.3).
    FlowMonitorCancel(u32),
    /// Flow monitors are paused.
    FlowMonitorPaused,
    /// Flow monitors go on.
    FlowMonitorResumed,
    /// Changes the table of tunnel options.
    NxTlvTableMod(TlvTableMod),
    /// Asks for it.
    NxTlvTableRequest,
    /// The table of tunnel options.
    NxTlvTableReply(TlvTable),
    /// Forgets connections.
    NxCtFlush(CtFlush),
    /// Forgets a zone's connections.
    NxCtFlushZone(u16),
}

/// Reads a whole message. The error is what Open vSwitch would answer it with.
pub fn decode(message: &[u8], dialect: &Dialect) -> Result<(u32, Message), OfError> {
    let found = kind::identify(message)?;
    let message = decode_body(&found, message, dialect)?;
    Ok((found.xid, message))
}

fn decode_body(found: &kind::Identified<'_>, whole: &[u8], dialect: &Dialect) -> Result<Message, OfError> {
    let (version, body) = (found.version, found.body);
    let mut reader = Reader::new(body);
    Ok(match found.kind {
        Kind::Hello => Message::Hello(Hello::decode(version.wire(), body)),
        Kind::Error => Message::Error(ErrorMsg::decode(version, body)),
        Kind::EchoRequest => Message::EchoRequest(Bytes::copy_from_slice(body)),
        Kind::EchoReply => Message::EchoReply(Bytes::copy_from_slice(body)),
        Kind::FeaturesRequest => Message::FeaturesRequest,
        Kind::FeaturesReply => Message::FeaturesReply(Features::decode(version, body)?),
        Kind::GetConfigRequest => Message::GetConfigRequest,
        Kind::GetConfigReply => Message::GetConfigReply(SwitchConfig::decode(version, body)?),
        Kind::SetConfig => Message::SetConfig(SwitchConfig::decode(version, body)?),
        Kind::PacketIn => Message::PacketIn(Box::new(PacketIn::decode(version, body)?)),
        Kind::PacketOut => Message::PacketOut(Box::new(PacketOut::decode(version, body)?)),
        Kind::FlowMod => Message::FlowMod(Box::new(FlowMod::decode(version, false, dialect.table_id, body)?)),
        Kind::FlowRemoved => Message::FlowRemoved(Box::new(FlowRemoved::decode(version, false, body)?)),
        Kind::GroupMod => Message::GroupMod(Box::new(GroupMod::decode(version, body)?)),
        Kind::PortStatus => Message::PortStatus(Box::new(PortStatus::decode(version, body)?)),
        Kind::PortMod => Message::PortMod(PortMod::decode(version, body)?),
        Kind::TableMod => Message::TableMod(TableMod::decode(version, body)?),
        Kind::MeterMod => Message::MeterMod(MeterMod::decode(body)?),
        Kind::BarrierRequest => Message::BarrierRequest,
        Kind::BarrierReply => Message::BarrierReply,
        Kind::QueueGetConfigRequest => {
            let port = queue_port(version, &mut reader)?;
            if port.is_reserved() && port != OfPort::LOCAL && port != OfPort::NONE {
                return Err(OfError::OFPQOFC_BAD_PORT);
            }
            Message::QueueGetConfigRequest(port)
        }
        Kind::QueueGetConfigReply => decode_queues(version, &mut reader)?,
        Kind::RoleRequest => Message::RoleRequest(RoleMsg::decode(body, true)?),
        Kind::RoleReply => Message::RoleReply(RoleMsg::decode(body, false)?),
        Kind::NxRoleRequest => Message::RoleRequest(RoleMsg::decode_nicira(body)?),
        Kind::NxRoleReply => Message::RoleReply(RoleMsg::decode_nicira(body)?),
        Kind::RoleStatus => Message::RoleStatus(RoleStatus::decode(body)?),
        Kind::GetAsyncRequest => Message::GetAsyncRequest,
        Kind::GetAsyncReply => {
            let mut config = AsyncConfig::default();
            decode_async(version, body)?.apply(&mut config);
            Message::GetAsyncReply(config)
        }
        Kind::SetAsync => Message::SetAsync(decode_async(version, body)?),
        Kind::RequestForward => Message::RequestForward(bundle::decode_forward(body)?),
        Kind::TableStatus => Message::TableStatus(TableStatus::decode(body)?),
        Kind::BundleControl => Message::BundleControl(BundleControl::decode(body)?),
        Kind::BundleAdd => {
            let outer = Header::parse(whole).ok_or(OfError::OFPBRC_BAD_LEN)?;
            Message::BundleAdd(BundleAdd::decode(&outer, body)?)
        }
        _ => decode_extension(found, dialect)?,
    })
}

fn decode_extension(found: &kind::Identified<'_>, dialect: &Dialect) -> Result<Message, OfError> {
    let (version, body) = (found.version, found.body);
    let mut reader = Reader::new(body);
    Ok(match found.kind {
        Kind::NxSetFlowFormat => match reader.u32()? {
            0 => Message::NxSetFlowFormat { nxm: false },
            2 => Message::NxSetFlowFormat { nxm: true },
            _ => return Err(OfError::OFPBRC_EPERM),
        },
        Kind::NxFlowModTableId => Message::NxFlowModTableId(reader.u8()? != 0),
        Kind::NxSetPacketInFormat => Message::NxSetPacketInFormat(match reader.u32()? {
            0 => PacketInFormat::Standard,
            1 => PacketInFormat::Nicira,
            2 => PacketInFormat::Nicira2,
            _ => return Err(OfError::OFPBRC_EPERM),
        }),
        Kind::NxSetControllerId => {
            let zero = reader.array::<6>()? == [0; 6];
            Message::NxSetControllerId(
                reader.u16().and_then(|id| if zero { Ok(id) } else { Err(OfError::NXBRC_MUST_BE_ZERO) })?,
            )
        }
        Kind::NxFlowMod => {
            Message::FlowMod(Box::new(FlowMod::decode(version, true, dialect.table_id, body)?))
        }
        Kind::NxFlowRemoved => Message::FlowRemoved(Box::new(FlowRemoved::decode(version, true, body)?)),
        Kind::NxPacketIn => Message::PacketIn(Box::new(PacketIn::decode_nicira(body)?)),
        Kind::NxPacketIn2 => Message::PacketIn(Box::new(PacketIn::decode_nicira2(body, true)?)),
        Kind::NxResume => Message::NxResume(Box::new(PacketIn::decode_nicira2(body, false)?)),
        Kind::NxSetAsync => Message::NxSetAsync(AsyncChange::decode_masks(version, body)?),
        Kind::NxSetAsync2 => Message::NxSetAsync2(AsyncChange::decode_props(version, body)?),
        Kind::NxFlowAge => Message::NxFlowAge,
        Kind::FlowMonitorCancel => Message::FlowMonitorCancel(reader.u32()?),
        Kind::FlowMonitorPaused => Message::FlowMonitorPaused,
        Kind::FlowMonitorResumed => Message::FlowMonitorResumed,
        Kind::NxTlvTableMod => Message::NxTlvTableMod(TlvTableMod::decode(body)?),
        Kind::NxCtFlush => Message::NxCtFlush(CtFlush::decode(body)?),
        Kind::NxTlvTableRequest => Message::NxTlvTableRequest,
        Kind::NxTlvTableReply => Message::NxTlvTableReply(TlvTable::decode(body)?),
        Kind::NxCtFlushZone => {
            let zero = reader.array::<6>()? == [0; 6];
            Message::NxCtFlushZone(
                reader.u16().and_then(|id| if zero { Ok(id) } else { Err(OfError::NXBRC_MUST_BE_ZERO) })?,
            )
        }
        _ => multipart::decode(found)?,
    })
}

fn decode_async(version: Version, body: &[u8]) -> Result<AsyncChange, OfError> {
    if version >= Version::V14 {
        AsyncChange::decode_props(version, body)
    } else {
        AsyncChange::decode_masks(version, body)
    }
}

fn queue_port(version: Version, reader: &mut Reader<'_>) -> Result<OfPort, OfError> {
    let port = if version == Version::V10 {
        OfPort::from_u16(reader.u16()?)
    } else {
        OfPort::from_u32(reader.u32()?)?
    };
    Ok(port)
}

fn decode_queues(version: Version, reader: &mut Reader<'_>) -> Result<Message, OfError> {
    let port = queue_port(version, reader)?;
    reader.skip(if version == Version::V10 { 6 } else { 4 })?;
    let mut queues = Vec::new();
    while !reader.is_empty() {
        queues.push(QueueConfig::decode(version, port, reader)?);
    }
    Ok(Message::QueueGetConfigReply(port, queues))
}

impl Message {
    /// Makes an error message about `offending`, with the start of it as data.
    pub fn error(error: OfError, offending: &[u8]) -> Message {
        let data = Bytes::copy_from_slice(&offending[..offending.len().min(DATA_LEN)]);
        Message::Error(ErrorMsg { error: Some(error), data })
    }

    /// Appends the message to `out`: one message, or several for a long statistics reply. A message that the version does not have, or that is
    /// too long, gives an error and appends nothing.
    pub fn encode(&self, dialect: &Dialect, xid: u32, out: &mut Vec<u8>) -> Result<(), OfError> {
        let start = out.len();
        let done = match self {
            Message::StatsRequest { more, request } => {
                multipart::encode_request(request, *more, dialect, xid, out)
            }
            Message::StatsReply { more, reply } => multipart::encode_reply(reply, *more, dialect, xid, out),
            _ => self.encode_single(dialect, xid, out),
        };
        if done.is_err() {
            out.truncate(start);
        }
        done
    }

    /// The message's bytes.
    pub fn to_bytes(&self, dialect: &Dialect, xid: u32) -> Result<Bytes, OfError> {
        let mut out = Vec::with_capacity(64);
        self.encode(dialect, xid, &mut out)?;
        Ok(out.into())
    }

    fn encode_single(&self, dialect: &Dialect, xid: u32, out: &mut Vec<u8>) -> Result<(), OfError> {
        let start = out.len();
        let kind = self.kind(dialect).ok_or(OfError::NXBRC_UNENCODABLE_ERROR)?;
        let version = match self {
            Message::Hello(hello) => hello.header_version(),
            _ => dialect.version,
        };
        kind::start(kind, version, xid, out).ok_or(OfError::NXBRC_UNENCODABLE_ERROR)?;
        self.encode_body(dialect, out)?;
        finish(out, start)
    }

    /// The kind under which this message travels; `None` for statistics, which [`multipart`] knows.
    fn kind(&self, dialect: &Dialect) -> Option<Kind> {
        Some(match self {
            Message::Hello(_) => Kind::Hello,
            Message::Error(_) => Kind::Error,
            Message::EchoRequest(_) => Kind::EchoRequest,
            Message::EchoReply(_) => Kind::EchoReply,
            Message::FeaturesRequest => Kind::FeaturesRequest,
            Message::FeaturesReply(_) => Kind::FeaturesReply,
            Message::GetConfigRequest => Kind::GetConfigRequest,
            Message::GetConfigReply(_) => Kind::GetConfigReply,
            Message::SetConfig(_) => Kind::SetConfig,
            Message::PacketIn(_) => match dialect.packet_in {
                PacketInFormat::Standard => Kind::PacketIn,
                PacketInFormat::Nicira => Kind::NxPacketIn,
                PacketInFormat::Nicira2 => Kind::NxPacketIn2,
            },
            Message::FlowRemoved(_) if dialect.nxm => Kind::NxFlowRemoved,
            Message::FlowRemoved(_) => Kind::FlowRemoved,
            Message::PortStatus(_) => Kind::PortStatus,
            Message::PacketOut(_) => Kind::PacketOut,
            Message::FlowMod(_) if dialect.nxm => Kind::NxFlowMod,
            Message::FlowMod(_) => Kind::FlowMod,
            Message::GroupMod(_) => Kind::GroupMod,
            Message::PortMod(_) => Kind::PortMod,
            Message::TableMod(_) => Kind::TableMod,
            Message::MeterMod(_) => Kind::MeterMod,
            Message::BarrierRequest => Kind::BarrierRequest,
            Message::BarrierReply => Kind::BarrierReply,
            Message::QueueGetConfigRequest(_) => Kind::QueueGetConfigRequest,
            Message::QueueGetConfigReply(..) => Kind::QueueGetConfigReply,
            Message::RoleRequest(role) if role.nicira => Kind::NxRoleRequest,
            Message::RoleRequest(_) => Kind::RoleRequest,
            Message::RoleReply(role) if role.nicira => Kind::NxRoleReply,
            Message::RoleReply(_) => Kind::RoleReply,
            Message::RoleStatus(_) => Kind::RoleStatus,
            Message::GetAsyncRequest => Kind::GetAsyncRequest,
            Message::GetAsyncReply(_) => Kind::GetAsyncReply,
            Message::SetAsync(_) => Kind::SetAsync,
            Message::TableStatus(_) => Kind::TableStatus,
            Message::RequestForward(_) => Kind::RequestForward,
            Message::BundleControl(_) => Kind::BundleControl,
            Message::BundleAdd(_) => Kind::BundleAdd,
            Message::NxSetFlowFormat { .. } => Kind::NxSetFlowFormat,
            Message::NxFlowModTableId(_) => Kind::NxFlowModTableId,
            Message::NxSetPacketInFormat(_) => Kind::NxSetPacketInFormat,
            Message::NxSetControllerId(_) => Kind::NxSetControllerId,
            Message::NxSetAsync(_) => Kind::NxSetAsync,
            Message::NxSetAsync2(_) => Kind::NxSetAsync2,
            Message::NxFlowAge => Kind::NxFlowAge,
            Message::NxResume(_) => Kind::NxResume,
            Message::FlowMonitorCancel(_) => Kind::FlowMonitorCancel,
            Message::FlowMonitorPaused => Kind::FlowMonitorPaused,
            Message::FlowMonitorResumed => Kind::FlowMonitorResumed,
            Message::NxTlvTableMod(_) => Kind::NxTlvTableMod,
            Message::NxTlvTableRequest => Kind::NxTlvTableRequest,
            Message::NxTlvTableReply(_) => Kind::NxTlvTableReply,
            Message::NxCtFlush(_) => Kind::NxCtFlush,
            Message::NxCtFlushZone(_) => Kind::NxCtFlushZone,
            Message::StatsRequest { .. } | Message::StatsReply { .. } => return None,
        })
    }

    fn encode_body(&self, dialect: &Dialect, out: &mut Vec<u8>) -> Result<(), OfError> {
        let version = dialect.version;
        match self {
            Message::Hello(hello) => hello.encode_body(out),
            Message::Error(error) => error.encode_body(version, out),
            Message::EchoRequest(data) | Message::EchoReply(data) => out.extend_from_slice(data),
            Message::FeaturesReply(features) => features.encode_body(version, out),
            Message::GetConfigReply(config) | Message::SetConfig(config) => config.encode_body(version, out),
            Message::FlowMod(flow) => flow.encode_body(version, dialect.nxm, dialect.table_id, out),
            Message::FlowRemoved(flow) => flow.encode_body(version, dialect.nxm, out),
            Message::PacketIn(packet) => packet.encode_body(version, dialect.packet_in, out),
            Message::NxResume(packet) => packet.encode_body(version, PacketInFormat::Nicira2, out),
            Message::PacketOut(packet) => packet.encode_body(version, out),
            Message::GroupMod(group) => group.encode_body(version, out),
            Message::PortStatus(status) => status.encode_body(version, out),
            Message::PortMod(port) => port.encode_body(version, out),
            Message::TableMod(table) => table.encode_body(version, out),
            Message::MeterMod(meter) => meter.encode_body(out),
            Message::QueueGetConfigRequest(port) if version == Version::V10 => {
                out.put_u16(port.to_u16());
                put_zeros(out, 2);
            }
            Message::QueueGetConfigRequest(port) => {
                out.put_u32(port.0);
                put_zeros(out, 4);
            }
            Message::QueueGetConfigReply(port, queues) => encode_queues(version, *port, queues, out),
            Message::RoleRequest(role) | Message::RoleReply(role) => role.encode_body(out),
            Message::RoleStatus(status) => status.encode_body(out),
            Message::GetAsyncReply(config) => encode_async(version, &AsyncChange::all(config), out),
            Message::SetAsync(change) => encode_async(version, change, out),
            Message::TableStatus(status) => status.encode_body(out),
            Message::RequestForward(request) => out.extend_from_slice(request),
            Message::BundleControl(control) => control.encode_body(out),
            Message::BundleAdd(add) => add.encode_body(out),
            _ => return self.encode_extension(out),
        }
        Ok(())
    }

    fn encode_extension(&self, out: &mut Vec<u8>) -> Result<(), OfError> {
        match self {
            Message::NxSetFlowFormat { nxm } => out.put_u32(if *nxm { 2 } else { 0 }),
            Message::NxFlowModTableId(set) => {
                out.put_u8(u8::from(*set));
                put_zeros(out, 7);
            }
            Message::NxSetPacketInFormat(format) => out.put_u32(*format as u32),
            Message::NxSetControllerId(id) | Message::NxCtFlushZone(id) => {
                put_zeros(out, 6);
                out.put_u16(*id);
            }
            Message::NxSetAsync(change) => change.encode_masks(out),
            Message::NxSetAsync2(change) => change.encode_props(out),
            Message::FlowMonitorCancel(id) => out.put_u32(*id),
            Message::NxCtFlush(flush) => flush.encode_body(out),
            Message::NxTlvTableMod(table) => table.encode_body(out),
            Message::NxTlvTableReply(table) => table.encode_body(out),
            // What is left has no body.
            _ => {}
        }
        Ok(())
    }
}

fn encode_async(version: Version, change: &AsyncChange, out: &mut Vec<u8>) {
    if version >= Version::V14 { change.encode_props(out) } else { change.encode_masks(out) }
}

fn encode_queues(version: Version, port: OfPort, queues: &[QueueConfig], out: &mut Vec<u8>) {
    if version == Version::V10 {
        out.put_u16(port.to_u16());
        put_zeros(out, 6);
    } else {
        out.put_u32(port.0);
        put_zeros(out, 4);
    }
    queues.iter().for_each(|queue| queue.encode(version, out));
}

/// Writes the length of the message that begins at `start` and ends with `out`.
fn finish(out: &mut [u8], start: usize) -> Result<(), OfError> {
    let length = out.len() - start;
    if !(HEADER_LEN..=MAX_MESSAGE_LEN).contains(&length) {
        return Err(OfError::OFPBRC_BAD_LEN);
    }
    set_u16(out, start + 2, length as u16);
    Ok(())
}
