//! The choice of a free tuple in a range.
//!
//! # Algorithm
//!
//! The addresses of the range are gone through once around, from one that the hash (or, with `random`, the dice) picks. For
//! each, ports are searched in up to two walks, each around its own range and with the other port as it was:
//!
//! | asked | first walk | second walk |
//! |---|---|---|
//! | source, ports | source port in the given range, from a hashed one | |
//! | source | source port: its own, then those of its class | |
//! | destination, ports | destination port in the given range, from a hashed one | source port: its own, then its class |
//! | destination | source port: its own, then those of its class | |
//!
//! The classes of source ports are 1 to 511, 512 to 1023 (searched from 600 on) and 1024 up, since servers may trust low
//! ports. So the packet's own port is kept when it is free, and a destination translation falls back on another source port
//! rather than fail. These rules are those of Open vSwitch's userspace tracker. Two things go beyond it: the identifier of ICMP requests is
//! searched like a source port (from its own over all 65 536), and walks through long ranges leave the order of ports after
//! [`IN_ORDER`] steps and jump, since neighbours of a taken port are likely taken.
//!
//! All-zero source addresses leave the address alone, and its own port comes first: translated is only what collides.
//!
//! # Bounds
//!
//! At most `tries` tuples, as a rule [`TRIES`], are looked up, whatever the range. Every address gets an equal share, at least [`LEAST_SHARE`], as long as there are
//! any tries left. A range of up to half of [`TRIES`] tuples is searched wholly: if one is free it is found. In a larger one each call begins
//! elsewhere, and a call fails with a part `f` of the ports free with a probability of (1-f)^[`TRIES`]: one in
//! 10^18 at 1 %, one in 50 at 0.1 %. One try costs what `taken` does, 50 to 100 ns in a large table: 0.4 ms at the very worst.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet::parse::ip_proto;

use super::hash;
use crate::request::{NatChoice, NatRange, NatSide};
use crate::tuple::{Tuple, addr};

/// Most tuples that one choice looks up.
pub const TRIES: u32 = 4096;

/// Fewest tuples tried with one address, as long as any tries are left.
const LEAST_SHARE: u32 = 128;

/// Steps that a walk through a long range takes in order.
const IN_ORDER: u32 = 16;

/// Where hashes and random choices come from.
#[derive(Clone, Copy, Debug)]
pub struct Dice {
    /// Of the tracker: keeps hashes from being guessed.
    pub seed: u64,
    /// Another one at every call.
    pub fresh: u64,
}

/// Chooses the reply tuple of a new connection whose first packet is `tuple`, such that it is not `taken` (nor `tuple` itself).
/// `None` if no free one was found in `tries` tries, usually [`TRIES`].
pub fn choose(
    range: &NatRange,
    tuple: &Tuple,
    taken: &dyn Fn(&Tuple) -> bool,
    dice: Dice,
    tries: u32,
) -> Option<Tuple> {
    let hash = match range.choice {
        NatChoice::Random => hash::mix(dice.fresh, 1),
        NatChoice::Default | NatChoice::Hash => hash::of_connection(range, tuple, dice.seed),
    };
    let addrs = Addrs::new(range, tuple, hash);
    let share = u32::try_from(u128::from(tries) / addrs.count).unwrap_or(0).max(LEAST_SHARE);
    let mut search = Search { original: tuple, taken, left: tries, random: hash::mix(dice.fresh, 2) };
    for walk in walks(range, tuple, hash).into_iter().flatten() {
        for step in 0..addrs.count {
            let mut to = *tuple;
            match range.side {
                NatSide::Src => to.src = addrs.at(step),
                NatSide::Dst => to.dst = addrs.at(step),
            }
            if let found @ Some(_) = search.walk(to, &walk, share) {
                return found;
            }
            if search.left == 0 {
                return None;
            }
        }
    }
    None
}

/// The addresses of a range, as numbers, in the order in which they are tried.
struct Addrs {
    low: u128,
    count: u128,
    start: u128,
    v4: bool,
}

