//! The counters of one port, added to once per batch by any worker, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::action::DropReason;
use crate::owner::Hits;

/// Counters of one port. Bytes are counted from the Ethernet header on, without the frame check sequence; a super-frame is one
/// packet.
#[derive(Debug)]
pub struct Counters {
    rx_packets: AtomicU64,
    rx_bytes: AtomicU64,
    tx_packets: AtomicU64,
    tx_bytes: AtomicU64,
    drops: [AtomicU64; DropReason::COUNT],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            rx_packets: AtomicU64::new(0),
            rx_bytes: AtomicU64::new(0),
            tx_packets: AtomicU64::new(0),
            tx_bytes: AtomicU64::new(0),
            drops: [const { AtomicU64::new(0) }; DropReason::COUNT],
        }
    }
}

impl Counters {
    /// Counts received frames.
    pub fn received(&self, hits: Hits) {
        self.rx_packets.fetch_add(hits.packets, Ordering::Relaxed);
        self.rx_bytes.fetch_add(hits.bytes, Ordering::Relaxed);
    }

    /// Counts frames handed to the device.
    pub fn sent(&self, hits: Hits) {
        self.tx_packets.fetch_add(hits.packets, Ordering::Relaxed);
        self.tx_bytes.fetch_add(hits.bytes, Ordering::Relaxed);
    }

    /// Takes back what was counted as sent: the device refused it after all.
    pub fn unsent(&self, hits: Hits) {
        self.tx_packets.fetch_sub(hits.packets, Ordering::Relaxed);
        self.tx_bytes.fetch_sub(hits.bytes, Ordering::Relaxed);
    }

    /// Counts frames dropped for `reason`: on the port of arrival, or for a reason of transmit on the port of departure.
    pub fn dropped(&self, reason: DropReason, frames: u64) {
        self.drops[reason as usize].fetch_add(frames, Ordering::Relaxed);
    }

    /// Adds the drops that `other` counted.
    pub fn inherit(&self, other: &Self) {
        for (mine, theirs) in self.drops.iter().zip(&other.drops) {
            mine.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// What they all stand at now.
    pub fn read(&self) -> PortStats {
        PortStats {
            rx: Hits {
                packets: self.rx_packets.load(Ordering::Relaxed),
                bytes: self.rx_bytes.load(Ordering::Relaxed),
            },
            tx: Hits {
                packets: self.tx_packets.load(Ordering::Relaxed),
                bytes: self.tx_bytes.load(Ordering::Relaxed),
            },
            drops: std::array::from_fn(|reason| self.drops[reason].load(Ordering::Relaxed)),
        }
    }
}

/// A reading of a port's [`Counters`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortStats {
    /// Received.
    pub rx: Hits,
    /// Sent.
    pub tx: Hits,
    /// Dropped, by [`DropReason`].
    pub drops: [u64; DropReason::COUNT],
}

impl Default for PortStats {
    fn default() -> Self {
        Self { rx: Hits::default(), tx: Hits::default(), drops: [0; DropReason::COUNT] }
    }
}

impl PortStats {
    /// The frames dropped for a reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// Frames that came in and were dropped for want of a buffer or because they are no Ethernet frames.
    pub fn rx_dropped(&self) -> u64 {
        DropReason::ALL.iter().filter(|reason| reason.is_receive()).map(|reason| self.dropped(*reason)).sum()
    }

    /// Frames that were to go out and could not.
    pub fn tx_dropped(&self) -> u64 {
        DropReason::ALL.iter().filter(|reason| reason.is_transmit()).map(|reason| self.dropped(*reason)).sum()
    }
}
