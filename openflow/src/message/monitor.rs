//! Flow monitoring: being told of every change to flows (OpenFlow 1.4 clause 7.3.5.17; Nicira's for 1.0 to 1.2, ONF's for 1.3).
//!
//! Nicira's form has an NXM match of a length that is told and bare actions; ONF's is the same with an OXM match and instructions;
//! OpenFlow 1.4 has a form of its own.

use crate::action::Instructions;
use crate::codec::nxm::{self, Rules};
use crate::codec::{action, instruction};
use crate::error::OfError;
use crate::flow_match::Match;
use crate::port::OfPort;
use crate::version::Version;
use crate::wire::{Reader, put_zeros, set_u16};
use bitflags::bitflags;
use bytes::BufMut;

bitflags! {
    /// What a monitor wants to be told of.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct MonitorFlags: u16 {
        /// Flows that match when the monitor is made.
        const INITIAL = 1 << 0;
        /// New flows.
        const ADD = 1 << 1;
        /// Flows that go.
        const DELETE = 1 << 2;
        /// Flows that change.
        const MODIFY = 1 << 3;
        /// With their instructions.
        const INSTRUCTIONS = 1 << 4;
        /// Changes of this controller too, in full.
        const OWN = 1 << 5;
        /// Changes of this controller only by their transaction id (1.4 on).
        const ONLY_OWN = 1 << 6;
    }
}

/// What is to be done with a monitor (1.4 and later; else always [`MonitorCommand::ADD`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MonitorCommand(pub u8);

impl MonitorCommand {
    /// Make it.
    pub const ADD: MonitorCommand = MonitorCommand(0);
    /// Change it.
    pub const MODIFY: MonitorCommand = MonitorCommand(1);
    /// Delete it.
    pub const DELETE: MonitorCommand = MonitorCommand(2);
}

/// One monitor of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MonitorRequest {
    /// Its number, chosen by the controller.
    pub id: u32,
    /// What is to be done.
    pub command: MonitorCommand,
    /// What it wants.
    pub flags: MonitorFlags,
    /// Only flows that output here; [`OfPort::NONE`] for all.
    pub out_port: OfPort,
    /// Only flows that use this group; `u32::MAX` for all.
    pub out_group: u32,
    /// Only flows of this table; 0xff for all.
    pub table_id: u8,
    /// Only flows within this.
    pub flow_match: Match,
}

/// What happened to a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MonitorEvent {
    /// It was there when the monitor was made (1.3 and later).
    Initial,
    /// It is new.
    Added,
    /// It is gone, for this reason (numbers of flow-removed).
    Deleted(u8),
    /// It has changed.
    Modified,
}

/// One update of a reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MonitorUpdate {
    /// An event.
    Full(Box<MonitorFlow>),
    /// A change of this controller's own, by the transaction id of the message that made it.
    Abbreviated {
        /// Transaction id of the flow-mod.
        xid: u32,
    },
    /// Updates are paused, because the controller does not read (1.4 and later; before a message of its own).
    Paused,
    /// Updates go on (likewise).
    Resumed,
}

/// A flow in an update.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MonitorFlow {
    /// What happened.
    pub event: MonitorEvent,
    /// Its table.
    pub table_id: u8,
    /// Its priority.
    pub priority: u16,
    /// Its idle timeout, seconds.
    pub idle_timeout: u16,
    /// Its hard timeout, seconds.
    pub hard_timeout: u16,
    /// Its cookie.
    pub cookie: u64,
    /// Its match.
    pub flow_match: Match,
    /// Its instructions, if they were asked for.
    pub instructions: Instructions,
}

/// Bytes of a request before its match, in all forms.
const REQUEST_LEN: usize = 16;

/// The events of Nicira's and ONF's form; those of 1.4 are one higher, after `Initial`.
const ADDED: u16 = 0;
const DELETED: u16 = 1;
const MODIFIED: u16 = 2;
const ABBREVIATED: u16 = 3;
/// The events of 1.4 alone.
const INITIAL_14: u16 = 0;
const PAUSED_14: u16 = 5;
const RESUMED_14: u16 = 6;

/// Flags that ask for something; a monitor needs one.
const EVENTS: MonitorFlags =
    MonitorFlags::INITIAL.union(MonitorFlags::ADD).union(MonitorFlags::DELETE).union(MonitorFlags::MODIFY);

/// Which of the three forms a version has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Nicira,
    Onf,
    Of14,
}

impl Form {
    fn of(version: Version) -> Form {
        match version {
            Version::V10 | Version::V11 | Version::V12 => Form::Nicira,
            Version::V13 => Form::Onf,
            Version::V14 | Version::V15 => Form::Of14,
        }
    }
}

/// Takes the match of a request or update; `len` is what the form told of its length.
fn take_match(form: Form, len: usize, reader: &mut Reader<'_>) -> Result<Match, OfError> {
    match form {
        Form::Nicira => Ok(nxm::pull_nxm(reader, len, Rules::default())?.flow_match),
        Form::Onf | Form::Of14 => nxm::pull_oxm(reader, false),
    }
}

