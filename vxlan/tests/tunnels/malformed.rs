//! Malformed tunnel packets of every kind are refused, each for its reason.

use packet::Packet;
use vxlan::{DecapError, Flags, Fresh, Header, HeaderError, Inner, Kind, Vni, geneve, gre};

use crate::setup::{PATH, Way, over_a_wire};

/// A good packet of this kind, over IPv4: its UDP or GRE header is at 34.
fn good(kind: Kind, csum: bool) -> (Way, Packet) {
    let way = Way::new(kind, false, csum);
    let mut packet = Packet::copy_of(&[9; 60]).unwrap();
    way.template(&PATH).push(&mut packet, Fresh { src_port: 50_000, ident: 0, sequence: 5 }).unwrap();
    (way, over_a_wire(packet))
}

/// What a changed packet is refused for; its IP header's checksum is put right.
fn refused(kind: Kind, change: impl FnOnce(&mut Packet)) -> DecapError {
    let (way, mut packet) = good(kind, false);
    change(&mut packet);
    let frame = packet.data_mut();
    frame[24..26].fill(0);
    let check = packet::checksum::of(&frame[14..34]);
    frame[24..26].copy_from_slice(&check.to_be_bytes());
    way.decap(&packet).unwrap_err()
}

#[test]
fn outer_headers() {
    let udp = |change: &dyn Fn(&mut [u8])| refused(Kind::Vxlan, |packet| change(packet.data_mut()));
    assert_eq!(udp(&|f| f[20] = 0x20), DecapError::Fragment);
    assert_eq!(udp(&|f| f[21] = 1), DecapError::Fragment);
    assert_eq!(udp(&|f| f[23] = 6), DecapError::Protocol);
    assert_eq!(udp(&|f| f[23] = 47), DecapError::Protocol);
    assert_eq!(udp(&|f| f[14] = 0x65), DecapError::Protocol);
    assert_eq!(udp(&|f| f[12] = 0), DecapError::Protocol);
    assert_eq!(udp(&|f| f[39] = 7), DecapError::UdpLength(7, 76));
    assert_eq!(udp(&|f| f[39] = 77), DecapError::UdpLength(77, 76));
    assert_eq!(udp(&|f| f[39] = 15), DecapError::Vxlan(HeaderError::Short(7)));
    assert_eq!(udp(&|f| f[39] = 29), DecapError::Inner(13));
    assert_eq!(udp(&|f| f[40] = 1), DecapError::Checksum);
    let (way, mut packet) = good(Kind::Vxlan, false);
    packet.data_mut()[22] = 63;
    assert_eq!(way.decap(&packet), Err(DecapError::Ipv4Checksum));
}

#[test]
fn every_flipped_bit_under_a_checksum_is_seen() {
    for kind in [Kind::Vxlan, Kind::Geneve, Kind::Gre] {
        for v6 in [false, true] {
            let way = Way::new(kind, v6, true);
            let mut packet = Packet::copy_of(&[9; 60]).unwrap();
            way.template(&PATH).push(&mut packet, Fresh { src_port: 50_000, ident: 0, sequence: 5 }).unwrap();
            let packet = over_a_wire(packet);
            let l4 = if v6 { 54 } else { 34 };
            for bit in 8 * l4..8 * packet.len() {
                let mut packet = packet.clone();
                packet.data_mut()[bit / 8] ^= 1 << (bit % 8);
                // Without its C flag a GRE header is four bytes shorter, and what was its checksum is another packet's.
                let unchecked = kind == Kind::Gre && bit == 8 * l4 + 7;
                assert!(way.decap(&packet).is_err() || unchecked, "{kind:?} bit {bit}");
            }
        }
    }
}

#[test]
fn tunnel_headers() {
    let vxlan = |change: &dyn Fn(&mut [u8])| refused(Kind::Vxlan, |packet| change(packet.data_mut()));
    assert_eq!(vxlan(&|f| f[42] = 0), DecapError::Vxlan(HeaderError::NoVni(0)));
    let geneve = |change: &dyn Fn(&mut [u8])| refused(Kind::Geneve, |packet| change(packet.data_mut()));
    assert_eq!(geneve(&|f| f[42] = 0x40), DecapError::Geneve(geneve::HeaderError::Version(1)));
    assert_eq!(geneve(&|f| f[42] = 63), DecapError::Geneve(geneve::HeaderError::Short(68)));
    assert_eq!(geneve(&|f| (f[42], f[53]) = (1, 1)), DecapError::Geneve(geneve::HeaderError::Option(0)));
    let gre = |change: &dyn Fn(&mut [u8])| refused(Kind::Gre, |packet| change(packet.data_mut()));
    assert_eq!(gre(&|f| f[34] |= 0x40), DecapError::Gre(gre::HeaderError::Flags(0x60)));
    assert_eq!(gre(&|f| f[35] |= 1), DecapError::Gre(gre::HeaderError::Version(1)));
    assert_eq!(gre(&|f| f[34] |= 0x80), DecapError::Checksum);
}

#[test]
fn gpe_protocols_and_versions() {
    let mut way = Way::new(Kind::Vxlan, false, false);
    way.gpe = true;
    let (_, packet) = good(Kind::Vxlan, false);
    let of = |first: u8, next: u8| {
        let mut packet = packet.clone();
        (packet.data_mut()[42], packet.data_mut()[45]) = (first, next);
        way.decap(&packet)
    };
    assert_eq!(of(0x08, 9).unwrap().inner, Inner::Ethernet);
    assert_eq!(of(0x0c, 1).unwrap().inner, Inner::Bare(0x0800));
    assert!(of(0x0d, 3).unwrap().meta.flags.contains(Flags::OAM));
    assert_eq!(of(0x0c, 9), Err(DecapError::Gpe));
    assert_eq!(of(0x1c, 3), Err(DecapError::Gpe));
    way.gpe = false;
    let mut plain = packet.clone();
    (plain.data_mut()[42], plain.data_mut()[45]) = (0x8c, 9);
    let found = way.decap(&plain).unwrap();
    assert_eq!((found.inner, found.meta.policy), (Inner::Ethernet, None));
    assert!(Header { vni: Vni::MAX, policy: None }.emit_gpe(Inner::Bare(0x0806)).is_none());
}
