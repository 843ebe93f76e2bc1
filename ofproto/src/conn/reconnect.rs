//! When to connect, when to probe, when to give up: the state machine of one connection, without I/O or clock.
//!
//! # States
//!
//! `BACKOFF` waits, `CONNECTING` has begun to connect, `ACTIVE` talks, `IDLE` has heard nothing for a probe interval and has
//! sent an echo request, `DISCONNECTED` is at rest. A connection that fails is tried again after 1 s, then after
//! twice as long each time, up to the configured limit; one that stood for longer than its last wait begins with
//! 1 s again. A connection that somebody else opened is never opened again by us.
//!
//! Times are milliseconds of the monotonic clock.

use std::fmt;

/// Names are those of the `Controller` table's `status:state`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Waiting before the next attempt.
    Backoff,
    /// An attempt is under way.
    Connecting,
    /// Connected, and the peer was heard from lately.
    Active,
    /// Connected, silent, probed.
    Idle,
    /// Over, not to be opened again.
    Disconnected,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backoff => "BACKOFF",
            Self::Connecting => "CONNECTING",
            Self::Active => "ACTIVE",
            Self::Idle => "IDLE",
            Self::Disconnected => "DISCONNECTED",
        })
    }
}

/// What the owner of the connection is to do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// Open the connection.
    Connect,
    /// Send an echo request.
    Probe,
    /// The attempt takes too long: close it.
    ConnectTimeout,
    /// The peer is silent: close the connection.
    ProbeTimeout,
}

/// How long to wait and how often to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// Longest wait between attempts, ms; at least 1000.
    pub max_backoff_ms: u64,
    /// Silence after which the peer is probed, ms; 0 for never.
    pub probe_interval_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { max_backoff_ms: 8_000, probe_interval_ms: 5_000 }
    }
}

impl Timing {
    /// From a `Controller` row: both in ms, rounded down to whole seconds as Open vSwitch does, no backoff below 1 s, no
    /// probe interval below 5 s but 0.
    pub fn configured(max_backoff: Option<i64>, inactivity_probe: Option<i64>) -> Self {
        let seconds = |value: Option<i64>, default: u64| value.map_or(default, |ms| ms.max(0) as u64 / 1000);
        let probe = seconds(inactivity_probe, 5);
        Self {
            max_backoff_ms: seconds(max_backoff, 8).max(1) * 1000,
            probe_interval_ms: if probe == 0 { 0 } else { probe.max(5) * 1000 },
        }
    }
}

/// The state machine.
#[derive(Clone, Debug)]
pub(crate) struct Reconnect {
    timing: Timing,
    state: State,
    entered_ms: u64,
    backoff_ms: u64,
    backoff_until_ms: u64,
    last_heard_ms: u64,
    connected_at_ms: Option<u64>,
    disconnected_at_ms: Option<u64>,
    last_error: Option<String>,
    reopen: bool,
}

impl Reconnect {
    /// For a connection that we open, at once, and open again.
    pub(crate) fn active(timing: Timing, now: u64) -> Self {
        Self {
            timing,
            state: State::Backoff,
            entered_ms: now,
            backoff_ms: 0,
            backoff_until_ms: now,
            last_heard_ms: now,
            connected_at_ms: None,
            disconnected_at_ms: None,
            last_error: None,
            reopen: true,
        }
    }