/// Appends the match; returns its length without padding.
fn put_match(form: Form, version: Version, flow_match: &Match, out: &mut Vec<u8>) -> u16 {
    if form == Form::Nicira {
        return nxm::put_nxm(out, flow_match, Version::V10, (0, 0)) as u16;
    }
    let start = out.len();
    nxm::put_oxm(out, flow_match, version);
    u16::from_be_bytes([out[start + 2], out[start + 3]])
}

/// Takes every monitor of a request.
pub(super) fn decode_requests(
    version: Version,
    reader: &mut Reader<'_>,
) -> Result<Vec<MonitorRequest>, OfError> {
    let mut requests = Vec::new();
    while !reader.is_empty() {
        requests.push(MonitorRequest::decode(version, reader)?);
    }
    Ok(requests)
}

impl MonitorRequest {
    fn decode(version: Version, reader: &mut Reader<'_>) -> Result<MonitorRequest, OfError> {
        let form = Form::of(version);
        if reader.len() < REQUEST_LEN {
            return Err(OfError::OFPBRC_BAD_LEN);
        }
        let mut request = MonitorRequest { id: reader.u32()?, ..MonitorRequest::any() };
        let (flags, match_len);
        match form {
            Form::Nicira => {
                flags = reader.u16()?;
                let out_port = reader.u16()?;
                match_len = reader.u16()?;
                request.table_id = reader.u8()?;
                request.flags = decode_flags(form, flags)?;
                zeros(reader.bytes(5)?)?;
                request.out_port = OfPort::from_u16(out_port);
            }
            Form::Onf => {
                flags = reader.u16()?;
                match_len = reader.u16()?;
                let out_port = reader.u32()?;
                request.table_id = reader.u8()?;
                request.flags = decode_flags(form, flags)?;
                zeros(reader.bytes(3)?)?;
                request.out_port = OfPort::from_u32(out_port)?;
            }
            Form::Of14 => {
                let out_port = reader.u32()?;
                request.out_group = reader.u32()?;
                flags = reader.u16()?;
                request.table_id = reader.u8()?;
                request.command = MonitorCommand(reader.u8()?);
                match_len = 0;
                request.flags = decode_flags(form, flags)?;
                request.out_port = OfPort::from_u32(out_port)?;
            }
        }
        request.flow_match = take_match(form, usize::from(match_len), reader)?;
        Ok(request)
    }

    /// One that asks for nothing, about every flow.
    fn any() -> MonitorRequest {
        MonitorRequest {
            id: 0,
            command: MonitorCommand::ADD,
            flags: MonitorFlags::empty(),
            out_port: OfPort::NONE,
            out_group: u32::MAX,
            table_id: 0xff,
            flow_match: Match::any(),
        }
    }

    /// Appends the monitor.
    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let form = Form::of(version);
        let start = out.len();
        out.put_u32(self.id);
        let flags = self.flags.bits();
        match form {
            Form::Nicira => {
                out.put_u16(flags & MonitorFlags::all().difference(MonitorFlags::ONLY_OWN).bits());
                out.put_u16(self.out_port.to_u16());
                put_zeros(out, 2);
                out.put_u8(self.table_id);
                put_zeros(out, 5);
            }
            Form::Onf => {
                out.put_u16(flags & MonitorFlags::all().difference(MonitorFlags::ONLY_OWN).bits());
                put_zeros(out, 2);
                out.put_u32(self.out_port.0);
                out.put_u8(self.table_id);
                put_zeros(out, 3);
            }
            Form::Of14 => {
                out.put_u32(self.out_port.0);
                out.put_u32(self.out_group);
                out.put_u16(flags);
                out.put_u8(self.table_id);
                out.put_u8(self.command.0);
            }
        }
        let len = put_match(form, version, &self.flow_match, out);
        match form {
            Form::Nicira => set_u16(out, start + 8, len),
            Form::Onf => set_u16(out, start + 6, len),
            Form::Of14 => {}
        }
    }
}

fn zeros(bytes: &[u8]) -> Result<(), OfError> {
    if bytes.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(OfError::NXBRC_MUST_BE_ZERO) }
}

fn decode_flags(form: Form, wire: u16) -> Result<MonitorFlags, OfError> {
    let flags = MonitorFlags::from_bits(wire).ok_or(OfError::OFPMOFC_BAD_FLAGS)?;
    let bad_own = form != Form::Of14 && flags.contains(MonitorFlags::ONLY_OWN);
    if bad_own || !flags.intersects(EVENTS) { Err(OfError::OFPMOFC_BAD_FLAGS) } else { Ok(flags) }
}

