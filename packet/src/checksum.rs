//! Internet checksums: whole (RFC 1071), incremental (RFC 1624), pseudo-headers (RFC 768, RFC 9293, RFC 8200).
//!
//! # Algorithm
//!
//! The sum of 16-bit words with end-around carry does not depend on byte order (RFC 1071, 2(B)), so bytes are summed in
//! the order of the machine, four at a time into a 64-bit accumulator, and swapped once at the end. 64 KiB of ones add up
//! to far less than 2^64, so nothing is folded on the way.
//!
//! Costs: about 16 bytes a cycle where the compiler vectorises the loop; an incremental update is a handful of additions.

/// A running sum of 16-bit words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes. Only the last piece of a stream may have odd length; it is padded with a zero byte.
    #[must_use]
    pub fn bytes(mut self, data: &[u8]) -> Self {
        let (quads, rest) = data.as_chunks::<4>();
        let mut total = 0u64;
        for quad in quads {
            total += u64::from(u32::from_ne_bytes(*quad));
        }
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        self.0 += total + u64::from(u32::from_ne_bytes(last));
        self
    }

    /// Adds a 16-bit word given in host order.
    #[must_use]
    pub fn word(mut self, word: u16) -> Self {
        self.0 += u64::from(word.to_be());
        self
    }

    /// Adds bytes that replace others, and takes those out: `old` and `new` have the same, even length.
    #[must_use]
    pub fn replace(self, old: &[u8], new: &[u8]) -> Self {
        debug_assert!(old.len() == new.len() && old.len().is_multiple_of(2));
        let out = Self::default().bytes(old).folded();
        let mut sum = self.bytes(new);
        sum.0 += u64::from(!out.to_be());
        sum
    }

    /// The sum with its carries added in, in host order, not complemented: what a partial checksum field holds.
    pub fn folded(self) -> u16 {
        let mut sum = self.0;
        sum = (sum & 0xffff_ffff) + (sum >> 32);
        sum = (sum & 0xffff_ffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        u16::from_be(sum as u16)
    }

    /// The checksum: the complement of the sum, in host order.
    pub fn checksum(self) -> u16 {
        !self.folded()
    }
}

/// The checksum of `data`, in host order; 0 when `data` holds a correct checksum.
pub fn of(data: &[u8]) -> u16 {
    Sum::default().bytes(data).checksum()
}

/// The checksum field `check` (host order) after the words in `delta` changed: RFC 1624, equation 3.
///
/// `delta` is made by [`Sum::replace`] from a default sum.
pub fn update(check: u16, delta: Sum) -> u16 {
    delta.word(!check).checksum()
}

/// A partial checksum field, which holds the uncomplemented pseudo-header sum, after a change of that pseudo-header.
pub fn update_partial(field: u16, delta: Sum) -> u16 {
    delta.word(field).folded()
}

/// A transport checksum as UDP sends it: zero means "none", so a zero that was computed goes out as all ones (RFC 768).
pub fn udp_nonzero(check: u16) -> u16 {
    if check == 0 { 0xffff } else { check }
}

/// Sum of the IPv4 pseudo-header. `len` is that of transport header and payload in bytes.
pub fn pseudo_v4(src: [u8; 4], dst: [u8; 4], proto: u8, len: u32) -> Sum {
    pseudo_tail(Sum::default().bytes(&src).bytes(&dst), proto, len)
}

/// Sum of the IPv6 pseudo-header (RFC 8200, 8.1). `len` is that of transport header and payload in bytes.
pub fn pseudo_v6(src: [u8; 16], dst: [u8; 16], proto: u8, len: u32) -> Sum {
    pseudo_tail(Sum::default().bytes(&src).bytes(&dst), proto, len)
}

fn pseudo_tail(sum: Sum, proto: u8, len: u32) -> Sum {
    sum.bytes(&len.to_be_bytes()).word(u16::from(proto))
}

/// The CRC-32c of an SCTP packet as it stands in the header, with the checksum field (bytes 8 to 11) taken as zero (RFC
/// 9260, appendix A). The bytes are as they go on the wire. A packet shorter than its 12-byte header gives `None`.
pub fn sctp(packet: &[u8]) -> Option<[u8; 4]> {
    let head = packet.get(..8)?;
    let body = packet.get(12..)?;
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(head), &[0; 4]), body);
    Some(crc.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow(data: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in data.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn rfc_1071_example() {
        assert_eq!(Sum::default().bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).folded(), 0xddf2);
        assert_eq!(of(&[]), 0xffff);
        assert_eq!(of(&vec![0xff; 65536]), 0);
    }

    #[test]
    fn ipv4_header_of_a_real_packet() {
        let header =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(of(&header), 0);
    }

    #[test]
    fn sctp_checksum_of_a_known_crc() {
        // CRC-32c("123456789") is 0xe3069283; an SCTP packet needs twelve bytes, so check against the plain function.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let packet = *b"\x00\x01\x00\x02\x00\x00\x00\x00\xff\xff\xff\xffpayload";
        let mut zeroed = packet;
        zeroed[8..12].fill(0);
        assert_eq!(sctp(&packet), Some(crc32c::crc32c(&zeroed).to_le_bytes()));
        assert_eq!(sctp(&packet[..11]), None);
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_loop(data in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(of(&data), slow(&data));
        }

        #[test]
        fn update_agrees_with_recomputation(
            mut data in prop::collection::vec(any::<u8>(), 20..60),
            at in 0usize..8,
            new in any::<[u8; 4]>(),
        ) {
            prop_assume!(data.iter().any(|&b| b != 0) && new != [0; 4]);
            let before = of(&data);
            let old: [u8; 4] = data[2 * at..2 * at + 4].try_into().unwrap();
            data[2 * at..2 * at + 4].copy_from_slice(&new);
            prop_assert_eq!(update(before, Sum::default().replace(&old, &new)), of(&data));
        }
    }
}
