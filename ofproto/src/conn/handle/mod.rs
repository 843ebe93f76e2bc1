//! What is done with each message from a controller: one file for each group of messages.
//!
//! A handler either answers, or returns the error with which the message is refused, or starts [`Work`](super::work::Work)
//! that answers later.

pub(super) mod bundle;
mod ct;
pub(super) mod flow;
pub(super) mod group;
pub(super) mod nicira;
pub(super) mod packet_out;
pub(super) mod port;
mod port_order;
pub(crate) use port_order::arrange;
mod role;
mod switch;
pub(super) mod table;

use bytes::Bytes;
use openflow::message::{self, Kind, Message, ReplyWriter, StatsReply, StatsRequest, kind};
use openflow::{OfError, OfPort};

use super::config::ConnKind;
use super::devices::Devices;
use super::ofconn::OfConn;
use super::session::{Election, Session};
use super::work::Work;
use super::writers::Writers;
use crate::Bridge;

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It was dealt with.
    Done,
    /// Another connection has a change of the tables under way: the message has to wait.
    Wait,
}

/// What a message does to other connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// The sender is the master now.
    BecameMaster,
    /// The sender changed this port, and is not told of it.
    ChangedPort(OfPort),
}

/// One message's turn.
pub(super) struct Turn<'a> {
    pub(super) conn: &'a mut OfConn,
    pub(super) bridge: &'a Bridge,
    pub(super) devices: &'a mut Devices,
    pub(super) election: &'a mut Election,
    pub(super) writers: &'a mut Writers,
    pub(super) effects: Vec<Effect>,
    pub(super) now_ns: u64,
    pub(super) xid: u32,
}

impl Turn<'_> {
    fn reply(&mut self, message: &Message) {
        self.conn.reply(self.xid, message);
    }

    fn reply_stats(&mut self, reply: StatsReply) {
        self.reply(&Message::StatsReply { more: false, reply });
    }

    /// Begins a reply that is written in slices.
    fn begin_reply(&mut self, reply: &StatsReply) -> Result<ReplyWriter, OfError> {
        let (xid, dialect) = (self.xid, self.session()?.dialect);
        ReplyWriter::new(reply, &dialect, xid)
    }

    /// The session; there is one while messages are handled.
    fn session(&mut self) -> Result<&mut Session, OfError> {
        self.conn.session.as_mut().ok_or(OfError::OFPBRC_EPERM)
    }

    /// Whether a multipart request is whole with this part. A part that continues another kind of request is refused.
    fn is_last_part(&mut self, more: bool, request: &StatsRequest) -> Result<bool, OfError> {
        let (xid, kind) = (self.xid, std::mem::discriminant(request));
        let session = self.session()?;
        let begun = session.partial.take_if(|(known, _)| *known == xid);
        if begun.is_some_and(|(_, known)| known != kind) {
            return Err(OfError::OFPBRC_BAD_STAT);
        }
        if more {
            session.partial = Some((xid, kind));
        }
        Ok(!more)
    }

    /// Slaves may only look (OpenFlow 1.3, 6.3.5).
    fn may_change(&self) -> Result<(), OfError> {
        let is_slave = self.conn.session.as_ref().is_some_and(Session::is_slave);
        if is_slave && self.conn.kind == ConnKind::Primary {
            Err(OfError::OFPBRC_IS_SECONDARY)
        } else {
            Ok(())
        }
    }

    /// Whether a change of the tables has to wait for another one.
    fn must_wait(&self) -> bool {
        !self.writers.may_begin(self.conn.token(), self.bridge)
    }

    /// Goes on with a change of the tables in later turns.
    fn start_change(&mut self, work: Work) {
        self.writers.begin(self.conn.token());
        self.start(work);
    }

    fn start(&mut self, work: Work) {
        self.conn.work = Some(work);
    }
}

/// Deals with one whole message.
pub(super) fn handle(turn: &mut Turn<'_>, bytes: &Bytes) -> Outcome {
    let Some(session) = &turn.conn.session else { return Outcome::Done };
    let dealt = kind::identify(bytes)
        .and_then(is_for_switches)
        .and_then(|()| message::decode(bytes, &session.dialect));
    let dealt = dealt.and_then(|(xid, message)| {
        turn.xid = xid;
        note_admission(turn.conn, &message);
        dispatch(turn, message, bytes)
    });
    match dealt {
        Ok(outcome) => outcome,
        Err(error) => {
            turn.conn.refuse(bytes, error);
            Outcome::Done
        }
    }
}

/// What only switches send is no request, whatever is in it.
fn is_for_switches(found: kind::Identified<'_>) -> Result<(), OfError> {
    match found.kind {
        Kind::PacketIn | Kind::NxPacketIn | Kind::NxPacketIn2 | Kind::FlowRemoved | Kind::NxFlowRemoved => {
            Err(OfError::OFPBRC_BAD_TYPE)
        }
        _ => Ok(()),
    }
}

