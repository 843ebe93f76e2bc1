//! Bundles: opening, filling, committing.

use bytes::Bytes;
use openflow::message::{
    self, BundleAdd, BundleCommand, BundleControl, BundleFlags, Dialect, GroupMod, Message, PacketOut,
    PortMod,
};
use openflow::{FlowMod, OfError};

use super::{Outcome, Turn, flow, packet_out};
use crate::conn::change::Commit;
use crate::conn::work::Work;

/// What a message of a bundle asks for.
#[derive(Debug)]
pub(crate) enum BundleRequest {
    /// A change of flows.
    FlowMod(Box<FlowMod>),
    /// A change of a port.
    PortMod(PortMod),
    /// A change of groups.
    GroupMod(Box<GroupMod>),
    /// A packet to send.
    PacketOut(Box<PacketOut>),
}

pub(super) fn control(
    turn: &mut Turn<'_>,
    control: BundleControl,
    bytes: &Bytes,
) -> Result<Outcome, OfError> {
    turn.may_change()?;
    let (id, flags, now_ms) = (control.bundle_id, control.flags, turn.now_ns / 1_000_000);
    if control.command == BundleCommand::COMMIT_REQUEST {
        return commit(turn, control, bytes);
    }
    let bundles = &mut turn.session()?.bundles;
    match control.command {
        BundleCommand::OPEN_REQUEST => bundles.open(id, flags, bytes, now_ms)?,
        BundleCommand::CLOSE_REQUEST => bundles.close(id, flags, now_ms)?,
        BundleCommand::DISCARD_REQUEST => bundles.discard(id)?,
        _ => return Err(OfError::OFPBFC_BAD_TYPE),
    }
    turn.reply(&Message::BundleControl(reply_to(&control)));
    Ok(Outcome::Done)
}

/// The reply to a request: its number is the next, its flags say nothing.
pub(in crate::conn) fn reply_to(request: &BundleControl) -> BundleControl {
    BundleControl { command: BundleCommand(request.command.0 + 1), flags: BundleFlags::empty(), ..*request }
}

fn commit(turn: &mut Turn<'_>, control: BundleControl, bytes: &Bytes) -> Result<Outcome, OfError> {
    if turn.must_wait() {
        return Ok(Outcome::Wait);
    }
    let bundle = turn.session()?.bundles.take(control.bundle_id, control.flags)?;
    let dialect = turn.session()?.dialect;
    let commit = Commit::new(turn.xid, bytes, control, bundle, dialect, turn.bridge);
    turn.start_change(Work::Commit(Box::new(commit)));
    Ok(Outcome::Done)
}

/// Reads what a message that adds to a bundle asks for, and checks what does not depend on the tables.
pub(in crate::conn) fn request_of(message: &Bytes, dialect: &Dialect) -> Result<BundleRequest, OfError> {
    match message::decode(message, dialect)? {
        (_, Message::BundleAdd(add)) => inner_request(&add.message, dialect),
        _ => Err(OfError::OFPBFC_MSG_BAD_LEN),
    }
}

fn inner_request(message: &Bytes, dialect: &Dialect) -> Result<BundleRequest, OfError> {
    let (_, message) = message::decode(message, dialect)?;
    match message {
        Message::FlowMod(mut fm) => {
            flow::check(&mut fm, dialect.version)?;
            Ok(BundleRequest::FlowMod(fm))
        }
        Message::PortMod(port_mod) => Ok(BundleRequest::PortMod(port_mod)),
        Message::GroupMod(group_mod) => Ok(BundleRequest::GroupMod(group_mod)),
        Message::PacketOut(mut out) => {
            packet_out::check(&mut out, dialect.version)?;
            Ok(BundleRequest::PacketOut(out))
        }
        _ => Err(OfError::OFPBFC_MSG_UNSUP),
    }
}

/// Adds a message that could be read. It is read again when the bundle is committed: see [`crate::conn::bundle`] for why.
pub(super) fn add(turn: &mut Turn<'_>, add: &BundleAdd, bytes: &Bytes) -> Result<(), OfError> {
    turn.may_change()?;
    let now_ms = turn.now_ns / 1_000_000;
    let session = turn.session()?;
    inner_request(&add.message, &session.dialect)?;
    session.bundles.add(add.bundle_id, add.flags, bytes, now_ms)
}
