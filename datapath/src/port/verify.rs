//! Whether the checksums of a frame are right: what the null port asks of a sample.

use packet::checksum;
use packet::key::FRAG_ANY;
use packet::parse::{self, eth_type, ip_proto};

/// The checksum that is wrong, if one is. Fragments, and what has no checksum or is unknown, pass.
pub(super) fn wrong_checksum(frame: &[u8]) -> Option<&'static str> {
    let (key, layers) = parse::extract(frame, 2);
    let (l3, l4) = (usize::from(layers.l3), usize::from(layers.l4));
    let end = layers.end as usize;
    if l4 == 0 || end > frame.len() || l4 > end {
        return None;
    }
    let length = (end - l4) as u32;
    let pseudo = match layers.eth_type {
        eth_type::IPV4 => {
            let header = usize::from(frame[l3] & 0xf) * 4;
            if frame.get(l3..l3 + header).is_some_and(|header| checksum::of(header) != 0) {
                return Some("IPv4 header");
            }
            checksum::pseudo_v4(
                key.nw_src.get().to_be_bytes(),
                key.nw_dst.get().to_be_bytes(),
                key.nw_proto,
                length,
            )
        }
        _ => checksum::pseudo_v6(key.ipv6_src, key.ipv6_dst, key.nw_proto, length),
    };
    if key.nw_frag & FRAG_ANY != 0 || layers.rerouted || !layers.l4_whole {
        return None;
    }
    let body = &frame[l4..end];
    let six = layers.eth_type == eth_type::IPV6;
    let right = match key.nw_proto {
        ip_proto::ICMPV6 if six => pseudo.bytes(body).checksum() == 0,
        ip_proto::TCP => pseudo.bytes(body).checksum() == 0,
        ip_proto::UDP => body.get(6..8) == Some(&[0, 0]) || pseudo.bytes(body).checksum() == 0,
        ip_proto::ICMP if !six => checksum::of(body) == 0,
        ip_proto::SCTP => checksum::sctp(body).is_none_or(|crc| body.get(8..12) == Some(&crc)),
        _ => true,
    };
    (!right).then_some("transport")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_an_independent_judge() {
        let mut rng = frames::Rng::new(7);
        let (mut good, mut bad) = (0, 0);
        for _ in 0..20_000 {
            let mut frame = frames::random::frame(&mut rng).build();
            if rng.one_in(2) {
                let at = rng.below(frame.len());
                frame[at] ^= 1 << rng.below(8);
            }
            match (wrong_checksum(&frame), frames::verify(&frame)) {
                (None, Ok(())) => good += 1,
                (Some(_), Err(_)) => bad += 1,
                // The judge looks behind labels and tags that a key does not, and we at less.
                (None, Err(_)) => {}
                (Some(what), Ok(())) => panic!("{what}: {frame:02x?}"),
            }
        }
        assert!(good > 5000 && bad > 2000, "{good} good, {bad} bad");
    }
}
