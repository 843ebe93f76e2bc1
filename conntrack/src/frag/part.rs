//! [`Part`] and [`Whole`]: the fragments of a datagram and the datagram, on their way through one `ct()`.
//!
//! What the tracker does to the datagram is carried over by copying: every part takes the addresses of the datagram's header and its
//! own share of the datagram's payload. So a part has whatever was changed in its bytes, be that a port, a checksum in the first
//! part, or the packet inside an ICMP error, which may begin in one part and end in another.

use packet::checksum::{self, Sum};
use packet::{Class, FlowKey, HEADROOM, Layers, Packet, extract_into};
use thiserror::Error;

use super::piece::{IPV6_LEN, MAX_IP_LEN, Piece};
use super::{Family, Fragment, Reason};

/// A fragment that was held: it goes on, or it has waited in vain.
#[derive(Debug)]
pub struct Part {
    /// The fragment as it came, but for what [`Whole::release`] changes.
    pub packet: Packet,
    /// Its key as it came; connection state is added by [`Whole::release`].
    pub key: FlowKey,
    /// Its layers.
    pub layers: Layers,
    /// What its giver called [`context`](super::Fragment::context).
    pub context: u64,
    /// The zone it was to be tracked in.
    pub zone: u16,
    pub(super) piece: Piece,
    pub(super) charge: u32,
}

impl Part {
    /// A fragment that is to wait: in a buffer no larger than it needs.
    pub(super) fn new(fragment: Fragment<'_>, piece: Piece) -> Self {
        let Fragment { mut packet, key, layers, zone, context } = fragment;
        if capacity(&mut packet) > Class::Small.size() && packet.len() + HEADROOM <= Class::Small.size() {
            packet = packet.clone();
        }
        let charge = (capacity(&mut packet) + size_of::<Self>()) as u32;
        Self { packet, key: *key, layers: *layers, context, zone, piece, charge }
    }

    pub(super) fn share(&self) -> &[u8] {
        &self.packet.data()[self.piece.payload()]
    }

    /// Makes its share of the payload longer or shorter, and drops what padding is behind it; the bytes of the share come later.
    fn resize(&mut self, family: Family, len: usize) -> Option<()> {
        let end = self.piece.payload_at + len;
        let more = end.saturating_sub(self.packet.len());
        self.packet.truncate(end);
        self.packet.extend(&vec![0; more]).ok()?;
        self.piece.end = self.piece.start + len;
        let header = &mut self.packet.data_mut()[self.piece.l3..];
        let ip_len = end - self.piece.l3;
        match family {
            Family::V4 => {
                let new = u16::try_from(ip_len).ok()?.to_be_bytes();
                let delta = Sum::default().replace(&header[2..4], &new);
                let check = checksum::update(u16::from_be_bytes([header[10], header[11]]), delta);
                header[10..12].copy_from_slice(&check.to_be_bytes());
                header[2..4].copy_from_slice(&new);
            }
            Family::V6 => {
                let new = u16::try_from(ip_len - IPV6_LEN).ok()?.to_be_bytes();
                header[4..6].copy_from_slice(&new);
            }
        }
        Some(())
    }

    /// Takes over what was changed in the datagram: addresses, its own share of the payload, and the key's header fields.
    fn rewrite(&mut self, family: Family, whole: &[u8], l3: usize, body_at: usize) {
        let Piece { l3: own_l3, start, end, .. } = self.piece;
        let place = self.piece.payload();
        let frame = self.packet.data_mut();
        frame[place].copy_from_slice(&whole[body_at + start..body_at + end]);
        let (header, new) = (&mut frame[own_l3..], &whole[l3..]);
        match family {
            Family::V4 => {
                let delta = Sum::default().replace(&header[12..20], &new[12..20]);
                let check = checksum::update(u16::from_be_bytes([header[10], header[11]]), delta);
                header[10..12].copy_from_slice(&check.to_be_bytes());
                header[12..20].copy_from_slice(&new[12..20]);
            }
            Family::V6 => header[8..40].copy_from_slice(&new[8..40]),
        }
        // As many tags as were seen the first time: the frame has not changed before its network header.
        self.layers = extract_into(self.packet.data(), usize::from(self.layers.vlans), &mut self.key);
    }

    fn adopt(&mut self, key: &FlowKey) {
        let own = &mut self.key;
        own.ct_state = key.ct_state;
        own.ct_mark = key.ct_mark;
        own.ct_zone = key.ct_zone;
        own.ct_tp_src = key.ct_tp_src;
        own.ct_tp_dst = key.ct_tp_dst;
        own.ct_nw_proto = key.ct_nw_proto;
        own.ct_label = key.ct_label;
        own.ct_nw_src = key.ct_nw_src;
        own.ct_nw_dst = key.ct_nw_dst;
        own.ct_ipv6_src = key.ct_ipv6_src;
        own.ct_ipv6_dst = key.ct_ipv6_dst;
    }
}

