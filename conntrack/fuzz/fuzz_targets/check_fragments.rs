//! What must hold of any fragments: none is lost, none waits beyond the limits, and a datagram that comes out is the one that was cut.

use conntrack::frag::{Config, Family, Frag, Fragment, MIN_SIZE_FLOOR, Part, Reassembler, TIMEOUT_NS};
use packet::{Packet, checksum, extract};

const MAX_FRAGMENTS: u32 = 40;
const MAX_BYTES: u64 = 64 << 10;

/// Gives a reassembler what the bytes describe: fragments of datagrams whose payload is known, in eight bytes each, and frames as they stand.
pub(crate) fn fragments(bytes: &[u8]) {
    let mut check = Check::new();
    let mut rest = bytes;
    while let Some((&[kind, id, s0, s1, l0, l1, zone, time], after)) = rest.split_first_chunk() {
        rest = after;
        check.now_ns += u64::from(time) << 26;
        let (start, len) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([l0, l1]));
        let zone = u16::from(zone & 1);
        match kind & 3 {
            0 => check.give(&v4(id, start, len, kind & 4 != 0), zone),
            1 => check.give(&v6(id, start, len, kind & 4 != 0), zone),
            2 => {
                let (frame, after) = rest.split_at(rest.len().min(usize::from(len) % 2048));
                rest = after;
                check.raw = true;
                check.give(frame, zone);
            }
            _ => check.sweep(usize::from(id)),
        }
    }
    check.end();
}

struct Check {
    reassembler: Reassembler,
    now_ns: u64,
    given: usize,
    out: usize,
    /// Frames with any payload were given too.
    raw: bool,
}

impl Check {
    fn new() -> Self {
        let reassembler = Reassembler::new(Config { max_bytes: MAX_BYTES, seed: 1 });
        reassembler.set_max_fragments(MAX_FRAGMENTS).unwrap();
        for family in Family::ALL {
            reassembler.set_min_size(family, MIN_SIZE_FLOOR).unwrap();
        }
        Self { reassembler, now_ns: 0, given: 0, out: 0, raw: false }
    }

    fn give(&mut self, frame: &[u8], zone: u16) {
        let (key, layers) = extract(frame, 2);
        let packet = Packet::copy_of(frame).unwrap();
        self.given += 1;
        match self
            .reassembler
            .take(Fragment { packet, key: &key, layers: &layers, zone, context: 0 }, self.now_ns)
        {
            Frag::Held => {}
            Frag::NotOne(packet) | Frag::Refused(packet, _) => {
                assert_eq!(packet.data(), frame);
                self.out += 1;
            }
            Frag::Dropped(_, fragments) => self.out += fragments as usize,
            Frag::Whole(whole) => {
                let at = usize::from(whole.layers.l3) + if whole.layers.eth_type == 0x0800 { 20 } else { 40 };
                assert!(self.raw || is_pattern(&whole.packet.data()[at..]));
                let before = frames(whole.parts());
                let parts = whole.release(true).unwrap();
                assert_eq!(frames(&parts), before);
                self.out += parts.len();
            }
        }
        let status = self.reassembler.status();
        assert!(status.held <= MAX_FRAGMENTS && status.bytes <= MAX_BYTES);
    }

    fn sweep(&mut self, budget: usize) {
        let mut expired = Vec::new();
        self.out += self.reassembler.sweep(self.now_ns, budget, &mut expired);
    }

    fn end(mut self) {
        self.now_ns += TIMEOUT_NS;
        self.sweep(usize::MAX);
        assert_eq!(self.out, self.given);
        let status = self.reassembler.status();
        assert_eq!((status.held, status.bytes), (0, 0));
        assert!(self.reassembler.incomplete().is_empty());
    }
}

fn frames(parts: &[Part]) -> Vec<Vec<u8>> {
    parts.iter().map(|part| part.packet.data().to_vec()).collect()
}

/// The payload of every datagram: no multiple of 8 bytes looks like another.
fn pattern(start: usize, len: usize) -> impl Iterator<Item = u8> {
    (start..start + len).map(|at| (at ^ (at >> 8).wrapping_mul(31)) as u8)
}

fn is_pattern(payload: &[u8]) -> bool {
    pattern(0, payload.len()).eq(payload.iter().copied())
}

fn v4(id: u8, start: u16, len: u16, more: bool) -> Vec<u8> {
    let (start, len) = (start & 0x1fff, usize::from(len) % 1481);
    let mut frame = [&[2; 12][..], &[8, 0, 0x45, 0]].concat();
    frame.extend((20 + len as u16).to_be_bytes());
    frame.extend([0, id % 4]);
    frame.extend((u16::from(more) << 13 | start).to_be_bytes());
    frame.extend([64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let check = checksum::of(&frame[14..]);
    frame[24..26].copy_from_slice(&check.to_be_bytes());
    frame.extend(pattern(usize::from(start) * 8, len));
    frame
}

fn v6(id: u8, start: u16, len: u16, more: bool) -> Vec<u8> {
    let (start, len) = (start & 0xfff8, usize::from(len) % 1481);
    let mut frame = [&[2; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0]].concat();
    frame.extend((8 + len as u16).to_be_bytes());
    frame.extend([44, 64]);
    frame.extend([5; 32]);
    frame.extend([253, 0]);
    frame.extend((start | u16::from(more)).to_be_bytes());
    frame.extend([0, 0, 0, id % 4]);
    frame.extend(pattern(usize::from(start), len));
    frame
}
