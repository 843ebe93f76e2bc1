//! [`Template`]: the outer headers of a flow, made once, put in front of each of its packets.
//!
//! A template is made for a tunnel's metadata, a route and a neighbour: Ethernet, IP, UDP and tunnel header in one piece of bytes, and the
//! sums of what does not change. A packet costs a copy of that (50 bytes for VXLAN over IPv4) and a few additions; its payload is
//! read only where an outer checksum has to be over it and nobody below can do it.
//!
//! # Offloads
//!
//! | inner packet | no outer checksum | outer checksum |
//! |---|---|---|
//! | complete | complete | UDP: outer partial, for the port to complete; GRE: computed here |
//! | partial checksum | stays partial | stays partial; the outer is known without reading the payload (`lco.rs` says how) |
//! | partial SCTP | completed here if there is an outer checksum | as a complete one |
//! | super-frame | cut by [`Template::encap`] | cut |
//!
//! A super-frame cannot have another around it, so [`Template::push`] refuses one, and [`Template::encap`] cuts it into segments first.
//! [`Template::couple`] makes trains of those again, which a port with UDP segmentation takes whole (`train.rs`).
//!
//! # Checksums
//!
//! IPv4: UDP has a checksum if [`Flags::CSUM`] says so. IPv6: UDP always has one (RFC 8200, 8.1), as in Open vSwitch, although a
//! tunnel could do without (RFC 6935).
//!
//! # Size
//!
//! A packet that would exceed the route's MTU is refused with [`EncapError::TooBig`], which tells the largest inner packet that
//! fits: it is for the caller to say so to the sender ([`crate::too_big`]), or to have it fragmented.

use std::net::IpAddr;

use packet::checksum::{self, Sum};
use packet::gso::{self, Caps, SegmentError};
use packet::parse::{eth_type, ip_proto};
use packet::{Checksum, Packet, TooLong};
use thiserror::Error;

use crate::meta::{Flags, Meta};
use crate::tunnel::{Kind, Tunnel};
use crate::{Inner, Vni, geneve, gre, header, lco};

const ETH_LEN: usize = 14;
const UDP_LEN: usize = 8;

/// The way to the other end: a route and a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// Ethernet address of the interface that the route leads out of.
    pub src_mac: [u8; 6],
    /// That of the next hop.
    pub dst_mac: [u8; 6],
    /// MTU of the route: most bytes of an outer IP packet.
    pub mtu: u32,
}

/// What is new with each packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fresh {
    /// UDP source port, see [`crate::entropy`]; not for GRE.
    pub src_port: u16,
    /// IPv4 identification. Unique for a while where DF is not set (RFC 6864, 4); anything where it is.
    pub ident: u16,
    /// GRE's sequence number, one more than the last packet's (RFC 2890, 2.2), for a tunnel that has one.
    pub sequence: u32,
}

/// Why a packet is not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum EncapError {
    /// The outer addresses are of different families, or the source is not known.
    #[error("no tunnel source for {0}")]
    Source(IpAddr),
    /// The key does not fit.
    #[error("key {0} is too large")]
    Key(u64),
    /// Options that are too long, or not a multiple of four bytes.
    #[error("{0} bytes of Geneve options")]
    Options(usize),
    /// GPE has no number for it, or the tunnel takes Ethernet frames only.
    #[error("{0:?} cannot go through this tunnel")]
    Inner(Inner),
    /// The outer packet would be larger than the route's MTU.
    #[error("an outer packet of {len} bytes is larger than the MTU; the inner frame may have {inner_max}")]
    TooBig {
        /// Length of the outer IP packet.
        len: usize,
        /// Longest inner packet that fits: of the frame, Ethernet header included.
        inner_max: usize,
        /// The outer packet could be fragmented: it is IPv4 without DF.
        may_fragment: bool,
    },
    /// A super-frame has to be cut first.
    #[error("a super-frame cannot have a tunnel header")]
    SuperFrame,
    /// It cannot be cut.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// No buffer is long enough.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// Outer headers, ready to be put in front of packets.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    inner: Inner,
    v6: bool,
    dont_fragment: bool,
    /// Whether UDP or GRE has a checksum.
    csum: bool,
    pub(crate) udp: bool,
    /// Where GRE's sequence number is, in bytes from the start; 0 when there is none.
    sequence: usize,
    /// The IPv4 header's sum without length, identification and checksum.
    network: Sum,
    /// The pseudo-header's without the length; UDP only.
    pseudo: Sum,
    mtu: u32,
}

