//! What is put together, what is refused, what is forgotten.

mod edit;
mod property;
mod sample;
mod track;

use packet::{Checksum, Gso, GsoKind, Packet, extract};

use super::datagram::MAX_PARTS;
use super::*;
use sample::{Sample, bytes, complete, hold, seal_v4, take_in, tracked, whole};

fn refusal(frag: &Frag) -> Option<Reason> {
    match frag {
        Frag::Refused(_, reason) => Some(*reason),
        _ => None,
    }
}

#[test]
fn in_any_order_the_datagram_is_whole_and_the_parts_are_as_they_came() {
    for sample in Sample::both(3000) {
        let cut = sample.cut(&[1304, 2608]);
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let reassembler = Reassembler::default();
            let sent: Vec<_> = order.map(|n: usize| cut[n].clone()).into();
            let whole = complete(&reassembler, &sent, 0);
            assert_eq!(whole.packet.data(), sample.frame);
            assert_eq!((whole.key.nw_frag, whole.key.tp_dst.get(), whole.key.in_port.get()), (0, 2000, 7));
            assert_eq!(whole.layers, extract(&sample.frame, 2).1);
            assert_eq!(bytes(&whole.release(false).unwrap()), sent);
            assert_eq!((reassembler.budget.held(), reassembler.budget.bytes()), (0, 0));
        }
    }
}

#[test]
fn parts_take_over_connection_state_and_keep_the_rest() {
    let reassembler = Reassembler::default();
    let sample = Sample::v4(3000);
    let mut whole = complete(&reassembler, &sample.cut(&[1304, 2608]), 0);
    let key = tracked();
    whole.key.ct_state = key.ct_state;
    whole.key.ct_mark = key.ct_mark;
    whole.key.ct_zone = key.ct_zone;
    whole.key.ct_label = key.ct_label;
    whole.key.ct_nw_src = key.ct_nw_src;
    for (part, frame) in whole.release(false).unwrap().iter().zip(sample.cut(&[1304, 2608])) {
        let (mut want, layers) = extract(&frame, 2);
        want.in_port = 7.into();
        (want.ct_state, want.ct_mark, want.ct_zone) = (key.ct_state, key.ct_mark, key.ct_zone);
        (want.ct_label, want.ct_nw_src) = (key.ct_label, key.ct_nw_src);
        assert_eq!((part.key, part.layers, part.context), (want, layers, 9));
    }
}

#[test]
fn what_is_no_fragment_passes() {
    let reassembler = Reassembler::default();
    let v6 = Sample::v6(50);
    for frame in [Sample::v4(50).frame, v6.frame.clone(), v6.fragment(0, false, &[1; 60])] {
        assert!(
            matches!(take_in(&reassembler, &frame, 0, 0), Frag::NotOne(packet) if packet.data() == frame)
        );
    }
    assert_eq!(reassembler.status().v6.accepted, 0);
}

#[test]
fn a_duplicate_is_refused_and_the_others_wait_on() {
    for sample in Sample::both(3000) {
        let reassembler = Reassembler::default();
        let cut = sample.cut(&[1304, 2608]);
        hold(&reassembler, &[cut[2].clone(), cut[0].clone()], 0);
        for again in [&cut[0], &cut[2]] {
            assert_eq!(refusal(&take_in(&reassembler, again, 0, 0)), Some(Reason::Overlap));
        }
        assert_eq!(whole(take_in(&reassembler, &cut[1], 0, 0)).packet.data(), sample.frame);
        assert_eq!(reassembler.count(Reason::Overlap), 2);
    }
}

/// Fragments that cannot stand beside those of bytes 0 to 1304 and 2608 to the end of a datagram of 3008 bytes.
fn contradictions(sample: &Sample) -> Vec<Vec<u8>> {
    vec![
        sample.part(1296..2608),
        sample.part(1304..2616),
        sample.part(0..1312),
        sample.part(0..2608),
        sample.fragment(0, true, &[0; 1304]),
        sample.fragment(3008 - 400, false, &[0; 400]),
        sample.fragment(3008, true, &[0; 1304]),
        sample.fragment(3008, false, &[0; 8]),
        sample.fragment(1304, false, &[0; 1200]),
    ]
}

