//! The UDP source port of an outer packet: a hash of the inner flow (RFC 7348, 5; RFC 8926, 3.3), so that the network between spreads
//! flows over its paths and keeps each in order.

use packet::FlowKey;
use packet::parse::eth_type;

/// The ports to choose from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortRange {
    min: u16,
    max: u16,
}

impl Default for PortRange {
    /// That of Open vSwitch: Linux's ephemeral ports.
    fn default() -> Self {
        Self { min: 32768, max: 61000 }
    }
}

impl PortRange {
    /// From `min` to `max`, both included; `None` when that is no range, or has port 0.
    pub const fn new(min: u16, max: u16) -> Option<Self> {
        if min == 0 || min > max { None } else { Some(Self { min, max }) }
    }

    /// The least port and the greatest.
    pub const fn bounds(self) -> (u16, u16) {
        (self.min, self.max)
    }

    /// The port of a flow.
    pub const fn port(self, hash: u32) -> u16 {
        let count = (self.max - self.min) as u64 + 1;
        self.min + ((hash as u64 * count) >> 32) as u16
    }
}

/// A hash of the inner flow: addresses, protocol and ports of an IP packet, Ethernet addresses and type of another. All fragments
/// of a packet have the same, since none looks at ports.
pub fn flow_hash(key: &FlowKey) -> u32 {
    let six = |a: &[u8; 6]| u64::from_be_bytes([0, 0, a[0], a[1], a[2], a[3], a[4], a[5]]);
    let kind = u64::from(key.eth_type.get());
    let state = match key.eth_type.get() {
        eth_type::IPV4 => mix(kind, u64::from(key.nw_src.get()) << 32 | u64::from(key.nw_dst.get())),
        eth_type::IPV6 => {
            let halves = |addr: [u8; 16]| {
                let bits = u128::from_be_bytes(addr);
                [(bits >> 64) as u64, bits as u64]
            };
            halves(key.ipv6_src).into_iter().chain(halves(key.ipv6_dst)).fold(kind, mix)
        }
        _ => return finish(mix(mix(kind, six(&key.eth_src)), six(&key.eth_dst))),
    };
    let ports =
        if key.nw_frag == 0 { u64::from(key.tp_src.get()) << 16 | u64::from(key.tp_dst.get()) } else { 0 };
    finish(mix(state, u64::from(key.nw_proto) << 32 | ports))
}

/// Spreads what is in the low bits to the high ones, which choose the port.
fn finish(state: u64) -> u32 {
    (mix(state ^ state >> 29, state.rotate_left(32)) >> 32) as u32
}

/// Folds a word in: the two halves of a long product with an odd constant (the golden ratio's bits).
fn mix(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word ^ 0x243f_6a88_85a3_08d3) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ranges() {
        assert_eq!(PortRange::new(0, 5), None);
        assert_eq!(PortRange::new(6, 5), None);
        let range = PortRange::new(100, 103).unwrap();
        assert_eq!([0, 1 << 30, 1 << 31, u32::MAX].map(|hash| range.port(hash)), [100, 101, 102, 103]);
        assert_eq!(PortRange::new(9, 9).unwrap().port(u32::MAX), 9);
        assert_eq!(PortRange::new(1, 65535).unwrap().port(u32::MAX), 65535);
        assert_eq!(PortRange::default().bounds(), (32768, 61000));
    }

    #[test]
    fn flows_are_spread_and_fragments_are_not() {
        for kind in [eth_type::IPV4, eth_type::IPV6] {
            let mut key = FlowKey::default();
            key.eth_type.set(kind);
            let mut of = |port: u16, frag| {
                key.tp_src.set(port);
                key.nw_frag = frag;
                PortRange::default().port(flow_hash(&key))
            };
            let ports: HashSet<_> = (0..10_000).map(|port| of(port, 0)).collect();
            assert!(ports.len() > 7500, "{} ports for 10 000 flows", ports.len());
            assert_eq!(of(1, 1), of(2, 3));
        }
        let mut key = FlowKey::default();
        let mut of = |mac: u16| {
            key.eth_src[4..].copy_from_slice(&mac.to_be_bytes());
            PortRange::default().port(flow_hash(&key))
        };
        let macs: HashSet<_> = (0..1000).map(&mut of).collect();
        assert!(macs.len() > 950);
    }
}
