//! [`Tunnel`]: what a tunnel port is configured to do, and [`Tunnel::outgoing`], what that makes of a packet to be sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet::parse::eth_type;
use packet::{FlowKey, FlowMask};
use thiserror::Error;

use crate::header::Policy;
use crate::meta::{self, Flags, Meta};
use crate::{Inner, ecn};

/// Time to live when nothing says otherwise.
pub const DEFAULT_TTL: u8 = 64;

/// The kinds of tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// GRE (RFC 2784, RFC 2890).
    Gre,
}

impl Kind {
    /// The UDP port that IANA assigned; 0 for GRE, which has none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Vxlan => crate::UDP_PORT,
            Self::Geneve => crate::geneve::UDP_PORT,
            Self::Gre => 0,
        }
    }

    /// The largest key.
    pub const fn max_key(self) -> u64 {
        match self {
            Self::Vxlan | Self::Geneve => 0xff_ffff,
            Self::Gre => 0xffff_ffff,
        }
    }
}

/// The other end (`remote_ip`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Remote {
    /// This one.
    Fixed(IpAddr),
    /// Any on receipt; on sending what `tun_dst` or `tun_ipv6_dst` says.
    Flow,
}

/// Our end (`local_ip`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Local {
    /// This one.
    Fixed(IpAddr),
    /// Any on receipt; on sending the route's.
    Any,
    /// Any on receipt; on sending what `tun_src` or `tun_ipv6_src` says, if it says something.
    Flow,
}

/// A key (`in_key`, `out_key`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Key {
    /// This one. 0 is also "none".
    Fixed(u64),
    /// Any on receipt; on sending what `tun_id` says.
    Flow,
}

/// A field of the outer IP header (`tos`, `ttl`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Outer {
    /// This value.
    Fixed(u8),
    /// That of the inner IP header; without one 0 for `tos`, [`DEFAULT_TTL`] for `ttl`.
    Inherit,
}

/// What kind of packets go through (`packet_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum PacketType {
    /// Ethernet frames.
    LegacyL2,
    /// Packets without an Ethernet header, which get one of zeros on our side.
    LegacyL3,
    /// Both, told apart by `packet_type`.
    Ptap,
}

/// Configuration of a tunnel port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tunnel {
    /// Kind of tunnel.
    pub kind: Kind,
    /// The other end.
    pub remote: Remote,
    /// Our end.
    pub local: Local,
    /// Key of packets that are received.
    pub in_key: Key,
    /// Key of packets that are sent.
    pub out_key: Key,
    /// UDP destination port, in host order; 0 for GRE.
    pub dst_port: u16,
    /// Type of service without its two ECN bits, which are always inherited.
    pub tos: Outer,
    /// Time to live.
    pub ttl: Outer,
    /// Whether IPv4 packets are sent with DF (`df_default`).
    pub dont_fragment: bool,
    /// Whether packets are sent with a UDP (or GRE) checksum. Over IPv6 UDP always has one.
    pub csum: bool,
    /// Mark of the packets that are sent (`egress_pkt_mark`).
    pub egress_mark: Option<u32>,
    /// VXLAN: the group policy extension.
    pub gbp: bool,
    /// VXLAN: the generic protocol extension.
    pub gpe: bool,
    /// GRE: packets are sent with a sequence number (`seq`).
    pub sequence: bool,
    /// What goes through.
    pub packet_type: PacketType,
}

/// A configuration that makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// The remote is no unicast address.
    #[error("remote_ip {0} is no unicast address")]
    Remote(IpAddr),
    /// The families differ.
    #[error("local_ip {0} and remote_ip {1} are of different families")]
    Families(IpAddr, IpAddr),
    /// See [`Local::Flow`].
    #[error("local_ip=flow needs remote_ip=flow")]
    LocalFlow,
    /// The key is too long.
    #[error("key {0} is larger than {1}")]
    Key(u64, u64),
    /// The ECN bits are always inherited.
    #[error("tos {0} has ECN bits set")]
    Tos(u8),
    /// No UDP port.
    #[error("dst_port 0")]
    Port,
    /// Extensions are VXLAN's.
    #[error("exts are for vxlan only")]
    Extensions,
    /// Packets without an Ethernet header need GPE.
    #[error("packet_type legacy_l3 needs exts=gpe")]
    PacketType,
}

