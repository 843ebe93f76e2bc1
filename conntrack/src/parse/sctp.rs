//! SCTP packets (RFC 9260, 3): the set of their chunks.

use crate::view::SctpView;

const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;
const SHUTDOWN_COMPLETE: u8 = 14;

/// Bytes of an INIT chunk without its options (RFC 9260, 3.3.2).
const INIT_LEN: usize = 20;

/// Reads the common header and walks the chunks. `None` if there is no chunk, or one is cut off. Linear in the number of chunks, each
/// of which has at least 4 bytes; the padding of the last may be missing.
pub(super) fn view(packet: &[u8]) -> Option<SctpView> {
    let vtag = word(packet, 4)?;
    let mut view = SctpView { vtag, ..SctpView::default() };
    let mut rest = packet.get(12..)?;
    loop {
        let &[kind, flags, l0, l1] = rest.first_chunk()?;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if len < 4 || len > rest.len() {
            return None;
        }
        match kind {
            INIT | INIT_ACK if len < INIT_LEN => return None,
            INIT | INIT_ACK => view.init_tag = word(rest, 4)?,
            ABORT | SHUTDOWN_COMPLETE => view.reflected = flags & 1 != 0,
            _ => {}
        }
        view.chunks |= if kind < 16 { 1 << kind } else { 0 };
        view.count = view.count.saturating_add(1);
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        if rest.is_empty() {
            return Some(view);
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(chunks: &[u8]) -> Vec<u8> {
        [&[0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0], chunks].concat()
    }

    #[test]
    fn chunks_are_collected() {
        let cookie_ack_and_data =
            packet(&[11, 0, 0, 4, 0, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
        let view = view(&cookie_ack_and_data).unwrap();
        assert_eq!((view.vtag, view.chunks, view.count), (9, 1 << 11 | 1, 2));
        let init = packet(&[1, 0, 0, 20, 0, 0, 0, 77, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1]);
        assert_eq!(super::view(&init).unwrap().init_tag, 77);
        assert!(super::view(&packet(&[6, 1, 0, 4])).unwrap().reflected);
    }

    #[test]
    fn cut_off_chunks_are_refused() {
        let bad: [&[u8]; 6] = [
            &[],
            &[11, 0, 0],
            &[11, 0, 0, 3],
            &[0, 3, 0, 17, 1],
            &[1, 0, 0, 8, 0, 0, 0, 1],
            &[11, 0, 0, 4, 0, 3],
        ];
        for chunks in bad {
            assert_eq!(view(&packet(chunks)), None, "{chunks:?}");
        }
        assert_eq!(view(&[0; 11]), None);
    }
}
