//! Where in a range the search begins.

use std::net::IpAddr;

use zerocopy::IntoBytes;

use crate::request::NatRange;
use crate::tuple::{Tuple, addr};

/// A hash of the range and the connection's addresses, ports and protocol (not its zone).
pub(super) fn of_connection(range: &NatRange, tuple: &Tuple, seed: u64) -> u64 {
    add(of_range(range, seed), Tuple { zone: 0, ..*tuple }.as_bytes())
}

/// A hash of the range and the client's address only, without a seed: the same after a restart.
pub(super) fn of_client(range: &NatRange, tuple: &Tuple) -> u64 {
    add(of_range(range, 0), &tuple.src)
}

fn of_range(range: &NatRange, seed: u64) -> u64 {
    let (low, high) =
        range.addrs.map_or(([0; 16], [0; 16]), |(low, high): (IpAddr, IpAddr)| (addr(low), addr(high)));
    let (first, last) = range.ports.unwrap_or_default();
    add(add(mix(seed, u64::from(first) << 16 | u64::from(last)), &low), &high)
}

fn add(hash: u64, bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(hash, |hash, word| mix(hash, u64::from_be_bytes(*word)))
}

/// One step: every bit of both reaches every bit of the result (the finish of SplitMix64).
pub(super) fn mix(hash: u64, word: u64) -> u64 {
    let mut z = (hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
