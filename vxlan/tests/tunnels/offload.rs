//! Partial checksums and super-frames through tunnels.

use frames::{Frame, L4, Net, V4, V6};
use packet::gso::{self, Caps};
use packet::{Checksum, Gso, GsoKind, Packet, checksum};
use vxlan::{DecapError, EncapError, Fresh, Kind, Path};

use crate::setup::{PATH, Way, over_a_wire};

const FRESH: Fresh = Fresh { src_port: 50_000, ident: 100, sequence: 5 };

/// A TCP segment with its checksum partial, and what it must become.
fn tcp(v6: bool, payload: usize) -> (Packet, Vec<u8>) {
    let payload: Vec<u8> = (0..payload).map(|i| i as u8).collect();
    let l4 = L4::Tcp { src: 7, dst: 8, flags: 0x18, options: Vec::new(), payload };
    let six = V6 {
        src: [1; 16],
        dst: [2; 16],
        class: 0,
        label: 0,
        hops: 9,
        extensions: Vec::new(),
        l4: l4.clone(),
    };
    let net = if v6 { Net::V6(six) } else { Net::V4(V4 { l4, ..V4::default() }) };
    let whole = Frame::new(net).build();
    let mut packet = Packet::copy_of(&whole).unwrap();
    let start = if v6 { 54 } else { 34 };
    let len = (whole.len() - start) as u32;
    let pseudo = match v6 {
        true => checksum::pseudo_v6([1; 16], [2; 16], 6, len),
        false => checksum::pseudo_v4([10, 0, 0, 1], [10, 0, 0, 2], 6, len),
    };
    packet.data_mut()[start + 16..start + 18].copy_from_slice(&pseudo.folded().to_be_bytes());
    packet.offload.checksum = Checksum::Partial { start: start as u16, offset: 16 };
    (packet, whole)
}

fn super_frame(v6: bool, payload: usize, size: u16) -> Packet {
    let (mut packet, _) = tcp(v6, payload);
    let kind = if v6 { GsoKind::Tcp6 } else { GsoKind::Tcp4 };
    packet.offload.gso = Some(Gso { kind, ecn: false, size, hdr_len: if v6 { 74 } else { 54 } });
    packet
}

#[test]
fn partial_checksums_stay_partial_and_the_outer_one_is_right() {
    for way in Way::all() {
        for v6 in [false, true] {
            let (mut packet, whole) = tcp(v6, 333);
            let before = packet.offload.checksum;
            let template = way.template(&PATH);
            template.push(&mut packet, FRESH).unwrap();
            let Checksum::Partial { start, offset: 16 } = packet.offload.checksum else { panic!("{way:?}") };
            assert_eq!(usize::from(start), template.overhead() + if v6 { 54 } else { 34 });

            // On this machine: the other end takes it with the checksum still partial.
            let mut local = packet.clone();
            way.decap(&local).unwrap().pull(&mut local).unwrap();
            assert_eq!((local.offload.checksum, local.len()), (before, whole.len()));

            // Over a wire: completed first.
            let mut packet = over_a_wire(packet);
            frames::verify(packet.data()).unwrap();
            way.decap(&packet).unwrap().pull(&mut packet).unwrap();
            assert_eq!((packet.data(), packet.offload.checksum), (&whole[..], Checksum::Unknown));
        }
    }
}

#[test]
fn a_wrong_outer_checksum_is_seen_behind_a_partial_inner_one() {
    let way = Way::new(Kind::Vxlan, true, true);
    let (mut packet, _) = tcp(false, 333);
    way.template(&PATH).push(&mut packet, FRESH).unwrap();
    packet.data_mut()[75] ^= 1;
    assert_eq!(way.decap(&packet), Err(DecapError::Checksum));
}

#[test]
fn sctp_is_completed_where_an_outer_checksum_is_over_it() {
    let l4 = L4::Sctp { src: 1, dst: 2, payload: vec![7; 40] };
    let whole = Frame::new(Net::V4(V4 { l4, ..V4::default() })).build();
    for way in Way::all() {
        let mut packet = Packet::copy_of(&whole).unwrap();
        packet.data_mut()[42..46].fill(0);
        packet.offload.checksum = Checksum::Partial { start: 34, offset: 8 };
        way.template(&PATH).push(&mut packet, FRESH).unwrap();
        let mut packet = over_a_wire(packet);
        frames::verify(packet.data()).unwrap();
        way.decap(&packet).unwrap().pull(&mut packet).unwrap();
        assert_eq!(packet.data(), whole);
    }
}