/// Size of a packet's buffer.
fn capacity(packet: &mut Packet) -> usize {
    packet.headroom() + packet.len() + packet.spare_mut().len()
}

/// The tracking of a datagram has made it so much shorter or longer that its last part cannot make up for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a fragmented datagram of {before} bytes became one of {after}")]
pub struct Resized {
    /// Length of the frame before, in bytes.
    pub before: usize,
    /// Length of the frame now, in bytes.
    pub after: usize,
}

/// A datagram whose fragments are all there: to be tracked, then [released](Self::release).
#[derive(Debug)]
pub struct Whole {
    /// The datagram, with all headers of its first fragment before it.
    pub packet: Packet,
    /// Its key: metadata of the first fragment, header fields of the datagram.
    pub key: FlowKey,
    /// Its layers.
    pub layers: Layers,
    parts: Vec<Part>,
    family: Family,
    l3: usize,
    body_at: usize,
    len: usize,
}

impl Whole {
    /// Puts parts together that cover a payload of `total` bytes without gap or overlap. `first` is the index of the one at the front,
    /// `sorted` has all indices in the order of the payload.
    pub(super) fn assemble(
        parts: Vec<Part>,
        family: Family,
        sorted: &[u16],
        total: usize,
    ) -> Result<Self, Reason> {
        let first = &parts[usize::from(sorted[0])];
        let piece = first.piece;
        let ip_len = piece.fixed_len(family) + total;
        if ip_len > MAX_IP_LEN {
            return Err(Reason::TooLong);
        }
        let mut packet =
            Packet::copy_of(&first.packet.data()[..piece.head_end]).map_err(|_| Reason::TooLong)?;
        for index in sorted {
            packet.extend(parts[usize::from(*index)].share()).map_err(|_| Reason::TooLong)?;
        }
        packet.in_port = first.packet.in_port;
        packet.mark = first.packet.mark;
        packet.priority = first.packet.priority;
        write_lengths(packet.data_mut(), &piece, family, ip_len as u16);
        let mut key = first.key;
        let layers = extract_into(packet.data(), usize::from(first.layers.vlans), &mut key);
        let len = packet.len();
        Ok(Self { packet, key, layers, parts, family, l3: piece.l3, body_at: piece.head_end, len })
    }

    /// Its fragments, in order of arrival.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    #[cfg(test)]
    pub(super) fn body_at(&self) -> usize {
        self.body_at
    }

    /// The fragments, in order of arrival and each of its own size, with the connection state that [`key`](Self::key) now has. When the
    /// datagram was `edited`, so are they. When it became longer or shorter, as a control connection may under translation, so
    /// does the one at its end.
    pub fn release(mut self, edited: bool) -> Result<Vec<Part>, Resized> {
        let lengths = Resized { before: self.len, after: self.packet.len() };
        let resized = lengths.before != lengths.after;
        if resized {
            self.resize_last().ok_or(lengths)?;
        }
        for part in &mut self.parts {
            if edited || resized {
                part.rewrite(self.family, self.packet.data(), self.l3, self.body_at);
            }
            part.adopt(&self.key);
        }
        Ok(self.parts)
    }

    fn resize_last(&mut self) -> Option<()> {
        let end = self.packet.len().checked_sub(self.body_at)?;
        if self.packet.len() - self.l3 > MAX_IP_LEN {
            return None;
        }
        let last = self.parts.iter_mut().max_by_key(|part| part.piece.end)?;
        let len = end.checked_sub(last.piece.start).filter(|len| *len > 0)?;
        last.resize(self.family, len)
    }
}

/// Makes the headers of a first fragment those of the whole.
fn write_lengths(frame: &mut [u8], piece: &Piece, family: Family, ip_len: u16) {
    let (next_at, next) = piece.next;
    frame[next_at] = next;
    let header = &mut frame[piece.l3..piece.head_end];
    match family {
        Family::V4 => {
            header[2..4].copy_from_slice(&ip_len.to_be_bytes());
            // "Don't fragment" stays as the sender had it.
            header[6] &= 0xc0;
            header[7] = 0;
            header[10..12].fill(0);
            let check = checksum::of(header);
            header[10..12].copy_from_slice(&check.to_be_bytes());
        }
        Family::V6 => header[4..6].copy_from_slice(&ip_len.to_be_bytes()),
    }
}
