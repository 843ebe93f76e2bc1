//! What random rules have of connection tracking: `ct()`, and matches on what it says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use frames::{Frame, L4, Net, Rng, V4, V6, random};

use crate::field::{CT_FIELDS, Family, Field, Slot, field};
use crate::random::{Place, Style, TABLES, mask, output, register};
use crate::rule::{Act, Ct, Doing, Nat, Spec, Term, Terms, Zone};

/// States worth matching: value, mask.
const STATES: &[(u128, u128)] = &[
    (0x21, 0x21),
    (0x21, 0x21),
    (0x22, 0x22),
    (0x22, 0x22),
    (0x22, 0x2a),
    (0x2a, 0x2a),
    (0x20, 0x20),
    (0x30, 0x30),
    (0x20, 0x30),
    (0x24, 0x24),
    (0, 0x20),
    (0x20, 0x21),
    (0x60, 0x60),
    (0xa0, 0xa0),
    (0x21, 0xff),
    (0x22, 0xff),
    (0x2a, 0xff),
];

fn zone_number(rng: &mut Rng) -> u16 {
    rng.pick(&[0, 1, 1, 1, 2, 0xffff])
}

fn value(rng: &mut Rng, field: &Field) -> u128 {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    match field.slot {
        Slot::CtZone => zone_number(rng).into(),
        Slot::CtLabel => rng.below(4) as u128 | (rng.below(3) as u128) << 64,
        Slot::CtProto => rng.pick(&[1, 6, 17]),
        Slot::CtNwSrc | Slot::CtNwDst => number(&v4(rng)),
        Slot::CtIp6Src | Slot::CtIp6Dst => number(&v6(rng)),
        Slot::CtTpSrc | Slot::CtTpDst => port(rng).into(),
        _ => rng.below(4) as u128,
    }
}

fn term(rng: &mut Rng, field: &'static Field) -> Term {
    if field.slot == Slot::CtState {
        let (value, mask) = rng.pick(STATES);
        return Term { field, value, mask };
    }
    let (value, mask) = (value(rng, field), mask(rng, field));
    Term { field, value: value & mask, mask }
}

/// Adds conditions on the connection to a match of IP packets.
pub(crate) fn add_terms(rng: &mut Rng, families: &[Family], terms: &mut Terms) {
    if !families.contains(&Family::Ip) || rng.one_in(3) {
        return;
    }
    let state = term(rng, field("ct_state"));
    let found = state.value & 0xcf != 0;
    terms.push(state);
    if rng.one_in(2) {
        let six = families.contains(&Family::V6);
        let field = &CT_FIELDS[1 + rng.below(CT_FIELDS.len() - 1)];
        let fits = match field.slot {
            Slot::CtNwSrc | Slot::CtNwDst => !six,
            Slot::CtIp6Src | Slot::CtIp6Dst => six,
            _ => true,
        };
        if fits && (found || field.family != Family::Tracked) {
            terms.push(term(rng, field));
        }
    }
}

/// An action: mostly `ct()`.
pub(crate) fn act(rng: &mut Rng, place: Place) -> Act {
    match rng.below(12) {
        0 => Act::CtClear,
        1 | 2 => from_connection(rng),
        _ => Act::Ct(Box::new(ct(rng, place))),
    }
}

/// Reads what the tracker said.
fn from_connection(rng: &mut Rng) -> Act {
    let src = &CT_FIELDS[rng.below(CT_FIELDS.len())];
    if rng.one_in(3) {
        return Act::Push(src);
    }
    // What lands in an address is seen by who gets the packet.
    let dst = if rng.one_in(2) { register(rng) } else { field(rng.pick(&["eth_src", "eth_dst"])) };
    copy(rng, src, dst)
}

fn copy(rng: &mut Rng, src: &'static Field, dst: &'static Field) -> Act {
    let bits = 1 + rng.below(src.bits.min(dst.bits) as usize) as u16;
    let room = |field: &Field| (field.bits as u16 - bits + 1) as usize;
    Act::Move(src, rng.below(room(src)) as u16, dst, rng.below(room(dst)) as u16, bits)
}

