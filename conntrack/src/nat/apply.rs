//! Packets rewritten from one tuple to another.
//!
//! # Rules
//!
//! - Checksums are updated incrementally: a wrong one stays wrong, and the receiver notices. UDP's "none" (zero) stays none.
//! - A partial checksum ([`Checksum::Partial`]) holds the pseudo-header's sum only: it follows addresses, not ports.
//! - SCTP's CRC-32c is linear: the difference between the right one before and the right one after goes on top of what is there.
//! - A later fragment has no ports. The pseudo-header of an IPv6 packet that is still being source-routed has its final destination, not the
//!   one in the header.
//! - In an ICMP error the packet inside is the reverse of what the error travels along, and is rewritten as such: addresses, ports, its IP
//!   checksum and, if it is among the quoted bytes, its transport checksum. SCTP's, which would need the rest, stays.

use packet::checksum::{self, Sum};
use packet::parse::{Layers, eth_type, ip_proto};
use packet::{Checksum, Packet};

use crate::tuple::Tuple;
use crate::view::Inner;

/// `nw_frag` of a fragment without a transport header.
const FRAG_LATER: u8 = packet::key::FRAG_LATER;

/// Where the headers of a packet are, in bytes from the start of the frame.
#[derive(Clone, Copy)]
struct Place {
    v6: bool,
    proto: u8,
    l3: usize,
    l4: usize,
    end: usize,
    /// The destination is not part of the pseudo-header.
    rerouted: bool,
}

/// Rewrites addresses and ports (or the ICMP identifier) of a packet of the direction `from` to those of `to`. Both have the family and protocol of
/// the packet; what the packet does not have is left out.
pub fn apply(packet: &mut Packet, layers: &Layers, from: &Tuple, to: &Tuple) {
    if from == to {
        return;
    }
    let Some(place) = outer(packet, layers) else { return };
    let partial = is_partial(packet, layers);
    let frame = packet.data_mut();
    let pseudo = set_addresses(frame, &place, to.src, to.dst);
    if layers.nw_frag & FRAG_LATER != 0 {
        return;
    }
    if !layers.l4_whole {
        update_check(frame, &place, pseudo, pseudo, partial);
    } else if place.proto == ip_proto::SCTP {
        set_sctp_ports(frame, &place, to, partial || layers.nw_frag != 0);
    } else {
        let all = set_ports(frame, &place, to, pseudo);
        update_check(frame, &place, pseudo, all, partial);
    }
}

/// Rewrites an ICMP error that travels in the direction `from`, which is the reverse of the packet inside, to the direction
/// `to`: the sides that are translated in its own header, and the packet inside.
pub(crate) fn apply_error(packet: &mut Packet, layers: &Layers, inner: Inner, from: &Tuple, to: &Tuple) {
    if from == to {
        return;
    }
    let Some(place) = outer(packet, layers) else { return };
    let quoted = Place {
        proto: from.proto,
        l3: usize::from(inner.l3),
        l4: usize::from(inner.l4),
        rerouted: false,
        ..place
    };
    if quoted.l3 < place.l4 || quoted.l4 < quoted.l3 + if place.v6 { 40 } else { 20 } || quoted.l4 > place.end
    {
        return;
    }
    let partial = is_partial(packet, layers);
    let frame = packet.data_mut();
    let (src, dst) = addresses(frame, &place);
    let new_src = if from.src == to.src { src } else { to.src };
    let new_dst = if from.dst == to.dst { dst } else { to.dst };
    let pseudo = set_addresses(frame, &place, new_src, new_dst);
    let all = rewrite_quoted(frame, &quoted, &to.reversed(), pseudo);
    update_check(frame, &place, pseudo, all, partial);
}

/// Rewrites the packet inside an error; returns `sum` with the changes of its bytes.
fn rewrite_quoted(frame: &mut [u8], quoted: &Place, to: &Tuple, sum: Sum) -> Sum {
    // Nothing beyond these bytes is touched; a sum is made of whole words.
    let l3 = quoted.l3..quoted.l3 + if quoted.v6 { 40 } else { 20 };
    let l4 = quoted.l4..quoted.l4 + ((quoted.end - quoted.l4).min(20) & !1);
    let (mut old_l3, mut old_l4) = ([0; 40], [0; 20]);
    let (old_l3, old_l4) = (&mut old_l3[..l3.len()], &mut old_l4[..l4.len()]);
    old_l3.copy_from_slice(&frame[l3.clone()]);
    old_l4.copy_from_slice(&frame[l4.clone()]);
    let pseudo = set_addresses(frame, quoted, to.src, to.dst);
    let all = set_ports(frame, quoted, to, pseudo);
    update_check(frame, quoted, pseudo, all, false);
    sum.replace(old_l3, &frame[l3]).replace(old_l4, &frame[l4])
}

