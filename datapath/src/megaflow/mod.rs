//! The classifier of cached flows ("megaflows"), private to one worker.
//!
//! # Algorithm
//!
//! Tuple space search: the flows of a port that share a mask are one [`Subtable`]; a lookup probes the subtables of its port in the
//! order of their hits and takes the first match. Flows never contradict each other (each is right for every packet that it covers), so
//! the first match is as good as any.
//!
//! # Bounded masks
//!
//! A lookup that fails costs a probe for every mask, and an attacker can make masks by sending headers that un-wildcard in
//! ever new ways. So a port has at most `masks_per_port` masks. A flow whose mask would be one more is put under a mask
//! that is there and looks at every bit that it looks at, and maybe more; else under the exact mask, which is always there to be
//! taken and not counted. A flow under a more exact mask is still right, it only covers fewer packets.
//!
//! # Invariants
//!
//! - Every mask looks at all of word 0 of the key: port of arrival and recirculation id.
//! - No two flows of a subtable have the same masked key.
//! - A removed flow's slot is not used again before [`Megaflows::reclaim`].
//!
//! # Costs
//!
//! A probe hashes the words that are not wild, two per multiplication, and compares one entry. A flow takes about 300 bytes plus
//! its key and actions.

pub(crate) mod flow;
pub(crate) mod layout;
pub(crate) mod registry;
mod subtable;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hashbrown::HashMap;
use packet::{FlowKey, FlowMask};

use flow::{Cold, Hot};
use layout::{Layout, Secret};
use subtable::Subtable;

/// The most subtables of one worker, all ports together.
const MAX_SUBTABLES: usize = 8192;

/// Where a flow is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FlowId {
    pub(crate) subtable: u16,
    pub(crate) slot: u32,
}

/// All cached flows of one worker.
#[derive(Debug)]
pub(crate) struct Megaflows {
    secret: Secret,
    subtables: Vec<Option<Subtable>>,
    /// Subtables of each port, most hit first.
    by_port: HashMap<u32, Vec<u16>>,
    /// The union of all masks: what the signature cache hashes.
    union: Layout,
    masks_per_port: usize,
    len: usize,
    dirty: bool,
}

impl Megaflows {
    pub(crate) fn new(masks_per_port: usize) -> Self {
        Self {
            secret: Secret::random(),
            subtables: Vec::new(),
            by_port: HashMap::new(),
            union: Layout::new(&base_mask()),
            masks_per_port,
            len: 0,
            dirty: false,
        }
    }

    pub(crate) fn set_masks_per_port(&mut self, masks: usize) {
        self.masks_per_port = masks;
    }

    /// Number of flows.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A hash of all bits that any flow looks at: packets with the same hash have the same flow, but for collisions.
    #[inline]
    pub(crate) fn signature(&self, key: &FlowKey) -> u64 {
        self.union.hash(key, self.secret)
    }

    /// The flow that covers `key`.
    pub(crate) fn find(&mut self, key: &FlowKey) -> Option<FlowId> {
        let order = self.by_port.get(&key.in_port.get())?;
        for &subtable in order {
            let Some(table) = &mut self.subtables[usize::from(subtable)] else { continue };
            if let Some(slot) = table.find(key, self.secret) {
                table.hits += 1;
                return Some(FlowId { subtable, slot });
            }
        }
        None
    }

    fn table(&self, id: FlowId) -> Option<&Subtable> {
        self.subtables.get(usize::from(id.subtable))?.as_ref()
    }

    fn table_mut(&mut self, id: FlowId) -> Option<&mut Subtable> {
        self.subtables.get_mut(usize::from(id.subtable))?.as_mut()
    }

    /// Whether there is a flow at `id`, and it covers `key`.
    #[inline]
    pub(crate) fn covers(&self, id: FlowId, key: &FlowKey) -> bool {
        self.table(id).is_some_and(|table| table.covers(id.slot, key))
    }

    /// Fetches what [`covers`](Self::covers) will read into the cache.
    pub(crate) fn prefetch(&self, id: FlowId) {
        if let Some((key, hot)) = self.table(id).and_then(|table| table.addresses(id.slot)) {
            crate::cache::prefetch(key);
            crate::cache::prefetch(hot);
        }
    }

    #[inline]
    pub(crate) fn hot(&self, id: FlowId) -> Option<&Hot> {
        self.table(id)?.hot(id.slot)
    }

    pub(crate) fn hot_mut(&mut self, id: FlowId) -> Option<&mut Hot> {
        self.table_mut(id)?.hot_mut(id.slot)
    }

    pub(crate) fn cold(&self, id: FlowId) -> Option<&Cold> {
        self.table(id)?.cold(id.slot)
    }

    pub(crate) fn cold_mut(&mut self, id: FlowId) -> Option<&mut Cold> {
        self.table_mut(id)?.cold_mut(id.slot)
    }

