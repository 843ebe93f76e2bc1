//! What is put into a tunnel comes out of it.

use frames::{Frame, L4, Net, Rng, V4, random};
use packet::Packet;
use packet::parse::eth_type;
use proptest::prelude::*;
use vxlan::{EncapError, Fresh, Kind, Path, ecn};

use crate::setup::{PATH, Way, over_a_wire};

proptest! {
    #[test]
    fn same_bytes_and_metadata(seed in any::<u64>(), src_port in 1u16.., ident in any::<u16>()) {
        let mut rng = Rng::new(seed);
        let mut frame = random::frame(&mut rng).build();
        if rng.one_in(4) {
            random::spoil(&mut rng, &mut frame);
        }
        frame.resize(frame.len().max(14), 0);
        for way in Way::all() {
            let mut packet = Packet::copy_of(&frame).unwrap();
            way.template(&PATH).push(&mut packet, Fresh { src_port, ident, sequence: 5 }).unwrap();
            let mut packet = over_a_wire(packet);
            let found = way.decap(&packet).unwrap();
            prop_assert_eq!(found.meta, way.received(src_port), "{:?}", way);
            prop_assert_eq!(found.inner, way.inner);
            prop_assert_eq!(found.sequence, way.sequence.then_some(5));
            prop_assert_eq!(&packet.data()[found.options.clone()], &way.options[..]);
            prop_assert_eq!(found.critical, !way.options.is_empty());
            found.pull(&mut packet).unwrap();
            prop_assert_eq!(packet.data(), &frame[..]);
        }
    }
}

fn udp(tos: u8, payload: usize) -> Vec<u8> {
    let l4 = L4::Udp { src: 7, dst: 8, checksum: true, payload: vec![5; payload] };
    Frame::new(Net::V4(V4 { tos, l4, ..V4::default() })).build()
}

#[test]
fn outer_checksums_are_right() {
    for way in Way::all() {
        for payload in [0, 1, 18, 1000, 1001] {
            let mut packet = Packet::copy_of(&udp(0, payload)).unwrap();
            way.template(&PATH)
                .push(&mut packet, Fresh { src_port: 50_000, ident: 77, sequence: 5 })
                .unwrap();
            let packet = over_a_wire(packet);
            frames::verify(packet.data()).unwrap_or_else(|what| panic!("{way:?}: {what}"));
            assert!(packet.offload.is_plain());
            if !way.meta.dst.is_ipv6() {
                assert_eq!(packet.data()[18..20], [0, 77]);
            }
        }
    }
}

#[test]
fn outer_padding_does_not_come_in() {
    for way in Way::all() {
        let mut packet = Packet::copy_of(&[3; 14]).unwrap();
        way.template(&PATH).push(&mut packet, Fresh { src_port: 50_000, ident: 0, sequence: 5 }).unwrap();
        let mut packet = over_a_wire(packet);
        packet.extend(&[0xee; 30]).unwrap();
        way.decap(&packet).unwrap().pull(&mut packet).unwrap();
        assert_eq!(packet.data(), [3; 14]);
    }
}

#[test]
fn packets_without_an_ethernet_header() {
    let frame = udp(2, 30);
    for kind in [Kind::Vxlan, Kind::Geneve, Kind::Gre] {
        let mut way = Way::new(kind, false, true).bare(eth_type::IPV4);
        way.meta.tos = ecn::CE;
        let mut packet = Packet::copy_of(&frame).unwrap();
        let template = way.template(&PATH);
        template.push(&mut packet, Fresh::default()).unwrap();
        assert_eq!(packet.len(), frame.len() - 14 + template.overhead());
        let mut packet = over_a_wire(packet);
        frames::verify(packet.data()).unwrap();
        let found = way.decap(&packet).unwrap();
        assert_eq!(found.inner, way.inner);
        found.pull(&mut packet).unwrap();
        assert_eq!((&packet.data()[..12], &packet.data()[12..]), (&[0; 12][..], &udp(3, 30)[12..]));

        let mut arp = Packet::copy_of(&[0; 60]).unwrap();
        assert_eq!(template.push(&mut arp, Fresh::default()), Err(EncapError::Inner(way.inner)));
        assert_eq!(arp.data(), [0; 60]);
    }
}

#[test]
fn congestion_is_told() {
    for way in Way::all() {
        for (inner, outer, out) in [(2, 3, Some(3)), (2, 1, Some(1)), (0, 3, None), (3, 0, Some(3))] {
            let mut way = way.clone();
            way.meta.tos = outer;
            let mut packet = Packet::copy_of(&udp(0x28 | inner, 9)).unwrap();
            way.template(&PATH).push(&mut packet, Fresh::default()).unwrap();
            let mut packet = over_a_wire(packet);
            let pulled = way.decap(&packet).unwrap().pull(&mut packet);
            assert_eq!(pulled.is_ok(), out.is_some());
            if let Some(out) = out {
                assert_eq!(packet.data(), udp(0x28 | out, 9));
            }
        }
    }
}

#[test]
fn what_is_too_big_is_told_and_what_just_fits_is_sent() {
    for way in Way::all() {
        let template = way.template(&Path { mtu: 1500, ..PATH });
        let most = template.inner_max();
        let push = |len: usize| {
            let mut packet = Packet::copy_of(&vec![1; len]).unwrap();
            template.push(&mut packet, Fresh::default()).map(|()| packet.len())
        };
        assert_eq!(push(most), Ok(1514));
        let may_fragment = way.meta.id == 0;
        assert_eq!(push(most + 1), Err(EncapError::TooBig { len: 1501, inner_max: most, may_fragment }));
    }
    assert_eq!(Way::new(Kind::Vxlan, false, false).template(&Path { mtu: 1500, ..PATH }).inner_max(), 1464);
}