/// The headers of the packet itself; `None` if it is no IP packet or is cut short.
fn outer(packet: &Packet, layers: &Layers) -> Option<Place> {
    let v6 = layers.eth_type == eth_type::IPV6;
    let (l3, l4, end) = (usize::from(layers.l3), usize::from(layers.l4), layers.end as usize);
    let is_ip = v6 || layers.eth_type == eth_type::IPV4;
    let whole = l4 >= l3 + if v6 { 40 } else { 20 } && (l4..=packet.len()).contains(&end);
    (is_ip && whole).then_some(Place { v6, proto: layers.nw_proto, l3, l4, end, rerouted: layers.rerouted })
}

fn is_partial(packet: &Packet, layers: &Layers) -> bool {
    matches!(packet.offload.checksum, Checksum::Partial { start, .. } if start == layers.l4)
}

/// Addresses as tuples have them.
fn addresses(frame: &[u8], place: &Place) -> ([u8; 16], [u8; 16]) {
    let (mut src, mut dst) = ([0; 16], [0; 16]);
    if place.v6 {
        src.copy_from_slice(&frame[place.l3 + 8..place.l3 + 24]);
        dst.copy_from_slice(&frame[place.l3 + 24..place.l3 + 40]);
    } else {
        src[12..].copy_from_slice(&frame[place.l3 + 12..place.l3 + 16]);
        dst[12..].copy_from_slice(&frame[place.l3 + 16..place.l3 + 20]);
    }
    (src, dst)
}

/// Sets both addresses and updates an IPv4 header checksum. Returns how the sum of the pseudo-header (which ICMP does not have)
/// changed.
fn set_addresses(frame: &mut [u8], place: &Place, src: [u8; 16], dst: [u8; 16]) -> Sum {
    if place.v6 {
        let header = &mut frame[place.l3 + 8..place.l3 + 40];
        let mut old = [0; 32];
        old.copy_from_slice(header);
        header[..16].copy_from_slice(&src);
        header[16..].copy_from_slice(&dst);
        let covered = match (place.proto, place.rerouted) {
            (ip_proto::ICMP, _) => 0,
            (_, true) => 16,
            (_, false) => 32,
        };
        return Sum::default().replace(&old[..covered], &header[..covered]);
    }
    let header = &mut frame[place.l3..place.l3 + 20];
    let mut old = [0; 8];
    old.copy_from_slice(&header[12..]);
    header[12..16].copy_from_slice(&src[12..]);
    header[16..].copy_from_slice(&dst[12..]);
    let delta = Sum::default().replace(&old, &header[12..]);
    let check = checksum::update(u16::from_be_bytes([header[10], header[11]]), delta);
    header[10..12].copy_from_slice(&check.to_be_bytes());
    if place.proto == ip_proto::ICMP { Sum::default() } else { delta }
}

/// Sets ports or identifier. Returns `sum` with the changes of the header's bytes.
fn set_ports(frame: &mut [u8], place: &Place, to: &Tuple, sum: Sum) -> Sum {
    // Of a packet inside an error there may be less.
    let Some(header) = frame[..place.end].get_mut(place.l4..).and_then(|rest| rest.first_chunk_mut::<8>())
    else {
        return sum;
    };
    let old = *header;
    match place.proto {
        ip_proto::ICMP | ip_proto::ICMPV6 => header[4..6].copy_from_slice(&to.sport.to_be_bytes()),
        ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP => {
            header[..2].copy_from_slice(&to.sport.to_be_bytes());
            header[2..4].copy_from_slice(&to.dport.to_be_bytes());
        }
        _ => {}
    }
    sum.replace(&old, header)
}

