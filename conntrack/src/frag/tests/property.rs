//! Any cuts, any order, any repetition, any overlap, any bytes.

use proptest::prelude::*;
use proptest::sample::Index;

use super::sample::{Sample, bytes, take_in};
use crate::frag::{Frag, MIN_SIZE_FLOOR, Reassembler, TIMEOUT_NS};

fn samples() -> impl Strategy<Value = Sample> {
    (0usize..3, 1200usize..9000).prop_map(|(which, payload)| Sample::both(payload)[which].clone())
}

/// Places to cut at, each piece long enough to be taken.
fn cuts(sample: &Sample, steps: &[usize]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    for step in steps {
        at += step * 8;
        if at >= sample.len() {
            break;
        }
        places.push(at);
    }
    places
}

fn reassembler() -> Reassembler {
    let reassembler = Reassembler::default();
    for family in crate::frag::Family::ALL {
        reassembler.set_min_size(family, MIN_SIZE_FLOOR).unwrap();
    }
    reassembler
}

fn check_limits(reassembler: &Reassembler) {
    let status = reassembler.status();
    let waiting: usize = reassembler.incomplete().iter().map(|one| one.fragments.max(1)).sum();
    assert!(status.held <= status.max_fragments);
    // A spoiled datagram counts as one.
    assert_eq!(waiting, status.held as usize);
    assert_eq!(status.held == 0, status.bytes == 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn without_overlaps_the_datagram_is_whole(
        sample in samples(),
        steps in prop::collection::vec(50usize..400, 1..20),
        order in prop::collection::vec(any::<Index>(), 40),
        copies in prop::collection::vec(any::<Index>(), 0..4),
    ) {
        let places = cuts(&sample, &steps);
        prop_assume!(!places.is_empty());
        let mut frames = sample.cut(&places);
        for n in (1..frames.len()).rev() {
            frames.swap(n, order[n % order.len()].index(n + 1));
        }
        let mut sent = frames.clone();
        for copy in copies {
            let last = sent.len() - 1;
            let again = copy.get(&sent[..last]).clone();
            let after = sent.iter().position(|frame| *frame == again).unwrap() + 1;
            sent.insert(after, again);
        }
        let reassembler = reassembler();
        let mut whole = None;
        for frame in &sent {
            match take_in(&reassembler, frame, 0, 0) {
                Frag::Whole(one) => prop_assert!(whole.replace(one).is_none()),
                Frag::Held | Frag::Refused(..) => {}
                other => prop_assert!(false, "{other:?}"),
            }
            check_limits(&reassembler);
        }
        let whole = whole.expect("all fragments were given");
        prop_assert_eq!(whole.packet.data(), &sample.frame[..]);
        prop_assert_eq!(bytes(&whole.release(true).unwrap()), frames);
        prop_assert_eq!(reassembler.status().held, 0);
    }

    /// Whatever overlaps: a datagram that comes out is made of the fragments that come out with it, and nothing is lost.
    #[test]
    fn with_overlaps_nothing_is_mixed_or_lost(
        sample in samples(),
        shares in prop::collection::vec((0usize..1200, 40usize..400, any::<bool>()), 1..40),
    ) {
        let reassembler = reassembler();
        let mut out = 0;
        for (start, len, last) in &shares {
            let body = vec![(start ^ len) as u8; len * 8];
            match take_in(&reassembler, &sample.fragment(start * 8, !last, &body), 0, 0) {
                Frag::Held => {}
                Frag::NotOne(_) | Frag::Refused(..) => out += 1,
                Frag::Dropped(_, fragments) => out += fragments as usize,
                Frag::Whole(whole) => {
                    let len: usize = whole.parts().iter().map(|part| part.piece.end - part.piece.start).sum();
                    prop_assert_eq!(whole.packet.len(), whole.body_at() + len);
                    out += whole.release(true).unwrap().len();
                }
            }
            check_limits(&reassembler);
        }
        let mut expired = Vec::new();
        reassembler.sweep(TIMEOUT_NS, usize::MAX, &mut expired);
        prop_assert_eq!(out + expired.len(), shares.len());
        prop_assert_eq!((reassembler.status().held, reassembler.status().bytes), (0, 0));
        prop_assert!(reassembler.incomplete().is_empty());
    }

    #[test]
    fn no_bytes_make_it_panic(
        sample in samples(),
        flips in prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>()), 0..30),
        lengths in prop::collection::vec(any::<Index>(), 10),
    ) {
        let reassembler = reassembler();
        for (n, length) in lengths.iter().enumerate() {
            let mut frame = sample.cut(&[400, 800])[n % 3].clone();
            for (_, at, value) in flips.iter().filter(|(which, ..)| which.index(10) == n) {
                let headers = frame.len().min(80);
                frame[at.index(headers)] = *value;
            }
            if n > 6 {
                frame.truncate(length.index(frame.len() + 1));
            }
            if let Frag::Whole(whole) = take_in(&reassembler, &frame, 0, 0) {
                whole.release(true).unwrap();
            }
            check_limits(&reassembler);
        }
    }
}
