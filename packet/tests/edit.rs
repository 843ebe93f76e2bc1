//! Edits on random frames: what is set reads back, what is not set stays, every checksum is right afterwards (as judged by
//! the `frames` crate, which shares no code with this one), and a partial checksum completes to the same bytes.

use frames::{Frame, Net, Rng, V4, random};
use packet::edit::{apply_set, pop_mpls, pop_vlan, push_mpls, push_vlan};
use packet::key::FRAG_LATER;
use packet::parse::{eth_type, ip_proto};
use packet::{Checksum, FlowKey, FlowMask, Layers, Packet, extract, gso};
use proptest::prelude::*;
use zerocopy::network_endian::{U16, U32};

/// A random value for every header field that can be set.
fn values(rng: &mut Rng) -> FlowKey {
    let mut key = FlowKey {
        eth_dst: random::mac(rng),
        eth_src: random::mac(rng),
        nw_src: U32::from_bytes(random::v4(rng)),
        nw_dst: U32::from_bytes(random::v4(rng)),
        ipv6_src: random::v6(rng),
        ipv6_dst: random::v6(rng),
        ipv6_label: U32::new(rng.bits() as u32 & 0xf_ffff),
        nw_tos: rng.bits() as u8,
        nw_ttl: rng.bits() as u8,
        nw_proto: rng.bits() as u8,
        nd_target: random::v6(rng),
        arp_sha: rng.bytes(),
        arp_tha: rng.bytes(),
        tp_src: U16::new(random::port(rng)),
        tp_dst: U16::new(random::port(rng)),
        ..FlowKey::default()
    };
    for tag in &mut key.vlan {
        tag.tci = U16::new(random::tci(rng));
    }
    key.mpls_lse[0] = U32::new(rng.bits() as u32);
    key
}

/// A random mask over the same fields: each all, nothing, or some bits.
fn some_mask(rng: &mut Rng) -> FlowKey {
    let mut mask = values(rng);
    (mask.eth_dst, mask.eth_src) = (rng.bytes(), rng.bytes());
    (mask.ipv6_src, mask.ipv6_dst, mask.nd_target) = (rng.bytes(), rng.bytes(), rng.bytes());
    (mask.nw_src, mask.nw_dst) = (U32::new(rng.bits() as u32), U32::new(u32::MAX));
    (mask.tp_src, mask.tp_dst) = (U16::new(u16::MAX), U16::new(rng.bits() as u16));
    for word in mask.words_mut() {
        *word = match rng.below(3) {
            0 => 0,
            1 => *word,
            _ => *word & rng.bits(),
        };
    }
    // The bottom-of-stack bit is structure, not a value.
    mask.mpls_lse[0] = U32::new(mask.mpls_lse[0].get() & !0x100);
    mask.ipv6_label = U32::new(mask.ipv6_label.get() & 0xf_ffff);
    mask
}

/// The part of `mask` that can be set in a packet with this key.
fn writable(key: &FlowKey, layers: &Layers, mask: &FlowKey) -> FlowMask {
    let (none, all) = (FlowKey::default(), *mask);
    if layers.l3 == 0 {
        return FlowMask(none);
    }
    let mut out = FlowKey { eth_dst: all.eth_dst, eth_src: all.eth_src, ..none };
    for (index, tag) in out.vlan.iter_mut().enumerate().take(usize::from(layers.vlans)) {
        tag.tci = U16::new(all.vlan[index].tci.get() & 0xefff);
    }
    match key.eth_type.get() {
        eth_type::IPV4 if layers.l4 != 0 => (out.nw_src, out.nw_dst) = (all.nw_src, all.nw_dst),
        eth_type::IPV6 if layers.l4 != 0 => {
            (out.ipv6_src, out.ipv6_dst, out.ipv6_label) = (all.ipv6_src, all.ipv6_dst, all.ipv6_label);
        }
        eth_type::ARP | eth_type::RARP => {
            (out.nw_src, out.nw_dst, out.nw_proto) = (all.nw_src, all.nw_dst, all.nw_proto);
            (out.arp_sha, out.arp_tha) = (all.arp_sha, all.arp_tha);
        }
        eth_type::MPLS | eth_type::MPLS_MC => out.mpls_lse[0] = all.mpls_lse[0],
        _ => {}
    }
    if layers.l4 != 0 {
        (out.nw_tos, out.nw_ttl) = (all.nw_tos, all.nw_ttl);
    }
    if layers.l4_whole {
        writable_transport(key, mask, &mut out);
    }
    FlowMask(out)
}

