//! Datagrams to cut, and their fragments.

use frames::{Extension, Frame, L4, Net, V4, V6};
use packet::parse::ip_proto;
use packet::{FlowKey, Packet, checksum, extract};

use crate::frag::{Family, Frag, Fragment, Part, Reassembler, Whole};

/// A frame that holds a whole datagram.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) frame: Vec<u8>,
    pub(super) family: Family,
    pub(super) id: u16,
    l3: usize,
    /// End of the headers that every fragment has; the payload follows.
    head_end: usize,
    /// Where it says what follows them.
    link_at: usize,
}

fn udp(payload: usize) -> L4 {
    let payload = (0..payload).map(|n| (n * 7 + n / 256) as u8).collect();
    L4::Udp { src: 1000, dst: 2000, checksum: true, payload }
}

impl Sample {
    /// UDP over IPv4, `payload` bytes of it behind the ports.
    pub(super) fn v4(payload: usize) -> Self {
        Self::v4_of(V4 { l4: udp(payload), ..V4::default() })
    }

    pub(super) fn v4_of(v4: V4) -> Self {
        let head_end = 14 + 20 + v4.options.len();
        let mut frame = Frame::new(Net::V4(v4)).build();
        frame[18..20].copy_from_slice(&[0, 1]);
        seal_v4(&mut frame[14..head_end]);
        Self { frame, family: Family::V4, id: 1, l3: 14, head_end, link_at: 23 }
    }

    /// UDP over IPv6.
    pub(super) fn v6(payload: usize) -> Self {
        Self::v6_behind(payload, Vec::new())
    }

    /// UDP over IPv6 with 8 bytes of options before the fragment header, which every fragment repeats.
    pub(super) fn v6_with_options(payload: usize) -> Self {
        let sample = Self::v6_behind(payload, vec![Extension::HopByHop]);
        let len = 8 * (usize::from(sample.frame[55]) + 1);
        Self { head_end: 54 + len, link_at: 54, ..sample }
    }

    fn v6_behind(payload: usize, extensions: Vec<Extension>) -> Self {
        let (src, dst) = ([0xfd; 16], [0xfe; 16]);
        let l4 = udp(payload);
        let frame =
            Frame::new(Net::V6(V6 { src, dst, class: 0, label: 5, hops: 64, extensions, l4 })).build();
        Self { frame, family: Family::V6, id: 1, l3: 14, head_end: 54, link_at: 20 }
    }

    /// IPv6 with so many bytes of destination options before the fragment header; what is in it makes no sense.
    pub(super) fn v6_stuffed(options: usize, payload: usize) -> Self {
        let mut sample = Self::v6(0);
        sample.frame.truncate(54);
        sample.frame[20] = ip_proto::DSTOPTS;
        sample.frame.extend([ip_proto::UDP, (options / 8 - 1) as u8]);
        sample.frame.resize(54 + options + payload, 0);
        Self { head_end: 54 + options, link_at: 54, ..sample }
    }

    /// The same with another identification.
    pub(super) fn with_id(&self, id: u16) -> Self {
        let mut sample = self.clone();
        sample.id = id;
        if self.family == Family::V4 {
            sample.frame[18..20].copy_from_slice(&id.to_be_bytes());
            seal_v4(&mut sample.frame[14..self.head_end]);
        }
        sample
    }

    /// Bytes that are cut into fragments.
    pub(super) fn len(&self) -> usize {
        self.frame.len() - self.head_end
    }

    /// The fragment with these bytes of the payload; the last one if they go to its end.
    pub(super) fn part(&self, share: std::ops::Range<usize>) -> Vec<u8> {
        let more = share.end < self.len();
        let body = &self.frame[self.head_end..][share.clone()];
        self.fragment(share.start, more, body)
    }

    /// A fragment at this place with any payload.
    pub(super) fn fragment(&self, start: usize, more: bool, body: &[u8]) -> Vec<u8> {
        let mut frame = self.frame[..self.head_end].to_vec();
        match self.family {
            Family::V4 => {
                let ip_len = (self.head_end - self.l3 + body.len()) as u16;
                frame[16..18].copy_from_slice(&ip_len.to_be_bytes());
                let word = u16::from(more) << 13 | (start / 8) as u16;
                frame[20..22].copy_from_slice(&word.to_be_bytes());
                seal_v4(&mut frame[14..]);
            }
            Family::V6 => {
                let next = std::mem::replace(&mut frame[self.link_at], ip_proto::FRAGMENT);
                let payload_len = (self.head_end - 54 + 8 + body.len()) as u16;
                frame[18..20].copy_from_slice(&payload_len.to_be_bytes());
                let [o0, o1] = (start as u16 | u16::from(more)).to_be_bytes();
                let [i0, i1] = self.id.to_be_bytes();
                frame.extend([next, 0, o0, o1, 0, 0, i0, i1]);
            }
        }
        frame.extend(body);
        frame
    }

    /// All fragments, cut at these places.
    pub(super) fn cut(&self, places: &[usize]) -> Vec<Vec<u8>> {
        let starts = std::iter::once(0).chain(places.iter().copied());
        let ends = places.iter().copied().chain(std::iter::once(self.len()));
        starts.zip(ends).map(|(start, end)| self.part(start..end)).collect()
    }

    pub(super) fn both(payload: usize) -> [Self; 3] {
        [Self::v4(payload), Self::v6(payload), Self::v6_with_options(payload)]
    }
}

/// Puts the checksum into an IPv4 header.
pub(super) fn seal_v4(header: &mut [u8]) {
    header[10..12].fill(0);
    let check = checksum::of(header);
    header[10..12].copy_from_slice(&check.to_be_bytes());
}

/// Gives a frame to the reassembler as it is met in a zone.
pub(super) fn take_in(reassembler: &Reassembler, frame: &[u8], zone: u16, now_ns: u64) -> Frag {
    let (mut key, layers) = extract(frame, 2);
    key.in_port = 7.into();
    let packet = Packet::copy_of(frame).unwrap();
    reassembler.take(Fragment { packet, key: &key, layers: &layers, zone, context: 9 }, now_ns)
}

/// Gives frames to the reassembler; all must be held.
pub(super) fn hold(reassembler: &Reassembler, frames: &[Vec<u8>], now_ns: u64) {
    for frame in frames {
        let frag = take_in(reassembler, frame, 0, now_ns);
        assert!(matches!(frag, Frag::Held), "{frag:?}");
    }
}

/// Gives frames to the reassembler; the last must complete the datagram, the others are held.
pub(super) fn complete(reassembler: &Reassembler, frames: &[Vec<u8>], now_ns: u64) -> Whole {
    let (last, others) = frames.split_last().unwrap();
    hold(reassembler, others, now_ns);
    whole(take_in(reassembler, last, 0, now_ns))
}

pub(super) fn whole(frag: Frag) -> Whole {
    match frag {
        Frag::Whole(whole) => *whole,
        other => panic!("{other:?}"),
    }
}

pub(super) fn bytes(parts: &[Part]) -> Vec<Vec<u8>> {
    parts.iter().map(|part| part.packet.data().to_vec()).collect()
}

/// A key with connection state.
pub(super) fn tracked() -> FlowKey {
    FlowKey {
        ct_state: 0x21.into(),
        ct_mark: 5.into(),
        ct_zone: 6.into(),
        ct_label: [7; 16],
        ct_nw_src: 8.into(),
        ..FlowKey::default()
    }
}
