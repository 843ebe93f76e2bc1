//! Tunnels to test with.

use std::net::IpAddr;

use packet::{Offload, Packet, extract, gso};
use vxlan::tunnel::Remote;
use vxlan::{
    Decap, DecapError, Flags, Inner, Kind, Listener, Meta, Path, Policy, Service, Template, Tunnel, decap,
};

/// One way to send.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) kind: Kind,
    pub(crate) gpe: bool,
    pub(crate) sequence: bool,
    pub(crate) inner: Inner,
    pub(crate) meta: Meta,
    pub(crate) options: Vec<u8>,
}

pub(crate) const PATH: Path = Path { src_mac: [2, 0, 0, 0, 0, 1], dst_mac: [2, 0, 0, 0, 0, 2], mtu: 65535 };

pub(crate) fn ends(v6: bool) -> (IpAddr, IpAddr) {
    if v6 {
        ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap())
    } else {
        ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())
    }
}

/// As it arrives after a port has completed it and a wire has forgotten what was known of it.
pub(crate) fn over_a_wire(mut packet: Packet) -> Packet {
    gso::complete(&mut packet);
    packet.offload = Offload::default();
    packet
}

impl Way {
    pub(crate) fn new(kind: Kind, v6: bool, csum: bool) -> Self {
        let (src, dst) = ends(v6);
        let mut flags = Flags::KEY | Flags::DONT_FRAGMENT;
        flags.set(Flags::CSUM, csum);
        let (id, tp_dst) = (0x01_0203, kind.default_port());
        let meta = Meta { id, src, dst, tos: 0, ttl: 64, flags, tp_src: 0, tp_dst, policy: None };
        Self { kind, gpe: false, sequence: false, inner: Inner::Ethernet, meta, options: Vec::new() }
    }

    /// Every kind over both families, with and without a checksum, with extensions and options.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for kind in [Kind::Vxlan, Kind::Geneve, Kind::Gre] {
            for (v6, csum) in [(false, false), (false, true), (true, false), (true, true)] {
                all.push(Self::new(kind, v6, csum));
            }
        }
        let mut policy = Self::new(Kind::Vxlan, false, false);
        policy.meta.policy = Some(Policy { id: 9, dont_learn: true, applied: false });
        let gpe = Self { gpe: true, ..Self::new(Kind::Vxlan, true, true) };
        let mut options = Self::new(Kind::Geneve, false, true);
        options.options = vec![1, 2, 0x80, 1, 9, 9, 9, 9, 0, 1, 3, 0];
        options.meta.flags |= Flags::OAM;
        let mut keyless = Self::new(Kind::Gre, false, false);
        keyless.meta.id = 0;
        keyless.meta.flags -= Flags::KEY | Flags::DONT_FRAGMENT;
        let numbered = Self { sequence: true, ..Self::new(Kind::Gre, false, true) };
        all.extend([policy, gpe, options, keyless, numbered]);
        all
    }

    pub(crate) fn template(&self, path: &Path) -> Template {
        let sequence = self.sequence;
        let tunnel = Tunnel { gpe: self.gpe, sequence, ..Tunnel::new(self.kind, Remote::Flow) };
        Template::new(&tunnel, self.inner, &self.meta, &self.options, path).unwrap()
    }

    pub(crate) fn listener(&self) -> Listener {
        let service = Service { kind: self.kind, dst_port: self.meta.tp_dst };
        Listener { service, gbp: self.meta.policy.is_some(), gpe: self.gpe }
    }

    /// What the other end must see of it.
    pub(crate) fn received(&self, src_port: u16) -> Meta {
        let mut meta = self.meta;
        if self.kind != Kind::Gre {
            meta.tp_src = src_port;
            if meta.dst.is_ipv6() {
                meta.flags |= Flags::CSUM;
            }
        }
        if meta.dst.is_ipv6() {
            meta.flags -= Flags::DONT_FRAGMENT;
        }
        meta
    }

    pub(crate) fn decap(&self, packet: &Packet) -> Result<Decap, DecapError> {
        decap(packet, &extract(packet.data(), 1).1, &self.listener())
    }

    /// The same tunnel for packets without an Ethernet header.
    pub(crate) fn bare(mut self, kind: u16) -> Self {
        self.gpe = self.kind == Kind::Vxlan;
        self.inner = Inner::Bare(kind);
        self
    }
}