#[test]
fn of_ipv4_the_overlapping_fragment_is_refused() {
    let sample = Sample::v4(3000);
    for frame in contradictions(&sample) {
        let reassembler = Reassembler::default();
        let cut = sample.cut(&[1304, 2608]);
        hold(&reassembler, &[cut[0].clone(), cut[2].clone()], 0);
        assert_eq!(refusal(&take_in(&reassembler, &frame, 0, 0)), Some(Reason::Overlap));
        assert_eq!(whole(take_in(&reassembler, &cut[1], 0, 0)).packet.data(), sample.frame);
        assert_eq!(reassembler.budget.held(), 0);
    }
}

#[test]
fn of_ipv6_an_overlapping_fragment_spoils_all_until_the_time_is_over() {
    let sample = Sample::v6(3000);
    for frame in contradictions(&sample) {
        let reassembler = Reassembler::default();
        let cut = sample.cut(&[1304, 2608]);
        hold(&reassembler, &[cut[0].clone(), cut[2].clone()], 0);
        assert!(matches!(take_in(&reassembler, &frame, 0, 0), Frag::Dropped(Reason::Overlap, 3)));
        assert!(matches!(take_in(&reassembler, &cut[1], 0, 0), Frag::Dropped(Reason::Overlap, 1)));
        assert_eq!((reassembler.budget.held(), reassembler.incomplete()[0].state), (1, "reass fail"));
        assert_eq!(reassembler.count(Reason::Overlap), 4);

        let mut expired = Vec::new();
        assert_eq!(reassembler.sweep(TIMEOUT_NS, 9, &mut expired), 0);
        assert_eq!((reassembler.budget.held(), reassembler.budget.bytes()), (0, 0));
        assert_eq!(complete(&reassembler, &cut, TIMEOUT_NS).packet.data(), sample.frame);
    }
}

#[test]
fn what_cannot_be_part_of_a_whole_is_refused() {
    let reassembler = Reassembler::default();
    for sample in Sample::both(3000) {
        let cases = [
            (sample.part(0..1000), Reason::TooSmall),
            (sample.fragment(0, true, &[0; 1301]), Reason::Malformed),
            (sample.fragment(1304, false, &[]), Reason::Malformed),
            (sample.fragment(65_520, false, &[0; 16]), Reason::TooLong),
            (sample.fragment(65_520, true, &[0; 1304]), Reason::TooLong),
        ];
        for (frame, reason) in cases {
            let frag = take_in(&reassembler, &frame, 0, 0);
            assert_eq!(refusal(&frag), Some(reason), "{:?}", sample.family);
            assert!(matches!(frag, Frag::Refused(packet, _) if packet.data() == frame));
        }
    }
    let mut frame = Sample::v4(3000).part(0..1304);
    frame[24] ^= 1;
    assert_eq!(refusal(&take_in(&reassembler, &frame, 0, 0)), Some(Reason::BadChecksum));
    assert_eq!((reassembler.status().v4.too_small, reassembler.status().v6.too_small), (1, 2));
    assert_eq!(reassembler.budget.held(), 0);
}

#[test]
fn offloads_that_no_fragment_can_have_are_refused() {
    let reassembler = Reassembler::default();
    let frame = Sample::v4(3000).part(0..1304);
    let (key, layers) = extract(&frame, 2);
    for which in [0, 1] {
        let mut packet = Packet::copy_of(&frame).unwrap();
        match which {
            0 => packet.offload.checksum = Checksum::Partial { start: 34, offset: 6 },
            _ => {
                packet.offload.gso =
                    Some(Gso { kind: GsoKind::UdpFragments, ecn: false, size: 1000, hdr_len: 42 });
            }
        }
        let frag = reassembler.take(Fragment { packet, key: &key, layers: &layers, zone: 0, context: 0 }, 0);
        assert_eq!(refusal(&frag), Some(Reason::Offload));
    }
}

