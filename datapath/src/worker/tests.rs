//! A worker, stepped by hand, against rules applied directly.

mod harness;

use conntrack::state;
use proptest::prelude::*;

use self::harness::{Bench, Rule, frame};
use crate::action::{Action, PortNo};
use crate::drops::DropReason;
use crate::{Config, DumpCursor, FlowDump};

const SECOND: u64 = 1_000_000_000;

fn dump(bench: &Bench) -> Vec<FlowDump> {
    let mut cursor = DumpCursor::default();
    std::iter::repeat_with(|| bench.datapath.dump_flows(&mut cursor))
        .take_while(|flows| !flows.is_empty())
        .flatten()
        .collect()
}

#[test]
fn the_first_packet_makes_the_flow_and_is_not_counted_in_it() {
    let mut bench = Bench::new(Config::default(), 3);
    bench.set_rules(vec![Rule::on_port(1, vec![Action::Output(PortNo(2))])]);
    for _ in 0..10 {
        bench.send(1, &frame(1, 2, 80));
    }
    assert_eq!(bench.received(2).len(), 10);
    let flows = dump(&bench);
    assert_eq!(flows.len(), 1);
    assert_eq!((flows[0].hits.packets, flows[0].hits.bytes), (9, 9 * 60));
    assert_eq!(bench.rule_hits(0), (10, 600));
    let stats = bench.datapath.lookup_stats();
    assert_eq!((stats.hit, stats.missed, stats.flows), (9, 1, 1));
    let (one, two) =
        (bench.datapath.port_stats(PortNo(1)).unwrap(), bench.datapath.port_stats(PortNo(2)).unwrap());
    assert_eq!((one.rx.packets, one.rx.bytes, two.tx.packets, two.tx.bytes), (10, 600, 10, 600));
}

#[test]
fn a_change_of_actions_keeps_the_flow_and_its_counters() {
    let mut bench = Bench::new(Config::default(), 3);
    bench.set_rules(vec![Rule::on_port(1, vec![Action::Output(PortNo(2))])]);
    (0..4).for_each(|_| bench.send(1, &frame(1, 2, 80)));
    bench.set_rules(vec![Rule::on_port(1, vec![Action::Output(PortNo(3))])]);
    bench.settle();
    bench.datapath.sweep_flows();
    bench.settle();
    let flows = dump(&bench);
    assert_eq!((flows.len(), flows[0].hits.packets), (1, 3));
    assert_eq!(flows[0].actions[..], [Action::Output(PortNo(3))]);
    (0..2).for_each(|_| bench.send(1, &frame(1, 2, 80)));
    assert_eq!((bench.received(2).len(), bench.received(3).len()), (4, 2));
    assert_eq!(dump(&bench)[0].hits.packets, 5);
    assert_eq!(bench.rule_hits(0), (2, 120));
}

#[test]
fn idle_flows_go_and_their_counters_stay_with_the_rule() {
    let mut bench = Bench::new(Config::default(), 2);
    bench.set_rules(vec![Rule::on_port(1, vec![Action::Output(PortNo(2))])]);
    (0..5).for_each(|_| bench.send(1, &frame(1, 2, 80)));
    bench.now += 9 * SECOND;
    bench.settle();
    assert_eq!(bench.datapath.flow_count(), 1);
    bench.now += 2 * SECOND;
    bench.settle();
    bench.settle();
    assert_eq!(bench.datapath.flow_count(), 0);
    assert!(dump(&bench).is_empty());
    assert_eq!(bench.rule_hits(0), (5, 300));
}

