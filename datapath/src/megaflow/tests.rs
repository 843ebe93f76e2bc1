//! The classifier against a linear scan.

use std::sync::Arc;

use proptest::prelude::*;
use smallvec::SmallVec;

use super::flow::{Cold, Hot, Program};
use super::registry::Record;
use super::*;
use crate::action::PortNo;

/// A key from few values, so that flows and packets meet.
fn key() -> impl Strategy<Value = FlowKey> {
    (0u32..3, 0u8..4, 0u16..4, 0u8..3).prop_map(|(port, mac, tp, proto)| {
        let mut key = FlowKey::default();
        key.in_port.set(port);
        key.eth_dst[5] = mac;
        key.tp_dst.set(tp);
        key.nw_proto = proto;
        key
    })
}

fn mask() -> impl Strategy<Value = FlowMask> {
    (0u8..4, 0u16..4, 0u8..4).prop_map(|(mac, tp, proto)| {
        let mut mask = FlowMask::default();
        mask.0.eth_dst[5] = mac;
        mask.0.tp_dst.set(tp);
        mask.0.nw_proto = proto;
        mask
    })
}

fn insert(flows: &mut Megaflows, key: &FlowKey, mask: &FlowMask, number: u64) -> Option<(FlowId, FlowMask)> {
    let (subtable, _) = flows.place(key, mask);
    let layout = flows.layout(subtable).unwrap();
    if flows.find_in(subtable, key).is_some() {
        return None;
    }
    let record = Arc::new(Record::new(number, layout.clone(), key, Arc::from([])));
    let hot =
        Hot { good_at: 1, program: Program::Output(PortNo(number as u32)), stats: record.stats.clone() };
    let cold = Cold {
        translated_at: 1,
        depends: SmallVec::new(),
        credit: None,
        record,
        place: 0,
        refreshed_ns: 0,
        born_ns: 0,
    };
    Some((flows.insert(subtable, key, hot, cold).unwrap(), layout.mask()))
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Box<(FlowKey, FlowMask)>),
    Remove(usize),
    Find(Box<FlowKey>),
    Tidy,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (key(), mask()).prop_map(|flow| Step::Insert(Box::new(flow))),
        1 => any::<usize>().prop_map(Step::Remove),
        6 => key().prop_map(|key| Step::Find(Box::new(key))),
        1 => Just(Step::Tidy),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Every find gives a flow that covers the key if and only if a linear scan finds one.
    #[test]
    fn finds_what_a_linear_scan_finds(steps in prop::collection::vec(step(), 1..60), bound in 1usize..6) {
        let mut flows = Megaflows::new(bound);
        let mut cache = crate::cache::Cache::new(16);
        let mut linear: Vec<(FlowId, FlowKey, FlowMask)> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(flow) => {
                    let (key, mask) = *flow;
                    if let Some((id, stored)) = insert(&mut flows, &key, &mask, number as u64) {
                        prop_assert!(Layout::new(&stored).covers(&mask), "a mask may only grow");
                        cache.insert(flows.signature(&key), id);
                        linear.push((id, key, stored));
                    }
                }
                Step::Remove(nth) if !linear.is_empty() => {
                    let (id, ..) = linear.swap_remove(nth % linear.len());
                    prop_assert!(flows.remove(id).is_some());
                    flows.reclaim();
                }
                Step::Tidy => flows.tidy(),
                Step::Remove(_) => {}
                Step::Find(key) => {
                    let covering = linear.iter().filter(|(_, other, mask)| mask.matches(&key, other));
                    let ids: Vec<_> = covering.map(|(id, ..)| *id).collect();
                    let found = flows.find(&key);
                    prop_assert_eq!(found.is_some(), !ids.is_empty());
                    prop_assert!(found.is_none_or(|id| ids.contains(&id)));
                    for id in cache.candidates(flows.signature(&key)).filter(|id| flows.covers(*id, &key)) {
                        prop_assert!(ids.contains(&id), "the cache may not give what does not cover");
                    }
                }
            }
            prop_assert_eq!(flows.len(), linear.len());
            for order in flows.by_port.values() {
                // One more than the bound: the exact mask.
                prop_assert!(order.len() <= bound + 1);
            }
        }
    }
}

#[test]
fn a_walk_meets_every_flow_once() {
    let mut flows = Megaflows::new(8);
    for port in 0..50u32 {
        let mut key = FlowKey::default();
        key.in_port.set(port % 7);
        key.tp_dst.set(port as u16);
        let mut mask = FlowMask::default();
        mask.0.tp_dst.set(if port % 2 == 0 { 0xffff } else { 0xff });
        insert(&mut flows, &key, &mask, u64::from(port));
    }
    let mut at = FlowId { subtable: 0, slot: 0 };
    let mut met = Vec::new();
    loop {
        match flows.walk(at, 3) {
            Ok(Some(id)) => {
                met.push((id.subtable, id.slot));
                at = FlowId { slot: id.slot + 1, ..id };
            }
            Ok(None) => break,
            Err(next) => at = next,
        }
    }
    let count = met.len();
    met.dedup();
    assert_eq!((count, met.len()), (flows.len(), flows.len()));
    assert_eq!(count, 50);
}

#[test]
fn a_removed_flow_keeps_its_program_until_reclaimed() {
    let mut flows = Megaflows::new(8);
    let key = FlowKey::default();
    let (id, _) = insert(&mut flows, &key, &FlowMask::default(), 3).unwrap();
    flows.remove(id);
    assert!(!flows.covers(id, &key));
    assert!(matches!(flows.hot(id).map(|hot| &hot.program), Some(Program::Output(PortNo(3)))));
    let (other, _) = insert(&mut flows, &key, &FlowMask::default(), 4).unwrap();
    assert_ne!(id, other);
    flows.reclaim();
    assert!(flows.hot(id).is_none());
}
