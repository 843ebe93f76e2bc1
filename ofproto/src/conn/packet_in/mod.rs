//! Packets on their way to controllers: who gets them, what goes with them, how fast.

pub(crate) mod limiter;

use bytes::Bytes;
use openflow::Match;
use openflow::message::{self, AsyncKind, Message};

use super::ofconn::OfConn;
use crate::events::{PacketIn, PacketInReason};

/// A cookie that says that there is no rule.
const NO_COOKIE: u64 = u64::MAX;

/// Sends a packet to every connection that wants it.
pub(super) fn tell(conns: &mut [OfConn], packet: &PacketIn, now_ms: u64) {
    for conn in conns {
        let Some(session) = &conn.session else { continue };
        let wanted = session.wants(conn.kind, AsyncKind::PacketIn, packet.reason as u8);
        if !wanted || session.controller_id != packet.controller_id {
            continue;
        }
        let message = Message::PacketIn(Box::new(message_of(packet)));
        let Ok(bytes) = message.to_bytes(&session.dialect, 0) else { continue };
        conn.send_packet(packet.key.in_port.get(), is_miss(packet.reason), bytes, now_ms);
    }
}

/// Which of the two rate limits applies.
fn is_miss(reason: PacketInReason) -> bool {
    matches!(reason, PacketInReason::NoMatch | PacketInReason::ImplicitMiss)
}

/// The message. The packet is in it whole, whatever length was asked for: no packet is kept in the switch from which the rest
/// could be had.
fn message_of(packet: &PacketIn) -> message::PacketIn {
    message::PacketIn {
        reason: wire_reason(packet.reason),
        table_id: packet.table,
        cookie: (packet.cookie != NO_COOKIE).then_some(packet.cookie),
        buffer_id: u32::MAX,
        total_len: u32::try_from(packet.frame.len()).unwrap_or(u32::MAX),
        packet: Bytes::copy_from_slice(&packet.frame),
        metadata: metadata_of(packet),
        userdata: Bytes::copy_from_slice(&packet.userdata),
        continuation: None,
    }
}

fn wire_reason(reason: PacketInReason) -> message::PacketInReason {
    match reason {
        PacketInReason::NoMatch | PacketInReason::ImplicitMiss => message::PacketInReason::NoMatch,
        PacketInReason::Action => message::PacketInReason::Action,
        PacketInReason::InvalidTtl => message::PacketInReason::InvalidTtl,
        PacketInReason::ActionSet => message::PacketInReason::ActionSet,
        PacketInReason::Group => message::PacketInReason::Group,
        PacketInReason::PacketOut => message::PacketInReason::PacketOut,
    }
}

/// What is known of the packet beside its bytes: the port always, the rest where it is not zero. The connection's ports may be zero; with its state comes
/// the EtherType, without which its addresses mean nothing.
fn metadata_of(packet: &PacketIn) -> Match {
    use openflow::FieldId as F;
    let key = &packet.key;
    let mut metadata = Match::any();
    metadata.set_in_port(openflow::OfPort(key.in_port.get()));
    let registers = (0..16).map(F::reg);
    let fields = [
        F::TunId,
        F::TunSrc,
        F::TunDst,
        F::TunIpv6Src,
        F::TunIpv6Dst,
        F::Metadata,
        F::PktMark,
        F::CtState,
        F::CtZone,
        F::CtMark,
        F::CtLabel,
        F::CtNwSrc,
        F::CtNwDst,
        F::CtIpv6Src,
        F::CtIpv6Dst,
    ];
    if key.ct_state.get() != 0 {
        metadata.set(F::EthType, F::EthType.get(key));
    }
    if key.ct_nw_proto != 0 {
        for field in [F::CtNwProto, F::CtTpSrc, F::CtTpDst] {
            metadata.set(field, field.get(key));
        }
    }
    for field in fields.into_iter().chain(registers) {
        let value = field.get(key);
        if value != 0 {
            metadata.set(field, value);
        }
    }
    metadata
}
