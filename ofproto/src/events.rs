//! What a bridge tells its controllers, on its way from the workers to the control thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_queue::{ArrayQueue, SegQueue};
use packet::FlowKey;

use crate::port::Port;
use crate::table::rule::Rule;

/// Packets that a bridge holds for its controllers before it drops new ones, as in Open vSwitch.
const PACKETS: usize = 1024;
/// Notices that a bridge holds before it stops to take rules out.
const NOTICES: usize = 4096;

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

/// What a bridge tells its controllers. Any thread puts in; the control thread takes out.
///
/// Packets for controllers have a queue of their own: one that finds it full is lost and counted. Everything else, a notice, is
/// never lost: whoever takes rules out looks whether there [is room](Self::has_room) first, and ports change by the control thread only.
pub struct Events {
    packets: ArrayQueue<Box<PacketIn>>,
    notices: SegQueue<Event>,
    /// Whose turn it is when both queues hold something.
    packets_next: AtomicBool,
    /// Packets that found the queue full, of all bridges of a switch.
    overflow: Arc<AtomicU64>,
    /// Somebody has been woken for what is in the queues, and has not found them empty since.
    signalled: AtomicBool,
    waker: Arc<OnceLock<Waker>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (packets, notices) = (self.packets.len(), self.notices.len());
        f.debug_struct("Events").field("packets", &packets).field("notices", &notices).finish_non_exhaustive()
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new(Arc::default(), Arc::default())
    }
}

impl Events {
    /// Empty queues that call `waker`, on whatever thread, when something comes into them while they are empty. Packets that are lost
    /// count in `overflow`.
    pub(crate) fn new(waker: Arc<OnceLock<Waker>>, overflow: Arc<AtomicU64>) -> Self {
        Self {
            packets: ArrayQueue::new(PACKETS),
            notices: SegQueue::new(),
            packets_next: AtomicBool::new(false),
            overflow,
            signalled: AtomicBool::new(false),
            waker,
        }
    }

    /// The next event: packets and notices by turns, each in the order in which they came.
    pub fn pop(&self) -> Option<Event> {
        self.pop_by(|| {
            let packets_next = self.packets_next.fetch_xor(true, Ordering::Relaxed);
            let packet = || self.packets.pop().map(Event::PacketIn);
            if packets_next {
                packet().or_else(|| self.notices.pop())
            } else {
                self.notices.pop().or_else(packet)
            }
        })
    }

    /// The next packet, when notices have to wait.
    pub(crate) fn pop_packet(&self) -> Option<Event> {
        self.pop_by(|| self.packets.pop().map(Event::PacketIn))
    }

    fn pop_by(&self, pop: impl Fn() -> Option<Event>) -> Option<Event> {
        pop().or_else(|| {
            // Whoever puts something in from here on wakes us; what came before is seen by this second look.
            self.signalled.store(false, Ordering::SeqCst);
            pop()
        })
    }

    /// Whether notices wait.
    pub(crate) fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    /// Whether one more rule may go that is to be told of.
    pub(crate) fn has_room(&self) -> bool {
        self.notices.len() < NOTICES
    }

    /// Puts a notice in.
    pub(crate) fn notify(&self, notice: Event) {
        self.notices.push(notice);
        self.wake();
    }

    /// Puts a packet in, which is not made at all if there is no room for it.
    pub(crate) fn send_up(&self, packet: impl FnOnce() -> PacketIn) {
        if self.packets.is_full() || self.packets.push(Box::new(packet())).is_err() {
            self.overflow.fetch_add(1, Ordering::Relaxed);
        } else {
            self.wake();
        }
    }

    fn wake(&self) {
        if !self.signalled.swap(true, Ordering::SeqCst)
            && let Some(wake) = self.waker.get()
        {
            wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::LinkState;

    fn packet() -> PacketIn {
        PacketIn {
            frame: Vec::new(),
            key: FlowKey::default(),
            reason: PacketInReason::Action,
            table: 0,
            cookie: 0,
            max_len: 0,
            controller_id: 0,
            userdata: Vec::new(),
        }
    }

    fn port_status() -> Event {
        let port = Port {
            number: openflow::OfPort(1),
            name: String::new(),
            hw_addr: [0; 6],
            flags: crate::port::PortFlags::default(),
            link: LinkState::default(),
            dp: None,
            peer: None,
            rx: Arc::default(),
            tx: Arc::default(),
            created_ns: 0,
        };
        Event::PortStatus { reason: PortReason::Add, port: Box::new(port) }
    }

    #[test]
    fn wakes_once_and_counts_the_packets_it_drops() {
        let (woken, overflow) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&woken);
        let waker: Arc<OnceLock<Waker>> = Arc::default();
        let events = Events::new(Arc::clone(&waker), Arc::clone(&overflow));
        let wake = move || {
            count.fetch_add(1, Ordering::Relaxed);
        };
        assert!(waker.set(Box::new(wake)).is_ok());
        (0..PACKETS).for_each(|_| events.send_up(packet));
        (0..3).for_each(|_| events.send_up(|| panic!("a packet is made only if there is room for it")));
        assert_eq!((woken.load(Ordering::Relaxed), overflow.load(Ordering::Relaxed)), (1, 3));
        assert!(events.pop().is_some());
    }

    #[test]
    fn packets_do_not_crowd_out_notices() {
        let events = Events::default();
        (0..2 * PACKETS).for_each(|_| events.send_up(packet));
        (0..NOTICES).for_each(|_| {
            assert!(events.has_room());
            events.notify(port_status());
        });
        assert!(!events.has_room());
        events.notify(port_status());
        let first = [events.pop(), events.pop(), events.pop_packet()];
        assert!(matches!(
            first,
            [Some(Event::PortStatus { .. }), Some(Event::PacketIn(_)), Some(Event::PacketIn(_))]
        ));
        let rest: Vec<_> = std::iter::from_fn(|| events.pop()).collect();
        let packets = rest.iter().filter(|event| matches!(event, Event::PacketIn(_))).count();
        assert_eq!((rest.len() - packets, packets), (NOTICES, PACKETS - 2));
    }
}
