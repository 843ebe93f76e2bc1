//! A TCP segment between two streams that are edited ([`Stream`]): text, sequence number, acknowledgements, lengths, checksums.

use packet::checksum::{self, Sum};
use packet::parse::{Layers, eth_type};
use packet::{Checksum, Packet};

use super::stream::{Splice, Stream};

/// Longest IP packet in bytes.
const LONGEST: usize = 65_535;

/// TCP options (RFC 9293, 3.1; RFC 2018, 3).
const END: u8 = 0;
const NOP: u8 = 1;
const SACK: u8 = 5;

/// A TCP segment in a frame, in bytes from its start.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    /// TCP header.
    pub(crate) l4: usize,
    /// Payload.
    pub(crate) payload: usize,
    /// End of the packet.
    pub(crate) end: usize,
}

impl Segment {
    /// Finds the segment; `None` if it is not whole.
    pub(crate) fn of(packet: &Packet, layers: &Layers) -> Option<Self> {
        let (l4, end) = (usize::from(layers.l4), layers.end as usize);
        let header = packet.data().get(l4..end)?;
        let payload = l4 + usize::from(header.get(12)? >> 4) * 4;
        (header.len() >= 20 && (l4 + 20..=end).contains(&payload)).then_some(Self { l4, payload, end })
    }
}

/// Translates a segment that `there` edits and whose acknowledgements are of the stream that `back` edits. A text that would make the packet too long stays as it is.
pub(crate) fn rewrite(packet: &mut Packet, layers: &mut Layers, there: &Stream, back: &Stream) {
    let Some(segment) = Segment::of(packet, layers) else { return };
    let partial = matches!(packet.offload.checksum, Checksum::Partial { start, .. } if start == layers.l4);
    let header = &packet.data()[segment.l4..segment.payload];
    let seq = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    edit_text(packet, layers, segment, there.splices(seq, segment.end - segment.payload), partial);
    number(&mut packet.data_mut()[segment.l4..segment.payload], there, back, partial);
}

/// Replaces text and sets lengths and checksums by it.
fn edit_text<'a>(
    packet: &mut Packet,
    layers: &mut Layers,
    segment: Segment,
    splices: impl Iterator<Item = Splice<'a>>,
    partial: bool,
) {
    let payload = &packet.data()[segment.payload..segment.end];
    let (mut text, mut at) = (Vec::new(), 0);
    for splice in splices {
        text.extend(&payload[at..splice.start]);
        text.extend(splice.new);
        at = splice.end;
    }
    if at == 0 {
        return;
    }
    text.extend(&payload[at..]);
    let end = segment.payload + text.len();
    if end - usize::from(layers.l3) > LONGEST {
        return;
    }
    let before = sum(&packet.data()[segment.l4..segment.end]);
    // Padding behind the packet goes: it has no meaning.
    packet.truncate(segment.payload);
    if packet.extend(&text).is_err() {
        return;
    }
    layers.end = end as u32;
    let after = sum(&packet.data()[segment.l4..end]);
    set_ip_length(packet.data_mut(), layers);
    let length = |end: usize| ((end - segment.l4) as u16).to_be_bytes();
    let lengths = Sum::default().replace(&length(segment.end), &length(end));
    let field = &mut packet.data_mut()[segment.l4 + 16..segment.l4 + 18];
    let old = u16::from_be_bytes([field[0], field[1]]);
    let new = match partial {
        true => checksum::update_partial(old, lengths),
        false => checksum::update(old, lengths.replace(&before, &after)),
    };
    field.copy_from_slice(&new.to_be_bytes());
}

/// The sum of bytes, as bytes.
fn sum(bytes: &[u8]) -> [u8; 2] {
    Sum::default().bytes(bytes).folded().to_be_bytes()
}

