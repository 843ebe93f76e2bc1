//! Ports of a bridge: numbers, flags, state, and how a number is chosen.
//!
//! # Choosing a number
//!
//! As Open vSwitch does: a request is granted if the number is free and below 0xff00; else the search goes on
//! round from the number given last, and takes the first free one that has not been given back within the last hour;
//! only when all were in use lately does the one that has been free the longest come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitflags::bitflags;
use datapath::action::PortNo;
pub use openflow::OfPort;

use crate::counter::Counter;

/// First number that is reserved: ordinary ports are below.
const LIMIT: OfPort = OfPort(0xff00);

bitflags! {
    /// Settings of a port that a controller may change, in the bits of OpenFlow 1.0's `OFPPC_*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct PortFlags: u32 {
        /// Administratively down.
        const DOWN = 1 << 0;
        /// Received packets are dropped, except 802.1D spanning tree packets.
        const NO_RECV = 1 << 2;
        /// Received 802.1D spanning tree packets are dropped.
        const NO_RECV_STP = 1 << 3;
        /// Not part of a flood.
        const NO_FLOOD = 1 << 4;
        /// Nothing is sent.
        const NO_FWD = 1 << 5;
        /// No packet-in for its table misses.
        const NO_PACKET_IN = 1 << 6;
    }
}

/// What the device below a port is like; changes by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkState {
    /// No carrier.
    pub link_down: bool,
    /// The device is administratively down.
    pub admin_down: bool,
    /// Current features, bits of OpenFlow 1.1's `OFPPF_*` (speeds, duplex, medium).
    pub current: u32,
    /// Features advertised.
    pub advertised: u32,
    /// Features supported.
    pub supported: u32,
    /// Features advertised by the peer.
    pub peer: u32,
    /// Current speed in kbit/s, 0 if unknown.
    pub current_kbps: u32,
    /// Highest speed in kbit/s, 0 if unknown.
    pub max_kbps: u32,
}

/// One port.
#[derive(Clone, Debug)]
pub struct Port {
    /// Number.
    pub number: OfPort,
    /// Name.
    pub name: String,
    /// MAC address.
    pub hw_addr: [u8; 6],
    /// See [`PortFlags`].
    pub flags: PortFlags,
    /// See [`LinkState`].
    pub link: LinkState,
    /// Its port in the datapath; `None` for a patch port.
    pub dp: Option<PortNo>,
    /// Name of the peer of a patch port.
    pub peer: Option<String>,
    /// What a patch port received; others are counted by the datapath.
    pub rx: Arc<Counter>,
    /// What a patch port sent.
    pub tx: Arc<Counter>,
    /// When it was added, nanoseconds of the monotonic clock.
    pub created_ns: u64,
}

impl Port {
    /// Whether packets may leave by it as far as the link and the administrator are concerned.
    pub fn is_up(&self) -> bool {
        !self.flags.contains(PortFlags::DOWN)
    }
}

const QUARANTINE_NS: u64 = 3600 * 1_000_000_000;

/// Gives out port numbers.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    last: u32,
    freed_ns: BTreeMap<u32, u64>,
}

impl Numbers {
    /// A number for a new port, or `None` when all are taken.
    pub(crate) fn allocate(
        &mut self,
        request: Option<OfPort>,
        now_ns: u64,
        used: impl Fn(OfPort) -> bool,
    ) -> Option<OfPort> {
        if let Some(port) = request.filter(|p| p.0 > 0 && *p < LIMIT && !used(*p)) {
            return Some(port);
        }
        let count = LIMIT.0 - 1;
        let candidates = (0..count).map(|i| (self.last + i) % count + 1).filter(|n| !used(OfPort(*n)));
        let mut oldest: Option<(u64, u32)> = None;
        for number in candidates {
            match self.freed_ns.get(&number) {
                Some(&freed) if now_ns.saturating_sub(freed) < QUARANTINE_NS => {
                    oldest = oldest.filter(|(when, _)| *when <= freed).or(Some((freed, number)));
                }
                _ => {
                    self.last = number;
                    return Some(OfPort(number));
                }
            }
        }
        let (_, number) = oldest?;
        self.last = number;
        Some(OfPort(number))
    }

    /// Takes a number back.
    pub(crate) fn release(&mut self, port: OfPort, now_ns: u64) {
        self.freed_ns.insert(port.0, now_ns.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_up_and_rest_after_use() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.allocate(None, 0, |_| false), Some(OfPort(1)));
        assert_eq!(numbers.allocate(None, 0, |p| p.0 == 1), Some(OfPort(2)));
        assert_eq!(numbers.allocate(Some(OfPort(40)), 0, |_| false), Some(OfPort(40)));
        assert_eq!(numbers.allocate(Some(OfPort(40)), 0, |p| p.0 == 40 || p.0 < 3), Some(OfPort(3)));
        numbers.release(OfPort(4), 5);
        assert_eq!(numbers.allocate(None, 6, |p| p.0 < 4), Some(OfPort(5)));
        let full_but_4 = |p: OfPort| p.0 != 4;
        assert_eq!(numbers.allocate(None, 7, full_but_4), Some(OfPort(4)));
        assert_eq!(numbers.allocate(None, 7, |_| true), None);
    }
}