fn writable_transport(key: &FlowKey, all: &FlowKey, out: &mut FlowKey) {
    let low = |field: U16| U16::new(field.get() & 0xff);
    match key.nw_proto {
        ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP => (out.tp_src, out.tp_dst) = (all.tp_src, all.tp_dst),
        ip_proto::ICMP => (out.tp_src, out.tp_dst) = (low(all.tp_src), low(all.tp_dst)),
        ip_proto::ICMPV6 if key.nd_target == [0; 16] => {
            (out.tp_src, out.tp_dst) = (low(all.tp_src), low(all.tp_dst));
        }
        ip_proto::ICMPV6 => {
            out.nd_target = all.nd_target;
            out.arp_sha = if key.arp_sha == [0; 6] { [0; 6] } else { all.arp_sha };
            out.arp_tha = if key.arp_tha == [0; 6] { [0; 6] } else { all.arp_tha };
        }
        _ => {}
    }
}

/// A frame whose ARP opcodes fit a key (the high byte is lost on a write).
fn settable_frame(rng: &mut Rng) -> Frame {
    let mut frame = random::frame(rng);
    if let Net::Arp { op, .. } = &mut frame.net {
        *op &= 0xff;
    }
    frame
}

/// Makes the transport checksum partial, if there is one that can be.
fn make_partial(packet: &mut Packet, key: &FlowKey, layers: &Layers) -> bool {
    let offset = match key.nw_proto {
        ip_proto::TCP => 16,
        ip_proto::UDP => 6,
        ip_proto::SCTP => 8,
        _ => return false,
    };
    let whole =
        layers.l4_whole && key.nw_frag == 0 && !layers.rerouted && layers.end as usize == packet.len();
    if !whole || (offset == 6 && packet.data()[usize::from(layers.l4) + 6..][..2] == [0, 0]) {
        return false;
    }
    let len = (packet.len() - usize::from(layers.l4)).to_be_bytes();
    let (src, dst) = (key.nw_src.get().to_be_bytes(), key.nw_dst.get().to_be_bytes());
    let pieces = [&src[..], &dst, &key.ipv6_src, &key.ipv6_dst, &len, &[0, key.nw_proto]];
    let at = usize::from(layers.l4) + offset;
    packet.data_mut()[at..at + 2].copy_from_slice(&(!frames::inet(&pieces)).to_be_bytes());
    packet.offload.checksum = Checksum::Partial { start: layers.l4, offset: offset as u16 };
    true
}

fn check_set(seed: u64) {
    let mut rng = Rng::new(seed);
    let bytes = settable_frame(&mut rng).build();
    let mut packet = Packet::copy_of(&bytes).unwrap();
    let mut partial = packet.clone();
    let (key, layers) = extract(&bytes, 2);
    let (value, mut mask) = (values(&mut rng), FlowMask(some_mask(&mut rng)));
    if key.nd_target != [0; 16] {
        // A new type would make the message something else.
        (mask.0.tp_src, mask.0.tp_dst) = (U16::ZERO, U16::ZERO);
    }
    let is_partial = make_partial(&mut partial, &key, &layers);

    apply_set(&mut packet, &layers, &value, &mask);
    if is_partial {
        apply_set(&mut partial, &layers, &value, &mask);
        gso::complete(&mut partial);
        assert_eq!(partial.data(), packet.data());
    }
    frames::verify(packet.data())
        .unwrap_or_else(|wrong| panic!("{wrong}: {bytes:02x?} to {:02x?}", packet.data()));
    let written = writable(&key, &layers, &mask.0);
    let mut expected = written.apply(&value);
    for (word, (old, mask)) in expected.words_mut().iter_mut().zip(key.words().iter().zip(written.0.words()))
    {
        *word |= old & !mask;
    }
    let (mut after, layers_after) = extract(packet.data(), 2);
    if key.nw_proto == ip_proto::ICMPV6 && key.nd_target == [0; 16] {
        // A new type may make a neighbour message of what was none, or the other way round.
        (after.nd_target, after.arp_sha, after.arp_tha) = (key.nd_target, key.arp_sha, key.arp_tha);
        (after.igmp_group, after.tcp_flags) = (key.igmp_group, key.tcp_flags);
    }
    assert_eq!(after, expected, "{bytes:02x?}");
    assert_eq!(layers_after, layers);
    assert!(key.nw_frag & FRAG_LATER == 0 || !layers.l4_whole);
}

