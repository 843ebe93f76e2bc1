//! Frames at random. Values come from small pools, so that rules drawn from the same pools match them.

use crate::{Extension, Frame, L4, Net, Rng, V4, V6};

/// An Ethernet station, once in a while multicast.
pub fn mac(rng: &mut Rng) -> [u8; 6] {
    match rng.below(12) {
        0 => [0xff; 6],
        1 => [1, 0, 0x5e, 0, 0, 1],
        n => [2, 0, 0, 0, 0, n as u8 & 3],
    }
}

/// An IPv4 address of 10.0.0.0/13.
pub fn v4(rng: &mut Rng) -> [u8; 4] {
    [10, rng.below(8) as u8, rng.below(3) as u8, rng.below(4) as u8]
}

/// An IPv6 address.
pub fn v6(rng: &mut Rng) -> [u8; 16] {
    let mut out = [0; 16];
    (out[0], out[1]) = (0xfd, rng.below(3) as u8);
    (out[7], out[15]) = (rng.below(3) as u8, rng.below(4) as u8);
    out
}

/// A port.
pub fn port(rng: &mut Rng) -> u16 {
    rng.pick(&[0, 1, 2, 3, 53, 80, 443, 1024, 0x8000, 0xffff])
}

/// VLAN tag control information: few VLAN ids, any priority.
pub fn tci(rng: &mut Rng) -> u16 {
    (rng.below(8) as u16) << 13 | rng.pick(&[0, 1, 5, 6, 4094, 4095])
}

/// A transport header and payload.
pub fn l4(rng: &mut Rng, ipv6: bool) -> L4 {
    let (src, dst) = (port(rng), port(rng));
    match rng.below(16) {
        0..6 => {
            let options = vec![1; 4 * rng.below(3)];
            let flags = rng.pick(&[2, 0x12, 0x10, 0x18, 0x11, 4, 0xfff]);
            L4::Tcp { src, dst, flags, options, payload: rng.some_bytes(40) }
        }
        6..11 => L4::Udp { src, dst, checksum: !rng.one_in(4), payload: rng.some_bytes(40) },
        11 => L4::Sctp { src, dst, payload: rng.some_bytes(40) },
        12 => L4::Raw { proto: rng.pick(&[4, 47, 50, 59, 89, 255]), bytes: rng.some_bytes(40) },
        13 if !ipv6 => {
            L4::Igmp { kind: rng.pick(&[0x11, 0x16, 0x17]), group: [224, 0, 0, rng.below(4) as u8] }
        }
        13.. if ipv6 && !rng.one_in(4) => {
            let options = [(1, mac(rng)), (2, mac(rng))];
            let (first, last) = (rng.below(2), 1 + rng.below(2));
            L4::nd(rng.pick(&[135, 136]), v6(rng), options.get(first..last).unwrap_or_default())
        }
        _ => {
            let kind = rng.pick(&[0, 3, 8, 11, 128, 129, 133]);
            let body = [&[0, 0, 0, 0][..], &rng.some_bytes(30)].concat();
            L4::Icmp { kind, code: rng.below(3) as u8, body }
        }
    }
}

/// An IPv4 packet.
pub fn ipv4(rng: &mut Rng) -> V4 {
    V4 {
        src: v4(rng),
        dst: v4(rng),
        tos: rng.pick(&[0, 1, 3, 0x28, 0xb8, 0xff]),
        ttl: rng.pick(&[0, 1, 2, 64, 255]),
        frag: rng.pick(&[0, 0, 0, 0, 0x4000, 0x2000, 0x2001, 0x0100]),
        options: vec![1; 4 * rng.pick(&[0, 0, 0, 0, 1, 10])],
        l4: l4(rng, false),
    }
}

/// An IPv6 packet, sometimes with extension headers.
pub fn ipv6(rng: &mut Rng) -> V6 {
    let mut extensions = Vec::new();
    while rng.one_in(4) {
        extensions.push(match rng.below(6) {
            0 => Extension::HopByHop,
            1 => Extension::Destination,
            2 => Extension::Auth,
            3 => Extension::Routing { address: v6(rng), left: rng.one_in(2) },
            _ => Extension::Fragment { offset: rng.pick(&[0, 0, 3]), more: rng.one_in(2) },
        });
    }
    V6 {
        src: v6(rng),
        dst: v6(rng),
        class: rng.pick(&[0, 1, 3, 0x28, 0xff]),
        label: rng.pick(&[0, 1, 0xf_ffff, 0x1_2345]),
        hops: rng.pick(&[0, 1, 2, 64, 255]),
        extensions,
        l4: l4(rng, true),
    }
}

/// A well-formed frame.
pub fn frame(rng: &mut Rng) -> Frame {
    let net = match rng.below(16) {
        0..8 => Net::V4(ipv4(rng)),
        8..12 => Net::V6(ipv6(rng)),
        12 | 13 => Net::Arp {
            reverse: rng.one_in(6),
            op: rng.pick(&[1, 1, 2, 3, 0x101]),
            sha: mac(rng),
            spa: v4(rng),
            tha: mac(rng),
            tpa: v4(rng),
        },
        14 => Net::Mpls {
            lses: (0..1 + rng.below(4)).map(|_| (16 + rng.below(4) as u32) << 12 | 0x40).collect(),
            inner: ipv4(rng),
        },
        _ => Net::Raw { ether_type: rng.pick(&[0x88cc, 0x1234, 0x0026]), bytes: rng.some_bytes(60) },
    };
    let tags = rng.pick(&[0, 0, 0, 0, 1, 1, 2, 3]);
    Frame {
        dst: mac(rng),
        src: mac(rng),
        vlans: (0..tags).map(|_| (rng.pick(&[0x8100, 0x8100, 0x88a8]), tci(rng))).collect(),
        snap: rng.one_in(30),
        net,
        padding: rng.pick(&[0, 0, 0, 7]),
    }
}

/// Spoils a frame: bytes changed at random, or the end cut off (but never all).
pub fn spoil(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.below(4) {
        if !bytes.is_empty() {
            // Mostly in the headers.
            let at = rng.below(bytes.len()).min(rng.below(bytes.len()));
            bytes[at] = rng.bits() as u8;
        }
    }
    if rng.one_in(2) {
        bytes.truncate(1 + rng.below(bytes.len().max(1)));
    }
}
