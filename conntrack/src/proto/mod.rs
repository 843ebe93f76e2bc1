//! Protocol state machines: what a packet does to the connection that it belongs to. Pure: no clock, no table, no lock.

pub(crate) mod icmp;
pub(crate) mod other;
pub(crate) mod sctp;
pub(crate) mod tcp;
#[cfg(test)]
mod tests;

use crate::timeout::Stage;
use crate::view::{L4, View};

/// What a packet is to an existing connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Judgement {
    /// Part of it, both sides have spoken: `est`.
    Established,
    /// Part of it, the other side has not spoken yet: `new`.
    New,
    /// It does not fit: `inv`.
    Invalid,
    /// It starts a new connection under the same tuple: the old one is forgotten, and the packet looked up afresh.
    Restart,
}

/// Settings that the machines obey.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// TCP sequence numbers outside the window make a packet invalid.
    pub(crate) tcp_seq_check: bool,
}

/// Protocol state of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Proto {
    /// ICMP and ICMPv6.
    Icmp(icmp::Icmp),
    /// TCP.
    Tcp(tcp::Tcp),
    /// SCTP.
    Sctp(sctp::Sctp),
    /// UDP and all others.
    Other(other::Other),
}

const _: () = assert!(size_of::<Proto>() <= 48);

impl Proto {
    /// The state after the first packet of a connection; `None` if such a packet starts none.
    pub(crate) fn start(view: &View) -> Option<(Self, Stage)> {
        match view.l4 {
            L4::Icmp(kind) if icmp::Icmp::is_request(view.tuple.family == 6, kind) => {
                Some((Self::Icmp(icmp::Icmp { replied: false }), Stage::IcmpFirst))
            }
            L4::Other => Some((Self::Other(other::Other::First), Stage::OtherFirst)),
            L4::Tcp(ref segment) => Some((Self::Tcp(tcp::Tcp::start(segment)?), Stage::TcpFirst)),
            L4::Sctp(ref packet) => Some((Self::Sctp(sctp::Sctp::start(packet)?), Stage::SctpOpening)),
            L4::Icmp(_) | L4::Error(_) => None,
        }
    }

    /// Takes a packet into account. `reply`: it goes in the reply direction. A stage: the timeout starts afresh with it; none: the
    /// connection keeps its deadline. A packet of another protocol than the connection's is invalid.
    pub(crate) fn judge(&mut self, view: &View, reply: bool, rules: Rules) -> (Judgement, Option<Stage>) {
        match (self, view.l4) {
            (Self::Tcp(tcp), L4::Tcp(ref segment)) => tcp.judge(segment, reply, rules),
            (Self::Sctp(sctp), L4::Sctp(ref packet)) => sctp.judge(packet, reply),
            (Self::Icmp(icmp), L4::Icmp(_)) => some_stage(icmp.judge(reply)),
            (Self::Other(other), L4::Other) => some_stage(other.judge(reply)),
            _ => (Judgement::Invalid, None),
        }
    }

    /// Whether the other side has not spoken, or the handshake is not done: the first to go under pressure.
    pub(crate) fn is_half_open(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_half_open(),
            Self::Sctp(sctp) => sctp.is_half_open(),
            Self::Icmp(icmp) => !icmp.replied,
            Self::Other(other) => *other != other::Other::Bidir,
        }
    }
}

fn some_stage((judgement, stage): (Judgement, Stage)) -> (Judgement, Option<Stage>) {
    (judgement, Some(stage))
}
