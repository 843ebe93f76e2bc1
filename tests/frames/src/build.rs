//! From a description to bytes.

use crate::sums::{crc32c, inet};
use crate::{Extension, Frame, L4, Net, V4, V6};

impl Frame {
    /// The frame's bytes, with right lengths and checksums.
    pub fn build(&self) -> Vec<u8> {
        let (ether_type, inside) = self.net.build();
        let mut out = [self.dst, self.src].concat();
        for (tpid, tci) in &self.vlans {
            out.extend(tpid.to_be_bytes());
            out.extend(tci.to_be_bytes());
        }
        if self.snap {
            out.extend((8 + inside.len() as u16).to_be_bytes());
            out.extend([0xaa, 0xaa, 3, 0, 0, 0]);
        }
        out.extend(ether_type.to_be_bytes());
        out.extend(inside);
        out.extend(std::iter::repeat_n(0, self.padding));
        out
    }
}

impl Net {
    /// EtherType and what follows it.
    fn build(&self) -> (u16, Vec<u8>) {
        match self {
            Self::V4(ip) => (0x0800, ip.build()),
            Self::V6(ip) => (0x86dd, ip.build()),
            Self::Arp { reverse, op, sha, spa, tha, tpa } => {
                let fixed = [0, 1, 8, 0, 6, 4];
                let bytes = [&fixed[..], &op.to_be_bytes(), sha, spa, tha, tpa].concat();
                (if *reverse { 0x8035 } else { 0x0806 }, bytes)
            }
            Self::Mpls { lses, inner } => {
                let mut out = Vec::new();
                for (i, lse) in lses.iter().enumerate() {
                    let bottom = u32::from(i + 1 == lses.len()) << 8;
                    out.extend((lse & !0x100 | bottom).to_be_bytes());
                }
                out.extend(inner.build());
                (0x8847, out)
            }
            Self::Raw { ether_type, bytes } => (*ether_type, bytes.clone()),
        }
    }
}

impl V4 {
    fn build(&self) -> Vec<u8> {
        let pseudo = [self.src, self.dst].concat();
        let l4 = if self.frag & 0x1fff == 0 { self.l4.build(&pseudo, false) } else { self.l4.fragment() };
        let header_len = 20 + self.options.len();
        let mut out = vec![0x40 | (header_len / 4) as u8, self.tos];
        out.extend(((header_len + l4.len()) as u16).to_be_bytes());
        out.extend([0x12, 0x34]);
        out.extend(self.frag.to_be_bytes());
        out.extend([self.ttl, self.l4.proto(false), 0, 0]);
        out.extend(pseudo);
        out.extend(&self.options);
        let check = inet(&[&out]);
        out[10..12].copy_from_slice(&check.to_be_bytes());
        out.extend(l4);
        out
    }
}

impl V6 {
    fn build(&self) -> Vec<u8> {
        let last = self.extensions.iter().rev().find_map(|extension| match extension {
            Extension::Routing { address, left: true } => Some(*address),
            _ => None,
        });
        let pseudo = [self.src, last.unwrap_or(self.dst)].concat();
        let later = |extension: &Extension| matches!(extension, Extension::Fragment { offset: 1.., .. });
        let l4 =
            if self.extensions.iter().any(later) { self.l4.fragment() } else { self.l4.build(&pseudo, true) };
        let mut body = Vec::new();
        let following = self.extensions.iter().skip(1).map(Extension::proto).chain([self.l4.proto(true)]);
        for (extension, next) in self.extensions.iter().zip(following) {
            extension.build(next, &mut body);
        }
        body.extend(l4);
        let first = self.extensions.first().map_or(self.l4.proto(true), Extension::proto);
        let mut out = (6 << 28 | u32::from(self.class) << 20 | self.label & 0xf_ffff).to_be_bytes().to_vec();
        out.extend((body.len() as u16).to_be_bytes());
        out.extend([first, self.hops]);
        out.extend(self.src);
        out.extend(self.dst);
        out.extend(body);
        out
    }
}

