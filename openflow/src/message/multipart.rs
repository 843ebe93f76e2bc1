//! Statistics, called multipart messages from 1.3 on.

use crate::error::OfError;
use crate::flow_stats::{FlowStats, FlowStatsRequest};
use crate::header::MAX_MESSAGE_LEN;
use crate::message::features::{Aggregate, Desc};
use crate::message::group::{GROUP_ALL, GroupDesc, GroupFeatures, GroupStats};
use crate::message::kind::{self, Identified, Kind};
use crate::message::meter::{MeterConfig, MeterFeatures, MeterStats};
use crate::message::monitor::{self, MonitorRequest, MonitorUpdate};
use crate::message::port::PortDesc;
use crate::message::port_stats::PortStats;
use crate::message::queue::{QueueConfig, QueueRequest, QueueStats};
use crate::message::table::{TableDesc, TableStats};
use crate::message::table_features::TableFeatures;
use crate::message::{Dialect, Message};
use crate::port::OfPort;
use crate::version::Version;
use crate::wire::{Reader, put_zeros};
use bytes::BufMut;

/// A statistics request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StatsRequest {
    /// Description of the switch.
    Desc,
    /// Flows.
    Flow {
        /// Which.
        request: Box<FlowStatsRequest>,
        /// Nicira's form (1.0), in which the reply goes too.
        nicira: bool,
    },
    /// Sum over flows.
    Aggregate {
        /// Which.
        request: Box<FlowStatsRequest>,
        /// Nicira's form (1.0), in which the reply goes too.
        nicira: bool,
    },
    /// Tables.
    Table,
    /// Ports: one, or [`OfPort::NONE`] for all.
    Port(OfPort),
    /// Queues.
    Queue(QueueRequest),
    /// Groups: one, or all.
    Group(u32),
    /// Descriptions of groups: one (1.5), or all.
    GroupDesc(u32),
    /// Features of groups.
    GroupFeatures,
    /// Meters: one, or all.
    Meter(u32),
    /// Configurations of meters: one, or all.
    MeterConfig(u32),
    /// Features of meters.
    MeterFeatures,
    /// Features of tables; a request with contents asks to change them.
    TableFeatures {
        /// There are none.
        is_empty: bool,
    },
    /// Descriptions of ports: one (1.5), or [`OfPort::NONE`] for all.
    PortDesc(OfPort),
    /// Descriptions of tables.
    TableDesc,
    /// Descriptions of queues.
    QueueDesc(QueueRequest),
    /// Monitors of flows.
    FlowMonitor(Vec<MonitorRequest>),
    /// IPFIX exporters of the bridge.
    IpfixBridge,
    /// IPFIX exporters of flows.
    IpfixFlow,
}

/// A statistics reply. A list may be as long as it likes: it is split as needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StatsReply {
    /// Description of the switch.
    Desc(Desc),
    /// Flows.
    Flow {
        /// They.
        flows: Vec<FlowStats>,
        /// Nicira's form (1.0), as asked.
        nicira: bool,
    },
    /// Sum over flows.
    Aggregate {
        /// It.
        sum: Aggregate,
        /// Nicira's form (1.0), as asked.
        nicira: bool,
    },
    /// Tables.
    Table(Vec<TableStats>),
    /// Ports.
    Port(Vec<PortStats>),
    /// Queues.
    Queue(Vec<QueueStats>),
    /// Groups.
    Group(Vec<GroupStats>),
    /// Descriptions of groups.
    GroupDesc(Vec<GroupDesc>),
    /// Features of groups.
    GroupFeatures(GroupFeatures),
    /// Meters.
    Meter(Vec<MeterStats>),
    /// Configurations of meters.
    MeterConfig(Vec<MeterConfig>),
    /// Features of meters.
    MeterFeatures(MeterFeatures),
    /// Features of tables.
    TableFeatures(Vec<TableFeatures>),
    /// Descriptions of ports.
    PortDesc(Vec<PortDesc>),
    /// Descriptions of tables.
    TableDesc(Vec<TableDesc>),
    /// Descriptions of queues.
    QueueDesc(Vec<QueueConfig>),
    /// Updates of flow monitors.
    FlowMonitor(Vec<MonitorUpdate>),
}