#[test]
fn the_smallest_size_counts_headers_and_not_for_the_last() {
    let reassembler = Reassembler::default();
    for (sample, headers) in [(Sample::v4(3000), 20), (Sample::v6(3000), 48)] {
        reassembler.set_min_size(sample.family, 400 + headers).unwrap();
        assert_eq!(refusal(&take_in(&reassembler, &sample.part(0..392), 0, 0)), Some(Reason::TooSmall));
        hold(&reassembler, &[sample.part(0..400), sample.part(2608..3008)], 0);
        hold(&reassembler, &[sample.part(3000..3008)], TIMEOUT_NS);
        assert_eq!(reassembler.set_min_size(sample.family, 399), Err(LimitError::MinSize));
    }
}

#[test]
fn turned_off_it_refuses_one_version_of_ip() {
    let reassembler = Reassembler::default();
    reassembler.set_enabled(Family::V4, false);
    let (v4, v6) = (Sample::v4(3000).cut(&[1304]), Sample::v6(3000).cut(&[1304]));
    assert_eq!(refusal(&take_in(&reassembler, &v4[0], 0, 0)), Some(Reason::Disabled));
    hold(&reassembler, &v6[..1], 0);
    reassembler.set_enabled(Family::V4, true);
    hold(&reassembler, &v4[..1], 0);
}

#[test]
fn zones_and_recirculations_do_not_mix() {
    let reassembler = Reassembler::default();
    let cut = Sample::v4(2000).cut(&[1304]);
    hold(&reassembler, &cut[..1], 0);
    assert!(matches!(take_in(&reassembler, &cut[1], 1, 0), Frag::Held));
    let (mut key, layers) = extract(&cut[1], 2);
    key.recirc_id = 4.into();
    let packet = Packet::copy_of(&cut[1]).unwrap();
    let frag = reassembler.take(Fragment { packet, key: &key, layers: &layers, zone: 0, context: 0 }, 0);
    assert!(matches!(frag, Frag::Held));
    assert_eq!(reassembler.incomplete().len(), 3);
    whole(take_in(&reassembler, &cut[1], 0, 0));
}

#[test]
fn no_more_fragments_wait_than_may() {
    let reassembler = Reassembler::default();
    reassembler.set_max_fragments(3).unwrap();
    let sample = Sample::v6(3000);
    for id in 0..3 {
        hold(&reassembler, &sample.with_id(id).cut(&[1304])[..1], 0);
    }
    let more = sample.with_id(9).cut(&[1304]);
    assert_eq!(refusal(&take_in(&reassembler, &more[0], 0, 0)), Some(Reason::Full));
    let mut expired = Vec::new();
    assert_eq!(reassembler.sweep(TIMEOUT_NS, 1, &mut expired), 1);
    hold(&reassembler, &more[..1], TIMEOUT_NS);
    assert_eq!(reassembler.set_max_fragments(5001), Err(LimitError::MaxFragments));
    reassembler.set_max_fragments(0).unwrap();
    assert_eq!(refusal(&take_in(&reassembler, &more[1], 0, 0)), Some(Reason::Full));
}

#[test]
fn no_more_memory_is_held_than_may_be() {
    let reassembler = Reassembler::new(Config { max_bytes: 10_000, seed: 1 });
    let sample = Sample::v4(3000);
    let taken = (0..100).filter(|id| {
        let frame = sample.with_id(*id).part(0..1304);
        matches!(take_in(&reassembler, &frame, 0, 0), Frag::Held)
    });
    let (taken, bytes) = (taken.count() as u64, reassembler.status().bytes);
    assert!((2..5).contains(&taken), "{taken}");
    assert!(bytes <= 10_000 && bytes >= taken * 2048);
    assert_eq!(reassembler.count(Reason::Full), 100 - taken);
}

