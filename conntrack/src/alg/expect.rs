//! Expectations: connections that were announced and have not come yet.
//!
//! # Algorithm
//!
//! A hash table by the tuple of the expected connection's first packet, its source port zero for "any", and one of what each control
//! connection has announced, so that it goes with it. Both behind one lock: control channels say little. Packets of no known
//! connection look here only if there is any expectation at all, which costs them one load; they share the lock.
//!
//! # Invariants
//!
//! - What stands in one table stands in the other.
//! - An expectation answers until its deadline or the end of its parent, not just once: clients open a data connection again
//!   under the same announcement.
//!
//! # Bounds
//!
//! [`MOST`] in all and [`MOST_OF_ONE`] of one control connection, whose oldest makes room. A search for another port takes [`TRIES`] tries. When there
//! are as many as may be, an announcement looks for expired ones only if none did in the last [`PAUSE_NS`].

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::request::{Helper, NatRange};
use crate::tuple::Tuple;

/// Most expectations.
pub(crate) const MOST: usize = 16_384;

/// Most expectations of one control connection.
pub(crate) const MOST_OF_ONE: usize = 8;

/// How long an expectation lives, in ns.
pub(crate) const LIFETIME_NS: u64 = 300_000_000_000;

/// Ports that are tried when the announced one is taken.
const TRIES: u64 = 128;

/// From one search for expired expectations to the next that wants their room, in ns: there are many, and announcements are cheap to send.
const PAUSE_NS: u64 = 1_000_000_000;

/// A connection that was announced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Expectation {
    /// Its first packet; the source port is 0.
    pub(crate) tuple: Tuple,
    /// Original tuple of the control connection.
    pub(crate) parent: Tuple,
    /// Protocol of the control connection.
    pub(crate) helper: Helper,
    /// How it is translated.
    pub(crate) nat: Option<NatRange>,
    /// Mark of the control connection.
    pub(crate) mark: u32,
    /// Label of the control connection.
    pub(crate) label: u128,
}

/// An expectation as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpectInfo {
    /// The first packet of the expected connection; its source port is 0 for "any".
    pub tuple: Tuple,
    /// Original tuple of the control connection.
    pub parent: Tuple,
    /// Protocol of the control connection.
    pub helper: Helper,
    /// How the connection will be translated.
    pub nat: Option<NatRange>,
    /// Mark that it will have.
    pub mark: u32,
    /// Label that it will have.
    pub label: u128,
    /// What it has left to live, in ns.
    pub left_ns: u64,
}

/// There are as many expectations as there may be, or no port is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

struct Entry {
    expectation: Expectation,
    deadline_ns: u64,
}

#[derive(Default)]
struct Inner {
    by_tuple: HashMap<Tuple, Entry, FixedState>,
    /// Oldest first.
    by_parent: HashMap<Tuple, Vec<Tuple>, FixedState>,
    /// When expired ones may be looked for again to make room.
    sweep_due_ns: u64,
}

/// See the module.
pub(crate) struct Expectations {
    count: AtomicUsize,
    inner: RwLock<Inner>,
}

impl Expectations {
    pub(crate) fn new(seed: u64) -> Self {
        let (by_tuple, by_parent) = (FixedState::with_seed(seed), FixedState::with_seed(seed));
        let (by_tuple, by_parent) = (HashMap::with_hasher(by_tuple), HashMap::with_hasher(by_parent));
        let inner = Inner { by_tuple, by_parent, sweep_due_ns: 0 };
        Self { count: AtomicUsize::new(0), inner: RwLock::new(inner) }
    }

