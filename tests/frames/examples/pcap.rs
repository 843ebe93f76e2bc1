//! Writes COUNT random frames of seed SEED, half of them spoilt, as a pcap file to FILE: input for other switches' parsers.
//!
//! `cargo run -p frames --example pcap -- SEED COUNT FILE`

use frames::{Rng, random};

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut number = || args.next().and_then(|arg| arg.parse::<u64>().ok()).unwrap_or(1);
    let (seed, count) = (number(), number());
    let path = args.next().unwrap_or_else(|| "frames.pcap".into());
    let mut rng = Rng::new(seed);
    let mut out = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1] {
        out.extend(word.to_le_bytes());
    }
    for _ in 0..count {
        let mut frame = random::frame(&mut rng).build();
        if rng.one_in(2) {
            random::spoil(&mut rng, &mut frame);
        }
        let len = frame.len() as u32;
        for word in [0, 0, len, len] {
            out.extend(word.to_le_bytes());
        }
        out.extend(frame);
    }
    std::fs::write(path, out)
}
