//! What packets teach, and how long it stands.

use std::sync::Arc;

use datapath::action::{Action as Dp, PortNo};
use datapath::owner::{Credit, Hits, Translation};
use datapath::port::memory::Wires;
use datapath::port::{PortKind, PortSpec};
use datapath::worker::Worker;
use datapath::{Config, Datapath};
use openflow::action::{LearnDst, LearnFlags, LearnSpec};
use openflow::{Action, FlowMod, FlowModCommand, Instructions, Match, SubField};
use packet::FlowKey;

use super::super::tests::{Rig, SECOND, ipv4, output};
use super::*;
use crate::config::{Attachment, BridgeConfig, InterfaceConfig, TableConfig};
use crate::table::rule::Rule;
use crate::{Bridge, Filter, Switch};

const COOKIE: u64 = 0xb16;

/// Learns in table 20 that who is here is behind the input port.
fn learn(change: impl FnOnce(&mut Learn)) -> Action {
    let whole = |field| SubField::whole(field);
    let source = |field, dst| LearnSpec { n_bits: 48, src: LearnSrc::Field(whole(field)), dst };
    let mut learn = Learn {
        idle_timeout: 0,
        hard_timeout: 300,
        fin_idle_timeout: 0,
        fin_hard_timeout: 0,
        priority: 1,
        table: 20,
        cookie: COOKIE,
        flags: LearnFlags::default(),
        limit: 0,
        result_dst: None,
        specs: vec![
            source(FieldId::EthSrc, LearnDst::Match(whole(FieldId::EthDst))),
            LearnSpec { n_bits: 16, src: LearnSrc::Field(whole(FieldId::InPort)), dst: LearnDst::Output },
        ],
    };
    change(&mut learn);
    Action::Learn(Box::new(learn))
}

/// Port 1 teaches and sends to port 2; what comes from port 2 goes where table 20 says.
fn rig(learn: Action) -> Rig {
    let rig = Rig::new();
    let mut from = Match::any();
    from.set_in_port(openflow::OfPort(1));
    rig.add(0, 9, from, Instructions::apply(vec![learn, output(2)]));
    let onward = Instructions { goto_table: Some(20), ..Instructions::default() };
    rig.add(0, 1, Match::any(), onward);
    rig
}

fn from(port: u32, mac: u8) -> FlowKey {
    FlowKey { eth_src: [2, 0, 0, 0, 0, mac], ..ipv4(port) }
}

fn to(mac: u8) -> FlowKey {
    FlowKey { eth_dst: [2, 0, 0, 0, 0, mac], ..ipv4(2) }
}

fn learned(rig: &Rig) -> Vec<Arc<Rule>> {
    rig.bridge.select(&Filter { table: Some(20), ..Filter::default() }).into()
}

fn has_changed(rig: &Rig, version: u64, out: &Translation) -> bool {
    rig.switch.core.stamps.changed_since(version, &out.depends)
}

fn delete(rig: &Rig, table: u8) {
    let command = FlowModCommand::Delete;
    let fm = FlowMod { command, table_id: Some(table), ..FlowMod::default() };
    rig.bridge.flow_mods([&fm], SECOND).unwrap();
}

fn count(out: &Translation, packets: u64) {
    out.credit.as_deref().map(|credit| credit.count(Hits { packets, bytes: 0 }, 0, SECOND)).unwrap();
}

fn refresh(out: &Translation, now_ns: u64) {
    out.credit.as_deref().map(|credit: &dyn Credit| credit.refresh(now_ns)).unwrap();
}

fn run_until(rig: &Rig, until_s: u64) {
    (0..=until_s * 2).for_each(|half| {
        rig.switch.run(half * SECOND / 2);
    });
}

#[test]
fn a_flow_is_there_for_the_next_packet_and_is_learned_once() {
    let rig = rig(learn(|_| {}));
    let version = rig.bridge.version();
    let first = rig.translate(&from(1, 7), SECOND);
    assert_eq!(first.actions, [Dp::Output(PortNo(12))]);
    assert!(first.cacheable);
    assert_eq!((first.advanced, rig.bridge.version()), (Some(version + 1), version + 1));
    assert_eq!(rig.translate(&to(7), SECOND).actions, [Dp::Output(PortNo(11))]);
    let rules = learned(&rig);
    assert_eq!((rules.len(), rules[0].spec().cookie, rules[0].hard_timeout()), (1, COOKIE, 300));
    let again = rig.translate(&from(1, 7), 2 * SECOND);
    assert_eq!((again.advanced, rig.bridge.version()), (None, version + 1), "nothing to change");
    assert_eq!(rules[0].modified_ns(), 2 * SECOND);
    assert!(!has_changed(&rig, version, &again));
}

