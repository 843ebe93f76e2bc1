//! Slots for connections, found by number.
//!
//! # Algorithm
//!
//! Segments of [`SEGMENT`] slots, each allocated when the first of its slots is taken and kept until the table goes. A slot
//! that was given back stands in one of [`LISTS`] free lists, linked through the words of its keys; a list is chosen by the
//! hash of the connection, so that workers seldom meet at one. New slots are taken only when every list is empty: the slab
//! is as long as the most connections that ever lived at once.
//!
//! # Invariants
//!
//! - A slot's keys are written only under its lock, while no index entry leads to it. Whoever found it through an index, and
//!   holds that index' lock, may read them plainly; whoever has let go of it takes the slot's lock and looks again.
//! - `deadline` is 0 in a slot that holds no connection, and only there.
//!
//! # Costs
//!
//! 192 bytes a slot; one lock and one miss to take or give one back; 512 KiB for the table of segments; a new segment (384 KiB)
//! costs its pages' faults, some 50 microseconds, once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::conn::Conn;
use crate::lock::{Guard, Lock};
use crate::tuple::Tuple;

/// Slots in a segment.
const SEGMENT: usize = 1 << 11;
/// Free lists.
const LISTS: usize = 16;
/// The end of a free list.
const END: u32 = u32::MAX;
/// Most slots that a slab can have.
pub(crate) const MAX_SLOTS: u32 = 1 << 26;

/// A tuple as five words.
type Words = [u64; 5];

/// A place for one connection.
///
/// In the order of need: what every packet looks at is in the first line, what packets of the reply direction look at besides in the last.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Slot {
    /// Original tuple.
    original: [AtomicU64; 5],
    /// When the connection is forgotten, in ns; 0 when there is none.
    deadline: AtomicU64,
    conn: Lock<Conn>,
    /// Reply tuple.
    reply: [AtomicU64; 5],
}

const _: () = assert!(size_of::<Slot>() <= 192);

impl Slot {
    #[inline]
    fn key(&self, reply: bool) -> &[AtomicU64; 5] {
        if reply { &self.reply } else { &self.original }
    }

    /// The tuple of one direction. Torn if the slot is being taken by another connection.
    #[inline]
    pub(crate) fn tuple(&self, reply: bool) -> Tuple {
        let key = self.key(reply);
        let words: Words = std::array::from_fn(|i| key[i].load(Relaxed));
        zerocopy::transmute!(words)
    }

    /// Whether the tuple of one direction is this one.
    pub(crate) fn is(&self, reply: bool, tuple: &Tuple) -> bool {
        let words: Words = zerocopy::transmute!(*tuple);
        self.key(reply).iter().zip(words).fold(0, |diff, (key, word)| diff | (key.load(Relaxed) ^ word)) == 0
    }

    pub(super) fn set_tuples(&self, original: &Tuple, reply: &Tuple) {
        for (key, tuple) in [(&self.original, original), (&self.reply, reply)] {
            let words: Words = zerocopy::transmute!(*tuple);
            key.iter().zip(words).for_each(|(key, word)| key.store(word, Relaxed));
        }
    }

    /// When the connection is forgotten, in ns; 0 when there is none.
    pub(crate) fn deadline(&self) -> u64 {
        self.deadline.load(Relaxed)
    }

    /// Sets when the connection is forgotten; 0 for none. The slot's lock must be held.
    pub(crate) fn set_deadline(&self, deadline_ns: u64) {
        self.deadline.store(deadline_ns, Relaxed);
    }

    /// What may change. A panic while it was held has left it whole: all that is done under it is stores.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, Conn> {
        self.conn.lock()
    }
}

#[derive(Debug)]
#[repr(align(64))]
struct FreeList {
    head: Lock<u32>,
    len: AtomicU32,
}

/// See the module.
pub(crate) struct Slab {
    segments: Box<[OnceLock<Box<[Slot]>>]>,
    free: [FreeList; LISTS],
    /// Slots that were ever taken.
    used: AtomicU32,
}

impl Slab {
    pub(crate) fn new() -> Self {
        Self {
            segments: (0..MAX_SLOTS as usize / SEGMENT).map(|_| OnceLock::new()).collect(),
            free: std::array::from_fn(|_| FreeList { head: Lock::new(END), len: AtomicU32::new(0) }),
            used: AtomicU32::new(0),
        }
    }

    /// Slots that were ever taken: all connections have numbers below.
    pub(crate) fn used(&self) -> u32 {
        self.used.load(Relaxed).min(MAX_SLOTS)
    }

    /// A slot that was taken at some time.
    ///
    /// # Panics
    ///
    /// When it never was.
    pub(crate) fn slot(&self, index: u32) -> &Slot {
        let index = index as usize;
        let segment = self.segments[index / SEGMENT].get().expect("a slot below `used` has its segment");
        &segment[index % SEGMENT]
    }

    /// The slot, if its segment is there already.
    pub(crate) fn peek(&self, index: u32) -> Option<&Slot> {
        let index = index as usize;
        self.segments.get(index / SEGMENT)?.get().map(|segment| &segment[index % SEGMENT])
    }

    /// A slot of one's own; `None` when [`MAX_SLOTS`] are taken. `near` chooses the free list that is tried first.
    pub(super) fn take(&self, near: u64) -> Option<u32> {
        let first = near as usize % LISTS;
        let recycled = (0..LISTS).find_map(|n| self.pop(&self.free[(first + n) % LISTS]));
        recycled.or_else(|| self.grow())
    }

    fn grow(&self) -> Option<u32> {
        // Once the end is reached the counter stays within one step per thread of it.
        if self.used.load(Relaxed) >= MAX_SLOTS {
            return None;
        }
        let index = self.used.fetch_add(1, Relaxed);
        let segment = self.segments.get(index as usize / SEGMENT)?;
        segment.get_or_init(|| (0..SEGMENT).map(|_| Slot::default()).collect());
        Some(index)
    }

    fn pop(&self, list: &FreeList) -> Option<u32> {
        if list.len.load(Relaxed) == 0 {
            return None;
        }
        let mut head = list.head.lock();
        let index = *head;
        if index == END {
            return None;
        }
        *head = self.slot(index).original[0].load(Relaxed) as u32;
        list.len.fetch_sub(1, Relaxed);
        Some(index)
    }

    /// Gives a slot back: it holds no connection, and no index entry leads to it.
    pub(super) fn give(&self, index: u32, near: u64) {
        let list = &self.free[near as usize % LISTS];
        let mut head = list.head.lock();
        self.slot(index).original[0].store(u64::from(*head), Relaxed);
        *head = index;
        list.len.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
impl Slab {
    /// Slots in the free lists.
    pub(super) fn free_slots(&self) -> usize {
        self.free.iter().map(|list| list.len.load(Relaxed) as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_given_back_are_taken_before_new_ones() {
        let slab = Slab::new();
        let taken: Vec<u32> = (0..5000).map(|near| slab.take(near).unwrap()).collect();
        assert_eq!((taken[0], taken[4999], slab.used()), (0, 4999, 5000));
        taken.iter().for_each(|index| slab.give(*index, u64::from(*index)));
        let mut again: Vec<u32> = (0..5000).map(|_| slab.take(3).unwrap()).collect();
        again.sort_unstable();
        assert_eq!((again == taken, slab.used()), (true, 5000));
        assert_eq!(slab.take(0), Some(5000));
        assert!(slab.peek(5000).is_some() && slab.peek(100_000).is_none());
    }
}
