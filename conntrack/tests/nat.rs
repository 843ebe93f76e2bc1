//! Many clients through one tracker: translated connections never meet, answers find home, and a range that is used up says so.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use conntrack::request::{Nat, NatChoice, NatRange, NatSide};
use conntrack::{Config, Cursor, Filter, Request, Tracker, state};
use frames::{Frame, L4, Net, Rng, V4};
use packet::{FlowKey, Packet, extract};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

/// Addresses and ports of a packet; for ICMP the identifier stands for both ports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Ends {
    src: ([u8; 4], u16),
    dst: ([u8; 4], u16),
    proto: u8,
}

impl Ends {
    fn back(self) -> Self {
        Self { src: self.dst, dst: self.src, ..self }
    }

    fn frame(self, reply: bool) -> Vec<u8> {
        let (src, dst, payload) = (self.src.1, self.dst.1, vec![1, 2, 3]);
        let l4 = match self.proto {
            6 => L4::Tcp { src, dst, flags: if reply { 0x12 } else { 2 }, options: vec![], payload: vec![] },
            17 => L4::Udp { src, dst, checksum: true, payload },
            132 => L4::Sctp {
                src,
                dst,
                payload: vec![
                    if reply { 2 } else { 1 },
                    0,
                    0,
                    20,
                    0,
                    0,
                    0,
                    9,
                    0,
                    0,
                    0,
                    0,
                    0,
                    1,
                    0,
                    1,
                    0,
                    0,
                    0,
                    1,
                ],
            },
            1 => {
                let id = self.src.1.to_be_bytes();
                L4::Icmp { kind: if reply { 0 } else { 8 }, code: 0, body: vec![id[0], id[1], 0, 1] }
            }
            proto => L4::Raw { proto, bytes: payload },
        };
        Frame::new(Net::V4(V4 { src: self.src.0, dst: self.dst.0, l4, ..V4::default() })).build()
    }

    fn of(frame: &[u8], key: &FlowKey) -> Self {
        let (mut sport, mut dport) = (key.tp_src.get(), key.tp_dst.get());
        if key.nw_proto == 1 {
            let at = usize::from(extract(frame, 0).1.l4) + 4;
            sport = u16::from_be_bytes([frame[at], frame[at + 1]]);
            dport = sport;
        }
        let (src, dst) = (key.nw_src.get().to_be_bytes(), key.nw_dst.get().to_be_bytes());
        Self { src: (src, sport), dst: (dst, dport), proto: key.nw_proto }
    }
}

/// Sends a packet; gives what comes out and its state.
fn send(tracker: &Tracker, request: &Request, ends: Ends, reply: bool) -> (Ends, u32) {
    let mut packet = Packet::copy_of(&ends.frame(reply)).unwrap();
    let (mut key, mut layers) = extract(packet.data(), 0);
    tracker.track(request, &mut packet, &mut layers, &mut key, SECOND);
    frames::verify(packet.data()).unwrap();
    (Ends::of(packet.data(), &extract(packet.data(), 0).0), key.ct_state.get())
}

fn range(side: NatSide, low: u32, count: u32, ports: Option<(u16, u16)>, choice: NatChoice) -> NatRange {
    let ip = |n: u32| IpAddr::from(Ipv4Addr::from(0xcb00_7100 + low + n));
    NatRange { side, addrs: (count > 0).then(|| (ip(0), ip(count - 1))), ports, choice, persistent: false }
}

fn any_range() -> impl Strategy<Value = NatRange> {
    let choice = prop_oneof![Just(NatChoice::Default), Just(NatChoice::Random)];
    let ports = prop::option::of((1u16..60_000, 0u16..300).prop_map(|(low, more)| (low, low + more)));
    (any::<bool>(), 0u32..4, ports, choice).prop_map(|(src, count, ports, choice)| {
        range(if src { NatSide::Src } else { NatSide::Dst }, 1, count, ports, choice)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn translated_connections_never_meet(range in any_range(), seed in any::<u64>()) {
        let tracker = Tracker::new(Config { seed, ..Config::default() });
        let commit = Request { commit: true, nat: Some(Nat::Translate(range)), ..Request::default() };
        let known = Request { nat: Some(Nat::Known), ..Request::default() };
        let mut rng = Rng::new(seed);
        let mut homes: HashMap<Ends, Ends> = HashMap::new();
        for _ in 0..400 {
            let proto = rng.pick(&[6, 6, 17, 17, 132, 1, 47]);
            let (sport, dport) = match proto {
                1 => { let id = rng.below(4) as u16; (id, id) }
                47 => (0, 0),
                _ => (rng.pick(&[5, 600, 1024, 4000, 4001, 65535]), rng.pick(&[53, 80])),
            };
            let ends = Ends {
                src: ([10, 0, 0, 1 + rng.below(9) as u8], sport),
                dst: ([192, 0, 2, 1 + rng.below(3) as u8], dport),
                proto,
            };
            let (out, bits) = send(&tracker, &commit, ends, false);
            if bits & state::INV != 0 {
                prop_assert_eq!(out, ends);
                continue;
            }
            // Whoever comes out under these ends is the one that came first.
            prop_assert_eq!(*homes.entry(out.back()).or_insert(ends.back()), ends.back());
        }
        prop_assert!(homes.len() > 20);
        for (arrives, home) in homes {
            let (out, bits) = send(&tracker, &known, arrives, true);
            prop_assert_eq!(out, home);
            prop_assert!(bits & state::RPL != 0, "{}", state::format(bits, u32::MAX));
        }
    }
}

#[test]
fn a_range_is_used_up_to_the_last_port_and_free_again_after_a_flush() {
    let tracker = Tracker::new(Config::default());
    let ports = Some((5000, 5099));
    let nat = Some(Nat::Translate(range(NatSide::Src, 1, 2, ports, NatChoice::Default)));
    let commit = Request { commit: true, nat, ..Request::default() };
    let open = |n: u16| {
        let src = ([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]], 7);
        send(&tracker, &commit, Ends { src, dst: ([192, 0, 2, 1], 80), proto: 6 }, false).1
    };
    let kept = (0..300).filter(|n| open(*n) & state::INV == 0).count();
    assert_eq!((kept, tracker.connections()), (200, 200));
    let counters: HashMap<_, _> = tracker.counters().into_iter().collect();
    assert_eq!(counters["conntrack_nat_exhausted"], 100);
    assert!(tracker.flush(&Filter::default(), &mut Cursor::default(), usize::MAX));
    assert!((0..150).all(|n| open(n) & state::INV == 0));
}
