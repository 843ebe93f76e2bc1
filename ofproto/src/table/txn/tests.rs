//! Changes of many rules: that they are done in slices, seen at once, and taken back whole.

use std::sync::Arc;

use datapath::stamps::Stamps;
use openflow::{Action, FieldId, FlowMod, FlowModCommand, Instructions, Match, OfPort};

use crate::config::BridgeConfig;
use crate::table::retire;
use crate::{Bridge, Filter, Switch, Txn};

const RULES: usize = 5000;
/// Slices that a change of all rules takes at least: to find them, and to act on them.
const SLICES: usize = RULES / crate::table::selection::SLICE + RULES / super::SLICE;

fn rig() -> (Switch, Arc<Bridge>) {
    let switch = Switch::new(Arc::new(Stamps::default()), 5);
    let bridge = switch.add_bridge("br0", BridgeConfig::default()).unwrap();
    let flows: Vec<FlowMod> = (0..RULES as u128).map(flow).collect();
    bridge.flow_mods(&flows, 0).unwrap();
    (switch, bridge)
}

fn flow(n: u128) -> FlowMod {
    let mut flow_match = Match::any();
    flow_match.set(FieldId::Reg0, n);
    // Two tables, three tuples.
    flow_match.set(FieldId::Reg1, 1);
    if n.is_multiple_of(3) {
        flow_match.set(FieldId::Reg2, 1);
    }
    FlowMod { table_id: Some((n % 2) as u8), flow_match, ..FlowMod::default() }
}

fn output(port: u32) -> Instructions {
    Instructions::apply(vec![Action::Output { port: OfPort(port), max_len: 0 }])
}

fn of_all(command: FlowModCommand) -> FlowMod {
    FlowMod {
        command,
        table_id: None,
        flow_match: Match::any(),
        instructions: output(1),
        ..FlowMod::default()
    }
}

/// How many rules controllers see, and how many of them have the instructions of [`of_all`].
fn seen(bridge: &Bridge) -> (usize, usize) {
    let rules = bridge.select(&Filter::default());
    let changed = rules.iter().filter(|rule| *rule.spec().instructions == output(1)).count();
    (rules.len(), changed)
}

/// Does what was begun; in how many slices.
fn go_on(txn: &mut Txn) -> usize {
    1 + std::iter::from_fn(|| (!txn.go_on().unwrap()).then_some(())).count()
}

#[test]
fn a_delete_is_done_in_slices_and_seen_at_once() {
    let (switch, bridge) = rig();
    let mut txn = bridge.begin();
    txn.begin(&of_all(FlowModCommand::Delete), 0).unwrap();
    assert!(go_on(&mut txn) >= SLICES);
    assert_eq!(seen(&bridge), (RULES, 0));
    let (before, after) = (bridge.version(), txn.commit());
    assert_eq!((seen(&bridge), after), ((0, 0), before + 1));
    let mut turns = 1;
    while retire::purge(&bridge.core, bridge.id()) {
        turns += 1;
    }
    assert!(turns >= RULES / retire::SLICE, "{turns}");
    switch.run(1);
    assert_eq!(bridge.all_rules().iter().filter(|rule| rule.spec().table < 254).count(), 0);
}

#[test]
fn a_modification_is_done_in_slices_and_seen_at_once() {
    let (_switch, bridge) = rig();
    let mut txn = bridge.begin();
    txn.begin(&of_all(FlowModCommand::Modify), 0).unwrap();
    assert!(go_on(&mut txn) >= SLICES);
    assert_eq!(seen(&bridge), (RULES, 0));
    let (before, after) = (bridge.version(), txn.commit());
    assert_eq!((seen(&bridge), after), ((RULES, RULES), before + 1));
}

#[test]
fn what_is_not_committed_is_taken_back_in_slices() {
    let (_switch, bridge) = rig();
    let order = |bridge: &Bridge| -> Vec<u64> {
        bridge.select(&Filter::default()).iter().map(|rule| rule.order).collect()
    };
    let before = order(&bridge);
    let mut txn = bridge.begin();
    (RULES as u128..2 * RULES as u128).for_each(|n| txn.apply(&flow(n), 0).unwrap());
    txn.apply(&of_all(FlowModCommand::Modify), 0).unwrap();
    txn.apply(&of_all(FlowModCommand::Delete), 0).unwrap();
    assert_eq!(bridge.flow_count(), 0);
    drop(txn);
    assert!(!bridge.is_settled());
    let mut turns = 1;
    while retire::undo(&bridge.core, bridge.id()) {
        turns += 1;
    }
    assert!(turns > RULES / retire::SLICE, "{turns}");
    assert!(bridge.is_settled());
    assert_eq!((bridge.flow_count(), seen(&bridge), order(&bridge)), (RULES, (RULES, 0), before));
}

#[test]
fn few_rules_are_taken_back_at_once() {
    let (_switch, bridge) = rig();
    let mut txn = bridge.begin();
    txn.apply(&FlowMod { priority: 7, ..flow(0) }, 0).unwrap();
    drop(txn);
    assert!(bridge.is_settled());
    assert_eq!(bridge.flow_count(), RULES);
}

#[test]
fn a_dump_shows_the_version_at_which_it_began() {
    let (switch, bridge) = rig();
    let mut selection = bridge.begin_select(Filter::default()).unwrap();
    assert!(!bridge.go_on(&mut selection));
    bridge.flow_mods([&of_all(FlowModCommand::Modify)], 0).unwrap();
    bridge.flow_mods([&FlowMod { priority: 7, ..flow(0) }], 0).unwrap();
    (0..100).for_each(|now_ns| {
        switch.run(now_ns);
    });
    while !bridge.go_on(&mut selection) {}
    let found = std::mem::take(selection.found());
    assert_eq!(found.len(), RULES);
    assert!(found.iter().all(|rule| *rule.spec().instructions == Instructions::default()));
    drop(selection);
    (0..100).for_each(|now_ns| {
        switch.run(now_ns);
    });
    assert!(bridge.read(|bridge| bridge.retired.is_empty()), "what it held back is let go");
    assert_eq!(seen(&bridge), (RULES + 1, RULES));
}

#[test]
fn no_flow_removed_is_lost_however_late_it_is_fetched() {
    let (_switch, bridge) = rig();
    let flags = openflow::FlowFlags::SEND_FLOW_REM;
    let flows: Vec<FlowMod> = (0..RULES as u128).map(|n| FlowMod { flags, ..flow(n) }).collect();
    bridge.flow_mods(&flows, 0).unwrap();
    bridge.flow_mods([&of_all(FlowModCommand::Delete)], 0).unwrap();
    let mut told = 0;
    while bridge.read(|bridge| bridge.retired.len()) > 0 {
        (0..10).for_each(|_| {
            retire::purge(&bridge.core, bridge.id());
        });
        assert!(told > 0 || bridge.read(|bridge| bridge.retired.len()) > 0, "purging waits for room");
        told += std::iter::from_fn(|| bridge.events().pop()).count();
    }
    assert_eq!(told, RULES);
}