impl Addrs {
    fn new(range: &NatRange, tuple: &Tuple, hash: u64) -> Self {
        let own = match range.side {
            NatSide::Src => tuple.src,
            NatSide::Dst => tuple.dst,
        };
        let v4 = tuple.family == 4;
        let fits = |ip: &IpAddr| ip.is_ipv4() == v4 && !ip.is_unspecified();
        let (low, high) = match range.addrs {
            // An address of the other family would make a tuple that is none.
            Some((low, high)) if fits(&low) && fits(&high) => (addr(low), addr(high)),
            _ => (own, own),
        };
        let (low, high) = (u128::from_be_bytes(low), u128::from_be_bytes(high));
        let count = high.saturating_sub(low).saturating_add(1);
        let hash = if range.persistent { hash::of_client(range, tuple) } else { hash };
        // The lower half of the hash is the ports'.
        Self { low, count, start: u128::from(hash >> 16) % count, v4 }
    }

    /// The address at a step below `count`.
    fn at(&self, step: u128) -> [u8; 16] {
        let to_the_end = self.count - self.start;
        let offset = if step < to_the_end { self.start + step } else { step - to_the_end };
        let number = self.low + offset;
        match self.v4 {
            true => addr(Ipv4Addr::from(number as u32).into()),
            false => addr(Ipv6Addr::from(number).into()),
        }
    }
}

/// Which port a walk changes.
#[derive(Clone, Copy)]
enum Port {
    Src,
    Dst,
}

/// A walk through ports: `first`, which may lie outside, then `low` to `high` once around.
struct Walk {
    port: Port,
    /// The destination port on a walk through source ports, if it is another.
    dport: Option<u16>,
    first: u16,
    low: u16,
    high: u16,
}

/// The walks for a new connection, see the table above.
fn walks(range: &NatRange, tuple: &Tuple, hash: u64) -> [Option<Walk>; 2] {
    let only = |port, first, low, high| [Some(Walk { port, dport: None, first, low, high }), None];
    match tuple.proto {
        ip_proto::ICMP | ip_proto::ICMPV6 => only(Port::Src, tuple.sport, 0, u16::MAX),
        ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP => match (range.ports, range.side) {
            (None, _) => [Some(of_class(tuple.sport)), None],
            (Some(ports), NatSide::Src) => [Some(given(Port::Src, ports, hash)), None],
            (Some(ports), NatSide::Dst) => {
                let asked = given(Port::Dst, ports, hash);
                let fallback = Walk { dport: Some(asked.first), ..of_class(tuple.sport) };
                [Some(asked), Some(fallback)]
            }
        },
        _ => only(Port::Src, tuple.sport, tuple.sport, tuple.sport),
    }
}

/// The walk through the ports that were asked for.
fn given(port: Port, (low, high): (u16, u16), hash: u64) -> Walk {
    let high = high.max(low);
    let count = u64::from(high - low) + 1;
    Walk { port, dport: None, first: low + (hash % count) as u16, low, high }
}

/// The walk through the class that a source port belongs to.
fn of_class(own: u16) -> Walk {
    let (low, high) = match own {
        0..512 => (1, 511),
        512..1024 => (600, 1023),
        1024.. => (1024, u16::MAX),
    };
    Walk { port: Port::Src, dport: None, first: own, low, high }
}

impl Walk {
    /// The ports in the order in which they are tried: the first, its neighbours, then in strides that miss none, or at random
    /// where there are too many to try them all.
    fn ports(&self, random: u64) -> impl Iterator<Item = u16> {
        let count = u32::from(self.high - self.low) + 1;
        let start = u32::from(self.first.clamp(self.low, self.high) - self.low);
        let is_inside = (self.low..=self.high).contains(&self.first);
        let is_short = count <= LEAST_SHARE;
        let stride = (count <= TRIES / 2).then(|| stride(count, random));
        let in_order =
            (u32::from(is_inside)..if is_short { count } else { IN_ORDER }).map(move |step| start + step);
        let far = move |step: u32| match stride {
            Some(stride) => {
                (random >> 32) as u32 % count + (u64::from(step) * stride % u64::from(count)) as u32
            }
            None => hash::mix(random, u64::from(step)) as u32 % count,
        };
        let spread = (0..if is_short { 0 } else { count }).map(far);
        let low = self.low;
        let around = in_order.chain(spread).map(move |offset| low + (offset % count) as u16);
        std::iter::once(self.first).chain(around)
    }
}