#[test]
fn a_station_that_moves_is_learned_anew_and_keeps_its_counters() {
    let learn = learn(|_| {});
    let rig = rig(learn.clone());
    let old = rig.translate(&from(1, 7), SECOND);
    count(&rig.translate(&to(7), SECOND), 5);
    let mut on_three = Match::any();
    on_three.set_in_port(openflow::OfPort(3));
    rig.add(0, 9, on_three, Instructions::apply(vec![learn, output(2)]));
    let version = rig.bridge.version();
    rig.translate(&from(3, 7), 3 * SECOND);
    let rules = learned(&rig);
    assert_eq!(*rules[0].spec().instructions, Instructions::apply(vec![output(3)]));
    assert_eq!((rules.len(), rules[0].totals().hits.packets), (1, 5));
    assert_eq!((rules[0].spec().created_ns, rules[0].modified_ns()), (SECOND, 3 * SECOND));
    assert!(has_changed(&rig, version, &old), "the old place has to be learned again with its next packet");
}

#[test]
fn it_stays_while_the_cached_flow_is_used_and_goes_after() {
    let rig = rig(learn(|learn| learn.hard_timeout = 10));
    let out = rig.translate(&from(1, 7), SECOND);
    refresh(&out, 8 * SECOND);
    run_until(&rig, 17);
    assert_eq!(learned(&rig).len(), 1);
    let version = rig.bridge.version();
    run_until(&rig, 18);
    assert_eq!(learned(&rig).len(), 0);
    assert!(has_changed(&rig, version, &out), "the next packet has to learn it again");
}

#[test]
fn without_a_packet_nothing_is_learned() {
    let rig = rig(learn(|_| {}));
    let version = rig.bridge.version();
    assert!(!rig.look_again(&from(1, 7), SECOND).cacheable, "the next packet has to teach it");
    assert_eq!((learned(&rig).len(), rig.bridge.version()), (0, version));
    rig.translate(&from(1, 7), SECOND);
    let again = rig.look_again(&from(1, 7), 5 * SECOND);
    assert!(again.cacheable);
    assert_eq!(learned(&rig)[0].modified_ns(), SECOND);
    refresh(&again, 6 * SECOND);
    assert_eq!(learned(&rig)[0].modified_ns(), 6 * SECOND);
}

#[test]
fn a_limit_holds_and_its_result_is_written() {
    let learn = learn(|learn| {
        learn.limit = 2;
        // Port 2 if it is set.
        learn.result_dst = Some(SubField { field: FieldId::Reg0, ofs: 1, n_bits: 1 });
        learn.flags = LearnFlags(LearnFlags::WRITE_RESULT);
    });
    let rig = Rig::new();
    let tell = Action::OutputReg { src: SubField::whole(FieldId::Reg0), max_len: 0, wide: false };
    rig.add(0, 9, Match::any(), Instructions::apply(vec![learn, tell]));
    let told = |mac| rig.translate(&from(1, mac), SECOND);
    let done = [Dp::Output(PortNo(12))];
    assert_eq!((&told(1).actions[..], &told(2).actions[..]), (&done[..], &done[..]));
    let refused = told(3);
    assert_eq!((refused.actions.len(), refused.cacheable, learned(&rig).len()), (0, true, 2));
    assert_eq!(told(1).actions, done, "what is learned already is not refused");
    let version = rig.bridge.version();
    delete(&rig, 20);
    assert!(has_changed(&rig, version, &refused), "there is room again");
    assert_eq!((told(3).actions, learned(&rig).len()), (done.to_vec(), 1));
}

#[test]
fn learned_flows_go_with_the_last_that_teaches_them() {
    let learn = learn(|learn| learn.flags = LearnFlags(LearnFlags::DELETE_LEARNED));
    let rig = rig(learn.clone());
    rig.add(1, 1, Match::any(), Instructions::apply(vec![learn.clone()]));
    rig.translate(&from(1, 7), SECOND);
    rig.translate(&from(1, 8), SECOND);
    delete(&rig, 0);
    assert_eq!(learned(&rig).len(), 2, "one that teaches them is left");
    let mut txn = rig.bridge.begin();
    txn.apply(&FlowMod { table_id: Some(1), command: FlowModCommand::Delete, ..FlowMod::default() }, SECOND)
        .unwrap();
    drop(txn);
    rig.add(1, 1, Match::any(), Instructions::apply(vec![learn, output(1)]));
    assert_eq!(learned(&rig).len(), 2, "it is replaced by one that teaches them too");
    delete(&rig, 1);
    assert_eq!(learned(&rig).len(), 0);
}

