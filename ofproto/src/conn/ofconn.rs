//! One OpenFlow connection of a bridge: its line, its session, its long requests, the packets on their way to it.

use bytes::Bytes;
use mio::Token;
use openflow::header::messages;
use openflow::message::{AsyncKind, Message, PacketInReason};
use openflow::{OfError, Version};

use super::config::{ConnKind, ControllerConfig, ControllerStatus};
use super::fail_open::Admission;
use super::hello;
use super::packet_in::limiter::{Limiter, LimiterStats};
use super::rconn::{Change, Net, Rconn};
use super::session::Session;
use super::vconn::{Kind, Vconn};
use super::work::Work;

/// How long a connection may keep notices waiting, ms.
const STUCK_MS: u64 = 10_000;
/// Names of the two rate limiters in `Controller.status`: packets that missed, packets that an action sent.
const LIMITER_NAMES: [&str; 2] = ["miss", "action"];

/// Reasons of flow-removed and port-status messages are below this.
const NOTICE_REASONS: u8 = 6;

/// One connection.
#[derive(Debug)]
pub(crate) struct OfConn {
    /// The line.
    pub(crate) rconn: Rconn,
    /// What it is for.
    pub(crate) kind: ConnKind,
    /// Its `Controller` row; what a row would say by default for a management connection.
    pub(crate) config: ControllerConfig,
    /// From hello to end.
    pub(crate) session: Option<Session>,
    /// A request that takes longer than a turn. Nothing else is read meanwhile.
    pub(crate) work: Option<Work>,
    /// A request that has to wait for another connection's.
    pub(crate) waiting: Option<Bytes>,
    /// Whether the controller has taken us in.
    pub(crate) admission: Admission,
    limiters: [Option<Limiter<Bytes>>; 2],
    /// Packets that found the queue full, since somebody last asked.
    overflow: u64,
    /// Since when it has kept notices waiting.
    stuck_since_ms: Option<u64>,
}

impl OfConn {
    /// A connection that was accepted or is to be opened.
    pub(crate) fn new(rconn: Rconn, kind: ConnKind, config: ControllerConfig, now_ms: u64) -> Self {
        let limiter = || config.rate_limit.map(|rate| Limiter::new(rate, config.burst_limit, now_ms));
        let limiters = [limiter(), limiter()];
        let admission = Admission::new(now_ms);
        let (session, work, waiting, stuck_since_ms) = (None, None, None, None);
        Self { rconn, kind, config, session, work, waiting, admission, limiters, overflow: 0, stuck_since_ms }
    }

    /// Under which its socket is registered.
    pub(crate) fn token(&self) -> Token {
        self.rconn.token()
    }

    /// The version spoken.
    pub(crate) fn version(&self) -> Option<Version> {
        self.session.as_ref().map(|session| session.dialect.version)
    }

    /// Whether a packet that no rule matches goes here: in versions before 1.3 that is so without a rule that says it.
    pub(crate) fn wants_misses(&self) -> bool {
        self.session.as_ref().is_some_and(|session| {
            let old = session.dialect.version < Version::V13 && session.controller_id == 0;
            old && session.wants(self.kind, AsyncKind::PacketIn, PacketInReason::NoMatch as u8)
        })
    }

    /// Takes new settings of the same row into account.
    pub(crate) fn reconfigure(&mut self, config: &ControllerConfig, now_ms: u64) {
        self.rconn.set_timing(config.timing);
        self.rconn.set_dscp(config.dscp);
        if (config.rate_limit, config.burst_limit) != (self.config.rate_limit, self.config.burst_limit) {
            for limiter in &mut self.limiters {
                match (config.rate_limit, limiter.as_mut()) {
                    (None, _) => *limiter = None,
                    (Some(rate), Some(limiter)) => limiter.set_limits(rate, config.burst_limit),
                    (Some(rate), None) => *limiter = Some(Limiter::new(rate, config.burst_limit, now_ms)),
                }
            }
        }
        self.config = config.clone();
    }

    /// Connects, negotiates, probes, sends.
    pub(crate) fn run(&mut self, net: &Net, now_ms: u64) -> Change {
        let change = self.rconn.run(net, now_ms);
        self.on_change(change);
        self.release_packets(now_ms);
        let said_so = self.session.as_ref().is_some_and(|session| session.admitted);
        let since = self.rconn.fsm().connected_since();
        self.admission.update(since, said_so, now_ms);
        change
    }

    /// Begins or ends the session as the line came up or went down.
    pub(crate) fn on_change(&mut self, change: Change) {
        match change {
            Change::None => {}
            Change::Connected(version) => {
                self.session = Some(Session::new(version, self.kind, self.config.enable_async));
            }
            Change::Disconnected => self.forget(),
        }
    }

    /// Ends the session.
    pub(crate) fn forget(&mut self) {
        self.session = None;
        self.work = None;
        self.waiting = None;
    }

    /// Whether so much waits to be sent that no more should be read.
    pub(crate) fn is_congested(&self) -> bool {
        self.rconn.vconn().is_none_or(Vconn::congested)
    }

    /// Whether there is something to do for it without anything happening on its socket: a request in hand, or bytes that
    /// were not looked at.
    pub(crate) fn wants_turn(&self) -> bool {
        let has_more = match &self.work {
            Some(work) => !work.waits_for_workers(),
            None => self.waiting.is_some() || self.rconn.vconn().is_some_and(Vconn::may_read),
        };
        self.session.is_some() && !self.is_congested() && has_more
    }

