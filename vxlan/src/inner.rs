//! [`Inner`]: what is inside a tunnel.

use packet::parse::eth_type;

/// EtherType of an Ethernet frame inside GRE or Geneve: transparent Ethernet bridging.
pub const ETH_TYPE_TEB: u16 = 0x6558;
/// EtherType of a network service header (RFC 8300).
pub const ETH_TYPE_NSH: u16 = 0x894f;

/// What is inside a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Inner {
    /// An Ethernet frame.
    Ethernet,
    /// A packet of this EtherType, without an Ethernet header.
    Bare(u16),
}

impl Inner {
    /// From the EtherType in a GRE or Geneve header.
    pub const fn of_ether_type(kind: u16) -> Self {
        if kind == ETH_TYPE_TEB { Self::Ethernet } else { Self::Bare(kind) }
    }

    /// The EtherType in a GRE or Geneve header.
    pub const fn ether_type(self) -> u16 {
        match self {
            Self::Ethernet => ETH_TYPE_TEB,
            Self::Bare(kind) => kind,
        }
    }

    /// From VXLAN GPE's next protocol; `None` when unknown.
    pub const fn of_gpe_protocol(protocol: u8) -> Option<Self> {
        Some(match protocol {
            1 => Self::Bare(eth_type::IPV4),
            2 => Self::Bare(eth_type::IPV6),
            3 => Self::Ethernet,
            4 => Self::Bare(ETH_TYPE_NSH),
            5 => Self::Bare(eth_type::MPLS),
            _ => return None,
        })
    }

    /// VXLAN GPE's next protocol; `None` when it has no number.
    pub const fn gpe_protocol(self) -> Option<u8> {
        Some(match self {
            Self::Bare(eth_type::IPV4) => 1,
            Self::Bare(eth_type::IPV6) => 2,
            Self::Ethernet => 3,
            Self::Bare(ETH_TYPE_NSH) => 4,
            Self::Bare(eth_type::MPLS) => 5,
            Self::Bare(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_back() {
        for protocol in 0..=u8::MAX {
            let inner = Inner::of_gpe_protocol(protocol);
            assert_eq!(inner.is_some(), (1..=5).contains(&protocol));
            assert!(inner.is_none_or(|inner| inner.gpe_protocol() == Some(protocol)));
        }
        assert_eq!(Inner::Bare(eth_type::ARP).gpe_protocol(), None);
        assert_eq!(Inner::of_ether_type(0x6558), Inner::Ethernet);
        assert_eq!(Inner::of_ether_type(0x0800).ether_type(), 0x0800);
    }
}
