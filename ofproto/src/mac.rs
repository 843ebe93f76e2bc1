//! The MAC learning table of a bridge.
//!
//! # Algorithm
//!
//! A hash table from (VLAN, MAC) to port. Two orders over the entries, by a running number that a refresh renews: one over all, from
//! which the oldest expire; one per port, from which an entry is evicted when the table is full: the oldest of the port that
//! holds the most, so that a flood on one port does not push out the others.
//!
//! # Invariants
//!
//! - Every entry stands once in `order` and, unless it is static, once in its port's order.
//! - `by_count` holds each port that has learned entries, with how many.
//!
//! # Costs
//!
//! O(log n) for everything but a flush.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use datapath::stamps::Slot;
use hashbrown::HashMap;

use crate::port::OfPort;
use crate::table::shape::mix;

/// How long a gratuitous ARP keeps bonds from learning its address.
const ARP_LOCK_NS: u64 = 5_000_000_000;

const SECOND_NS: u64 = 1_000_000_000;

/// What is learned about: a VLAN and an Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct MacKey {
    /// VLAN.
    pub vlan: u16,
    /// Address.
    pub mac: [u8; 6],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    port: OfPort,
    used_ns: u64,
    order: u64,
    fixed: bool,
    arp_lock_until_ns: u64,
}

/// One entry as it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MacRow {
    /// Port.
    pub port: OfPort,
    /// VLAN and address.
    pub key: MacKey,
    /// Seconds since it was last used; `None` for a static entry.
    pub age_s: Option<u64>,
}

/// Counts since the last clear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MacStats {
    /// Learned.
    pub learned: u64,
    /// Forgotten by age.
    pub expired: u64,
    /// Forgotten for lack of room.
    pub evicted: u64,
    /// Learned on another port than before.
    pub moved: u64,
    /// Static entries at present.
    pub fixed: usize,
    /// Entries at present.
    pub total: usize,
}

/// What a learning came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Learned {
    /// The address is known at this port.
    Known,
    /// It was not, and whatever depended on it has to be looked at again; so has what depended on an evicted one.
    Changed {
        /// An entry that had to go.
        evicted: Option<MacKey>,
    },
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct MacTable {
    seed: u64,
    entries: HashMap<MacKey, Entry>,
    order: BTreeMap<u64, MacKey>,
    by_port: HashMap<OfPort, BTreeMap<u64, MacKey>>,
    by_count: BTreeSet<(usize, OfPort)>,
    next: u64,
    idle_ns: u64,
    max: usize,
    stats: MacStats,
}

impl MacTable {
    pub(crate) fn new(seed: u64, idle_s: u32, max: usize) -> Self {
        Self {
            seed,
            entries: HashMap::new(),
            order: BTreeMap::new(),
            by_port: HashMap::new(),
            by_count: BTreeSet::new(),
            next: 0,
            idle_ns: u64::from(idle_s) * SECOND_NS,
            max,
            stats: MacStats::default(),
        }
    }

    /// Changes the limits; returns what had to go.
    pub(crate) fn configure(&mut self, idle_s: u32, max: usize) -> Vec<MacKey> {
        self.idle_ns = u64::from(idle_s) * SECOND_NS;
        self.max = max;
        let mut gone = Vec::new();
        while self.entries.len() > self.max {
            let Some(key) = self.evict() else { break };
            gone.push(key);
        }
        gone
    }

    /// The slot that changes when this address is learned, moves or is forgotten.
    pub(crate) fn slot(&self, key: MacKey) -> Slot {
        Slot::of_hash(slot_hash(self.seed, key))
    }

    /// The port at which an address was learned. One that is past its age no longer counts.
    pub(crate) fn lookup(&self, key: MacKey, now_ns: u64) -> Option<OfPort> {
        let entry = self.entries.get(&key)?;
        (entry.fixed || now_ns.saturating_sub(entry.used_ns) < self.idle_ns).then_some(entry.port)
    }

    /// Learns that `key` is at `port`. `gratuitous_arp`: the packet announces the address; `bond`: the port has several members, to
    /// which a neighbour may reflect what was sent through the other.
    pub(crate) fn learn(
        &mut self,
        key: MacKey,
        port: OfPort,
        gratuitous_arp: bool,
        bond: bool,
        now_ns: u64,
    ) -> Learned {
        let known = self.entries.get(&key).copied();
        if let Some(entry) = known {
            let locked = bond && gratuitous_arp && now_ns < entry.arp_lock_until_ns;
            if entry.fixed || locked {
                return Learned::Known;
            }
        }
        let mut evicted = None;
        if known.is_none() {
            if self.entries.len() >= self.max {
                evicted = self.evict();
            }
            self.stats.learned += 1;
        }
        let moved = known.is_some_and(|entry| entry.port != port);
        self.stats.moved += u64::from(moved);
        let lock = match known {
            _ if gratuitous_arp && !bond => now_ns + ARP_LOCK_NS,
            Some(entry) => entry.arp_lock_until_ns,
            None => 0,
        };
        self.unlink(key);
        self.link(key, Entry { port, used_ns: now_ns, order: 0, fixed: false, arp_lock_until_ns: lock });
        if known.is_none() || moved { Learned::Changed { evicted } } else { Learned::Known }
    }

