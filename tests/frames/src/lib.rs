//! Frames for tests: described ([`Frame`]), built with right lengths and checksums, drawn at random ([`random`]), and
//! judged ([`verify`]).
//!
//! It depends on nothing and shares no code with the switch, so that an error in a header layout or in a sum cannot hide by being
//! made twice. Speed does not matter here; sums are the plain loops of their RFCs.
//!
//! ```
//! use frames::{Frame, L4, Net, V4};
//! let udp = L4::Udp { src: 1, dst: 2, checksum: true, payload: b"hello".to_vec() };
//! let frame = Frame::new(Net::V4(V4 { l4: udp, ..V4::default() }));
//! assert_eq!(frame.build().len(), 14 + 20 + 8 + 5);
//! frames::verify(&frame.build()).unwrap();
//! ```

mod build;
pub mod random;
mod rng;
mod sums;
mod verify;

pub use rng::Rng;
pub use sums::{crc32c, inet};
pub use verify::verify;

/// An Ethernet frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Destination.
    pub dst: [u8; 6],
    /// Source.
    pub src: [u8; 6],
    /// Tags, outermost first: TPID and TCI.
    pub vlans: Vec<(u16, u16)>,
    /// Whether the EtherType stands in an LLC/SNAP header behind an 802.3 length.
    pub snap: bool,
    /// What is inside.
    pub net: Net,
    /// Bytes after the packet, as Ethernet pads short ones.
    pub padding: usize,
}

/// A network header and what is inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Net {
    /// IPv4.
    V4(V4),
    /// IPv6.
    V6(V6),
    /// ARP (or RARP) for Ethernet and IPv4.
    Arp {
        /// Reverse ARP's EtherType.
        reverse: bool,
        /// Opcode.
        op: u16,
        /// Sender hardware address.
        sha: [u8; 6],
        /// Sender protocol address.
        spa: [u8; 4],
        /// Target hardware address.
        tha: [u8; 6],
        /// Target protocol address.
        tpa: [u8; 4],
    },
    /// MPLS label stack entries (the bottom bit is set by `build`) around an IPv4 packet.
    Mpls {
        /// Outermost first.
        lses: Vec<u32>,
        /// What is inside.
        inner: V4,
    },
    /// Anything else.
    Raw {
        /// EtherType (or 802.3 length).
        ether_type: u16,
        /// What follows it.
        bytes: Vec<u8>,
    },
}

/// An IPv4 packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V4 {
    /// Source.
    pub src: [u8; 4],
    /// Destination.
    pub dst: [u8; 4],
    /// Type of service.
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
    /// Flags and fragment offset, as on the wire.
    pub frag: u16,
    /// Options; their length is a multiple of four.
    pub options: Vec<u8>,
    /// Payload.
    pub l4: L4,
}

impl Default for V4 {
    fn default() -> Self {
        let l4 = L4::Raw { proto: 253, bytes: Vec::new() };
        Self { src: [10, 0, 0, 1], dst: [10, 0, 0, 2], tos: 0, ttl: 64, frag: 0, options: Vec::new(), l4 }
    }
}

/// An IPv6 packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V6 {
    /// Source.
    pub src: [u8; 16],
    /// Destination.
    pub dst: [u8; 16],
    /// Traffic class.
    pub class: u8,
    /// Flow label (20 bits).
    pub label: u32,
    /// Hop limit.
    pub hops: u8,
    /// Extension headers in order.
    pub extensions: Vec<Extension>,
    /// Payload.
    pub l4: L4,
}

/// An IPv6 extension header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Hop-by-hop options, padding only.
    HopByHop,
    /// Destination options, padding only.
    Destination,
    /// Authentication header of 24 bytes.
    Auth,
    /// Routing header of type 2 with this address; one segment left if so.
    Routing {
        /// The address: the final destination when a segment is left.
        address: [u8; 16],
        /// Whether a segment is left.
        left: bool,
    },
    /// Fragment header: offset in units of 8 bytes and whether more follow.
    Fragment {
        /// Offset.
        offset: u16,
        /// More fragments.
        more: bool,
    },
}

/// A transport header and its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum L4 {
    /// TCP.
    Tcp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
        /// Flags (12 bits).
        flags: u16,
        /// Options; their length is a multiple of four.
        options: Vec<u8>,
        /// Payload.
        payload: Vec<u8>,
    },
    /// UDP.
    Udp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
        /// Whether there is a checksum.
        checksum: bool,
        /// Payload.
        payload: Vec<u8>,
    },
    /// SCTP.
    Sctp {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
        /// Chunks.
        payload: Vec<u8>,
    },
    /// ICMP, or ICMPv6 in an IPv6 packet.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// What follows the checksum; at least four bytes for a whole header.
        body: Vec<u8>,
    },
    /// IGMP.
    Igmp {
        /// Type.
        kind: u8,
        /// Group.
        group: [u8; 4],
    },
    /// Anything else.
    Raw {
        /// Protocol number.
        proto: u8,
        /// Payload.
        bytes: Vec<u8>,
    },
}

impl L4 {
    /// A neighbour solicitation (135) or advertisement (136) body for [`L4::Icmp`]: reserved word, target, options.
    pub fn nd(kind: u8, target: [u8; 16], options: &[(u8, [u8; 6])]) -> Self {
        let mut body = vec![0; 4];
        body.extend(target);
        for (option, address) in options {
            body.extend([*option, 1]);
            body.extend(address);
        }
        Self::Icmp { kind, code: 0, body }
    }
}

impl Frame {
    /// An untagged frame between two fixed stations.
    pub fn new(net: Net) -> Self {
        let (dst, src) = ([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]);
        Self { dst, src, vlans: Vec::new(), snap: false, net, padding: 0 }
    }
}