    /// Answers a request.
    pub(crate) fn reply(&mut self, xid: u32, message: &Message) {
        self.send(Kind::Reply, xid, message);
    }

    /// Sends a message that nobody asked for.
    pub(crate) fn notify(&mut self, message: &Message) {
        self.send(Kind::Async, 0, message);
    }

    /// Answers a request with messages, back to back.
    pub(crate) fn reply_bytes(&mut self, bytes: Vec<u8>) {
        messages(bytes.into()).for_each(|message| self.rconn.send(Kind::Reply, message));
    }

    fn send(&mut self, kind: Kind, xid: u32, message: &Message) {
        let Some(session) = &self.session else { return };
        match message.to_bytes(&session.dialect, xid) {
            Ok(bytes) => messages(bytes).for_each(|message| self.rconn.send(kind, message)),
            Err(error) => tracing::warn!(
                target: "ofp_msgs",
                "{}: message cannot be sent in {} ({})",
                self.rconn.name(),
                session.dialect.version,
                error.name()
            ),
        }
    }

    /// Refuses a request.
    pub(crate) fn refuse(&mut self, request: &[u8], error: OfError) {
        let Some(version) = self.version() else { return };
        tracing::info!(target: "connmgr", "{}: sending {} error reply", self.rconn.name(), error.name());
        self.rconn.send(Kind::Reply, hello::encode_error(version, error, request));
    }

    /// Sends a packet-in that came by `port`, at the rate that is allowed. `missed` chooses the limiter.
    pub(crate) fn send_packet(&mut self, port: u32, missed: bool, message: Bytes, now_ms: u64) {
        let passed = match &mut self.limiters[usize::from(!missed)] {
            Some(limiter) => limiter.offer(port, message, now_ms),
            None => Some(message),
        };
        if let Some(message) = passed {
            self.queue_packet(message);
        }
    }

    /// Sends the packets whose time has come.
    fn release_packets(&mut self, now_ms: u64) {
        for index in 0..self.limiters.len() {
            while let Some(message) = self.limiters[index].as_mut().and_then(|limiter| limiter.pop(now_ms)) {
                self.queue_packet(message);
            }
        }
    }

    fn queue_packet(&mut self, message: Bytes) {
        let queued = self.rconn.vconn().map_or(0, |vconn| vconn.queued(Kind::PacketIn));
        if queued < self.config.queue_size {
            self.rconn.send(Kind::PacketIn, message);
        } else {
            self.overflow += 1;
            tracing::debug!(target: "rconn", "{}: packet-in queue overflow", self.rconn.name());
        }
    }

    /// How many packets found the queue full since the last call.
    pub(crate) fn take_overflow(&mut self) -> u64 {
        std::mem::take(&mut self.overflow)
    }

    /// Whether notices have to wait because it wants them and is too full.
    pub(crate) fn holds_notices(&self) -> bool {
        let wants = |session: &Session| {
            let mut kinds = [AsyncKind::FlowRemoved, AsyncKind::PortStatus].into_iter();
            kinds.any(|what| (0..NOTICE_REASONS).any(|reason| session.wants(self.kind, what, reason)))
        };
        self.session.as_ref().is_some_and(wants) && self.is_congested()
    }

    /// Whether it has kept notices waiting for too long.
    pub(crate) fn is_stuck(&mut self, notices_wait: bool, now_ms: u64) -> bool {
        if !notices_wait || !self.holds_notices() {
            self.stuck_since_ms = None;
        } else if self.stuck_since_ms.is_none() {
            self.stuck_since_ms = Some(now_ms);
        }
        self.stuck_since_ms.is_some_and(|since| now_ms >= since + STUCK_MS)
    }

    /// When the next turn is due although nothing comes in, ms.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let limiters = self.limiters.iter().flatten().filter_map(Limiter::deadline);
        let bundles = self.session.as_ref().and_then(|session| session.bundles.deadline());
        let stuck = self.stuck_since_ms.map(|since| since + STUCK_MS);
        limiters.chain(self.rconn.deadline()).chain(bundles).chain(stuck).min()
    }

    /// What its `Controller` row is told.
    pub(crate) fn status(&self, now_ms: u64) -> ControllerStatus {
        let fsm = self.rconn.fsm();
        let mut status = std::collections::BTreeMap::new();
        let mut put = |key: &str, value: String| status.insert(key.to_owned(), value);
        if let Some(error) = fsm.last_error() {
            put("last_error", error.to_owned());
        }
        put("state", fsm.state().to_string());
        let ago = |at: u64| (now_ms.saturating_sub(at) / 1000).to_string();
        if let Some(at) = fsm.connected_at() {
            put("sec_since_connect", ago(at));
        }
        if let Some(at) = fsm.disconnected_at() {
            put("sec_since_disconnect", ago(at));
        }
        for (name, limiter) in LIMITER_NAMES.iter().zip(&self.limiters) {
            let Some(LimiterStats { bypassed, queued, dropped, backlog }) =
                limiter.as_ref().map(Limiter::stats)
            else {
                continue;
            };
            put(&format!("packet-in-{name}-bypassed"), bypassed.to_string());
            put(&format!("packet-in-{name}-queued"), queued.to_string());
            put(&format!("packet-in-{name}-dropped"), dropped.to_string());
            put(&format!("packet-in-{name}-backlog"), backlog.to_string());
        }
        let role = self.session.as_ref().map(Session::role_name);
        ControllerStatus { is_connected: self.rconn.is_connected(), role, status }
    }
}
