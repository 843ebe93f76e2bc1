//! The tracker against a model of it, one packet at a time; and its invariants under many threads.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::tests::{SECOND, commit, send, udp};
use super::*;
use crate::dump::Cursor;
use crate::flush::Filter;
use crate::request::{Nat, NatChoice, NatRange, NatSide};
use crate::state::{EST, NEW, RPL};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Packet(Sent),
    Wait(u64),
    Sweep(usize),
    FlushZone(u16),
}

/// A UDP packet between two hosts, and what is asked about it.
#[derive(Clone, Debug)]
struct Sent {
    from: u16,
    to: u16,
    zone: u16,
    commit: bool,
    force: bool,
    mark: Option<u32>,
}

fn any_step() -> impl Strategy<Value = Step> {
    let mark = prop::option::of(0..4_u32);
    let packet = (0..4_u16, 0..4_u16, 0..2_u16, any::<bool>(), any::<bool>(), mark);
    prop_oneof![
        20 => packet.prop_map(|(from, to, zone, commit, force, mark)| {
            Step::Packet(Sent { from, to, zone, commit, force: commit && force, mark: mark.filter(|_| commit) })
        }),
        2 => (1..40_u64).prop_map(Step::Wait),
        1 => (1..20_usize).prop_map(Step::Sweep),
        1 => (0..2_u16).prop_map(Step::FlushZone),
    ]
}

/// A connection of the model.
struct Known {
    replied: bool,
    mark: u32,
    deadline: u64,
}

/// Connections by zone, first host and second host.
type Model = HashMap<(u16, u16, u16), Known>;

/// State bits and mark that the model gives a packet.
fn expect(model: &mut Model, sent: &Sent, now: u64) -> (u32, u32) {
    model.retain(|_, known| known.deadline > now);
    let (there, back) = ((sent.zone, sent.from, sent.to), (sent.zone, sent.to, sent.from));
    if sent.force && !model.contains_key(&there) {
        model.remove(&back);
    }
    let reply = !model.contains_key(&there);
    if let Some(known) = model.get_mut(if reply { &back } else { &there }) {
        known.replied |= reply;
        known.deadline = now + if known.replied { 30 } else { 60 };
        known.mark = sent.mark.unwrap_or(known.mark);
        let direction = if reply { RPL } else { 0 };
        return (TRK | if known.replied { EST | direction } else { NEW }, known.mark);
    }
    if !sent.commit {
        return (NEW | TRK, 0);
    }
    let mark = sent.mark.unwrap_or(0);
    model.insert(there, Known { replied: false, mark, deadline: now + 60 });
    (NEW | TRK, mark)
}

proptest! {
    #[test]
    fn every_packet_gets_what_the_model_says(steps in prop::collection::vec(any_step(), 1..120)) {
        let tracker = Tracker::new(Config::default());
        let mut model = Model::new();
        let mut now = 1;
        for step in steps {
            match step {
                Step::Packet(sent) => {
                    let Sent { zone, commit, force, .. } = sent;
                    let mark = sent.mark.map(|mark| (mark, u32::MAX));
                    let request = Request { zone, commit, force, mark, ..Request::default() };
                    let key = send(&tracker, &request, &udp(sent.from, 9, sent.to, 9), now * SECOND);
                    prop_assert_eq!((key.ct_state.get(), key.ct_mark.get()), expect(&mut model, &sent, now));
                }
                Step::Wait(seconds) => now += seconds,
                Step::Sweep(slots) => {
                    tracker.sweep(now * SECOND, slots);
                }
                Step::FlushZone(zone) => {
                    tracker.flush(&Filter::zone(zone), &mut Cursor::default(), usize::MAX);
                    model.retain(|(held, ..), _| *held != zone);
                }
            }
            tracker.table.check();
        }
        model.retain(|_, known| known.deadline > now);
        let mut dumped = Vec::new();
        tracker.dump(&mut Cursor::default(), now * SECOND, usize::MAX, &mut dumped);
        prop_assert_eq!(dumped.len(), model.len());
    }

    /// Whatever is asked and sent, there are never more connections than there may be, and what one side sends alone is never `est`.
    #[test]
    fn limits_hold_and_one_side_alone_is_never_established(
        packets in prop::collection::vec((any::<u16>(), 0..3_u16, 0..4_u8, any::<bool>(), 0..3_u64), 1..200),
        (max, zone_max) in (0..20_u32, 0..10_u32),
    ) {
        let tracker = Tracker::new(Config { max_connections: max, ..Config::default() });
        tracker.limits().set_default(Some(zone_max));
        let mut now = SECOND;
        for (port, zone, how, force, wait) in packets {
            now += wait * 10 * SECOND;
            let request = match how {
                0 => Request { zone, ..Request::default() },
                1 => Request { zone, force, ..commit() },
                _ => Request { zone, nat: Some(Nat::Translate(source_range(how))), ..commit() },
            };
            let key = send(&tracker, &request, &udp(1, port % 32, 2, 9), now);
            prop_assert_eq!(key.ct_state.get() & (EST | RPL), 0);
            prop_assert!(tracker.connections() <= max);
            prop_assert!((0..3).all(|zone| tracker.limits().count(zone) <= zone_max));
        }
        tracker.table.check();
    }
}