    /// Whether [`learn`](Self::learn) would change more than the age.
    pub(crate) fn would_change(&self, key: MacKey, port: OfPort) -> bool {
        self.entries.get(&key).is_none_or(|entry| entry.port != port && !entry.fixed)
    }

    /// Adds a static entry.
    pub(crate) fn add_static(&mut self, key: MacKey, port: OfPort, now_ns: u64) {
        self.unlink(key);
        self.link(key, Entry { port, used_ns: now_ns, order: 0, fixed: true, arp_lock_until_ns: 0 });
    }

    /// Forgets one address; whether it was known.
    pub(crate) fn remove(&mut self, key: MacKey) -> bool {
        self.unlink(key).is_some()
    }

    /// The address at `port` was in use until `used_ns`.
    pub(crate) fn refresh(&mut self, key: MacKey, port: OfPort, used_ns: u64) {
        let Some(entry) = self.entries.get(&key).copied() else { return };
        if entry.port != port || entry.fixed || entry.used_ns >= used_ns {
            return;
        }
        self.unlink(key);
        self.link(key, Entry { used_ns, ..entry });
    }

    /// Forgets at most `limit` addresses that are past their age.
    pub(crate) fn expire(&mut self, now_ns: u64, limit: usize) -> Vec<MacKey> {
        let mut gone = Vec::new();
        let learned = |key: &&MacKey| self.entries.get(*key).is_some_and(|entry| !entry.fixed);
        let old: Vec<MacKey> = self.order.values().filter(learned).take(limit).copied().collect();
        for key in old {
            let Some(entry) = self.entries.get(&key) else { continue };
            if now_ns.saturating_sub(entry.used_ns) < self.idle_ns {
                break;
            }
            self.unlink(key);
            self.stats.expired += 1;
            gone.push(key);
        }
        gone
    }

    /// Forgets everything learned (not what is static) that `gone` names.
    pub(crate) fn flush(&mut self, gone: impl Fn(OfPort) -> bool) -> Vec<MacKey> {
        let keys: Vec<MacKey> =
            self.entries.iter().filter(|(_, e)| !e.fixed && gone(e.port)).map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| {
            self.unlink(*key);
        });
        keys
    }

    /// Forgets everything, static too, at a port that is going away.
    pub(crate) fn forget_port(&mut self, port: OfPort) -> Vec<MacKey> {
        let keys: Vec<MacKey> =
            self.entries.iter().filter(|(_, e)| e.port == port).map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| {
            self.unlink(*key);
        });
        keys
    }

    /// All entries, the longest unused first.
    pub(crate) fn rows(&self, now_ns: u64) -> Vec<MacRow> {
        let row = |key: &MacKey| {
            let entry = self.entries.get(key)?;
            let age_s = (!entry.fixed).then(|| now_ns.saturating_sub(entry.used_ns) / SECOND_NS);
            Some(MacRow { port: entry.port, key: *key, age_s })
        };
        self.order.values().filter_map(row).collect()
    }

    /// Counts.
    pub(crate) fn stats(&self) -> MacStats {
        let fixed = self.entries.values().filter(|entry| entry.fixed).count();
        MacStats { fixed, total: self.entries.len(), ..self.stats }
    }

    /// Most entries.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Starts counting anew.
    pub(crate) fn clear_stats(&mut self) {
        self.stats = MacStats::default();
    }

    fn evict(&mut self) -> Option<MacKey> {
        let (_, port) = *self.by_count.last()?;
        let (_, key) = self.by_port.get(&port)?.first_key_value()?;
        let key = *key;
        self.unlink(key);
        self.stats.evicted += 1;
        Some(key)
    }

    fn recount(&mut self, port: OfPort, before: usize, now: usize) {
        self.by_count.remove(&(before, port));
        if now > 0 {
            self.by_count.insert((now, port));
        } else {
            self.by_port.remove(&port);
        }
    }

    fn link(&mut self, key: MacKey, entry: Entry) {
        self.next += 1;
        let order = self.next;
        self.order.insert(order, key);
        self.entries.insert(key, Entry { order, ..entry });
        if !entry.fixed {
            let of_port = self.by_port.entry(entry.port).or_default();
            of_port.insert(order, key);
            let count = of_port.len();
            self.recount(entry.port, count - 1, count);
        }
    }

    fn unlink(&mut self, key: MacKey) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.order.remove(&entry.order);
        if let Some(of_port) = self.by_port.get_mut(&entry.port).filter(|_| !entry.fixed) {
            of_port.remove(&entry.order);
            let count = of_port.len();
            self.recount(entry.port, count + 1, count);
        }
        Some(entry)
    }
}

