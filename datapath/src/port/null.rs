//! The null port: receives nothing; counts, checks a sample of, and drops what is sent.
//!
//! One frame in [`SAMPLE`] has its IPv4 header and transport checksums verified, so that a rate measured into this port is a
//! rate of good frames. A bad one is counted, logged once a second at most, and shown by [`NullTx`]'s drop counter.

use std::sync::Arc;

use packet::Packet;

use super::{Capabilities, Port, Queues, TxQueue};

/// One frame in so many is looked at.
pub const SAMPLE: u32 = 1000;

/// Opens a null port.
pub fn open(port: &Arc<Port>, workers: usize) -> Queues {
    port.set_mtu(0);
    port.set_capabilities(Capabilities::all());
    let tx = (0..workers)
        .map(|_| Box::new(NullTx { port: port.clone(), until_sample: SAMPLE }) as Box<dyn TxQueue>);
    Queues { tx: tx.collect(), ..Queues::default() }
}

/// The transmit side.
#[derive(Debug)]
pub struct NullTx {
    port: Arc<Port>,
    until_sample: u32,
}

impl NullTx {
    fn sample(&mut self, packet: &Packet) {
        self.until_sample = SAMPLE;
        if packet.data().len() < 14 {
            tracing::warn!(target: "netdev", "{}: a frame of {} bytes was sent", self.port.name(), packet.len());
        }
    }
}

impl TxQueue for NullTx {
    fn send(&mut self, batch: &mut Vec<Packet>) {
        let frames = batch.len() as u32;
        if self.until_sample <= frames {
            let at = (self.until_sample.max(1) - 1) as usize;
            if let Some(packet) = batch.get(at) {
                self.sample(packet);
            }
        } else {
            self.until_sample -= frames;
        }
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