    /// Runs `f`, which changes something.
    fn with<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut inner);
        self.count.store(inner.by_tuple.len(), Relaxed);
        result
    }

    /// Runs `f`, which only looks.
    fn look<R>(&self, f: impl FnOnce(&Inner) -> R) -> R {
        f(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Expects a connection and gives the destination port under which it is expected. That is the given one unless
    /// `may_move` and another control connection has that; what is expected already keeps its port and lives longer.
    pub(crate) fn expect(
        &self,
        wanted: Expectation,
        may_move: bool,
        random: u64,
        now_ns: u64,
    ) -> Result<u16, Full> {
        self.with(|inner| inner.expect(wanted, may_move, random, now_ns))
    }

    /// What is expected for the first packet of a connection.
    pub(crate) fn find(&self, tuple: &Tuple, now_ns: u64) -> Option<Expectation> {
        if self.is_empty() {
            return None;
        }
        let key = Tuple { sport: 0, ..*tuple };
        self.look(|inner| {
            let entry = inner.by_tuple.get(&key)?;
            (entry.deadline_ns > now_ns).then(|| entry.expectation.clone())
        })
    }

    /// Forgets what a control connection has announced.
    pub(crate) fn forget_parent(&self, parent: &Tuple) {
        if !self.is_empty() {
            self.with(|inner| {
                for tuple in inner.by_parent.remove(parent).unwrap_or_default() {
                    inner.by_tuple.remove(&tuple);
                }
            });
        }
    }

    /// Forgets what has expired. At most [`MOST`] are looked at.
    pub(crate) fn sweep(&self, now_ns: u64) {
        if !self.is_empty() {
            self.with(|inner| inner.sweep(now_ns));
        }
    }

    /// All that are alive, in no order.
    pub(crate) fn list(&self, now_ns: u64) -> Vec<ExpectInfo> {
        self.look(|inner| {
            let alive = inner.by_tuple.values().filter(|entry| entry.deadline_ns > now_ns);
            alive.map(|entry| entry.info(now_ns)).collect()
        })
    }
}

impl Entry {
    fn info(&self, now_ns: u64) -> ExpectInfo {
        let Expectation { tuple, parent, helper, nat, mark, label } = self.expectation.clone();
        ExpectInfo { tuple, parent, helper, nat, mark, label, left_ns: self.deadline_ns - now_ns }
    }
}

impl Inner {
    fn expect(
        &mut self,
        mut wanted: Expectation,
        may_move: bool,
        random: u64,
        now_ns: u64,
    ) -> Result<u16, Full> {
        let port = match self.known_port(&wanted) {
            Some(port) => port,
            None if may_move => self.free_port(&wanted, random, now_ns).ok_or(Full)?,
            None => wanted.tuple.dport,
        };
        wanted.tuple.dport = port;
        self.make_room(&wanted, now_ns)?;
        self.insert(wanted, now_ns + LIFETIME_NS);
        Ok(port)
    }

    /// The port of an expectation of the same parent that leads to the same place.
    fn known_port(&self, wanted: &Expectation) -> Option<u16> {
        let tuples = self.by_parent.get(&wanted.parent)?;
        let same = tuples.iter().find(|tuple| {
            let same_ends = Tuple { dport: 0, ..**tuple } == Tuple { dport: 0, ..wanted.tuple };
            let same_port = wanted.nat.is_some() || tuple.dport == wanted.tuple.dport;
            same_ends
                && same_port
                && self.by_tuple.get(*tuple).is_some_and(|entry| entry.expectation.nat == wanted.nat)
        })?;
        Some(same.dport)
    }

    /// The announced port, or else another that no one else expects.
    fn free_port(&self, wanted: &Expectation, random: u64, now_ns: u64) -> Option<u16> {
        let others = (0..TRIES).map(|n| 1024 + (random.wrapping_add(n * 4999) % 64_512) as u16);
        std::iter::once(wanted.tuple.dport).chain(others).find(|&dport| {
            let held = self.by_tuple.get(&Tuple { dport, ..wanted.tuple });
            held.is_none_or(|entry| entry.deadline_ns <= now_ns)
        })
    }

    fn make_room(&mut self, wanted: &Expectation, now_ns: u64) -> Result<(), Full> {
        if self.by_tuple.contains_key(&wanted.tuple) {
            return Ok(());
        }
        if let Some(tuples) =
            self.by_parent.get_mut(&wanted.parent).filter(|tuples| tuples.len() >= MOST_OF_ONE)
        {
            let oldest = tuples.remove(0);
            self.by_tuple.remove(&oldest);
        }
        if self.by_tuple.len() >= MOST && now_ns >= self.sweep_due_ns {
            self.sweep(now_ns);
        }
        if self.by_tuple.len() < MOST { Ok(()) } else { Err(Full) }
    }

    fn insert(&mut self, expectation: Expectation, deadline_ns: u64) {
        let (tuple, parent) = (expectation.tuple, expectation.parent);
        if let Some(old) = self.by_tuple.insert(tuple, Entry { expectation, deadline_ns }) {
            self.disown(&old.expectation);
        }
        self.by_parent.entry(parent).or_default().push(tuple);
    }

    fn disown(&mut self, expectation: &Expectation) {
        if let Some(tuples) = self.by_parent.get_mut(&expectation.parent) {
            tuples.retain(|tuple| *tuple != expectation.tuple);
            if tuples.is_empty() {
                self.by_parent.remove(&expectation.parent);
            }
        }
    }

    fn sweep(&mut self, now_ns: u64) {
        self.sweep_due_ns = now_ns + PAUSE_NS;
        let expired: Vec<Expectation> = self
            .by_tuple
            .extract_if(|_, entry| entry.deadline_ns <= now_ns)
            .map(|(_, entry)| entry.expectation)
            .collect();
        expired.iter().for_each(|expectation| self.disown(expectation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{NatChoice, NatSide};

    const SECOND: u64 = 1_000_000_000;

    fn tuple(host: u16, dport: u16) -> Tuple {
        let mut dst = [0; 16];
        dst[14..].copy_from_slice(&host.to_be_bytes());
        Tuple { dst, dport, proto: 6, family: 4, ..Tuple::default() }
    }

    /// The control connection `parent` expects a connection to `host`, `dport`.
    fn wanted(parent: u16, host: u16, dport: u16, to: Option<u16>) -> Expectation {
        let nat = to.map(|port| NatRange {
            side: NatSide::Dst,
            addrs: None,
            ports: Some((port, port)),
            choice: NatChoice::Default,
            persistent: false,
        });
        let parent = Tuple { sport: parent, ..tuple(0, 21) };
        Expectation { tuple: tuple(host, dport), parent, helper: Helper::Ftp, nat, mark: 1, label: 2 }
    }

    fn invariants(table: &Expectations) {
        table.with(|inner| {
            assert_eq!(inner.by_parent.values().map(Vec::len).sum::<usize>(), inner.by_tuple.len());
            for (parent, tuples) in &inner.by_parent {
                assert!((1..=MOST_OF_ONE).contains(&tuples.len()));
                assert!(tuples.iter().all(|tuple| inner.by_tuple[tuple].expectation.parent == *parent));
            }
        });
    }

    #[test]
    fn any_source_port_is_expected_until_the_deadline_or_the_parents_end() {
        let table = Expectations::new(1);
        assert_eq!(table.find(&tuple(1, 2000), 0), None);
        assert_eq!(table.expect(wanted(1, 1, 2000, None), false, 0, 0), Ok(2000));
        let first = Tuple { sport: 20, ..tuple(1, 2000) };
        assert_eq!(table.find(&first, LIFETIME_NS - 1), Some(wanted(1, 1, 2000, None)));
        assert_eq!(table.find(&Tuple { zone: 1, ..first }, 0), None);
        assert_eq!(table.find(&tuple(1, 2001), 0), None);
        assert_eq!(table.list(SECOND)[0].left_ns, LIFETIME_NS - SECOND);
        assert_eq!(table.find(&first, LIFETIME_NS), None);
        table.sweep(LIFETIME_NS);
        assert!(table.is_empty());
        table.expect(wanted(1, 1, 2000, None), false, 0, 0).unwrap();
        table.forget_parent(&wanted(2, 1, 2000, None).parent);
        assert!(!table.is_empty());
        table.forget_parent(&wanted(1, 1, 2000, None).parent);
        assert!(table.is_empty());
        invariants(&table);
    }

    #[test]
    fn a_port_that_is_taken_moves_and_stays_where_it_moved() {
        let table = Expectations::new(1);
        assert_eq!(table.expect(wanted(1, 1, 2000, Some(2000)), true, 7, 0), Ok(2000));
        let moved = table.expect(wanted(2, 1, 2000, Some(2000)), true, 7, 0).unwrap();
        assert_ne!(moved, 2000);
        for random in 0..10 {
            assert_eq!(table.expect(wanted(2, 1, 2000, Some(2000)), true, random, 0), Ok(moved));
            assert_eq!(table.expect(wanted(1, 1, 2000, Some(2000)), true, random, 0), Ok(2000));
        }
        assert_eq!(table.list(0).len(), 2);
        invariants(&table);
    }

    #[test]
    fn another_parent_takes_over_where_nothing_can_move() {
        let table = Expectations::new(1);
        table.expect(wanted(1, 1, 2000, None), false, 0, 0).unwrap();
        table.expect(wanted(2, 1, 2000, None), false, 0, 0).unwrap();
        invariants(&table);
        table.forget_parent(&wanted(1, 1, 2000, None).parent);
        assert_eq!(table.find(&tuple(1, 2000), 0).unwrap().parent.sport, 2);
    }

    #[test]
    fn there_are_never_more_than_the_bounds_say() {
        let table = Expectations::new(1);
        for port in 0..100 {
            table.expect(wanted(1, 1, port, None), false, 0, 0).unwrap();
        }
        invariants(&table);
        assert_eq!(table.list(0).len(), MOST_OF_ONE);
        assert!(table.find(&tuple(1, 99), 0).is_some() && table.find(&tuple(1, 91), 0).is_none());
        let open = |parent: usize| {
            table.expect(wanted(parent as u16, (parent >> 8) as u16, parent as u16, None), false, 0, SECOND)
        };
        let refused = (2..MOST + 100).filter(|parent| open(*parent) == Err(Full)).count();
        assert_eq!(table.list(SECOND).len(), MOST);
        assert!(refused > 0);
        invariants(&table);
        let later = SECOND + LIFETIME_NS;
        assert_eq!(table.expect(wanted(1, 1, 1, None), false, 0, later), Ok(1));
        assert_eq!(table.list(later).len(), 1);
        invariants(&table);
    }

    #[test]
    fn whoever_finds_it_full_does_not_look_through_it_each_time() {
        let table = Expectations::new(1);
        let open = |parent: usize, now_ns| {
            table.expect(wanted(parent as u16, (parent >> 8) as u16, parent as u16, None), false, 0, now_ns)
        };
        assert_eq!(open(0, 0), Ok(0));
        for parent in 1..MOST {
            assert_eq!(open(parent, SECOND), Ok(parent as u16));
        }
        let almost = LIFETIME_NS - 1;
        assert_eq!(open(MOST, almost), Err(Full));
        // The first has expired, but somebody has just looked.
        assert_eq!(open(MOST, almost + PAUSE_NS - 1), Err(Full));
        assert_eq!(open(MOST, almost + PAUSE_NS), Ok(MOST as u16));
        invariants(&table);
    }
}
