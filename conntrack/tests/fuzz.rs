//! The fuzz targets' checks on recorded packets and on random mutations of them.

#[path = "../fuzz/fuzz_targets/check.rs"]
mod check;
#[allow(dead_code, reason = "what is expected of the packets is looked at elsewhere")]
mod conversation;

use conversation::{Line, Script};
use frames::Rng;

/// How many mutations of sequences, and of single packets, are tried.
const SEQUENCES: usize = 200;
const ERRORS: usize = 20_000;

/// All recorded conversations as frames.
fn conversations() -> Vec<Vec<Vec<u8>>> {
    let mut all: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut script: Option<Script> = None;
    for line in [
        include_str!("conversations/tcp.txt"),
        include_str!("conversations/sctp.txt"),
        include_str!("conversations/packets.txt"),
    ]
    .iter()
    .flat_map(|text| text.lines())
    {
        match (Line::parse(line), &script) {
            (Line::Begin(begun), _) => {
                script = Some(begun);
                all.push(Vec::new());
            }
            (Line::Packet { reply, words, .. }, Some(script)) => {
                all.last_mut().unwrap().push(script.frame(reply, &words));
            }
            (Line::Frame { bytes, .. }, _) => all.last_mut().unwrap().push(bytes),
            _ => {}
        }
    }
    all
}

/// The form in which the check takes packets; what is looked up is then committed.
fn joined(frames: &[Vec<u8>], switches: impl Fn(usize) -> u8) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        out.push(switches(at));
        out.extend((frame.len() as u16).to_le_bytes());
        out.extend(frame);
    }
    out
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.below(bytes.len());
    match rng.below(8) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << rng.below(8),
        2 => drop(bytes.splice(at..at, [0; 4])),
        3 => drop(bytes.splice(at..bytes.len().min(at + 4), [])),
        _ => bytes[at] = rng.pick(&[0, 1, 2, 3, 4, 5, 8, 0x0f, 0x10, 0x20, 0x45, 0x4f, 0x80, 0xfe, 0xff]),
    }
}

#[test]
fn recorded_conversations_pass() {
    for frames in conversations() {
        check::packets(&joined(&frames, |_| 1));
    }
}

#[test]
fn mutated_conversations_pass() {
    let all = conversations();
    let mut rng = Rng::new(1);
    for n in 0..SEQUENCES {
        let mut frames = all[n % all.len()].clone();
        for _ in 0..rng.below(8) {
            let at = rng.below(frames.len());
            match rng.below(3) {
                0 => mutate(&mut frames[at], &mut rng),
                1 => drop(frames.remove(at)),
                _ => {
                    let other = &all[rng.below(all.len())];
                    frames.insert(at, other[rng.below(other.len())].clone());
                }
            }
            if frames.is_empty() {
                break;
            }
        }
        let seed = rng.below(256) as u8;
        check::packets(&joined(&frames, |at| seed.wrapping_mul(at as u8 | 1) & 0x87 | 1));
    }
}

#[test]
fn mutated_errors_pass() {
    let udp = [3, 0xe8, 0, 53, 0, 8, 0, 0];
    let four = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let mut six = [0; 40];
    (six[0], six[5], six[6], six[8], six[23], six[24], six[39]) = (0x60, 8, 17, 0xfc, 1, 0xfc, 2);
    let corpus = [[&four[..], &udp].concat(), [&six[..], &udp].concat()];
    corpus.iter().for_each(|whole| check::error(whole));
    let mut rng = Rng::new(2);
    for n in 0..ERRORS {
        let mut bytes = corpus[n % 2].clone();
        (0..rng.below(5)).for_each(|_| mutate(&mut bytes, &mut rng));
        check::error(&bytes);
    }
}
