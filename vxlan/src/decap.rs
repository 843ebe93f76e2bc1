//! Decapsulation: [`decap`] reads and validates the outer headers, [`Decap::pull`] takes them off.
//!
//! The two are apart because between them the tunnel's port is looked up ([`crate::Tunnels::find`]), and a packet that belongs to
//! none stays as it came.
//!
//! # What is checked
//!
//! - The outer packet is IPv4 with a right header checksum, or IPv6; whole, no fragment.
//! - UDP: its length lies in the packet; bytes behind it are padding. A checksum that is not zero is right (RFC 768, RFC 8200); zero is
//!   accepted over IPv6 too, as tunnels may (RFC 6935, 5; RFC 7348, 5), and told by [`Flags::CSUM`] not being set.
//! - The tunnel header, see [`crate::header`], [`crate::geneve`], [`crate::gre`]; GRE's checksum.
//! - An inner Ethernet frame has a whole header.
//!
//! # Offloads
//!
//! - A frame whose checksum is verified, or whose *outer* checksum is partial, is believed.
//! - Where the *inner* transport checksum is partial (the kernel's own tunnel devices hand over such frames), it stays partial, and the
//!   outer one is checked against what the inner will become; where the inner packet is a super-frame, it stays one, and the outer
//!   checksum, which is not complete then, is believed.
//! - A super-frame of outer datagrams (a *train*, from `UDP_GRO`) is refused with [`DecapError::Train`]: `packet::gso::fit` cuts it, each
//!   datagram is decapsulated for itself.

use std::net::IpAddr;
use std::ops::Range;

use packet::checksum::{self, Sum};
use packet::parse::{Layers, eth_type, ip_proto};
use packet::{Checksum, GsoKind, Packet, TooLong};
use thiserror::Error;

use crate::lookup::Listener;
use crate::meta::{Flags, Meta};
use crate::tunnel::Kind;
use crate::{Inner, ecn, geneve, gre, header, lco};

const UDP_LEN: usize = 8;
const ETH_LEN: usize = 14;