impl Template {
    /// Makes a template for packets of kind `inner` that go through `tunnel`, whose [`Tunnel::outgoing`] has given `meta`; the source in
    /// that must be known by now. `options` are Geneve's, as they go on the wire.
    pub fn new(
        tunnel: &Tunnel,
        inner: Inner,
        meta: &Meta,
        options: &[u8],
        path: &Path,
    ) -> Result<Self, EncapError> {
        if meta.src.is_ipv4() != meta.dst.is_ipv4() || meta.src.is_unspecified() {
            return Err(EncapError::Source(meta.dst));
        }
        let udp = tunnel.kind != Kind::Gre;
        let v6 = meta.dst.is_ipv6();
        let mut bytes = [&path.dst_mac[..], &path.src_mac].concat();
        let proto = if udp { ip_proto::UDP } else { gre::IP_PROTO };
        network_header(&mut bytes, meta, proto);
        let network = Sum::default().bytes(&bytes[ETH_LEN..]);
        let pseudo = match (meta.src, meta.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => checksum::pseudo_v4(src.octets(), dst.octets(), proto, 0),
            (IpAddr::V6(src), IpAddr::V6(dst)) => checksum::pseudo_v6(src.octets(), dst.octets(), proto, 0),
            _ => return Err(EncapError::Source(meta.dst)),
        };
        if udp {
            bytes.extend_from_slice(&[0, 0]);
            bytes.extend_from_slice(&meta.tp_dst.to_be_bytes());
            bytes.extend_from_slice(&[0; 4]);
        }
        let sequence = sequence_at(tunnel, meta, bytes.len());
        tunnel_header(&mut bytes, tunnel, inner, meta, options)?;
        let dont_fragment = v6 || meta.flags.contains(Flags::DONT_FRAGMENT);
        let csum = meta.flags.contains(Flags::CSUM) || (v6 && udp);
        Ok(Self { bytes, inner, v6, dont_fragment, csum, udp, sequence, network, pseudo, mtu: path.mtu })
    }

    /// Length of all outer headers in bytes.
    pub fn overhead(&self) -> usize {
        self.bytes.len()
    }

    /// Longest inner frame that fits the route's MTU, Ethernet header included.
    pub fn inner_max(&self) -> usize {
        (self.mtu as usize + ETH_LEN).saturating_sub(self.overhead()) + self.stripped()
    }

    /// Puts the headers in front of a packet, which stays as it is when that cannot be.
    pub fn push(&self, packet: &mut Packet, fresh: Fresh) -> Result<(), EncapError> {
        if packet.offload.gso.is_some() {
            return Err(EncapError::SuperFrame);
        }
        self.check(packet)?;
        packet.pull_front(self.stripped());
        let size = self.bytes.len();
        packet.push_front(size)?[..size].copy_from_slice(&self.bytes);
        let len = packet.len();
        self.write_network(&mut packet.data_mut()[ETH_LEN..], len - ETH_LEN, fresh.ident);
        if self.udp {
            let l4 = self.l4();
            let udp = &mut packet.data_mut()[l4..l4 + UDP_LEN];
            udp[..2].copy_from_slice(&fresh.src_port.to_be_bytes());
            udp[4..6].copy_from_slice(&word(len - l4));
        }
        if self.sequence != 0 {
            let place = self.sequence..self.sequence + 4;
            packet.data_mut()[place].copy_from_slice(&fresh.sequence.to_be_bytes());
        }
        if self.csum {
            self.write_checksum(packet);
        }
        Ok(())
    }

