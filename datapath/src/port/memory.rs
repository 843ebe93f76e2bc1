//! A port in memory, for tests: frames pushed into one end come out of its receive queue, frames sent come out of the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use packet::Packet;

use super::{Port, Queues, Readiness, RxQueue, TxQueue};

#[derive(Debug, Default)]
struct Ends {
    to_switch: VecDeque<Packet>,
    from_switch: VecDeque<Packet>,
}

/// The far end of a memory port.
#[derive(Clone, Debug, Default)]
pub struct Wires(Arc<Mutex<Ends>>);

impl Wires {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame in for the switch to receive.
    pub fn push(&self, packet: Packet) {
        self.ends().to_switch.push_back(packet);
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
        count
    }

    fn readiness(&self, _now_ns: u64) -> Readiness {
        Readiness::Now
    }
}

impl TxQueue for MemoryQueue {
    fn send(&mut self, batch: &mut Vec<Packet>) {
        self.0.ends().from_switch.extend(batch.drain(..));
    }
}
