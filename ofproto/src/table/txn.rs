//! Changes to the flow tables of a bridge: all of one transaction are seen at once, or none.
//!
//! # Algorithm
//!
//! [`Txn::apply`] does what a flow-mod says out of sight of the readers: new rules go in without a version, rules that are to go are
//! marked as doomed. Later flow-mods of the transaction see that. [`Txn::commit`] gives them all one version and makes it the
//! current one; dropping the transaction instead takes everything back. Rules that went stay where readers of older versions
//! find them until every worker has passed the version; then [`purge`] takes them out, and tells the controllers.
//!
//! # Costs
//!
//! An addition takes the write lock once, for O(1). What is to be deleted is looked for under the read lock; modifications of
//! many rules take the write lock in slices.

use std::sync::Arc;

use datapath::stamps::Slot;
use openflow::{FlowFlags, FlowMod, FlowModCommand, OfError};

use super::flow_table::{Filter, HIDDEN_TABLE, TABLES};
use super::rule::{Rule, RuleSpec};
use crate::counter::Counter;
use crate::events::{Event, RemovedReason};
use crate::state::{BridgeId, BridgeState, Core};

/// Rules handled in one hold of the write lock.
const SLICE: usize = 128;

/// A rule that readers of old versions may still see.
#[derive(Debug)]
pub(crate) struct Retired {
    version: u64,
    rule: Arc<Rule>,
    /// Why it went; `None` if another took its place.
    reason: Option<RemovedReason>,
    now_ns: u64,
}

#[derive(Debug)]
struct Removal {
    rule: Arc<Rule>,
    reason: Option<RemovedReason>,
}

/// See the module documentation.
#[derive(Debug)]
pub struct Txn {
    core: Arc<Core>,
    bridge: BridgeId,
    added: Vec<Arc<Rule>>,
    removed: Vec<Removal>,
    slots: Vec<Slot>,
    now_ns: u64,
    committed: bool,
}

impl Txn {
    pub(crate) fn new(core: &Arc<Core>, bridge: BridgeId) -> Self {
        let (added, removed, slots) = (Vec::new(), Vec::new(), Vec::new());
        Self { core: Arc::clone(core), bridge, added, removed, slots, now_ns: 0, committed: false }
    }

