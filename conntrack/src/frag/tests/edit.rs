//! What happens to parts when the datagram was edited.

use packet::edit::apply_set;
use packet::{FlowKey, FlowMask};

use super::sample::{Sample, bytes, complete};
use crate::frag::{Family, Reassembler, Resized, Whole};

/// Translates source address and port of a datagram.
fn translate(whole: &mut Whole) {
    let mut key = FlowKey::default();
    let mut mask = FlowMask::default();
    key.nw_src = 0x0a00_0009.into();
    key.ipv6_src = [9; 16];
    key.tp_src = 7777.into();
    mask.0.nw_src = u32::MAX.into();
    mask.0.ipv6_src = [0xff; 16];
    mask.0.tp_src = u16::MAX.into();
    apply_set(&mut whole.packet, &whole.layers, &key, &mask);
}

#[test]
fn parts_of_a_translated_datagram_are_translated() {
    for sample in Sample::both(3000) {
        let reassembler = Reassembler::default();
        let mut cut = sample.cut(&[1304, 2608]);
        cut.swap(0, 1);
        let mut whole = complete(&reassembler, &cut, 0);
        translate(&mut whole);
        let want = whole.packet.data().to_vec();
        frames::verify(&want).unwrap();

        let parts = whole.release(true).unwrap();
        for (part, before) in parts.iter().zip(&cut) {
            assert_eq!(part.packet.len(), before.len());
            frames::verify(part.packet.data()).unwrap();
            match sample.family {
                Family::V4 => assert_eq!(part.key.nw_src.get(), 0x0a00_0009),
                Family::V6 => assert_eq!(part.key.ipv6_src, [9; 16]),
            }
            assert_eq!((part.key.in_port.get(), part.context), (7, 9));
        }
        assert_eq!((parts[0].key.tp_src.get(), parts[1].key.tp_src.get()), (0, 7777));
        // Put together again they are the datagram that was tracked.
        assert_eq!(complete(&reassembler, &bytes(&parts), 0).packet.data(), want);
    }
}

#[test]
fn padding_behind_a_part_stays() {
    let reassembler = Reassembler::default();
    let sample = Sample::v4(1300);
    let mut cut = sample.cut(&[1304]);
    cut[1].extend([0xaa; 30]);
    let mut whole = complete(&reassembler, &cut, 0);
    assert_eq!(whole.packet.data(), sample.frame);
    translate(&mut whole);
    let parts = whole.release(true).unwrap();
    assert_eq!(parts[1].packet.len(), cut[1].len());
    assert!(parts[1].packet.data().ends_with(&[0xaa; 30]));
}

#[test]
fn a_datagram_of_another_length_does_not_go_back_into_its_parts() {
    let reassembler = Reassembler::default();
    let sample = Sample::v4(3000);
    let mut whole = complete(&reassembler, &sample.cut(&[1304, 2608]), 0);
    whole.packet.extend(b"x").unwrap();
    let before = sample.frame.len();
    assert_eq!(whole.release(true).unwrap_err(), Resized { before, after: before + 1 });
}