#[test]
fn a_large_buffer_is_not_held_for_a_small_fragment() {
    let reassembler = Reassembler::default();
    let cut = Sample::v4(2000).cut(&[1304]);
    let (key, layers) = extract(&cut[0], 2);
    let mut packet = Packet::empty(packet::Class::Large);
    packet.extend(&cut[0]).unwrap();
    packet.mark = 3;
    reassembler.take(Fragment { packet, key: &key, layers: &layers, zone: 0, context: 0 }, 0);
    assert!(reassembler.status().bytes < 4096);
    let whole = whole(take_in(&reassembler, &cut[1], 0, 0));
    assert_eq!((whole.packet.mark, bytes(whole.parts())), (3, cut));
}

#[test]
fn a_datagram_has_only_so_many_fragments() {
    let reassembler = Reassembler::default();
    let sample = Sample::v6_stuffed(1280, 8 * (MAX_PARTS + 2));
    let cut = sample.cut(&(1..MAX_PARTS + 2).map(|n| n * 8).collect::<Vec<_>>());
    hold(&reassembler, &cut[..MAX_PARTS], 0);
    assert_eq!(refusal(&take_in(&reassembler, &cut[MAX_PARTS], 0, 0)), Some(Reason::Full));
    assert_eq!(reassembler.budget.held() as usize, MAX_PARTS);
}

#[test]
fn the_smallest_fragments_of_the_longest_datagrams_are_not_too_many() {
    for (sample, step) in [(Sample::v4(65_507), 384), (Sample::v6(65_527), 352)] {
        let reassembler = Reassembler::default();
        reassembler.set_min_size(sample.family, MIN_SIZE_FLOOR).unwrap();
        let cut = sample.cut(&(1..sample.len().div_ceil(step)).map(|n| n * step).collect::<Vec<_>>());
        let whole = complete(&reassembler, &cut, 0);
        assert_eq!(whole.packet.data(), sample.frame);
        assert_eq!(bytes(&whole.release(true).unwrap()), cut);
    }
}

#[test]
fn a_whole_that_the_first_header_makes_too_long_is_dropped() {
    let reassembler = Reassembler::default();
    let plain = Sample::v4(65_507);
    let long = Sample::v4_of(frames::V4 { options: vec![1; 40], ..frames::V4::default() });
    let cut = plain.cut(&[32_000, 64_000]);
    hold(&reassembler, &cut[1..], 0);
    let mut first = long.fragment(0, true, &plain.frame[34..34 + 32_000]);
    first[23] = 17;
    seal_v4(&mut first[14..74]);
    assert!(matches!(take_in(&reassembler, &first, 0, 0), Frag::Dropped(Reason::TooLong, 3)));
    assert_eq!((reassembler.budget.held(), reassembler.status().v4.purged), (0, 2));
}

#[test]
fn after_their_time_fragments_come_back_as_they_came() {
    let reassembler = Reassembler::default();
    let (a, b) = (Sample::v4(3000), Sample::v6(3000));
    let waiting = [a.part(1304..2608), a.part(0..1304), b.part(0..1304)];
    hold(&reassembler, &waiting[..1], 0);
    hold(&reassembler, &waiting[1..], 5);
    let mut expired = Vec::new();
    assert_eq!(reassembler.sweep(TIMEOUT_NS - 1, 100, &mut expired), 0);
    assert_eq!(reassembler.sweep(TIMEOUT_NS, 100, &mut expired), 2);
    assert_eq!(bytes(&expired), waiting[..2]);
    assert_eq!((expired[0].context, expired[0].key.in_port.get()), (9, 7));
    assert_eq!(reassembler.sweep(TIMEOUT_NS + 5, 100, &mut expired), 1);
    assert_eq!((reassembler.status().v4.expired, reassembler.status().v6.expired), (2, 1));
    assert_eq!((reassembler.budget.held(), reassembler.budget.bytes()), (0, 0));
}