fn set_sctp_ports(frame: &mut [u8], place: &Place, to: &Tuple, leave_crc: bool) {
    let before = checksum::sctp(&frame[place.l4..place.end]);
    set_ports(frame, place, to, Sum::default());
    let segment = &mut frame[place.l4..place.end];
    if let (false, Some(before), Some(after)) = (leave_crc, before, checksum::sctp(segment)) {
        for (i, byte) in segment[8..12].iter_mut().enumerate() {
            *byte ^= before[i] ^ after[i];
        }
    }
}

/// Updates the transport checksum, if it is there: `pseudo` is the change of the pseudo-header, `all` that and the change of
/// the bytes covered.
fn update_check(frame: &mut [u8], place: &Place, pseudo: Sum, all: Sum, partial: bool) {
    let at = match place.proto {
        ip_proto::TCP => 16,
        ip_proto::UDP => 6,
        ip_proto::ICMP | ip_proto::ICMPV6 => 2,
        _ => return,
    };
    let Some(field) =
        frame[..place.end].get_mut(place.l4 + at..).and_then(|rest| rest.first_chunk_mut::<2>())
    else {
        return;
    };
    let old = u16::from_be_bytes(*field);
    let is_udp = place.proto == ip_proto::UDP;
    let new = match partial {
        true => checksum::update_partial(old, pseudo),
        false if is_udp && old == 0 => return,
        false if is_udp => checksum::udp_nonzero(checksum::update(old, all)),
        false => checksum::update(old, all),
    };
    *field = new.to_be_bytes();
    // The one sum whose two zeros differ: a message of nothing but zeros has all ones.
    if new == 0 && place.proto == ip_proto::ICMP && frame[place.l4..place.end].iter().all(|&byte| byte == 0) {
        frame[place.l4 + 2..place.l4 + 4].fill(0xff);
    }
}

#[cfg(test)]
mod tests {
    use frames::{Frame, L4, Net, Rng, V4, V6, random};
    use packet::gso::Caps;
    use packet::{Gso, GsoKind, extract, gso};

    use super::*;

    /// Any addresses and ports of the packet's family and protocol.
    fn any_tuple(rng: &mut Rng, layers: &Layers) -> Tuple {
        let (mut src, mut dst): (Tuple16, Tuple16) = (rng.bytes(), rng.bytes());
        let family = if layers.eth_type == eth_type::IPV6 { 6 } else { 4 };
        if family == 4 {
            src[..12].fill(0);
            dst[..12].fill(0);
        }
        Tuple {
            src,
            dst,
            sport: rng.bits() as u16,
            dport: rng.bits() as u16,
            zone: 0,
            proto: layers.nw_proto,
            family,
        }
    }

    type Tuple16 = [u8; 16];

    /// The tuple of a packet that has one.
    fn tuple_of(packet: &Packet, layers: &Layers) -> Option<Tuple> {
        let place = outer(packet, layers)?;
        let (src, dst) = addresses(packet.data(), &place);
        let mut tuple =
            Tuple { src, dst, proto: place.proto, family: if place.v6 { 6 } else { 4 }, ..Tuple::default() };
        if layers.l4_whole {
            let l4 = &packet.data()[place.l4..];
            let word = |at: usize| u16::from_be_bytes([l4[at], l4[at + 1]]);
            (tuple.sport, tuple.dport) = match place.proto {
                6 | 17 | 132 => (word(0), word(2)),
                1 | 58 => (word(4), word(0)),
                _ => (0, 0),
            };
        }
        Some(tuple)
    }

    #[test]
    fn there_is_right_and_back_is_the_same() {
        let mut rng = Rng::new(11);
        let mut count = 0;
        for _ in 0..20_000 {
            let bytes = random::frame(&mut rng).build();
            let mut packet = Packet::copy_of(&bytes).unwrap();
            let layers = extract(&bytes, 2).1;
            let Some(from) = tuple_of(&packet, &layers) else { continue };
            let to = Tuple { proto: from.proto, family: from.family, ..any_tuple(&mut rng, &layers) };
            apply(&mut packet, &layers, &from, &to);
            frames::verify(packet.data()).unwrap();
            let now = tuple_of(&packet, &layers).unwrap();
            assert_eq!((now.src, now.dst), (to.src, to.dst));
            if layers.l4_whole && matches!(from.proto, 6 | 17 | 132) {
                assert_eq!(now, to);
                count += 1;
            }
            apply(&mut packet, &layers, &to, &from);
            assert_eq!(packet.data(), bytes, "{from:?} {to:?}");
        }
        assert!(count > 5000, "{count}");
    }

