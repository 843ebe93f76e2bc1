//! A frame read and changed in the plainest way: from its bytes, field by field, with no key and no cache.

use crate::field::{Slot, Values};

/// A number of bits in the frame: `bits` bits, `shift` above the least significant, of the `len` bytes at `at`.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: usize,
    len: usize,
    shift: u32,
    bits: u32,
}

/// Where the headers of a frame are.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    eth_type: u16,
    /// Label stack or network header; 0 when there is no Ethernet header.
    l3: usize,
    /// Transport header; 0 when there is no valid IP header.
    l4: usize,
    end: usize,
    proto: u8,
    frag: u8,
    /// The transport header is there and whole.
    whole: bool,
    /// The pseudo-header's destination is not the header's.
    rerouted: bool,
    arp: bool,
    /// Address options of neighbour discovery: type and offset.
    options: Vec<(u8, usize)>,
    nd: bool,
}

/// A frame, what it says, and where.
#[derive(Clone, Debug)]
pub struct View {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Header values; those of the pipeline are kept here too.
    pub values: Values,
    headers: Headers,
    vlan_limit: usize,
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

impl View {
    /// Reads a frame. At most `vlan_limit` tags are taken.
    pub fn new(bytes: &[u8], vlan_limit: usize) -> Self {
        let mut view = Self {
            bytes: bytes.to_vec(),
            values: Values::default(),
            headers: Headers::default(),
            vlan_limit,
        };
        view.read();
        view
    }

    /// Where an IP packet has its network header, its transport header and its end.
    pub fn layout(&self) -> Option<(usize, usize, usize)> {
        let Headers { l3, l4, end, .. } = self.headers;
        (l4 != 0).then_some((l3, l4, end))
    }

    fn word(&self, at: usize) -> u16 {
        number(&self.bytes[at..at + 2]) as u16
    }

    /// Reads all header values, leaving the pipeline's.
    fn read(&mut self) {
        for slot in HEADER_SLOTS {
            self.values[slot] = 0;
        }
        self.headers = Headers { end: self.bytes.len(), ..Headers::default() };
        if self.bytes.len() < 14 {
            return;
        }
        self.values[Slot::EthDst] = number(&self.bytes[..6]);
        self.values[Slot::EthSrc] = number(&self.bytes[6..12]);
        let (mut at, mut tags) = (12, 0);
        while tags < self.vlan_limit.min(2)
            && matches!(self.word(at), 0x8100 | 0x88a8)
            && self.bytes.len() >= at + 6
        {
            let slot = if tags == 0 { Slot::VlanTci } else { Slot::InnerTci };
            self.values[slot] = u128::from(self.word(at + 2) | 0x1000);
            tags += 1;
            at += 4;
        }
        let mut kind = self.word(at);
        at += 2;
        if kind < 0x600 {
            let snap = self.bytes[at..].starts_with(&[0xaa, 0xaa, 3, 0, 0, 0]) && self.bytes.len() >= at + 8;
            kind = if snap { self.word(at + 6) } else { 0 };
            at += if snap { 8 } else { 0 };
            kind = if kind < 0x600 { 0x5ff } else { kind };
        }
        self.headers.eth_type = kind;
        self.headers.l3 = at;
        self.values[Slot::EthType] = u128::from(kind);
        match kind {
            0x0800 => self.read_ipv4(),
            0x86dd => self.read_ipv6(),
            0x0806 | 0x8035 => self.read_arp(),
            0x8847 | 0x8848 if self.bytes.len() >= at + 4 => {
                self.values[Slot::Mpls] = number(&self.bytes[at..at + 4]);
            }
            _ => {}
        }
    }

    fn read_arp(&mut self) {
        let at = self.headers.l3;
        let Some(arp) = self.bytes.get(at..at + 28) else { return };
        if arp[..6] != [0, 1, 8, 0, 6, 4] {
            return;
        }
        let op = if arp[6] == 0 { arp[7] } else { 0 };
        let found = [
            (Slot::Proto, u128::from(op)),
            (Slot::Sha, number(&arp[8..14])),
            (Slot::NwSrc, number(&arp[14..18])),
            (Slot::Tha, number(&arp[18..24])),
            (Slot::NwDst, number(&arp[24..28])),
        ];
        self.headers.arp = true;
        found.into_iter().for_each(|(slot, value)| self.values[slot] = value);
    }

