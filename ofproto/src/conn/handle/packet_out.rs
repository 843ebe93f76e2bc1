//! Packets that a controller sends through the switch.

use openflow::action::{CheckParams, check_list};
use openflow::message::PacketOut;
use openflow::{Match, OfError, Version};

use super::Turn;
use super::flow::FIRST_RESERVED_PORT;
use crate::Bridge;

/// No packet is ever kept in the switch, so there is none to refer to.
const NO_BUFFER: u32 = u32::MAX;
/// VLAN tags that are told apart.
const VLAN_LIMIT: usize = 2;

pub(super) fn packet_out(turn: &mut Turn<'_>, request: &mut PacketOut) -> Result<(), OfError> {
    turn.may_change()?;
    let version = turn.session()?.dialect.version;
    check(request, version)?;
    execute(turn.bridge, request, turn.now_ns)
}

/// Whether a packet-out can be done.
pub(in crate::conn) fn check(request: &mut PacketOut, version: Version) -> Result<(), OfError> {
    if request.buffer_id != NO_BUFFER {
        return Err(OfError::OFPBRC_BUFFER_UNKNOWN);
    }
    let mut fields = Match::any();
    fields.key = packet::extract(&request.packet, VLAN_LIMIT).0;
    fields.mask = packet::FlowMask::exact();
    let params = CheckParams { version, max_ports: FIRST_RESERVED_PORT, table_id: None, n_tables: 255 };
    check_list(&mut request.actions, &fields, &params)?;
    crate::check::actions(&request.actions)
}

/// Does it.
pub(in crate::conn) fn execute(bridge: &Bridge, request: &PacketOut, now_ns: u64) -> Result<(), OfError> {
    bridge.packet_out(&request.packet, &request.metadata, &request.actions, now_ns)
}
