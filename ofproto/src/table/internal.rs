//! The rules that stand for what no rule says. They are shown in the hidden table, as Open vSwitch shows its own, and count.

use std::sync::Arc;

use openflow::action::Controller;
use openflow::{Action, FieldId, FlowFlags, Instructions, Match};

use super::flow_table::HIDDEN_TABLE;
use super::rule::RuleSpec;
use crate::events::PacketInReason;
use crate::state::BridgeState;

/// What such a rule stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Internal {
    /// No rule matched, and the controllers are told.
    Miss = 0,
    /// No rule matched, and the packet is dropped.
    Drop = 1,
    /// The packet is a fragment, and those are dropped.
    Fragment = 2,
}

/// Puts the rules into the hidden table of a bridge, once. No lookup ever finds them.
pub(crate) fn install(bridge: &mut BridgeState, now_ns: u64) {
    if !bridge.internal.is_empty() {
        return;
    }
    for register in 1..=3 {
        let mut m = Match::any();
        m.set(FieldId::Reg0, register);
        let reason = PacketInReason::ImplicitMiss as u8;
        let told = Action::Controller(Controller { reason, ..Controller::default() });
        let apply = if register == 1 { vec![told] } else { Vec::new() };
        let counter = add(bridge, &m, 0, apply, now_ns);
        bridge.internal.push(counter);
    }
    let mut fresh = Match::any();
    fresh.set(FieldId::RecircId, 0);
    add(bridge, &fresh, 2, Vec::new(), now_ns);
}

fn add(
    bridge: &mut BridgeState,
    m: &Match,
    priority: i32,
    apply: Vec<Action>,
    now_ns: u64,
) -> Arc<crate::Counter> {
    let spec = RuleSpec {
        table: HIDDEN_TABLE,
        priority,
        cookie: 0,
        idle_timeout: 0,
        hard_timeout: 0,
        importance: 0,
        flags: FlowFlags::empty(),
        instructions: Arc::new(Instructions::apply(apply)),
        created_ns: now_ns,
        modified_ns: now_ns,
    };
    let (rule, _) = bridge.tables[usize::from(HIDDEN_TABLE)].insert(spec, m, None);
    rule.appear(0);
    Arc::clone(rule.counter())
}