    /// For a connection that another one opened.
    pub(crate) fn accepted(timing: Timing, now: u64) -> Self {
        Self { state: State::Connecting, reopen: false, ..Self::active(timing, now) }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Whether messages pass.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.state, State::Active | State::Idle)
    }

    /// Since when messages pass, ms.
    pub(crate) fn connected_since(&self) -> Option<u64> {
        self.connected_at_ms.filter(|_| self.is_connected())
    }

    /// Whether we are the side that connects.
    pub(crate) fn reopens(&self) -> bool {
        self.reopen
    }

    /// When it last came up, ms.
    pub(crate) fn connected_at(&self) -> Option<u64> {
        self.connected_at_ms
    }

    /// When it last went down, ms.
    pub(crate) fn disconnected_at(&self) -> Option<u64> {
        self.disconnected_at_ms
    }

    /// Why it last went down or could not come up.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Silence after which the peer is probed, ms; 0 for never.
    pub(crate) fn probe_interval(&self) -> u64 {
        self.timing.probe_interval_ms
    }

    /// Takes new timing into account.
    pub(crate) fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
        if self.backoff_ms > timing.max_backoff_ms {
            self.backoff_until_ms -= self.backoff_ms - timing.max_backoff_ms;
            self.backoff_ms = timing.max_backoff_ms;
        }
    }

    /// What is due at `now`.
    pub(crate) fn run(&mut self, now: u64) -> Action {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Action::None;
        }
        match self.state {
            State::Backoff => Action::Connect,
            State::Connecting => Action::ConnectTimeout,
            State::Active => {
                self.enter(State::Idle, now);
                Action::Probe
            }
            State::Idle => Action::ProbeTimeout,
            State::Disconnected => Action::None,
        }
    }

    /// When [`run`](Self::run) has something to do next.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let probe = self.timing.probe_interval_ms;
        match self.state {
            State::Backoff => Some(self.backoff_until_ms),
            State::Connecting => Some(self.entered_ms + self.backoff_ms.max(1000)),
            State::Active if probe > 0 => Some(self.last_heard_ms.max(self.entered_ms) + probe),
            State::Idle if probe > 0 => Some(self.entered_ms + probe),
            _ => None,
        }
    }

    /// The connection is being opened.
    pub(crate) fn connecting(&mut self, now: u64) {
        self.enter(State::Connecting, now);
    }

    /// A version is agreed on.
    pub(crate) fn connected(&mut self, now: u64) {
        self.connected_at_ms = Some(now);
        self.last_heard_ms = now;
        self.enter(State::Active, now);
    }

    /// Something was received.
    pub(crate) fn heard(&mut self, now: u64) {
        self.last_heard_ms = now;
        if self.state == State::Idle {
            self.enter(State::Active, now);
        }
    }

    /// The connection ended, or could not be opened. Returns how long it will wait, ms, `None` if it will not try again.
    pub(crate) fn disconnected(&mut self, now: u64, why: &str) -> Option<u64> {
        if self.is_connected() {
            self.disconnected_at_ms = Some(now);
        }
        self.last_error = Some(why.to_owned());
        if !self.reopen {
            self.enter(State::Disconnected, now);
            return None;
        }
        self.backoff_ms = if now >= self.backoff_until_ms.saturating_add(self.grace()) {
            1000.min(self.timing.max_backoff_ms)
        } else {
            (self.backoff_ms * 2).clamp(1000, self.timing.max_backoff_ms)
        };
        self.backoff_until_ms = now + self.backoff_ms;
        self.enter(State::Backoff, now);
        Some(self.backoff_ms)
    }

    /// How long after the end of a wait a failure still counts as the same trouble: while connecting, always.
    fn grace(&self) -> u64 {
        if self.is_connected() { self.backoff_ms } else { u64::MAX }
    }

    /// Whether attempts are rare by now, so that no more is said about each.
    pub(crate) fn is_at_limit(&self) -> bool {
        self.backoff_ms >= self.timing.max_backoff_ms
    }

    /// Connects again at once, whatever the state (`bridge/reconnect`, a change of configuration).
    pub(crate) fn restart(&mut self, now: u64) {
        if self.is_connected() {
            self.disconnected_at_ms = Some(now);
        }
        self.backoff_ms = 0;
        self.backoff_until_ms = now;
        self.enter(if self.reopen { State::Backoff } else { State::Disconnected }, now);
    }

    fn enter(&mut self, state: State, now: u64) {
        self.state = state;
        self.entered_ms = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_the_limit() {
        let mut fsm = Reconnect::active(Timing::default(), 0);
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..6 {
            assert_eq!(fsm.run(now), Action::Connect);
            fsm.connecting(now);
            now += 10;
            let wait = fsm.disconnected(now, "Connection refused").unwrap();
            assert_eq!(fsm.run(now + wait - 1), Action::None);
            now += wait;
            waits.push(wait);
        }
        assert_eq!(waits, [1000, 2000, 4000, 8000, 8000, 8000]);
        fsm.connecting(now);
        fsm.connected(now + 1);
        assert_eq!(fsm.disconnected(now + 20_000, "x"), Some(1000), "it stood for long: from the start");
    }

    #[test]
    fn silence_is_probed_then_ends_it() {
        let mut fsm = Reconnect::active(Timing::default(), 0);
        fsm.connecting(0);
        fsm.connected(100);
        assert_eq!(fsm.run(5_099), Action::None);
        assert_eq!(fsm.run(5_100), Action::Probe);
        assert_eq!(fsm.state(), State::Idle);
        fsm.heard(5_200);
        assert_eq!(fsm.state(), State::Active);
        assert_eq!(fsm.run(10_200), Action::Probe);
        assert_eq!(fsm.run(15_200), Action::ProbeTimeout);
        assert_eq!(fsm.disconnected(15_200, "Connection timed out"), Some(1000));
        assert_eq!(fsm.disconnected_at(), Some(15_200));
    }

    #[test]
    fn attempts_time_out() {
        let mut fsm = Reconnect::active(Timing::default(), 0);
        fsm.connecting(0);
        assert_eq!(fsm.run(999), Action::None);
        assert_eq!(fsm.run(1000), Action::ConnectTimeout);
    }

    #[test]
    fn accepted_connections_end() {
        let mut fsm = Reconnect::accepted(Timing { probe_interval_ms: 0, ..Timing::default() }, 0);
        fsm.connected(1);
        assert_eq!(fsm.deadline(), None);
        assert_eq!(fsm.disconnected(5, "gone"), None);
        assert_eq!(fsm.state(), State::Disconnected);
    }

    #[test]
    fn configured_values_are_rounded_and_bounded() {
        let t = |b, p| Timing::configured(b, p);
        assert_eq!(t(None, None), Timing { max_backoff_ms: 8000, probe_interval_ms: 5000 });
        assert_eq!(t(Some(300), Some(0)), Timing { max_backoff_ms: 1000, probe_interval_ms: 0 });
        assert_eq!(t(Some(1999), Some(1000)), Timing { max_backoff_ms: 1000, probe_interval_ms: 5000 });
        assert_eq!(t(Some(60000), Some(30000)), Timing { max_backoff_ms: 60000, probe_interval_ms: 30000 });
    }
}