impl StatsRequest {
    fn kind(&self) -> Kind {
        match self {
            StatsRequest::Desc => Kind::DescRequest,
            StatsRequest::Flow { nicira: false, .. } => Kind::FlowRequest,
            StatsRequest::Flow { nicira: true, .. } => Kind::NxFlowRequest,
            StatsRequest::Aggregate { nicira: false, .. } => Kind::AggregateRequest,
            StatsRequest::Aggregate { nicira: true, .. } => Kind::NxAggregateRequest,
            StatsRequest::Table => Kind::TableRequest,
            StatsRequest::Port(_) => Kind::PortRequest,
            StatsRequest::Queue(_) => Kind::QueueRequest,
            StatsRequest::Group(_) => Kind::GroupRequest,
            StatsRequest::GroupDesc(_) => Kind::GroupDescRequest,
            StatsRequest::GroupFeatures => Kind::GroupFeaturesRequest,
            StatsRequest::Meter(_) => Kind::MeterRequest,
            StatsRequest::MeterConfig(_) => Kind::MeterConfigRequest,
            StatsRequest::MeterFeatures => Kind::MeterFeaturesRequest,
            StatsRequest::TableFeatures { .. } => Kind::TableFeaturesRequest,
            StatsRequest::PortDesc(_) => Kind::PortDescRequest,
            StatsRequest::TableDesc => Kind::TableDescRequest,
            StatsRequest::QueueDesc(_) => Kind::QueueDescRequest,
            StatsRequest::FlowMonitor(_) => Kind::FlowMonitorRequest,
            StatsRequest::IpfixBridge => Kind::IpfixBridgeRequest,
            StatsRequest::IpfixFlow => Kind::IpfixFlowRequest,
        }
    }
}

impl StatsReply {
    fn kind(&self) -> Kind {
        match self {
            StatsReply::Desc(_) => Kind::DescReply,
            StatsReply::Flow { nicira: false, .. } => Kind::FlowReply,
            StatsReply::Flow { nicira: true, .. } => Kind::NxFlowReply,
            StatsReply::Aggregate { nicira: false, .. } => Kind::AggregateReply,
            StatsReply::Aggregate { nicira: true, .. } => Kind::NxAggregateReply,
            StatsReply::Table(_) => Kind::TableReply,
            StatsReply::Port(_) => Kind::PortReply,
            StatsReply::Queue(_) => Kind::QueueReply,
            StatsReply::Group(_) => Kind::GroupReply,
            StatsReply::GroupDesc(_) => Kind::GroupDescReply,
            StatsReply::GroupFeatures(_) => Kind::GroupFeaturesReply,
            StatsReply::Meter(_) => Kind::MeterReply,
            StatsReply::MeterConfig(_) => Kind::MeterConfigReply,
            StatsReply::MeterFeatures(_) => Kind::MeterFeaturesReply,
            StatsReply::TableFeatures(_) => Kind::TableFeaturesReply,
            StatsReply::PortDesc(_) => Kind::PortDescReply,
            StatsReply::TableDesc(_) => Kind::TableDescReply,
            StatsReply::QueueDesc(_) => Kind::QueueDescReply,
            StatsReply::FlowMonitor(_) => Kind::FlowMonitorReply,
        }
    }
}

/// Reads a multipart message.
pub(super) fn decode(found: &Identified<'_>) -> Result<Message, OfError> {
    let more = found.more;
    match decode_request(found)? {
        Some(request) => Ok(Message::StatsRequest { more, request }),
        None => Ok(Message::StatsReply { more, reply: decode_reply(found)? }),
    }
}