    /// Puts the headers in front of a packet, or of each segment of a super-frame, and appends what came of it to `out`. `partial` says that
    /// the port can complete checksums: the segments' are left to it. Identifications and sequence numbers count up from `fresh`'s.
    pub fn encap(
        &self,
        packet: Packet,
        fresh: Fresh,
        partial: bool,
        out: &mut Vec<Packet>,
    ) -> Result<(), EncapError> {
        if packet.offload.gso.is_none() {
            let mut packet = packet;
            self.push(&mut packet, fresh)?;
            out.push(packet);
            return Ok(());
        }
        let first = out.len();
        gso::fit(packet, Caps { checksum: partial, ..Caps::default() }, out)?;
        let pushed = out[first..].iter_mut().zip(0u16..).try_for_each(|(segment, nth)| {
            let (ident, sequence) = (fresh.ident.wrapping_add(nth), fresh.sequence.wrapping_add(nth.into()));
            self.push(segment, Fresh { ident, sequence, ..fresh })
        });
        if pushed.is_err() {
            out.truncate(first);
        }
        pushed
    }

    pub(crate) fn l4(&self) -> usize {
        ETH_LEN + if self.v6 { 40 } else { 20 }
    }

    /// How much goes off the front before the headers are put there: a packet without an Ethernet header has one on our side.
    fn stripped(&self) -> usize {
        if self.inner == Inner::Ethernet { 0 } else { ETH_LEN }
    }

    /// Whether the packet is of the right kind and small enough.
    fn check(&self, packet: &Packet) -> Result<(), EncapError> {
        if let Inner::Bare(kind) = self.inner
            && packet.data().get(12..ETH_LEN) != Some(&kind.to_be_bytes())
        {
            return Err(EncapError::Inner(self.inner));
        }
        let len = packet.len() - self.stripped() + self.overhead() - ETH_LEN;
        if len > (self.mtu as usize).min(usize::from(u16::MAX)) {
            let may_fragment = !self.dont_fragment;
            return Err(EncapError::TooBig { len, inner_max: self.inner_max(), may_fragment });
        }
        Ok(())
    }

    /// Length, identification and checksum of the IP header, which `ip` starts with; `len` is that of the packet.
    pub(crate) fn write_network(&self, ip: &mut [u8], len: usize, ident: u16) {
        if self.v6 {
            ip[4..6].copy_from_slice(&word(len - 40));
            return;
        }
        let (len, ident) = (word(len), ident.to_be_bytes());
        ip[2..4].copy_from_slice(&len);
        ip[4..6].copy_from_slice(&ident);
        let check = self.network.bytes(&len).bytes(&ident).checksum();
        ip[10..12].copy_from_slice(&check.to_be_bytes());
    }

    /// The outer UDP or GRE checksum.
    fn write_checksum(&self, packet: &mut Packet) {
        let l4 = self.l4();
        if is_partial(packet) {
            let sum = self.pseudo_for(packet.len() - l4);
            if let Some(sum) = lco::sum_completed(sum, packet.data(), l4, packet.offload.checksum) {
                self.store(packet, sum.checksum());
                return;
            }
            gso::complete(packet);
        }
        if self.udp {
            self.leave_partial(packet);
        } else {
            let check = checksum::of(&packet.data()[l4..]);
            self.store(packet, check);
        }
    }

    /// Leaves the UDP checksum to whoever sends the packet.
    pub(crate) fn leave_partial(&self, packet: &mut Packet) {
        let l4 = self.l4();
        let pseudo = self.pseudo_for(packet.len() - l4).folded();
        packet.data_mut()[l4 + 6..l4 + 8].copy_from_slice(&pseudo.to_be_bytes());
        packet.offload.checksum = Checksum::Partial { start: l4 as u16, offset: 6 };
    }

    fn pseudo_for(&self, len: usize) -> Sum {
        if self.udp { self.pseudo.bytes(&(len as u32).to_be_bytes()) } else { Sum::default() }
    }

