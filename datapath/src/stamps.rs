//! Stamps: how a cached flow knows, in one comparison, that what it was made from still stands.
//!
//! # Algorithm
//!
//! There is one *version*, a number that only grows, and a fixed array of *slots*. Whoever changes forwarding state
//! (a flow table, a MAC table, a port) works out which slots its change falls into (a slot is the hash of what changed:
//! a table and tuple, a MAC, a bond), and [`publish`](Stamps::publish)es: every slot gets the number of the *next*
//! version, and then one store makes that version the current one. New state must be in place, visible from the
//! next version on, before that.
//!
//! A worker loads the version once per batch, after it has received it. A translation made at version `t` records the
//! slots it depended on. At version `v`, a cached flow that was last found good at `v` is good: one comparison. Else
//! each of its slots is compared with `t`: if none is above, nothing it used has changed, and it is good at `v`.
//!
//! # Invariants
//!
//! - A slot never holds a number above the current version plus one.
//! - A slot is written before the version it announces is stored, so a worker that sees version `v` sees every slot
//!   value up to `v`. A worker still at `v - 1` may see `v` in a slot: it then translates again, at `v - 1`, and once more
//!   when it reaches `v`. That is wasted work, never a stale answer.
//! - Two things that hash to one slot cause re-translations too many, never one too few.
//!
//! # Costs
//!
//! 512 KiB once. A hit: one comparison, whatever the number of changes. After a change: one load per dependency, once
//! per cached flow and version.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Number of slots, a power of two.
pub const SLOTS: usize = 1 << 16;

/// A slot's index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Slot(u16);

impl Slot {
    /// The slot that a 64-bit hash falls into.
    pub fn of_hash(hash: u64) -> Self {
        Self((hash >> 48) as u16)
    }

    /// Its number, below [`SLOTS`]: the uppermost 16 bits of the hashes that fall into it.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The version and the slots.
#[derive(Debug)]
pub struct Stamps {
    version: AtomicU64,
    slots: Box<[AtomicU64]>,
    publishing: Mutex<()>,
}

impl Default for Stamps {
    fn default() -> Self {
        Self {
            version: AtomicU64::new(1),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            publishing: Mutex::new(()),
        }
    }
}

impl Stamps {
    /// The current version. A worker calls this once per batch, after it has received the batch.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Runs `prepare` with the number of the next version, so that it can put state in place that is visible from that
    /// version on and name the slots it touched; then makes that version the current one and returns it.
    ///
    /// Publishers are serialised; readers never wait.
    pub fn publish<I: IntoIterator<Item = Slot>>(&self, prepare: impl FnOnce(u64) -> I) -> u64 {
        let _one_at_a_time = self.publishing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let next = self.version.load(Ordering::Relaxed) + 1;
        for slot in prepare(next) {
            self.slots[usize::from(slot.0)].store(next, Ordering::Relaxed);
        }
        self.version.store(next, Ordering::Release);
        next
    }

    /// Whether any of `slots` has changed after version `since`.
    pub fn changed_since(&self, since: u64, slots: &[Slot]) -> bool {
        slots.iter().any(|slot| self.slots[usize::from(slot.0)].load(Ordering::Relaxed) > since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_in_its_slots_only() {
        let stamps = Stamps::default();
        let (a, b) = (Slot::of_hash(1 << 48), Slot::of_hash(2 << 48));
        let before = stamps.version();
        let after = stamps.publish(|_| [a]);
        assert_eq!(after, before + 1);
        assert_eq!(stamps.version(), after);
        assert!(stamps.changed_since(before, &[b, a]));
        assert!(!stamps.changed_since(before, &[b]));
        assert!(!stamps.changed_since(after, &[a, b]));
    }
}
