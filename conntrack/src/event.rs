//! Events: what became of connections, for whoever asks.
//!
//! Each [`Subscription`] has a bounded queue. While there is none, an event costs one relaxed load. An event for which
//! a queue has no room is counted and lost: the tracker never waits. Events of a tuple are in the order of what happened.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use crossbeam_queue::ArrayQueue;

use crate::dump::ConnInfo;

/// What became of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened.
    pub what: What,
    /// When, by the clock that the tracker is given, in ns.
    pub at_ns: u64,
    /// The connection after it; what it was last when it is gone.
    pub conn: ConnInfo,
}

/// Kinds of events.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum What {
    /// A connection was committed.
    New,
    /// Its protocol state, mark or label changed.
    Update,
    /// It is gone.
    Destroy(Reason),
}

/// Why a connection went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// No packet for too long.
    Expired,
    /// Flushed.
    Flushed,
    /// A packet started another in its place.
    Replaced,
    /// `force` turned it around.
    Forced,
    /// It was half-open, and another needed the room.
    Evicted,
}

impl Reason {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Flushed => "flushed",
            Self::Replaced => "replaced",
            Self::Forced => "forced",
            Self::Evicted => "evicted",
        }
    }
}

#[derive(Debug)]
struct Queue {
    events: ArrayQueue<Event>,
    lost: AtomicU64,
}

/// The subscribers of a tracker.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    any: AtomicBool,
    queues: RwLock<Vec<Arc<Queue>>>,
}

impl Subscribers {
    /// Whether anybody wants to know.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Tells all; returns how many had no room.
    pub(crate) fn tell(&self, event: &Event) -> u64 {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        let mut lost = 0;
        for queue in queues.iter().filter(|queue| queue.events.push(event.clone()).is_err()) {
            queue.lost.fetch_add(1, Relaxed);
            lost += 1;
        }
        lost
    }

    /// One more subscriber, with room for `capacity` events (at least one).
    pub(crate) fn subscribe(self: &Arc<Self>, capacity: usize) -> Subscription {
        let queue = Arc::new(Queue { events: ArrayQueue::new(capacity.max(1)), lost: AtomicU64::new(0) });
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.push(Arc::clone(&queue));
        self.any.store(true, Relaxed);
        Subscription { subscribers: Arc::clone(self), queue }
    }
}

/// A queue of events. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    subscribers: Arc<Subscribers>,
    queue: Arc<Queue>,
}

impl Subscription {
    /// The next event, if one waits.
    pub fn poll(&self) -> Option<Event> {
        self.queue.events.pop()
    }

    /// How many events this subscriber has lost.
    pub fn lost(&self) -> u64 {
        self.queue.lost.load(Relaxed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut queues = self.subscribers.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.subscribers.any.store(!queues.is_empty(), Relaxed);
    }
}
