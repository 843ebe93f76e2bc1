//! Fragments through a whole tracker.

use packet::checksum;

use super::sample::{Sample, bytes, take_in, whole};
use crate::frag::{Frag, Part};
use crate::request::{Nat, NatChoice, NatRange, NatSide, Request};
use crate::{Config, Tracked, Tracker, state};

/// Gives frames to a tracker; the parts that come out of the last one.
fn pass(tracker: &Tracker, request: &Request, frames: &[Vec<u8>]) -> Vec<Part> {
    let (last, others) = frames.split_last().unwrap();
    for frame in others {
        assert!(matches!(take_in(tracker.fragments(), frame, request.zone, 1), Frag::Held));
    }
    let mut whole = whole(take_in(tracker.fragments(), last, request.zone, 1));
    let (packet, layers, key) = (&mut whole.packet, &mut whole.layers, &mut whole.key);
    let edited = tracker.track(request, packet, layers, key, 1) == Tracked::Edited;
    whole.release(edited).unwrap()
}

fn source_nat() -> Request {
    let range = NatRange {
        side: NatSide::Src,
        addrs: Some(([10, 0, 0, 9].into(), [10, 0, 0, 9].into())),
        ports: Some((7777, 7777)),
        choice: NatChoice::Default,
        persistent: false,
    };
    Request {
        zone: 5,
        commit: true,
        mark: Some((7, 7)),
        nat: Some(Nat::Translate(range)),
        ..Request::default()
    }
}

#[test]
fn all_parts_have_what_the_datagram_was_given() {
    let tracker = Tracker::new(Config::default());
    let sample = Sample::v4(3000);
    let cut = sample.cut(&[1304, 2608]);
    let parts = pass(&tracker, &source_nat(), &cut);
    assert_eq!((tracker.connections(), parts.len()), (1, 3));
    for part in &parts {
        let state = part.key.ct_state.get();
        assert_eq!(state & (state::NEW | state::TRK | state::SNAT), state::NEW | state::TRK | state::SNAT);
        assert_eq!((part.key.ct_zone.get(), part.key.ct_mark.get()), (5, 7));
        assert_eq!((part.key.ct_tp_src.get(), part.key.ct_nw_src.get()), (1000, 0x0a00_0001));
        assert_eq!(part.key.nw_src.get(), 0x0a00_0009);
        assert_eq!(checksum::of(&part.packet.data()[14..34]), 0);
    }
    assert_eq!((parts[0].key.tp_src.get(), parts[1].key.tp_src.get()), (7777, 0));

    let again = pass(&tracker, &Request::default(), &bytes(&parts));
    assert_eq!(bytes(&again), bytes(&parts), "nothing is translated without being asked for");
}

#[test]
fn a_wrong_checksum_of_the_whole_makes_all_parts_invalid() {
    let tracker = Tracker::new(Config::default());
    for sample in Sample::both(3000) {
        let mut cut = sample.cut(&[1304, 2608]);
        *cut[2].last_mut().unwrap() ^= 1;
        let parts = pass(&tracker, &source_nat(), &cut);
        assert_eq!(bytes(&parts), cut);
        assert!(parts.iter().all(|part| part.key.ct_state.get() == state::INV | state::TRK));
    }
    assert_eq!(tracker.connections(), 0);
}

#[test]
fn a_fragment_alone_is_invalid() {
    let tracker = Tracker::new(Config::default());
    for frame in Sample::v4(3000).cut(&[1304, 2608]) {
        let (mut key, mut layers) = packet::extract(&frame, 2);
        let mut packet = packet::Packet::copy_of(&frame).unwrap();
        tracker.track(&source_nat(), &mut packet, &mut layers, &mut key, 1);
        assert_eq!((key.ct_state.get(), key.ct_zone.get()), (state::INV | state::TRK, 5));
    }
    assert!(tracker.counters().into_iter().any(|(name, _)| name == "conntrack_frag_overlap"));
}
