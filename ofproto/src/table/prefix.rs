//! The fields whose prefixes a table can track.

use packet::{FlowKey, FlowMask};

use super::shape::stage_of;
use super::trie::prefix_mask;

const ETH_IPV4: u16 = 0x0800;
const ETH_IPV6: u16 = 0x86dd;

/// A field that is matched by prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PrefixField {
    /// IPv4 source.
    NwSrc,
    /// IPv4 destination.
    NwDst,
    /// IPv6 source.
    Ipv6Src,
    /// IPv6 destination.
    Ipv6Dst,
    /// Tunnel id.
    TunId,
    /// Outer IPv4 source.
    TunSrc,
    /// Outer IPv4 destination.
    TunDst,
    /// Outer IPv6 source.
    TunIpv6Src,
    /// Outer IPv6 destination.
    TunIpv6Dst,
}

impl PrefixField {
    /// What a table tracks unless told otherwise.
    pub(crate) const DEFAULT: [Self; 2] = [Self::NwDst, Self::NwSrc];

    /// The field that the database calls by this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "nw_src" | "ip_src" => Self::NwSrc,
            "nw_dst" | "ip_dst" => Self::NwDst,
            "ipv6_src" => Self::Ipv6Src,
            "ipv6_dst" => Self::Ipv6Dst,
            "tun_id" | "tunnel_id" => Self::TunId,
            "tun_src" => Self::TunSrc,
            "tun_dst" => Self::TunDst,
            "tun_ipv6_src" => Self::TunIpv6Src,
            "tun_ipv6_dst" => Self::TunIpv6Dst,
            _ => return None,
        })
    }

    /// Byte offset in a key and width in bits.
    fn place(self) -> (usize, u8) {
        use std::mem::offset_of;
        match self {
            Self::NwSrc => (offset_of!(FlowKey, nw_src), 32),
            Self::NwDst => (offset_of!(FlowKey, nw_dst), 32),
            Self::Ipv6Src => (offset_of!(FlowKey, ipv6_src), 128),
            Self::Ipv6Dst => (offset_of!(FlowKey, ipv6_dst), 128),
            Self::TunId => (offset_of!(FlowKey, tun_id), 64),
            Self::TunSrc => (offset_of!(FlowKey, tun_src), 32),
            Self::TunDst => (offset_of!(FlowKey, tun_dst), 32),
            Self::TunIpv6Src => (offset_of!(FlowKey, tun_ipv6_src), 128),
            Self::TunIpv6Dst => (offset_of!(FlowKey, tun_ipv6_dst), 128),
        }
    }

    /// Width in bits.
    pub(super) fn width(self) -> u8 {
        self.place().1
    }

    pub(super) fn stage(self) -> usize {
        stage_of(self.place().0)
    }

    /// The field's value, left-aligned.
    pub(super) fn value(self, key: &FlowKey) -> u128 {
        use zerocopy::IntoBytes;
        let (offset, bits) = self.place();
        let mut wide = [0u8; 16];
        let bytes = usize::from(bits / 8);
        wide[..bytes].copy_from_slice(&key.as_bytes()[offset..offset + bytes]);
        u128::from_be_bytes(wide)
    }

    /// Whether a packet with this key has the field at all (ARP keeps addresses in the same place, but is not looked up by prefix).
    pub(super) fn applies_to(self, key: &FlowKey) -> bool {
        match self {
            Self::NwSrc | Self::NwDst => u16::from(key.eth_type) == ETH_IPV4,
            Self::Ipv6Src | Self::Ipv6Dst => u16::from(key.eth_type) == ETH_IPV6,
            _ => true,
        }
    }

    /// Length of the prefix that `mask` looks at in this field; `None` if it looks at nothing or not at a prefix.
    pub(super) fn prefix_len(self, mask: &FlowMask) -> Option<u8> {
        let bits = self.value(&mask.0);
        let len = bits.leading_ones() as u8;
        (len > 0 && bits == prefix_mask(len)).then_some(len)
    }

    /// Un-wildcards the field's first `count` bits.
    pub(super) fn unmask(self, mask: &mut FlowMask, count: u8) {
        use zerocopy::IntoBytes;
        let (offset, bits) = self.place();
        let ones = prefix_mask(count).to_be_bytes();
        let bytes = usize::from(bits / 8);
        for (byte, one) in mask.0.as_mut_bytes()[offset..offset + bytes].iter_mut().zip(ones) {
            *byte |= one;
        }
    }
}
