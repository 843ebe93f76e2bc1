//! Reads the scripts; their notation stands at the head of each.

use frames::{Frame, L4, Net, V4};

const ORIG: [u8; 4] = [10, 1, 1, 1];
const REPLY: [u8; 4] = [10, 1, 1, 2];
/// Ports of the original and of the reply side.
const PORTS: [u16; 2] = [1000, 80];

/// A line of a script.
pub(crate) enum Line<'a> {
    /// A conversation begins.
    Begin(Script),
    /// A packet and its state.
    Packet { reply: bool, words: Vec<&'a str>, expected: &'a str },
    /// A frame and its state.
    Frame { bytes: Vec<u8>, expected: &'a str },
    /// The state of the connection.
    States(&'a str),
    /// Nothing to do.
    Comment,
}

impl<'a> Line<'a> {
    /// Reads a line.
    pub(crate) fn parse(line: &'a str) -> Self {
        let ours = |text: &'a str| text.split(" ovs=").next().unwrap();
        match line.split_once(' ') {
            Some(("tcp" | "sctp" | "raw", _)) => Self::Begin(Script::begin(line)),
            Some(("=", states)) => Self::States(ours(states)),
            Some((side @ (">" | "<"), rest)) => {
                let (sent, expected) = rest.split_once(" : ").unwrap();
                Self::Packet {
                    reply: side == "<",
                    words: sent.split_whitespace().collect(),
                    expected: ours(expected),
                }
            }
            Some(("*", rest)) => {
                let (what, expected) = rest.split_once(" : ").unwrap();
                Self::Frame { bytes: hex(what.split_once("; ").unwrap().1), expected: ours(expected) }
            }
            _ => Self::Comment,
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// What a conversation's first line says.
pub(crate) struct Script {
    /// Its name.
    pub(crate) name: String,
    /// TCP windows are checked.
    pub(crate) seq_check: bool,
    is_sctp: bool,
    isn: [u32; 2],
}

impl Script {
    fn begin(line: &str) -> Self {
        let isn = line.split_once("isn=").map_or([0, 0], |(_, rest)| {
            let pair = rest.split_whitespace().next().unwrap();
            let (orig, reply) = pair.split_once(',').unwrap();
            [orig, reply].map(|number| number.parse().unwrap())
        });
        Self {
            name: line.to_owned(),
            seq_check: !line.contains("seq-check=off"),
            is_sctp: line.starts_with("sctp"),
            isn,
        }
    }

    /// The frame that a packet line describes.
    pub(crate) fn frame(&self, reply: bool, words: &[&str]) -> Vec<u8> {
        let (src, dst) = if reply { (REPLY, ORIG) } else { (ORIG, REPLY) };
        let ports = [PORTS[usize::from(reply)], PORTS[usize::from(!reply)]];
        let l4 = if self.is_sctp {
            L4::Raw { proto: 132, bytes: sctp(ports, words) }
        } else {
            let isn = [self.isn[usize::from(reply)], self.isn[usize::from(!reply)]];
            let mut segment = tcp(ports, isn, words);
            let length = (segment.len() as u16).to_be_bytes();
            let sum = frames::inet(&[&src, &dst, &[0, 6], &length, &segment]);
            segment[16..18].copy_from_slice(&sum.to_be_bytes());
            L4::Raw { proto: 6, bytes: segment }
        };
        Frame::new(Net::V4(V4 { src, dst, l4, ..V4::default() })).build()
    }
}

/// The value of `name=`.
fn option(words: &[&str], name: &str) -> Option<i64> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

fn number(words: &[&str], name: &str) -> u32 {
    option(words, name).unwrap_or(0) as u32
}

/// A TCP segment without its checksum. `isn`: the sender's, the receiver's.
fn tcp(ports: [u16; 2], isn: [u32; 2], words: &[&str]) -> Vec<u8> {
    let bits = words[0].chars().filter_map(|flag| "FSRPAUEC".find(flag));
    let flags: u8 = bits.fold(0, |set, bit| set | 1 << bit);
    let ack = if flags & 16 != 0 { isn[1].wrapping_add(number(words, "ack")) } else { 0 };
    let options = option(words, "ws").map_or(vec![], |shift| vec![3, 3, shift as u8, 1]);
    let window = option(words, "win").unwrap_or(8192) as u16;
    let mut segment = Vec::new();
    segment.extend(ports[0].to_be_bytes());
    segment.extend(ports[1].to_be_bytes());
    segment.extend(isn[0].wrapping_add(number(words, "seq")).to_be_bytes());
    segment.extend(ack.to_be_bytes());
    segment.extend([(5 + options.len() as u8 / 4) << 4, flags]);
    segment.extend(window.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(options);
    segment.resize(segment.len() + number(words, "len") as usize, b'x');
    segment
}

const CHUNKS: [&str; 15] = [
    "DATA",
    "INIT",
    "INIT-ACK",
    "SACK",
    "HEARTBEAT",
    "HEARTBEAT-ACK",
    "ABORT",
    "SHUTDOWN",
    "SHUTDOWN-ACK",
    "ERROR",
    "COOKIE-ECHO",
    "COOKIE-ACK",
    "ECNE",
    "CWR",
    "SHUTDOWN-COMPLETE",
];

/// A whole SCTP packet.
fn sctp(ports: [u16; 2], words: &[&str]) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(ports[0].to_be_bytes());
    packet.extend(ports[1].to_be_bytes());
    packet.extend(number(words, "tag").to_be_bytes());
    packet.extend([0; 4]);
    for chunk in words[0].split(',') {
        let name = chunk.trim_end_matches("/T");
        let kind = CHUNKS.iter().position(|known| *known == name).unwrap() as u8;
        let body = match kind {
            1 | 2 => [&number(words, "init").to_be_bytes()[..], &[0; 12]].concat(),
            0 => vec![0; 16],
            _ => Vec::new(),
        };
        packet.extend([kind, u8::from(name != chunk), 0, 4 + body.len() as u8]);
        packet.extend(body);
    }
    let crc = frames::crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&crc);
    packet
}
