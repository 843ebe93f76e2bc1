//! [`View`]: what the tracker reads of a packet, once, before it takes any lock.

use crate::tuple::Tuple;

/// A packet as the tracker sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct View {
    /// Its own direction; for an ICMP error ([`L4::Error`]) that of the packet inside, *reversed*: the direction in which the error
    /// travels.
    pub(crate) tuple: Tuple,
    /// What its transport header says.
    pub(crate) l4: L4,
}

/// What a transport header says to the tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum L4 {
    /// TCP.
    Tcp(TcpView),
    /// UDP, and whatever has nothing but addresses.
    #[default]
    Other,
    /// An ICMP or ICMPv6 message that is no error: its type.
    Icmp(u8),
    /// An ICMP or ICMPv6 error: where the packet inside has its headers.
    Error(Inner),
    /// SCTP.
    Sctp(SctpView),
}

/// A TCP segment (RFC 9293 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TcpView {
    /// Sequence number.
    pub(crate) seq: u32,
    /// Acknowledgement number.
    pub(crate) ack: u32,
    /// Flags: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub(crate) flags: u8,
    /// Window as it stands in the header.
    pub(crate) window: u16,
    /// Shift of the window scale option (RFC 7323), if there is one.
    pub(crate) wscale: Option<u8>,
    /// Bytes of payload.
    pub(crate) payload: u32,
}

/// An SCTP packet (RFC 9260, 3): its tag and the set of its chunks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct SctpView {
    /// Verification tag.
    pub(crate) vtag: u32,
    /// Set of chunk types present below 16, by bit; SHUTDOWN COMPLETE is bit 14.
    pub(crate) chunks: u16,
    /// Number of chunks.
    pub(crate) count: u16,
    /// An ABORT or SHUTDOWN COMPLETE has its T bit set: the tag is the one that its sender received.
    pub(crate) reflected: bool,
    /// Initiate tag of an INIT or INIT ACK chunk.
    pub(crate) init_tag: u32,
}

/// Offsets into the frame of the packet inside an ICMP error, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Inner {
    /// Network header.
    pub(crate) l3: u16,
    /// Transport header; at least 8 bytes are there.
    pub(crate) l4: u16,
}