/// Decapsulates all and puts the TCP payload together.
fn joined(way: &Way, packets: &[Packet], headers: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for packet in packets {
        let mut packet = over_a_wire(packet.clone());
        frames::verify(packet.data()).unwrap();
        way.decap(&packet).unwrap().pull(&mut packet).unwrap();
        frames::verify(packet.data()).unwrap();
        out.extend_from_slice(&packet.data()[headers..]);
    }
    out
}

#[test]
fn super_frames_are_cut() {
    for way in Way::all() {
        for (v6, partial) in [(false, false), (true, false), (false, true), (true, true)] {
            let whole = super_frame(v6, 3500, 1000);
            let template = way.template(&Path { mtu: 1500, ..PATH });
            assert_eq!(template.push(&mut whole.clone(), FRESH), Err(EncapError::SuperFrame));
            let mut out = Vec::new();
            template.encap(whole.clone(), FRESH, partial, &mut out).unwrap();
            assert_eq!(out.len(), 4);
            let headers = if v6 { 74 } else { 54 };
            assert_eq!(joined(&way, &out, headers), whole.data()[headers..]);
            if !way.meta.dst.is_ipv6() {
                assert!((0..4).all(|nth| out[nth].data()[18..20] == [0, 100 + nth as u8]));
            }
            if way.sequence {
                let numbers = out.iter().map(|packet| way.decap(packet).unwrap().sequence);
                assert!(numbers.eq((5..9).map(Some)));
            }
            let mut out = Vec::new();
            let tight = way.template(&Path { mtu: 900, ..PATH });
            assert!(matches!(tight.encap(whole, FRESH, partial, &mut out), Err(EncapError::TooBig { .. })));
            assert!(out.is_empty());
        }
    }
}

#[test]
fn trains_are_coupled_and_cut_into_the_same_datagrams() {
    for way in Way::all() {
        let template = way.template(&PATH);
        let mut single = Vec::new();
        template.encap(super_frame(false, 9500, 1000), FRESH, false, &mut single).unwrap();
        let mut trains = Vec::new();
        template.couple(single.clone(), 4, &mut trains);
        if way.kind == Kind::Gre {
            assert_eq!(trains.len(), 10);
            continue;
        }
        assert_eq!(trains.len(), 3);
        let size = trains[0].offload.gso.unwrap().size;
        assert_eq!(usize::from(size), 8 + way.options.len() + 54 + 1000);
        assert_eq!(way.decap(&trains[0]), Err(DecapError::Train));
        let mut cut = Vec::new();
        for train in trains {
            gso::fit(train, Caps::default(), &mut cut).unwrap();
        }
        assert_eq!(cut.len(), 10);
        assert_eq!(joined(&way, &cut, 54), joined(&way, &single, 54));
        for (cut, single) in cut.iter().zip(&single) {
            let payload = template.overhead() - 8 - way.options.len();
            assert_eq!(cut.data()[payload..], single.data()[payload..]);
        }
    }
}

#[test]
fn what_cannot_ride_goes_alone() {
    let way = Way::new(Kind::Vxlan, false, false);
    let template = way.template(&PATH);
    let one = |src_port, len: usize| {
        let mut packet = Packet::copy_of(&vec![1; len]).unwrap();
        template.push(&mut packet, Fresh { src_port, ..Fresh::default() }).unwrap();
        packet
    };
    let (mut partial, _) = tcp(false, 46);
    template.push(&mut partial, Fresh { src_port: 1, ident: 0, sequence: 5 }).unwrap();
    let packets =
        [one(1, 100), one(1, 100), one(2, 100), one(2, 90), one(2, 90), one(2, 91), partial, one(2, 91)];
    let mut out = Vec::new();
    template.couple(packets, 64, &mut out);
    let lens: Vec<_> = out.iter().map(|p| (p.len() - 42, p.offload.gso.map(|gso| gso.size))).collect();
    assert_eq!(lens, [(216, Some(108)), (206, Some(108)), (98, None), (99, None), (108, None), (99, None)]);
    let mut out = Vec::new();
    template.couple((0..70).map(|_| one(1, 1000)), 64, &mut out);
    assert_eq!(out.iter().map(|p| p.len() - 42).collect::<Vec<_>>(), [64 * 1008, 6 * 1008]);
    let mut out = Vec::new();
    template.couple((0..70).map(|_| one(1, 2000)), 64, &mut out);
    assert!(out.iter().all(|p| p.len() - 14 <= 65535) && out.len() == 3);
}