    fn read_ipv4(&mut self) {
        let at = self.headers.l3;
        let Some(ip) = self.bytes.get(at..at + 20) else { return };
        let (header_len, total) = (usize::from(ip[0] & 15) * 4, usize::from(self.word(at + 2)));
        if header_len < 20 || total < header_len || at + total > self.bytes.len() {
            return;
        }
        let frag = match self.word(at + 6) {
            word if word & 0x1fff != 0 => 3,
            word if word & 0x2000 != 0 => 1,
            _ => 0,
        };
        let found = [
            (Slot::NwSrc, number(&ip[12..16])),
            (Slot::NwDst, number(&ip[16..20])),
            (Slot::Tos, u128::from(ip[1])),
            (Slot::Ttl, u128::from(ip[8])),
        ];
        (self.headers.proto, self.headers.frag) = (ip[9], frag);
        (self.headers.l4, self.headers.end) = (at + header_len, at + total);
        found.into_iter().for_each(|(slot, value)| self.values[slot] = value);
        self.read_transport();
    }

    fn read_ipv6(&mut self) {
        let at = self.headers.l3;
        let Some(ip) = self.bytes.get(at..at + 40).map(<[u8]>::to_vec) else { return };
        let end = at + 40 + usize::from(self.word(at + 4));
        if end > self.bytes.len() {
            return;
        }
        self.values[Slot::Ip6Src] = number(&ip[8..24]);
        self.values[Slot::Ip6Dst] = number(&ip[24..40]);
        let (mut next, mut l4) = (ip[6], at + 40);
        let (mut frag, mut rerouted) = (0, false);
        while matches!(next, 0 | 43 | 44 | 51 | 60) && frag != 3 {
            let Some(header) = self.bytes[..end].get(l4..l4 + 8) else { return };
            let kind = next;
            next = header[0];
            l4 += match kind {
                44 => 8,
                51 => (usize::from(header[1]) + 2) * 4,
                _ => (usize::from(header[1]) + 1) * 8,
            };
            if kind == 44 && header[2..4] != [0, 0] {
                frag = 1;
                if number(&header[2..4]) >= 8 {
                    (frag, next) = (3, 44);
                }
            }
            rerouted |= kind == 43 && header[3] > 0;
            if l4 > end {
                return;
            }
        }
        self.values[Slot::Tos] = number(&ip[..2]) >> 4 & 0xff;
        self.values[Slot::Label] = number(&ip[..4]) & 0xf_ffff;
        self.values[Slot::Ttl] = u128::from(ip[7]);
        (self.headers.l4, self.headers.end) = (l4, end);
        (self.headers.proto, self.headers.frag, self.headers.rerouted) = (next, frag, rerouted);
        self.read_transport();
    }

    fn read_transport(&mut self) {
        self.values[Slot::Proto] = u128::from(self.headers.proto);
        self.values[Slot::Frag] = u128::from(self.headers.frag);
        let segment = self.bytes[self.headers.l4..self.headers.end].to_vec();
        let least = match self.headers.proto {
            6 => 20,
            132 => 12,
            1 | 2 | 17 | 58 => 8,
            _ => return,
        };
        if self.headers.frag == 3 || segment.len() < least {
            return;
        }
        let tcp_len = usize::from(*segment.get(12).unwrap_or(&0) >> 4) * 4;
        if self.headers.proto == 6 && (tcp_len < 20 || tcp_len > segment.len()) {
            return;
        }
        self.headers.whole = true;
        let has_ports = matches!(self.headers.proto, 6 | 17 | 132);
        let (src, dst) = if has_ports { (0..2, 2..4) } else { (0..1, 1..2) };
        self.values[Slot::TpSrc] = number(&segment[src]);
        self.values[Slot::TpDst] = number(&segment[dst]);
        if self.headers.proto == 6 {
            self.values[Slot::TcpFlags] = number(&segment[12..14]) & 0xfff;
        }
        if self.headers.proto == 58 && matches!(segment[..2], [135 | 136, 0]) && segment.len() >= 24 {
            self.read_neighbour(&segment);
        }
    }

