//! Packets through a tracker, one rule a test.

use frames::{Frame, L4 as Transport, Net, V4};
use packet::{FlowKey, extract};

use super::*;
use crate::dump::Cursor;
use crate::flush::{Filter, TupleFilter};
use crate::request::{Nat, NatChoice, NatRange, NatSide};
use crate::state::{EST, NEW, RPL};
use crate::sweep::Swept;

pub(super) const SECOND: u64 = 1_000_000_000;

/// A UDP frame from host `a`, port `ap`, to host `b`, port `bp`, of 10.0.0.0/16.
pub(super) fn udp(a: u16, ap: u16, b: u16, bp: u16) -> Vec<u8> {
    let host = |n: u16| [10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]];
    let l4 = Transport::Udp { src: ap, dst: bp, checksum: true, payload: vec![1, 2, 3] };
    Frame::new(Net::V4(V4 { src: host(a), dst: host(b), l4, ..V4::default() })).build()
}

/// Sends a frame through the tracker; gives its key.
pub(super) fn send(tracker: &Tracker, request: &Request, frame: &[u8], now_ns: u64) -> FlowKey {
    let mut packet = Packet::copy_of(frame).unwrap();
    let (mut key, mut layers) = extract(packet.data(), 2);
    tracker.track(request, &mut packet, &mut layers, &mut key, now_ns);
    key
}

pub(super) fn commit() -> Request {
    Request { commit: true, ..Request::default() }
}

fn state(key: &FlowKey) -> u32 {
    key.ct_state.get()
}

#[test]
fn only_commit_keeps_a_connection() {
    let tracker = Tracker::new(Config::default());
    let (there, back) = (udp(1, 1000, 2, 53), udp(2, 53, 1, 1000));
    let look = Request::default();
    assert_eq!(state(&send(&tracker, &look, &there, SECOND)), NEW | TRK);
    assert_eq!(state(&send(&tracker, &look, &back, SECOND)), NEW | TRK);
    assert_eq!(tracker.connections(), 0);
    assert_eq!(state(&send(&tracker, &commit(), &there, SECOND)), NEW | TRK);
    assert_eq!(state(&send(&tracker, &look, &there, SECOND)), NEW | TRK);
    let key = send(&tracker, &look, &back, SECOND);
    assert_eq!(state(&key), EST | RPL | TRK);
    assert_eq!((key.ct_nw_src.get(), key.ct_tp_src.get(), key.ct_tp_dst.get()), (0x0a000001, 1000, 53));
    assert_eq!(state(&send(&tracker, &look, &there, SECOND)), EST | TRK);
    let elsewhere = Request { zone: 1, ..look };
    assert_eq!(state(&send(&tracker, &elsewhere, &there, SECOND)), NEW | TRK);
}

#[test]
fn a_hint_that_is_wrong_changes_nothing() {
    let tracker = Tracker::new(Config::default());
    for port in 1..4 {
        send(&tracker, &commit(), &udp(1, port, 2, 9), 1);
        send(&tracker, &commit(), &udp(2, 9, 1, port), 2);
    }
    let mut packet = Packet::copy_of(&udp(2, 9, 1, 2)).unwrap();
    let (mut key, mut layers) = extract(packet.data(), 2);
    tracker.track(&commit(), &mut packet, &mut layers, &mut key, 3);
    let right = packet.connection;
    assert_ne!(right, 0);
    for hint in [0, 1, right ^ 1, right + 1, right + 2, 1 << 28, u32::MAX, right] {
        (packet.connection, key.ct_state) = (hint, 0.into());
        tracker.track(&commit(), &mut packet, &mut layers, &mut key, 4);
        assert_eq!((state(&key), packet.connection), (EST | RPL | TRK, right), "hint {hint}");
    }
    assert!(tracker.flush(&Filter::default(), &mut Cursor::default(), 1 << 20));
    key.ct_state.set(0);
    tracker.track(&Request::default(), &mut packet, &mut layers, &mut key, 5);
    assert_eq!((state(&key), packet.connection), (NEW | TRK, 0));
}

#[test]
fn force_turns_a_connection_around() {
    let tracker = Tracker::new(Config::default());
    let (there, back) = (udp(1, 1000, 2, 53), udp(2, 53, 1, 1000));
    send(&tracker, &commit(), &there, SECOND);
    let force = Request { force: true, ..commit() };
    assert_eq!(state(&send(&tracker, &force, &back, SECOND)), NEW | TRK);
    assert_eq!(state(&send(&tracker, &Request::default(), &there, SECOND)), EST | RPL | TRK);
    assert_eq!(state(&send(&tracker, &force, &back, SECOND)), EST | TRK);
    assert_eq!(tracker.connections(), 1);
}