#[test]
fn the_flow_limit_evicts() {
    let config = Config { flow_limit: 20, workers: 1, ..Config::default() };
    let mut bench = Bench::new(config, 2);
    bench.set_rules(vec![Rule::on_tp_dst(7, vec![]), Rule::on_port(1, vec![Action::Output(PortNo(2))])]);
    for port in 100..200 {
        bench.send(1, &frame(1, 2, port));
        assert!(bench.datapath.flow_count() <= 20);
    }
    assert_eq!(bench.received(2).len(), 100);
    let coverage = bench.datapath.coverage();
    assert!(coverage.contains(&("datapath_flow_evict", 80)), "{coverage:?}");
    assert_eq!(bench.rule_hits(1).0, 100);
}

#[test]
fn without_megaflows_each_flow_covers_its_own_packets_only() {
    let mut bench = Bench::new(Config::default(), 2);
    bench.set_rules(vec![Rule::on_port(1, vec![Action::Output(PortNo(2))])]);
    (0..5).for_each(|port| bench.send(1, &frame(1, 2, port)));
    assert_eq!(bench.datapath.cache_stats().current, 1);
    let config = (*bench.datapath.config()).clone();
    bench.datapath.set_config(Config { megaflows: false, ..config.clone() }).unwrap();
    (0..5).for_each(|port| bench.send(1, &frame(1, 2, port)));
    let stats = bench.datapath.cache_stats();
    assert_eq!((stats.current, stats.max, stats.by_worker), (5, 5, vec![5]));
    assert!(bench.datapath.coverage().contains(&("datapath_mask_bound", 0)));
    bench.datapath.set_config(config).unwrap();
    (0..5).for_each(|port| bench.send(1, &frame(1, 2, port)));
    let stats = bench.datapath.cache_stats();
    assert_eq!((stats.current, stats.max, stats.by_worker), (1, 5, vec![1]));
    assert_eq!(bench.rule_hits(0), (15, 900));
}

#[test]
fn drops_have_reasons() {
    let mut bench = Bench::new(Config::default(), 2);
    bench.set_rules(vec![Rule::on_tp_dst(1, vec![]), Rule::on_port(1, vec![Action::Output(PortNo(77))])]);
    (0..3).for_each(|_| bench.send(1, &frame(1, 2, 1)));
    (0..2).for_each(|_| bench.send(1, &frame(1, 2, 2)));
    bench.push(1, &[0; 13]);
    bench.settle();
    let stats = bench.datapath.port_stats(PortNo(1)).unwrap();
    assert_eq!(stats.dropped(DropReason::NoOutput), 3);
    assert_eq!(stats.dropped(DropReason::InvalidPort), 2);
    assert_eq!(stats.dropped(DropReason::RxInvalid), 1);
    assert_eq!(stats.drops.iter().sum::<u64>(), 6);
    assert_eq!(bench.datapath.drops(Some("p1")).len(), 3);
}

#[test]
fn packets_come_from_the_control_side_too() {
    let mut bench = Bench::new(Config::default(), 2);
    let (key, _) = packet::extract(&frame(1, 2, 3), 2);
    let packet = packet::Packet::copy_of(&frame(1, 2, 3)).unwrap();
    let version = bench.datapath.stamps().publish(|_| []);
    bench.datapath.execute(packet, key, vec![Action::Output(PortNo(1)), Action::Output(PortNo(2))]).unwrap();
    let ticket = bench.datapath.handed_in();
    assert!(!bench.datapath.is_out(ticket));
    bench.settle();
    assert!(bench.datapath.is_out(ticket) && bench.datapath.passed(version));
    assert_eq!((bench.received(1).len(), bench.received(2).len()), (1, 1));
}

#[test]
fn a_purge_takes_all_and_the_next_packet_starts_anew() {
    let mut bench = Bench::new(Config::default(), 2);
    bench.set_rules(vec![Rule::on_tp_dst(7, vec![]), Rule::on_port(1, vec![Action::Output(PortNo(2))])]);
    (0..300).for_each(|port| bench.send(1, &frame(1, 2, 1000 + port)));
    assert_eq!(dump(&bench).len(), 300);
    bench.datapath.purge_flows();
    bench.settle();
    assert_eq!((bench.datapath.flow_count(), dump(&bench).len()), (0, 0));
    (0..2).for_each(|_| bench.send(1, &frame(1, 2, 1000)));
    assert_eq!(dump(&bench)[0].hits.packets, 1);
    assert_eq!(bench.rule_hits(1).0, 302);
}

