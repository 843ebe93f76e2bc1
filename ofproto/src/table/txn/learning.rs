//! What packets teach: changes to one flow each, made by workers.
//!
//! # Algorithm
//!
//! [`teach`] is a transaction of its own, begun and committed in one hold of the write lock, and only when no other one is open: what a
//! controller is in the middle of changing is changed by nobody else. Until then the lesson waits in a queue of the bridge, and whoever
//! commits goes through it.
//!
//! # Invariants
//!
//! - Flows that are to go with those that teach them (`delete_learned`) do so in the transaction that removes the last of those.
//!
//! # Costs
//!
//! A lesson: as for adding a flow. The end of the last teacher: O(rules of the table), in slices.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use openflow::action::LearnFlags;
use openflow::{Action, Instructions};

use super::super::flow_table::Filter;
use super::super::lesson::{Lesson, Verdict};
use super::super::selection::Selection;
use super::{Act, Txn};
use crate::events::RemovedReason;
use crate::state::{BridgeId, BridgeState, Core};

/// Lessons that wait.
const MAX_WAITING: usize = 4096;
/// Changes whose rules have still to be taken out, beyond which no rule is replaced.
const MAX_RETIRED: usize = 1 << 16;

/// What became of a lesson.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Learning {
    /// The flow stands as it was.
    Known,
    /// It is there from this version on.
    Since(u64),
    /// It is not there, or not yet.
    Open,
}

/// Has the bridge learn what a packet teaches.
pub(crate) fn teach(core: &Arc<Core>, lesson: Lesson, now_ns: u64) -> Learning {
    let mut state = core.write();
    let Some(bridge) = state.bridges.get_mut(&lesson.bridge) else { return Learning::Open };
    if !bridge.is_changing() {
        return teach_in(core, bridge, &lesson, now_ns);
    }
    if bridge.lessons.len() < MAX_WAITING {
        bridge.lessons.push_back(lesson);
        return Learning::Open;
    }
    unlearned(core)
}

fn unlearned(core: &Core) -> Learning {
    core.unlearned.fetch_add(1, Ordering::Relaxed);
    Learning::Open
}

/// Goes through the lessons that wait, unless they have to wait on.
pub(crate) fn teach_put_off(core: &Arc<Core>, bridge: BridgeId, now_ns: u64) {
    loop {
        let mut state = core.write();
        let Some(bridge) = state.bridges.get_mut(&bridge).filter(|bridge| !bridge.is_changing()) else {
            return;
        };
        let Some(lesson) = bridge.lessons.pop_front() else { return };
        teach_in(core, bridge, &lesson, now_ns);
    }
}

fn teach_in(core: &Arc<Core>, bridge: &mut BridgeState, lesson: &Lesson, now_ns: u64) -> Learning {
    let old = match lesson.judge(&bridge.tables[usize::from(lesson.table)], 0) {
        Verdict::Known(rule) => {
            rule.refresh(now_ns);
            rule.set_taught();
            let _ = lesson.taught.set(rule);
            return Learning::Known;
        }
        Verdict::New(old) if bridge.retired.len() < MAX_RETIRED => old,
        Verdict::New(_) => return unlearned(core),
        Verdict::Limit | Verdict::Refused(_) => return Learning::Open,
    };
    let (flow, mut txn) = (&lesson.flow, Txn::new(core, bridge.id));
    txn.now_ns = now_ns;
    let done = match old {
        Some(old) => {
            txn.replace(bridge, &old, flow, &Arc::new(flow.instructions.clone()));
            Ok(())
        }
        None => txn.add_in(bridge, lesson.table, flow, i32::from(flow.priority)),
    };
    // Nothing was changed if there was no room.
    if done.is_err() {
        return Learning::Open;
    }
    if let Some(rule) = txn.added.last() {
        rule.set_taught();
        let _ = lesson.taught.set(Arc::clone(rule));
    }
    txn.doom_orphans_in(bridge);
    txn.committed = true;
    let version = txn.publish();
    txn.retire(bridge, version);
    Learning::Since(version)
}

impl Txn {
    /// Counts it among the open ones: from here on nothing is learned.
    pub(super) fn open(&mut self, bridge: &mut BridgeState) {
        if !self.open {
            self.open = true;
            bridge.open_txns += 1;
        }
    }

    /// A rule with these instructions comes (1) or goes (-1).
    pub(super) fn note_learns(&mut self, bridge: &mut BridgeState, todo: &Instructions, change: isize) {
        self.note_learns_of(bridge, &todo.apply, change);
    }

    fn note_learns_of(&mut self, bridge: &mut BridgeState, actions: &[Action], change: isize) {
        for action in actions {
            match action {
                Action::Clone(inner) => self.note_learns_of(bridge, inner, change),
                Action::Learn(learn) => {
                    if learn.flags.0 & LearnFlags::DELETE_LEARNED != 0 {
                        *self.teachers.entry((learn.table, learn.cookie)).or_default() += change;
                    }
                    let flows = bridge.tables.get_mut(usize::from(learn.table));
                    if let Some(flows) = flows.filter(|_| learn.limit != 0 && change > 0) {
                        flows.count_cookie(learn.cookie);
                    }
                }
                _ => {}
            }
        }
    }

    /// Does a slice of what comes before the commit: flows whose last teacher goes are doomed. Whether that was all.
    pub(crate) fn close(&mut self) -> bool {
        if self.todo.is_none() {
            let Some((table, cookie)) = self.read(|bridge| self.next_orphans(bridge)) else { return true };
            self.orphaned.push((table, cookie));
            let filter = Filter { table: Some(table), cookie, cookie_mask: u64::MAX, ..Filter::default() };
            self.intend(Selection::for_writer(filter), Act::Doom(Some(RemovedReason::Delete)));
        }
        // What only removes is not refused.
        let _ = self.go_on();
        false
    }

    /// Whether [`close`](Self::close) has nothing to do.
    pub(super) fn has_no_orphans(&self) -> bool {
        self.teachers.is_empty() || self.read(|bridge| self.next_orphans(bridge)).is_none()
    }

    /// Dooms all flows whose last teacher goes.
    fn doom_orphans_in(&mut self, bridge: &mut BridgeState) {
        while let Some((table, cookie)) = self.next_orphans(bridge) {
            self.orphaned.push((table, cookie));
            let flows = bridge.tables[usize::from(table)].all();
            let rules: Vec<_> = flows.filter(|rule| rule.spec().cookie == cookie).cloned().collect();
            rules.into_iter().for_each(|rule| self.doom_in(bridge, rule, Some(RemovedReason::Delete)));
        }
    }

    /// Table and cookie of flows whose last teacher goes, unless they are known to.
    fn next_orphans(&self, bridge: &BridgeState) -> Option<(u8, u64)> {
        let before = &bridge.teachers;
        let is_last = |(taught, change): &(&(u8, u64), &isize)| {
            let before = before.get(*taught).map_or(0, |count| *count as isize);
            before > 0 && before + **change <= 0 && !self.orphaned.contains(taught)
        };
        self.teachers.iter().find(is_last).map(|(taught, _)| *taught)
    }
}
