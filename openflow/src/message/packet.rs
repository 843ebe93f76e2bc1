//! Packets to and from controllers.

use crate::action::Action;
use crate::flow_match::Match;
use bytes::Bytes;

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