#[test]
fn mark_and_label_change_under_their_masks() {
    let tracker = Tracker::new(Config::default());
    let frame = udp(1, 1000, 2, 53);
    let first = Request { mark: Some((0xff, 0x0f)), label: Some((1 << 100, u128::MAX)), ..commit() };
    let key = send(&tracker, &first, &frame, SECOND);
    assert_eq!((key.ct_mark.get(), u128::from_be_bytes(key.ct_label)), (0x0f, 1 << 100));
    let second = Request { mark: Some((0xa0, 0xf0)), ..commit() };
    assert_eq!(send(&tracker, &second, &frame, SECOND).ct_mark.get(), 0xaf);
    let key = send(&tracker, &Request::default(), &udp(2, 53, 1, 1000), SECOND);
    assert_eq!((key.ct_mark.get(), u128::from_be_bytes(key.ct_label)), (0xaf, 1 << 100));
}

#[test]
fn a_connection_is_forgotten_at_its_deadline() {
    let tracker = Tracker::new(Config::default());
    let frame = udp(1, 1000, 2, 53);
    send(&tracker, &commit(), &frame, SECOND);
    assert_eq!(
        state(&send(&tracker, &Request::default(), &udp(2, 53, 1, 1000), 60 * SECOND)),
        EST | RPL | TRK
    );
    assert_eq!(tracker.sweep(89 * SECOND, 10), Swept { seen: 1, expired: 0, round: true });
    assert_eq!(state(&send(&tracker, &Request::default(), &frame, 90 * SECOND)), NEW | TRK);
    assert_eq!(tracker.connections(), 0);
    send(&tracker, &commit(), &frame, 90 * SECOND);
    assert_eq!(tracker.sweep(150 * SECOND, 10).expired, 1);
    assert_eq!((tracker.connections(), tracker.limits().count(0)), (0, 0));
}

#[test]
fn a_flush_takes_what_its_filter_means() {
    let tracker = Tracker::new(Config::default());
    for port in 0..100 {
        let request = Request { zone: port % 4, mark: Some((u32::from(port), u32::MAX)), ..commit() };
        send(&tracker, &request, &udp(1, port, 2, 53), SECOND);
    }
    let mut cursor = Cursor::default();
    let flush = |filter: &Filter| assert!(tracker.flush(filter, &mut Cursor::default(), usize::MAX));
    let odd = Filter { mark: Some((1, 1)), ..Filter::zone(1) };
    assert!(!tracker.flush(&odd, &mut cursor, 99) && tracker.flush(&odd, &mut cursor, 99));
    assert_eq!(tracker.connections(), 75);
    let reply = TupleFilter { src: Some([10, 0, 0, 2].into()), dport: Some(2), ..TupleFilter::default() };
    flush(&Filter { reply: Some(reply), ..Filter::default() });
    assert_eq!(tracker.connections(), 74);
    let (src, dst) = (Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()));
    let exact =
        TupleFilter { proto: Some(17), src, dst, sport: Some(4), dport: Some(53), ..TupleFilter::default() };
    let done = |zone: u16| {
        let filter = Filter { original: Some(exact.clone()), ..Filter::zone(zone) };
        tracker.flush(&filter, &mut Cursor::default(), 1)
    };
    // The right zone is zone 0: port 4 is in no other.
    assert!(done(2) && tracker.connections() == 74 && done(0));
    assert_eq!(tracker.connections(), 73);
    flush(&Filter::default());
    assert_eq!(tracker.connections(), 0);
}

#[test]
fn one_connection_is_flushed_by_either_of_its_tuples() {
    let tracker = Tracker::new(Config::default());
    (1..=3).for_each(|port| {
        send(&tracker, &Request { zone: 5, ..commit() }, &udp(1, port, 2, 53), SECOND);
    });
    let wanted = |zone: Option<u16>, swap: bool| {
        let (a, b) = (Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()));
        let (src, dst, sport, dport) =
            if swap { (b, a, Some(53), Some(2)) } else { (a, b, Some(1), Some(53)) };
        let tuple = TupleFilter { proto: Some(17), src, dst, sport, dport, ..TupleFilter::default() };
        Filter { zone, original: Some(tuple), ..Filter::default() }.exact().unwrap()
    };
    assert!(!tracker.flush_one(&wanted(None, false), SECOND));
    assert!(
        tracker.flush_one(&wanted(Some(5), false), SECOND)
            && !tracker.flush_one(&wanted(Some(5), false), SECOND)
    );
    assert!(tracker.flush_one(&wanted(Some(5), true), SECOND));
    assert_eq!((tracker.connections(), tracker.limits().count(5)), (1, 1));
}

