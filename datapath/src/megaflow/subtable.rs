//! A subtable: the cached flows of one port that share a mask.
//!
//! A hash table from the masked key to a slot; beside it three arrays by slot: masked keys (one behind the other, `layout.len()`
//! words each), hot parts, cold parts. A lookup hashes the significant words, and compares one candidate, mostly.
//!
//! A slot that is freed keeps its hot part until [`reclaim`](Subtable::reclaim): packets of the batch in work may still refer to
//! it.

use std::sync::Arc;

use hashbrown::HashTable;
use packet::FlowKey;

use super::flow::{Cold, Hot};
use super::layout::{Layout, Secret};

#[derive(Debug)]
pub(crate) struct Subtable {
    pub(crate) layout: Arc<Layout>,
    pub(crate) in_port: u32,
    /// Lookups that ended here, halved now and then.
    pub(crate) hits: u64,
    table: HashTable<(u64, u32)>,
    keys: Vec<u64>,
    hot: Vec<Option<Hot>>,
    cold: Vec<Option<Box<Cold>>>,
    free: Vec<u32>,
    retired: Vec<u32>,
}

impl Subtable {
    pub(crate) fn new(layout: Arc<Layout>, in_port: u32) -> Self {
        Self {
            layout,
            in_port,
            hits: 0,
            table: HashTable::new(),
            keys: Vec::new(),
            hot: Vec::new(),
            cold: Vec::new(),
            free: Vec::new(),
            retired: Vec::new(),
        }
    }

    /// Number of live flows.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Number of slots, live or not.
    pub(crate) fn slots(&self) -> u32 {
        self.hot.len() as u32
    }

    fn stored(&self, slot: u32) -> &[u64] {
        let width = self.layout.len();
        &self.keys[slot as usize * width..][..width]
    }

    /// The slot of the flow that covers `key`.
    pub(crate) fn find(&self, key: &FlowKey, secret: Secret) -> Option<u32> {
        let hash = self.layout.hash(key, secret);
        let same = |&(other, slot): &(u64, u32)| other == hash && self.layout.matches(key, self.stored(slot));
        self.table.find(hash, same).map(|&(_, slot)| slot)
    }

    /// Whether the flow in `slot` is alive and covers `key`.
    #[inline]
    pub(crate) fn covers(&self, slot: u32, key: &FlowKey) -> bool {
        let width = self.layout.len();
        let start = slot as usize * width;
        let stored = self.keys.get(start..start + width);
        stored.is_some_and(|stored| self.layout.matches(key, stored))
            && self.hot[slot as usize].as_ref().is_some_and(|hot| hot.good_at != 0)
    }

    /// Where a lookup will look for the flow in `slot`: for prefetching.
    pub(crate) fn addresses(&self, slot: u32) -> Option<(*const u64, *const Option<Hot>)> {
        let key = self.keys.get(slot as usize * self.layout.len())?;
        Some((key, self.hot.get(slot as usize)?))
    }

    pub(crate) fn hot(&self, slot: u32) -> Option<&Hot> {
        self.hot.get(slot as usize)?.as_ref()
    }

    pub(crate) fn hot_mut(&mut self, slot: u32) -> Option<&mut Hot> {
        self.hot.get_mut(slot as usize)?.as_mut()
    }

    pub(crate) fn cold_mut(&mut self, slot: u32) -> Option<&mut Cold> {
        self.cold.get_mut(slot as usize)?.as_deref_mut()
    }

    pub(crate) fn cold(&self, slot: u32) -> Option<&Cold> {
        self.cold.get(slot as usize)?.as_deref()
    }

    /// Puts a flow in that is not there yet.
    pub(crate) fn insert(&mut self, key: &FlowKey, secret: Secret, hot: Hot, cold: Cold) -> u32 {
        let width = self.layout.len();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.keys.resize(self.keys.len() + width, 0);
            self.hot.push(None);
            self.cold.push(None);
            self.slots() - 1
        });
        let at = slot as usize;
        self.layout.gather(key, &mut self.keys[at * width..][..width]);
        self.hot[at] = Some(hot);
        self.cold[at] = Some(Box::new(cold));
        let hash = self.layout.hash(key, secret);
        self.table.insert_unique(hash, (hash, slot), |&(hash, _)| hash);
        slot
    }

    /// Takes the flow in `slot` out: lookups find it no more; its hot part stays until [`reclaim`](Self::reclaim).
    pub(crate) fn remove(&mut self, slot: u32, secret: Secret) -> Option<Cold> {
        let cold = self.cold.get_mut(slot as usize)?.take()?;
        let key = self.layout.spread(self.stored(slot));
        let hash = self.layout.hash(&key, secret);
        if let Ok(entry) = self.table.find_entry(hash, |&(_, other)| other == slot) {
            entry.remove();
        }
        if let Some(hot) = &mut self.hot[slot as usize] {
            hot.good_at = 0;
        }
        self.retired.push(slot);
        Some(*cold)
    }

    /// Frees the slots that were removed: no packet refers to them any more.
    pub(crate) fn reclaim(&mut self) {
        for slot in self.retired.drain(..) {
            self.hot[slot as usize] = None;
            self.free.push(slot);
        }
    }
}
