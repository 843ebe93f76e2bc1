//! What the database says about controllers, and what it wants to know of them.

use std::collections::BTreeMap;

use openflow::Versions;

use super::reconnect::Timing;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnKind {
    /// A controller in the sense of the specification: it has a role, gets packet-ins at once, and the bridge's
    /// `fail_mode` is about it.
    Primary,
    /// Somebody who looks in, such as `ovs-ofctl`.
    Service,
}

/// A `Controller` row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControllerConfig {
    /// `tcp:..`, `ssl:..`, `unix:..`, `ptcp:..`, `pssl:..`, `punix:..`.
    pub target: String,
    /// `type`; `None`: primary if we connect, service if others do.
    pub kind: Option<ConnKind>,
    /// `max_backoff` and `inactivity_probe`.
    pub timing: Timing,
    /// `other_config:dscp`; 48 by default.
    pub dscp: u8,
    /// `enable_async_messages`; on by default.
    pub enable_async: bool,
    /// `controller_rate_limit`, packets per second.
    pub rate_limit: Option<u32>,
    /// `controller_burst_limit`, packets.
    pub burst_limit: Option<u32>,
    /// `controller_queue_size`, packets.
    pub queue_size: usize,
}

/// How many packet-ins may wait for a slow controller, unless configured.
pub const DEFAULT_QUEUE_SIZE: usize = 100;

impl ControllerConfig {
    /// A row that says nothing but where.
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            kind: None,
            timing: Timing::default(),
            dscp: 48,
            enable_async: true,
            rate_limit: None,
            burst_limit: None,
            queue_size: DEFAULT_QUEUE_SIZE,
        }
    }
}

/// All that a bridge's connections are configured to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnConfig {
    /// `Bridge.protocols`; all by default.
    pub protocols: Versions,
    /// `Bridge.controller`.
    pub controllers: Vec<ControllerConfig>,
}

impl Default for ConnConfig {
    fn default() -> Self {
        Self { protocols: Versions::ALL, controllers: Vec::new() }
    }
}

/// What is written back to a `Controller` row.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ControllerStatus {
    /// `is_connected`.
    pub is_connected: bool,
    /// `role`: `master`, `other` or `slave`; none before the first connection.
    pub role: Option<&'static str>,
    /// `status`.
    pub status: BTreeMap<String, String>,
}
