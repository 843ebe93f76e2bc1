//! Going on after the datapath has taken a new look at the packet.
//!
//! When the last label of an MPLS packet is popped, what lies below is not in the key. An action that needs it *freezes* the translation:
//! all steps that are still to be done are collected on the way out of the walk, and put away under a recirculation id. The packet
//! comes back under that id with a fresh key, and the steps are done with that.

use datapath::action::DropReason;
use openflow::Action;
use packet::key::DP_WORDS;

use super::actions::Then;
use super::trace::{Kind, Tracer};
use super::{Input, Outcome, Xlate, nowhere};
use crate::context::{Frozen, Step};
use crate::state::{Core, State};

impl Xlate<'_> {
    /// Freezes the translation: `step` is the first to be done later.
    pub(super) fn freeze_here(&mut self, step: Step) {
        self.frozen = Some(vec![step]);
    }

    /// Adds actions that are to be done later.
    pub(super) fn freeze_rest(&mut self, rest: &[Action]) {
        if let Some(frozen) = &mut self.frozen {
            frozen.extend(rest.iter().cloned().map(Step::Action));
        }
    }

    /// If the translation was frozen: puts it away, and sends the packet round.
    pub(super) fn finish_freezing(&mut self) {
        let Some(mut steps) = self.frozen.take() else { return };
        if self.error.is_some() {
            return;
        }
        steps.insert(0, Step::Rule { table: self.table, cookie: self.cookie });
        self.commit();
        let mut pipeline = [0; packet::key::WORDS - DP_WORDS];
        pipeline.copy_from_slice(&self.flow.words()[DP_WORDS..]);
        let frozen = Frozen {
            bridge: self.bridge.id,
            table: self.table,
            in_port: self.in_port(),
            pipeline,
            stack: self.stack.clone(),
            action_set: std::mem::take(&mut self.action_set),
            steps,
            conntracked: self.conntracked,
        };
        self.recirculate(frozen, None);
        self.was_mpls = false;
    }

    fn note_thaw(&mut self) {
        let place = self.tracer.as_ref().map(Tracer::place);
        self.note_below(Kind::Thaw, || "thaw".into());
        let table = self.table;
        self.note(Kind::Thaw, || format!("Resuming from table {table}"));
        if let (Some(tracer), Some(place)) = (&mut self.tracer, place) {
            tracer.go(place);
        }
    }

    fn steps(&mut self, steps: &[Step]) {
        // The rest of the current rule is not done.
        let mut stopped = false;
        for (index, step) in steps.iter().enumerate() {
            if self.error.is_some() || self.exit {
                return;
            }
            match step {
                Step::Rule { table, cookie } => {
                    (self.table, self.cookie) = (*table, *cookie);
                    stopped = false;
                }
                _ if stopped => {}
                Step::Action(action) => {
                    stopped = self.actions(std::slice::from_ref(action)) == Then::Stop;
                }
                Step::Table(table) => self.table_action(self.in_port(), *table, false),
                Step::Rest(todo) => self.after_actions(todo),
            }
            if let Some(frozen) = &mut self.frozen {
                frozen.extend_from_slice(&steps[index + 1..]);
                return;
            }
        }
    }
}

/// Goes on with a packet that was sent round.
pub(super) fn thaw(core: &Core, state: &State, input: Input<'_>, tracer: Option<Tracer>) -> Outcome {
    let Some(node) = core.contexts.frozen.get(input.key.recirc_id.get()) else {
        return nowhere(state, input, tracer, DropReason::NoRecircContext);
    };
    let frozen = &node.value;
    let Some(bridge) = state.bridges.get(&frozen.bridge) else {
        return nowhere(state, input, tracer, DropReason::BridgeNotFound);
    };
    let mut xlate = Xlate::new(core, state, input, bridge, tracer);
    xlate.flow.in_port.set(frozen.in_port.0);
    xlate.flow.words_mut()[DP_WORDS..].copy_from_slice(&frozen.pipeline);
    xlate.base = xlate.flow;
    xlate.table = frozen.table;
    xlate.conntracked = frozen.conntracked;
    xlate.stack.clone_from(&frozen.stack);
    xlate.action_set.clone_from(&frozen.action_set);
    xlate.depends.push(bridge.config_slot());
    xlate.enter_bridge_node();
    xlate.note_thaw();
    xlate.ledger.held.push(node.clone());
    xlate.steps(&frozen.steps);
    xlate.run_action_set();
    xlate.finish_freezing();
    xlate.finish()
}