fn source_range(ports: u8) -> NatRange {
    let host = std::net::IpAddr::from([10, 0, 0, 100]);
    let ports = Some((5000, 5000 + u16::from(ports)));
    NatRange {
        side: NatSide::Src,
        addrs: Some((host, host)),
        ports,
        choice: NatChoice::Random,
        persistent: false,
    }
}

/// Workers send both directions of the same connections, translated and not, while others flush, sweep and dump.
#[test]
fn many_threads_leave_a_whole_table() {
    let tracker = Tracker::new(Config { max_connections: 100, ..Config::default() });
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (tracker, is_over) = (&tracker, &is_over);
        let workers: Vec<_> = (0..4).map(|seed| scope.spawn(move || worker(tracker, seed))).collect();
        for what in 0..3 {
            scope.spawn(move || {
                while !is_over.load(Relaxed) {
                    walk(tracker, what);
                }
            });
        }
        let ended: Vec<_> = workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Relaxed);
        ended.into_iter().for_each(|end| end.unwrap());
    });
    tracker.table.check();
    assert_eq!(tracker.connections(), (0..3).map(|zone| tracker.limits().count(zone)).sum::<u32>());
    tracker.flush(&Filter::default(), &mut Cursor::default(), usize::MAX);
    tracker.table.check();
    assert_eq!((tracker.connections(), tracker.limits().count(0)), (0, 0));
}

fn worker(tracker: &Tracker, seed: u64) {
    let mut rng = frames::Rng::new(seed);
    for n in 0..4000 {
        let (draw, back) = (rng.below(48) as u16, rng.one_in(2));
        let zone = draw % 3;
        let request = match rng.below(4) {
            0 => Request { zone, ..Request::default() },
            1 => Request { zone, force: rng.one_in(4), ..commit() },
            2 => Request { zone, nat: Some(Nat::Known), ..Request::default() },
            _ => Request { zone, nat: Some(Nat::Translate(source_range(8))), ..commit() },
        };
        let frame = if back { udp(2, 9, 1, draw) } else { udp(1, draw, 2, 9) };
        let state = send(tracker, &request, &frame, SECOND + n * SECOND / 100).ct_state.get();
        assert!(crate::state::is_possible(state), "{state:#x}");
        assert!(tracker.connections() <= 100);
    }
}

fn walk(tracker: &Tracker, what: u8) {
    match what {
        0 => {
            tracker.flush(&Filter::zone(1), &mut Cursor::default(), 100);
        }
        1 => {
            tracker.sweep(20 * SECOND, 50);
        }
        _ => tracker.dump(&mut Cursor::default(), SECOND, 100, &mut Vec::new()),
    }
    std::thread::yield_now();
}
