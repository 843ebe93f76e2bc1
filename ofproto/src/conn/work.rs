//! Requests that take longer than a turn: a barrier that waits for workers, a long dump, a change of many rules, the commit of a bundle.
//! While a connection has one, nothing else of it is read, so answers keep their order; other connections go on.

use std::collections::VecDeque;
use std::sync::Arc;

use conntrack::{Cursor, Tracker};
use openflow::message::{Aggregate, Message, ReplyWriter, StatsReply};

use super::budget::Budget;
use super::change::{Change, Commit};
use super::devices::Devices;
use super::handle::{flow, table};
use super::ofconn::OfConn;
use crate::table::selection::Selection;
use crate::{Bridge, Filter, Rule, TABLES};

/// Rules in one part of a reply: a part takes well under a millisecond to write.
const RULES_PER_PART: usize = 64;
/// Slots of the connection table looked at between two looks at the clock.
const SLOTS_PER_LOOK: usize = 256;

/// How far a step came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// It is done.
    Done,
    /// The turn is over; there is more to do at once.
    More,
    /// It waits, for workers or for the connection.
    Waiting,
}

/// A request under way.
#[derive(Debug)]
pub(crate) enum Work {
    /// A barrier: answered once every worker has passed the version, and the packets sent before it are out.
    Barrier {
        /// Of the request.
        xid: u32,
        /// The version in force when the barrier was read.
        version: u64,
        /// [`Bridge::packets_handed_in`] when the barrier was read.
        packets: u64,
    },
    /// A dump of flows.
    Flows {
        /// Whether it was asked for in Nicira's form.
        nicira: bool,
        /// What remains to be told.
        rules: Selected,
        /// The reply so far.
        reply: ReplyWriter,
    },
    /// The sum over many flows.
    Aggregate {
        /// Of the request.
        xid: u32,
        /// Whether it was asked for in Nicira's form.
        nicira: bool,
        /// What remains to be added.
        rules: Selected,
        /// The sum so far.
        sum: Aggregate,
    },
    /// The features of all tables.
    TableFeatures {
        /// The next table.
        next: u8,
        /// The reply so far.
        reply: ReplyWriter,
    },
    /// A change of many rules.
    Change(Box<Change>),
    /// Connections that are to be forgotten.
    CtFlush {
        /// Which.
        filter: Box<conntrack::Filter>,
        /// How far it has come.
        cursor: Cursor,
    },
    /// The commit of a bundle.
    Commit(Box<Commit>),
}

/// The rules that a request is about.
#[derive(Debug)]
pub(crate) struct Selected {
    /// Until all are found.
    selection: Option<Selection>,
    rules: VecDeque<Arc<Rule>>,
}

impl Selected {
    /// Those of the version in force that pass a filter.
    pub(super) fn new(bridge: &Bridge, filter: Filter) -> Self {
        Self { selection: bridge.begin_select(filter), rules: VecDeque::new() }
    }

    /// Looks for them; `None` if the turn is over before all are found.
    fn found(&mut self, bridge: &Bridge, budget: &Budget) -> Option<&mut VecDeque<Arc<Rule>>> {
        while let Some(selection) = &mut self.selection {
            if bridge.go_on(selection) {
                self.rules = std::mem::take(selection.found());
                self.selection = None;
            } else if budget.is_spent() {
                return None;
            }
        }
        Some(&mut self.rules)
    }
}

impl Work {
    /// Has these connections forgotten.
    pub(super) fn ct_flush(filter: conntrack::Filter, now_ns: u64) -> Self {
        Self::CtFlush { filter: Box::new(filter), cursor: Cursor::at(now_ns) }
    }

    /// Whether it goes on when workers have passed a version, and not by anything done here.
    pub(super) fn waits_for_workers(&self) -> bool {
        matches!(self, Self::Barrier { .. })
    }

    pub(super) fn step(
        &mut self,
        conn: &mut OfConn,
        bridge: &Bridge,
        devices: &mut Devices,
        now_ns: u64,
        budget: &Budget,
    ) -> Progress {
        match self {
            Self::Barrier { xid, version, packets } => {
                if !bridge.has_passed(*version) || !bridge.are_out(*packets) {
                    return Progress::Waiting;
                }
                conn.reply(*xid, &Message::BarrierReply);
                Progress::Done
            }
            Self::Flows { nicira, rules, reply } => {
                let Some(rules) = rules.found(bridge, budget) else { return Progress::More };
                write(conn, reply, budget, || {
                    let part = rules.drain(..rules.len().min(RULES_PER_PART));
                    let flows = part.map(|rule| flow::stats_of(&rule, now_ns)).collect();
                    (StatsReply::Flow { flows, nicira: *nicira }, !rules.is_empty())
                })
            }
            Self::Aggregate { xid, nicira, rules, sum } => {
                let Some(rules) = rules.found(bridge, budget) else { return Progress::More };
                if !add_up(rules, sum, budget) {
                    return Progress::More;
                }
                let reply = StatsReply::Aggregate { sum: *sum, nicira: *nicira };
                conn.reply(*xid, &Message::StatsReply { more: false, reply });
                Progress::Done
            }
            Self::TableFeatures { next, reply } => {
                let Some(version) = conn.version() else { return Progress::Done };
                write(conn, reply, budget, || {
                    let features = table::features_of(bridge, version, *next);
                    *next += 1;
                    (StatsReply::TableFeatures(vec![features]), *next < TABLES)
                })
            }
            Self::Change(change) => change.step(conn, budget),
            Self::CtFlush { filter, cursor } => flush(devices.datapath().tracker(), filter, cursor, budget),
            Self::Commit(commit) => commit.step(conn, bridge, devices, now_ns, budget),
        }
    }
}

/// Writes what `next` gives, with whether there is more to come, until the turn is over.
fn write(
    conn: &mut OfConn,
    reply: &mut ReplyWriter,
    budget: &Budget,
    mut next: impl FnMut() -> (StatsReply, bool),
) -> Progress {
    loop {
        if conn.is_congested() {
            return Progress::Waiting;
        }
        let (part, more) = next();
        // An entry that cannot be told in this version is left out.
        let _ = reply.push(&part);
        conn.reply_bytes(reply.take_full());
        if !more {
            conn.reply_bytes(reply.take_rest());
            return Progress::Done;
        }
        if budget.is_spent() {
            return Progress::More;
        }
    }
}

/// Forgets connections until the turn is over.
fn flush(tracker: &Tracker, filter: &conntrack::Filter, cursor: &mut Cursor, budget: &Budget) -> Progress {
    while !tracker.flush(filter, cursor, SLOTS_PER_LOOK) {
        if budget.is_spent() {
            return Progress::More;
        }
    }
    Progress::Done
}

/// Adds rules to a sum; whether all were added.
fn add_up(rules: &mut VecDeque<Arc<Rule>>, sum: &mut Aggregate, budget: &Budget) -> bool {
    while !rules.is_empty() {
        for rule in rules.drain(..rules.len().min(RULES_PER_PART)) {
            let totals = rule.totals();
            sum.packets += totals.hits.packets;
            sum.bytes += totals.hits.bytes;
            sum.flows += 1;
        }
        if budget.is_spent() && !rules.is_empty() {
            return false;
        }
    }
    true
}
