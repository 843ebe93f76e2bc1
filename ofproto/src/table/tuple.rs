//! A tuple: all rules of a table that look at the same bits.
//!
//! # Algorithm
//!
//! The rules stand in a hash table by their masked words. For each stage but the last a second table counts the hashes of the
//! words up to that stage, so that a lookup can stop, and leave the later stages wildcarded, as soon as no rule agrees so far. Two more
//! ways to stop with few bits looked at: the prefix tries of the whole table (see [`super::classifier`]), and for the
//! transport ports a trie of this tuple's own.
//!
//! # Invariants
//!
//! - Invisible rules (of a version to come, or gone) count in everything here but the final answer. That costs bits in the
//!   mask, never a wrong answer.
//! - `max_priority` is the highest of all rules that are in the tuple.
//!
//! # Costs
//!
//! Insert and remove: O(stages + log rules). Find: O(stages). A step of a walk: O(log rules).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use datapath::stamps::Slot;
use hashbrown::{HashMap, HashTable};
use packet::{FlowKey, FlowMask};
use smallvec::SmallVec;

use super::Versioned;
use super::classifier::{Look, PREFIXES};
use super::shape::{PORTS_WORD, STAGES, Shape, Values, mix, stage_of};
use super::trie::{Trie, prefix_mask};

/// Rules with the same masked words, highest priority first.
#[derive(Debug)]
struct Chain<R> {
    hash: u64,
    values: Values,
    rules: SmallVec<[Arc<R>; 1]>,
}

/// Where a walk over the rules of a tuple stands: order, and the address of the rule, which no other one has meanwhile.
pub(super) type Place = (u64, usize);

