//! Conversations by UDP, ICMP and SCTP.

use frames::{L4, Rng};

use crate::talk::{Ends, Kind, Nat, Step, Talk};

/// What makes a packet bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    None,
    /// A wrong checksum.
    Sum,
    /// Cut after so many bytes of the transport header.
    Short(usize),
}

fn flaw(rng: &mut Rng) -> Flaw {
    match rng.below(24) {
        0 => Flaw::Sum,
        1 => Flaw::Short(4),
        _ => Flaw::None,
    }
}

/// A frame whose transport header has a right checksum, unless it has a flaw. `at`: where the checksum stands.
fn flawed(ends: Ends, reply: bool, proto: u8, bytes: Vec<u8>, at: usize, flaw: Flaw) -> Vec<u8> {
    seen([reply, reply], ends, proto, bytes, at, flaw)
}

/// The same from a host (`reply` or not), as one of them sees it.
fn seen(
    [reply, seen_by_other]: [bool; 2],
    ends: Ends,
    proto: u8,
    mut bytes: Vec<u8>,
    at: usize,
    flaw: Flaw,
) -> Vec<u8> {
    let sum = match proto {
        1 => frames::inet(&[&bytes]),
        _ => ends.sum(reply, seen_by_other, proto, &bytes),
    };
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    match flaw {
        Flaw::None => {}
        Flaw::Sum => bytes[at] ^= 0x55,
        Flaw::Short(length) => bytes.truncate(length),
    }
    ends.frame_at(reply, seen_by_other, L4::Raw { proto, bytes })
}

fn step(reply: bool, what: String, frame: Vec<u8>) -> Step {
    Step { reply, what, flags: 0, seq: 0, wide: false, cut: false, frame }
}

/// UDP in both directions, with errors about it.
pub(crate) fn udp(rng: &mut Rng, ends: Ends, most: usize) -> Talk {
    let mut steps = Vec::new();
    while steps.len() < most {
        let reply = !steps.is_empty() && rng.one_in(2);
        if rng.one_in(4) {
            steps.push(error(rng, ends, reply, 17));
            continue;
        }
        let flaw = flaw(rng);
        let frame = flawed(ends, reply, 17, datagram(reply, rng.some_bytes(40)), 6, flaw);
        steps.push(step(reply, format!("UDP {flaw:?}"), frame));
    }
    Talk { kind: Kind::Udp, ends, steps }
}

