//! What happened on a bridge, told to the controllers that want to know.

use std::collections::BTreeMap;

use mio::Token;
use openflow::flow_stats::FlowRemoved;
use openflow::message::{AsyncKind, Message, PortDesc, PortStatus};
use openflow::{OfPort, message};

use super::age::age;
use super::handle::port::desc_of;
use super::ofconn::OfConn;
use super::packet_in;
use crate::Rule;
use crate::events::{Event, PortReason, RemovedReason};
use crate::port::Port;

/// What controllers know of the ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Each port as it was last told of.
    told: BTreeMap<OfPort, PortDesc>,
    /// Connections that changed a port themselves and are not told of that.
    causes: Vec<(Token, OfPort)>,
}

impl Ports {
    /// Takes note of the ports there are.
    pub(super) fn learn(&mut self, ports: &[Port]) {
        self.told.extend(ports.iter().map(|port| (port.number, desc_of(port))));
    }

    /// Takes note that a connection has just changed a port.
    pub(super) fn changed_by(&mut self, conn: Token, port: OfPort) {
        self.causes.push((conn, port));
    }

    /// Who caused the change of a port that is being told of.
    fn take_cause(&mut self, port: OfPort) -> Option<Token> {
        let index = self.causes.iter().position(|(_, changed)| *changed == port)?;
        Some(self.causes.remove(index).0)
    }
}

/// Tells all connections of one event.
pub(super) fn tell(conns: &mut [OfConn], event: &Event, ports: &mut Ports, now_ms: u64) {
    match event {
        Event::PacketIn(packet) => packet_in::tell(conns, packet, now_ms),
        Event::FlowRemoved { rule, reason, now_ns } => flow_removed(conns, rule, *reason, *now_ns),
        Event::PortStatus { reason, port } => port_status(conns, *reason, port, ports),
    }
}

fn port_status(conns: &mut [OfConn], reason: PortReason, port: &Port, ports: &mut Ports) {
    let wire = match reason {
        PortReason::Add => message::PortReason::Add,
        PortReason::Delete => message::PortReason::Delete,
        PortReason::Modify => message::PortReason::Modify,
    };
    let is_change = reason == PortReason::Modify;
    let cause = if is_change { ports.take_cause(port.number) } else { None };
    let desc = desc_of(port);
    let before = ports.told.insert(port.number, desc.clone()).filter(|_| is_change);
    if reason == PortReason::Delete {
        ports.told.remove(&port.number);
    }
    let status = |desc| Message::PortStatus(Box::new(PortStatus { reason: wire, desc }));
    let (message, before) = (status(desc), before.map(status));
    for conn in conns.iter_mut().filter(|conn| Some(conn.token()) != cause) {
        let Some(session) = &conn.session else { continue };
        // What this version cannot say has not changed for it.
        let shown = |message: &Message| message.to_bytes(&session.dialect, 0).ok();
        let is_seen = before.as_ref().is_none_or(|before| shown(before) != shown(&message));
        if is_seen && session.wants(conn.kind, AsyncKind::PortStatus, reason as u8) {
            conn.notify(&message);
        }
    }
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
        idle_timeout: rule.idle_timeout(),
        hard_timeout: rule.hard_timeout(),
        packets: totals.hits.packets,
        bytes: totals.hits.bytes,
    };
    let message = Message::FlowRemoved(Box::new(removed));
    for conn in conns.iter_mut() {
        let session = conn.session.as_ref();
        let wanted = session.is_some_and(|s| s.wants(conn.kind, AsyncKind::FlowRemoved, reason as u8));
        if wanted {
            conn.notify(&message);
        }
    }
}
