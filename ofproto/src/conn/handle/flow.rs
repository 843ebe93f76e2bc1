//! Flows: changes, statistics, sums.

use std::sync::Arc;

use bytes::Bytes;
use openflow::flow_stats::{FlowStats, FlowStatsRequest};
use openflow::message::{Aggregate, StatsReply};
use openflow::{FieldId, FlowMod, FlowModCommand, OfError, Version};

use super::{Outcome, Turn};
use crate::conn::age::age;
use crate::conn::change::Change;
use crate::conn::work::{Selected, Work};
use crate::{Filter, HIDDEN_TABLE, Rule};

/// Ports from here on are reserved names.
pub(in crate::conn) const FIRST_RESERVED_PORT: u16 = 0xff00;
/// A flow may go to any table that can be named.
const NO_TABLE_LIMIT: u8 = 255;
/// Stands for all tables (`OFPTT_ALL`).
const ALL_TABLES: u8 = 0xff;

pub(super) fn flow_mod(turn: &mut Turn<'_>, fm: &mut FlowMod, bytes: &Bytes) -> Result<Outcome, OfError> {
    turn.may_change()?;
    if turn.must_wait() {
        return Ok(Outcome::Wait);
    }
    let version = turn.session()?.dialect.version;
    check(fm, version)?;
    let mut txn = turn.bridge.begin();
    txn.begin(fm, turn.now_ns)?;
    if txn.is_ready() {
        txn.commit();
    } else {
        turn.start_change(Work::Change(Box::new(Change::new(bytes, txn))));
    }
    Ok(Outcome::Done)
}

/// Whether a flow-mod can be done, as far as that does not depend on what flows, groups and meters there are.
pub(in crate::conn) fn check(fm: &mut FlowMod, version: Version) -> Result<(), OfError> {
    fm.check(version, FIRST_RESERVED_PORT, NO_TABLE_LIMIT)?;
    // The switch's own table, and the numbers by which it goes on with a packet, are for nobody else.
    if fm.table_id == Some(HIDDEN_TABLE) || !fm.flow_match.is_wild(FieldId::RecircId) {
        return Err(OfError::OFPBRC_EPERM);
    }
    let deletes = matches!(fm.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
    // No packet is ever kept in the switch, so there is none to refer to.
    if fm.buffer_id == u32::MAX || deletes { Ok(()) } else { Err(OfError::OFPBRC_BUFFER_UNKNOWN) }
}

fn filter(request: &FlowStatsRequest) -> Result<Filter, OfError> {
    let table = match request.table_id {
        ALL_TABLES => None,
        table if table <= HIDDEN_TABLE => Some(table),
        _ => return Err(OfError::OFPBRC_BAD_TABLE_ID),
    };
    Ok(Filter {
        table,
        within: request.flow_match,
        out_port: request.out_port,
        out_group: request.out_group,
        cookie: request.cookie,
        cookie_mask: request.cookie_mask,
    })
}

pub(super) fn dump(turn: &mut Turn<'_>, request: &FlowStatsRequest, nicira: bool) -> Result<(), OfError> {
    let rules = Selected::new(turn.bridge, filter(request)?);
    let reply = turn.begin_reply(&StatsReply::Flow { flows: Vec::new(), nicira })?;
    turn.start(Work::Flows { nicira, rules, reply });
    Ok(())
}

pub(super) fn aggregate(
    turn: &mut Turn<'_>,
    request: &FlowStatsRequest,
    nicira: bool,
) -> Result<(), OfError> {
    let rules = Selected::new(turn.bridge, filter(request)?);
    let (xid, sum) = (turn.xid, Aggregate::default());
    turn.start(Work::Aggregate { xid, nicira, rules, sum });
    Ok(())
}

/// What is told of a rule.
pub(in crate::conn) fn stats_of(rule: &Arc<Rule>, now_ns: u64) -> FlowStats {
    let spec = rule.spec();
    let totals = rule.totals();
    let (duration_sec, duration_nsec) = age(spec.created_ns, now_ns);
    let seconds_since = |then_ns: u64| u32::try_from(now_ns.saturating_sub(then_ns) / 1_000_000_000).ok();
    FlowStats {
        table_id: spec.table,
        priority: spec.priority as u16,
        flow_match: rule.flow_match(),
        cookie: spec.cookie,
        duration_sec,
        duration_nsec,
        idle_timeout: rule.idle_timeout(),
        hard_timeout: rule.hard_timeout(),
        idle_age: seconds_since(rule.used_ns()),
        hard_age: seconds_since(rule.modified_ns()),
        importance: spec.importance,
        flags: spec.flags,
        packets: totals.hits.packets,
        bytes: totals.hits.bytes,
        instructions: (*spec.instructions).clone(),
    }
}
