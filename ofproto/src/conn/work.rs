//! Requests that take longer than a turn: a barrier that waits for workers, a long dump, the commit of a bundle. While a connection has
//! one, nothing else of it is read, so answers keep their order; other connections go on.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use openflow::OfError;
use openflow::message::{Aggregate, BundleControl, Dialect, Message, ReplyWriter, StatsReply};

use super::budget::Budget;
use super::bundle::Bundle;
use super::devices::Devices;
use super::handle::bundle::{BundleRequest, reply_to, request_of};
use super::handle::{flow, group, packet_out, port, table};
use super::ofconn::OfConn;
use crate::{Bridge, Rule, TABLES, Txn};

/// Rules in one part of a reply: a part takes well under a millisecond to write.
const RULES_PER_PART: usize = 64;

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
        rules: VecDeque<Arc<Rule>>,
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
        rules: VecDeque<Arc<Rule>>,
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
    /// The commit of a bundle.
    Commit(Box<Commit>),
}

impl Work {
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
            Self::Flows { nicira, rules, reply } => write(conn, reply, budget, || {
                let part = rules.drain(..rules.len().min(RULES_PER_PART));
                let flows = part.map(|rule| flow::stats_of(&rule, now_ns)).collect();
                (StatsReply::Flow { flows, nicira: *nicira }, !rules.is_empty())
            }),
            Self::Aggregate { xid, nicira, rules, sum } => {
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

/// A bundle on its way into the tables.
#[derive(Debug)]
pub(crate) struct Commit {
    xid: u32,
    /// The request, for an error about it.
    request: Bytes,
    control: BundleControl,
    atomic: bool,
    dialect: Dialect,
    messages: std::vec::IntoIter<Bytes>,
    txn: Option<Txn>,
    /// What is done, in order, once the tables have changed.
    after: VecDeque<Bytes>,
}

impl Commit {
    pub(super) fn new(
        xid: u32,
        request: &Bytes,
        control: BundleControl,
        bundle: Bundle,
        dialect: Dialect,
        bridge: &Bridge,
    ) -> Self {
        Self {
            xid,
            request: request.clone(),
            control,
            atomic: bundle.is_atomic(),
            dialect,
            messages: bundle.messages.into_iter(),
            txn: Some(bridge.begin()),
            after: VecDeque::new(),
        }
    }

    fn step(
        &mut self,
        conn: &mut OfConn,
        bridge: &Bridge,
        devices: &mut Devices,
        now_ns: u64,
        budget: &Budget,
    ) -> Progress {
        while let Some(message) = self.messages.next() {
            match self.start(&message, bridge, now_ns) {
                Ok(true) => self.after.push_back(message),
                Ok(false) => {}
                Err(error) => {
                    // Dropping the transaction takes back what was done so far.
                    self.txn = None;
                    conn.refuse(&message, error);
                    conn.refuse(&self.request, OfError::OFPBFC_MSG_FAILED);
                    return Progress::Done;
                }
            }
            if budget.is_spent() {
                return Progress::More;
            }
        }
        if let Some(txn) = self.txn.take() {
            txn.commit();
        }
        while let Some(message) = self.after.pop_front() {
            let request = request_of(&message, &self.dialect);
            if let Err(error) = request.and_then(|request| finish(&request, bridge, devices, now_ns)) {
                conn.refuse(&message, error);
            }
            if budget.is_spent() {
                return Progress::More;
            }
        }
        conn.reply(self.xid, &Message::BundleControl(reply_to(&self.control)));
        Progress::Done
    }

    /// Does out of sight what can be taken back, and checks the rest; whether that is still to be done.
    fn start(&mut self, message: &Bytes, bridge: &Bridge, now_ns: u64) -> Result<bool, OfError> {
        match request_of(message, &self.dialect)? {
            BundleRequest::FlowMod(fm) => match &mut self.txn {
                Some(txn) => txn.apply(&fm, now_ns).map(|()| false),
                None => Err(OfError::OFPBFC_MSG_FAILED),
            },
            // A change of a port cannot be taken back.
            BundleRequest::PortMod(_) if self.atomic => Err(OfError::OFPBFC_MSG_FAILED),
            BundleRequest::PortMod(port_mod) => port::check_mod(bridge, &port_mod).map(|_| true),
            BundleRequest::GroupMod(group_mod) => group::group_mod(&group_mod).map(|()| false),
            BundleRequest::PacketOut(_) => Ok(true),
        }
    }
}

fn finish(
    request: &BundleRequest,
    bridge: &Bridge,
    devices: &mut Devices,
    now_ns: u64,
) -> Result<(), OfError> {
    match request {
        BundleRequest::PortMod(port_mod) => port::apply_mod(bridge, devices, port_mod).map(|_| ()),
        BundleRequest::PacketOut(out) => packet_out::execute(bridge, out, now_ns),
        BundleRequest::FlowMod(_) | BundleRequest::GroupMod(_) => Ok(()),
    }
}
