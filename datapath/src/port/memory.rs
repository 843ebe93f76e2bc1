//! A port in memory, for tests: frames pushed into one end come out of its receive queue, frames sent come out of the other.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};
use packet::Packet;

use super::{Port, Queues, Readiness, RxQueue, TxQueue};

#[derive(Debug)]
struct Ends {
    to_switch: VecDeque<Packet>,
    from_switch: VecDeque<Packet>,
    /// The most frames in `from_switch`.
    room: usize,
    /// Readable while `to_switch` holds frames.
    event: Option<EventFd>,
}

/// The far end of a memory port.
#[derive(Clone, Debug)]
pub struct Wires(Arc<Mutex<Ends>>);

impl Default for Wires {
    fn default() -> Self {
        // Without a descriptor the worker polls.
        let event = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC).ok();
        let (to_switch, from_switch) = Default::default();
        Self(Arc::new(Mutex::new(Ends { to_switch, from_switch, room: usize::MAX, event })))
    }
}

impl Wires {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame in for the switch to receive.
    pub fn push(&self, packet: Packet) {
        let mut ends = self.ends();
        ends.to_switch.push_back(packet);
        if let Some(event) = &ends.event {
            // When its counter is full it is readable anyway.
            let _ = event.write(1);
        }
    }

    /// From now on at most so many sent frames wait here; what is more stays with the switch.
    pub fn set_room(&self, frames: usize) {
        self.ends().room = frames;
    }

    /// Takes the oldest frame that the switch sent.
    pub fn pop(&self) -> Option<Packet> {
        self.ends().from_switch.pop_front()
    }

    /// Takes all frames that the switch sent, oldest first.
    pub fn drain(&self) -> Vec<Packet> {
        self.ends().from_switch.drain(..).collect()
    }
}

/// Opens a memory port. It takes nothing but plain frames unless the test sets capabilities later.
pub fn open(_port: &Arc<Port>, wires: &Wires, workers: usize) -> Queues {
    let tx = (0..workers).map(|_| Box::new(MemoryQueue(wires.clone())) as Box<dyn TxQueue>);
    Queues { rx: vec![Box::new(MemoryQueue(wires.clone()))], tx: tx.collect(), keep: None }
}

/// Either side of the port, seen from a worker.
#[derive(Debug)]
struct MemoryQueue(Wires);

impl RxQueue for MemoryQueue {
    fn receive(&mut self, max: usize, _now_ns: u64, out: &mut Vec<Packet>) -> usize {
        let mut ends = self.0.ends();
        let count = max.min(ends.to_switch.len());
        out.extend(ends.to_switch.drain(..count));
        if count != 0
            && ends.to_switch.is_empty()
            && let Some(event) = &ends.event
        {
            // Nothing to read is as good.
            let _ = event.read();
        }
        count
    }

    fn readiness(&self, _now_ns: u64) -> Readiness {
        let ends = self.0.ends();
        ends.event.as_ref().map_or(Readiness::Now, |event| Readiness::Fd(event.as_fd().as_raw_fd()))
    }
}

impl TxQueue for MemoryQueue {
    fn send(&mut self, batch: &mut Vec<Packet>) {
        let mut ends = self.0.ends();
        let count = batch.len().min(ends.room.saturating_sub(ends.from_switch.len()));
        ends.from_switch.extend(batch.drain(..count));
    }
}