impl MonitorUpdate {
    /// Takes one update.
    pub(super) fn decode(version: Version, reader: &mut Reader<'_>) -> Result<MonitorUpdate, OfError> {
        let form = Form::of(version);
        let len = usize::from(Reader::new(reader.peek()).u16()?);
        if len < 8 || len % 8 != 0 {
            return Err(OfError::OFPBRC_BAD_LEN);
        }
        let mut entry = Reader::new(reader.bytes(len)?);
        entry.skip(2)?;
        let wire = entry.u16()?;
        let event = match (form, wire) {
            (Form::Of14, PAUSED_14) => return Ok(MonitorUpdate::Paused),
            (Form::Of14, RESUMED_14) => return Ok(MonitorUpdate::Resumed),
            (Form::Of14, INITIAL_14) => MonitorEvent::Initial,
            (Form::Of14, wire) => event(wire - 1)?,
            (_, wire) => event(wire)?,
        };
        if wire == ABBREVIATED + u16::from(form == Form::Of14) {
            return Ok(MonitorUpdate::Abbreviated { xid: entry.u32()? });
        }
        Ok(MonitorUpdate::Full(Box::new(MonitorFlow::decode(version, event, &mut entry)?)))
    }

    /// Appends the update.
    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let of14 = u16::from(Form::of(version) == Form::Of14);
        match self {
            MonitorUpdate::Full(flow) => flow.encode(version, out),
            MonitorUpdate::Abbreviated { xid } => {
                out.put_u16(8);
                out.put_u16(ABBREVIATED + of14);
                out.put_u32(*xid);
            }
            MonitorUpdate::Paused | MonitorUpdate::Resumed => {
                out.put_u16(8);
                out.put_u16(if *self == MonitorUpdate::Paused { PAUSED_14 } else { RESUMED_14 });
                put_zeros(out, 4);
            }
        }
    }
}

/// The event with this number in Nicira's form. The reason of a deletion follows elsewhere; an abbreviation is none, but passes.
fn event(wire: u16) -> Result<MonitorEvent, OfError> {
    match wire {
        ADDED | ABBREVIATED => Ok(MonitorEvent::Added),
        DELETED => Ok(MonitorEvent::Deleted(0)),
        MODIFIED => Ok(MonitorEvent::Modified),
        _ => Err(OfError::NXBRC_FM_BAD_EVENT),
    }
}

impl MonitorFlow {
    fn decode(version: Version, event: MonitorEvent, entry: &mut Reader<'_>) -> Result<MonitorFlow, OfError> {
        let form = Form::of(version);
        let mut flow = MonitorFlow {
            event,
            table_id: 0,
            priority: 0,
            idle_timeout: 0,
            hard_timeout: 0,
            cookie: 0,
            flow_match: Match::any(),
            instructions: Instructions::default(),
        };
        let (reason, match_len);
        if form == Form::Of14 {
            flow.table_id = entry.u8()?;
            reason = entry.u8()?;
            (flow.idle_timeout, flow.hard_timeout) = (entry.u16()?, entry.u16()?);
            flow.priority = entry.u16()?;
            entry.skip(4)?;
            match_len = 0;
        } else {
            reason = entry.u16()? as u8;
            flow.priority = entry.u16()?;
            (flow.idle_timeout, flow.hard_timeout) = (entry.u16()?, entry.u16()?);
            match_len = usize::from(entry.u16()?);
            flow.table_id = entry.u8()?;
            entry.skip(1)?;
        }
        flow.cookie = entry.u64()?;
        if matches!(event, MonitorEvent::Deleted(_)) {
            flow.event = MonitorEvent::Deleted(reason);
        }
        flow.flow_match = take_match(form, match_len, entry)?;
        flow.instructions = match form {
            Form::Nicira => Instructions::apply(action::decode_actions(version, entry.rest())?),
            Form::Onf | Form::Of14 => instruction::decode(version, entry.rest())?,
        };
        Ok(flow)
    }

    fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let form = Form::of(version);
        let start = out.len();
        let (event, reason) = match self.event {
            MonitorEvent::Initial | MonitorEvent::Added => (ADDED, 0),
            MonitorEvent::Deleted(reason) => (DELETED, reason),
            MonitorEvent::Modified => (MODIFIED, 0),
        };
        put_zeros(out, 2);
        if form == Form::Of14 {
            out.put_u16(if self.event == MonitorEvent::Initial { INITIAL_14 } else { event + 1 });
            out.extend_from_slice(&[self.table_id, reason]);
            out.put_u16(self.idle_timeout);
            out.put_u16(self.hard_timeout);
            out.put_u16(self.priority);
            put_zeros(out, 4);
        } else {
            out.put_u16(event);
            out.put_u16(u16::from(reason));
            out.put_u16(self.priority);
            out.put_u16(self.idle_timeout);
            out.put_u16(self.hard_timeout);
            put_zeros(out, 2);
            out.extend_from_slice(&[self.table_id, 0]);
        }
        out.put_u64(self.cookie);
        let match_len = put_match(form, version, &self.flow_match, out);
        if form != Form::Of14 {
            set_u16(out, start + 12, match_len);
        }
        match form {
            Form::Nicira => action::encode_list(version, &self.instructions.apply, out),
            Form::Onf | Form::Of14 => instruction::encode(version, &self.instructions, out),
        }
        let len = out.len() - start;
        set_u16(out, start, len as u16);
    }
}