fn decode_request(found: &Identified<'_>) -> Result<Option<StatsRequest>, OfError> {
    let (version, body) = (found.version, found.body);
    let mut reader = Reader::new(body);
    Ok(Some(match found.kind {
        Kind::DescRequest => StatsRequest::Desc,
        Kind::FlowRequest => flow_request(version, false, body)?,
        Kind::NxFlowRequest => flow_request(version, true, body)?,
        Kind::AggregateRequest => aggregate_request(version, false, body)?,
        Kind::NxAggregateRequest => aggregate_request(version, true, body)?,
        Kind::TableRequest => StatsRequest::Table,
        Kind::PortRequest => StatsRequest::Port(port_number(version, &mut reader)?),
        Kind::QueueRequest => StatsRequest::Queue(QueueRequest::decode(version, body)?),
        Kind::GroupRequest => StatsRequest::Group(reader.u32()?),
        Kind::GroupDescRequest if body.is_empty() => StatsRequest::GroupDesc(GROUP_ALL),
        Kind::GroupDescRequest => StatsRequest::GroupDesc(reader.u32()?),
        Kind::GroupFeaturesRequest => StatsRequest::GroupFeatures,
        Kind::MeterRequest => StatsRequest::Meter(reader.u32()?),
        Kind::MeterConfigRequest => StatsRequest::MeterConfig(reader.u32()?),
        Kind::MeterFeaturesRequest => StatsRequest::MeterFeatures,
        Kind::TableFeaturesRequest => StatsRequest::TableFeatures { is_empty: body.is_empty() },
        Kind::PortDescRequest if body.is_empty() => StatsRequest::PortDesc(OfPort::NONE),
        Kind::PortDescRequest => StatsRequest::PortDesc(OfPort::from_u32(reader.u32()?)?),
        Kind::TableDescRequest => StatsRequest::TableDesc,
        Kind::QueueDescRequest => StatsRequest::QueueDesc(QueueRequest::decode(version, body)?),
        Kind::FlowMonitorRequest => {
            StatsRequest::FlowMonitor(monitor::decode_requests(version, &mut reader)?)
        }
        Kind::IpfixBridgeRequest => StatsRequest::IpfixBridge,
        Kind::IpfixFlowRequest => StatsRequest::IpfixFlow,
        _ => return Ok(None),
    }))
}

fn flow_request(version: Version, nicira: bool, body: &[u8]) -> Result<StatsRequest, OfError> {
    Ok(StatsRequest::Flow { request: Box::new(FlowStatsRequest::decode(version, nicira, body)?), nicira })
}

fn aggregate_request(version: Version, nicira: bool, body: &[u8]) -> Result<StatsRequest, OfError> {
    Ok(StatsRequest::Aggregate {
        request: Box::new(FlowStatsRequest::decode(version, nicira, body)?),
        nicira,
    })
}

fn port_number(version: Version, reader: &mut Reader<'_>) -> Result<OfPort, OfError> {
    if version == Version::V10 {
        Ok(OfPort::from_u16(reader.u16()?))
    } else {
        OfPort::from_u32(reader.u32()?)
    }
}

/// Everything that `take` finds until the body is used up.
fn all<'a, T>(
    body: &'a [u8],
    mut take: impl FnMut(&mut Reader<'a>) -> Result<T, OfError>,
) -> Result<Vec<T>, OfError> {
    let mut reader = Reader::new(body);
    let mut entries = Vec::new();
    while !reader.is_empty() {
        entries.push(take(&mut reader)?);
    }
    Ok(entries)
}

fn decode_reply(found: &Identified<'_>) -> Result<StatsReply, OfError> {
    let (version, body) = (found.version, found.body);
    let flows = |nicira| all(body, |r| FlowStats::decode(version, nicira, r));
    Ok(match found.kind {
        Kind::DescReply => StatsReply::Desc(Desc::decode(body)?),
        Kind::FlowReply => StatsReply::Flow { flows: flows(false)?, nicira: false },
        Kind::NxFlowReply => StatsReply::Flow { flows: flows(true)?, nicira: true },
        Kind::AggregateReply => {
            StatsReply::Aggregate { sum: Aggregate::decode(version, body)?, nicira: false }
        }
        Kind::NxAggregateReply => {
            StatsReply::Aggregate { sum: Aggregate::decode(version, body)?, nicira: true }
        }
        Kind::TableReply => StatsReply::Table(all(body, |r| TableStats::decode(version, r))?),
        Kind::PortReply => StatsReply::Port(all(body, |r| PortStats::decode(version, r))?),
        Kind::QueueReply => StatsReply::Queue(all(body, |r| QueueStats::decode(version, r))?),
        Kind::GroupReply => StatsReply::Group(all(body, |r| GroupStats::decode(version, r))?),
        Kind::GroupDescReply => StatsReply::GroupDesc(all(body, |r| GroupDesc::decode(version, r))?),
        Kind::GroupFeaturesReply => StatsReply::GroupFeatures(GroupFeatures::decode(body)?),
        Kind::MeterReply => StatsReply::Meter(all(body, MeterStats::decode)?),
        Kind::MeterConfigReply => StatsReply::MeterConfig(all(body, MeterConfig::decode)?),
        Kind::MeterFeaturesReply => StatsReply::MeterFeatures(MeterFeatures::decode(body)?),
        Kind::TableFeaturesReply => StatsReply::TableFeatures(all(body, TableFeatures::decode)?),
        Kind::PortDescReply => StatsReply::PortDesc(all(body, |r| PortDesc::decode(version, r))?),
        Kind::TableDescReply => StatsReply::TableDesc(all(body, TableDesc::decode)?),
        Kind::QueueDescReply => StatsReply::QueueDesc(all(body, QueueConfig::decode_desc)?),
        Kind::FlowMonitorReply => StatsReply::FlowMonitor(all(body, |r| MonitorUpdate::decode(version, r))?),
        _ => return Err(OfError::OFPBRC_BAD_TYPE),
    })
}

