//! Whether all checksums of a frame are right.

use crate::sums::{crc32c, inet};

/// What a transport checksum covers besides the packet's own bytes.
struct Pseudo {
    addresses: Vec<u8>,
    proto: u8,
    v6: bool,
}

/// Walks the frame's headers and recomputes every checksum in them; the error says which is wrong. Frames whose headers
/// are cut off or contradict themselves, fragments, and what is unknown pass as far as they go.
pub fn verify(frame: &[u8]) -> Result<(), String> {
    let mut at = 12;
    loop {
        let Some(kind) = word(frame, at) else { return Ok(()) };
        at += 2;
        match kind {
            0x8100 | 0x88a8 => at += 2,
            0x8847 | 0x8848 => {
                while frame.get(at + 2).is_some_and(|byte| byte & 1 == 0) {
                    at += 4;
                }
                at += 4;
                return match frame.get(at) {
                    Some(first) if first >> 4 == 4 => ipv4(&frame[at..]),
                    _ => Ok(()),
                };
            }
            0x0800 => return ipv4(&frame[at..]),
            0x86dd => return ipv6(&frame[at..]),
            0..0x600 if frame.get(at..at + 6) == Some(&[0xaa, 0xaa, 3, 0, 0, 0]) => at += 6,
            _ => return Ok(()),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn ipv4(ip: &[u8]) -> Result<(), String> {
    let (Some(&first), Some(total)) = (ip.first(), word(ip, 2)) else { return Ok(()) };
    let (header_len, total) = (usize::from(first & 15) * 4, usize::from(total));
    if header_len < 20 || total < header_len || ip.len() < total {
        return Ok(());
    }
    if inet(&[&ip[..header_len]]) != 0 {
        return Err("IPv4 header checksum".into());
    }
    if word(ip, 6).is_some_and(|frag| frag & 0x3fff != 0) {
        return Ok(());
    }
    transport(&ip[header_len..total], &Pseudo { addresses: ip[12..20].to_vec(), proto: ip[9], v6: false })
}

fn ipv6(ip: &[u8]) -> Result<(), String> {
    let Some(len) = word(ip, 4) else { return Ok(()) };
    let end = 40 + usize::from(len);
    if ip.len() < end {
        return Ok(());
    }
    let mut pseudo = Pseudo { addresses: ip[8..40].to_vec(), proto: ip[6], v6: true };
    let mut at = 40;
    while matches!(pseudo.proto, 0 | 43 | 44 | 51 | 60) {
        let Some(header) = ip[..end].get(at..).filter(|header| header.len() >= 8) else { return Ok(()) };
        let len = usize::from(header[1]);
        match pseudo.proto {
            44 if header[2..4] != [0, 0] => return Ok(()),
            44 => at += 8,
            51 => at += (len + 2) * 4,
            43 if header[3] != 0 => {
                let Some(last) = header.get(8..24) else { return Ok(()) };
                pseudo.addresses[16..].copy_from_slice(last);
                at += (len + 1) * 8;
            }
            _ => at += (len + 1) * 8,
        }
        pseudo.proto = header[0];
    }
    if at > end {
        return Ok(());
    }
    transport(&ip[at..end], &pseudo)
}

fn transport(segment: &[u8], pseudo: &Pseudo) -> Result<(), String> {
    let len = (segment.len() as u32).to_be_bytes();
    let whole = [&pseudo.addresses[..], &len, &[0, 0, 0, pseudo.proto]].concat();
    let (name, right) = match (pseudo.proto, segment.len()) {
        (6, 20..) => ("TCP", inet(&[&whole, segment]) == 0),
        (17, 8..) => ("UDP", segment[6..8] == [0, 0] || inet(&[&whole, segment]) == 0),
        (58, 8..) if pseudo.v6 => ("ICMPv6", inet(&[&whole, segment]) == 0),
        (1, 8..) if !pseudo.v6 => ("ICMP", inet(&[segment]) == 0),
        (2, 8..) if !pseudo.v6 => ("IGMP", inet(&[segment]) == 0),
        (132, 12..) => {
            let mut zeroed = segment.to_vec();
            zeroed[8..12].fill(0);
            ("SCTP", crc32c(&zeroed).to_le_bytes() == segment[8..12])
        }
        _ => return Ok(()),
    };
    if right { Ok(()) } else { Err(format!("{name} checksum")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rng, random};

    #[test]
    fn what_is_built_is_right_and_what_is_spoilt_is_found() {
        let mut rng = Rng::new(1);
        let mut found = 0;
        for _ in 0..5000 {
            let mut bytes = random::frame(&mut rng).build();
            verify(&bytes).unwrap();
            let at = rng.below(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
            found += u32::from(verify(&bytes).is_err());
        }
        assert!(found > 1500, "only {found} of 5000 errors found");
    }
}
