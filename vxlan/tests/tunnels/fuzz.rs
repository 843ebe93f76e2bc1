//! The fuzz target's check on good packets, their prefixes and random mutations of them.

#[path = "../../fuzz/fuzz_targets/check.rs"]
mod check;

use frames::{Rng, random};
use packet::Packet;
use vxlan::{DecapError, Fresh};

use crate::setup::{PATH, Way, over_a_wire};

fn good(rng: &mut Rng) -> Vec<Vec<u8>> {
    let fresh = Fresh { src_port: 40_000, ident: 0, sequence: 5 };
    let mut of = |way: Way| {
        let mut frame = random::frame(rng).build();
        frame.resize(frame.len().max(14), 0);
        let mut packet = Packet::copy_of(&frame).unwrap();
        way.template(&PATH).push(&mut packet, fresh).unwrap();
        over_a_wire(packet).data().to_vec()
    };
    Way::all().into_iter().map(&mut of).collect()
}

#[test]
fn prefixes_and_mutations_pass() {
    let mut rng = Rng::new(4);
    for _ in 0..30 {
        for packet in good(&mut rng) {
            check::frame(&packet);
            (0..packet.len().min(150)).for_each(|len| check::frame(&packet[..len]));
            for _ in 0..100 {
                let mut mutant = packet.clone();
                for _ in 0..=rng.below(3) {
                    let at = rng.below(mutant.len().min(130));
                    mutant[at] = rng.bits() as u8;
                }
                mend(&mut mutant);
                check::frame(&mutant);
            }
        }
    }
}

/// Puts an IPv4 header's checksum right, without which nothing behind it would be looked at.
fn mend(frame: &mut [u8]) {
    if frame.len() >= 34 && frame[14] == 0x45 {
        frame[24..26].fill(0);
        let check = packet::checksum::of(&frame[14..34]);
        frame[24..26].copy_from_slice(&check.to_be_bytes());
    }
}

#[test]
fn any_offload_state_is_survived() {
    let mut rng = Rng::new(5);
    for _ in 0..200 {
        for (way, bytes) in Way::all().into_iter().zip(good(&mut rng)) {
            let mut packet = Packet::copy_of(&bytes).unwrap();
            let (start, offset) = (rng.below(200) as u16, rng.below(20) as u16);
            packet.offload.checksum = packet::Checksum::Partial { start, offset };
            match way.decap(&packet) {
                Ok(found) => {
                    let pulled = found.pull(&mut packet);
                    assert!(matches!(pulled, Ok(()) | Err(DecapError::Congestion)), "{pulled:?}");
                }
                Err(error) => assert_eq!(error, DecapError::Checksum),
            }
        }
    }
}
