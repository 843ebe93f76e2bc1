//! [`Tuple`]: what tells one direction of a connection from all others.
//!
//! A connection has two: that of its original direction and that of its replies. Without address translation one is the
//! [reverse](Tuple::reversed) of the other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet::parse::ip_proto;

/// An IPv4 address as it stands in a [`Tuple`]: the last four bytes, the others zero. The family stands beside it.
pub type Addr = [u8; 16];

/// Addresses, ports, protocol and zone of one direction of a connection. 40 bytes, no padding, to be hashed and compared as a whole.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Debug,
    Default,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
)]
#[repr(C, align(8))]
pub struct Tuple {
    /// Source address.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
    /// Source port, in host order; for ICMP and ICMPv6 the identifier.
    pub sport: u16,
    /// Destination port, in host order; for ICMP and ICMPv6 the type in the upper byte, the code in the lower.
    pub dport: u16,
    /// Zone.
    pub zone: u16,
    /// IP protocol.
    pub proto: u8,
    /// 4 or 6.
    pub family: u8,
}

const _: () = assert!(size_of::<Tuple>() == 40);

impl Tuple {
    /// The other direction: addresses and ports exchanged; an ICMP request becomes its reply and the reverse, other types stay.
    pub fn reversed(&self) -> Self {
        let (sport, dport) = match self.proto {
            ip_proto::ICMP | ip_proto::ICMPV6 => (self.sport, reply_type(self.proto, self.dport)),
            _ => (self.dport, self.sport),
        };
        Self { src: self.dst, dst: self.src, sport, dport, ..*self }
    }

    /// Source address.
    pub fn src_ip(&self) -> IpAddr {
        ip(self.family, &self.src)
    }

    /// Destination address.
    pub fn dst_ip(&self) -> IpAddr {
        ip(self.family, &self.dst)
    }

    /// Whether `sport` and `dport` are an ICMP identifier, type and code.
    pub fn is_icmp(&self) -> bool {
        matches!(self.proto, ip_proto::ICMP | ip_proto::ICMPV6)
    }
}

/// The address in the form that tuples hold.
pub fn addr(ip: IpAddr) -> Addr {
    match ip {
        IpAddr::V4(v4) => {
            let mut out = [0; 16];
            out[12..].copy_from_slice(&v4.octets());
            out
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn ip(family: u8, addr: &Addr) -> IpAddr {
    match family {
        4 => Ipv4Addr::new(addr[12], addr[13], addr[14], addr[15]).into(),
        _ => Ipv6Addr::from(*addr).into(),
    }
}

/// Requests and their replies (RFC 792, RFC 4443).
const ICMP_PAIRS: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];
const ICMPV6_PAIRS: [(u8, u8); 1] = [(128, 129)];

/// `dport` of the other direction: the type's partner, the same code.
fn reply_type(proto: u8, dport: u16) -> u16 {
    let pairs: &[(u8, u8)] = if proto == ip_proto::ICMP { &ICMP_PAIRS } else { &ICMPV6_PAIRS };
    let [kind, code] = dport.to_be_bytes();
    let partner = pairs.iter().find_map(|(ask, answer)| match kind {
        kind if kind == *ask => Some(*answer),
        kind if kind == *answer => Some(*ask),
        _ => None,
    });
    u16::from_be_bytes([partner.unwrap_or(kind), code])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_reversed_is_the_same() {
        let tuple = Tuple { src: [1; 16], dst: [2; 16], sport: 3, dport: 4, zone: 5, proto: 6, family: 6 };
        assert_eq!((tuple.reversed().src, tuple.reversed().sport), ([2; 16], 4));
        assert_eq!(tuple.reversed().reversed(), tuple);
        let ping = Tuple { proto: 1, family: 4, sport: 77, dport: 0x0800, ..tuple };
        assert_eq!((ping.reversed().sport, ping.reversed().dport), (77, 0));
        assert_eq!(ping.reversed().reversed(), ping);
    }

    #[test]
    fn addresses_come_back() {
        for text in ["10.1.2.3", "fe80::1"] {
            let ip: IpAddr = text.parse().unwrap();
            let tuple = Tuple { src: addr(ip), family: if ip.is_ipv4() { 4 } else { 6 }, ..Tuple::default() };
            assert_eq!(tuple.src_ip(), ip);
        }
    }
}