impl Extension {
    fn proto(&self) -> u8 {
        match self {
            Self::HopByHop => 0,
            Self::Destination => 60,
            Self::Auth => 51,
            Self::Routing { .. } => 43,
            Self::Fragment { .. } => 44,
        }
    }

    fn build(&self, next: u8, out: &mut Vec<u8>) {
        match self {
            Self::HopByHop | Self::Destination => out.extend([next, 0, 1, 4, 0, 0, 0, 0]),
            Self::Auth => {
                out.extend([next, 4, 0, 0]);
                out.extend([9; 20]);
            }
            Self::Routing { address, left } => {
                out.extend([next, 2, 2, u8::from(*left), 0, 0, 0, 0]);
                out.extend(address);
            }
            Self::Fragment { offset, more } => {
                out.extend([next, 0]);
                out.extend((offset << 3 | u16::from(*more)).to_be_bytes());
                out.extend([0, 0, 0, 7]);
            }
        }
    }
}

impl L4 {
    fn proto(&self, v6: bool) -> u8 {
        match self {
            Self::Tcp { .. } => 6,
            Self::Udp { .. } => 17,
            Self::Sctp { .. } => 132,
            Self::Icmp { .. } if v6 => 58,
            Self::Icmp { .. } => 1,
            Self::Igmp { .. } => 2,
            Self::Raw { proto, .. } => *proto,
        }
    }

    /// The payload of a later fragment: no header, just bytes.
    fn fragment(&self) -> Vec<u8> {
        vec![0x5a; 24]
    }

    fn build(&self, addresses: &[u8], v6: bool) -> Vec<u8> {
        let mut out = self.unsummed();
        let tail = [0, 0, 0, self.proto(v6)];
        let pseudo = [addresses, &(out.len() as u32).to_be_bytes(), &tail].concat();
        match self {
            Self::Tcp { .. } => {
                let check = inet(&[&pseudo, &out]);
                out[16..18].copy_from_slice(&check.to_be_bytes());
            }
            Self::Udp { checksum: true, .. } => {
                let check = inet(&[&pseudo, &out]);
                let check = if check == 0 { 0xffff } else { check };
                out[6..8].copy_from_slice(&check.to_be_bytes());
            }
            Self::Sctp { .. } => {
                let crc = crc32c(&out);
                out[8..12].copy_from_slice(&crc.to_le_bytes());
            }
            Self::Icmp { .. } | Self::Igmp { .. } => {
                let check = if v6 && tail[3] == 58 { inet(&[&pseudo, &out]) } else { inet(&[&out]) };
                out[2..4].copy_from_slice(&check.to_be_bytes());
            }
            Self::Udp { checksum: false, .. } | Self::Raw { .. } => {}
        }
        out
    }

    /// Header and payload with zero for a checksum.
    fn unsummed(&self) -> Vec<u8> {
        let ports = |src: u16, dst: u16| [src.to_be_bytes(), dst.to_be_bytes()].concat();
        match self {
            Self::Tcp { src, dst, flags, options, payload } => {
                let offset_and_flags = ((5 + options.len() as u16 / 4) << 12 | flags & 0xfff).to_be_bytes();
                let rest = [0, 99, 0, 0, 0, 0];
                [
                    &ports(*src, *dst)[..],
                    &[0, 0, 0, 7, 0, 0, 0, 8],
                    &offset_and_flags,
                    &rest,
                    options,
                    payload,
                ]
                .concat()
            }
            Self::Udp { src, dst, payload, .. } => {
                let len = (8 + payload.len() as u16).to_be_bytes();
                [&ports(*src, *dst)[..], &len, &[0, 0], payload].concat()
            }
            Self::Sctp { src, dst, payload } => {
                [&ports(*src, *dst)[..], &[0, 0, 0, 9, 0, 0, 0, 0], payload].concat()
            }
            Self::Icmp { kind, code, body } => [&[*kind, *code, 0, 0][..], body].concat(),
            Self::Igmp { kind, group } => [&[*kind, 0, 0, 0][..], group].concat(),
            Self::Raw { bytes, .. } => bytes.clone(),
        }
    }
}
