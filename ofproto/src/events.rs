//! What a bridge tells its controllers, on its way from the workers to the control thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_queue::ArrayQueue;
use packet::FlowKey;

use crate::port::Port;
use crate::table::rule::Rule;

/// Events a bridge holds for its controllers before it drops new ones.
const CAPACITY: usize = 4096;

/// Why a packet goes to the controllers: `OFPR_*` of OpenFlow 1.4, and Open vSwitch's own numbers above.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum PacketInReason {
    /// No rule matched.
    NoMatch = 0,
    /// An action said so (OpenFlow 1.0 to 1.3, or an explicit reason).
    Action = 1,
    /// TTL or hop limit would have become zero.
    InvalidTtl = 2,
    /// An output in an action set.
    ActionSet = 3,
    /// A group's bucket.
    Group = 4,
    /// A packet-out.
    PacketOut = 5,
    /// The miss rule of a table without an explicit table-miss rule matched.
    ImplicitMiss = 7,
}

impl PacketInReason {
    /// The reason of this number, as the `controller` action gives it.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::NoMatch,
            2 => Self::InvalidTtl,
            3 => Self::ActionSet,
            4 => Self::Group,
            5 => Self::PacketOut,
            7 => Self::ImplicitMiss,
            _ => Self::Action,
        }
    }
}

/// A packet for the controllers.
#[derive(Clone, Debug)]
pub struct PacketIn {
    /// The frame as it was when it was sent up, whole.
    pub frame: Vec<u8>,
    /// Its key then: input port (an OpenFlow number) and all metadata.
    pub key: FlowKey,
    /// Why.
    pub reason: PacketInReason,
    /// Table of the rule that sent it.
    pub table: u8,
    /// Cookie of that rule; `u64::MAX` if there is none.
    pub cookie: u64,
    /// Bytes of the frame to send at most.
    pub max_len: u16,
    /// For controllers with this id only.
    pub controller_id: u16,
    /// Bytes that go along.
    pub userdata: Vec<u8>,
}

/// Why a rule went, as `OFPRR_*` of OpenFlow 1.4.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum RemovedReason {
    /// Unused for too long.
    IdleTimeout = 0,
    /// Its time was up.
    HardTimeout = 1,
    /// A controller deleted it.
    Delete = 2,
    /// A group it used was deleted.
    GroupDelete = 3,
    /// A meter it used was deleted.
    MeterDelete = 4,
    /// Another rule needed the room.
    Eviction = 5,
}

/// Why a port's status is told, as `OFPPR_*`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum PortReason {
    /// It came.
    Add = 0,
    /// It went.
    Delete = 1,
    /// It changed.
    Modify = 2,
}

/// One event.
#[derive(Clone, Debug)]
pub enum Event {
    /// See [`PacketIn`].
    PacketIn(Box<PacketIn>),
    /// A rule went that was to announce that. No more packets will be counted in it.
    FlowRemoved {
        /// The rule.
        rule: Arc<Rule>,
        /// Why.
        reason: RemovedReason,
        /// When, nanoseconds of the monotonic clock.
        now_ns: u64,
    },
    /// A port came, went or changed.
    PortStatus {
        /// Which of these.
        reason: PortReason,
        /// The port as it is, or was.
        port: Box<Port>,
    },
}

/// What is called when something is there to be done.
pub(crate) type Waker = Box<dyn Fn() + Send + Sync>;

/// A bounded queue of events. Any thread puts in; the control thread takes out.
pub struct Events {
    queue: ArrayQueue<Event>,
    dropped: AtomicU64,
    /// Somebody has been woken for what is in the queue, and has not found it empty since.
    signalled: AtomicBool,
    waker: Arc<OnceLock<Waker>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("len", &self.queue.len()).field("dropped", &self.dropped).finish()
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Events {
    /// An empty queue that calls `waker`, on whatever thread, when something comes into it while it is empty.
    pub(crate) fn new(waker: Arc<OnceLock<Waker>>) -> Self {
        Self {
            queue: ArrayQueue::new(CAPACITY),
            dropped: AtomicU64::new(0),
            signalled: AtomicBool::new(false),
            waker,
        }
    }

    /// The next event.
    pub fn pop(&self) -> Option<Event> {
        self.queue.pop().or_else(|| {
            // Whoever puts something in from here on wakes us; what came before is seen by this second look.
            self.signalled.store(false, Ordering::SeqCst);
            self.queue.pop()
        })
    }

    /// How many events found the queue full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Whether there is room for a flow-removed.
    pub(crate) fn has_room(&self) -> bool {
        !self.queue.is_full()
    }

    /// Whether it was taken.
    pub(crate) fn push(&self, event: Event) -> bool {
        if self.queue.push(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        if !self.signalled.swap(true, Ordering::SeqCst)
            && let Some(wake) = self.waker.get()
        {
            wake();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_once_and_counts_what_it_drops() {
        let woken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&woken);
        let waker: Arc<OnceLock<Waker>> = Arc::default();
        let events = Events::new(Arc::clone(&waker));
        let wake = move || {
            count.fetch_add(1, Ordering::Relaxed);
        };
        assert!(waker.set(Box::new(wake)).is_ok());
        let packet = PacketIn {
            frame: Vec::new(),
            key: FlowKey::default(),
            reason: PacketInReason::Action,
            table: 0,
            cookie: 0,
            max_len: 0,
            controller_id: 0,
            userdata: Vec::new(),
        };
        let event = Event::PacketIn(Box::new(packet));
        (0..CAPACITY + 3).for_each(|_| {
            events.push(event.clone());
        });
        assert_eq!((woken.load(Ordering::Relaxed), events.dropped()), (1, 3));
        assert!(events.pop().is_some());
    }
}
