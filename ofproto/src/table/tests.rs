//! The classifier against a linear scan, and its masks against other keys.

use std::sync::Arc;

use datapath::stamps::Slot;
use packet::{FlowKey, FlowMask};
use proptest::prelude::*;
use smallvec::SmallVec;

use super::Versioned;
use super::classifier::Classifier;
use super::prefix::PrefixField;

#[derive(Clone, Debug)]
struct TestRule {
    key: FlowKey,
    mask: FlowMask,
    priority: i32,
    versions: (u64, u64),
}

impl Versioned for TestRule {
    fn priority(&self) -> i32 {
        self.priority
    }

    fn visible_at(&self, version: u64) -> bool {
        self.versions.0 <= version && version < self.versions.1
    }

    fn order(&self) -> u64 {
        0
    }
}

/// Values from a small set, so that rules and packets meet.
fn key() -> impl Strategy<Value = FlowKey> {
    let address =
        prop::sample::select(vec![0x0a00_0001u32, 0x0a00_0102, 0x0a01_0001, 0x0b00_0001, 0xc0a8_0001, 0]);
    let port = prop::sample::select(vec![0u16, 1, 80, 81, 443, 0xffff]);
    (0u32..3, prop::bool::ANY, 0u8..3, address.clone(), address, port.clone(), port, 0u32..3).prop_map(
        |(in_port, ip, proto, src, dst, tp_src, tp_dst, reg)| {
            let mut key = FlowKey::default();
            key.in_port.set(in_port);
            key.eth_type.set(if ip { 0x0800 } else { 0x0806 });
            key.nw_proto = proto;
            key.nw_src.set(src);
            key.nw_dst.set(dst);
            key.tp_src.set(tp_src);
            key.tp_dst.set(tp_dst);
            key.regs[0].set(reg);
            key.eth_dst[5] = proto;
            key
        },
    )
}

fn mask() -> impl Strategy<Value = FlowMask> {
    let prefix = prop::sample::select(vec![0u32, 0, 0xff00_0000, 0xffff_0000, 0xffff_ff00, u32::MAX, 0xff]);
    let port = prop::sample::select(vec![0u16, 0, 0, u16::MAX, 0xfffe, 1]);
    let all = |on: bool| if on { u32::MAX } else { 0 };
    let flags = prop::array::uniform5(prop::bool::weighted(0.3));
    (flags, prefix.clone(), prefix, port.clone(), port).prop_map(
        move |([a, b, c, d, e], src, dst, tp_src, tp_dst)| {
            let mut mask = FlowMask::default();
            mask.0.in_port.set(all(a));
            mask.0.eth_type.set(all(b || src | dst != 0) as u16);
            mask.0.nw_proto = all(c) as u8;
            mask.0.regs[0].set(all(d));
            mask.0.eth_dst = [all(e) as u8; 6];
            mask.0.nw_src.set(src);
            mask.0.nw_dst.set(dst);
            mask.0.tp_src.set(tp_src);
            mask.0.tp_dst.set(tp_dst);
            mask
        },
    )
}

fn rules() -> impl Strategy<Value = Vec<TestRule>> {
    let versions = prop_oneof![4 => Just((1u64, u64::MAX)), 1 => Just((2, u64::MAX)), 1 => Just((1, 2))];
    prop::collection::vec((key(), mask(), versions), 0..40).prop_map(|rules| {
        let one = |(priority, (key, mask, versions)): (i32, _)| {
            let mask: FlowMask = mask;
            // Neighbours in the list share few priorities' order with their tuples.
            TestRule { key: mask.apply(&key), mask, priority: priority * 7919 % 101, versions }
        };
        (0..).zip(rules).map(one).collect()
    })
}

fn build(rules: &[TestRule]) -> (Classifier<TestRule>, Vec<Arc<TestRule>>) {
    let mut classifier = Classifier::new(7, &PrefixField::DEFAULT);
    let rules: Vec<_> = rules.iter().cloned().map(Arc::new).collect();
    for rule in &rules {
        classifier.insert(&rule.key, &rule.mask, Arc::clone(rule));
    }
    (classifier, rules)
}

