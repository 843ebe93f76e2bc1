//! The entries of one shard of the index.
//!
//! # Algorithm
//!
//! Open addressing with linear probing over eight-byte entries, which hold 32 bits of the hash themselves: a look-up reads
//! one cache line, seldom the next, and goes to a connection only when all 32 bits agree. Nothing else is kept beside them, as control
//! bytes would be another miss. A removal moves back what would not be found over the gap, so that there are no tombstones.
//!
//! # Costs
//!
//! Three quarters full at most, three eighths after doubling: 11 to 21 bytes an entry. Shards do not shrink.

/// A place without entry. No entry looks like that: slots have numbers far below 2^31.
const EMPTY: u64 = u64::MAX;

/// Fewest places of a table that has any.
const LEAST: usize = 8;

/// See the module.
#[derive(Default)]
pub(super) struct Entries {
    /// None, or a power of two.
    places: Box<[u64]>,
    len: usize,
}

impl Entries {
    /// Entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All entries.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.places.iter().copied().filter(|entry| *entry != EMPTY)
    }

    /// The first entry whose upper half is that of `hash` and that `is` the one.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(u64) -> bool) -> Option<u64> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = home(hash) & mask;
        loop {
            let entry = *self.places.get(at)?;
            if entry == EMPTY {
                return None;
            }
            if (entry ^ hash) >> 32 == 0 && is(entry) {
                return Some(entry);
            }
            at = (at + 1) & mask;
        }
    }

    /// Enters an entry that is not there.
    pub(super) fn insert(&mut self, entry: u64) {
        if (self.len + 1) * 4 > self.places.len() * 3 {
            let doubled = vec![EMPTY; (self.places.len() * 2).max(LEAST)].into();
            let old = std::mem::replace(&mut self.places, doubled);
            old.iter().filter(|entry| **entry != EMPTY).for_each(|entry| self.put(*entry));
        }
        self.put(entry);
        self.len += 1;
    }

    /// Puts an entry at the first free place from its own on; there is one.
    fn put(&mut self, entry: u64) {
        let mask = self.places.len() - 1;
        let mut at = home(entry) & mask;
        while self.places[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.places[at] = entry;
    }

    /// Takes an entry out, if it is there.
    pub(super) fn remove(&mut self, entry: u64) {
        let Some(mask) = self.places.len().checked_sub(1) else { return };
        let mut gap = home(entry) & mask;
        while self.places[gap] != entry {
            if self.places[gap] == EMPTY {
                return;
            }
            gap = (gap + 1) & mask;
        }
        let mut at = (gap + 1) & mask;
        while self.places[at] != EMPTY {
            let own = home(self.places[at]) & mask;
            // It lies at or before the gap: probing from there would end at the gap.
            if at.wrapping_sub(own) & mask >= at.wrapping_sub(gap) & mask {
                self.places[gap] = self.places[at];
                gap = at;
            }
            at = (at + 1) & mask;
        }
        self.places[gap] = EMPTY;
        self.len -= 1;
    }
}

/// Where an entry, or the hash that one is looked for by, would like to be.
fn home(entry: u64) -> usize {
    (entry >> 32) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few homes, so that they get in each other's way and around the end.
        #[test]
        fn what_is_entered_is_found_until_it_is_removed(steps in prop::collection::vec((any::<bool>(), 0..12_u64, 0..8_u64), 0..300)) {
            let (mut entries, mut model) = (Entries::default(), HashSet::new());
            for (enter, home, low) in steps {
                let entry = (home * 5) << 32 | low;
                if enter && model.insert(entry) {
                    entries.insert(entry);
                } else if !enter {
                    model.remove(&entry);
                    entries.remove(entry);
                }
                prop_assert_eq!(entries.len(), model.len());
                for wanted in (0..12).flat_map(|home| (0..8).map(move |low| (home * 5) << 32 | low)) {
                    let found = entries.find(wanted, |entry| entry == wanted);
                    prop_assert_eq!(found.is_some(), model.contains(&wanted));
                }
            }
            prop_assert_eq!(entries.iter().collect::<HashSet<_>>(), model);
        }
    }
}