fn slot_hash(seed: u64, key: MacKey) -> u64 {
    let [a, b, c, d, e, f] = key.mac;
    let [v, w] = key.vlan.to_be_bytes();
    mix(seed, u64::from_be_bytes([v, w, a, b, c, d, e, f]))
}

/// An address that a cached flow keeps young.
#[derive(Clone, Debug)]
pub(crate) struct MacRef {
    pub(crate) table: Arc<Mutex<MacTable>>,
    pub(crate) key: MacKey,
    pub(crate) port: OfPort,
}

impl MacRef {
    pub(crate) fn refresh(&self, used_ns: u64) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).refresh(self.key, self.port, used_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = SECOND_NS;

    fn key(n: u8) -> MacKey {
        MacKey { vlan: 0, mac: [0, 0, 0, 0, 0, n] }
    }

    fn learn(table: &mut MacTable, n: u8, port: u32, now_ns: u64) -> Learned {
        table.learn(key(n), OfPort(port), false, false, now_ns)
    }

    #[test]
    fn learns_moves_and_forgets() {
        let mut table = MacTable::new(1, 300, 10);
        assert_eq!(learn(&mut table, 1, 1, S), Learned::Changed { evicted: None });
        assert_eq!(learn(&mut table, 1, 1, 2 * S), Learned::Known);
        assert_eq!(table.lookup(key(1), 3 * S), Some(OfPort(1)));
        assert_eq!(learn(&mut table, 1, 2, 3 * S), Learned::Changed { evicted: None });
        assert_eq!(table.rows(10 * S), [MacRow { port: OfPort(2), key: key(1), age_s: Some(7) }]);
        table.refresh(key(1), OfPort(2), 100 * S);
        table.refresh(key(1), OfPort(1), 200 * S);
        assert_eq!(table.expire(399 * S, 10), []);
        assert_eq!(table.lookup(key(1), 400 * S), None);
        assert_eq!(table.expire(400 * S, 10), [key(1)]);
        let stats = table.stats();
        assert_eq!((stats.learned, stats.moved, stats.expired, stats.total), (1, 1, 1, 0));
    }

    #[test]
    fn a_full_table_evicts_the_oldest_of_the_fullest_port() {
        let mut table = MacTable::new(1, 300, 4);
        learn(&mut table, 1, 1, S);
        (2..=4).for_each(|n| {
            learn(&mut table, n, 2, S);
        });
        assert_eq!(learn(&mut table, 5, 1, S), Learned::Changed { evicted: Some(key(2)) });
        assert_eq!(table.lookup(key(1), S), Some(OfPort(1)));
        assert_eq!(table.stats().evicted, 1);
        assert_eq!(table.configure(300, 2).len(), 2);
    }

    #[test]
    fn static_entries_stay() {
        let mut table = MacTable::new(1, 300, 10);
        table.add_static(key(1), OfPort(3), S);
        learn(&mut table, 9, 1, S);
        assert_eq!(table.expire(400 * S, 1), [key(9)]);
        assert_eq!(learn(&mut table, 1, 1, S), Learned::Known);
        assert_eq!(table.expire(9999 * S, 10), []);
        assert_eq!(table.flush(|_| true), []);
        assert_eq!(table.rows(S)[0].age_s, None);
        assert_eq!(table.stats().fixed, 1);
        assert!(table.remove(key(1)) && !table.remove(key(1)));
    }

    #[test]
    fn a_gratuitous_arp_keeps_bonds_from_learning_its_reflection() {
        let mut table = MacTable::new(1, 300, 10);
        table.learn(key(1), OfPort(1), true, false, S);
        table.learn(key(1), OfPort(2), true, true, 3 * S);
        assert_eq!(table.lookup(key(1), 3 * S), Some(OfPort(1)));
        table.learn(key(1), OfPort(2), true, true, 7 * S);
        assert_eq!(table.lookup(key(1), 7 * S), Some(OfPort(2)));
    }
}