/// A controller that asks for more than the first courtesies has taken us in.
fn note_admission(conn: &mut OfConn, message: &Message) {
    let courtesy = matches!(
        message,
        Message::Hello(_)
            | Message::Error(_)
            | Message::EchoRequest(_)
            | Message::EchoReply(_)
            | Message::FeaturesRequest
            | Message::FeaturesReply(_)
            | Message::GetConfigRequest
            | Message::GetConfigReply(_)
            | Message::SetConfig(_)
            | Message::GetAsyncRequest
            | Message::NxSetPacketInFormat(_)
            | Message::NxSetFlowFormat { .. }
            | Message::NxSetControllerId(_)
            | Message::RoleRequest(_)
    );
    if let Some(session) = &mut conn.session {
        session.admitted |= !courtesy;
    }
}

fn dispatch(turn: &mut Turn<'_>, message: Message, bytes: &Bytes) -> Result<Outcome, OfError> {
    match message {
        Message::EchoRequest(data) => turn.reply(&Message::EchoReply(data)),
        Message::EchoReply(_) | Message::NxFlowAge => {}
        Message::FeaturesRequest => switch::features(turn),
        Message::GetConfigRequest => switch::get_config(turn)?,
        Message::SetConfig(config) => switch::set_config(turn, config)?,
        Message::BarrierRequest => {
            let (xid, version, packets) = (turn.xid, turn.bridge.version(), turn.bridge.packets_handed_in());
            turn.start(Work::Barrier { xid, version, packets });
        }
        Message::PortMod(port_mod) => port::port_mod(turn, &port_mod)?,
        Message::TableMod(table_mod) => table::table_mod(turn, &table_mod)?,
        Message::FlowMod(mut flow_mod) => return flow::flow_mod(turn, &mut flow_mod, bytes),
        Message::GroupMod(group_mod) => {
            turn.may_change()?;
            group::group_mod(&group_mod)?;
        }
        Message::MeterMod(meter_mod) => {
            turn.may_change()?;
            group::meter_mod(&meter_mod)?;
        }
        Message::PacketOut(mut out) => packet_out::packet_out(turn, &mut out)?,
        Message::BundleControl(control) => return bundle::control(turn, control, bytes),
        Message::BundleAdd(add) => bundle::add(turn, &add, bytes)?,
        Message::RoleRequest(role) => role::role_request(turn, role)?,
        Message::GetAsyncRequest => role::get_async(turn)?,
        Message::SetAsync(change) | Message::NxSetAsync(change) | Message::NxSetAsync2(change) => {
            change.apply(&mut turn.session()?.wants);
        }
        Message::QueueGetConfigRequest(port) => port::queue_config(turn, port)?,
        Message::StatsRequest { more, request } => {
            if turn.is_last_part(more, &request)? {
                stats(turn, request)?;
            }
        }
        other => return nicira::dispatch(turn, other).map(|()| Outcome::Done),
    }
    Ok(Outcome::Done)
}

fn stats(turn: &mut Turn<'_>, request: StatsRequest) -> Result<(), OfError> {
    match request {
        StatsRequest::Desc => switch::desc(turn),
        StatsRequest::Flow { request, nicira } => flow::dump(turn, &request, nicira)?,
        StatsRequest::Aggregate { request, nicira } => flow::aggregate(turn, &request, nicira)?,
        StatsRequest::Table => table::stats(turn),
        StatsRequest::TableFeatures { is_empty } => table::features(turn, is_empty)?,
        StatsRequest::TableDesc => table::desc(turn),
        StatsRequest::Port(port) => port::stats(turn, port),
        StatsRequest::PortDesc(port) => port::desc(turn, port),
        StatsRequest::Queue(request) => port::queue_stats(turn, &request)?,
        StatsRequest::QueueDesc(request) => port::queue_desc(turn, &request)?,
        StatsRequest::Group(_) => turn.reply_stats(StatsReply::Group(Vec::new())),
        StatsRequest::GroupDesc(_) => turn.reply_stats(StatsReply::GroupDesc(Vec::new())),
        StatsRequest::GroupFeatures => turn.reply_stats(StatsReply::GroupFeatures(group::features())),
        StatsRequest::Meter(id) => group::meter_stats(turn, id)?,
        StatsRequest::MeterConfig(id) => group::meter_config(turn, id)?,
        StatsRequest::MeterFeatures => turn.reply_stats(StatsReply::MeterFeatures(group::meter_features())),
        StatsRequest::FlowMonitor(_) => return Err(OfError::OFPBRC_EPERM),
        StatsRequest::IpfixBridge | StatsRequest::IpfixFlow => return Err(OfError::NXST_NOT_CONFIGURED),
    }
    Ok(())
}
