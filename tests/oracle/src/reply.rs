//! Packets that answer others: what makes connections of random packets.

use frames::{Rng, crc32c, inet};

use crate::field::Slot;
use crate::view::View;

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Where things are in a whole, untouched IP packet.
struct Parts {
    l3: usize,
    l4: usize,
    end: usize,
    six: bool,
    proto: u8,
}

impl Parts {
    /// `None` for anything that nobody answers.
    fn of(frame: &[u8]) -> Option<Self> {
        let view = View::new(frame, 2);
        let (l3, l4, end) = view.layout()?;
        let six = view.values[Slot::EthType] == 0x86dd;
        if six && l4 != l3 + 40 {
            // A routing header would have a say in checksums.
            return None;
        }
        (view.values[Slot::Frag] == 0).then_some(Self {
            l3,
            l4,
            end,
            six,
            proto: view.values[Slot::Proto] as u8,
        })
    }

    fn addresses(&self) -> (usize, usize, usize) {
        if self.six { (self.l3 + 8, self.l3 + 24, 16) } else { (self.l3 + 12, self.l3 + 16, 4) }
    }
}

/// Exchanges `len` bytes at two places.
fn swap(frame: &mut [u8], a: usize, b: usize, len: usize) {
    (0..len).for_each(|i| frame.swap(a + i, b + i));
}

fn word(frame: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]])
}