    /// Sets the time of what follows.
    pub(crate) fn at(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// Does what a flow-mod says, unseen. After an error the transaction can only be dropped.
    pub fn apply(&mut self, fm: &FlowMod, now_ns: u64) -> Result<(), OfError> {
        self.now_ns = now_ns;
        if !matches!(fm.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict) {
            crate::check::instructions(&fm.instructions)?;
        }
        match fm.command {
            FlowModCommand::Add => self.add(fm, i32::from(fm.priority)),
            FlowModCommand::Modify => self.modify_all(fm),
            FlowModCommand::ModifyStrict => self.modify_one(fm),
            FlowModCommand::Delete => {
                self.delete_all(&filter_of(fm)?);
                Ok(())
            }
            FlowModCommand::DeleteStrict => self.delete_one(fm),
        }
    }

    /// Adds one of the switch's own rules, of a priority that no controller can give.
    pub fn add_hidden(&mut self, fm: &FlowMod, priority: i32, now_ns: u64) -> Result<(), OfError> {
        self.now_ns = now_ns;
        self.add(fm, priority)
    }

    /// Removes every rule, hidden ones too, without telling anyone.
    pub fn clear(&mut self) {
        let rules: Vec<Arc<Rule>> = self.read(|bridge| {
            let tables = bridge.tables[..usize::from(TABLES)].iter();
            tables.flat_map(|table| table.all().cloned().collect::<Vec<_>>()).collect()
        });
        self.doom(rules, None);
    }

    /// Makes everything visible at once. Returns the version from which on it is.
    pub fn commit(mut self) -> u64 {
        self.committed = true;
        if self.added.is_empty() && self.removed.is_empty() {
            return self.core.stamps.version();
        }
        let slots = std::mem::take(&mut self.slots);
        let version = self.core.stamps.publish(|version| {
            self.added.iter().for_each(|rule| rule.appear(version));
            self.removed.iter().for_each(|removal| removal.rule.vanish(version));
            slots
        });
        let now_ns = self.now_ns;
        let removed = std::mem::take(&mut self.removed);
        let mut state = self.core.write();
        if let Some(bridge) = state.bridges.get_mut(&self.bridge) {
            let retire = |Removal { rule, reason }| Retired { version, rule, reason, now_ns };
            bridge.retired.extend(removed.into_iter().map(retire));
        }
        version
    }

    fn read<T: Default>(&self, look: impl FnOnce(&BridgeState) -> T) -> T {
        self.core.read().bridges.get(&self.bridge).map(look).unwrap_or_default()
    }

    fn add(&mut self, fm: &FlowMod, priority: i32) -> Result<(), OfError> {
        let table = writable_table(fm.table_id.unwrap_or(0), priority)?;
        let looked_at = &fm.flow_match.mask.0;
        if looked_at.recirc_id.get() != 0 || looked_at.dp_hash.get() != 0 {
            return Err(OfError::OFPBRC_EPERM);
        }
        let core = Arc::clone(&self.core);
        let mut state = core.write();
        let bridge = state.bridges.get_mut(&self.bridge).ok_or(OfError::OFPBRC_EPERM)?;
        self.add_in(bridge, table, fm, priority)
    }

    fn add_in(
        &mut self,
        bridge: &mut BridgeState,
        table: u8,
        fm: &FlowMod,
        priority: i32,
    ) -> Result<(), OfError> {
        let flows = &mut bridge.tables[usize::from(table)];
        let old = flows.find_exactly(&fm.flow_match, priority).cloned();
        let mut keep = None;
        match &old {
            Some(old) => {
                let counter = if fm.flags.contains(FlowFlags::RESET_COUNTS) {
                    Arc::new(Counter::used_at(old.used_ns()))
                } else {
                    Arc::clone(old.counter())
                };
                keep = Some((old.order, counter));
            }
            None if fm.flags.contains(FlowFlags::CHECK_OVERLAP)
                && flows.overlaps(&fm.flow_match, priority) =>
            {
                return Err(OfError::OFPFMFC_OVERLAP);
            }
            None => {}
        }
        let (gone, reason) = match old {
            Some(old) => (Some(old), None),
            None if !flows.is_full() => (None, None),
            None if !flows.config.evict => return Err(OfError::OFPFMFC_TABLE_FULL),
            None => {
                let victim = flows.eviction_victim(self.now_ns).ok_or(OfError::OFPFMFC_TABLE_FULL)?;
                (Some(victim), Some(RemovedReason::Eviction))
            }
        };
        if let Some(rule) = gone {
            self.slots.extend(flows.slots_of_remove(&rule));
            flows.set_doomed(&rule, true);
            self.removed.push(Removal { rule, reason });
        }
        let spec = RuleSpec {
            table,
            priority,
            cookie: fm.new_cookie.unwrap_or(0),
            idle_timeout: fm.idle_timeout,
            hard_timeout: fm.hard_timeout,
            importance: fm.importance,
            flags: fm.flags,
            instructions: Arc::new(fm.instructions.clone()),
            created_ns: self.now_ns,
            modified_ns: self.now_ns,
        };
        let (rule, touched) = flows.insert(spec, &fm.flow_match, keep);
        self.slots.extend(touched);
        bridge.timed.watch(&rule);
        self.added.push(rule);
        Ok(())
    }

    fn modify_all(&mut self, fm: &FlowMod) -> Result<(), OfError> {
        let filter = Filter { out_port: openflow::OfPort::NONE, out_group: u32::MAX, ..filter_of(fm)? };
        let rules = self.select(&filter);
        self.modify_or_add(fm, &rules)
    }

    fn modify_one(&mut self, fm: &FlowMod) -> Result<(), OfError> {
        let filter = Filter { out_port: openflow::OfPort::NONE, out_group: u32::MAX, ..filter_of(fm)? };
        let rules = self.select_strict(&filter, i32::from(fm.priority));
        self.modify_or_add(fm, &rules)
    }

    /// Replaces what `rules` do. If there are none, OpenFlow 1.0 and 1.1 add the flow; later ones come with no new cookie.
    fn modify_or_add(&mut self, fm: &FlowMod, rules: &[Arc<Rule>]) -> Result<(), OfError> {
        if rules.is_empty() {
            if fm.cookie_mask != 0 || fm.new_cookie.is_none() {
                return Ok(());
            }
            return self.add(fm, i32::from(fm.priority));
        }
        let instructions = Arc::new(fm.instructions.clone());
        let core = Arc::clone(&self.core);
        for slice in rules.chunks(SLICE) {
            let mut state = core.write();
            let Some(bridge) = state.bridges.get_mut(&self.bridge) else { return Ok(()) };
            for old in slice.iter().filter(|old| old.is_live()) {
                self.replace(bridge, old, fm, &instructions);
            }
        }
        Ok(())
    }

    fn replace(
        &mut self,
        bridge: &mut BridgeState,
        old: &Arc<Rule>,
        fm: &FlowMod,
        instructions: &Arc<openflow::Instructions>,
    ) {
        let flows = &mut bridge.tables[usize::from(old.spec().table)];
        let spec = RuleSpec {
            cookie: fm.new_cookie.unwrap_or(old.spec().cookie),
            instructions: Arc::clone(instructions),
            modified_ns: self.now_ns,
            ..old.spec().clone()
        };
        let counter: Arc<Counter> = if fm.flags.contains(FlowFlags::RESET_COUNTS) {
            Arc::new(Counter::used_at(old.used_ns()))
        } else {
            Arc::clone(old.counter())
        };
        self.slots.extend(flows.slots_of_remove(old));
        flows.set_doomed(old, true);
        self.removed.push(Removal { rule: Arc::clone(old), reason: None });
        let (rule, touched) = flows.insert(spec, &old.flow_match(), Some((old.order, counter)));
        self.slots.extend(touched);
        bridge.timed.watch(&rule);
        self.added.push(rule);
    }

    fn delete_all(&mut self, filter: &Filter) {
        let rules = self.select(filter);
        self.doom(rules, Some(RemovedReason::Delete));
    }

    fn delete_one(&mut self, fm: &FlowMod) -> Result<(), OfError> {
        let rules = self.select_strict(&filter_of(fm)?, i32::from(fm.priority));
        self.doom(rules, Some(RemovedReason::Delete));
        Ok(())
    }

    /// Marks rules as about to go, for a reason that is told to controllers if they asked for it.
    pub(crate) fn doom(&mut self, rules: Vec<Arc<Rule>>, reason: Option<RemovedReason>) {
        let core = Arc::clone(&self.core);
        let mut rules = rules.into_iter().peekable();
        while rules.peek().is_some() {
            let mut state = core.write();
            let Some(bridge) = state.bridges.get_mut(&self.bridge) else { return };
            for rule in rules.by_ref().take(SLICE).filter(|rule| rule.is_live()) {
                let flows = &mut bridge.tables[usize::from(rule.spec().table)];
                self.slots.extend(flows.slots_of_remove(&rule));
                flows.set_doomed(&rule, true);
                self.removed.push(Removal { rule, reason });
            }
        }
    }

    fn select(&self, filter: &Filter) -> Vec<Arc<Rule>> {
        self.read(|bridge| tables_of(bridge, filter).flat_map(|table| table.select(filter)).collect())
    }

    fn select_strict(&self, filter: &Filter, priority: i32) -> Vec<Arc<Rule>> {
        self.read(|bridge| {
            tables_of(bridge, filter).filter_map(|t| t.find_strict(filter, priority).cloned()).collect()
        })
    }

    fn roll_back(&mut self) {
        let core = Arc::clone(&self.core);
        let (added, removed) = (std::mem::take(&mut self.added), std::mem::take(&mut self.removed));
        for slice in added.chunks(SLICE) {
            let mut state = core.write();
            let Some(bridge) = state.bridges.get_mut(&self.bridge) else { return };
            for rule in slice {
                let flows = &mut bridge.tables[usize::from(rule.spec().table)];
                flows.set_doomed(rule, true);
                flows.purge(rule);
            }
        }
        let mut state = core.write();
        let Some(bridge) = state.bridges.get_mut(&self.bridge) else { return };
        for Removal { rule, .. } in removed.iter().filter(|removal| removal.rule.was_published()) {
            bridge.tables[usize::from(rule.spec().table)].set_doomed(rule, false);
        }
    }
}

impl Drop for Txn {
    fn drop(&mut self) {
        if !self.committed {
            self.roll_back();
        }
    }
}

/// The tables that a filter is about.
pub(crate) fn tables_of<'a>(
    bridge: &'a BridgeState,
    filter: &Filter,
) -> impl Iterator<Item = &'a super::flow_table::FlowTable> + use<'a> {
    let range = match filter.table {
        Some(table) if table <= HIDDEN_TABLE => usize::from(table)..usize::from(table) + 1,
        Some(_) => 0..0,
        None => 0..usize::from(TABLES),
    };
    bridge.tables[range].iter()
}