    /// The subtable for a flow with this mask, made if it may be, and whether the mask had to be made more exact.
    pub(crate) fn place(&mut self, key: &FlowKey, mask: &FlowMask) -> (u16, bool) {
        // A wide subtable may still be there, empty.
        let mut mask = if self.masks_per_port == 0 { FlowMask::exact() } else { *mask };
        mask.unite(&base_mask());
        let wanted = Layout::new(&mask);
        let order = self.by_port.entry(key.in_port.get()).or_default();
        let tables = order.iter().filter_map(|id| Some((*id, self.subtables[usize::from(*id)].as_ref()?)));
        let covering = tables.filter(|(_, table)| table.layout.covers(&mask));
        let best = covering
            .min_by_key(|(_, table)| table.layout.weight())
            .map(|(id, table)| (id, *table.layout == wanted));
        match best {
            Some((id, true)) => (id, false),
            best if order.len() < self.masks_per_port && self.subtables.len() < MAX_SUBTABLES => {
                let _ = best;
                (self.add_subtable(wanted, key.in_port.get()), false)
            }
            Some((id, false)) => (id, true),
            None => (self.add_subtable(Layout::new(&FlowMask::exact()), key.in_port.get()), true),
        }
    }

    fn add_subtable(&mut self, layout: Layout, in_port: u32) -> u16 {
        let mut union = self.union.mask();
        union.unite(&layout.mask());
        self.union = Layout::new(&union);
        let table = Subtable::new(Arc::new(layout), in_port);
        let free = self.subtables.iter().position(Option::is_none);
        let id = free.unwrap_or_else(|| {
            self.subtables.push(None);
            self.subtables.len() - 1
        });
        self.subtables[id] = Some(table);
        let id = id as u16;
        self.by_port.entry(in_port).or_default().push(id);
        id
    }

    /// The layout of a subtable that [`place`](Self::place) gave.
    pub(crate) fn layout(&self, subtable: u16) -> Option<Arc<Layout>> {
        Some(self.subtables.get(usize::from(subtable))?.as_ref()?.layout.clone())
    }

    /// The flow of `subtable` with the masked key of `key`, if any.
    pub(crate) fn find_in(&self, subtable: u16, key: &FlowKey) -> Option<FlowId> {
        let table = self.subtables.get(usize::from(subtable))?.as_ref()?;
        table.find(key, self.secret).map(|slot| FlowId { subtable, slot })
    }

    /// Puts a flow in. There must be none with the same masked key ([`find_in`](Self::find_in)).
    pub(crate) fn insert(&mut self, subtable: u16, key: &FlowKey, hot: Hot, cold: Cold) -> Option<FlowId> {
        let table = self.subtables.get_mut(usize::from(subtable))?.as_mut()?;
        let slot = table.insert(key, self.secret, hot, cold);
        self.len += 1;
        Some(FlowId { subtable, slot })
    }

    /// Takes a flow out.
    pub(crate) fn remove(&mut self, id: FlowId) -> Option<Cold> {
        let secret = self.secret;
        let cold = self.table_mut(id)?.remove(id.slot, secret)?;
        self.len -= 1;
        self.dirty = true;
        Some(cold)
    }

    /// Frees what was removed: the batch is over, no packet refers to it.
    pub(crate) fn reclaim(&mut self) {
        if std::mem::take(&mut self.dirty) {
            self.subtables.iter_mut().flatten().for_each(Subtable::reclaim);
        }
    }

    /// The first flow at or after `at` in the order of a walk through all; `None` at the end. Looks at no more than `budget` slots:
    /// with `Err` the walk goes on from there.
    pub(crate) fn walk(&self, mut at: FlowId, mut budget: u32) -> Result<Option<FlowId>, FlowId> {
        while usize::from(at.subtable) < self.subtables.len() {
            let slots = self.table(at).map_or(0, Subtable::slots);
            while at.slot < slots {
                if self.cold(at).is_some() {
                    return Ok(Some(at));
                }
                at.slot += 1;
                budget = budget.saturating_sub(1);
                if budget == 0 {
                    return Err(at);
                }
            }
            at = FlowId { subtable: at.subtable + 1, slot: 0 };
        }
        Ok(None)
    }

    /// Drops subtables that have become empty, sorts the others by their hits, and works out again what is looked at at all.
    pub(crate) fn tidy(&mut self) {
        self.reclaim();
        for table in &mut self.subtables {
            if table.as_ref().is_some_and(|table| table.len() == 0) {
                *table = None;
            }
        }
        let subtables = &self.subtables;
        let hits = |id: &u16| subtables[usize::from(*id)].as_ref().map_or(0, |table| table.hits);
        for (port, order) in &mut self.by_port {
            order.retain(|id| {
                subtables[usize::from(*id)].as_ref().is_some_and(|table| table.in_port == *port)
            });
            order.sort_by_key(|id| std::cmp::Reverse(hits(id)));
        }
        self.by_port.retain(|_, order| !order.is_empty());
        let mut union = base_mask();
        for table in self.subtables.iter_mut().flatten() {
            table.hits /= 2;
            union.unite(&table.layout.mask());
        }
        self.union = Layout::new(&union);
    }
}

/// What every flow looks at: recirculation id and port of arrival.
fn base_mask() -> FlowMask {
    let mut mask = FlowMask::default();
    mask.0.words_mut()[0] = u64::MAX;
    mask
}
