//! What the tracker counts of its own doings, by the names that `coverage/show` has.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counter {
    /// A connection was not kept because there were as many as there may be.
    Full,
    /// A connection was not kept because its zone had as many as it may have.
    ZoneFull,
    /// A connection was not kept because no free tuple was found to translate it to.
    NatExhausted,
    /// A connection that was announced is not expected because as many are as may be.
    ExpectationsFull,
    /// A half-open connection made room for another.
    Evicted,
    /// Events that a subscriber did not take in time.
    EventsLost,
    /// A bad IPv4 header checksum.
    L3Csum,
    /// A bad transport checksum.
    L4Csum,
    /// A header that is cut off.
    Short,
    /// A TCP segment that does not fit its connection.
    TcpSeq,
    /// An ICMP error about a connection that is not known.
    UnrelatedError,
}

/// Names, in the order of [`Counter`].
const NAMES: [&str; 11] = [
    "conntrack_full",
    "conntrack_zone_full",
    "conntrack_nat_exhausted",
    "conntrack_expectations_full",
    "conntrack_evicted",
    "conntrack_events_lost",
    "conntrack_l3csum_err",
    "conntrack_l4csum_err",
    "conntrack_short",
    "conntrack_tcp_seq_chk_failed",
    "conntrack_unrelated_error",
];

/// All counters of a tracker.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; NAMES.len()]);

impl Counters {
    /// Counts one.
    pub(crate) fn add(&self, counter: Counter) {
        self.0[counter as usize].fetch_add(1, Relaxed);
    }

    /// Name and value of each.
    pub(crate) fn named(&self) -> [(&'static str, u64); NAMES.len()] {
        std::array::from_fn(|i| (NAMES[i], self.0[i].load(Relaxed)))
    }
}