    fn read_neighbour(&mut self, segment: &[u8]) {
        let mut at = 24;
        let mut found: Vec<(u8, usize)> = Vec::new();
        while at + 8 <= segment.len() {
            let len = usize::from(segment[at + 1]) * 8;
            if len == 0 || at + len > segment.len() {
                break;
            }
            if len == 8 && matches!(segment[at], 1 | 2) {
                // An address that is all zero does not count as given.
                let given = |(kind, place): &(u8, usize)| {
                    *kind == segment[at] && segment[place + 2..place + 8] != [0; 6]
                };
                if found.iter().any(given) {
                    return;
                }
                found.push((segment[at], at));
            }
            at += len;
        }
        self.headers.nd = true;
        self.values[Slot::NdTarget] = number(&segment[8..24]);
        for (kind, at) in &found {
            let slot = if *kind == 1 { Slot::Sha } else { Slot::Tha };
            self.values[slot] = number(&segment[at + 2..at + 8]);
        }
        self.headers.options = found.into_iter().map(|(kind, at)| (kind, self.headers.l4 + at)).collect();
    }

    /// Where a slot lies in the frame, if it does.
    fn place(&self, slot: Slot) -> Option<Place> {
        let h = &self.headers;
        let bytes = |at: usize, len: usize| Some(Place { at, len, shift: 0, bits: 8 * len as u32 });
        if h.l3 == 0 {
            return None;
        }
        // Open vSwitch rewrites no IP header whose protocol, and no ARP header whose opcode, is 0 in its eyes.
        let ip = h.l4 != 0 && h.proto != 0;
        match (slot, h.eth_type) {
            (Slot::EthDst, _) => bytes(0, 6),
            (Slot::EthSrc, _) => bytes(6, 6),
            (Slot::Mpls, 0x8847 | 0x8848) if self.bytes.len() >= h.l3 + 4 => bytes(h.l3, 4),
            (_, 0x0806 | 0x8035) if h.arp && self.values[Slot::Proto] != 0 => match slot {
                Slot::Proto => bytes(h.l3 + 7, 1),
                Slot::Sha => bytes(h.l3 + 8, 6),
                Slot::NwSrc => bytes(h.l3 + 14, 4),
                Slot::Tha => bytes(h.l3 + 18, 6),
                Slot::NwDst => bytes(h.l3 + 24, 4),
                _ => None,
            },
            (Slot::Tos, 0x0800) if ip => bytes(h.l3 + 1, 1),
            (Slot::Ttl, 0x0800) if ip => bytes(h.l3 + 8, 1),
            (Slot::NwSrc, 0x0800) if ip => bytes(h.l3 + 12, 4),
            (Slot::NwDst, 0x0800) if ip => bytes(h.l3 + 16, 4),
            (Slot::Tos, 0x86dd) if ip => Some(Place { at: h.l3, len: 4, shift: 20, bits: 8 }),
            (Slot::Label, 0x86dd) if ip => Some(Place { at: h.l3, len: 4, shift: 0, bits: 20 }),
            (Slot::Ttl, 0x86dd) if ip => bytes(h.l3 + 7, 1),
            (Slot::Ip6Src, 0x86dd) if ip => bytes(h.l3 + 8, 16),
            (Slot::Ip6Dst, 0x86dd) if ip => bytes(h.l3 + 24, 16),
            _ if h.whole => self.transport_place(slot),
            _ => None,
        }
    }

    fn transport_place(&self, slot: Slot) -> Option<Place> {
        let h = &self.headers;
        let bytes =
            |at: usize, len: usize| Some(Place { at: h.l4 + at, len, shift: 0, bits: 8 * len as u32 });
        let option = |kind: u8| h.options.iter().find(|(found, _)| *found == kind);
        match (slot, h.proto) {
            (Slot::TpSrc, 6 | 17 | 132) => bytes(0, 2),
            (Slot::TpDst, 6 | 17 | 132) => bytes(2, 2),
            (Slot::TpSrc, 1 | 58) => bytes(0, 1),
            (Slot::TpDst, 1 | 58) => bytes(1, 1),
            (Slot::NdTarget, 58) if h.nd => bytes(8, 16),
            (Slot::Sha, 58) => Some(Place { at: option(1)?.1 + 2, len: 6, shift: 0, bits: 48 }),
            (Slot::Tha, 58) => Some(Place { at: option(2)?.1 + 2, len: 6, shift: 0, bits: 48 }),
            _ => None,
        }
    }

    /// Sets the bits `mask` of a slot, in the values and, where it lies in the frame, there, with its checksums.
    pub fn set(&mut self, slot: Slot, value: u128, mask: u128) {
        // An opcode above 255 is in no key, so it could not be set back: it is not written, nor is 0, which looks the same, nor that of a
        // header that is not of Ethernet and IPv4. (Of the protocols of IP none is ever set.)
        if slot == Slot::Proto && self.values[Slot::Proto] == 0 {
            return;
        }
        self.values[slot] = self.values[slot] & !mask | value & mask;
        self.write(slot);
    }

