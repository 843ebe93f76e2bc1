//! What is told of flows: statistics requests, statistics, and notices of removal.

use crate::action::Instructions;
use crate::flow_match::Match;
use crate::flow_mod::FlowFlags;
use crate::port::OfPort;

/// Which flows a statistics request is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowStatsRequest {
    /// Table, 0xff for all.
    pub table_id: u8,
    /// Only flows within this match.
    pub flow_match: Match,
    /// Only flows that output here; [`OfPort::NONE`] for any.
    pub out_port: OfPort,
    /// Only flows that use this group; `u32::MAX` for any.
    pub out_group: u32,
    /// Only flows whose cookie agrees with this one in the bits of `cookie_mask`.
    pub cookie: u64,
    /// Which bits of `cookie` count.
    pub cookie_mask: u64,
}

impl Default for FlowStatsRequest {
    fn default() -> Self {
        Self {
            table_id: 0xff,
            flow_match: Match::any(),
            out_port: OfPort::NONE,
            out_group: u32::MAX,
            cookie: 0,
            cookie_mask: 0,
        }
    }
}

/// Statistics of one flow. Counters that are not known are `u64::MAX`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlowStats {
    /// Its table.
    pub table_id: u8,
    /// Its priority.
    pub priority: u16,
    /// What it matches.
    pub flow_match: Match,
    /// Its cookie.
    pub cookie: u64,
    /// Age, whole seconds.
    pub duration_sec: u32,
    /// Age, nanoseconds beyond the seconds.
    pub duration_nsec: u32,
    /// Idle timeout, seconds, 0 for none.
    pub idle_timeout: u16,
    /// Hard timeout, seconds, 0 for none.
    pub hard_timeout: u16,
    /// Seconds since its last packet, if known (Nicira's form only).
    pub idle_age: Option<u32>,
    /// Seconds since it was last changed, if known (Nicira's form only).
    pub hard_age: Option<u32>,
    /// Eviction rank (1.4 and later).
    pub importance: u16,
    /// Its flags (1.3 and later).
    pub flags: FlowFlags,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// What it does.
    pub instructions: Instructions,
}

/// Why a flow was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RemovedReason {
    /// No packet for its idle timeout.
    IdleTimeout = 0,
    /// Its hard timeout.
    HardTimeout = 1,
    /// A flow-mod.
    Delete = 2,
    /// Its group was deleted.
    GroupDelete = 3,
    /// Its meter was deleted (1.4 and later).
    MeterDelete = 4,
    /// It was evicted (1.4 and later).
    Eviction = 5,
}

/// A notice that a flow was removed. Counters that are not known are `u64::MAX`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowRemoved {
    /// Why.
    pub reason: RemovedReason,
    /// Its table.
    pub table_id: u8,
    /// Its priority.
    pub priority: u16,
    /// What it matched.
    pub flow_match: Match,
    /// Its cookie.
    pub cookie: u64,
    /// Age, whole seconds.
    pub duration_sec: u32,
    /// Age, nanoseconds beyond the seconds.
    pub duration_nsec: u32,
    /// Idle timeout, seconds.
    pub idle_timeout: u16,
    /// Hard timeout, seconds.
    pub hard_timeout: u16,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}
