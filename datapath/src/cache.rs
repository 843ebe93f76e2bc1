//! The signature cache: from a packet's hash to its cached flow, in one cache line.
//!
//! # Algorithm
//!
//! A hash of every bit that any cached flow looks at selects a bucket of four entries; an entry holds sixteen other bits of the hash and
//! the place of a flow. An entry whose bits agree is only a hint: the flow itself is compared under its mask before it is
//! believed. So a stale entry (its flow gone, its place taken by another) costs a comparison and can do no harm, and
//! nothing has to be removed from the cache when a flow goes.
//!
//! Since only bits that some flow looks at are hashed, packets that differ in others share an entry: with one rule that
//! looks at the port alone, one entry serves all traffic.
//!
//! Every lookup that the classifier answered fills an entry: an empty one of the bucket, or one with the same sixteen bits, or a
//! random one.
//!
//! # Costs
//!
//! 32 bytes a bucket, aligned; a hit touches one line here. The hash is seeded, so nobody outside can aim at a bucket.

use crate::megaflow::FlowId;

const WAYS: usize = 4;

/// An entry: tag in the upper 16 bits, subtable in the next 16, slot in the lower 32. All zero is empty: tags are never 0.
type Entry = u64;

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Bucket([Entry; WAYS]);

/// The cache of one worker.
#[derive(Debug)]
pub(crate) struct Cache {
    buckets: Vec<Bucket>,
    victim: u32,
}

fn tag(hash: u64) -> u64 {
    (hash >> 48).max(1)
}

fn pack(hash: u64, id: FlowId) -> Entry {
    tag(hash) << 48 | u64::from(id.subtable) << 32 | u64::from(id.slot)
}

fn unpack(entry: Entry) -> FlowId {
    FlowId { subtable: (entry >> 32) as u16, slot: entry as u32 }
}

impl Cache {
    /// A cache of at least `entries` entries.
    pub(crate) fn new(entries: usize) -> Self {
        let buckets = (entries / WAYS).clamp(16, 1 << 28).next_power_of_two();
        Self { buckets: vec![Bucket::default(); buckets], victim: 0 }
    }

    fn index(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    /// Fetches the bucket of `hash` into the processor's cache.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        prefetch(&raw const self.buckets[self.index(hash)]);
    }

    /// The flows that may be the one of `hash`.
    #[inline]
    pub(crate) fn candidates(&self, hash: u64) -> impl Iterator<Item = FlowId> + '_ {
        let wanted = tag(hash);
        let entries = self.buckets[self.index(hash)].0.iter();
        entries.filter(move |entry| **entry >> 48 == wanted).map(|entry| unpack(*entry))
    }

    /// The flow of `hash` is at `id`.
    pub(crate) fn insert(&mut self, hash: u64, id: FlowId) {
        let index = self.index(hash);
        let bucket = &mut self.buckets[index].0;
        let usable = bucket.iter().position(|entry| *entry >> 48 == tag(hash) || *entry == 0);
        let way = usable.unwrap_or_else(|| {
            self.victim = self.victim.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.victim >> 16) as usize % WAYS
        });
        bucket[way] = pack(hash, id);
    }
}

/// Asks the processor to load the line at `address`.
#[inline]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint; it reads nothing and never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_four_to_a_bucket_and_replaces_by_tag() {
        let mut cache = Cache::new(64);
        let id = |slot| FlowId { subtable: 7, slot };
        for n in 0..4u64 {
            cache.insert(5 | (n + 1) << 48, id(n as u32));
        }
        for n in 0..4u64 {
            assert_eq!(cache.candidates(5 | (n + 1) << 48).collect::<Vec<_>>(), [id(n as u32)]);
        }
        cache.insert(5 | 2 << 48, id(99));
        assert_eq!(cache.candidates(5 | 2 << 48).collect::<Vec<_>>(), [id(99)]);
        cache.insert(5 | 9 << 48, id(100));
        let kept = (0..4u64).filter(|n| cache.candidates(5 | (n + 1) << 48).next().is_some()).count();
        assert_eq!(kept, 3);
        assert_eq!(cache.candidates(5 | 9 << 48).collect::<Vec<_>>(), [id(100)]);
    }

    #[test]
    fn a_zero_tag_is_not_an_empty_entry() {
        let mut cache = Cache::new(16);
        assert_eq!(cache.candidates(3).next(), None);
        cache.insert(3, FlowId { subtable: 0, slot: 0 });
        assert_eq!(cache.candidates(3).next(), Some(FlowId { subtable: 0, slot: 0 }));
    }
}