    #[test]
    fn wrong_checksums_stay_wrong() {
        for proto in [6u8, 17, 132, 1] {
            let l4 = transport(proto, &[5; 30]);
            let mut bytes = Frame::new(Net::V4(V4 { l4, ..V4::default() })).build();
            let last = bytes.len() - 1;
            bytes[last] ^= 0x40;
            let mut packet = Packet::copy_of(&bytes).unwrap();
            let layers = extract(&bytes, 0).1;
            let from = tuple_of(&packet, &layers).unwrap();
            apply(&mut packet, &layers, &from, &any_tuple(&mut Rng::new(5), &layers));
            frames::verify(packet.data()).unwrap_err();
            packet.data_mut()[last] ^= 0x40;
            frames::verify(packet.data()).unwrap();
        }
    }

    fn transport(proto: u8, payload: &[u8]) -> L4 {
        let (src, dst, payload) = (4000, 80, payload.to_vec());
        match proto {
            6 => L4::Tcp { src, dst, flags: 0x18, options: vec![1; 12], payload },
            17 => L4::Udp { src, dst, checksum: true, payload },
            132 => L4::Sctp { src, dst, payload },
            47 => L4::Raw { proto, bytes: payload },
            kind => {
                let kind = if kind == 58 { 128 } else { 8 };
                L4::Icmp { kind, code: 0, body: [&[0, 77, 0, 1][..], &payload].concat() }
            }
        }
    }

    fn frame(v6: bool, l4: L4) -> Vec<u8> {
        let net = match v6 {
            true => Net::V6(V6 {
                src: [1; 16],
                dst: [2; 16],
                class: 0,
                label: 0,
                hops: 64,
                extensions: vec![],
                l4,
            }),
            false => Net::V4(V4 { l4, ..V4::default() }),
        };
        Frame::new(net).build()
    }

    #[test]
    fn super_frames_with_partial_checksums_come_out_right() {
        for (v6, tcp) in [(false, false), (false, true), (true, false), (true, true)] {
            let bytes = frame(v6, transport(if tcp { 6 } else { 17 }, &[9; 5000]));
            let mut packet = Packet::copy_of(&bytes).unwrap();
            let layers = extract(&bytes, 0).1;
            let offset = if tcp { 16 } else { 6 };
            let from = tuple_of(&packet, &layers).unwrap();
            let field = usize::from(layers.l4 + offset);
            let len = layers.end - u32::from(layers.l4);
            let pseudo = match v6 {
                true => checksum::pseudo_v6(from.src, from.dst, from.proto, len),
                false => checksum::pseudo_v4([10, 0, 0, 1], [10, 0, 0, 2], from.proto, len),
            };
            packet.data_mut()[field..field + 2].copy_from_slice(&pseudo.folded().to_be_bytes());
            packet.offload.checksum = Checksum::Partial { start: layers.l4, offset };
            let kind = match (tcp, v6) {
                (false, _) => GsoKind::Udp,
                (true, false) => GsoKind::Tcp4,
                (true, true) => GsoKind::Tcp6,
            };
            let mut rng = Rng::new(6);
            apply(&mut packet, &layers, &from, &any_tuple(&mut rng, &layers));
            for gso in [None, Some(Gso { kind, ecn: false, size: 1000, hdr_len: 0 })] {
                let mut packet = packet.clone();
                packet.offload.gso = gso;
                let mut out = Vec::new();
                gso::fit(packet, Caps::default(), &mut out).unwrap();
                assert_eq!(out.len(), if gso.is_some() { 5 } else { 1 });
                out.iter().for_each(|segment| frames::verify(segment.data()).unwrap());
            }
        }
    }

