//! The order in which ports are listed in replies: that of Open vSwitch, whose `dump-ports` shows them as its hash table
//! holds them, so that scripts that compare the two see the same lines.
//!
//! # Algorithm
//!
//! The hash is MurmurHash3 (32 bits) of two words, the port number and zero. Buckets are a power of two, a new port goes to the head of
//! its bucket, and when there are twice as many ports as buckets, all are moved, bucket by bucket, to as many buckets as the number
//! of ports rounded down to a power of two. Costs O(n) for n ports, once per reply.

use crate::port::Port;

/// Fewest buckets once there are two ports.
const MIN_BUCKETS: usize = 4;

/// The ports in that order. Ports that share a bucket stand by age.
pub(crate) fn arrange(mut ports: Vec<Port>) -> Vec<Port> {
    ports.sort_by_key(|port| port.created_ns);
    let mut buckets: Vec<Vec<Port>> = vec![Vec::new()];
    for (count, port) in (1..).zip(ports) {
        insert(&mut buckets, port);
        if count / 2 >= buckets.len() {
            buckets = rehash(buckets, count);
        }
    }
    // The head of a bucket is the end of its vector.
    buckets.into_iter().flat_map(|bucket| bucket.into_iter().rev()).collect()
}

fn insert(buckets: &mut [Vec<Port>], port: Port) {
    let index = hash(u32::from(port.number.to_u16())) as usize & (buckets.len() - 1);
    buckets[index].push(port);
}

fn rehash(buckets: Vec<Vec<Port>>, count: usize) -> Vec<Vec<Port>> {
    let size = (1 << count.ilog2()).max(MIN_BUCKETS);
    let mut bigger = vec![Vec::new(); size];
    buckets
        .into_iter()
        .for_each(|bucket| bucket.into_iter().rev().for_each(|port| insert(&mut bigger, port)));
    bigger
}

/// MurmurHash3's 32-bit hash, seeded with the number itself, of two zero words that count as eight bytes.
fn hash(number: u32) -> u32 {
    let round = |hash: u32| hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    let mut hash = round(round(number)) ^ 8;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{LinkState, OfPort, PortFlags};

    fn port(number: u32, created_ns: u64) -> Port {
        Port {
            number: OfPort(number),
            name: String::new(),
            hw_addr: [0; 6],
            flags: PortFlags::default(),
            link: LinkState::default(),
            dp: None,
            peer: None,
            created_ns,
            rx: std::sync::Arc::default(),
            tx: std::sync::Arc::default(),
        }
    }

    /// What `dump-ports` of Open vSwitch 3.1.0 showed for ports added in this order.
    #[test]
    fn as_open_vswitch_lists_them() {
        let local = OfPort::LOCAL.0;
        let added = [local, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20, 30, 40];
        let ports = (0..).zip(added).map(|(at, number)| port(number, at)).collect();
        let order: Vec<u32> = arrange(ports).iter().map(|port| port.number.0).collect();
        assert_eq!(order, [local, 8, 10, 30, 11, 5, 9, 12, 20, 7, 6, 4, 1, 2, 40, 3]);
    }
}