fn place_of<R: Versioned>(rule: &Arc<R>) -> Place {
    (rule.order(), Arc::as_ptr(rule) as usize)
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Tuple<R> {
    /// Seeds the hashes of this tuple.
    seed: u64,
    pub(super) mask: Arc<FlowMask>,
    pub(super) shape: Arc<Shape>,
    last_stage: usize,
    counts: [HashMap<u64, u32>; STAGES - 1],
    chains: HashTable<Chain<R>>,
    priorities: BTreeMap<i32, u32>,
    /// Prefix length on each of the table's prefix fields; 0 when the tuple has no prefix there.
    pub(super) prefixes: [u8; PREFIXES],
    ports: Trie,
    ports_len: u8,
    listed: BTreeMap<Place, Arc<R>>,
}

impl<R: Versioned> Tuple<R> {
    pub(super) fn new(seed: u64, mask: &FlowMask, prefixes: [u8; PREFIXES]) -> Self {
        let shape = Shape::new(mask);
        let igmp = u32::from(mask.0.igmp_group);
        let ports = ports_of(&mask.0);
        Self {
            seed,
            mask: Arc::new(*mask),
            last_stage: shape.last_stage(),
            shape: Arc::new(shape),
            counts: Default::default(),
            chains: HashTable::new(),
            priorities: BTreeMap::new(),
            prefixes,
            ports: Trie::default(),
            ports_len: if igmp == 0 && ports != 0 { 32 - ports.trailing_zeros() as u8 } else { 0 },
            listed: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    pub(super) fn max_priority(&self) -> i32 {
        self.priorities.last_key_value().map_or(i32::MIN, |(priority, _)| *priority)
    }

    /// Hashes of `key` up to each stage; those past the last stage repeat it.
    fn hashes(&self, key: &FlowKey) -> [u64; STAGES] {
        let mut hash = self.seed;
        std::array::from_fn(|stage| {
            hash = self.shape.hash_stage(stage, key, hash);
            hash
        })
    }

    /// Adds a rule whose match has the value `key`.
    pub(super) fn insert(&mut self, key: &FlowKey, rule: Arc<R>) {
        let hashes = self.hashes(key);
        for (counts, hash) in self.counts.iter_mut().zip(hashes).take(self.last_stage) {
            *counts.entry(hash).or_insert(0) += 1;
        }
        self.ports.insert_ports(key, self.ports_len, &self.mask);
        *self.priorities.entry(rule.priority()).or_insert(0) += 1;
        self.listed.insert(place_of(&rule), Arc::clone(&rule));
        let (shape, hash) = (&self.shape, hashes[STAGES - 1]);
        match self.chains.find_mut(hash, |chain| shape.agrees(key, &chain.values)) {
            Some(chain) => {
                let at = chain.rules.partition_point(|other| other.priority() > rule.priority());
                chain.rules.insert(at, rule);
            }
            None => {
                let chain = Chain { hash, values: shape.values(key), rules: SmallVec::from_iter([rule]) };
                self.chains.insert_unique(hash, chain, |chain| chain.hash);
            }
        }
    }

    /// Takes a rule out. Does nothing if it is not there.
    pub(super) fn remove(&mut self, key: &FlowKey, rule: &Arc<R>) {
        let hashes = self.hashes(key);
        let shape = &self.shape;
        let Ok(mut entry) =
            self.chains.find_entry(hashes[STAGES - 1], |chain| shape.agrees(key, &chain.values))
        else {
            return;
        };
        let chain = entry.get_mut();
        let Some(at) = chain.rules.iter().position(|other| Arc::ptr_eq(other, rule)) else { return };
        chain.rules.remove(at);
        if chain.rules.is_empty() {
            entry.remove();
        }
        self.listed.remove(&place_of(rule));
        for (counts, hash) in self.counts.iter_mut().zip(hashes).take(self.last_stage) {
            decrement(counts, hash);
        }
        if self.ports_len > 0 {
            self.ports.remove(ports_value(key, &self.mask), self.ports_len);
        }
        if let Some(count) = self.priorities.get_mut(&rule.priority()) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&rule.priority());
            }
        }
    }

    /// All rules with exactly this value, highest priority first.
    pub(super) fn same_value(&self, key: &FlowKey) -> &[Arc<R>] {
        let hash = self.hashes(key)[STAGES - 1];
        self.chains
            .find(hash, |chain| self.shape.agrees(key, &chain.values))
            .map_or(&[], |chain| &chain.rules)
    }

    /// All rules, in the order in which they are listed.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.listed.values()
    }

    /// The rules after a place, with theirs; from the beginning on without one.
    pub(super) fn iter_after(&self, place: Option<Place>) -> impl Iterator<Item = (Place, &Arc<R>)> {
        let start = place.map_or(Bound::Unbounded, Bound::Excluded);
        self.listed.range((start, Bound::Unbounded)).map(|(place, rule)| (*place, rule))
    }

    /// The best rule for `look.key` that is visible at `version`. Un-wildcards what it looked at, and records on what the
    /// answer depends.
    pub(super) fn find(&self, look: &mut Look<'_>, version: u64) -> Option<&Arc<R>> {
        let mut hash = self.seed;
        for stage in 0..self.last_stage {
            if look.excluded_by_prefix(&self.prefixes, stage) {
                look.depends_on(self.slot(hash));
                return None;
            }
            let next = self.shape.hash_stage(stage, look.key, hash);
            self.shape.fold_stage(stage, &mut look.mask);
            if !self.counts[stage].contains_key(&next) {
                look.depends_on(self.slot(next));
                return None;
            }
            hash = next;
        }
        if look.excluded_by_prefix(&self.prefixes, self.last_stage) {
            look.depends_on(self.slot(hash));
            return None;
        }
        self.find_whole(look, version, hash)
    }

    /// The last stage of a lookup; `before` is the hash up to the stage before.
    fn find_whole(&self, look: &mut Look<'_>, version: u64, before: u64) -> Option<&Arc<R>> {
        let hash = self.shape.hash_stage(self.last_stage, look.key, before);
        let chain = self.chains.find(hash, |chain| self.shape.agrees(look.key, &chain.values));
        if chain.is_none() && self.ports_len > 0 && self.last_stage == stage_of(PORTS_WORD * 8) {
            let found = self.ports.lookup(ports_value(look.key, &self.mask), 32);
            let bits = (prefix_mask(found.checked) >> 96) as u32 & ports_of(&self.mask.0);
            unmask_ports(&mut look.mask.0, bits);
            // Unless the trie had to look at every bit, other keys of the same mask may have other values.
            look.depends_on(self.slot(before));
            return None;
        }
        self.shape.fold_stage(self.last_stage, &mut look.mask);
        look.depends_on(self.slot(hash));
        chain?.rules.iter().find(|rule| rule.visible_at(version))
    }

    fn slot(&self, hash: u64) -> Slot {
        Slot::of_hash(mix(hash, self.seed))
    }

    /// The slots that change when a rule with this value comes.
    pub(super) fn slots_of_insert(&self, key: &FlowKey) -> impl Iterator<Item = Slot> + use<R> {
        let seed = self.seed;
        let hashes = self.hashes(key);
        std::iter::once(seed).chain(hashes).map(move |hash| Slot::of_hash(mix(hash, seed)))
    }

    /// The slot that changes when a rule with this value goes.
    pub(super) fn slot_of_remove(&self, key: &FlowKey) -> Slot {
        self.slot(self.hashes(key)[STAGES - 1])
    }
}

impl Trie {
    fn insert_ports(&mut self, key: &FlowKey, len: u8, mask: &FlowMask) {
        if len > 0 {
            self.insert(ports_value(key, mask), len);
        }
    }
}

/// Both transport ports, source first.
fn ports_of(key: &FlowKey) -> u32 {
    u32::from(u16::from(key.tp_src)) << 16 | u32::from(u16::from(key.tp_dst))
}

fn ports_value(key: &FlowKey, mask: &FlowMask) -> u128 {
    u128::from(ports_of(key) & ports_of(&mask.0)) << 96
}

fn unmask_ports(mask: &mut FlowKey, bits: u32) {
    mask.tp_src = (u16::from(mask.tp_src) | (bits >> 16) as u16).into();
    mask.tp_dst = (u16::from(mask.tp_dst) | bits as u16).into();
}

fn decrement(counts: &mut HashMap<u64, u32>, hash: u64) {
    if let hashbrown::hash_map::Entry::Occupied(mut entry) = counts.entry(hash) {
        *entry.get_mut() -= 1;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}
