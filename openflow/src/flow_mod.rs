//! Changes to flow tables: the flow-mod message of every version.

use bitflags::bitflags;

use crate::{Instructions, Match, OfPort};

bitflags! {
    /// Flags of a flow, as in OpenFlow 1.3.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct FlowFlags: u16 {
        /// Send a flow-removed when the flow goes.
        const SEND_FLOW_REM = 1;
        /// Refuse to add a flow that overlaps another of its priority.
        const CHECK_OVERLAP = 2;
        /// Set the counters to zero.
        const RESET_COUNTS = 4;
        /// Packets need not be counted.
        const NO_PKT_COUNTS = 8;
        /// Bytes need not be counted.
        const NO_BYT_COUNTS = 16;
    }
}

impl FlowFlags {
    /// Those that a flow keeps; the others are about the change.
    pub const KEPT: Self = Self::SEND_FLOW_REM.union(Self::NO_PKT_COUNTS).union(Self::NO_BYT_COUNTS);
}

/// What a flow-mod does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FlowModCommand {
    /// Add a flow, replacing the same one.
    Add = 0,
    /// Change the actions of all flows within the match.
    Modify = 1,
    /// Change the actions of the flow with this match and priority.
    ModifyStrict = 2,
    /// Delete all flows within the match.
    Delete = 3,
    /// Delete the flow with this match and priority.
    DeleteStrict = 4,
}

/// A flow-mod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowMod {
    /// What to do.
    pub command: FlowModCommand,
    /// Table; `None` stands for all tables, or for "the switch chooses" when adding.
    pub table_id: Option<u8>,
    /// What the flow matches.
    pub flow_match: Match,
    /// Priority.
    pub priority: u16,
    /// Modify and delete touch only flows whose cookie agrees with this one in the bits of `cookie_mask`.
    pub cookie: u64,
    /// Which bits of `cookie` count; 0 for none.
    pub cookie_mask: u64,
    /// Cookie of the flow that is added, or given to those that are modified; `None` leaves theirs.
    pub new_cookie: Option<u64>,
    /// Seconds without packets, 0 for ever.
    pub idle_timeout: u16,
    /// Seconds to live, 0 for ever.
    pub hard_timeout: u16,
    /// Eviction rank (OpenFlow 1.4).
    pub importance: u16,
    /// Buffered packet to send; `u32::MAX` for none.
    pub buffer_id: u32,
    /// Delete only flows that output here; [`OfPort::NONE`] for any.
    pub out_port: OfPort,
    /// Delete only flows that use this group; `u32::MAX` for any.
    pub out_group: u32,
    /// Flags.
    pub flags: FlowFlags,
    /// What the flow does.
    pub instructions: Instructions,
}

impl Default for FlowMod {
    fn default() -> Self {
        Self {
            command: FlowModCommand::Add,
            table_id: None,
            flow_match: Match::any(),
            priority: 0x8000,
            cookie: 0,
            cookie_mask: 0,
            new_cookie: Some(0),
            idle_timeout: 0,
            hard_timeout: 0,
            importance: 0,
            buffer_id: u32::MAX,
            out_port: OfPort::NONE,
            out_group: u32::MAX,
            flags: FlowFlags::empty(),
            instructions: Instructions::default(),
        }
    }
}