fn datagram(reply: bool, payload: Vec<u8>) -> Vec<u8> {
    let ports: [u16; 2] = if reply { [80, 1000] } else { [1000, 80] };
    let mut bytes = ports.map(u16::to_be_bytes).concat();
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

fn echo(ends: Ends, answer: bool, id: u16) -> Vec<u8> {
    let kind = match (ends.v6, answer) {
        (false, false) => 8,
        (false, true) => 0,
        (true, false) => 128,
        (true, true) => 129,
    };
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(id.to_be_bytes());
    bytes.extend([0, 1, 2, 3, 4, 5]);
    bytes
}

fn icmp_proto(ends: Ends) -> u8 {
    if ends.v6 { 58 } else { 1 }
}

/// Pings, answers, errors about them, other messages.
pub(crate) fn icmp(rng: &mut Rng, ends: Ends, most: usize) -> Talk {
    let mut steps = Vec::new();
    let proto = icmp_proto(ends);
    while steps.len() < most {
        let reply = !steps.is_empty() && rng.one_in(2);
        if rng.one_in(4) {
            steps.push(error(rng, ends, reply, proto));
            continue;
        }
        let (flaw, id) = (flaw(rng), rng.pick(&[7, 7, 7, 8]));
        let mut bytes = echo(ends, reply ^ rng.one_in(8), id);
        if rng.one_in(10) {
            bytes[0] = if ends.v6 { rng.pick(&[130, 139, 200]) } else { rng.pick(&[13, 14, 9, 10, 40]) };
        }
        if rng.one_in(20) {
            bytes[1] = 1;
        }
        let what = format!("ICMP type={} code={} id={id} {flaw:?}", bytes[0], bytes[1]);
        steps.push(step(reply, what, flawed(ends, reply, proto, bytes, 2, flaw)));
    }
    Talk { kind: Kind::Icmp, ends, steps }
}

/// An error about a packet that goes the other way: from the host itself, with the packet whole, cut or foreign.
fn error(rng: &mut Rng, ends: Ends, reply: bool, proto: u8) -> Step {
    let inner = match proto {
        17 => datagram(!reply, vec![0; 20]),
        _ => echo(ends, !reply, 7),
    };
    let mut about = match rng.one_in(8) {
        // A packet of nobody.
        true => {
            let nobody = Ends { number: ends.number ^ 0x4000, nat: Nat::None, ..ends };
            nobody.frame(!reply, L4::Raw { proto, bytes: inner })
        }
        false => seen([!reply, reply], ends, proto, inner, if proto == 17 { 6 } else { 2 }, Flaw::None),
    };
    about.drain(..14);
    let header = if ends.v6 { 40 } else { 20 };
    let keep = rng.pick(&[about.len(), about.len(), header + 8, header + 4, header, header - 4]);
    about.truncate(keep);
    let (kind, code) = if ends.v6 {
        rng.pick(&[(1, 4), (1, 1), (2, 0), (3, 0), (4, 1)])
    } else {
        rng.pick(&[(3, 3), (3, 1), (3, 4), (11, 0), (12, 0), (4, 0), (5, 1)])
    };
    let flaw = if rng.one_in(12) { Flaw::Sum } else { Flaw::None };
    let mut bytes = vec![kind, code, 0, 0, 0, 0, 5, 0];
    bytes.extend(about);
    let what = format!("error type={kind} code={code} of {keep} bytes, header {header}, {flaw:?}");
    let frame = flawed(ends, reply, icmp_proto(ends), bytes, 2, flaw);
    Step { cut: keep < header + 8, ..step(reply, what, frame) }
}

/// An association: opened and closed, with chunks lost and doubled.
pub(crate) fn sctp(rng: &mut Rng, ends: Ends, most: usize) -> Talk {
    // Chunk types with the side that sends them.
    let course = [
        (false, 1),
        (true, 2),
        (false, 10),
        (true, 11),
        (false, 0),
        (true, 3),
        (true, 0),
        (false, 3),
        (false, 4),
        (true, 5),
        (false, 7),
        (true, 8),
        (false, 14),
    ];
    let tags: [u32; 2] = [rng.bits() as u32 | 1, rng.bits() as u32 | 1];
    let mut steps = Vec::new();
    for (reply, chunk) in course {
        let times = if steps.is_empty() { 1 } else { rng.pick(&[0, 1, 1, 1, 1, 1, 1, 2]) };
        for _ in 0..times {
            let flaw = if rng.one_in(20) { Flaw::Sum } else { Flaw::None };
            let tag = if chunk == 1 { 0 } else { tags[usize::from(!reply)] };
            let tag = if rng.one_in(20) { tag ^ 1 } else { tag };
            let frame = association(ends, reply, tag, tags[usize::from(reply)], chunk, flaw);
            steps.push(step(reply, format!("SCTP chunk={chunk} tag={tag:x} {flaw:?}"), frame));
        }
    }
    steps.truncate(most);
    Talk { kind: Kind::Sctp, ends, steps }
}

fn association(ends: Ends, reply: bool, tag: u32, own: u32, chunk: u8, flaw: Flaw) -> Vec<u8> {
    let ports: [u16; 2] = if reply { [80, 1000] } else { [1000, 80] };
    let mut bytes = ports.map(u16::to_be_bytes).concat();
    bytes.extend(tag.to_be_bytes());
    bytes.extend([0; 4]);
    let body = match chunk {
        1 | 2 => [&own.to_be_bytes()[..], &[0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]].concat(),
        0 => vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, b'd', b'a', b't', b'a'],
        3 => vec![0; 12],
        _ => vec![],
    };
    bytes.extend([chunk, 3 * u8::from(chunk == 0), 0, 4 + body.len() as u8]);
    bytes.extend(body);
    let crc = frames::crc32c(&bytes).to_le_bytes();
    bytes[8..12].copy_from_slice(&crc);
    if flaw == Flaw::Sum {
        bytes[8] ^= 0x55;
    }
    ends.frame(reply, L4::Raw { proto: 132, bytes })
}