    fn store(&self, packet: &mut Packet, check: u16) {
        let at = self.l4() + if self.udp { 6 } else { 4 };
        let check = if self.udp { checksum::udp_nonzero(check) } else { check };
        packet.data_mut()[at..at + 2].copy_from_slice(&check.to_be_bytes());
    }
}

fn is_partial(packet: &Packet) -> bool {
    matches!(packet.offload.checksum, Checksum::Partial { .. })
}

/// Appends EtherType and IP header, with lengths, identification and checksum zero.
fn network_header(bytes: &mut Vec<u8>, meta: &Meta, proto: u8) {
    match (meta.src, meta.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            bytes.extend_from_slice(&eth_type::IPV4.to_be_bytes());
            let fragment = if meta.flags.contains(Flags::DONT_FRAGMENT) { 0x40 } else { 0 };
            bytes.extend_from_slice(&[0x45, meta.tos, 0, 0, 0, 0, fragment, 0, meta.ttl, proto, 0, 0]);
            bytes.extend_from_slice(&src.octets());
            bytes.extend_from_slice(&dst.octets());
        }
        (src, dst) => {
            bytes.extend_from_slice(&eth_type::IPV6.to_be_bytes());
            bytes.extend_from_slice(&[0x60 | meta.tos >> 4, meta.tos << 4, 0, 0, 0, 0, proto, meta.ttl]);
            for addr in [src, dst] {
                if let IpAddr::V6(addr) = addr {
                    bytes.extend_from_slice(&addr.octets());
                }
            }
        }
    }
}

/// Where GRE's sequence number will be, when its header begins at `at`.
fn sequence_at(tunnel: &Tunnel, meta: &Meta, at: usize) -> usize {
    let before = [Flags::CSUM, Flags::KEY].into_iter().filter(|flag| meta.flags.contains(*flag)).count();
    if tunnel.kind == Kind::Gre && tunnel.sequence { at + 4 + 4 * before } else { 0 }
}

/// Appends the tunnel header, a checksum and a sequence number in it zero.
fn tunnel_header(
    bytes: &mut Vec<u8>,
    tunnel: &Tunnel,
    inner: Inner,
    meta: &Meta,
    options: &[u8],
) -> Result<(), EncapError> {
    let vni = || u32::try_from(meta.id).ok().and_then(Vni::new).ok_or(EncapError::Key(meta.id));
    match tunnel.kind {
        Kind::Vxlan => {
            let header = header::Header { vni: vni()?, policy: meta.policy };
            let emitted = match (tunnel.gpe, inner) {
                (true, _) => header.emit_gpe(inner).ok_or(EncapError::Inner(inner))?,
                (false, Inner::Ethernet) => header.emit(),
                (false, Inner::Bare(_)) => return Err(EncapError::Inner(inner)),
            };
            bytes.extend_from_slice(&emitted);
        }
        Kind::Geneve => {
            let walked = geneve::options(options).collect::<Result<Vec<_>, _>>();
            let Ok(walked) = walked else { return Err(EncapError::Options(options.len())) };
            if options.len() > geneve::MAX_OPTIONS {
                return Err(EncapError::Options(options.len()));
            }
            let critical = walked.iter().any(|option| option.kind & 0x80 != 0);
            let header =
                geneve::Header { vni: vni()?, oam: meta.flags.contains(Flags::OAM), critical, inner };
            bytes.extend_from_slice(&header.emit(options.len()));
            bytes.extend_from_slice(options);
        }
        Kind::Gre => {
            let key = u32::try_from(meta.id).map_err(|_| EncapError::Key(meta.id))?;
            let key = meta.flags.contains(Flags::KEY).then_some(key);
            let checksum = meta.flags.contains(Flags::CSUM);
            let sequence = tunnel.sequence.then_some(0);
            gre::Header { checksum, key, sequence, inner }.emit(bytes);
        }
    }
    Ok(())
}

fn word(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes()
}
