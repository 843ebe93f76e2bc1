//! Broken messages: recorded ones with bytes changed, cut out, or put in.

use crate::corpus;

/// A small generator of pseudo-random numbers (xorshift64), so that every run breaks the same messages.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

/// Type of an error message.
const ERROR: u8 = 1;

/// Values that are often on some edge.
const EDGES: [u8; 10] = [0, 1, 2, 3, 4, 7, 8, 0x10, 0x80, 0xff];

/// `count` messages, each with a transaction id of its own: its place in the list.
pub(crate) fn mutants(count: usize) -> impl Iterator<Item = Vec<u8>> {
    let corpus: Vec<Vec<u8>> =
        corpus::recorded().map(|r| r.bytes).filter(|bytes| bytes.len() < 600).collect();
    // An error's text prints the message in its data, with the errors in that.
    let corpus: Vec<Vec<u8>> = corpus.into_iter().filter(|bytes| bytes[1] != ERROR).collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    (0..count).map(move |i| {
        let mut bytes = corpus[i % corpus.len()].clone();
        for _ in 0..=random.below(2) {
            mutate(&mut bytes, &mut random);
        }
        let length = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes[4..8].copy_from_slice(&(i as u32).to_be_bytes());
        bytes
    })
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let len = bytes.len();
    let edge = EDGES[random.below(EDGES.len())];
    if len <= 8 {
        return bytes.push(edge);
    }
    let at = 8 + random.below(len - 8);
    match random.below(10) {
        0 => bytes.truncate(at),
        1 => bytes.extend((0..8).map(|_| edge)),
        2 => bytes.truncate(at / 8 * 8),
        3 => drop(bytes.splice(at / 8 * 8..at / 8 * 8, [edge; 8])),
        4 => bytes[1] = 2 + random.below(34) as u8,
        5 => bytes[at] ^= 1 << random.below(8),
        _ => bytes[at] = edge,
    }
}