fn scan<'a>(rules: &'a [Arc<TestRule>], key: &FlowKey, version: u64) -> Option<&'a Arc<TestRule>> {
    let fits = |rule: &&Arc<TestRule>| rule.visible_at(version) && rule.mask.matches(key, &rule.key);
    rules.iter().filter(fits).max_by_key(|rule| rule.priority)
}

fn look(
    classifier: &Classifier<TestRule>,
    key: &FlowKey,
    version: u64,
) -> (Option<i32>, FlowMask, Vec<Slot>) {
    let (mut mask, mut depends) = (FlowMask::default(), SmallVec::new());
    let found = classifier.lookup(key, version, &mut mask, &mut depends).map(|rule| rule.priority);
    (found, mask, depends.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn finds_what_a_scan_finds(rules in rules(), keys in prop::collection::vec(key(), 8), gone in 0usize..20) {
        let (mut classifier, mut rules) = build(&rules);
        for rule in rules.drain(..gone.min(rules.len())) {
            classifier.remove(&rule.key, &rule.mask, &rule);
        }
        for (version, key) in keys.iter().flat_map(|key| [(1, key), (2, key)]) {
            prop_assert_eq!(look(&classifier, key, version).0, scan(&rules, key, version).map(|rule| rule.priority));
        }
        prop_assert_eq!(classifier.iter().count(), rules.len());
    }

    #[test]
    fn keys_that_agree_under_the_mask_find_the_same(rules in rules(), a in key(), b in key()) {
        let (classifier, _) = build(&rules);
        let (found, mask, _) = look(&classifier, &a, 1);
        let mut twin = b;
        let words = twin.words_mut().iter_mut().zip(a.words()).zip(mask.0.words());
        words.for_each(|((b, a), mask)| *b = *a & mask | *b & !mask);
        let (other, _, _) = look(&classifier, &twin, 1);
        prop_assert_eq!(found, other);
    }

    #[test]
    fn a_new_rule_that_changes_an_answer_touches_what_it_depended_on(
        rules in rules(), new_key in key(), new_mask in mask(), priority in 0i32..200, key in key(), twin in key(),
    ) {
        let (mut classifier, _) = build(&rules);
        let (before, mask, depends) = look(&classifier, &key, 1);
        let mut twin = twin;
        let words = twin.words_mut().iter_mut().zip(key.words()).zip(mask.0.words());
        words.for_each(|((b, a), mask)| *b = *a & mask | *b & !mask);
        let rule = TestRule { key: new_mask.apply(&new_key), mask: new_mask, priority: priority * 2 + 1000, versions: (1, u64::MAX) };
        let rule = Arc::new(rule);
        let touched = classifier.insert(&rule.key, &rule.mask, Arc::clone(&rule));
        for key in [&key, &twin] {
            let after = look(&classifier, key, 1).0;
            if after != before {
                prop_assert!(touched.iter().any(|slot| depends.contains(slot)));
            }
        }
        let (found, _, depends) = look(&classifier, &key, 1);
        if found == Some(rule.priority) {
            let touched = classifier.slots_of_remove(&rule.key, &rule.mask);
            prop_assert!(touched.iter().any(|slot| depends.contains(slot)));
        }
    }
}

#[test]
fn an_address_that_no_rule_covers_costs_few_bits() {
    let mut rules = Vec::new();
    for (len, address) in [(24, 0x0a01_0200u32), (16, 0x0a02_0000)] {
        let (mut key, mut mask) = (FlowKey::default(), FlowMask::default());
        key.eth_type.set(0x0800);
        mask.0.eth_type.set(u16::MAX);
        key.nw_dst.set(address);
        mask.0.nw_dst.set(u32::MAX << (32 - len));
        rules.push(TestRule { key, mask, priority: 5, versions: (1, u64::MAX) });
    }
    let (classifier, _) = build(&rules);
    let mut key = FlowKey::default();
    key.eth_type.set(0x0800);
    key.nw_dst.set(0xc0a8_0101);
    let (found, mask, _) = look(&classifier, &key, 1);
    assert_eq!((found, mask.0.nw_dst.get()), (None, 0x8000_0000));
}
