//! Which ranges were found exhausted a moment ago.
//!
//! # Algorithm
//!
//! A search that fails has looked up [`TRIES`] tuples, and so would the next one, for every packet that wants in: cheap to send,
//! dear to answer. So a failure is noted, by a hash of the range and what the connection has besides it; for [`PAUSE_MS`] after it, searches
//! with that hash get [`SHORT`] tries. What has become free meanwhile in a long range is then found by luck, or by the next full search.
//!
//! A fixed table of one word each, the upper half the hash, the lower the time; two ranges that fall on one place overwrite each
//! other's note. No lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::choose::TRIES;
use super::hash;
use crate::request::{NatRange, NatSide};
use crate::tuple::Tuple;

/// Tries of a search shortly after one that failed.
pub(crate) const SHORT: u32 = 160;

/// How long a failure counts, in ms.
pub(crate) const PAUSE_MS: u32 = 1000;

/// Failures that are remembered.
const PLACES: usize = 1024;

/// See the module.
pub(crate) struct Pressure(Box<[AtomicU64]>);

/// A range as seen by a connection: where its failures are noted.
#[derive(Clone, Copy)]
pub(crate) struct Spot(u64);

impl Pressure {
    pub(crate) fn new() -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    /// Where failures of a connection's search are noted. What the search varies does not count: all clients of one server share a place.
    pub(crate) fn spot(range: &NatRange, tuple: &Tuple, seed: u64) -> Spot {
        let fixed = match range.side {
            NatSide::Src if range.addrs.is_some() => Tuple { src: [0; 16], sport: 0, ..*tuple },
            NatSide::Src => Tuple { sport: 0, ..*tuple },
            NatSide::Dst => Tuple { dst: [0; 16], dport: 0, sport: 0, ..*tuple },
        };
        // The upper half is never 0, which stands for "no note".
        Spot(hash::of_connection(range, &fixed, seed ^ u64::from(tuple.zone)) | 1 << 63)
    }

    /// How many tuples a search may look up.
    pub(crate) fn tries(&self, spot: Spot, now_ns: u64) -> u32 {
        let note = self.place(spot).load(Relaxed);
        let age_ms = millis(now_ns).wrapping_sub(note as u32);
        if note >> 32 == spot.0 >> 32 && age_ms < PAUSE_MS { SHORT } else { TRIES }
    }

    /// Notes that a full search has failed. After a short one the note stays as it is, so that there is a full one again.
    pub(crate) fn failed(&self, spot: Spot, tries: u32, now_ns: u64) {
        if tries == TRIES {
            self.place(spot).store(spot.0 & !0xffff_ffff | u64::from(millis(now_ns)), Relaxed);
        }
    }

    fn place(&self, spot: Spot) -> &AtomicU64 {
        &self.0[spot.0 as usize % PLACES]
    }
}

/// Milliseconds, modulo 2^32.
fn millis(now_ns: u64) -> u32 {
    (now_ns / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::NatChoice;

    #[test]
    fn a_failure_shortens_searches_for_a_while() {
        let pressure = Pressure::new();
        let (side, choice) = (NatSide::Src, NatChoice::Default);
        let addr = "192.0.2.1".parse().unwrap();
        let range = NatRange { side, addrs: Some((addr, addr)), ports: None, choice, persistent: false };
        let tuple =
            |client: u8, server: u8| Tuple { src: [client; 16], dst: [server; 16], ..Tuple::default() };
        let tries = |client, server, ms: u64| {
            pressure.tries(Pressure::spot(&range, &tuple(client, server), 5), ms * 1_000_000)
        };
        assert_eq!(tries(1, 1, 7000), TRIES);
        pressure.failed(Pressure::spot(&range, &tuple(1, 1), 5), TRIES, 7_000_000_000);
        assert_eq!(
            [tries(1, 1, 7000), tries(2, 1, 7999), tries(2, 1, 8000), tries(1, 2, 7000)],
            [SHORT, SHORT, TRIES, TRIES]
        );
        pressure.failed(Pressure::spot(&range, &tuple(1, 1), 5), SHORT, 7_900_000_000);
        assert_eq!(tries(1, 1, 8000), TRIES);
    }
}
