//! The registry: the cached flows of one worker, as other threads may read them.
//!
//! The worker owns the numbering of places and queues what changed; once a batch it writes that down under a lock that it only
//! *tries* to take. A dump holds the lock while it copies at most [`SLICE`] pointers. So a dump never makes a worker wait: at
//! worst what changed is seen one batch later.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use packet::key::DP_WORDS;
use packet::{FlowKey, FlowMask};

use super::layout::Layout;
use crate::action::Action;
use crate::owner::{FlowStats, Hits};

/// Flows copied by one step of a dump.
const SLICE: usize = 128;

/// What other threads may see of a cached flow.
#[derive(Debug)]
pub(crate) struct Record {
    /// Number of the flow, never used twice.
    pub(crate) number: u64,
    pub(crate) layout: Arc<Layout>,
    /// The key of the packet that made it: which words are not zero, and those words.
    present: u64,
    words: Box<[u64]>,
    pub(crate) stats: Arc<FlowStats>,
    actions: Mutex<Arc<[Action]>>,
}

impl Record {
    pub(crate) fn new(number: u64, layout: Arc<Layout>, key: &FlowKey, actions: Arc<[Action]>) -> Self {
        let words = key.words()[..DP_WORDS].iter();
        let present =
            words.clone().enumerate().fold(0, |bits, (at, word)| bits | u64::from(*word != 0) << at);
        let words = words.copied().filter(|word| *word != 0).collect();
        Self { number, layout, present, words, stats: Arc::default(), actions: Mutex::new(actions) }
    }

    /// The key of the packet that made the flow.
    pub(crate) fn key(&self) -> FlowKey {
        let mut key = FlowKey::default();
        let places = (0..DP_WORDS).filter(|at| self.present >> at & 1 == 1);
        for (at, word) in places.zip(&self.words) {
            key.words_mut()[at] = *word;
        }
        key
    }

    pub(crate) fn actions(&self) -> Arc<[Action]> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_actions(&self, actions: Arc<[Action]>) {
        *self.actions.lock().unwrap_or_else(PoisonError::into_inner) = actions;
    }

    fn dump(&self, worker: usize) -> FlowDump {
        FlowDump {
            ufid: ufid(&self.layout, &self.key()),
            key: self.key(),
            mask: self.layout.mask(),
            hits: Hits {
                packets: self.stats.packets.load(Ordering::Relaxed),
                bytes: self.stats.bytes.load(Ordering::Relaxed),
            },
            last_used_ns: self.stats.last_used_ns.load(Ordering::Relaxed),
            tcp_flags: self.stats.tcp_flags.load(Ordering::Relaxed),
            actions: self.actions(),
            worker,
        }
    }
}

/// A number for a flow that is the same whenever the same flow is cached by this process.
fn ufid(layout: &Layout, key: &FlowKey) -> u128 {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::OnceLock;
    static SEEDS: OnceLock<[RandomState; 2]> = OnceLock::new();
    let seeds = SEEDS.get_or_init(|| [RandomState::new(), RandomState::new()]);
    let mask = layout.mask();
    let half = |seed: &RandomState| u128::from(seed.hash_one((mask.0.words(), mask.apply(key).words())));
    half(&seeds[0]) << 64 | half(&seeds[1])
}

/// A cached flow as a dump shows it.
#[derive(Clone, Debug)]
pub struct FlowDump {
    /// Its identity.
    pub ufid: u128,
    /// The key of the packet that made it; under the mask, that of every packet of the flow.
    pub key: FlowKey,
    /// Which bits are looked at.
    pub mask: FlowMask,
    /// What it has forwarded.
    pub hits: Hits,
    /// When the last packet came, in nanoseconds of the monotonic clock; 0 for never.
    pub last_used_ns: u64,
    /// All TCP flags seen.
    pub tcp_flags: u16,
    /// What is done.
    pub actions: Arc<[Action]>,
    /// Which worker has it.
    pub worker: usize,
}

/// How far a dump has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct DumpCursor {
    pub(crate) worker: usize,
    place: usize,
}

impl DumpCursor {
    pub(crate) fn next_worker(&mut self) {
        *self = Self { worker: self.worker + 1, place: 0 };
    }
}

type Places = Vec<Option<Arc<Record>>>;

/// The flows by place.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Places>);

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The flows of the next places; empty at the end.
    pub(crate) fn dump(&self, cursor: &mut DumpCursor) -> Vec<FlowDump> {
        let mut slice = Vec::with_capacity(SLICE);
        while slice.is_empty() {
            let places = self.lock();
            if cursor.place >= places.len() {
                break;
            }
            let end = places.len().min(cursor.place + SLICE);
            slice.extend(places[cursor.place..end].iter().flatten().cloned());
            cursor.place = end;
        }
        slice.iter().map(|record| record.dump(cursor.worker)).collect()
    }
}

/// The worker's side of the registry.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    free: Vec<u32>,
    next: u32,
    changes: Vec<(u32, Option<Arc<Record>>)>,
}

impl Writer {
    /// Puts a flow in; returns its place.
    pub(crate) fn insert(&mut self, record: Arc<Record>) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.changes.push((place, Some(record)));
        place
    }

    /// Takes the flow at `place` out.
    pub(crate) fn remove(&mut self, place: u32) {
        self.free.push(place);
        self.changes.push((place, None));
    }

    /// Writes down what changed, unless a dump is at it and `wait` is not set.
    pub(crate) fn flush(&mut self, registry: &Registry, wait: bool) {
        if self.changes.is_empty() {
            return;
        }
        let mut places = match registry.0.try_lock() {
            Ok(places) => places,
            Err(TryLockError::Poisoned(places)) => places.into_inner(),
            Err(TryLockError::WouldBlock) if wait => registry.lock(),
            Err(TryLockError::WouldBlock) => return,
        };
        if places.len() < self.next as usize {
            places.resize(self.next as usize, None);
        }
        for (place, record) in self.changes.drain(..) {
            places[place as usize] = record;
        }
    }
}