fn put(frame: &mut [u8], at: usize, value: u32) {
    frame[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Makes the checksums of an IP packet right.
pub fn mend(frame: &mut [u8]) {
    let Some(parts) = Parts::of(frame) else { return };
    let Parts { l3, l4, end, six, proto } = parts;
    if !six {
        frame[l3 + 10..l3 + 12].fill(0);
        let sum = inet(&[&frame[l3..l4]]);
        frame[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
    }
    let at = match proto {
        TCP => 16,
        UDP => 6,
        1 | 58 => 2,
        132 if end >= l4 + 12 => {
            frame[l4 + 8..l4 + 12].fill(0);
            let sum = crc32c(&frame[l4..end]);
            return frame[l4 + 8..l4 + 12].copy_from_slice(&sum.to_le_bytes());
        }
        _ => return,
    };
    if end < l4 + at + 2 || (proto == UDP && frame[l4 + 6..l4 + 8] == [0, 0]) {
        return;
    }
    let (src, dst, len) = parts.addresses();
    let pseudo = [&frame[src..src + len], &frame[dst..dst + len]].concat();
    let tail = [&((end - l4) as u32).to_be_bytes()[..], &[0, 0, 0, proto]].concat();
    frame[l4 + at..l4 + at + 2].fill(0);
    let sum = if proto == 1 { inet(&[&frame[l4..end]]) } else { inet(&[&pseudo, &tail, &frame[l4..end]]) };
    let sum = if proto == UDP && sum == 0 { 0xffff } else { sum };
    frame[l4 + at..l4 + at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// What the one who gets this may answer: mostly what is sensible.
pub fn reply(rng: &mut Rng, frame: &[u8]) -> Option<Vec<u8>> {
    let parts = Parts::of(frame)?;
    let mut out = frame.to_vec();
    swap(&mut out, 0, 6, 6);
    let (src, dst, len) = parts.addresses();
    swap(&mut out, src, dst, len);
    let (l4, room) = (parts.l4, parts.end - parts.l4);
    match parts.proto {
        TCP if room >= 20 => {
            swap(&mut out, l4, l4 + 2, 2);
            tcp_reply(rng, &mut out, l4, parts.end);
        }
        UDP | 132 if room >= 8 => swap(&mut out, l4, l4 + 2, 2),
        1 if room >= 8 && out[l4] == 8 => out[l4] = 0,
        58 if room >= 8 && out[l4] == 128 => out[l4] = 129,
        1 | 58 => return None,
        _ => {}
    }
    mend(&mut out);
    Some(out)
}

/// Turns a segment, whose ports are exchanged already, into what answers it.
fn tcp_reply(rng: &mut Rng, out: &mut [u8], l4: usize, end: usize) {
    let (seq, ack, flags) = (word(out, l4 + 4), word(out, l4 + 8), out[l4 + 13]);
    let header_len = usize::from(out[l4 + 12] >> 4) * 4;
    let phantom = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    let len = (end - l4).saturating_sub(header_len) as u32 + phantom;
    let is_first = flags & (SYN | ACK) == SYN;
    put(out, l4 + 4, if is_first { rng.bits() as u32 } else { ack });
    put(out, l4 + 8, seq.wrapping_add(len));
    out[l4 + 13] = match rng.below(12) {
        _ if is_first => SYN | ACK,
        0 => RST | ACK,
        1 | 2 => FIN | ACK,
        _ => ACK,
    };
    senseless_sometimes(rng, out, l4);
    out[l4 + 14..l4 + 16].copy_from_slice(&rng.pick(&[0u16, 99, 8000, 0xffff]).to_be_bytes());
}

fn senseless_sometimes(rng: &mut Rng, out: &mut [u8], l4: usize) {
    if rng.one_in(8) {
        let at = l4 + rng.pick(&[4, 8]);
        let by = rng.pick(&[1, 100, 0x8000_0000, 70_000, u32::MAX]);
        let value = word(out, at).wrapping_add(by);
        put(out, at, value);
    }
}

/// What the one who sent this may send next.
pub fn next(rng: &mut Rng, frame: &[u8]) -> Option<Vec<u8>> {
    let parts = Parts::of(frame)?;
    let mut out = frame.to_vec();
    let (l4, end) = (parts.l4, parts.end);
    if parts.proto == TCP && end - l4 >= 20 {
        let (seq, flags) = (word(&out, l4 + 4), out[l4 + 13]);
        let header_len = usize::from(out[l4 + 12] >> 4) * 4;
        let phantom = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        let len = (end - l4).saturating_sub(header_len) as u32 + phantom;
        put(&mut out, l4 + 4, seq.wrapping_add(len));
        out[l4 + 13] = rng.pick(&[ACK, ACK, ACK, FIN | ACK, RST, SYN]);
        senseless_sometimes(rng, &mut out, l4);
    }
    mend(&mut out);
    Some(out)
}

/// An ICMP error about a packet, from the one who got it.
pub fn error(rng: &mut Rng, frame: &[u8]) -> Option<Vec<u8>> {
    let Parts { l3, l4, end, six, proto } = Parts::of(frame)?;
    if end < l4 + 8 {
        return None;
    }
    let quoted = &frame[l3..end.min(l4 + rng.pick(&[8, 8, 28]))];
    let (kind, proto_of_error) = if six { (rng.pick(&[1, 2, 3]), 58) } else { (rng.pick(&[3, 11, 4]), 1) };
    let body = [&[kind, rng.below(2) as u8, 0, 0, 0, 0, 5, 0][..], quoted].concat();
    let mut out = [&frame[6..12], &frame[..6], &frame[12..l4]].concat();
    let total = if six { body.len() } else { l4 - l3 + body.len() } as u16;
    let len_at = if six { l3 + 4 } else { l3 + 2 };
    out[len_at..len_at + 2].copy_from_slice(&total.to_be_bytes());
    out[if six { l3 + 6 } else { l3 + 9 }] = proto_of_error;
    let (src, dst, len) = Parts { l3, l4, end, six, proto }.addresses();
    swap(&mut out, src, dst, len);
    out.extend(body);
    mend(&mut out);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use frames::random;

    #[test]
    fn answers_are_whole() {
        let (mut rng, mut count) = (Rng::new(4), 0);
        for _ in 0..3000 {
            let frame = random::frame(&mut rng).build();
            let answers = [reply(&mut rng, &frame), next(&mut rng, &frame), error(&mut rng, &frame)];
            for answer in answers.into_iter().flatten() {
                frames::verify(&answer).unwrap();
                count += 1;
            }
        }
        assert!(count > 3000, "{count}");
    }
}