fn filter_of(fm: &FlowMod) -> Result<Filter, OfError> {
    if fm.table_id.is_some_and(|table| table >= TABLES) {
        return Err(if fm.table_id == Some(HIDDEN_TABLE) {
            OfError::OFPBRC_EPERM
        } else {
            OfError::OFPBRC_BAD_TABLE_ID
        });
    }
    Ok(Filter {
        table: fm.table_id,
        within: fm.flow_match,
        out_port: fm.out_port,
        out_group: fm.out_group,
        cookie: fm.cookie,
        cookie_mask: fm.cookie_mask,
    })
}

fn writable_table(table: u8, priority: i32) -> Result<u8, OfError> {
    match table {
        HIDDEN_TABLE if priority < super::rule::HIDDEN_PRIORITY => Err(OfError::OFPBRC_EPERM),
        0..=HIDDEN_TABLE => Ok(table),
        _ => Err(OfError::OFPBRC_BAD_TABLE_ID),
    }
}

/// Takes out rules that no worker can see any more, a slice at a time, and announces those that asked for it. Whether some are left
/// that have to wait or did not fit the slice.
pub(crate) fn purge(core: &Core, bridge: BridgeId) -> bool {
    let mut state = core.write();
    let Some(bridge) = state.bridges.get_mut(&bridge) else { return false };
    let mut passed = 0;
    for _ in 0..SLICE {
        let Some(front) = bridge.retired.front() else { return false };
        if front.version > passed && !core.has_passed(front.version) {
            return true;
        }
        passed = front.version;
        let Some(Retired { rule, reason, now_ns, .. }) = bridge.retired.pop_front() else { return false };
        bridge.tables[usize::from(rule.spec().table)].purge(&rule);
        if let Some(reason) = reason.filter(|_| rule.spec().flags.contains(FlowFlags::SEND_FLOW_REM)) {
            bridge.events.push(Event::FlowRemoved { rule, reason, now_ns });
        }
    }
    !bridge.retired.is_empty()
}
