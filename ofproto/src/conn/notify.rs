//! What happened on a bridge, told to the controllers that want to know.

use mio::Token;
use openflow::flow_stats::FlowRemoved;
use openflow::message::{AsyncKind, Message, PortStatus};
use openflow::{OfPort, message};

use super::age::age;
use super::handle::port::desc_of;
use super::ofconn::OfConn;
use super::packet_in;
use crate::Rule;
use crate::events::{Event, PortReason, RemovedReason};
use crate::port::Port;

/// Tells all connections of one event. `untold` are connections that caused a change of a port themselves.
pub(super) fn tell(conns: &mut [OfConn], event: &Event, untold: &mut Vec<(Token, OfPort)>, now_ms: u64) {
    match event {
        Event::PacketIn(packet) => packet_in::tell(conns, packet, now_ms),
        Event::FlowRemoved { rule, reason, now_ns } => flow_removed(conns, rule, *reason, *now_ns),
        Event::PortStatus { reason, port } => {
            let is_cause =
                |(_, changed): &(Token, OfPort)| *reason == PortReason::Modify && *changed == port.number;
            let cause = untold.iter().position(is_cause).map(|index| untold.remove(index).0);
            port_status(conns, *reason, port, cause);
        }
    }
}

fn tell_who_want(conns: &mut [OfConn], what: AsyncKind, reason: u8, but: Option<Token>, message: &Message) {
    for conn in conns.iter_mut().filter(|conn| Some(conn.token()) != but) {
        let wants = conn.session.as_ref().is_some_and(|session| session.wants(conn.kind, what, reason));
        if wants && !conn.is_congested() {
            conn.notify(message);
        }
    }
}

fn port_status(conns: &mut [OfConn], reason: PortReason, port: &Port, cause: Option<Token>) {
    let wire = match reason {
        PortReason::Add => message::PortReason::Add,
        PortReason::Delete => message::PortReason::Delete,
        PortReason::Modify => message::PortReason::Modify,
    };
    let status = PortStatus { reason: wire, desc: desc_of(port) };
    let message = Message::PortStatus(Box::new(status));
    tell_who_want(conns, AsyncKind::PortStatus, reason as u8, cause, &message);
}

fn flow_removed(conns: &mut [OfConn], rule: &Rule, reason: RemovedReason, now_ns: u64) {
    use openflow::flow_stats::RemovedReason as Wire;
    let wire = match reason {
        RemovedReason::IdleTimeout => Wire::IdleTimeout,
        RemovedReason::HardTimeout => Wire::HardTimeout,
        RemovedReason::Delete => Wire::Delete,
        RemovedReason::GroupDelete => Wire::GroupDelete,
        RemovedReason::MeterDelete => Wire::MeterDelete,
        RemovedReason::Eviction => Wire::Eviction,
    };
    let spec = rule.spec();
    let totals = rule.totals();
    let (duration_sec, duration_nsec) = age(spec.created_ns, now_ns);
    let removed = FlowRemoved {
        reason: wire,
        table_id: spec.table,
        priority: spec.priority as u16,
        flow_match: rule.flow_match(),
        cookie: spec.cookie,
        duration_sec,
        duration_nsec,
        idle_timeout: spec.idle_timeout,
        hard_timeout: spec.hard_timeout,
        packets: totals.hits.packets,
        bytes: totals.hits.bytes,
    };
    let message = Message::FlowRemoved(Box::new(removed));
    tell_who_want(conns, AsyncKind::FlowRemoved, reason as u8, None, &message);
}
