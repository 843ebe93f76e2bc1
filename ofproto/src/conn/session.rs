//! What a connection has asked for, and is forgotten when it ends: role, formats, which messages it wants.

use openflow::Version;
use openflow::message::role::ASYNC_KINDS;
use openflow::message::{AsyncConfig, AsyncKind, Dialect, Role, StatsRequest};

use super::bundle::BundleSet;
use super::config::ConnKind;

/// Bytes of a packet that missed, unless a controller asks for another number.
const DEFAULT_MISS_SEND_LEN: u16 = 128;

/// The state of one connection from its hello to its end.
#[derive(Debug)]
pub(crate) struct Session {
    /// Version and forms in which messages are exchanged.
    pub(crate) dialect: Dialect,
    /// Role; only a primary controller's can change.
    pub(crate) role: Role,
    /// Messages it wants without asking, by role.
    pub(crate) wants: AsyncConfig,
    /// Bytes of a packet that missed.
    pub(crate) miss_send_len: u16,
    /// Packets for this id come here.
    pub(crate) controller_id: u16,
    /// A multipart request of which not all parts have come: its transaction and what it is.
    pub(crate) partial: Option<(u32, std::mem::Discriminant<StatsRequest>)>,
    /// Open bundles.
    pub(crate) bundles: BundleSet,
    /// Whether something was received that a controller says only when it has taken us in.
    pub(crate) admitted: bool,
}

impl Session {
    /// A new connection of this kind.
    pub(crate) fn new(version: Version, kind: ConnKind, enable_async: bool) -> Self {
        let none = AsyncConfig { primary: [0; ASYNC_KINDS], secondary: [0; ASYNC_KINDS] };
        Self {
            dialect: Dialect::new(version),
            role: Role::Equal,
            wants: if enable_async { AsyncConfig::default_for(version) } else { none },
            miss_send_len: if kind == ConnKind::Primary { DEFAULT_MISS_SEND_LEN } else { 0 },
            controller_id: 0,
            partial: None,
            bundles: BundleSet::default(),
            admitted: false,
        }
    }

    /// Whether a message of this kind and reason is wanted. A service connection gets none before it has set a length.
    pub(crate) fn wants(&self, kind: ConnKind, what: AsyncKind, reason: u8) -> bool {
        let asked = kind == ConnKind::Primary || self.miss_send_len > 0;
        asked && self.wants.wants(self.role, what, reason)
    }

    /// The role as the database names it.
    pub(crate) fn role_name(&self) -> &'static str {
        match self.role {
            Role::Primary => "master",
            Role::Secondary => "slave",
            Role::Equal | Role::NoChange => "other",
        }
    }

    /// Whether the controller may only look (OpenFlow 1.3, 6.3.5).
    pub(crate) fn is_slave(&self) -> bool {
        self.role == Role::Secondary
    }
}

/// What the connections of a bridge share: whose generation counts (OpenFlow 1.3, 6.3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Election {
    generation: Option<u64>,
}

impl Election {
    /// The generation id in force.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// Takes a generation id unless it is older, in circular order, than the one in force. Whether it was taken.
    pub(crate) fn advance(&mut self, id: u64) -> bool {
        let fresh = self.generation.is_none_or(|current| id.wrapping_sub(current) as i64 >= 0);
        if fresh {
            self.generation = Some(id);
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_connections_get_nothing_before_they_ask() {
        let mut session = Session::new(Version::V13, ConnKind::Service, true);
        assert!(!session.wants(ConnKind::Service, AsyncKind::PacketIn, 0));
        session.miss_send_len = 1;
        assert!(session.wants(ConnKind::Service, AsyncKind::PacketIn, 0));
        session.role = Role::Secondary;
        assert!(!session.wants(ConnKind::Primary, AsyncKind::PacketIn, 0));
        assert!(session.wants(ConnKind::Primary, AsyncKind::PortStatus, 0));
        let silent = Session::new(Version::V13, ConnKind::Primary, false);
        assert!(!silent.wants(ConnKind::Primary, AsyncKind::PortStatus, 0));
    }

    #[test]
    fn generations_go_round() {
        let mut election = Election::default();
        assert!(election.advance(u64::MAX));
        assert!(election.advance(u64::MAX), "the same is not older");
        assert!(election.advance(0), "after the last comes the first");
        assert!(!election.advance(u64::MAX));
        assert_eq!(election.generation(), Some(0));
    }
}
