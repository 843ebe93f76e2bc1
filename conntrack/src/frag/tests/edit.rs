//! What happens to parts when the datagram was edited.

use packet::edit::apply_set;
use packet::{FlowKey, FlowMask};

use super::sample::{Sample, bytes, complete, seal_v4};
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

/// Changes the length of a datagram and says so in its headers, as a helper does.
fn resize(whole: &mut Whole, family: Family, len: usize) {
    let more = vec![0x77; len.saturating_sub(whole.packet.len())];
    whole.packet.truncate(len);
    whole.packet.extend(&more).unwrap();
    let frame = whole.packet.data_mut();
    match family {
        Family::V4 => {
            frame[16..18].copy_from_slice(&((len - 14) as u16).to_be_bytes());
            seal_v4(&mut frame[14..34]);
        }
        Family::V6 => frame[18..20].copy_from_slice(&((len - 54) as u16).to_be_bytes()),
    }
}

#[test]
fn what_a_datagram_gains_or_loses_its_last_part_does() {
    for sample in Sample::both(3000) {
        for delta in [-399, -1, 1, 200] {
            let reassembler = Reassembler::default();
            let mut cut = sample.cut(&[1304, 2608]);
            cut.rotate_right(1);
            let mut whole = complete(&reassembler, &cut, 0);
            resize(&mut whole, sample.family, sample.frame.len().checked_add_signed(delta).unwrap());
            translate(&mut whole);
            let want = whole.packet.data().to_vec();
            let parts = bytes(&whole.release(true).unwrap());
            assert_eq!(parts[0].len(), cut[0].len().checked_add_signed(delta).unwrap());
            assert_eq!((parts[1].len(), parts[2].len()), (cut[1].len(), cut[2].len()));
            parts.iter().for_each(|part| frames::verify(part).unwrap());
            assert_eq!(complete(&reassembler, &parts, 0).packet.data(), want);
        }
    }
}

#[test]
fn a_datagram_that_lost_a_whole_part_does_not_go_back_into_its_parts() {
    let sample = Sample::v4(3000);
    for (len, possible) in [(34 + 2609, true), (34 + 2608, false), (20, false)] {
        let mut whole = complete(&Reassembler::default(), &sample.cut(&[1304, 2608]), 0);
        whole.packet.truncate(len);
        let want = Resized { before: sample.frame.len(), after: len };
        assert_eq!(whole.release(true).err(), (!possible).then_some(want));
    }
}

#[test]
fn a_datagram_that_became_too_long_does_not_go_back_into_its_parts() {
    let mut whole = complete(&Reassembler::default(), &Sample::v4(3000).cut(&[1304]), 0);
    whole.packet.extend(&[0; 63_000]).unwrap();
    assert!(whole.release(true).is_err());
}