    /// Writes a slot's value where it lies in the frame.
    fn write(&mut self, slot: Slot) {
        let Some(place) = self.place(slot) else { return };
        let before = self.bytes.clone();
        let ones = if place.bits == 128 { u128::MAX } else { (1 << place.bits) - 1 };
        let old = number(&self.bytes[place.at..place.at + place.len]);
        let wanted = (self.values[slot] & ones) << place.shift;
        let new = old & !(ones << place.shift) | wanted;
        let new = &new.to_be_bytes()[16 - place.len..];
        self.bytes[place.at..place.at + place.len].copy_from_slice(new);
        self.mend(&before, slot);
    }

    /// Brings the checksums up to date after a change of a slot.
    fn mend(&mut self, before: &[u8], slot: Slot) {
        let (l3, l4) = (self.headers.l3, self.headers.l4);
        if self.headers.eth_type == 0x0800 && l4 != 0 {
            let header_len = usize::from(before[l3] & 15) * 4;
            if before[l3..l3 + header_len] != self.bytes[l3..l3 + header_len] {
                self.mend_at(l3 + 10, before, l3..l3 + 20);
            }
        }
        let covered = match slot {
            Slot::NwSrc | Slot::NwDst => l3 + 12..l3 + 20,
            Slot::Ip6Src => l3 + 8..l3 + 24,
            Slot::Ip6Dst if !self.headers.rerouted => l3 + 24..l3 + 40,
            Slot::TpSrc | Slot::TpDst | Slot::NdTarget | Slot::Sha | Slot::Tha => l4..self.headers.end & !1,
            _ => return,
        };
        if l4 != 0 && self.headers.frag != 3 && before[covered.clone()] != self.bytes[covered.clone()] {
            self.mend_transport(before, slot, covered);
        }
    }

    fn mend_transport(&mut self, before: &[u8], slot: Slot, covered: std::ops::Range<usize>) {
        let (l4, end) = (self.headers.l4, self.headers.end);
        let is_address = matches!(slot, Slot::NwSrc | Slot::NwDst | Slot::Ip6Src | Slot::Ip6Dst);
        match (self.headers.proto, end - l4) {
            (6, 20..) => self.mend_at(l4 + 16, before, covered),
            (17, 8..) if self.bytes[l4 + 6..l4 + 8] != [0, 0] => {
                self.mend_at(l4 + 6, before, covered);
                if self.bytes[l4 + 6..l4 + 8] == [0, 0] {
                    self.bytes[l4 + 6..l4 + 8].fill(0xff);
                }
            }
            (58, 4..) => self.mend_at(l4 + 2, before, covered),
            (1, 8..) if !is_address => self.mend_at(l4 + 2, before, covered),
            (132, 12..) if !is_address && self.headers.frag == 0 => {
                let crc = |bytes: &[u8]| {
                    let mut segment = bytes[l4..end].to_vec();
                    segment[8..12].fill(0);
                    frames::crc32c(&segment).to_le_bytes()
                };
                let (was, is) = (crc(before), crc(&self.bytes));
                for i in 0..4 {
                    self.bytes[l4 + 8 + i] ^= was[i] ^ is[i];
                }
            }
            _ => {}
        }
    }

    /// Changes the checksum at `at` by the change within `covered`, word by word (RFC 1624, equation 3).
    fn mend_at(&mut self, at: usize, before: &[u8], covered: std::ops::Range<usize>) {
        let mut sum = u32::from(!self.word(at));
        for place in covered.step_by(2).filter(|place| *place != at) {
            let old = u16::from_be_bytes([before[place], before[place + 1]]);
            let new = self.word(place);
            if old != new {
                for addend in [!old, new] {
                    sum += u32::from(addend);
                    sum = (sum & 0xffff) + (sum >> 16);
                }
            }
        }
        let check = !(sum as u16);
        self.bytes[at..at + 2].copy_from_slice(&check.to_be_bytes());
    }

    /// The tags that are known: TPID and TCI as on the wire.
    pub fn tags(&self) -> Vec<(u16, u16)> {
        let count =
            [Slot::VlanTci, Slot::InnerTci].into_iter().filter(|slot| self.values[*slot] != 0).count();
        (0..count).map(|index| (self.word(12 + 4 * index), self.word(14 + 4 * index) & !0x1000)).collect()
    }