/// Appends a request.
pub(super) fn encode_request(
    request: &StatsRequest,
    more: bool,
    dialect: &Dialect,
    xid: u32,
    out: &mut Vec<u8>,
) -> Result<(), OfError> {
    let (version, start) = (dialect.version, out.len());
    kind::start(request.kind(), version, xid, out).ok_or(OfError::NXBRC_UNENCODABLE_ERROR)?;
    match request {
        StatsRequest::Flow { request, nicira } | StatsRequest::Aggregate { request, nicira } => {
            request.encode_body(version, *nicira, out);
        }
        StatsRequest::Port(port) if version == Version::V10 => {
            out.put_u16(port.to_u16());
            put_zeros(out, 6);
        }
        // One port or one group can be asked about only since 1.5, and one group in Nicira's form.
        StatsRequest::PortDesc(_) if version < Version::V15 => {}
        StatsRequest::GroupDesc(_) if version > Version::V10 && version < Version::V15 => {}
        StatsRequest::Port(OfPort(number))
        | StatsRequest::PortDesc(OfPort(number))
        | StatsRequest::Group(number)
        | StatsRequest::GroupDesc(number)
        | StatsRequest::Meter(number)
        | StatsRequest::MeterConfig(number) => {
            out.put_u32(*number);
            put_zeros(out, 4);
        }
        StatsRequest::Queue(queue) | StatsRequest::QueueDesc(queue) => queue.encode_body(version, out),
        StatsRequest::FlowMonitor(requests) => requests.iter().for_each(|r| r.encode(version, out)),
        // The others have no body.
        _ => {}
    }
    if more {
        kind::set_more(&mut out[start..]);
    }
    super::finish(out, start)
}

/// Appends a reply, split so that no message is longer than 64 KB.
pub(super) fn encode_reply(
    reply: &StatsReply,
    more: bool,
    dialect: &Dialect,
    xid: u32,
    out: &mut Vec<u8>,
) -> Result<(), OfError> {
    let mut parts = Parts::new(reply.kind(), dialect.version, xid, out)?;
    parts.put(reply, dialect.version)?;
    parts.end(more)
}

/// A reply that is written in slices, so that nobody has to wait for a long one: its messages are as full as those of a reply
/// that is written in one go.
#[derive(Debug)]
pub struct ReplyWriter {
    buffer: Vec<u8>,
    /// Where the open message begins.
    start: usize,
    /// Bytes of a message's headers.
    head: usize,
    version: Version,
}

impl ReplyWriter {
    /// Begins with the entries of `reply`.
    pub fn new(reply: &StatsReply, dialect: &Dialect, xid: u32) -> Result<ReplyWriter, OfError> {
        let mut buffer = Vec::new();
        let head = Parts::new(reply.kind(), dialect.version, xid, &mut buffer)?.head;
        let mut writer = ReplyWriter { buffer, start: 0, head, version: dialect.version };
        writer.push(reply)?;
        Ok(writer)
    }

    /// Appends the entries of `reply`, which is of the same kind.
    pub fn push(&mut self, reply: &StatsReply) -> Result<(), OfError> {
        let mut parts = Parts { out: &mut self.buffer, start: self.start, head: self.head };
        let done = parts.put(reply, self.version);
        self.start = parts.start;
        done
    }

