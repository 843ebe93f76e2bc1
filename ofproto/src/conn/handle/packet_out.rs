//! Packets that a controller sends through the switch.

use openflow::OfError;
use openflow::message::PacketOut;

use super::Turn;
use crate::Bridge;

/// No packet is ever kept in the switch, so there is none to refer to.
const NO_BUFFER: u32 = u32::MAX;

pub(super) fn packet_out(turn: &mut Turn<'_>, request: &PacketOut) -> Result<(), OfError> {
    turn.may_change()?;
    check(turn.bridge, request)?;
    execute(turn.bridge, request, turn.now_ns)
}

/// Whether a packet-out can be done.
pub(in crate::conn) fn check(bridge: &Bridge, request: &PacketOut) -> Result<(), OfError> {
    if request.buffer_id != NO_BUFFER {
        return Err(OfError::OFPBRC_BUFFER_UNKNOWN);
    }
    bridge.check_actions(&request.actions)
}

/// Does it.
pub(in crate::conn) fn execute(bridge: &Bridge, request: &PacketOut, now_ns: u64) -> Result<(), OfError> {
    bridge.packet_out(&request.packet, &request.metadata, &request.actions, now_ns)
}