fn ct(rng: &mut Rng, place: Place) -> Ct {
    let commit = rng.one_in(2);
    let zone = match rng.below(8) {
        0 => Zone::Field(register(rng), rng.pick(&[0, 0, 8, 16])),
        1 => Zone::Field(field("ct_zone"), 0),
        2 => Zone::Field(field("metadata"), 0),
        _ => Zone::Number(zone_number(rng)),
    };
    let ahead = usize::from(TABLES).saturating_sub(usize::from(place.table) + 1);
    let table = match rng.below(8) {
        0 | 1 => None,
        2 if rng.one_in(8) => Some(rng.below(usize::from(TABLES)) as u8),
        _ if ahead > 0 => Some(place.table + 1 + rng.below(ahead) as u8),
        _ => None,
    };
    let nat = (place.style.nat && rng.one_in(2)).then(|| nat(rng, place.families, commit));
    let mut exec = Vec::new();
    while commit && rng.one_in(2) && exec.len() < 4 {
        exec.push(on_connection(rng, place));
    }
    Ct { commit, force: commit && rng.one_in(4), zone, table, nat, exec }
}

/// A write to mark or label.
fn on_connection(rng: &mut Rng, place: Place) -> Act {
    let dst = field(rng.pick(&["ct_mark", "ct_label"]));
    if rng.one_in(3) {
        return Act::Set(term(rng, dst));
    }
    let src = match rng.below(5) {
        0 => register(rng),
        1 | 2 => &CT_FIELDS[rng.below(CT_FIELDS.len())],
        _ => place.field(rng, false),
    };
    copy(rng, src, dst)
}

fn nat(rng: &mut Rng, families: &[Family], commit: bool) -> Nat {
    if !commit || rng.one_in(3) {
        return Nat::default();
    }
    let addr = |rng: &mut Rng| -> IpAddr {
        if families.contains(&Family::V6) {
            if rng.one_in(8) { Ipv6Addr::UNSPECIFIED.into() } else { Ipv6Addr::from(v6(rng)).into() }
        } else if rng.one_in(8) {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::from(v4(rng)).into()
        }
    };
    let addrs = (!rng.one_in(4)).then(|| {
        let first = addr(rng);
        (first, if rng.one_in(2) { first } else { addr(rng).max(first) })
    });
    let ports = rng.one_in(2).then(|| {
        let first: u16 = rng.pick(&[1, 80, 1024, 5000, 65535]);
        (first, if rng.one_in(2) { first } else { first.saturating_add(3) })
    });
    let (hash, random) = rng.pick(&[(false, false), (false, false), (true, false), (false, true)]);
    Nat { source: Some(rng.one_in(2)), addrs, ports, hash, random, persistent: rng.one_in(6) }
}

