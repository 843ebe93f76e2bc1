//! Contexts: what a number in a datapath action stands for.
//!
//! A cached flow that sends packets up, or recirculates them, names by a number all that its owner must know when they come
//! back. Equal contexts share a number. A context lives as long as some cached flow holds it; numbers are not used again
//! until the counter has gone round.

use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hashbrown::HashMap;
use openflow::{Action, Instructions, OfPort};

use crate::counter::Held;
use crate::events::PacketInReason;
use crate::state::BridgeId;

/// Most contexts of a kind. One more is refused, and the packet dropped and counted.
const LIMIT: usize = 1 << 16;

/// The pipeline words of a flow key: registers, metadata.
pub(crate) type Pipeline = [u64; packet::key::WORDS - packet::key::DP_WORDS];

/// What must be known to tell a controller of a packet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct PuntContext {
    pub(crate) bridge: BridgeId,
    pub(crate) table: u8,
    pub(crate) cookie: u64,
    pub(crate) reason: PacketInReason,
    pub(crate) max_len: u16,
    pub(crate) controller_id: u16,
    pub(crate) userdata: Vec<u8>,
    pub(crate) in_port: OfPort,
    pub(crate) pipeline: Pipeline,
    pub(crate) pkt_mark: u32,
    pub(crate) tun_id: u64,
}

/// A piece of translation that is still to be done.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Step {
    /// Do this action.
    Action(Action),
    /// From here on actions are those of a rule of this table with this cookie.
    Rule { table: u8, cookie: u64 },
    /// Do the instructions that come after the actions.
    Rest(Arc<Instructions>),
    /// Go on in this table.
    Table(u8),
}

/// A translation that goes on after a recirculation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Frozen {
    pub(crate) bridge: BridgeId,
    pub(crate) table: u8,
    pub(crate) in_port: OfPort,
    pub(crate) pipeline: Pipeline,
    pub(crate) stack: Vec<(u128, u16)>,
    pub(crate) action_set: Vec<Action>,
    pub(crate) steps: Vec<Step>,
    /// The packet has been through the connection tracker.
    pub(crate) conntracked: bool,
}

/// An interned value.
#[derive(Debug)]
pub(crate) struct Node<T: Eq + Hash + Clone + std::fmt::Debug> {
    pub(crate) id: u32,
    pub(crate) value: T,
    home: Weak<Interner<T>>,
}

impl<T: Eq + Hash + Clone + std::fmt::Debug + Send + Sync> Held for Node<T> {}

impl<T: Eq + Hash + Clone + std::fmt::Debug> Drop for Node<T> {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else { return };
        let mut inner = home.lock();
        inner.by_id.remove(&self.id);
        if inner.by_value.get(&self.value).is_some_and(|(id, _)| *id == self.id) {
            inner.by_value.remove(&self.value);
        }
    }
}

#[derive(Debug)]
struct Inner<T: Eq + Hash + Clone + std::fmt::Debug> {
    by_value: HashMap<T, (u32, Weak<Node<T>>)>,
    by_id: HashMap<u32, Weak<Node<T>>>,
}

/// Gives numbers to values. All kinds of contexts draw from one row of numbers, as in Open vSwitch.
#[derive(Debug)]
pub(crate) struct Interner<T: Eq + Hash + Clone + std::fmt::Debug> {
    inner: Mutex<Inner<T>>,
    last: Arc<AtomicU32>,
}

impl<T: Eq + Hash + Clone + std::fmt::Debug> Interner<T> {
    fn new(last: &Arc<AtomicU32>) -> Arc<Self> {
        let (by_value, by_id) = (HashMap::new(), HashMap::new());
        Arc::new(Self { inner: Mutex::new(Inner { by_value, by_id }), last: Arc::clone(last) })
    }

    fn next_id(&self) -> u32 {
        self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node of this value, or `None` when there are too many.
    pub(crate) fn intern(self: &Arc<Self>, value: T) -> Option<Arc<Node<T>>> {
        let mut inner = self.lock();
        if let Some(node) = inner.by_value.get(&value).and_then(|(_, node)| node.upgrade()) {
            return Some(node);
        }
        if inner.by_id.len() >= LIMIT {
            return None;
        }
        let mut id = self.next_id();
        while id == 0 || inner.by_id.contains_key(&id) {
            id = self.next_id();
        }
        let node = Arc::new(Node { id, value: value.clone(), home: Arc::downgrade(self) });
        inner.by_value.insert(value, (id, Arc::downgrade(&node)));
        inner.by_id.insert(id, Arc::downgrade(&node));
        Some(node)
    }

    /// The node with this number, if anything still holds it.
    pub(crate) fn get(&self, id: u32) -> Option<Arc<Node<T>>> {
        self.lock().by_id.get(&id).and_then(Weak::upgrade)
    }
}

/// All contexts of a switch.
#[derive(Debug)]
pub(crate) struct Contexts {
    pub(crate) punts: Arc<Interner<PuntContext>>,
    pub(crate) frozen: Arc<Interner<Frozen>>,
}

impl Default for Contexts {
    fn default() -> Self {
        let last = Arc::default();
        Self { punts: Interner::new(&last), frozen: Interner::new(&last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_and_let_go() {
        let interner = Interner::new(&Arc::default());
        let a = interner.intern("a".to_owned()).unwrap();
        let b = interner.intern("b".to_owned()).unwrap();
        let a2 = interner.intern("a".to_owned()).unwrap();
        assert_eq!((a.id, b.id, a2.id), (1, 2, 1));
        drop((a, a2));
        assert!(interner.get(1).is_none());
        assert_eq!(interner.get(2).unwrap().value, "b");
        assert_eq!(interner.intern("a".to_owned()).unwrap().id, 3);
    }

    #[test]
    fn their_number_is_bounded() {
        let interner = Interner::new(&Arc::default());
        let held: Vec<_> = (0..LIMIT).map(|n| interner.intern(n).unwrap()).collect();
        assert!(interner.intern(LIMIT).is_none());
        drop(held);
        assert!(interner.intern(LIMIT).is_some());
    }
}
