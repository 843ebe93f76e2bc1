//! [`Meta`]: what a tunnel header says besides the inner packet, in both directions: the `tun_*` fields of a flow key.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bitflags::bitflags;
use packet::FlowKey;

use crate::header::Policy;

bitflags! {
    /// The bits of `tun_flags`. Of these OpenFlow sees [`Flags::OAM`] only.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
    pub struct Flags: u16 {
        /// A control packet (RFC 8926, 3.4: the O bit).
        const OAM = 1;
        /// IPv4: don't fragment.
        const DONT_FRAGMENT = 2;
        /// The outer UDP or GRE header has a checksum.
        const CSUM = 4;
        /// There is a key (a VXLAN or Geneve header always has one).
        const KEY = 8;
    }
}

/// Tunnel metadata of one packet: as it was received, or as it is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meta {
    /// VNI (24 bits) or GRE key (32 bits); 0 without one.
    pub id: u64,
    /// Outer source.
    pub src: IpAddr,
    /// Outer destination, of the same family.
    pub dst: IpAddr,
    /// Outer type of service or traffic class.
    pub tos: u8,
    /// Outer time to live or hop limit.
    pub ttl: u8,
    /// See [`Flags`].
    pub flags: Flags,
    /// Outer UDP source port, in host order; 0 for GRE, and on sending (where the inner flow decides).
    pub tp_src: u16,
    /// Outer UDP destination port, in host order; 0 for GRE.
    pub tp_dst: u16,
    /// VXLAN group policy.
    pub policy: Option<Policy>,
}

impl Meta {
    /// Writes all tunnel fields of `key`, the absent ones as zero.
    pub fn write_to(&self, key: &mut FlowKey) {
        let v4 = |addr| if let IpAddr::V4(v4) = addr { v4.to_bits() } else { 0 };
        let v6 = |addr| if let IpAddr::V6(v6) = addr { v6.octets() } else { [0; 16] };
        key.tun_id.set(self.id);
        key.tun_src.set(v4(self.src));
        key.tun_dst.set(v4(self.dst));
        key.tun_ipv6_src = v6(self.src);
        key.tun_ipv6_dst = v6(self.dst);
        key.tun_flags.set(self.flags.bits());
        key.tun_tos = self.tos;
        key.tun_ttl = self.ttl;
        key.tun_tp_src.set(self.tp_src);
        key.tun_tp_dst.set(self.tp_dst);
        key.tun_gbp_id.set(self.policy.map_or(0, |policy| policy.id));
        key.tun_gbp_flags = self.policy.map_or(0, Policy::flags);
    }

    /// Reads the tunnel fields of `key`; `None` when it has no outer destination: the packet came from no tunnel.
    pub fn read_from(key: &FlowKey) -> Option<Self> {
        let (src, dst): (IpAddr, IpAddr) = if key.tun_dst.get() != 0 {
            (Ipv4Addr::from_bits(key.tun_src.get()).into(), Ipv4Addr::from_bits(key.tun_dst.get()).into())
        } else if key.tun_ipv6_dst != [0; 16] {
            (Ipv6Addr::from(key.tun_ipv6_src).into(), Ipv6Addr::from(key.tun_ipv6_dst).into())
        } else {
            return None;
        };
        let has_policy = key.tun_gbp_id.get() != 0 || key.tun_gbp_flags != 0;
        Some(Self {
            id: key.tun_id.get(),
            src,
            dst,
            tos: key.tun_tos,
            ttl: key.tun_ttl,
            flags: Flags::from_bits_truncate(key.tun_flags.get()),
            tp_src: key.tun_tp_src.get(),
            tp_dst: key.tun_tp_dst.get(),
            policy: has_policy.then(|| Policy::new(key.tun_gbp_id.get(), key.tun_gbp_flags)),
        })
    }
}

/// The unspecified address of the same family.
pub(crate) fn unspecified(family: IpAddr) -> IpAddr {
    match family {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn through_a_flow_key_and_back() {
        let policy = Some(Policy { id: 7, dont_learn: true, applied: true });
        let flags = Flags::KEY | Flags::OAM | Flags::CSUM;
        let v4 = |last| IpAddr::from([10, 0, 0, last]);
        let v6 = |last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]);
        for (src, dst) in [(v4(1), v4(2)), (v6(1), v6(2))] {
            let meta = Meta { id: 5, src, dst, tos: 4, ttl: 64, flags, tp_src: 9, tp_dst: 4789, policy };
            let mut key = FlowKey { tun_ipv6_dst: [9; 16], ..FlowKey::default() };
            meta.write_to(&mut key);
            assert_eq!(Meta::read_from(&key), Some(meta));
            assert_eq!(key.tun_gbp_flags, 0x48);
        }
        assert_eq!(Meta::read_from(&FlowKey::default()), None);
    }
}
