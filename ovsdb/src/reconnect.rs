//! When to connect, when to try again, when to ask for a sign of life, when to give up on a connection.
//!
//! Pauses double from one second to eight; a connection that lived longer than its pause starts again from one. Time is
//! an argument. The log lines are those that operators know.

use std::io;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting { until: Instant },
    Connecting { since: Instant },
    Active,
    Probing { since: Instant },
}

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Todo {
    Nothing,
    Connect,
    Probe,
    Disconnect,
}

/// The state of one connection that is to be kept.
#[derive(Debug)]
pub(crate) struct Reconnect {
    name: String,
    state: State,
    backoff: Duration,
    /// How long silence may last before it is asked about, and then again before it is the end.
    probe_interval: Option<Duration>,
    connected_at: Instant,
    active_at: Instant,
}

impl Reconnect {
    /// To be connected at once.
    pub(crate) fn new(name: String, probe_interval: Option<Duration>, now: Instant) -> Self {
        let state = State::Waiting { until: now };
        Self { name, state, backoff: Duration::ZERO, probe_interval, connected_at: now, active_at: now }
    }

    /// What the time has come for.
    pub(crate) fn run(&mut self, now: Instant) -> Todo {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Todo::Nothing;
        }
        match self.state {
            State::Waiting { .. } => {
                self.say(format_args!("connecting..."));
                self.state = State::Connecting { since: now };
                Todo::Connect
            }
            State::Connecting { .. } => Todo::Disconnect,
            State::Active => {
                debug!(target: "reconnect", "{}: idle {} ms, sending inactivity probe", self.name, (now - self.active_at).as_millis());
                self.state = State::Probing { since: now };
                Todo::Probe
            }
            State::Probing { since } => {
                let silence = (now - since).as_secs();
                tracing::error!(target: "reconnect", "{}: no response to inactivity probe after {silence} seconds, disconnecting", self.name);
                Todo::Disconnect
            }
        }
    }

    /// When [`run`](Self::run) has something to say.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Connecting { since } => Some(since + self.backoff.max(MIN_BACKOFF)),
            State::Active => self.probe_interval.map(|interval| self.active_at + interval),
            State::Probing { since } => self.probe_interval.map(|interval| since + interval),
        }
    }

    /// The connection stands.
    pub(crate) fn connected(&mut self, now: Instant) {
        info!(target: "reconnect", "{}: connected", self.name);
        self.state = State::Active;
        self.connected_at = now;
        self.active_at = now;
    }

    /// Something came from the other side.
    pub(crate) fn activity(&mut self, now: Instant) {
        self.active_at = now;
        if matches!(self.state, State::Probing { .. }) {
            self.state = State::Active;
        }
    }

    /// The connection is gone, or was never made: `cause` where the system gave one.
    pub(crate) fn disconnected(&mut self, now: Instant, cause: Option<&io::Error>) {
        let name = &self.name;
        let was_up = matches!(self.state, State::Active | State::Probing { .. });
        match cause {
            Some(cause) if was_up => {
                warn!(target: "reconnect", "{name}: connection dropped ({})", reason(cause));
            }
            None if was_up => self.say(format_args!("connection closed by peer")),
            Some(cause) => self.say(format_args!("connection attempt failed ({})", reason(cause))),
            None => self.say(format_args!("connection attempt timed out")),
        }
        if was_up && now.duration_since(self.connected_at) >= self.backoff {
            self.backoff = Duration::ZERO;
        }
        self.wait(now);
    }

    fn wait(&mut self, now: Instant) {
        let next = (self.backoff * 2).clamp(MIN_BACKOFF, MAX_BACKOFF);
        if next == MAX_BACKOFF && self.backoff < MAX_BACKOFF {
            self.say(format_args!(
                "continuing to reconnect in the background but suppressing further logging"
            ));
        } else if next > MIN_BACKOFF {
            self.say(format_args!("waiting {} seconds before reconnect", next.as_secs()));
        }
        self.backoff = next;
        self.state = State::Waiting { until: now + next };
    }

    /// Logs for the operator, until the attempts become routine.
    fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.backoff < MAX_BACKOFF {
            info!(target: "reconnect", "{}: {what}", self.name);
        } else {
            debug!(target: "reconnect", "{}: {what}", self.name);
        }
    }
}

/// The system's words for an error, without Rust's `(os error N)`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn refused() -> io::Error {
        io::Error::from_raw_os_error(111)
    }

    #[test]
    fn pauses_double_up_to_eight_seconds_and_begin_anew_after_a_long_life() {
        let mut now = Instant::now();
        let mut fsm = Reconnect::new("unix:x".into(), None, now);
        for pause in [1, 2, 4, 8, 8] {
            assert_eq!(fsm.run(now), Todo::Connect);
            assert_eq!(fsm.run(now), Todo::Nothing);
            fsm.disconnected(now, Some(&refused()));
            assert_eq!(fsm.deadline(), Some(now + SECOND * pause));
            assert_eq!(fsm.run(now + SECOND * pause - SECOND / 2), Todo::Nothing);
            now += SECOND * pause;
        }
        assert_eq!(fsm.run(now), Todo::Connect);
        fsm.connected(now);
        now += SECOND * 9;
        fsm.disconnected(now, None);
        assert_eq!(fsm.deadline(), Some(now + SECOND));
    }

    #[test]
    fn an_attempt_that_hangs_is_given_up() {
        let now = Instant::now();
        let mut fsm = Reconnect::new("tcp:x".into(), None, now);
        fsm.run(now);
        assert_eq!(fsm.run(now + SECOND), Todo::Disconnect);
    }

    #[test]
    fn silence_is_asked_about_once_and_then_fatal() {
        let now = Instant::now();
        let mut fsm = Reconnect::new("tcp:x".into(), Some(SECOND * 5), now);
        fsm.run(now);
        fsm.connected(now);
        assert_eq!(fsm.run(now + SECOND * 5), Todo::Probe);
        fsm.activity(now + SECOND * 6);
        assert_eq!(fsm.run(now + SECOND * 10), Todo::Nothing);
        assert_eq!(fsm.run(now + SECOND * 11), Todo::Probe);
        assert_eq!(fsm.run(now + SECOND * 16), Todo::Disconnect);
    }

    #[test]
    fn without_an_interval_silence_is_golden() {
        let now = Instant::now();
        let mut fsm = Reconnect::new("unix:x".into(), None, now);
        fsm.run(now);
        fsm.connected(now);
        assert_eq!(fsm.deadline(), None);
    }

    #[test]
    fn reasons_are_the_systems_own_words() {
        assert_eq!(reason(&refused()), "Connection refused");
    }
}
