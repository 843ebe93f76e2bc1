//! Datagrams, cut into fragments and put together again.

use frames::{Extension, Frame, L4, Net, V4, V6, inet};

/// Where the headers end that every fragment repeats.
const V4_END: usize = 14 + 20;
const V6_END: usize = 14 + 40;

/// A frame with a UDP datagram from host 1 to host 2, not cut.
#[derive(Clone)]
pub(crate) struct Datagram {
    frame: Vec<u8>,
    id: u16,
    v6: bool,
}

impl Datagram {
    /// Over IPv4, with `len` bytes of payload.
    pub(crate) fn v4(id: u16, len: usize) -> Self {
        let mut frame = Frame::new(Net::V4(V4 { l4: udp(len), ..V4::default() })).build();
        frame[18..20].copy_from_slice(&id.to_be_bytes());
        seal(&mut frame);
        Self { frame, id, v6: false }
    }

    /// Over IPv6.
    pub(crate) fn v6(id: u16, len: usize) -> Self {
        let address = |host| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
        let (src, dst, extensions) = (address(1), address(2), Vec::<Extension>::new());
        let v6 = V6 { src, dst, class: 0, label: 0, hops: 64, extensions, l4: udp(len) };
        Self { frame: Frame::new(Net::V6(v6)).build(), id, v6: true }
    }

    /// One of each.
    pub(crate) fn both(id: u16, len: usize) -> [Self; 2] {
        [Self::v4(id, len), Self::v6(id, len)]
    }

    /// `v4` or `v6`.
    pub(crate) fn family(&self) -> &'static str {
        if self.v6 { "v6" } else { "v4" }
    }

    fn payload(&self) -> &[u8] {
        &self.frame[if self.v6 { V6_END } else { V4_END }..]
    }

    /// Fragments, cut at these places of the payload.
    pub(crate) fn cut(&self, places: &[usize]) -> Vec<Vec<u8>> {
        let end = self.payload().len();
        let starts = std::iter::once(0).chain(places.iter().copied());
        let ends = places.iter().copied().chain(std::iter::once(end));
        starts.zip(ends).map(|(start, end)| self.part(start, end)).collect()
    }

    /// The fragment with these bytes of the payload.
    pub(crate) fn part(&self, start: usize, end: usize) -> Vec<u8> {
        let more = end < self.payload().len();
        self.fragment(start, more, &self.payload()[start..end])
    }

    /// A fragment with any bytes.
    pub(crate) fn fragment(&self, start: usize, more: bool, body: &[u8]) -> Vec<u8> {
        let mut frame = self.frame[..if self.v6 { V6_END } else { V4_END }].to_vec();
        if self.v6 {
            frame[18..20].copy_from_slice(&(8 + body.len() as u16).to_be_bytes());
            let next = std::mem::replace(&mut frame[20], 44);
            let [o0, o1] = (start as u16 | u16::from(more)).to_be_bytes();
            let [i0, i1] = self.id.to_be_bytes();
            frame.extend([next, 0, o0, o1, 0, 0, i0, i1]);
        } else {
            frame[16..18].copy_from_slice(&(20 + body.len() as u16).to_be_bytes());
            frame[20..22].copy_from_slice(&(u16::from(more) << 13 | (start / 8) as u16).to_be_bytes());
            seal(&mut frame);
        }
        frame.extend(body);
        frame
    }
}

fn udp(len: usize) -> L4 {
    let payload = (0..len).map(|n| (n * 7 + n / 256) as u8).collect();
    L4::Udp { src: 1000, dst: 2000, checksum: true, payload }
}

fn seal(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let check = inet(&[&frame[14..V4_END]]);
    frame[24..26].copy_from_slice(&check.to_be_bytes());
}

/// The datagram that these fragments are, whose headers say so; they cover it without gap or overlap.
pub(crate) fn join(fragments: &[Vec<u8>]) -> Vec<u8> {
    let mut sorted: Vec<_> = fragments.iter().map(|frame| (offset(frame), frame)).collect();
    sorted.sort();
    let v6 = is_v6(sorted[0].1);
    let (head, skip) = if v6 { (V6_END, V6_END + 8) } else { (V4_END, V4_END) };
    let mut whole = sorted[0].1[..head].to_vec();
    for (offset, frame) in &sorted {
        assert_eq!(whole.len() - head, *offset, "a gap or an overlap");
        whole.extend(&frame[skip..]);
    }
    if v6 {
        whole[20] = sorted[0].1[V6_END];
        let len = (whole.len() - V6_END) as u16;
        whole[18..20].copy_from_slice(&len.to_be_bytes());
    } else {
        let len = (whole.len() - 14) as u16;
        whole[16..18].copy_from_slice(&len.to_be_bytes());
        whole[20..22].fill(0);
        seal(&mut whole);
    }
    whole
}

fn is_v6(frame: &[u8]) -> bool {
    frame[12..14] == [0x86, 0xdd]
}

/// Which byte of the payload a fragment begins with.
fn offset(frame: &[u8]) -> usize {
    if is_v6(frame) {
        usize::from(u16::from_be_bytes([frame[56], frame[57]]) & 0xfff8)
    } else {
        usize::from(u16::from_be_bytes([frame[20], frame[21]]) & 0x1fff) * 8
    }
}