#[test]
fn in_the_middle_of_a_change_it_waits() {
    let rig = rig(learn(|_| {}));
    let mut txn = rig.bridge.begin();
    txn.apply(&FlowMod { table_id: Some(7), ..FlowMod::default() }, SECOND).unwrap();
    let out = rig.translate(&from(1, 7), SECOND);
    assert!(!out.cacheable);
    assert_eq!((out.advanced, learned(&rig).len()), (None, 0));
    txn.commit();
    assert_eq!(learned(&rig).len(), 1);
    let mut txn = rig.bridge.begin();
    txn.apply(&FlowMod { table_id: Some(7), ..FlowMod::default() }, SECOND).unwrap();
    rig.translate(&from(1, 8), SECOND);
    drop(txn);
    rig.switch.run(SECOND);
    assert_eq!(learned(&rig).len(), 2, "also if the change is taken back");
}

#[test]
fn a_full_table_learns_no_more_until_there_is_room() {
    let rig = rig(learn(|_| {}));
    let table = TableConfig { flow_limit: Some(1), ..TableConfig::default() };
    rig.bridge.configure(BridgeConfig { tables: [(20, table)].into(), ..rig.bridge.config() });
    rig.translate(&from(1, 7), SECOND);
    let full = rig.translate(&from(1, 8), SECOND);
    assert_eq!((full.cacheable, learned(&rig).len()), (true, 1));
    let version = rig.bridge.version();
    delete(&rig, 20);
    assert!(has_changed(&rig, version, &full));
}

#[test]
fn the_end_of_a_connection_shortens_its_time() {
    let rig = Rig::new();
    let fin = Action::FinTimeout { idle: 5, hard: 0 };
    rig.add(20, 1, Match::any(), Instructions::apply(vec![fin]));
    let onward = Instructions { goto_table: Some(20), ..Instructions::default() };
    rig.add(0, 1, Match::any(), onward);
    let out = rig.translate(&ipv4(1), SECOND);
    assert_eq!((out.mask.0.tcp_flags.get(), learned(&rig)[0].idle_timeout()), (5, 0));
    let mut last = ipv4(1);
    last.tcp_flags.set(0x11);
    assert!(!rig.look_again(&last, SECOND).cacheable);
    assert_eq!(learned(&rig)[0].idle_timeout(), 0);
    rig.translate(&last, SECOND);
    assert_eq!((learned(&rig)[0].idle_timeout(), learned(&rig)[0].hard_timeout()), (5, 0));
    run_until(&rig, 7);
    assert_eq!(learned(&rig).len(), 0);
}

#[test]
fn ports_that_nobody_can_send_to_give_no_output() {
    let spec = |n_bits, value| LearnSpec { n_bits, src: LearnSrc::Immediate(value), dst: LearnDst::Output };
    let of = |spec| {
        let Action::Learn(learn) = learn(|learn| learn.specs = vec![spec]) else { panic!() };
        Lesson::new(&learn, crate::BridgeId(1), &FlowKey::default()).flow.instructions.apply.clone()
    };
    assert_eq!(of(spec(16, 5)), [output(5)]);
    assert_eq!(of(spec(16, 0xfff8)), [output(openflow::OfPort::IN_PORT.0)]);
    assert_eq!(of(spec(16, 0xfffd)), []);
    assert_eq!(of(spec(32, 0xfffb)), [output(openflow::OfPort::FLOOD.0)]);
    assert_eq!(of(spec(32, 0x1_0000)), []);
    assert_eq!(of(spec(32, 0xffff_fffb)), []);
}

/// A switch on a datapath of its own, with two wires.
fn on_wires() -> (Arc<Switch>, Arc<Bridge>, Worker, [Wires; 2]) {
    let (datapath, mut workers) = Datapath::manual(Config { workers: 1, ..Config::default() }).unwrap();
    let switch = Arc::new(Switch::new(datapath.stamps().clone(), 5));
    datapath.set_owner(switch.clone());
    let bridge = switch.add_bridge("br0", BridgeConfig::default()).unwrap();
    let wires = [Wires::default(), Wires::default()];
    for (n, wire) in wires.iter().enumerate() {
        let name = format!("p{n}");
        let port = datapath.add_port(PortSpec::new(&name, PortKind::Memory(wire.clone()))).unwrap();
        let attachment = Attachment::Datapath(port.number);
        let config =
            InterfaceConfig { name, attachment, local: false, ofport_request: None, hw_addr: [0; 6] };
        bridge.add_interface(&config, 0).unwrap();
    }
    (switch, bridge, workers.remove(0), wires)
}

fn frame(dst: u8, src: u8) -> packet::Packet {
    let mut bytes = [0; 60];
    (bytes[5], bytes[11], bytes[12]) = (dst, src, 0x88);
    packet::Packet::copy_of(&bytes).unwrap()
}

