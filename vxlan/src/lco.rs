//! Sums of bytes whose own checksum is not there yet ("local checksum offload").
//!
//! The bytes from a partial checksum's start to the end will sum up to the complement of what stands in its field now (the
//! pseudo-header's sum), whatever they are: that is what completing it means. So an outer checksum over them is known without
//! touching the payload, and the inner one can stay partial.

use packet::Checksum;
use packet::checksum::Sum;

/// Offset of SCTP's checksum, which is a CRC and no sum.
const SCTP_CHECKSUM: u16 = 8;

/// Adds `frame[from..]` to `sum` as it will be when `checksum` is completed; `None` when that cannot be said without completing it.
/// Adds the bytes as they are when nothing is partial, or only what lies before `from`.
pub(crate) fn sum_completed(sum: Sum, frame: &[u8], from: usize, checksum: Checksum) -> Option<Sum> {
    let Checksum::Partial { start, offset } = checksum else { return Some(sum.bytes(frame.get(from..)?)) };
    let start = usize::from(start);
    if start < from || offset == SCTP_CHECKSUM || !(start - from).is_multiple_of(2) || offset % 2 != 0 {
        return None;
    }
    let field = frame.get(start + usize::from(offset)..)?.first_chunk::<2>()?;
    Some(sum.bytes(frame.get(from..start)?).word(!u16::from_be_bytes(*field)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::{Packet, gso};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn foretells_the_sum(
            bytes in prop::collection::vec(any::<u8>(), 60..200),
            from in 0..10usize,
            start in 5..15usize,
        ) {
            let mut packet = Packet::copy_of(&bytes).unwrap();
            let checksum = Checksum::Partial { start: 2 * start as u16, offset: 6 };
            packet.offload.checksum = checksum;
            let foretold = sum_completed(Sum::default(), &bytes, 2 * from, checksum);
            gso::complete(&mut packet);
            let whole = Sum::default().bytes(&packet.data()[2 * from..]);
            prop_assert_eq!(foretold.map(Sum::folded), (from <= start).then(|| whole.folded()));
        }
    }

    #[test]
    fn what_cannot_be_foretold() {
        let sum = |from, start, offset| {
            sum_completed(Sum::default(), &[1; 60], from, Checksum::Partial { start, offset })
        };
        assert!(sum(10, 20, 6).is_some());
        for (from, start, offset) in
            [(10, 8, 6), (10, 21, 6), (10, 20, 5), (10, 20, 8), (10, 58, 6), (10, 80, 6)]
        {
            assert!(sum(from, start, offset).is_none(), "{from} {start} {offset}");
        }
        assert!(sum_completed(Sum::default(), &[1; 60], 61, Checksum::Unknown).is_none());
    }
}