/// Why a packet cannot be sent through a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum OutgoingError {
    /// Neither the port nor the flow says where to.
    #[error("no tunnel destination")]
    NoRemote,
}

impl Tunnel {
    /// A tunnel with the defaults of the database: any local address, no key, the assigned port, DF, TTL 64.
    pub fn new(kind: Kind, remote: Remote) -> Self {
        Self {
            kind,
            remote,
            local: Local::Any,
            in_key: Key::Fixed(0),
            out_key: Key::Fixed(0),
            dst_port: kind.default_port(),
            tos: Outer::Fixed(0),
            ttl: Outer::Fixed(DEFAULT_TTL),
            dont_fragment: true,
            csum: false,
            egress_mark: None,
            gbp: false,
            gpe: false,
            sequence: false,
            packet_type: PacketType::LegacyL2,
        }
    }

    /// Whether the parts go together.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Remote::Fixed(remote) = self.remote {
            let broadcast = remote == IpAddr::V4(Ipv4Addr::BROADCAST);
            if remote.is_multicast() || remote.is_unspecified() || broadcast {
                return Err(ConfigError::Remote(remote));
            }
            match self.local {
                Local::Flow => return Err(ConfigError::LocalFlow),
                Local::Fixed(local) if local.is_ipv4() != remote.is_ipv4() => {
                    return Err(ConfigError::Families(local, remote));
                }
                Local::Fixed(_) | Local::Any => {}
            }
        }
        for key in [self.in_key, self.out_key] {
            match key {
                Key::Fixed(key) if key > self.kind.max_key() => {
                    return Err(ConfigError::Key(key, self.kind.max_key()));
                }
                Key::Fixed(_) | Key::Flow => {}
            }
        }
        self.check_headers()
    }

    fn check_headers(&self) -> Result<(), ConfigError> {
        let is_vxlan = self.kind == Kind::Vxlan;
        match self.tos {
            Outer::Fixed(tos) if tos & ecn::MASK != 0 => Err(ConfigError::Tos(tos)),
            _ if self.dst_port == 0 && self.kind != Kind::Gre => Err(ConfigError::Port),
            _ if (self.gbp || self.gpe) && !is_vxlan => Err(ConfigError::Extensions),
            _ if self.packet_type == PacketType::LegacyL3 && is_vxlan && !self.gpe => {
                Err(ConfigError::PacketType)
            }
            _ => Ok(()),
        }
    }

    /// What is inside when a packet with this key is sent.
    pub fn inner(&self, key: &FlowKey) -> Inner {
        match (self.packet_type, key.packet_type.get()) {
            (PacketType::LegacyL3, _) => Inner::Bare(key.eth_type.get()),
            (PacketType::LegacyL2, _) | (PacketType::Ptap, 0) => Inner::Ethernet,
            (PacketType::Ptap, kind) => Inner::Bare(kind as u16),
        }
    }

    /// Metadata of a packet with this key that is sent through this port; `key` holds what actions have set. The source may be
    /// left unspecified: the route has to say it. `mask` gets every bit that was looked at.
    pub fn outgoing(&self, key: &FlowKey, mask: &mut FlowMask) -> Result<Meta, OutgoingError> {
        let mask = &mut mask.0;
        let dst = match self.remote {
            Remote::Fixed(dst) => dst,
            Remote::Flow => {
                mask.tun_dst.set(u32::MAX);
                mask.tun_ipv6_dst = [0xff; 16];
                flow_address(key.tun_dst.get(), key.tun_ipv6_dst).ok_or(OutgoingError::NoRemote)?
            }
        };
        let src = match self.local {
            Local::Fixed(src) => Some(src),
            Local::Any => None,
            Local::Flow => {
                mask.tun_src.set(u32::MAX);
                mask.tun_ipv6_src = [0xff; 16];
                flow_address(key.tun_src.get(), key.tun_ipv6_src)
            }
        };
        let src = src.filter(|src| src.is_ipv4() == dst.is_ipv4()).unwrap_or(meta::unspecified(dst));
        let id = match self.out_key {
            Key::Fixed(id) => id,
            Key::Flow => {
                mask.tun_id.set(u64::MAX);
                key.tun_id.get() & self.kind.max_key()
            }
        };
        let (tos, ttl) = self.inherited(key, mask);
        let flags = self.flags(key, mask);
        let policy = self.gbp.then(|| {
            mask.tun_gbp_id.set(u16::MAX);
            mask.tun_gbp_flags = u8::MAX;
            Policy::new(key.tun_gbp_id.get(), key.tun_gbp_flags)
        });
        Ok(Meta { id, src, dst, tos, ttl, flags, tp_src: 0, tp_dst: self.dst_port, policy })
    }

    /// Outer type of service (ECN included) and time to live.
    fn inherited(&self, key: &FlowKey, mask: &mut FlowKey) -> (u8, u8) {
        mask.eth_type.set(u16::MAX);
        let inner = matches!(key.eth_type.get(), eth_type::IPV4 | eth_type::IPV6);
        let (mut tos, mut ttl) = (0, DEFAULT_TTL);
        if inner {
            mask.nw_tos |= ecn::MASK;
        }
        match self.tos {
            Outer::Fixed(fixed) => tos = fixed,
            Outer::Inherit if inner => (tos, mask.nw_tos) = (key.nw_tos, u8::MAX),
            Outer::Inherit => {}
        }
        match self.ttl {
            Outer::Fixed(fixed) => ttl = fixed,
            Outer::Inherit if inner => (ttl, mask.nw_ttl) = (key.nw_ttl, u8::MAX),
            Outer::Inherit => {}
        }
        (ecn::encapsulate(tos, if inner { key.nw_tos } else { ecn::NOT_ECT }), ttl)
    }

    fn flags(&self, key: &FlowKey, mask: &mut FlowKey) -> Flags {
        let mut flags = Flags::empty();
        if self.kind == Kind::Geneve {
            mask.tun_flags.set(mask.tun_flags.get() | Flags::OAM.bits());
            flags |= Flags::from_bits_truncate(key.tun_flags.get()) & Flags::OAM;
        }
        flags.set(Flags::DONT_FRAGMENT, self.dont_fragment);
        flags.set(Flags::CSUM, self.csum);
        flags.set(Flags::KEY, self.out_key != Key::Fixed(0));
        flags
    }
}