    /// An error about a packet with this transport header, of which `quoted` bytes are quoted; the frame, the place of the
    /// packet inside, and the tuple along which the error travels.
    fn error(v6: bool, l4: L4, quoted: usize) -> (Packet, Layers, Inner, Tuple) {
        let about = frame(v6, l4);
        let header = if v6 { 40 } else { 20 };
        let keep = (14 + header + quoted).min(about.len());
        let original = Packet::copy_of(&about).unwrap();
        let tuple = tuple_of(&original, &extract(&about, 0).1).unwrap();
        let body = [&[0; 4], &about[14..keep]].concat();
        let icmp = L4::Icmp { kind: if v6 { 1 } else { 3 }, code: 1, body };
        let net = match v6 {
            true => Net::V6(V6 {
                src: [2; 16],
                dst: [1; 16],
                class: 0,
                label: 0,
                hops: 64,
                extensions: vec![],
                l4: icmp,
            }),
            false => Net::V4(V4 { src: [10, 0, 0, 2], dst: [10, 0, 0, 1], l4: icmp, ..V4::default() }),
        };
        let bytes = Frame::new(net).build();
        let layers = extract(&bytes, 0).1;
        let inner = Inner { l3: layers.l4 + 8, l4: layers.l4 + 8 + header as u16 };
        (Packet::copy_of(&bytes).unwrap(), layers, inner, tuple.reversed())
    }

    /// What is quoted, as a frame of its own, its lengths fitted when it is whole.
    fn quoted_frame(packet: &Packet, layers: &Layers, inner: Inner) -> Vec<u8> {
        let mut out = packet.data()[..14].to_vec();
        out.extend(&packet.data()[usize::from(inner.l3)..layers.end as usize]);
        out
    }

    #[test]
    fn errors_are_right_outside_and_inside_and_go_back() {
        let mut rng = Rng::new(3);
        for v6 in [false, true] {
            for proto in [6u8, 17, 47, if v6 { 58 } else { 1 }] {
                for quoted in [if proto == 47 { 3 } else { 8 }, 8, 9, 17, 18, 20, 33, 500] {
                    let (mut packet, layers, inner, from) = error(v6, transport(proto, &[7; 60]), quoted);
                    let before = packet.data().to_vec();
                    let place = Layers { nw_proto: proto, ..layers };
                    let to = Tuple { dport: from.dport, ..any_tuple(&mut rng, &place) };
                    apply_error(&mut packet, &layers, inner, &from, &to);
                    frames::verify(packet.data()).unwrap();
                    let inside = quoted_frame(&packet, &layers, inner);
                    frames::verify(&inside).unwrap();
                    let (src, dst) = addresses(packet.data(), &outer(&packet, &layers).unwrap());
                    assert_eq!((src, dst), (to.src, to.dst));
                    let inside = Place { l3: usize::from(inner.l3), ..outer(&packet, &layers).unwrap() };
                    assert_eq!(addresses(packet.data(), &inside), (to.dst, to.src));
                    apply_error(&mut packet, &layers, inner, &to, &from);
                    assert_eq!(packet.data(), before);
                }
            }
        }
    }

    #[test]
    fn the_router_that_reports_is_named_unless_its_side_is_translated() {
        let (mut packet, layers, inner, from) = error(false, transport(17, &[7; 60]), 8);
        packet.data_mut()[26..30].copy_from_slice(&[172, 16, 0, 1]);
        let mut to = from;
        to.dst[15] = 99;
        apply_error(&mut packet, &layers, inner, &from, &to);
        assert_eq!(packet.data()[26..34], [172, 16, 0, 1, 10, 0, 0, 99]);
        let mut back = to;
        back.src[15] = 98;
        apply_error(&mut packet, &layers, inner, &to, &back);
        assert_eq!(packet.data()[26..34], [10, 0, 0, 98, 10, 0, 0, 99]);
    }

    #[test]
    fn nonsense_offsets_change_nothing() {
        let (packet, layers, inner, from) = error(false, transport(17, &[7; 60]), 8);
        let to = Tuple { sport: 1, dport: 2, ..from };
        for (l3, l4) in [
            (0, 0),
            (inner.l3, inner.l3),
            (inner.l3, 4000),
            (inner.l3 - 20, inner.l4),
            (inner.l3, inner.l4 + 9),
        ] {
            let mut copy = packet.clone();
            apply_error(&mut copy, &layers, Inner { l3, l4 }, &from, &to);
            assert_eq!(copy.data(), packet.data());
        }
        let mut short = packet.clone();
        short.truncate(40);
        let before = short.data().to_vec();
        apply(&mut short, &layers, &from, &to);
        assert_eq!(short.data(), before);
    }
}