/// Why a packet to a tunnel is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DecapError {
    /// No IP packet of the tunnel's protocol.
    #[error("not a packet of this tunnel's protocol")]
    Protocol,
    /// A fragment: it has to be put together first.
    #[error("the outer packet is a fragment")]
    Fragment,
    /// Wrong IPv4 header checksum.
    #[error("wrong outer IPv4 header checksum")]
    Ipv4Checksum,
    /// UDP length.
    #[error("outer UDP length {0} in a packet that has {1} bytes for it")]
    UdpLength(usize, usize),
    /// Wrong UDP or GRE checksum.
    #[error("wrong outer checksum")]
    Checksum,
    /// A super-frame of outer datagrams.
    #[error("a train of datagrams must be cut before it is decapsulated")]
    Train,
    /// VXLAN header.
    #[error(transparent)]
    Vxlan(#[from] header::HeaderError),
    /// A GPE version or protocol that is not known.
    #[error("unknown VXLAN GPE version or protocol")]
    Gpe,
    /// Geneve header.
    #[error(transparent)]
    Geneve(#[from] geneve::HeaderError),
    /// GRE header.
    #[error(transparent)]
    Gre(#[from] gre::HeaderError),
    /// The inner packet is too short.
    #[error("an inner packet of {0} bytes")]
    Inner(usize),
    /// Congestion marked on the way of a packet that does not understand it (RFC 6040, 4.2).
    #[error("congestion experienced by a packet that is not ECN-capable")]
    Congestion,
    /// No room for an Ethernet header.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// What a tunnel packet says, and where its parts are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decap {
    /// Metadata, as it was received.
    pub meta: Meta,
    /// What is inside.
    pub inner: Inner,
    /// Where the inner packet is, in bytes from the start of the outer frame.
    pub payload: Range<usize>,
    /// Where Geneve's options are, likewise; validated, empty when there are none.
    pub options: Range<usize>,
    /// Geneve: one of the options is critical.
    pub critical: bool,
    /// GRE: sequence number.
    pub sequence: Option<u32>,
}

/// Reads the tunnel header at the start of `bytes`, as a UDP socket delivers them: a VXLAN or Geneve packet without its outer
/// headers. `meta` has what the outer headers said, and gets what this one says.
///
/// Ranges count from the start of `bytes`.
pub fn decap_datagram(bytes: &[u8], listener: &Listener, meta: Meta) -> Result<Decap, DecapError> {
    tunnel_header(bytes, 0, bytes.len(), listener, meta)
}

/// Reads the outer headers of `packet`, whose own are at `layers`, as those of a packet to `listener`. The packet stays as it is.
pub fn decap(packet: &Packet, layers: &Layers, listener: &Listener) -> Result<Decap, DecapError> {
    let frame = packet.data();
    let (l4, end) = (usize::from(layers.l4), (layers.end as usize).min(frame.len()));
    if layers.l4 == 0 || l4 > end {
        return Err(DecapError::Protocol);
    }
    if layers.nw_frag != 0 {
        return Err(DecapError::Fragment);
    }
    let meta = network(frame, layers)?;
    match (listener.service.kind, layers.nw_proto) {
        (Kind::Gre, gre::IP_PROTO) => {
            if frame[l4..end].first().is_some_and(|flags| flags & 0x80 != 0) {
                verify(packet, l4, end, Sum::default())?;
            }
            tunnel_header(frame, l4, end, listener, meta)
        }
        (Kind::Vxlan | Kind::Geneve, ip_proto::UDP) => {
            let (meta, end) = udp(packet, l4, end, meta)?;
            tunnel_header(frame, l4 + UDP_LEN, end, listener, meta)
        }
        _ => Err(DecapError::Protocol),
    }
}

impl Decap {
    /// Makes the inner packet of the outer one, which [`decap`] has read: a frame without padding of the outer, with what the outer
    /// ECN field says (RFC 6040). A packet that came without an Ethernet header gets one of zeros with its EtherType.
    pub fn pull(&self, packet: &mut Packet) -> Result<(), DecapError> {
        let inner = packet.data_mut().get_mut(self.payload.clone()).unwrap_or_default();
        let congested = match self.inner {
            Inner::Ethernet => ecn::apply(inner, self.meta.tos),
            Inner::Bare(eth_type::IPV4 | eth_type::IPV6) => ecn::apply_network(inner, self.meta.tos),
            Inner::Bare(_) => Ok(()),
        };
        congested.map_err(|_| DecapError::Congestion)?;
        packet.truncate(self.payload.end);
        packet.pull_front(self.payload.start.min(packet.len()));
        if packet.offload.checksum == Checksum::Verified {
            // That was the outer one.
            packet.offload.checksum = Checksum::Unknown;
        }
        if let Inner::Bare(kind) = self.inner {
            let frame = packet.push_front(ETH_LEN)?;
            frame[..12].fill(0);
            frame[12..14].copy_from_slice(&kind.to_be_bytes());
        }
        Ok(())
    }
}

/// Reads the outer IP header, which the parser has found whole.
fn network(frame: &[u8], layers: &Layers) -> Result<Meta, DecapError> {
    let ip = frame.get(usize::from(layers.l3)..usize::from(layers.l4)).ok_or(DecapError::Protocol)?;
    let flags = Flags::empty();
    let of = |src: IpAddr, dst: IpAddr, tos, ttl, flags| {
        Ok(Meta { id: 0, src, dst, tos, ttl, flags, tp_src: 0, tp_dst: 0, policy: None })
    };
    match (layers.eth_type, ip.first().map(|first| first >> 4)) {
        (eth_type::IPV4, Some(4)) => {
            let header = ip.first_chunk::<20>().ok_or(DecapError::Protocol)?;
            if checksum::of(ip) != 0 {
                return Err(DecapError::Ipv4Checksum);
            }
            let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
            let dont_fragment = if header[6] & 0x40 != 0 { Flags::DONT_FRAGMENT } else { flags };
            of([s0, s1, s2, s3].into(), [d0, d1, d2, d3].into(), header[1], header[8], dont_fragment)
        }
        (eth_type::IPV6, Some(6)) => {
            let header = ip.first_chunk::<40>().ok_or(DecapError::Protocol)?;
            let half = |at: usize| <[u8; 16]>::try_from(&header[at..at + 16]).unwrap_or_default();
            of(half(8).into(), half(24).into(), header[0] << 4 | header[1] >> 4, header[7], flags)
        }
        _ => Err(DecapError::Protocol),
    }
}

/// Reads the outer UDP header; gives the end of its datagram.
fn udp(packet: &Packet, l4: usize, end: usize, meta: Meta) -> Result<(Meta, usize), DecapError> {
    let frame = packet.data();
    let room = end - l4;
    let udp = frame[l4..end].first_chunk::<UDP_LEN>().ok_or(DecapError::UdpLength(0, room))?;
    let len = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
    if len < UDP_LEN || len > room {
        return Err(DecapError::UdpLength(len, room));
    }
    let end = l4 + len;
    let (tp_src, tp_dst) = (u16::from_be_bytes([udp[0], udp[1]]), u16::from_be_bytes([udp[2], udp[3]]));
    let mut meta = Meta { tp_src, tp_dst, ..meta };
    if is_train(packet, l4) {
        return Err(DecapError::Train);
    }
    if udp[6..] != [0, 0] {
        meta.flags |= Flags::CSUM;
        let pseudo = match (meta.src, meta.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                checksum::pseudo_v4(src.octets(), dst.octets(), ip_proto::UDP, len as u32)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                checksum::pseudo_v6(src.octets(), dst.octets(), ip_proto::UDP, len as u32)
            }
            _ => return Err(DecapError::Protocol),
        };
        verify(packet, l4, end, pseudo)?;
    }
    Ok((meta, end))
}

/// Whether a transport checksum is left partial inside the outer packet, behind its header at `l4`.
fn starts_inside(packet: &Packet, l4: usize) -> bool {
    matches!(packet.offload.checksum, Checksum::Partial { start, .. } if usize::from(start) > l4)
}

/// Whether it is the outer datagrams that make a super-frame. One of TCP, or one whose checksum starts inside, is an inner one.
fn is_train(packet: &Packet, l4: usize) -> bool {
    packet.offload.gso.is_some_and(|gso| matches!(gso.kind, GsoKind::Udp | GsoKind::UdpFragments))
        && !starts_inside(packet, l4)
}

/// Checks that `packet[l4..end]` and `pseudo` sum up to all ones, as far as offloads leave something to check.
fn verify(packet: &Packet, l4: usize, end: usize, pseudo: Sum) -> Result<(), DecapError> {
    let believed = match packet.offload.checksum {
        Checksum::Verified => true,
        Checksum::Partial { .. } => !starts_inside(packet, l4),
        Checksum::Unknown => false,
    };
    if believed || packet.offload.gso.is_some() {
        return Ok(());
    }
    match lco::sum_completed(pseudo, &packet.data()[..end], l4, packet.offload.checksum) {
        Some(sum) if sum.folded() != 0xffff => Err(DecapError::Checksum),
        _ => Ok(()),
    }
}

/// Reads the tunnel header at `at`; the packet ends at `end`.
fn tunnel_header(
    frame: &[u8],
    at: usize,
    end: usize,
    listener: &Listener,
    mut meta: Meta,
) -> Result<Decap, DecapError> {
    let bytes = frame.get(at..end).ok_or(DecapError::Inner(0))?;
    let mut options = at..at;
    let (mut critical, mut sequence) = (false, None);
    let (inner, len) = match listener.service.kind {
        Kind::Vxlan => (vxlan(bytes, listener, &mut meta)?, header::LEN),
        Kind::Geneve => {
            let (geneve, found) = geneve::Header::parse(bytes)?;
            options = at + geneve::LEN..at + geneve::LEN + found.len();
            critical = geneve.critical;
            meta.id = geneve.vni.tun_id();
            meta.flags |= Flags::KEY;
            meta.flags.set(Flags::OAM, geneve.oam);
            (geneve.inner, geneve::LEN + found.len())
        }
        Kind::Gre => {
            let gre = gre::Header::parse(bytes)?;
            meta.id = u64::from(gre.key.unwrap_or(0));
            meta.flags.set(Flags::KEY, gre.key.is_some());
            meta.flags.set(Flags::CSUM, gre.checksum);
            sequence = gre.sequence;
            (gre.inner, gre.len())
        }
    };
    let payload = at + len..end;
    let least = if inner == Inner::Ethernet { ETH_LEN } else { 1 };
    if payload.len() < least {
        return Err(DecapError::Inner(payload.len()));
    }
    Ok(Decap { meta, inner, payload, options, critical, sequence })
}

fn vxlan(bytes: &[u8], listener: &Listener, meta: &mut Meta) -> Result<Inner, DecapError> {
    let header = header::Header::parse(bytes)?;
    meta.id = header.vni.tun_id();
    meta.flags |= Flags::KEY;
    if !listener.gpe {
        meta.policy = header.policy.filter(|_| listener.gbp);
        return Ok(Inner::Ethernet);
    }
    let view = header::View::new_checked(bytes)?;
    if view.gpe_version() != 0 {
        return Err(DecapError::Gpe);
    }
    meta.flags.set(Flags::OAM, view.is_oam());
    match view.next_protocol() {
        None => Ok(Inner::Ethernet),
        Some(protocol) => Inner::of_gpe_protocol(protocol).ok_or(DecapError::Gpe),
    }
}
