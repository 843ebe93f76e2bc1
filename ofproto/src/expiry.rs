//! Expiry of rules, in slices.
//!
//! Rules that have a time-out stand in a list. A pass over the list begins twice a second, and looks at no more than a slice in
//! one go, so that a million of them stop nobody; whoever runs it is told to come back soon while a pass is under way. Rules that
//! went otherwise leave the list when the pass meets them.

use std::sync::Arc;

use crate::events::RemovedReason;
use crate::state::{BridgeId, Core};
use crate::table::rule::Rule;
use crate::table::txn::Txn;

/// Rules looked at in one go.
const SLICE: usize = 512;

/// The rules of a bridge that may expire.
#[derive(Debug, Default)]
pub(crate) struct Timed {
    rules: Vec<Arc<Rule>>,
    /// How many of them this pass has still to look at; they are the first ones.
    left: usize,
}

impl Timed {
    /// Has a rule watched, if it has a time-out or may come to have one.
    pub(crate) fn watch(&mut self, rule: &Arc<Rule>) {
        if rule.may_expire() {
            self.rules.push(Arc::clone(rule));
        }
    }

    /// Begins a pass, unless one is under way.
    pub(crate) fn begin(&mut self) {
        if self.left == 0 {
            self.left = self.rules.len();
        }
    }

    /// Goes on with the pass: the rules that are due, among the next slice.
    fn step(&mut self, now_ns: u64) -> Vec<Arc<Rule>> {
        let mut due = Vec::new();
        for _ in 0..SLICE.min(self.left) {
            self.left -= 1;
            let rule = &self.rules[self.left];
            if rule.is_gone() {
                self.rules.swap_remove(self.left);
            } else if rule.is_live() && rule.was_published() && rule.expiry_ns(now_ns) <= now_ns {
                due.push(self.rules.swap_remove(self.left));
            }
        }
        due
    }
}

/// Lets rules of a bridge expire, a slice of them. Whether there is more to look at.
pub(crate) fn run(core: &Arc<Core>, bridge: BridgeId, now_ns: u64) -> bool {
    let (due, more) = {
        let mut state = core.write();
        let Some(bridge) = state.bridges.get_mut(&bridge) else { return false };
        (bridge.timed.step(now_ns), bridge.timed.left > 0)
    };
    if !due.is_empty() {
        let (hard, idle): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|rule| rule.is_past_hard_timeout(now_ns));
        let mut txn = Txn::new(core, bridge);
        txn.at(now_ns);
        txn.doom(hard, Some(RemovedReason::HardTimeout));
        txn.doom(idle, Some(RemovedReason::IdleTimeout));
        txn.commit();
    }
    more
}
