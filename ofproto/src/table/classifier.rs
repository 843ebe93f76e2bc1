//! The classifier of one flow table: tuple space search that tells which bits it looked at.
//!
//! # Algorithm
//!
//! Rules that look at the same bits form a tuple ([`super::tuple`]). A lookup visits tuples in the order of their highest
//! priority and stops when the rule it has is at least as high as anything still to come. Each visited tuple un-wildcards the
//! bits it looks at, as few as it can prove to be enough: by stages, by a trie of its transport ports, and by the table's
//! prefix tries. Such a trie knows which prefix lengths of, say, `nw_dst` exist among the rules for this address, so that a
//! tuple with another length is passed over at the price of the bits that told them apart.
//!
//! The same walk collects *dependencies*: slots ([`datapath::stamps`]) that change when a rule comes or goes that would have changed the
//! answer. A tuple hashes into one slot for each partial value, so that loading rules does not disturb flows that other rules
//! of the same tuple serve.
//!
//! # Invariants
//!
//! - `order` holds each tuple once, by highest priority downwards.
//! - For any key that agrees with the one looked up in the bits that were un-wildcarded, a lookup at the same version has
//!   the same answer, as long as none of the slots has changed.
//! - Rules of equal priority that overlap without being equal are found in an order that nobody promises (OpenFlow leaves
//!   it undefined).
//!
//! # Costs
//!
//! A lookup: O(tuples visited). Insert and remove: O(1), and O(tuples) when a tuple comes, goes or gets a new highest priority.

use std::sync::Arc;

use datapath::stamps::Slot;
use hashbrown::HashMap;
use packet::{FlowKey, FlowMask};
use smallvec::SmallVec;

use super::Versioned;
use super::prefix::PrefixField;
use super::shape::{Shape, mix};
use super::trie::{Trie, TrieMatch};
use super::tuple::Tuple;

/// Most prefix fields of a table.
pub(crate) const PREFIXES: usize = 3;
/// Dependencies of one lookup beyond which it depends on the whole table instead.
const MAX_DEPENDS: usize = 12;

/// One lookup in progress: what it looks for, and what it has looked at.
pub(crate) struct Look<'a> {
    pub(crate) key: &'a FlowKey,
    pub(crate) mask: FlowMask,
    tries: [TrieMatch; PREFIXES],
    fields: &'a [(PrefixField, Trie)],
    depends: SmallVec<[Slot; 16]>,
}

