//! Changes to the flow tables of a bridge: all of one transaction are seen at once, or none.
//!
//! # Algorithm
//!
//! A flow-mod is done out of sight of the readers: new rules go in without a version, rules that are to go are marked as doomed. Later
//! flow-mods of the transaction see that. One that is about many rules is done in slices: [`Txn::begin`] begins it, and
//! [`Txn::go_on`] first finds the rules ([`super::selection`]), then acts on them. [`Txn::commit`] gives everything one version and makes
//! it the current one, however many slices it took; dropping the transaction instead takes everything back. What comes after
//! either, also in slices, is in [`super::retire`]. What packets teach is put in between transactions ([`learning`]).
//!
//! # Costs
//!
//! An addition takes the write lock once, for O(1) (O(rules of the table) if overlaps are to be found, or one evicted). A slice looks at
//! 1024 rules or acts on 128. A commit stores one number in each rule that comes or goes, some nanoseconds each, without the lock.

use std::sync::Arc;

use hashbrown::HashMap;
use openflow::{FlowFlags, FlowMod, FlowModCommand, Instructions, Match, OfError, OfPort};

use super::flow_table::{Filter, HIDDEN_TABLE, TABLES};
use super::retire::{Removal, Retired, Undo};
use super::rule::{Rule, RuleSpec};
use super::selection::Selection;
use super::slots::SlotSet;
use crate::counter::Counter;
use crate::events::RemovedReason;
use crate::state::{BridgeId, BridgeState, Core};

/// Rules handled in one hold of the write lock.
const SLICE: usize = 128;

/// What is done to the rules that were found.
#[derive(Debug)]
enum Act {
    /// They go, for a reason that is told to controllers who asked for it.
    Doom(Option<RemovedReason>),
    /// They get other instructions. If none was found, the flow is added.
    Modify(Box<FlowMod>, Arc<Instructions>),
}

/// A flow-mod under way.
#[derive(Debug)]
struct Todo {
    selection: Selection,
    /// Whether all rules are found.
    selected: bool,
    act: Act,
}

/// See the module documentation.
#[derive(Debug)]
pub struct Txn {
    core: Arc<Core>,
    bridge: BridgeId,
    added: Vec<Arc<Rule>>,
    removed: Vec<Removal>,
    slots: SlotSet,
    now_ns: u64,
    todo: Option<Todo>,
    /// What is to be added to the bridge's [`teachers`](BridgeState::teachers).
    teachers: HashMap<(u8, u64), isize>,
    /// Table and cookie of flows that go with the last of those.
    orphaned: Vec<(u8, u64)>,
    /// Whether the bridge counts it among its open ones.
    open: bool,
    committed: bool,
}

impl Txn {
    pub(crate) fn new(core: &Arc<Core>, bridge: BridgeId) -> Self {
        let (added, removed, slots) = (Vec::new(), Vec::new(), SlotSet::default());
        Self {
            core: Arc::clone(core),
            bridge,
            added,
            removed,
            slots,
            now_ns: 0,
            todo: None,
            teachers: HashMap::new(),
            orphaned: Vec::new(),
            open: false,
            committed: false,
        }
    }