    /// The messages that are full by now, back to back.
    pub fn take_full(&mut self) -> Vec<u8> {
        let open = self.buffer.split_off(self.start);
        self.start = 0;
        std::mem::replace(&mut self.buffer, open)
    }

    /// Ends the reply: what remains of it, its last message.
    pub fn take_rest(&mut self) -> Vec<u8> {
        // No entry is taken that does not fit, so the length is good.
        let _ = super::finish(&mut self.buffer, self.start);
        std::mem::take(&mut self.buffer)
    }
}

/// A reply in the making: messages in a row, of which the last is open.
struct Parts<'a> {
    out: &'a mut Vec<u8>,
    /// Where the open message begins.
    start: usize,
    /// Bytes of a message's headers.
    head: usize,
}

impl<'a> Parts<'a> {
    fn new(kind: Kind, version: Version, xid: u32, out: &'a mut Vec<u8>) -> Result<Parts<'a>, OfError> {
        let start = out.len();
        kind::start(kind, version, xid, out).ok_or(OfError::NXBRC_UNENCODABLE_ERROR)?;
        let head = out.len() - start;
        Ok(Parts { out, start, head })
    }

    /// Appends what `entry` writes, in a new message if it does not fit in this one. An entry that fits in no message is left out, as
    /// there is no way to send it.
    fn push(&mut self, entry: impl FnOnce(&mut Vec<u8>)) -> Result<(), OfError> {
        let before = self.out.len();
        entry(self.out);
        if self.out.len() - self.start <= MAX_MESSAGE_LEN {
            return Ok(());
        }
        let added = self.out.split_off(before);
        if self.head + added.len() > MAX_MESSAGE_LEN {
            return Ok(());
        }
        kind::set_more(&mut self.out[self.start..]);
        super::finish(self.out, self.start)?;
        let next = self.out.len();
        self.out.extend_from_within(self.start..self.start + self.head);
        kind::clear_more(&mut self.out[next..]);
        self.start = next;
        self.out.extend_from_slice(&added);
        Ok(())
    }

    /// Appends the entries of `reply`.
    fn put(&mut self, reply: &StatsReply, version: Version) -> Result<(), OfError> {
        match reply {
            StatsReply::Desc(desc) => self.push(|out| desc.encode_body(out)),
            StatsReply::Flow { flows, nicira } => {
                self.each(flows, |flow, out| flow.encode(version, *nicira, out))
            }
            StatsReply::Aggregate { sum, .. } => self.push(|out| sum.encode_body(version, out)),
            StatsReply::Table(tables) => self.each(tables, |table, out| table.encode(version, out)),
            StatsReply::Port(ports) => self.each(ports, |port, out| port.encode(version, out)),
            StatsReply::Queue(queues) => self.each(queues, |queue, out| queue.encode(version, out)),
            StatsReply::Group(groups) => self.each(groups, |group, out| group.encode(version, out)),
            StatsReply::GroupDesc(groups) => self.each(groups, |group, out| group.encode(version, out)),
            StatsReply::GroupFeatures(features) => self.push(|out| features.encode_body(out)),
            StatsReply::Meter(meters) => self.each(meters, MeterStats::encode),
            StatsReply::MeterConfig(meters) => self.each(meters, MeterConfig::encode),
            StatsReply::MeterFeatures(features) => self.push(|out| features.encode_body(out)),
            StatsReply::TableFeatures(tables) => self.each(tables, |table, out| table.encode(version, out)),
            StatsReply::PortDesc(ports) => self.each(ports, |port, out| port.encode(version, out)),
            StatsReply::TableDesc(tables) => self.each(tables, TableDesc::encode),
            StatsReply::QueueDesc(queues) => self.each(queues, QueueConfig::encode_desc),
            StatsReply::FlowMonitor(updates) => self.each(updates, |update, out| update.encode(version, out)),
        }
    }

    fn each<T>(&mut self, entries: &[T], encode: impl Fn(&T, &mut Vec<u8>)) -> Result<(), OfError> {
        entries.iter().try_for_each(|entry| self.push(|out| encode(entry, out)))
    }

    fn end(self, more: bool) -> Result<(), OfError> {
        if more {
            kind::set_more(&mut self.out[self.start..]);
        }
        super::finish(self.out, self.start)
    }
}