    /// Replaces the tags that are known by these.
    pub fn set_tags(&mut self, tags: &[(u16, u16)]) {
        while self.values[Slot::VlanTci] != 0 {
            self.pop_tag();
        }
        for (tpid, tci) in tags.iter().rev() {
            self.push_tag(*tpid, *tci);
        }
    }

    /// Inserts a tag outside all others. What is known of the rest stays known. Open vSwitch keeps two tags: of three, the
    /// innermost is lost.
    pub fn push_tag(&mut self, tpid: u16, tci: u16) {
        if self.headers.l3 != 0 {
            if self.values[Slot::InnerTci] != 0 {
                self.bytes.drain(16..20);
                self.headers.shift(-4);
            }
            let tag = [tpid.to_be_bytes(), (tci & !0x1000).to_be_bytes()].concat();
            self.bytes.splice(12..12, tag);
            self.values[Slot::InnerTci] = self.values[Slot::VlanTci];
            self.values[Slot::VlanTci] = u128::from(tci | 0x1000);
            self.headers.shift(4);
        }
    }

    /// Removes the outer tag, if one is known. What is known of the rest stays known.
    pub fn pop_tag(&mut self) {
        if self.values[Slot::VlanTci] != 0 {
            self.bytes.drain(12..16);
            self.values[Slot::VlanTci] = self.values[Slot::InnerTci];
            self.values[Slot::InnerTci] = 0;
            self.headers.shift(-4);
        }
    }

    /// Rewrites the outer tag, or inserts one of type 0x8100.
    pub fn set_tag(&mut self, tci: u16) {
        if self.values[Slot::VlanTci] == 0 {
            return self.push_tag(0x8100, tci);
        }
        self.bytes[14..16].copy_from_slice(&(tci & !0x1000).to_be_bytes());
        self.values[Slot::VlanTci] = u128::from(tci | 0x1000);
    }
}

impl Headers {
    fn shift(&mut self, by: isize) {
        let options = self.options.iter_mut().map(|(_, at)| at);
        for at in [&mut self.l3, &mut self.l4, &mut self.end].into_iter().chain(options) {
            if *at != 0 {
                *at = at.wrapping_add_signed(by);
            }
        }
    }
}

/// Slots that are read from the frame.
const HEADER_SLOTS: [Slot; 21] = [
    Slot::EthSrc,
    Slot::EthDst,
    Slot::EthType,
    Slot::VlanTci,
    Slot::InnerTci,
    Slot::Mpls,
    Slot::NwSrc,
    Slot::NwDst,
    Slot::Ip6Src,
    Slot::Ip6Dst,
    Slot::Label,
    Slot::Frag,
    Slot::Tos,
    Slot::Ttl,
    Slot::Proto,
    Slot::TpSrc,
    Slot::TpDst,
    Slot::TcpFlags,
    Slot::Sha,
    Slot::Tha,
    Slot::NdTarget,
];

#[cfg(test)]
mod tests {
    use super::*;
    use frames::{Rng, random};

    #[test]
    fn sets_keep_checksums_right() {
        let mut rng = Rng::new(5);
        for _ in 0..3000 {
            let frame = random::frame(&mut rng).build();
            let mut view = View::new(&frame, 2);
            for slot in HEADER_SLOTS {
                let bits = u128::from(rng.bits()) << 64 | u128::from(rng.bits());
                let unwritable =
                    [Slot::EthType, Slot::VlanTci, Slot::InnerTci, Slot::Frag, Slot::Mpls, Slot::TcpFlags];
                let is_icmp_type = matches!(slot, Slot::TpSrc | Slot::TpDst) && view.headers.proto == 58;
                if !unwritable.contains(&slot) && !is_icmp_type && slot != Slot::Proto {
                    view.set(slot, bits, u128::MAX);
                }
            }
            frames::verify(&view.bytes).unwrap();
        }
    }

    #[test]
    fn an_opcode_that_no_key_holds_is_not_set() {
        let arp = |plen: u8, op: [u8; 2]| {
            let header = [&[0, 1, 8, 0, 6, plen][..], &op, &[1; 20]].concat();
            let mut view = View::new(&[&[2; 12][..], &[8, 6], &header].concat(), 2);
            view.set(Slot::Proto, 2, 0xff);
            (view.values[Slot::Proto], view.bytes[21])
        };
        assert_eq!(arp(4, [0, 1]), (2, 2));
        for (plen, op) in [(4, [0, 0]), (4, [1, 1]), (5, [0, 1])] {
            assert_eq!(arp(plen, op), (0, op[1]));
        }
    }
}