#[test]
fn limits_refuse_and_half_open_ones_make_room() {
    let tracker = Tracker::new(Config { max_connections: 10, ..Config::default() });
    tracker.limits().set(5, Some(3));
    let open =
        |zone: u16, port: u16| send(&tracker, &Request { zone, ..commit() }, &udp(1, port, 2, 53), SECOND);
    (0..5).for_each(|port| assert_eq!(state(&open(5, port)), NEW | TRK));
    assert_eq!((tracker.limits().count(5), tracker.connections()), (3, 3));
    let established = |port: u16| {
        open(0, port);
        send(&tracker, &Request::default(), &udp(2, 53, 1, port), SECOND);
    };
    (0..10).for_each(established);
    assert_eq!((tracker.limits().count(5), tracker.connections()), (0, 10));
    assert_eq!(state(&open(0, 99)), NEW | TRK);
    assert_eq!(tracker.connections(), 10);
    let counters: std::collections::HashMap<_, _> = tracker.counters().into_iter().collect();
    let of = |name: &str| counters[name];
    assert_eq!((of("conntrack_zone_full"), of("conntrack_full"), of("conntrack_evicted")), (2, 1, 3));
}

#[test]
fn events_tell_what_becomes_of_a_connection() {
    let tracker = Tracker::new(Config::default());
    let events = tracker.subscribe(3);
    send(&tracker, &commit(), &udp(1, 1000, 2, 53), SECOND);
    send(&tracker, &Request::default(), &udp(2, 53, 1, 1000), 2 * SECOND);
    send(&tracker, &Request::default(), &udp(2, 53, 1, 1000), 2 * SECOND);
    tracker.sweep(100 * SECOND, 10);
    let seen: Vec<(What, u64)> =
        std::iter::from_fn(|| events.poll()).map(|event| (event.what, event.at_ns)).collect();
    let expected =
        [(What::New, SECOND), (What::Update, 2 * SECOND), (What::Destroy(Reason::Expired), 100 * SECOND)];
    assert_eq!(seen, expected);
    for port in 0..5 {
        send(&tracker, &commit(), &udp(3, port, 2, 53), SECOND);
    }
    assert_eq!(events.lost(), 2);
    drop(events);
    assert!(!tracker.subscribers.any());
}

#[test]
fn an_update_tells_of_a_change_that_can_be_seen() {
    let tracker = Tracker::new(Config::default());
    let events = tracker.subscribe(9);
    let syn = |payload: usize| {
        let l4 = Transport::Tcp { src: 1, dst: 2, flags: 2, options: Vec::new(), payload: vec![1; payload] };
        Frame::new(Net::V4(V4 { l4, ..V4::default() })).build()
    };
    // The second one goes beyond what the first one sent, which moves the window and nothing that is shown.
    for payload in [0, 4] {
        send(&tracker, &commit(), &syn(payload), SECOND);
    }
    assert!(tracker.flush(&Filter::default(), &mut Cursor::at(7 * SECOND), usize::MAX));
    let seen: Vec<_> = std::iter::from_fn(|| events.poll()).map(|event| (event.what, event.at_ns)).collect();
    assert_eq!(seen, [(What::New, SECOND), (What::Destroy(Reason::Flushed), 7 * SECOND)]);
}

fn snat(ports: (u16, u16)) -> Request {
    let host = std::net::IpAddr::from([10, 0, 0, 100]);
    let range = NatRange {
        side: NatSide::Src,
        addrs: Some((host, host)),
        ports: Some(ports),
        choice: NatChoice::Default,
        persistent: false,
    };
    Request { nat: Some(Nat::Translate(range)), ..commit() }
}

#[test]
fn translation_there_and_back_and_its_state_bits() {
    let tracker = Tracker::new(Config::default());
    let look = Request { nat: Some(Nat::Known), ..Request::default() };
    let mut packet = Packet::copy_of(&udp(1, 1000, 2, 53)).unwrap();
    let (mut key, mut layers) = extract(packet.data(), 2);
    let tracked = tracker.track(&snat((5000, 5000)), &mut packet, &mut layers, &mut key, SECOND);
    assert_eq!((tracked, state(&key)), (Tracked::Edited, NEW | TRK | SNAT));
    frames::verify(packet.data()).unwrap();
    assert_eq!(packet.data(), udp(100, 5000, 2, 53));
    // Again in the same zone: found although it is translated, and not translated twice.
    layers = packet::extract_into(packet.data(), 2, &mut key);
    assert_eq!(tracker.track(&look, &mut packet, &mut layers, &mut key, SECOND), Tracked::Plain);
    assert_eq!((state(&key), key.ct_nw_src.get()), (NEW | TRK | SNAT, 0x0a000001));
    let mut back = Packet::copy_of(&udp(2, 53, 100, 5000)).unwrap();
    let (mut key, mut layers) = extract(back.data(), 2);
    assert_eq!(tracker.track(&look, &mut back, &mut layers, &mut key, SECOND), Tracked::Edited);
    assert_eq!((state(&key), back.data()), (EST | RPL | TRK | DNAT, &udp(2, 53, 1, 1000)[..]));
    // Without `nat` nothing is translated.
    assert_eq!(state(&send(&tracker, &Request::default(), &udp(1, 1000, 2, 53), SECOND)), EST | TRK);
}

