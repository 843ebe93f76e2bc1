//! The packet inside an ICMP or ICMPv6 error: whose fault it was told to be.
//!
//! An error holds the start of the packet that caused it (RFC 792; RFC 4443, 2.4): the IP header and at least 8 bytes after it, enough
//! for ports or an ICMP identifier. What is inside was sent by whoever the error is sent to, has not been changed on the way but for its time
//! to live, and must have the outer's destination as its source; address translation sees to that before this is asked. Its lengths say how
//! long it was, not how much of it is here. Neither its IPv4 header checksum nor its transport checksum is looked at: some routers quote the
//! header without mending it, and a forger would have them right.
//!
//! What is no use: a fragment (it may have no ports, and its first part is all a tracker has seen whole), an error about an error (RFC
//! 1122, 3.2.2 forbids it), a message that the tracker would not take outside either.

use packet::parse::{self, ip_proto};

use crate::parse::{Icmp, icmp_kind, mapped};
use crate::tuple::Tuple;
use crate::view::Inner;

/// Bytes of a transport header that must be there.
const TRANSPORT_LEN: usize = 8;

/// Reads the packet at `at` in `frame`, which ends where the error ends. `outer`: the error's addresses, family and zone. `None` if the
/// packet is of no use. The tuple is the packet's own, not reversed.
pub(crate) fn inner(frame: &[u8], at: usize, outer: &Tuple) -> Option<(Tuple, Inner)> {
    let (mut tuple, l4) = match outer.family {
        4 => header_v4(frame, at)?,
        _ => header_v6(frame, at)?,
    };
    if tuple.src != outer.dst {
        return None;
    }
    tuple.zone = outer.zone;
    transport(frame.get(l4..)?, &mut tuple)?;
    let inner = Inner { l3: u16::try_from(at).ok()?, l4: u16::try_from(l4).ok()? };
    Some((tuple, inner))
}

/// Addresses and protocol, and where the transport header is.
fn header_v4(frame: &[u8], at: usize) -> Option<(Tuple, usize)> {
    let header: &[u8; 20] = frame.get(at..)?.first_chunk()?;
    let header_len = usize::from(header[0] & 0xf) * 4;
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header_len < 20 || fragment != 0 || at + header_len > frame.len() {
        return None;
    }
    let addr = |at: usize| mapped([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let tuple = Tuple { src: addr(12), dst: addr(16), proto: header[9], family: 4, ..Tuple::default() };
    Some((tuple, at + header_len))
}

fn header_v6(frame: &[u8], at: usize) -> Option<(Tuple, usize)> {
    let header: &[u8; 40] = frame.get(at..)?.first_chunk()?;
    let (proto, len) = parse::skip_extensions(&frame[at + 40..], header[6])?;
    let mut tuple = Tuple { proto, family: 6, ..Tuple::default() };
    tuple.src.copy_from_slice(&header[8..24]);
    tuple.dst.copy_from_slice(&header[24..40]);
    Some((tuple, at + 40 + len))
}

/// Ports, or identifier and type.
fn transport(segment: &[u8], tuple: &mut Tuple) -> Option<()> {
    let six = tuple.family == 6;
    match tuple.proto {
        ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP => {
            let header: &[u8; TRANSPORT_LEN] = segment.first_chunk()?;
            tuple.sport = u16::from_be_bytes([header[0], header[1]]);
            tuple.dport = u16::from_be_bytes([header[2], header[3]]);
        }
        ip_proto::ICMP | ip_proto::ICMPV6 => {
            let header: &[u8; TRANSPORT_LEN] = segment.first_chunk()?;
            let is_own = six == (tuple.proto == ip_proto::ICMPV6);
            if !is_own || !matches!(icmp_kind(six, header[0], header[1]), Icmp::Query) {
                return None;
            }
            tuple.sport = u16::from_be_bytes([header[4], header[5]]);
            tuple.dport = u16::from_be_bytes([header[0], header[1]]);
        }
        _ => {}
    }
    Some(())
}