fn set_ip_length(frame: &mut [u8], layers: &Layers) {
    let l3 = usize::from(layers.l3);
    let len = layers.end as usize - l3;
    if layers.eth_type == eth_type::IPV6 {
        frame[l3 + 4..l3 + 6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
        return;
    }
    let header = &mut frame[l3..l3 + 20];
    let (old, new) = ([header[2], header[3]], (len as u16).to_be_bytes());
    let check = u16::from_be_bytes([header[10], header[11]]);
    let check = checksum::update(check, Sum::default().replace(&old, &new));
    header[2..4].copy_from_slice(&new);
    header[10..12].copy_from_slice(&check.to_be_bytes());
}

/// Sets sequence number, acknowledgement and selective acknowledgements, and the checksum by them.
fn number(header: &mut [u8], there: &Stream, back: &Stream, partial: bool) {
    const ACK: u8 = 16;
    let mut old = [0; 60];
    let old = &mut old[..header.len()];
    old.copy_from_slice(header);
    map(header, 4, |seq| there.forward(seq));
    if header[13] & ACK != 0 {
        map(header, 8, |ack| back.backward(ack));
        selective(header, back);
    }
    if !partial {
        let check = u16::from_be_bytes([header[16], header[17]]);
        let check = checksum::update(check, Sum::default().replace(old, header));
        header[16..18].copy_from_slice(&check.to_be_bytes());
    }
}

fn map(header: &mut [u8], at: usize, f: impl FnOnce(u32) -> u32) {
    let number = u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    header[at..at + 4].copy_from_slice(&f(number).to_be_bytes());
}

/// Maps the blocks of a SACK option.
fn selective(header: &mut [u8], back: &Stream) {
    let mut at = 20;
    while let Some(&kind) = header.get(at) {
        let len = match kind {
            END => return,
            NOP => 1,
            _ => usize::from(header.get(at + 1).copied().unwrap_or(0)),
        };
        if len == 0 || kind != NOP && len < 2 || at + len > header.len() {
            return;
        }
        if kind == SACK {
            (at + 2..)
                .step_by(4)
                .take((len - 2) / 4)
                .for_each(|place| map(header, place, |edge| back.backward(edge)));
        }
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use frames::{Frame, L4, Net, Rng, V4, V6};
    use packet::extract;

    use super::*;

    fn frame(v6: bool, options: Vec<u8>, payload: &[u8], padding: usize) -> Vec<u8> {
        let l4 = L4::Tcp { src: 4000, dst: 21, flags: 0x18, options, payload: payload.to_vec() };
        let net = match v6 {
            true => Net::V6(V6 {
                src: [1; 16],
                dst: [2; 16],
                class: 0,
                label: 0,
                hops: 64,
                extensions: vec![],
                l4,
            }),
            false => Net::V4(V4 { l4, ..V4::default() }),
        };
        Frame { padding, ..Frame::new(net) }.build()
    }

    fn seq_of(packet: &Packet, layers: &Layers) -> u32 {
        let at = usize::from(layers.l4) + 4;
        u32::from_be_bytes(packet.data()[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn text_lengths_and_checksums_follow() {
        let mut rng = Rng::new(8);
        for case in 0..4000 {
            let (v6, padding) = (rng.one_in(2), rng.below(3));
            let text = rng.some_bytes(60);
            let bytes = frame(v6, vec![1; 4 * rng.below(4)], &text, padding);
            let mut packet = Packet::copy_of(&bytes).unwrap();
            let mut layers = extract(&bytes, 0).1;
            let seq = seq_of(&packet, &layers);
            let (mut there, mut back) = (Stream::default(), Stream::default());
            there.edit(seq.wrapping_sub(50), 3, b"longer than before");
            back.edit(0, 3, b"");
            let start = rng.below(70);
            let (len, new) = (1 + rng.below(9), rng.some_bytes(20));
            there.edit(seq.wrapping_add(start as u32), len as u32, &new);
            rewrite(&mut packet, &mut layers, &there, &back);
            frames::verify(packet.data()).unwrap();
            let (key, read) = extract(packet.data(), 0);
            assert_eq!((read.end, key.tp_dst.get()), (layers.end, 21));
            assert_eq!(seq_of(&packet, &layers), seq.wrapping_add(15));
            let segment = Segment::of(&packet, &read).unwrap();
            let payload = &packet.data()[segment.payload..segment.end];
            let mut wanted = text[..start.min(text.len())].to_vec();
            if start + len <= text.len() {
                wanted.extend(&new);
            }
            wanted.extend(&text[(start + len).min(text.len())..]);
            assert_eq!(payload, wanted, "case {case}");
        }
    }

    #[test]
    fn partial_checksums_follow() {
        let bytes = frame(false, vec![], b"PORT 1,2,3,4,5,6\r\n", 0);
        let mut packet = Packet::copy_of(&bytes).unwrap();
        let mut layers = extract(&bytes, 0).1;
        let len = layers.end - u32::from(layers.l4);
        let pseudo = checksum::pseudo_v4([10, 0, 0, 1], [10, 0, 0, 2], 6, len).folded();
        packet.data_mut()[50..52].copy_from_slice(&pseudo.to_be_bytes());
        packet.offload.checksum = Checksum::Partial { start: 34, offset: 16 };
        let mut there = Stream::default();
        there.edit(seq_of(&packet, &layers) + 5, 11, b"111,222,111,222,111,222");
        rewrite(&mut packet, &mut layers, &there, &Stream::default());
        let mut out = Vec::new();
        packet::gso::fit(packet, packet::gso::Caps::default(), &mut out).unwrap();
        frames::verify(out[0].data()).unwrap();
        assert!(out[0].data().ends_with(b"PORT 111,222,111,222,111,222\r\n"));
    }

    #[test]
    fn selective_acknowledgements_follow() {
        let block = [&1000u32.to_be_bytes()[..], &2000u32.to_be_bytes()].concat();
        let options = [&[NOP, NOP, SACK, 10][..], &block].concat();
        let bytes = frame(false, options, b"", 0);
        let mut packet = Packet::copy_of(&bytes).unwrap();
        let mut layers = extract(&bytes, 0).1;
        let mut back = Stream::default();
        back.edit(500, 1, b"12345");
        rewrite(&mut packet, &mut layers, &Stream::default(), &back);
        frames::verify(packet.data()).unwrap();
        let edges = packet.data()[58..66].as_chunks::<4>().0;
        assert_eq!([edges[0], edges[1]].map(u32::from_be_bytes), [996, 1996]);
    }

    #[test]
    fn broken_options_and_cut_segments_do_no_harm() {
        let mut rng = Rng::new(9);
        let mut edited = Stream::default();
        edited.edit(0, 1, b"12345");
        for _ in 0..4000 {
            let mut options = rng.some_bytes(40);
            options.truncate(options.len() & !3);
            if !options.is_empty() {
                options[0] = rng.pick(&[SACK, NOP, 4, 8]);
            }
            let mut bytes = frame(rng.one_in(2), options, b"some text", 0);
            let at = rng.below(bytes.len());
            bytes[at] ^= rng.bits() as u8;
            let mut packet = Packet::copy_of(&bytes).unwrap();
            let mut layers = extract(&bytes, 0).1;
            rewrite(&mut packet, &mut layers, &edited, &edited);
        }
    }
}