fn flow_address(v4: u32, v6: [u8; 16]) -> Option<IpAddr> {
    match (v4, v6) {
        (0, v6) if v6 == [0; 16] => None,
        (0, v6) => Some(Ipv6Addr::from(v6).into()),
        (v4, _) => Some(Ipv4Addr::from_bits(v4).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn v6(last: u16) -> IpAddr {
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last])
    }

    #[test]
    fn contradictions_are_refused() {
        let good = Tunnel::new(Kind::Vxlan, Remote::Fixed(v4(2)));
        assert_eq!(good.check(), Ok(()));
        let refused = |change: &dyn Fn(&mut Tunnel)| {
            let mut tunnel = good;
            change(&mut tunnel);
            tunnel.check().unwrap_err()
        };
        assert_eq!(refused(&|t| t.local = Local::Flow), ConfigError::LocalFlow);
        assert_eq!(refused(&|t| t.local = Local::Fixed(v6(1))), ConfigError::Families(v6(1), v4(2)));
        let group = IpAddr::from([224, 0, 0, 1]);
        assert_eq!(refused(&|t| t.remote = Remote::Fixed(group)), ConfigError::Remote(group));
        assert_eq!(refused(&|t| t.in_key = Key::Fixed(1 << 24)), ConfigError::Key(1 << 24, 0xff_ffff));
        assert_eq!(refused(&|t| t.tos = Outer::Fixed(0x21)), ConfigError::Tos(0x21));
        assert_eq!(refused(&|t| t.dst_port = 0), ConfigError::Port);
        assert_eq!(refused(&|t| (t.kind, t.gbp) = (Kind::Geneve, true)), ConfigError::Extensions);
        assert_eq!(refused(&|t| t.packet_type = PacketType::LegacyL3), ConfigError::PacketType);
        let gre = Tunnel { in_key: Key::Fixed(1 << 31), ..Tunnel::new(Kind::Gre, Remote::Flow) };
        assert_eq!(gre.check(), Ok(()));
    }

    #[test]
    fn fixed_ends_look_at_nothing_but_the_inner_headers() {
        let tunnel =
            Tunnel { out_key: Key::Fixed(5), csum: true, ..Tunnel::new(Kind::Vxlan, Remote::Fixed(v6(2))) };
        let mut key = FlowKey::default();
        (key.nw_tos, key.nw_ttl) = (0xbb, 9);
        let mut mask = FlowMask::default();
        let meta = tunnel.outgoing(&key, &mut mask).unwrap();
        assert_eq!(
            (meta.id, meta.src, meta.dst, meta.tos, meta.ttl),
            (5, meta::unspecified(v6(1)), v6(2), 0, 64)
        );
        assert_eq!(meta.flags, Flags::CSUM | Flags::KEY | Flags::DONT_FRAGMENT);
        let mut looked = FlowMask::default();
        looked.0.eth_type.set(u16::MAX);
        assert_eq!(mask, looked);
        key.eth_type.set(eth_type::IPV6);
        assert_eq!(tunnel.outgoing(&key, &mut mask).unwrap().tos, ecn::CE);
        assert_eq!((mask.0.nw_tos, mask.0.nw_ttl), (ecn::MASK, 0));
    }

    #[test]
    fn the_flow_decides_where_the_port_does_not() {
        let flow = Tunnel {
            local: Local::Flow,
            out_key: Key::Flow,
            tos: Outer::Inherit,
            ttl: Outer::Inherit,
            gbp: true,
            ..Tunnel::new(Kind::Vxlan, Remote::Flow)
        };
        let mut key = FlowKey::default();
        let mut mask = FlowMask::default();
        assert_eq!(flow.outgoing(&key, &mut mask), Err(OutgoingError::NoRemote));
        let policy = Some(Policy { id: 3, dont_learn: false, applied: true });
        let flags = Flags::empty();
        let (src, dst) = (v4(1), v4(2));
        Meta { id: 0x0500_0007, src, dst, tos: 1, ttl: 2, flags, tp_src: 3, tp_dst: 4, policy }
            .write_to(&mut key);
        key.eth_type.set(eth_type::IPV4);
        (key.nw_tos, key.nw_ttl) = (0xba, 9);
        let meta = flow.outgoing(&key, &mut mask).unwrap();
        assert_eq!((meta.id, meta.src, meta.dst, meta.tos, meta.ttl), (7, v4(1), v4(2), 0xba, 9));
        assert_eq!((meta.policy, meta.tp_dst), (policy, 4789));
        assert_eq!((mask.0.nw_tos, mask.0.nw_ttl, mask.0.tun_id.get()), (0xff, 0xff, u64::MAX));
    }

    #[test]
    fn what_is_inside() {
        let mut key = FlowKey::default();
        key.eth_type.set(eth_type::IPV6);
        let of = |packet_type, key: &FlowKey| {
            Tunnel { packet_type, ..Tunnel::new(Kind::Gre, Remote::Flow) }.inner(key)
        };
        assert_eq!(of(PacketType::LegacyL2, &key), Inner::Ethernet);
        assert_eq!(of(PacketType::LegacyL3, &key), Inner::Bare(eth_type::IPV6));
        assert_eq!(of(PacketType::Ptap, &key), Inner::Ethernet);
        key.packet_type.set(0x0001_0800);
        assert_eq!(of(PacketType::Ptap, &key), Inner::Bare(eth_type::IPV4));
    }
}