/// Rules of low priority that send IP packets to the tracker, and do something with what comes back.
pub(crate) fn basis(rng: &mut Rng, style: Style) -> Vec<Spec> {
    let mut out = Vec::new();
    let kinds = [(0x0800, &[Family::V4, Family::Ip][..]), (0x86dd, &[Family::V6, Family::Ip][..])];
    for (kind, families) in kinds {
        let eth_type = field("eth_type");
        let ip = Term { field: eth_type, value: kind, mask: eth_type.ones() };
        let known = (style.nat && rng.one_in(2)).then(Nat::default);
        let zone = Zone::Number(rng.pick(&[1, 1, 0]));
        let look = Ct { commit: false, force: false, zone, table: Some(1), nat: known, exec: Vec::new() };
        let to_tracker = Doing { apply: vec![Act::Ct(Box::new(look.clone()))], ..Doing::default() };
        out.push(spec(rng, 0, 5, vec![ip], to_tracker));
        let place = Place { table: 1, families, style, depth: 0 };
        let wanted = style.nat.then(|| nat(rng, families, true));
        let exec = (0..rng.below(4)).map(|_| on_connection(rng, place)).collect();
        let keep = Ct { commit: true, table: rng.pick(&[None, Some(2)]), nat: wanted, exec, ..look.clone() };
        let new = Term { field: field("ct_state"), value: 0x21, mask: 0x21 };
        let apply = vec![Act::Ct(Box::new(keep)), output(rng, style)];
        out.push(spec(rng, 1, 6, vec![ip, new], Doing { apply, ..Doing::default() }));
        // Mark and label of a connection that is known, each made of the other.
        let exec = vec![on_connection(rng, place), copy(rng, field("ct_mark"), field("ct_label"))];
        let again = Ct { commit: true, table: None, nat: None, exec, ..look };
        let known = Term { field: field("ct_state"), value: 0x22, mask: 0x22 };
        let apply = vec![Act::Ct(Box::new(again)), from_connection(rng), output(rng, style)];
        out.push(spec(rng, 1, 7, vec![ip, known], Doing { apply, ..Doing::default() }));
        let apply = vec![from_connection(rng), output(rng, style)];
        out.push(spec(rng, 1, 5, vec![ip], Doing { apply, ..Doing::default() }));
    }
    out
}

/// Few addresses, so that connections meet.
fn v4(rng: &mut Rng) -> [u8; 4] {
    [10, 0, rng.below(2) as u8, 1 + rng.below(3) as u8]
}

fn v6(rng: &mut Rng) -> [u8; 16] {
    let mut out = [0; 16];
    (out[0], out[7], out[15]) = (0xfd, rng.below(2) as u8, 1 + rng.below(3) as u8);
    out
}

fn port(rng: &mut Rng) -> u16 {
    rng.pick(&[1, 80, 80, 1024, 5000])
}

/// A frame that a tracker can mostly make sense of.
pub(crate) fn frame(rng: &mut Rng) -> Vec<u8> {
    let six = rng.one_in(3);
    let l4 = transport(rng, six);
    let net = if six {
        Net::V6(V6 { src: v6(rng), dst: v6(rng), class: 0, label: 0, hops: 64, extensions: Vec::new(), l4 })
    } else {
        Net::V4(V4 { src: v4(rng), dst: v4(rng), ttl: rng.pick(&[1, 2, 64, 64]), l4, ..V4::default() })
    };
    let tag = rng.one_in(6).then(|| (0x8100, random::tci(rng) & !0x1000));
    let vlans = tag.into_iter().collect();
    let frame = Frame { dst: random::mac(rng), src: random::mac(rng), vlans, ..Frame::new(net) };
    let mut out = frame.build();
    if rng.one_in(16) {
        random::spoil(rng, &mut out);
        out.resize(out.len().max(14), 0);
    }
    out
}

fn transport(rng: &mut Rng, six: bool) -> L4 {
    let (src, dst, payload) = (port(rng), port(rng), rng.some_bytes(20));
    match rng.below(16) {
        0..7 => {
            let scale = [1, 3, 3, rng.pick(&[0, 7, 14, 15])];
            let options = if rng.one_in(2) { scale.to_vec() } else { Vec::new() };
            L4::Tcp { src, dst, flags: rng.pick(&[2, 2, 2, 2, 0x10, 0x12, 4, 0]), options, payload }
        }
        7..12 => L4::Udp { src, dst, checksum: six || !rng.one_in(6), payload },
        12 => L4::Raw { proto: rng.pick(&[47, 50, 132]), bytes: payload },
        _ => {
            let kind = if six { 128 } else { rng.pick(&[8, 8, 8, 13, 3]) };
            let body = [&[0, rng.below(2) as u8, 0, 1][..], &payload].concat();
            L4::Icmp { kind, code: 0, body }
        }
    }
}

fn spec(rng: &mut Rng, table: u8, priority: u16, terms: Terms, doing: Doing) -> Spec {
    Spec { table, priority, cookie: rng.bits(), terms, doing, idle_timeout: 0, hard_timeout: 0 }
}
