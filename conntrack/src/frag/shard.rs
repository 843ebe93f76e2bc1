//! [`Shard`]: datagrams by what identifies them, and in the order in which their time will be over.
//!
//! # Algorithm
//!
//! A map, and beside it a queue of deadlines with an entry for each datagram that was ever begun. All wait equally long, so the queue
//! is in order (but for the small differences between the clocks of workers). A datagram that is done leaves its entry
//! behind; one is live when the map has its key with its serial number.
//!
//! # Invariants
//!
//! The queue holds at most twice as many entries as the map and [`SLACK`] more: when there would be more, dead ones are taken out, which
//! costs a constant number of steps per datagram.

use std::collections::{HashMap, VecDeque};

use foldhash::quality::FixedState;
use packet::Packet;

use super::datagram::{Datagram, Fit, MAX_PARTS};
use super::part::Part;
use super::piece::Key;
use super::status::Incomplete;
use super::{Family, Reason, TIMEOUT_NS};

/// Dead entries that are not worth looking for.
const SLACK: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Shard {
    datagrams: HashMap<Key, Datagram, FixedState>,
    queue: VecDeque<Entry>,
    /// Those whose key was taken over by another after their time.
    overdue: Vec<Datagram>,
    next_serial: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline_ns: u64,
    serial: u64,
    key: Key,
}

/// What became of a fragment.
#[derive(Debug)]
pub(super) enum Entered {
    Held,
    Complete(Datagram),
    /// It and its charge, not taken.
    Refused(Packet, u32, Reason),
    /// It spoiled its datagram: `waited` others with this charge are gone too. Its own reservation stays with the datagram.
    Spoiled {
        waited: u32,
        charge: u64,
    },
    /// Its datagram was spoiled before; its charge.
    Late(u32),
}

impl Shard {
    /// Enters a fragment, beginning a datagram if it is the first one.
    pub(super) fn enter(&mut self, key: Key, part: Part, now_ns: u64) -> Entered {
        let datagram = self.begin(key, now_ns);
        if datagram.is_spoiled() {
            return Entered::Late(part.charge);
        }
        match datagram.fit(&part.piece, part.share()) {
            Fit::Overlaps if key.family == Family::V6 => {
                let (waited, charge) = datagram.charge();
                datagram.spoil(part.charge);
                Entered::Spoiled { waited, charge }
            }
            Fit::Overlaps | Fit::Duplicate => Entered::Refused(part.packet, part.charge, Reason::Overlap),
            Fit::Fits if datagram.len() >= MAX_PARTS => {
                Entered::Refused(part.packet, part.charge, Reason::Full)
            }
            Fit::Fits if datagram.insert(part) => {
                let whole = self.datagrams.remove(&key);
                self.compact();
                whole.map_or(Entered::Held, Entered::Complete)
            }
            Fit::Fits => Entered::Held,
        }
    }

    /// The datagram of this key, a new one if there is none or its time is over.
    fn begin(&mut self, key: Key, now_ns: u64) -> &mut Datagram {
        if self.datagrams.get(&key).is_some_and(|datagram| datagram.deadline_ns <= now_ns) {
            self.overdue.extend(self.datagrams.remove(&key));
        }
        self.datagrams.entry(key).or_insert_with(|| {
            let entry = Entry { deadline_ns: now_ns + TIMEOUT_NS, serial: self.next_serial, key };
            self.next_serial += 1;
            self.queue.push_back(entry);
            Datagram::new(key.family, entry.deadline_ns, entry.serial)
        })
    }

    /// Takes out a datagram whose time is over.
    pub(super) fn expire(&mut self, now_ns: u64) -> Option<Datagram> {
        if let Some(datagram) = self.overdue.pop() {
            return Some(datagram);
        }
        while let Some(entry) = self.queue.front().copied().filter(|entry| entry.deadline_ns <= now_ns) {
            self.queue.pop_front();
            if self.is_live(&entry) {
                return self.datagrams.remove(&entry.key);
            }
        }
        None
    }

    fn is_live(&self, entry: &Entry) -> bool {
        self.datagrams.get(&entry.key).is_some_and(|datagram| datagram.serial == entry.serial)
    }

    fn compact(&mut self) {
        if self.queue.len() > 2 * self.datagrams.len() + SLACK {
            let mut queue = std::mem::take(&mut self.queue);
            queue.retain(|entry| self.is_live(entry));
            self.queue = queue;
        }
    }

    /// Adds what waits here.
    pub(super) fn list(&self, out: &mut Vec<Incomplete>) {
        out.extend(self.datagrams.iter().map(|(key, datagram)| Incomplete::new(key, datagram)));
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }
}
