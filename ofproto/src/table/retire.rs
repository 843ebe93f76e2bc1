//! What comes after a transaction, in slices.
//!
//! # Algorithm
//!
//! Once it is committed, the rules that went stay where readers of older versions find them until every worker has passed the version
//! and no walk holds a pin; then [`purge`] takes them out, and tells the controllers, as far as there is room for what is told.
//! Once it is dropped, the rules that it put in are taken out, and those that it had doomed stand again ([`undo`]): at once if
//! they are few. Until that is done, nobody else may change the tables ([`Bridge::is_settled`](crate::Bridge::is_settled)).
//!
//! # Invariants
//!
//! - Batches go in the order of their versions, and the rules of a batch in the order in which they were removed.
//!
//! # Costs
//!
//! No more than [`SLICE`] rules for each call, under the write lock for no more than [`LOCKED`].

use std::sync::Arc;

use openflow::FlowFlags;

use super::rule::Rule;
use crate::events::{Event, RemovedReason};
use crate::state::{BridgeId, BridgeState, Core};

/// Rules handled in one call.
pub(crate) const SLICE: usize = 1024;
/// Rules handled in one hold of the write lock.
const LOCKED: usize = 128;

/// A rule that goes.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) rule: Arc<Rule>,
    /// Why; `None` if another takes its place, or nobody is to be told.
    pub(super) reason: Option<RemovedReason>,
}

impl Removal {
    /// The reason that controllers are told.
    fn told(&self) -> Option<RemovedReason> {
        self.reason.filter(|_| self.rule.spec().flags.contains(FlowFlags::SEND_FLOW_REM))
    }
}

/// What a committed transaction left behind.
#[derive(Debug)]
pub(crate) struct Retired {
    version: u64,
    now_ns: u64,
    /// The rules that came: nothing but a list to be let go of.
    added: Vec<Arc<Rule>>,
    removed: std::vec::IntoIter<Removal>,
}

impl Retired {
    pub(super) fn new(version: u64, now_ns: u64, added: Vec<Arc<Rule>>, removed: Vec<Removal>) -> Self {
        Self { version, now_ns, added, removed: removed.into_iter() }
    }
}

/// How a slice ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slice {
    /// Nothing is left.
    Done,
    /// There is more.
    More,
    /// There is more, which has to wait: for workers, a walk, or room for what is told.
    Waiting,
}

/// Takes out rules that no worker can see any more, a slice of them, and announces those that asked for it. Whether some are left.
pub(crate) fn purge(core: &Core, bridge: BridgeId) -> bool {
    in_slices(core, bridge, |bridge| purge_some(core, bridge))
}

/// Takes back what was not committed, a slice of it. Whether some is left.
pub(crate) fn undo(core: &Core, bridge: BridgeId) -> bool {
    in_slices(core, bridge, |bridge| {
        let Some(front) = bridge.undoing.pop_front() else { return Slice::Done };
        if let Some(rest) = front.step(bridge) {
            bridge.undoing.push_front(rest);
        }
        if bridge.undoing.is_empty() { Slice::Done } else { Slice::More }
    })
}

fn in_slices(core: &Core, id: BridgeId, mut slice: impl FnMut(&mut BridgeState) -> Slice) -> bool {
    for _ in 0..SLICE / LOCKED {
        let mut state = core.write();
        let Some(bridge) = state.bridges.get_mut(&id) else { return false };
        match slice(bridge) {
            Slice::Done => return false,
            Slice::Waiting => return true,
            Slice::More => {}
        }
    }
    true
}

fn purge_some(core: &Core, bridge: &mut BridgeState) -> Slice {
    let Some(mut batch) = bridge.retired.pop_front() else { return Slice::Done };
    let slice = purge_of(core, bridge, &mut batch);
    if slice != Slice::Done {
        bridge.retired.push_front(batch);
    }
    match slice {
        Slice::Done if !bridge.retired.is_empty() => Slice::More,
        other => other,
    }
}

fn purge_of(core: &Core, bridge: &mut BridgeState, batch: &mut Retired) -> Slice {
    batch.added.truncate(batch.added.len().saturating_sub(LOCKED));
    if batch.removed.len() > 0 && (Arc::strong_count(&bridge.pin) > 1 || !core.has_passed(batch.version)) {
        return Slice::Waiting;
    }
    for _ in 0..LOCKED {
        let told = batch.removed.as_slice().first().map(Removal::told);
        let Some(told) = told else { break };
        if told.is_some() && !bridge.events.has_room() {
            return Slice::Waiting;
        }
        let Some(Removal { rule, .. }) = batch.removed.next() else { break };
        bridge.tables[usize::from(rule.spec().table)].purge(&rule);
        if let Some(reason) = told {
            bridge.events.notify(Event::FlowRemoved { rule, reason, now_ns: batch.now_ns });
        }
    }
    if batch.removed.len() == 0 && batch.added.is_empty() { Slice::Done } else { Slice::More }
}

/// What is left of a transaction that was not committed.
#[derive(Debug)]
pub(crate) struct Undo {
    added: std::vec::IntoIter<Arc<Rule>>,
    removed: std::vec::IntoIter<Removal>,
}

impl Undo {
    pub(super) fn new(added: Vec<Arc<Rule>>, removed: Vec<Removal>) -> Self {
        Self { added: added.into_iter(), removed: removed.into_iter() }
    }

    /// Takes back a first slice at once, and leaves the rest to [`undo`]. The transaction is no longer open.
    pub(super) fn begin(self, core: &Core, bridge: BridgeId) {
        let mut state = core.write();
        let Some(bridge) = state.bridges.get_mut(&bridge) else { return };
        bridge.open_txns -= 1;
        let rest = self.step(bridge);
        bridge.undoing.extend(rest);
    }

    /// Takes back a slice; what is left.
    fn step(mut self, bridge: &mut BridgeState) -> Option<Self> {
        for rule in self.added.by_ref().take(LOCKED) {
            let flows = &mut bridge.tables[usize::from(rule.spec().table)];
            flows.set_doomed(&rule, true);
            flows.purge(&rule);
        }
        let again = self.removed.by_ref().take(LOCKED).filter(|removal| removal.rule.was_published());
        for Removal { rule, .. } in again {
            bridge.tables[usize::from(rule.spec().table)].set_doomed(&rule, false);
        }
        (self.added.len() > 0 || self.removed.len() > 0).then_some(self)
    }
}