/// A search under way.
struct Search<'a> {
    original: &'a Tuple,
    taken: &'a dyn Fn(&Tuple) -> bool,
    /// Tries left.
    left: u32,
    random: u64,
}

impl Search<'_> {
    /// Goes along a walk with the addresses of `to`, at most `share` steps.
    fn walk(&mut self, mut to: Tuple, walk: &Walk, share: u32) -> Option<Tuple> {
        let steps = share.min(self.left) as usize;
        to.dport = walk.dport.unwrap_or(to.dport);
        for port in walk.ports(self.random).take(steps) {
            match walk.port {
                Port::Src => to.sport = port,
                Port::Dst => to.dport = port,
            }
            self.left -= 1;
            let reply = to.reversed();
            if reply != *self.original && !(self.taken)(&reply) {
                return Some(reply);
            }
        }
        None
    }
}

/// A number below `count` without a common divisor with it, so that its multiples go through all numbers below `count`.
fn stride(count: u32, random: u64) -> u64 {
    let mut stride = 1 + (random as u32) % count;
    while gcd(stride, count) != 1 {
        stride += 1;
    }
    u64::from(stride)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const DICE: Dice = Dice { seed: 1, fresh: 2 };

    fn client(proto: u8, sport: u16) -> Tuple {
        let ip = |text: &str| addr(text.parse().unwrap());
        let dport = if proto == 1 { 0x0800 } else { 80 };
        Tuple { src: ip("10.0.0.1"), dst: ip("10.0.0.2"), sport, dport, zone: 0, proto, family: 4 }
    }

    fn range(side: NatSide, addrs: Option<(&str, &str)>, ports: Option<(u16, u16)>) -> NatRange {
        let addrs = addrs.map(|(low, high)| (low.parse().unwrap(), high.parse().unwrap()));
        NatRange { side, addrs, ports, choice: NatChoice::Default, persistent: false }
    }

    /// With the usual number of tries.
    fn choose(range: &NatRange, tuple: &Tuple, taken: &dyn Fn(&Tuple) -> bool, dice: Dice) -> Option<Tuple> {
        super::choose(range, tuple, taken, dice, TRIES)
    }

    fn free(_: &Tuple) -> bool {
        false
    }

    #[test]
    fn own_port_is_kept_when_it_is_free() {
        let one = range(NatSide::Src, Some(("192.0.2.1", "192.0.2.1")), None);
        for proto in [6, 17, 132, 1, 47] {
            let reply = choose(&one, &client(proto, 4000), &free, DICE).unwrap();
            let there = reply.reversed();
            assert_eq!((there.src_ip().to_string(), there.sport), ("192.0.2.1".into(), 4000));
            assert_eq!((there.dst, there.dport), (client(proto, 0).dst, client(proto, 0).dport));
        }
    }

    #[test]
    fn classes_of_source_ports() {
        let one = range(NatSide::Src, Some(("192.0.2.1", "192.0.2.1")), None);
        for (own, class) in
            [(0, 1..=511), (511, 1..=511), (512, 600..=1023), (700, 600..=1023), (9999, 1024..=65535)]
        {
            let taken = |reply: &Tuple| reply.dport == own;
            let reply = choose(&one, &client(6, own), &taken, DICE).unwrap();
            assert!(class.contains(&reply.dport) && reply.dport != own, "{own}: {}", reply.dport);
        }
    }

    #[test]
    fn all_zero_translates_only_what_collides() {
        let null = range(NatSide::Src, None, None);
        let tuple = client(6, 4000);
        assert_eq!(choose(&null, &tuple, &free, DICE), Some(tuple.reversed()));
        let collides = |reply: &Tuple| *reply == tuple.reversed();
        let reply = choose(&null, &tuple, &collides, DICE).unwrap();
        assert_eq!((reply.dst, reply.dport), (tuple.src, 4001));
    }

    #[test]
    fn identifiers_of_pings_move_when_they_collide() {
        let one = range(NatSide::Src, Some(("192.0.2.1", "192.0.2.1")), Some((5, 6)));
        let taken = |reply: &Tuple| reply.sport == 77;
        let reply = choose(&one, &client(1, 77), &taken, DICE).unwrap();
        assert_eq!((reply.sport, reply.dport), (78, 0));
    }

    #[test]
    fn destination_ports_fall_back_on_source_ports() {
        let one = range(NatSide::Dst, Some(("192.0.2.1", "192.0.2.1")), Some((8080, 8081)));
        let taken = |reply: &Tuple| reply.dport == 4000;
        let reply = choose(&one, &client(6, 4000), &taken, DICE).unwrap();
        assert!((8080..=8081).contains(&reply.sport));
        assert_eq!(reply.dport, 4001);
    }

    #[test]
    fn persistent_keeps_a_client_on_its_address() {
        let mut many = range(NatSide::Src, Some(("192.0.2.1", "192.0.2.200")), None);
        many.persistent = true;
        let addresses = |many: &NatRange| -> HashSet<[u8; 16]> {
            let choices = (1..200).map(|i| {
                let dice = Dice { seed: u64::from(i), fresh: u64::from(i) };
                choose(many, &client(6, 1024 + i), &free, dice).unwrap().dst
            });
            choices.collect()
        };
        assert_eq!(addresses(&many).len(), 1);
        many.persistent = false;
        assert!(addresses(&many).len() > 50);
    }

    #[test]
    fn random_differs_from_call_to_call_and_hash_does_not() {
        let mut ports = range(NatSide::Src, Some(("192.0.2.1", "192.0.2.1")), Some((1000, 60000)));
        let chosen = |ports: &NatRange| -> HashSet<u16> {
            let choices = (0..50)
                .map(|fresh| choose(ports, &client(6, 9), &free, Dice { seed: 7, fresh }).unwrap().dport);
            choices.collect()
        };
        assert_eq!(chosen(&ports).len(), 1);
        ports.choice = NatChoice::Random;
        assert!(chosen(&ports).len() > 40);
    }

    #[test]
    fn a_nearly_full_range_is_found_into() {
        let one = range(NatSide::Src, Some(("192.0.2.1", "192.0.2.1")), None);
        // One port in fifty is free, all of them far from the client's own.
        let taken = |reply: &Tuple| reply.dport < 50_000 || !reply.dport.is_multiple_of(12);
        for fresh in 0..200 {
            assert!(choose(&one, &client(17, 2000), &taken, Dice { seed: 0, fresh }).is_some());
        }
    }

    #[test]
    fn an_address_of_the_other_family_is_left_alone() {
        let wrong = range(NatSide::Src, Some(("fe80::1", "fe80::2")), None);
        assert_eq!(choose(&wrong, &client(6, 4000), &free, DICE), Some(client(6, 4000).reversed()));
    }

    fn any_range() -> impl Strategy<Value = NatRange> {
        let addrs = prop::option::of((0u32..5, 0u32..70_000).prop_map(|(low, more)| {
            let low = 0xc000_0200 + low;
            (Ipv4Addr::from(low).into(), Ipv4Addr::from(low + more % 9 * (more / 9)).into())
        }));
        let ports = prop::option::of(
            (1u16..2000, prop_oneof![0u16..10, 0u16..60000]).prop_map(|(low, more)| (low, low + more)),
        );
        let choice = prop_oneof![Just(NatChoice::Default), Just(NatChoice::Hash), Just(NatChoice::Random)];
        (any::<bool>(), addrs, ports, choice, any::<bool>()).prop_map(
            |(src, addrs, ports, choice, persistent)| NatRange {
                side: if src { NatSide::Src } else { NatSide::Dst },
                addrs,
                ports,
                choice,
                persistent,
            },
        )
    }

    /// Whether a translated tuple is one that the range allows.
    fn allowed(range: &NatRange, own: &Tuple, to: &Tuple) -> bool {
        let (mine, other, own_addr) = match range.side {
            NatSide::Src => (to.src_ip(), to.dst == own.dst, own.src_ip()),
            NatSide::Dst => (to.dst_ip(), to.src == own.src, own.dst_ip()),
        };
        let addr_fits = range.addrs.map_or(mine == own_addr, |(low, high)| (low..=high).contains(&mine));
        let within = |port: u16| range.ports.is_none_or(|(low, high)| (low..=high).contains(&port));
        let port_fits = match (own.proto, range.side) {
            (6 | 17 | 132, NatSide::Src) => within(to.sport) && to.dport == own.dport,
            (6 | 17 | 132, NatSide::Dst) => {
                within(to.dport) && (range.ports.is_some() || to.dport == own.dport)
            }
            (1, _) => to.dport == own.dport,
            _ => (to.sport, to.dport) == (own.sport, own.dport),
        };
        addr_fits && other && port_fits && (to.proto, to.zone, to.family) == (own.proto, own.zone, own.family)
    }

    proptest! {
        /// Never a taken one, never one outside, never more tries than allowed; and a free one in a short range is found.
        #[test]
        fn choices_are_free_inside_and_bounded(
            range in any_range(),
            proto in prop::sample::select(vec![1u8, 6, 17, 132, 47]),
            sport in any::<u16>(),
            fresh in any::<u64>(),
            rarity in prop::sample::select(vec![1u64, 2, 10, 1000, u64::MAX]),
        ) {
            let own = client(proto, sport);
            let tries = Cell::new(0);
            let is_free = |reply: &Tuple| hash::of_client(&range, &Tuple { src: addr_of(reply), ..*reply }).is_multiple_of(rarity);
            let taken = |reply: &Tuple| { tries.set(tries.get() + 1); !is_free(reply) };
            let found = choose(&range, &own, &taken, Dice { seed: 3, fresh });
            prop_assert!(tries.get() <= TRIES);
            tries.set(0);
            super::choose(&range, &own, &taken, Dice { seed: 3, fresh }, 100);
            prop_assert!(tries.get() <= 100);
            if let Some(reply) = found {
                prop_assert!(is_free(&reply));
                prop_assert!(allowed(&range, &own, &reply.reversed()), "{range:?} {own:?} {reply:?}");
            }
        }

        /// A range of up to half of the tries is searched wholly.
        #[test]
        fn the_last_free_tuple_of_a_short_range_is_found(
            addrs in 1u32..300,
            low in 1u16..60000,
            share in 0u32..=100,
            place in any::<u32>(),
            src in any::<bool>(),
            fresh in any::<u64>(),
        ) {
            let ports = (TRIES / 2 / addrs * share / 100).max(1);
            let high = u16::try_from(u32::from(low) + ports - 1).unwrap();
            let first = Ipv4Addr::new(192, 0, 2, 1);
            let last = Ipv4Addr::from(u32::from(first) + addrs - 1);
            let side = if src { NatSide::Src } else { NatSide::Dst };
            let choice = NatChoice::Hash;
            let range = NatRange { side, addrs: Some((first.into(), last.into())), ports: Some((low, high)), choice, persistent: false };
            let place = place % (addrs * ports);
            let wanted = (Ipv4Addr::from(u32::from(first) + place / ports), low + (place % ports) as u16);
            let seen = |reply: &Tuple| match side {
                NatSide::Src => (reply.dst_ip(), reply.dport),
                NatSide::Dst => (reply.src_ip(), reply.sport),
            };
            let found = choose(&range, &client(6, 3), &|reply| seen(reply) != (wanted.0.into(), wanted.1), Dice { seed: 4, fresh });
            prop_assert_eq!(found.map(|reply| seen(&reply)), Some((wanted.0.into(), wanted.1)));
        }
    }

    /// All of a tuple in the place that the hash looks at.
    fn addr_of(tuple: &Tuple) -> [u8; 16] {
        let mut out = [0; 16];
        out[..4].copy_from_slice(&tuple.src[12..]);
        out[4..8].copy_from_slice(&tuple.dst[12..]);
        out[8..10].copy_from_slice(&tuple.sport.to_be_bytes());
        out[10..12].copy_from_slice(&tuple.dport.to_be_bytes());
        out
    }
}