#[test]
fn a_sweep_stops_at_its_budget_and_goes_on_there() {
    let reassembler = Reassembler::default();
    let sample = Sample::v4(3000);
    for id in 0..300 {
        hold(&reassembler, &[sample.with_id(id).part(0..1304)], 0);
    }
    let mut swept = 0;
    for round in 1..=30 {
        let mut expired = Vec::new();
        assert_eq!(reassembler.sweep(TIMEOUT_NS, 10, &mut expired), 10);
        swept += expired.len();
        assert_eq!(swept, round * 10);
    }
    assert_eq!(reassembler.sweep(TIMEOUT_NS, 10, &mut Vec::new()), 0);
}

#[test]
fn an_identification_can_be_used_again_after_its_time() {
    let reassembler = Reassembler::default();
    let (old, new) = (Sample::v4(2000), Sample::v4(2008));
    hold(&reassembler, &[old.part(0..1304)], 0);
    let whole = complete(&reassembler, &new.cut(&[1304]), TIMEOUT_NS);
    assert_eq!(whole.packet.data(), new.frame);
    let mut expired = Vec::new();
    assert_eq!(reassembler.sweep(TIMEOUT_NS, 9, &mut expired), 1);
    assert_eq!(bytes(&expired), [old.part(0..1304)]);
    assert_eq!(reassembler.budget.held(), 0);
}

#[test]
fn whole_datagrams_leave_little_behind() {
    let reassembler = Reassembler::default();
    let sample = Sample::v4(2000);
    for id in 0..10_000 {
        complete(&reassembler, &sample.with_id(id).cut(&[1304]), u64::from(id));
    }
    let queued: usize = reassembler.shards.iter().map(|shard| lock(shard).queued()).sum();
    assert!(queued <= SHARDS * 33, "{queued}");
}

#[test]
fn workers_share_it() {
    const DATAGRAMS: u16 = 400;
    let reassembler = Reassembler::default();
    let sample = Sample::v4(2000);
    let worker = |half: usize| {
        let mut wholes = 0;
        for id in 0..DATAGRAMS {
            let sample = sample.with_id(id);
            match take_in(&reassembler, &sample.cut(&[1304])[half], 0, 0) {
                Frag::Held => {}
                Frag::Whole(whole) => {
                    assert_eq!(whole.packet.data(), sample.frame);
                    wholes += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        wholes
    };
    let (a, b) = std::thread::scope(|scope| {
        let other = scope.spawn(|| worker(1));
        (worker(0), other.join().unwrap())
    });
    assert_eq!(a + b, DATAGRAMS);
    assert_eq!((reassembler.budget.held(), reassembler.budget.bytes()), (0, 0));
}

#[test]
fn the_status_reads_as_open_vswitch_writes_it() {
    let reassembler = Reassembler::default();
    let v4 = Sample::v4(3000).with_id(65_520);
    hold(&reassembler, &[v4.part(0..1304)], 0);
    assert_eq!(
        reassembler.incomplete()[0].to_string(),
        "(src=10.0.0.1,dst=10.0.0.2,recirc_id=0,ip_id=65520,dl_type=0x800,zone=0,nw_proto=17,num_fragments=1,state=first frag)"
    );
    hold(&reassembler, &[v4.part(2608..3008)], 0);
    assert_eq!(reassembler.incomplete()[0].state, "first/last frag");
    assert!(matches!(take_in(&reassembler, &Sample::v6(3000).part(1304..2608), 77, 0), Frag::Held));
    let six = reassembler.incomplete().into_iter().find(|one| one.src.is_ipv6()).unwrap();
    let text = six.to_string();
    assert!(text.ends_with("dl_type=0x86dd,zone=77,nw_proto=0,num_fragments=1,state=other frag)"), "{text}");
    let status = reassembler.status().to_string();
    let lines: Vec<_> = status.lines().collect();
    assert_eq!(lines[..2], ["        Fragmentation Module Status", "        ---------------------------"]);
    assert_eq!(
        lines[4..8],
        [
            "        max num frags (v4/v6): 1000",
            "        num frag: 3",
            "        min v4 frag size: 1200",
            "        v4 frags accepted: 2",
        ]
    );
    assert_eq!((lines.len(), lines[19]), (20, "        v6 frags purged: 0"));
}
