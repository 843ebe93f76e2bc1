//! Flow monitoring: being told of every change to flows (OpenFlow 1.4 clause 7.3.5.17; Nicira's for 1.0 to 1.2, ONF's for 1.3).

use crate::action::Instructions;
use crate::flow_match::Match;
use crate::port::OfPort;
use bitflags::bitflags;

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

/// What is to be done with a monitor (1.4 and later; else always `Add`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum MonitorCommand {
    /// Make it.
    #[default]
    Add = 0,
    /// Change it.
    Modify = 1,
    /// Delete it.
    Delete = 2,
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