#[test]
fn a_packet_of_the_same_batch_goes_by_what_one_before_it_taught() {
    let (switch, bridge, mut worker, wires) = on_wires();
    let to_second = LearnSpec { n_bits: 16, src: LearnSrc::Immediate(2), dst: LearnDst::Output };
    let teach = learn(|learn| {
        learn.specs.truncate(1);
        learn.specs.push(to_second);
        learn.hard_timeout = 10;
    });
    let onward = Instructions { goto_table: Some(20), ..Instructions::apply(vec![teach]) };
    bridge.flow_mods([&FlowMod { instructions: onward, ..FlowMod::default() }], SECOND).unwrap();
    let of_table_20 = || bridge.select(&Filter { table: Some(20), ..Filter::default() });
    [(1, 7), (7, 1)].iter().for_each(|(dst, src)| wires[0].push(frame(*dst, *src)));
    worker.settle(SECOND);
    assert_eq!((wires[1].drain().len(), of_table_20().len()), (1, 2), "only the second is for who is known");
    // Then all are cached, counted to the packet, and keep what they teach.
    let settled = |now_ns: u64, packets: u64| {
        let counts: Vec<u64> = of_table_20().iter().map(|rule| rule.totals().hits.packets).collect();
        assert_eq!(counts.iter().sum::<u64>(), packets, "at {now_ns}: {counts:?}");
    };
    for second in 2..40 {
        [(1, 7), (7, 1)].iter().for_each(|(dst, src)| wires[0].push(frame(*dst, *src)));
        worker.settle(second * SECOND);
        worker.settle(second * SECOND + SECOND / 2);
        switch.run(second * SECOND + SECOND / 2);
        assert_eq!(wires[1].drain().len(), 2);
        settled(second, 1 + 2 * (second - 1));
    }
    (40..=49).for_each(|second| {
        switch.run(second * SECOND);
    });
    assert_eq!(of_table_20().len(), 0, "unused for ten seconds");
    wires[0].push(frame(1, 7));
    worker.settle(50 * SECOND);
    assert_eq!(of_table_20().len(), 1, "the cached flow teaches it again");
}

#[test]
fn the_tables_of_the_switch_itself_learn_nothing() {
    for table in [254, 255] {
        let rig = rig(learn(|learn| learn.table = table));
        let before = rig.bridge.rules_in_memory();
        assert!(rig.translate(&from(1, 7), SECOND).cacheable);
        assert_eq!(rig.bridge.rules_in_memory(), before);
    }
}

#[test]
fn one_packet_that_teaches_two_flows_keeps_the_limit() {
    let limited = |field| {
        learn(|learn| {
            learn.limit = 1;
            let SubField { n_bits, .. } = SubField::whole(field);
            let src = LearnSrc::Immediate(5);
            learn.specs = vec![LearnSpec { n_bits, src, dst: LearnDst::Match(SubField::whole(field)) }];
            learn.result_dst = Some(SubField { field: FieldId::Reg0, ofs: 1, n_bits: 1 });
        })
    };
    let tell = Action::OutputReg { src: SubField::whole(FieldId::Reg0), max_len: 0, wide: false };
    let rig = Rig::new();
    let todo = vec![limited(FieldId::EthSrc), tell.clone(), limited(FieldId::EthDst), tell];
    rig.add(0, 1, Match::any(), Instructions::apply(todo));
    let out = rig.translate(&from(1, 7), SECOND);
    assert_eq!((out.actions, out.cacheable), (vec![Dp::Output(PortNo(12))], true));
    assert_eq!(learned(&rig).len(), 1);
}

#[test]
fn many_learned_flows_go_in_slices_and_all_at_once() {
    let rig = rig(learn(|learn| learn.flags = LearnFlags(LearnFlags::DELETE_LEARNED)));
    let flow = |n: u128| {
        let mut flow_match = Match::any();
        flow_match.set(FieldId::EthDst, n);
        FlowMod { table_id: Some(20), new_cookie: Some(COOKIE), flow_match, ..FlowMod::default() }
    };
    let flows: Vec<FlowMod> = (0..3000).map(flow).collect();
    rig.bridge.flow_mods(&flows, SECOND).unwrap();
    let mut txn = rig.bridge.begin();
    let fm = FlowMod { command: FlowModCommand::Delete, table_id: Some(0), ..FlowMod::default() };
    txn.begin(&fm, SECOND).unwrap();
    while !txn.go_on().unwrap() {}
    assert!(!txn.is_ready());
    let slices = std::iter::from_fn(|| (!txn.close()).then_some(())).count();
    assert!(slices >= 3000 / 128, "{slices}");
    assert_eq!(learned(&rig).len(), 3000);
    txn.commit();
    assert_eq!(learned(&rig).len(), 0);
}