#[test]
fn recirculation_looks_up_again_and_is_bounded() {
    let mut bench = Bench::new(Config::default(), 2);
    bench.set_rules(vec![
        Rule::on_recirc(5, vec![Action::Output(PortNo(2))]),
        Rule::on_recirc(6, vec![Action::Recirc(6)]),
        Rule::on_tp_dst(6, vec![Action::Recirc(6)]),
        Rule::on_port(1, vec![Action::Recirc(5)]),
    ]);
    (0..3).for_each(|_| bench.send(1, &frame(1, 2, 80)));
    assert_eq!(bench.received(2).len(), 3);
    assert_eq!((bench.rule_hits(0).0, bench.rule_hits(3).0), (3, 3));
    bench.send(1, &frame(1, 2, 6));
    assert_eq!(bench.datapath.port_stats(PortNo(1)).unwrap().dropped(DropReason::RecircTooDeep), 1);
}

#[test]
fn a_full_port_holds_back_keeps_the_order_and_drops_only_the_excess() {
    let mut bench = Bench::new(Config::default(), 2);
    bench.set_rules(vec![Rule::on_port(1, vec![Action::Output(PortNo(2))])]);
    bench.wires(2).set_room(10);
    let frames: Vec<_> = (0..2000u16).map(|n| frame(1, 2, n)).collect();
    frames.iter().for_each(|frame| bench.push(1, frame));
    bench.settle();
    assert_eq!(bench.received(2), frames[..10]);
    let stats = |bench: &Bench| bench.datapath.port_stats(PortNo(2)).unwrap();
    assert!(stats(&bench).tx.packets < 200, "nobody was held back");
    // The port stays full for longer than the worker is patient: it goes on, and what is too much is lost.
    while bench.datapath.port_stats(PortNo(1)).unwrap().rx.packets < 2000 {
        std::thread::sleep(std::time::Duration::from_micros(100));
        bench.settle();
        assert!(bench.received(2).len() <= 10);
    }
    bench.wires(2).set_room(usize::MAX);
    bench.settle();
    let last = stats(&bench);
    assert_ne!(last.dropped(DropReason::TxFull), 0);
    assert_eq!(last.tx.packets + last.dropped(DropReason::TxFull), 2000);
    assert_eq!(last.tx.bytes, last.tx.packets * 60);
}

#[test]
fn frames_that_wait_for_a_port_that_goes_are_counted() {
    let mut bench = Bench::new(Config::default(), 2);
    bench.set_rules(vec![Rule::on_port(1, vec![Action::Output(PortNo(2))])]);
    bench.wires(2).set_room(1);
    (0..6).for_each(|_| bench.push(1, &frame(1, 2, 80)));
    bench.settle();
    let port = bench.datapath.port(PortNo(2)).unwrap();
    bench.datapath.del_port(PortNo(2)).unwrap();
    bench.settle();
    assert_eq!((port.counters.read().tx.packets, port.counters.read().tx.bytes), (1, 60));
    let coverage = bench.datapath.coverage();
    assert!(coverage.contains(&("datapath_drop_tx_error", 5)), "{coverage:?}");
}

#[test]
fn a_fragment_that_is_refused_leaves_nothing_to_the_next_packet() {
    let mut bench = Bench::new(Config::default(), 2);
    bench.set_rules(vec![
        Rule::on_fresh_but_tracked(state::INV | state::TRK, vec![]),
        Rule::on_recirc(5, vec![Action::Output(PortNo(2))]),
        Rule::on_tp_dst(7, vec![Action::Output(PortNo(2))]),
        Rule::on_port(1, vec![Action::Ct(Box::default()), Action::Recirc(5)]),
    ]);
    // More fragments follow one that is too short to be taken.
    let mut fragment = frame(1, 2, 3);
    fragment[20] = 0x20;
    for second in [&fragment, &frame(1, 2, 3)] {
        bench.push(1, &frame(1, 2, 7));
        bench.push(1, second);
        bench.settle();
    }
    assert_eq!([0, 1, 2, 3].map(|rule| bench.rule_hits(rule).0), [0, 2, 2, 2]);
}