#[test]
fn an_exhausted_range_makes_invalid_until_a_connection_has_expired() {
    let tracker = Tracker::new(Config::default());
    let open = |port: u16, at: u64| state(&send(&tracker, &snat((5000, 5001)), &udp(1, port, 2, 53), at));
    assert_eq!((open(1, SECOND), open(2, 2 * SECOND)), (NEW | TRK | SNAT, NEW | TRK | SNAT));
    assert_eq!((open(3, 3 * SECOND), tracker.connections(), tracker.limits().count(0)), (INV | TRK, 2, 2));
    assert_eq!((open(3, 61 * SECOND), tracker.connections()), (NEW | TRK | SNAT, 2));
}

#[test]
fn a_key_older_than_the_packet_does_not_mislead() {
    let tracker = Tracker::new(Config::default());
    // As when the destination was rewritten on the way here.
    let (mut key, _) = extract(&udp(1, 1000, 9, 53), 2);
    let mut packet = Packet::copy_of(&udp(1, 1000, 2, 53)).unwrap();
    let (_, mut layers) = extract(packet.data(), 2);
    tracker.track(&commit(), &mut packet, &mut layers, &mut key, SECOND);
    assert_eq!((key.ct_nw_dst.get(), key.ct_tp_dst.get()), (0x0a000002, 53));
    let back = send(&tracker, &Request::default(), &udp(2, 53, 1, 1000), SECOND);
    assert_eq!(state(&back), EST | RPL | TRK);
}

#[test]
fn what_has_expired_is_not_in_the_way_of_replies() {
    for swept in [false, true] {
        let tracker = Tracker::new(Config::default());
        // Its original direction is what replies to the later one look like; its reply direction is nobody's.
        send(&tracker, &snat((7, 7)), &udp(2, 53, 1, 1000), SECOND);
        let later = 1000 * SECOND;
        if swept {
            tracker.sweep(later, usize::MAX);
        }
        send(&tracker, &commit(), &udp(1, 1000, 2, 53), later);
        let back = send(&tracker, &Request::default(), &udp(2, 53, 1, 1000), later);
        assert_eq!(state(&back), EST | RPL | TRK, "swept: {swept}");
    }
}

#[test]
fn sweeping_makes_no_difference_to_random_choices() {
    let chosen = |swept: bool| {
        let tracker = Tracker::new(Config::default());
        let mut request = snat((1, 4));
        if let Some(Nat::Translate(range)) = &mut request.nat {
            range.choice = NatChoice::Random;
        }
        let ports = (0..40).map(|n| {
            let now_ns = n * 1000 * SECOND;
            if swept {
                tracker.sweep(now_ns, usize::MAX);
            }
            let mut packet = Packet::copy_of(&udp(1, 2000 + n as u16, 2, 53)).unwrap();
            let (mut key, mut layers) = extract(packet.data(), 2);
            tracker.track(&request, &mut packet, &mut layers, &mut key, now_ns);
            extract(packet.data(), 2).0.tp_src.get()
        });
        ports.collect::<Vec<_>>()
    };
    assert_eq!(chosen(false), chosen(true));
}

#[test]
fn events_of_a_tuple_come_in_the_order_of_what_happened() {
    let tracker = Tracker::new(Config::default());
    let events = tracker.subscribe(1 << 17);
    let senders = AtomicU32::new(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    send(&tracker, &commit(), &udp(1, 1000, 2, 53), SECOND);
                }
                senders.fetch_sub(1, Relaxed);
            });
            scope.spawn(|| {
                while senders.load(Relaxed) > 0 {
                    tracker.flush(&Filter::default(), &mut Cursor::default(), usize::MAX);
                }
            });
        }
    });
    assert_eq!(events.lost(), 0);
    let mut alive = None;
    let mut ends = 0;
    while let Some(Event { what, conn, .. }) = events.poll() {
        match what {
            What::New => assert_eq!(alive.replace(conn.id), None),
            What::Update => assert_eq!(alive, Some(conn.id)),
            What::Destroy(_) => assert_eq!(alive.take(), Some(conn.id)),
        }
        ends += u32::from(alive.is_none());
    }
    assert!(ends > 0);
}