impl Look<'_> {
    pub(super) fn depends_on(&mut self, slot: Slot) {
        self.depends.push(slot);
    }

    /// Whether a tuple with these prefix lengths cannot match, by a prefix field of `stage`. If so, un-wildcards the bits that tell.
    pub(super) fn excluded_by_prefix(&mut self, lengths: &[u8; PREFIXES], stage: usize) -> bool {
        for (i, (field, _)) in self.fields.iter().enumerate() {
            let (len, trie) = (lengths[i], self.tries[i]);
            if len > 0 && field.stage() == stage && !trie.has(len) && trie.checked <= len {
                field.unmask(&mut self.mask, trie.checked);
                return true;
            }
        }
        false
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Classifier<R> {
    seed: u64,
    tuples: HashMap<u64, Tuple<R>>,
    by_mask: HashMap<FlowMask, u64>,
    order: Vec<(i32, u64)>,
    next_id: u64,
    prefixes: Vec<(PrefixField, Trie)>,
}

/// What an insertion changed, for the stamps.
pub(crate) type Touched = SmallVec<[Slot; 8]>;

impl<R: Versioned> Classifier<R> {
    /// An empty classifier. `seed` makes its hashes and slots its own.
    pub(crate) fn new(seed: u64, prefixes: &[PrefixField]) -> Self {
        Self {
            seed,
            tuples: HashMap::new(),
            by_mask: HashMap::new(),
            order: Vec::new(),
            next_id: 1,
            prefixes: prefixes.iter().take(PREFIXES).map(|field| (*field, Trie::default())).collect(),
        }
    }

    /// The same tuples, under the same names, with other prefix fields.
    pub(crate) fn with_prefixes(&self, prefixes: &[PrefixField], key: impl Fn(&R) -> FlowKey) -> Self {
        let mut out = Self { next_id: self.next_id, ..Self::new(self.seed, prefixes) };
        for (id, old) in &self.tuples {
            out.add_tuple(*id, &old.mask);
            old.iter().for_each(|rule| {
                out.insert(&key(rule), &old.mask, Arc::clone(rule));
            });
        }
        out
    }

    /// The fields whose prefixes are tracked.
    pub(crate) fn prefix_fields(&self) -> impl Iterator<Item = PrefixField> + '_ {
        self.prefixes.iter().map(|(field, _)| *field)
    }

    /// The slot that changes with the set of tuples and their order.
    fn order_slot(&self) -> Slot {
        Slot::of_hash(mix(self.seed, 1))
    }

    /// The slot that changes with any rule of the table.
    pub(crate) fn any_slot(&self) -> Slot {
        Slot::of_hash(mix(self.seed, 2))
    }

    /// Adds a rule with this match and names the slots that change when it becomes visible.
    pub(crate) fn insert(&mut self, key: &FlowKey, mask: &FlowMask, rule: Arc<R>) -> Touched {
        let mut touched: Touched = SmallVec::from_iter([self.any_slot()]);
        let (id, new) = self.tuple_for(mask);
        let order_slot = self.order_slot();
        for (field, trie) in &mut self.prefixes {
            if let Some(len) = field.prefix_len(mask) {
                trie.insert(field.value(key), len);
            }
        }
        let Some(tuple) = self.tuples.get_mut(&id) else { return touched };
        let before = tuple.max_priority();
        tuple.insert(key, rule);
        touched.extend(tuple.slots_of_insert(key));
        let now = tuple.max_priority();
        if new || now > before {
            touched.push(order_slot);
            self.reorder(id, before, now);
        }
        touched
    }

    fn tuple_for(&mut self, mask: &FlowMask) -> (u64, bool) {
        if let Some(id) = self.by_mask.get(mask) {
            return (*id, false);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.add_tuple(id, mask);
        (id, true)
    }

    fn add_tuple(&mut self, id: u64, mask: &FlowMask) {
        let mut lengths = [0; PREFIXES];
        for (slot, (field, _)) in lengths.iter_mut().zip(&self.prefixes) {
            *slot = field.prefix_len(mask).unwrap_or(0);
        }
        self.tuples.insert(id, Tuple::new(mix(self.seed, id << 8), mask, lengths));
        self.by_mask.insert(*mask, id);
    }

    fn reorder(&mut self, id: u64, before: i32, now: i32) {
        let start = self.order.partition_point(|(priority, _)| *priority > before);
        if let Some(at) = self.order[start..].iter().position(|(_, other)| *other == id) {
            self.order.remove(start + at);
        }
        if now > i32::MIN {
            let at = self.order.partition_point(|(priority, _)| *priority >= now);
            self.order.insert(at, (now, id));
        }
    }

    /// The slots that change when a rule with this match stops being visible.
    pub(crate) fn slots_of_remove(&self, key: &FlowKey, mask: &FlowMask) -> Touched {
        let tuple = self.by_mask.get(mask).and_then(|id| self.tuples.get(id));
        tuple.map(|tuple| tuple.slot_of_remove(key)).into_iter().chain([self.any_slot()]).collect()
    }

    /// Takes a rule out for good. It must no longer be visible to any reader.
    pub(crate) fn remove(&mut self, key: &FlowKey, mask: &FlowMask, rule: &Arc<R>) {
        let Some(&id) = self.by_mask.get(mask) else { return };
        let Some(tuple) = self.tuples.get_mut(&id) else { return };
        let before = tuple.max_priority();
        tuple.remove(key, rule);
        let (now, empty) = (tuple.max_priority(), tuple.is_empty());
        for (field, trie) in &mut self.prefixes {
            if let Some(len) = field.prefix_len(mask) {
                trie.remove(field.value(key), len);
            }
        }
        if now != before {
            self.reorder(id, before, now);
        }
        if empty {
            self.tuples.remove(&id);
            self.by_mask.remove(mask);
        }
    }

    /// The rules with exactly this match, highest priority first.
    pub(crate) fn same_match(&self, key: &FlowKey, mask: &FlowMask) -> &[Arc<R>] {
        let tuple = self.by_mask.get(mask).and_then(|id| self.tuples.get(id));
        tuple.map_or(&[], |tuple| tuple.same_value(key))
    }

    /// All rules, visible or not, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.tuples.values().flat_map(Tuple::iter)
    }

    /// The tuples in the order of a lookup, by names that nothing else ever gets.
    pub(super) fn tuple_ids(&self) -> Vec<u64> {
        self.order.iter().map(|(_, id)| *id).collect()
    }

    /// A tuple, if it is still there.
    pub(super) fn tuple(&self, id: u64) -> Option<&Tuple<R>> {
        self.tuples.get(&id)
    }

    /// The shape that rules with this mask store their words in.
    pub(crate) fn shape(&mut self, mask: &FlowMask) -> (Arc<FlowMask>, Arc<Shape>) {
        let known = self.by_mask.get(mask).and_then(|id| self.tuples.get(id));
        known.map_or_else(
            || (Arc::new(*mask), Arc::new(Shape::new(mask))),
            |tuple| (Arc::clone(&tuple.mask), Arc::clone(&tuple.shape)),
        )
    }

    /// The best rule for `key` that is visible at `version`. Adds to `mask` every bit the answer depends on, and to `depends`
    /// the slots.
    pub(crate) fn lookup(
        &self,
        key: &FlowKey,
        version: u64,
        mask: &mut FlowMask,
        depends: &mut SmallVec<[Slot; 8]>,
    ) -> Option<&Arc<R>> {
        let mut look = Look {
            key,
            mask: *mask,
            tries: [TrieMatch::ANY; PREFIXES],
            fields: &self.prefixes,
            depends: SmallVec::from_iter([self.order_slot()]),
        };
        for (slot, (field, trie)) in look.tries.iter_mut().zip(&self.prefixes) {
            if field.applies_to(key) {
                *slot = trie.lookup(field.value(key), field.width());
            }
        }
        let mut best: Option<&Arc<R>> = None;
        for (priority, id) in &self.order {
            if best.is_some_and(|rule| rule.priority() >= *priority) {
                break;
            }
            let found = self.tuples.get(id).and_then(|tuple| tuple.find(&mut look, version));
            best = match (best, found) {
                (Some(old), Some(new)) if old.priority() >= new.priority() => Some(old),
                (old, new) => new.or(old),
            };
        }
        *mask = look.mask;
        if look.depends.len() > MAX_DEPENDS {
            depends.push(self.any_slot());
        } else {
            depends.extend(look.depends);
        }
        best
    }
}