#[test]
fn recirculation_that_forks_is_bounded_and_every_packet_is_accounted_for() {
    let mut bench = Bench::new(Config::default(), 2);
    let fork = vec![Action::Recirc(6); 4];
    bench.set_rules(vec![Rule::on_recirc(6, fork.clone()), Rule::on_port(1, fork)]);
    for round in 1..=2 {
        bench.send(1, &frame(1, 2, 80));
        let coverage = bench.datapath.coverage();
        assert!(coverage.contains(&("datapath_recirculate", round * 1024)), "{coverage:?}");
        let stats = bench.datapath.port_stats(PortNo(1)).unwrap();
        assert_eq!(stats.dropped(DropReason::RecircLimit), round * (4 + 4 * 1024 - 1024));
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Frames, all in one batch: source, destination, port.
    Send(u32, Vec<(u8, u8, u16)>),
    Change(Vec<Rule>),
    Wait(u64),
    Purge,
}

fn rule() -> impl Strategy<Value = Rule> {
    let output = (1u32..4).prop_map(|port| Action::Output(PortNo(port)));
    let vlan = Just(Action::PushVlan { tpid: 0x8100, tci: 5 });
    let actions = prop::collection::vec(prop_oneof![4 => output, 1 => vlan], 0..3);
    (any::<[bool; 4]>(), 1u32..3, 0u8..3, 0u8..3, 1u16..4, any::<bool>(), actions).prop_map(
        |(bits, port, src, dst, tp, cacheable, actions)| {
            Rule::new(bits, port, src, dst, tp, cacheable, actions)
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let sent = prop::collection::vec((0u8..3, 0u8..3, 1u16..4), 1..40);
    prop_oneof![
        8 => (1u32..3, sent).prop_map(|(port, frames)| Step::Send(port, frames)),
        2 => prop::collection::vec(rule(), 0..5).prop_map(Step::Change),
        1 => (0u64..12).prop_map(Step::Wait),
        1 => Just(Step::Purge),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever is sent and changed, in whatever order: what comes out, and what the rules have counted, is what applying the
    /// rules to each packet gives.
    #[test]
    fn caches_do_not_show(
        rules in prop::collection::vec(rule(), 0..5),
        steps in prop::collection::vec(step(), 1..20),
        masks in 1usize..4,
        limit in 2usize..30,
    ) {
        let config = Config { masks_per_port: masks, flow_limit: limit, cache_entries: 64, workers: 1, ..Config::default() };
        let mut bench = Bench::new(config, 3);
        bench.set_rules(rules);
        for step in steps {
            match step {
                Step::Send(port, frames) => {
                    let frames: Vec<_> = frames.iter().map(|(src, dst, tp)| frame(*src, *dst, *tp)).collect();
                    frames.iter().for_each(|frame| bench.push(port, frame));
                    bench.settle();
                    let expected = bench.expect(port, &frames);
                    for out in 1..4u32 {
                        prop_assert_eq!(bench.received(out), expected[out as usize].clone(), "port {}", out);
                    }
                }
                Step::Change(rules) => {
                    prop_assert!(bench.counts_agree());
                    bench.set_rules(rules);
                }
                Step::Wait(seconds) => {
                    bench.now += seconds * SECOND;
                    bench.settle();
                }
                Step::Purge => {
                    bench.datapath.purge_flows();
                    bench.settle();
                }
            }
            prop_assert!(bench.counts_agree());
        }
    }
}