    /// Sets the time of what follows.
    pub(crate) fn at(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// Does what a flow-mod says, unseen. After an error the transaction can only be dropped.
    pub fn apply(&mut self, fm: &FlowMod, now_ns: u64) -> Result<(), OfError> {
        self.begin(fm, now_ns)?;
        while !self.go_on()? {}
        Ok(())
    }

    /// Begins to do what a flow-mod says, unseen; [`go_on`](Self::go_on) does the rest. After an error the transaction can only be
    /// dropped.
    pub fn begin(&mut self, fm: &FlowMod, now_ns: u64) -> Result<(), OfError> {
        self.now_ns = now_ns;
        if !matches!(fm.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict) {
            crate::check::instructions(&fm.instructions)?;
        }
        match fm.command {
            FlowModCommand::Add => self.add(fm, i32::from(fm.priority))?,
            FlowModCommand::Modify => {
                let act = Act::Modify(Box::new(fm.clone()), Arc::new(fm.instructions.clone()));
                self.intend(Selection::for_writer(filter_of_modify(fm)?), act);
            }
            FlowModCommand::ModifyStrict => self.modify_one(fm)?,
            FlowModCommand::Delete => {
                self.intend(Selection::for_writer(filter_of(fm)?), Act::Doom(Some(RemovedReason::Delete)));
            }
            FlowModCommand::DeleteStrict => {
                let rules = self.select_strict(&filter_of(fm)?, i32::from(fm.priority));
                self.doom(rules, Some(RemovedReason::Delete));
            }
        }
        Ok(())
    }

    /// Begins to remove every rule, hidden ones too, without telling anyone.
    pub fn begin_clear(&mut self) {
        self.intend(Selection::everything(), Act::Doom(None));
    }

    fn intend(&mut self, selection: Selection, act: Act) {
        self.todo = Some(Todo { selection, selected: false, act });
    }

    /// Whether nothing of what was begun is left to be done.
    pub fn is_ready(&self) -> bool {
        self.todo.is_none() && self.has_no_orphans()
    }

    /// Does a slice of what was begun; whether that was all.
    pub fn go_on(&mut self) -> Result<bool, OfError> {
        let Some(mut todo) = self.todo.take() else { return Ok(true) };
        if !todo.selected {
            let core = Arc::clone(&self.core);
            let state = core.read();
            let bridge = state.bridges.get(&self.bridge);
            todo.selected = bridge.is_none_or(|bridge| todo.selection.step(bridge));
            drop(state);
            if todo.selected && todo.selection.found().is_empty() {
                return self.found_none(&todo.act).map(|()| true);
            }
        } else if self.act_on_slice(&mut todo) {
            return Ok(true);
        }
        self.todo = Some(todo);
        Ok(false)
    }

    /// A modification that finds nothing adds the flow in OpenFlow 1.0 and 1.1; later ones come with no new cookie.
    fn found_none(&mut self, act: &Act) -> Result<(), OfError> {
        match act {
            Act::Modify(fm, _) if fm.cookie_mask == 0 && fm.new_cookie.is_some() => {
                self.add(fm, i32::from(fm.priority))
            }
            _ => Ok(()),
        }
    }

    /// Whether that was the last slice.
    fn act_on_slice(&mut self, todo: &mut Todo) -> bool {
        let found = todo.selection.found();
        let core = Arc::clone(&self.core);
        let mut state = core.write();
        let Some(bridge) = state.bridges.get_mut(&self.bridge) else { return true };
        for rule in found.drain(..found.len().min(SLICE)).filter(|rule| rule.is_live()) {
            match &todo.act {
                Act::Doom(reason) => self.doom_in(bridge, rule, *reason),
                Act::Modify(fm, instructions) => self.replace(bridge, &rule, fm, instructions),
            }
        }
        found.is_empty()
    }

    /// Adds one of the switch's own rules, of a priority that no controller can give.
    pub fn add_hidden(&mut self, fm: &FlowMod, priority: i32, now_ns: u64) -> Result<(), OfError> {
        self.now_ns = now_ns;
        self.add(fm, priority)
    }

    /// Removes one of the switch's own rules.
    pub fn remove_hidden(&mut self, fm: &FlowMod, priority: i32, now_ns: u64) -> Result<(), OfError> {
        self.now_ns = now_ns;
        let rules = self.select_strict(&filter_of(fm)?, priority);
        self.doom(rules, None);
        Ok(())
    }

    /// Makes everything visible at once. Returns the version from which on it is.
    pub fn commit(mut self) -> u64 {
        while !self.close() {}
        self.committed = true;
        if self.added.is_empty() && self.removed.is_empty() {
            return self.core.stamps.version();
        }
        let version = self.publish();
        let core = Arc::clone(&self.core);
        let mut state = core.write();
        let Some(bridge) = state.bridges.get_mut(&self.bridge) else { return version };
        self.retire(bridge, version);
        let put_off = !bridge.lessons.is_empty();
        drop(state);
        if put_off {
            teach_put_off(&core, self.bridge, self.now_ns);
        }
        version
    }

    /// Lets readers see what was done, from the version on that is returned.
    fn publish(&mut self) -> u64 {
        let slots = std::mem::take(&mut self.slots);
        self.core.stamps.publish(|version| {
            self.added.iter().for_each(|rule| rule.appear(version));
            self.removed.iter().for_each(|removal| removal.rule.vanish(version));
            slots.into_iter()
        })
    }

    /// Hands what was published over to what comes after.
    fn retire(&mut self, bridge: &mut BridgeState, version: u64) {
        let (added, removed) = (std::mem::take(&mut self.added), std::mem::take(&mut self.removed));
        // A list of one is let go of at once.
        if added.len() > 1 || !removed.is_empty() {
            bridge.retired.push_back(Retired::new(version, self.now_ns, added, removed));
        }
        bridge.open_txns -= usize::from(std::mem::take(&mut self.open));
        for (taught, change) in self.teachers.drain() {
            let count = bridge.teachers.entry(taught).or_default();
            *count = count.saturating_add_signed(change);
            if *count == 0 {
                bridge.teachers.remove(&taught);
            }
        }
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
            self.doom_in(bridge, rule, reason);
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
        self.insert(bridge, spec, &fm.flow_match, keep);
        Ok(())
    }

    fn insert(
        &mut self,
        bridge: &mut BridgeState,
        spec: RuleSpec,
        m: &Match,
        keep: Option<(u64, Arc<Counter>)>,
    ) {
        self.open(bridge);
        self.note_learns(bridge, &spec.instructions, 1);
        let (rule, touched) = bridge.tables[usize::from(spec.table)].insert(spec, m, keep);
        self.slots.extend(touched);
        bridge.timed.watch(&rule);
        self.added.push(rule);
    }

    fn modify_one(&mut self, fm: &FlowMod) -> Result<(), OfError> {
        let rules = self.select_strict(&filter_of_modify(fm)?, i32::from(fm.priority));
        let act = Act::Modify(Box::new(fm.clone()), Arc::new(fm.instructions.clone()));
        if rules.is_empty() {
            return self.found_none(&act);
        }
        let mut selection = Selection::for_writer(Filter::default());
        selection.found().extend(rules);
        self.todo = Some(Todo { selection, selected: true, act });
        Ok(())
    }

    fn replace(
        &mut self,
        bridge: &mut BridgeState,
        old: &Arc<Rule>,
        fm: &FlowMod,
        instructions: &Arc<Instructions>,
    ) {
        let spec = RuleSpec {
            idle_timeout: old.idle_timeout(),
            hard_timeout: old.hard_timeout(),
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
        self.doom_in(bridge, Arc::clone(old), None);
        self.insert(bridge, spec, &old.flow_match(), Some((old.order, counter)));
    }

    /// Marks rules as about to go, for a reason that is told to controllers if they asked for it.
    pub(crate) fn doom(&mut self, rules: Vec<Arc<Rule>>, reason: Option<RemovedReason>) {
        let core = Arc::clone(&self.core);
        let mut rules = rules.into_iter().peekable();
        while rules.peek().is_some() {
            let mut state = core.write();
            let Some(bridge) = state.bridges.get_mut(&self.bridge) else { return };
            for rule in rules.by_ref().take(SLICE).filter(|rule| rule.is_live()) {
                self.doom_in(bridge, rule, reason);
            }
        }
    }

    fn doom_in(&mut self, bridge: &mut BridgeState, rule: Arc<Rule>, reason: Option<RemovedReason>) {
        self.open(bridge);
        self.note_learns(bridge, &rule.spec().instructions, -1);
        let flows = &mut bridge.tables[usize::from(rule.spec().table)];
        self.slots.extend(flows.slots_of_remove(&rule));
        flows.set_doomed(&rule, true);
        self.removed.push(Removal { rule, reason });
    }

    fn select_strict(&self, filter: &Filter, priority: i32) -> Vec<Arc<Rule>> {
        self.read(|bridge| {
            tables_of(bridge, filter).filter_map(|t| t.find_strict(filter, priority).cloned()).collect()
        })
    }
}

impl Drop for Txn {
    fn drop(&mut self) {
        let (added, removed) = (std::mem::take(&mut self.added), std::mem::take(&mut self.removed));
        let is_empty = added.is_empty() && removed.is_empty();
        if !self.committed && !is_empty {
            Undo::new(added, removed).begin(&self.core, self.bridge);
        }
    }
}

/// The tables that a filter is about.
fn tables_of<'a>(
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

/// A modification is not told by where rules lead.
fn filter_of_modify(fm: &FlowMod) -> Result<Filter, OfError> {
    Ok(Filter { out_port: OfPort::NONE, out_group: u32::MAX, ..filter_of(fm)? })
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

mod learning;
#[cfg(test)]
mod tests;

pub(crate) use learning::{Learning, teach, teach_put_off};
