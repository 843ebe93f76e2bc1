//! The table: connections in a slab, found by either of their tuples.
//!
//! # Algorithm
//!
//! [`Slab`] holds the connections. The index is [`SHARDS`] small hash tables ([`Entries`]), each behind a lock of its own; an entry is eight
//! bytes: 32 bits of the hash, the slot and which of its tuples this is. Both tuples of a connection are entered. The low bits of
//! the hash choose the shard, the high 32 the place in it.
//!
//! # Locks
//!
//! Shard (two of them in ascending order) before slot; never a shard while a slot is held. A look-up takes and releases the
//! shard, then takes the slot and looks whether it still holds the tuple: if not, the connection went in between, and the
//! look-up starts anew.
//!
//! # Invariants
//!
//! - An original tuple leads to one connection. A reply tuple too where that was asked for (address translation rests on it); else a
//!   connection whose reply tuple was taken by another lives without that entry.
//! - An entry leads to a slot that holds a connection with this tuple, as long as the shard's lock is held.
//!
//! # Costs
//!
//! A look-up: two uncontended locks, three or four cache misses when cold. 192 bytes a slot and 22 to 43 bytes for two entries. The longest
//! time a shard is held is when its table doubles: at a million connections that moves a thousand entries.

mod entries;
mod slab;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hasher};

use crate::conn::Conn;
use crate::lock::{self, Lock};
use crate::tuple::Tuple;
use entries::Entries;
pub(crate) use slab::{MAX_SLOTS, Slab, Slot};

/// Hash tables in the index.
pub(crate) const SHARDS: usize = 1 << 11;

/// 32 bits of the hash, then the slot's number and, in the lowest bit, whether this is the reply tuple.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry(u64);

impl Entry {
    fn new(hash: u64, slot: u32, reply: bool) -> Self {
        Self(hash & 0xffff_ffff_0000_0000 | u64::from(slot) << 1 | u64::from(reply))
    }

    fn place(self) -> Place {
        Place { slot: (self.0 as u32) >> 1, reply: self.0 & 1 == 1 }
    }
}

/// Where a tuple was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Slot.
    pub(crate) slot: u32,
    /// It is the connection's reply tuple.
    pub(crate) reply: bool,
}

impl Place {
    /// As a number that a packet can carry; never 0.
    pub(crate) fn hint(self) -> u32 {
        (self.slot << 1 | u32::from(self.reply)) + 1
    }

    /// The place that a packet carries the number of, if it carries one.
    pub(crate) fn of_hint(hint: u32) -> Option<Self> {
        let hint = hint.checked_sub(1)?;
        Some(Self { slot: hint >> 1, reply: hint & 1 == 1 })
    }
}

/// Why a connection was not entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// Its original tuple is there already.
    Original(Place),
    /// Its reply tuple is there already.
    Reply(Place),
    /// There is no slot.
    Full,
}

/// Whether a reply tuple that is taken stands in the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Uniqueness {
    /// Of the original tuple only.
    Original,
    /// Of both.
    Both,
}

#[derive(Default)]
#[repr(align(64))]
struct Shard(Lock<Entries>);

type Guard<'a> = lock::Guard<'a, Entries>;

/// The shards of the two tuples of a connection, locked.
struct Pair<'a> {
    first: Guard<'a>,
    /// That of the other tuple, when it is another.
    second: Option<Guard<'a>>,
    /// `first` is that of the reply tuple.
    swapped: bool,
}

impl Pair<'_> {
    fn of(&mut self, reply: bool) -> &mut Entries {
        match &mut self.second {
            Some(second) if self.swapped != reply => second,
            _ => &mut self.first,
        }
    }
}

/// See the module.
pub(crate) struct Table {
    slab: Slab,
    shards: Box<[Shard]>,
    hasher: FixedState,
    live: AtomicU32,
}