fn check_push_and_pop(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut bytes = random::frame(&mut rng).build();
    if rng.one_in(4) {
        random::spoil(&mut rng, &mut bytes);
    }
    let (key, before) = extract(&bytes, 2);
    let mut packet = Packet::copy_of(&bytes).unwrap();
    let mut layers = before;
    let is_ethernet = layers.l3 != 0;
    push_vlan(&mut packet, &mut layers, 0x88a8, 0x6123).unwrap();
    if is_ethernet {
        let (tagged, tagged_layers) = extract(packet.data(), 2);
        assert_eq!((tagged.vlan[0].tpid.get(), tagged.vlan[0].tci.get()), (0x88a8, 0x7123));
        assert_eq!(tagged.vlan[1], key.vlan[0]);
        if before.vlans < 2 {
            assert_eq!(tagged_layers, layers);
        }
        pop_vlan(&mut packet, &mut layers);
    }
    assert_eq!(packet.data(), bytes);
    let lse = rng.bits() as u32;
    push_mpls(&mut packet, &mut layers, lse, eth_type::MPLS).unwrap();
    if is_ethernet {
        let labelled = extract(packet.data(), 2).0;
        assert_eq!((labelled.eth_type.get(), labelled.mpls_lse[0].get()), (eth_type::MPLS, lse));
        pop_mpls(&mut packet, &mut layers, key.eth_type.get());
    }
    if key.eth_type.get() >= 0x600 {
        assert_eq!(packet.data(), bytes);
    }
}

#[test]
fn sets_at_random() {
    for seed in 0..20_000 {
        check_set(seed);
    }
}

#[test]
fn pushes_and_pops_at_random() {
    for seed in 0..5_000 {
        check_push_and_pop(seed);
    }
}

#[test]
fn labels_come_and_go_and_the_packet_inside_can_be_edited() {
    let mut packet = Packet::copy_of(&Frame::new(Net::V4(V4::default())).build()).unwrap();
    let mut layers = extract(packet.data(), 1).1;
    push_mpls(&mut packet, &mut layers, 0x0001_01ff, eth_type::MPLS).unwrap();
    let key = FlowKey { nw_ttl: 7, ..FlowKey::default() };
    let mask = FlowMask(FlowKey { nw_ttl: 0xff, ..FlowKey::default() });
    let labelled = packet.clone();
    apply_set(&mut packet, &layers, &key, &mask);
    assert_eq!(packet.data(), labelled.data());
    pop_mpls(&mut packet, &mut layers, eth_type::IPV4);
    apply_set(&mut packet, &layers, &key, &mask);
    assert_eq!(extract(packet.data(), 1).0.nw_ttl, 7);
}

proptest! {
    /// Whatever the bytes, nothing panics, nothing outside the frame is touched, and the length stays.
    #[test]
    fn sets_on_spoilt_frames(seed in any::<u64>(), noise in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut rng = Rng::new(seed);
        let mut bytes = random::frame(&mut rng).build();
        random::spoil(&mut rng, &mut bytes);
        for bytes in [bytes, noise] {
            let mut packet = Packet::copy_of(&bytes).unwrap();
            let mut layers = extract(&bytes, rng.below(3)).1;
            if rng.one_in(2) {
                packet.offload.checksum = Checksum::Partial { start: layers.l4, offset: 16 };
            }
            apply_set(&mut packet, &layers, &values(&mut rng), &FlowMask::exact());
            prop_assert_eq!(packet.len(), bytes.len());
            pop_vlan(&mut packet, &mut layers);
            pop_mpls(&mut packet, &mut layers, 0x0800);
            apply_set(&mut packet, &layers, &values(&mut rng), &FlowMask::exact());
            push_mpls(&mut packet, &mut layers, 5, 0x8847).unwrap();
            push_vlan(&mut packet, &mut layers, 0x8100, 5).unwrap();
            apply_set(&mut packet, &layers, &values(&mut rng), &FlowMask::exact());
            let mut out = Vec::new();
            let _ = gso::fit(packet, gso::Caps::default(), &mut out);
        }
    }

    /// A super-frame is cut or refused, whatever its bytes.
    #[test]
    fn spoilt_super_frames(seed in any::<u64>(), start in 0u16..100, size in 1u16..100, kind in 0usize..3) {
        let mut rng = Rng::new(seed);
        let mut bytes = random::frame(&mut rng).build();
        random::spoil(&mut rng, &mut bytes);
        let mut packet = Packet::copy_of(&bytes).unwrap();
        let kind = [packet::GsoKind::Tcp4, packet::GsoKind::Tcp6, packet::GsoKind::Udp][kind];
        packet.offload.gso = Some(packet::Gso { kind, ecn: false, size, hdr_len: 0 });
        packet.offload.checksum = if rng.one_in(4) {
            Checksum::Unknown
        } else {
            Checksum::Partial { start: if rng.one_in(2) { start } else { extract(&bytes, 2).1.l4 }, offset: 16 }
        };
        let mut out = Vec::new();
        let _ = gso::fit(packet, gso::Caps::default(), &mut out);
        for segment in out {
            prop_assert!(segment.offload.is_plain());
        }
    }
}
