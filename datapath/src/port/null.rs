//! The null port: receives nothing; counts, checks a sample of, and drops what is sent.
//!
//! One frame in [`SAMPLE`] has its checksums verified, so that a rate measured into this port is a rate of good frames. A bad one is
//! logged, once a second at most, and counted as [`DropReason::BadChecksum`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use packet::Packet;

use super::verify::wrong_checksum;
use super::{Capabilities, Port, Queues, TxQueue};
use crate::drops::DropReason;

/// One frame in so many is looked at.
pub const SAMPLE: usize = 1000;

/// The time between two complaints.
const QUIET: Duration = Duration::from_secs(1);

/// Opens a null port.
pub fn open(port: &Arc<Port>, workers: usize) -> Queues {
    port.set_mtu(0);
    port.set_capabilities(Capabilities::all());
    let tx = (0..workers).map(|_| Box::new(NullTx::new(port.clone())) as Box<dyn TxQueue>);
    Queues { tx: tx.collect(), ..Queues::default() }
}

/// The transmit side.
#[derive(Debug)]
struct NullTx {
    port: Arc<Port>,
    /// Frames until the next that is looked at.
    until_sample: usize,
    complained: Option<Instant>,
}

impl NullTx {
    fn new(port: Arc<Port>) -> Self {
        Self { port, until_sample: SAMPLE - 1, complained: None }
    }

    fn look_at(&mut self, packet: &Packet) {
        // What is left to a device to complete is not wrong.
        if !packet.offload.is_plain() {
            return;
        }
        let Some(what) = wrong_checksum(packet.data()) else { return };
        self.port.counters.dropped(DropReason::BadChecksum, 1);
        if self.complained.is_none_or(|last| last.elapsed() >= QUIET) {
            self.complained = Some(Instant::now());
            tracing::warn!(target: "netdev", "{}: a frame with a wrong {what} checksum was sent", self.port.name());
        }
    }
}

impl TxQueue for NullTx {
    fn send(&mut self, batch: &mut Vec<Packet>) {
        while let Some(packet) = batch.get(self.until_sample) {
            self.look_at(packet);
            self.until_sample += SAMPLE;
        }
        self.until_sample -= batch.len();
        batch.clear();
    }
}

/// A transmit queue that leads nowhere, for a port without one.
#[derive(Debug)]
pub struct Nowhere;

impl TxQueue for Nowhere {
    fn send(&mut self, batch: &mut Vec<Packet>) {
        batch.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::PortNo;
    use crate::port::{PortKind, PortSpec};

    #[test]
    fn one_frame_in_a_thousand_is_checked() {
        let port = Arc::new(Port::new(PortNo(1), PortSpec::new("n", PortKind::Null)));
        let mut tx = NullTx::new(port.clone());
        let bad = {
            let mut frame = frames::Frame::new(frames::Net::V4(frames::V4::default())).build();
            frame[24] ^= 1;
            Packet::copy_of(&frame).unwrap()
        };
        for _ in 0..93 {
            let mut batch = vec![bad.clone(); 32];
            tx.send(&mut batch);
            assert!(batch.is_empty());
        }
        assert_eq!(port.counters.read().dropped(DropReason::BadChecksum), 2);
        tx.send(&mut vec![bad.clone(); 32]);
        assert_eq!(port.counters.read().dropped(DropReason::BadChecksum), 3);
    }
}