impl Table {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            slab: Slab::new(),
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: FixedState::with_seed(seed),
            live: AtomicU32::new(0),
        }
    }

    /// The slots.
    pub(crate) fn slab(&self) -> &Slab {
        &self.slab
    }

    /// Connections.
    pub(crate) fn len(&self) -> u32 {
        self.live.load(Relaxed)
    }

    /// Counts one more connection unless there are `max`.
    pub(crate) fn reserve(&self, max: u32) -> bool {
        self.live.fetch_update(Relaxed, Relaxed, |live| (live < max).then_some(live + 1)).is_ok()
    }

    /// Takes back a [`reserve`](Self::reserve) of which no connection came.
    pub(crate) fn unreserve(&self) {
        self.live.fetch_sub(1, Relaxed);
    }

    /// The hash of a tuple.
    pub(crate) fn hash(&self, tuple: &Tuple) -> u64 {
        let words: [u64; 5] = zerocopy::transmute!(*tuple);
        let mut hasher = self.hasher.build_hasher();
        words.iter().for_each(|word| hasher.write_u64(*word));
        hasher.finish()
    }

    fn shard(&self, index: usize) -> Guard<'_> {
        self.shards[index].0.lock()
    }

    /// Whether the place holds the tuple, as far as can be told without its lock.
    pub(crate) fn holds(&self, place: Place, tuple: &Tuple) -> bool {
        self.slab.peek(place.slot).is_some_and(|slot| slot.deadline() != 0 && slot.is(place.reply, tuple))
    }

    /// Where the tuple is.
    pub(crate) fn find(&self, tuple: &Tuple, hash: u64) -> Option<Place> {
        let shard = self.shard(hash as usize % SHARDS);
        self.find_in(&shard, tuple, hash)
    }

    fn find_in(&self, shard: &Entries, tuple: &Tuple, hash: u64) -> Option<Place> {
        let found = shard.find(hash, |entry| {
            let place = Entry(entry).place();
            self.slab.slot(place.slot).is(place.reply, tuple)
        });
        found.map(|entry| Entry(entry).place())
    }

    /// Runs `f` on the connection with its lock held; `None` when the place does not hold the tuple any more.
    pub(crate) fn with<R>(
        &self,
        place: Place,
        tuple: &Tuple,
        f: impl FnOnce(&Slot, &mut Conn) -> R,
    ) -> Option<R> {
        let slot = self.slab.slot(place.slot);
        let mut conn = slot.lock();
        (slot.deadline() != 0 && slot.is(place.reply, tuple)).then(|| f(slot, &mut conn))
    }

    fn pair(&self, original: u64, reply: u64) -> Pair<'_> {
        let (original, reply) = (original as usize % SHARDS, reply as usize % SHARDS);
        let (low, high) = (original.min(reply), original.max(reply));
        let first = self.shard(low);
        Pair { first, second: (low != high).then(|| self.shard(high)), swapped: reply < original }
    }

    /// Enters a connection, taken out of `conn`, that was [reserved](Self::reserve) before. Nobody sees it before both its tuples are entered.
    /// Times: now, and its deadline. One that has expired stands in the way of a reply tuple in any case: it is to go first, or the new
    /// connection would be without that entry for no good reason. `entered` is run before anybody else does anything with the connection.
    pub(crate) fn insert(
        &self,
        (original, reply): (&Tuple, &Tuple),
        uniqueness: Uniqueness,
        (now_ns, deadline_ns): (u64, u64),
        conn: &mut Conn,
        entered: impl FnOnce(&Slot, &Conn),
    ) -> Result<u32, Refused> {
        let (orig_hash, reply_hash) = (self.hash(original), self.hash(reply));
        let mut pair = self.pair(orig_hash, reply_hash);
        if let Some(place) = self.find_in(pair.of(false), original, orig_hash) {
            return Err(Refused::Original(place));
        }
        let other = self.find_in(pair.of(true), reply, reply_hash);
        let in_the_way =
            |place: &Place| uniqueness == Uniqueness::Both || self.slab.slot(place.slot).deadline() <= now_ns;
        if let Some(place) = other.filter(in_the_way) {
            return Err(Refused::Reply(place));
        }
        let index = self.slab.take(orig_hash).ok_or(Refused::Full)?;
        let slot = self.slab.slot(index);
        {
            let mut held = slot.lock();
            slot.set_tuples(original, reply);
            *held = std::mem::take(conn);
            slot.set_deadline(deadline_ns.max(1));
            entered(slot, &held);
        }
        pair.of(false).insert(Entry::new(orig_hash, index, false).0);
        if other.is_none() && original != reply {
            pair.of(true).insert(Entry::new(reply_hash, index, true).0);
        }
        Ok(index)
    }

    /// Takes a connection out if it is there and `condition` holds, and gives back what it was.
    pub(crate) fn remove(&self, index: u32, condition: impl FnOnce(&Slot, &Conn) -> bool) -> Option<Removed> {
        let slot = self.slab.slot(index);
        let (original, reply) = (slot.tuple(false), slot.tuple(true));
        let (orig_hash, reply_hash) = (self.hash(&original), self.hash(&reply));
        let mut pair = self.pair(orig_hash, reply_hash);
        let conn = {
            let mut held = slot.lock();
            let same = slot.is(false, &original) && slot.is(true, &reply);
            if slot.deadline() == 0 || !same || !condition(slot, &held) {
                return None;
            }
            slot.set_deadline(0);
            std::mem::take(&mut *held)
        };
        for (reply, hash) in [(false, orig_hash), (true, reply_hash)] {
            pair.of(reply).remove(Entry::new(hash, index, reply).0);
        }
        drop(pair);
        self.slab.give(index, orig_hash);
        self.live.fetch_sub(1, Relaxed);
        Some(Removed { original, conn })
    }

    /// Entries of each shard, for `dpctl/ct-bkts`.
    pub(crate) fn shard_lens(&self) -> impl Iterator<Item = usize> {
        (0..SHARDS).map(|index| self.shard(index).len())
    }
}

/// A connection that was taken out.
pub(crate) struct Removed {
    /// Original tuple.
    pub(crate) original: Tuple,
    /// All but its tuples.
    pub(crate) conn: Conn,
}

#[cfg(test)]
impl Table {
    /// Looks whether all invariants hold, when nobody else is at it.
    pub(crate) fn check(&self) {
        let held = |index: &u32| self.slab.peek(*index).is_some_and(|slot| slot.deadline() != 0);
        let live: Vec<u32> = (0..self.slab.used()).filter(held).collect();
        assert_eq!(live.len(), self.len() as usize);
        for index in &live {
            let tuple = self.slab.slot(*index).tuple(false);
            assert_eq!(self.find(&tuple, self.hash(&tuple)), Some(Place { slot: *index, reply: false }));
        }
        for shard in 0..SHARDS {
            for entry in self.shard(shard).iter() {
                let Place { slot, reply } = Entry(entry).place();
                let hash = self.hash(&self.slab.slot(slot).tuple(reply));
                assert!(held(&slot) && hash as usize % SHARDS == shard && (entry ^ hash) >> 32 == 0);
            }
        }
        assert!(self.shard_lens().sum::<usize>() <= 2 * live.len());
        let free = self.slab.used() as usize - live.len();
        assert_eq!(self.slab.free_slots(), free);
    }
}
