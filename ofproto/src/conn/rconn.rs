//! One connection that lives: it is opened, negotiated, probed, and, if it is ours to open, opened again.
//!
//! [`Reconnect`] says when, [`Vconn`] does it, this joins the two to the loop's registry and to the log.

use bytes::Bytes;
use mio::{Registry, Token};
use openflow::{Header, Version, Versions};
use stream::{Stream, Target, TlsFiles};

use super::reconnect::{Action, Reconnect, State, Timing};
use super::vconn::{Kind, Vconn, VconnError};

/// `OFPT_ECHO_REQUEST`.
const TYPE_ECHO_REQUEST: u8 = 2;

/// What connections need of the world.
#[derive(Debug)]
pub(crate) struct Net {
    /// Where sockets are registered.
    pub(crate) registry: Registry,
    /// Keys and certificates for `ssl:`.
    pub(crate) tls: TlsFiles,
}

/// What a turn came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Nothing new.
    None,
    /// The connection came up.
    Connected(Version),
    /// The connection went down.
    Disconnected,
}

/// A connection and its future.
#[derive(Debug)]
pub(crate) struct Rconn {
    name: String,
    target: Option<Target>,
    token: Token,
    dscp: u8,
    allowed: Versions,
    fsm: Reconnect,
    vconn: Option<Vconn>,
    /// Copies of what was sent and received, while somebody snoops.
    tap: Option<Vec<Bytes>>,
}

impl Rconn {
    /// Whether the other side opened it.
    pub(crate) fn came_in(&self) -> bool {
        self.target.is_none()
    }

    /// One that we open. Nothing happens before the first [`run`](Self::run).
    pub(crate) fn active(
        name: String,
        target: Target,
        token: Token,
        allowed: Versions,
        timing: Timing,
        now: u64,
    ) -> Self {
        let fsm = Reconnect::active(timing, now);
        Self { name, target: Some(target), token, dscp: 48, allowed, fsm, vconn: None, tap: None }
    }

    /// One that somebody else opened.
    pub(crate) fn accepted(
        name: String,
        mut stream: Stream,
        token: Token,
        allowed: Versions,
        timing: Timing,
        net: &Net,
        now: u64,
    ) -> std::io::Result<Self> {
        stream.register(&net.registry, token)?;
        let fsm = Reconnect::accepted(timing, now);
        Ok(Self {
            name,
            target: None,
            token,
            dscp: 0,
            allowed,
            fsm,
            vconn: Some(Vconn::new(stream, allowed)),
            tap: None,
        })
    }

    /// Its name in the log: `br0<->tcp:10.0.0.1:6653`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Under which its socket is registered.
    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Where it stands.
    pub(crate) fn fsm(&self) -> &Reconnect {
        &self.fsm
    }

    /// Whether messages pass.
    pub(crate) fn is_connected(&self) -> bool {
        self.fsm.is_connected()
    }

    /// The version spoken, once one is agreed on.
    pub(crate) fn version(&self) -> Option<Version> {
        self.vconn.as_ref().and_then(Vconn::version)
    }

    /// The messages below, while there is a connection.
    pub(crate) fn vconn(&self) -> Option<&Vconn> {
        self.vconn.as_ref()
    }

    /// Marks IP packets of this connection from the next attempt on.
    pub(crate) fn set_dscp(&mut self, dscp: u8) {
        self.dscp = dscp;
    }

    /// Changes backoff and probes.
    pub(crate) fn set_timing(&mut self, timing: Timing) {
        self.fsm.set_timing(timing);
    }

    /// Changes what versions are offered; a connection that speaks none of them is dropped.
    pub(crate) fn set_allowed(&mut self, allowed: Versions, net: &Net, now: u64) -> Change {
        self.allowed = allowed;
        if self.version().is_none_or(|version| allowed.contains(version)) {
            return Change::None;
        }
        self.reconnect(net, now);
        Change::Disconnected
    }

    /// Sends what is queued, as far as the socket takes it.
    pub(crate) fn flush(&mut self, net: &Net, now: u64) -> Change {
        let Some(vconn) = self.vconn.as_mut().filter(|vconn| vconn.has_output()) else { return Change::None };
        match vconn.flush() {
            Ok(_) => Change::None,
            Err(error) => self.failed(net, now, &error),
        }
    }

    /// Drops the connection and, if it is ours to open, opens it again at once.
    pub(crate) fn reconnect(&mut self, net: &Net, now: u64) {
        tracing::info!(target: "rconn", "{}: disconnecting", self.name);
        self.close(net);
        self.fsm.restart(now);
    }

    /// Lets go of the socket.
    pub(crate) fn close(&mut self, net: &Net) {
        if let Some(mut vconn) = self.vconn.take() {
            // What was said last may still fit the socket.
            let _ = vconn.flush();
            let _ = vconn.stream_mut().deregister(&net.registry);
        }
    }

    /// Notes that the socket may be readable or writable.
    pub(crate) fn on_event(&mut self) {
        if let Some(vconn) = &mut self.vconn {
            vconn.on_event();
        }
    }

    /// Does what is due: connects, negotiates, probes, sends.
    pub(crate) fn run(&mut self, net: &Net, now: u64) -> Change {
        match self.fsm.run(now) {
            Action::None => {}
            Action::Connect => self.open(net, now),
            Action::Probe => self.probe(),
            Action::ConnectTimeout => {
                return self.fail(net, now, "Connection timed out", "connection timed out");
            }
            Action::ProbeTimeout => {
                let seconds = self.fsm.probe_interval() / 1000;
                tracing::error!(
                    target: "rconn",
                    "{}: no response to inactivity probe after {seconds} seconds, disconnecting",
                    self.name
                );
                return self.lose(net, now, "Connection timed out");
            }
        }
        self.advance(net, now)
    }

    fn advance(&mut self, net: &Net, now: u64) -> Change {
        let Some(vconn) = &mut self.vconn else { return Change::None };
        let result = match self.fsm.state() {
            State::Connecting => match vconn.handshake(&self.name) {
                Ok(Some(version)) => {
                    if self.fsm.reopens() {
                        tracing::info!(target: "rconn", "{}: connected", self.name);
                    }
                    self.fsm.connected(now);
                    return Change::Connected(version);
                }
                other => other.map(|_| ()),
            },
            _ => vconn.flush().map(|_| ()),
        };
        match result {
            Ok(()) => Change::None,
            Err(error) => self.failed(net, now, &error),
        }
    }

    fn open(&mut self, net: &Net, now: u64) {
        let Some(target) = self.target.clone() else { return };
        if !self.fsm.is_at_limit() {
            tracing::info!(target: "rconn", "{}: connecting...", self.name);
        }
        self.fsm.connecting(now);
        let opened = Stream::connect(&target, &net.tls).and_then(|mut stream| {
            stream.set_dscp(self.dscp);
            stream.register(&net.registry, self.token)?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => self.vconn = Some(Vconn::new(stream, self.allowed)),
            Err(error) => {
                self.failed(net, now, &VconnError::Io(error));
            }
        }
    }

    fn probe(&mut self) {
        if let (Some(version), Some(vconn)) = (self.version(), &mut self.vconn) {
            tracing::debug!(target: "rconn", "{}: idle, sending inactivity probe", self.name);
            let mut echo = Vec::with_capacity(8);
            Header { version: version.wire(), kind: TYPE_ECHO_REQUEST, length: 8, xid: 0 }.put(&mut echo);
            vconn.send(Kind::Async, echo.into());
        }
    }

    /// Says how the connection failed, by where it stood, and closes it.
    fn failed(&mut self, net: &Net, now: u64, error: &VconnError) -> Change {
        let text = error.to_string();
        match (error, self.fsm.state()) {
            (VconnError::Closed, State::Active | State::Idle) if self.fsm.reopens() => {
                tracing::info!(target: "rconn", "{}: connection closed by peer", self.name);
            }
            (VconnError::Closed, _) => {
                tracing::debug!(target: "rconn", "{}: connection closed by peer", self.name);
            }
            (_, State::Active | State::Idle) => {
                tracing::warn!(target: "rconn", "{}: connection dropped ({text})", self.name);
            }
            _ => return self.fail(net, now, &text, &format!("connection failed ({text})")),
        }
        let why = if matches!(error, VconnError::Closed) { "End of file" } else { &text };
        self.lose(net, now, why)
    }

    /// An attempt that came to nothing. Told while attempts are frequent.
    fn fail(&mut self, net: &Net, now: u64, why: &str, told: &str) -> Change {
        if !self.fsm.is_at_limit() {
            tracing::warn!(target: "rconn", "{}: {told}", self.name);
        }
        self.lose(net, now, why)
    }

    fn lose(&mut self, net: &Net, now: u64, why: &str) -> Change {
        let was_connected = self.is_connected();
        let silent = self.fsm.is_at_limit();
        self.close(net);
        match self.fsm.disconnected(now, why) {
            Some(_) if self.fsm.is_at_limit() && !silent => {
                let name = &self.name;
                tracing::info!(
                    target: "rconn",
                    "{name}: continuing to retry connections in the background but suppressing further logging"
                );
            }
            Some(wait) if !self.fsm.is_at_limit() => {
                tracing::info!(
                    target: "rconn",
                    "{}: waiting {} seconds before reconnect",
                    self.name,
                    wait / 1000
                );
            }
            _ => {}
        }
        if was_connected || self.fsm.state() == State::Disconnected {
            Change::Disconnected
        } else {
            Change::None
        }
    }

    /// The next message, if a whole one is there. A failure shows as a [`Change`] of the second value.
    pub(crate) fn recv(&mut self, net: &Net, now: u64) -> (Option<Bytes>, Change) {
        let Some(vconn) = &mut self.vconn else { return (None, Change::None) };
        match vconn.recv() {
            Ok(Some(message)) => {
                self.fsm.heard(now);
                if let Some(tap) = &mut self.tap {
                    tap.push(message.clone());
                }
                (Some(message), Change::None)
            }
            Ok(None) => (None, Change::None),
            Err(error) => (None, self.failed(net, now, &error)),
        }
    }

    /// Queues a message; without a connection it is lost.
    pub(crate) fn send(&mut self, kind: Kind, message: Bytes) {
        if let Some(vconn) = &mut self.vconn {
            if let Some(tap) = &mut self.tap {
                tap.push(message.clone());
            }
            vconn.send(kind, message);
        }
    }

    /// Starts or stops keeping copies of what is sent and received.
    pub(crate) fn set_tapped(&mut self, tapped: bool) {
        if tapped != self.tap.is_some() {
            self.tap = tapped.then(Vec::new);
        }
    }

    /// The copies since the last call.
    pub(crate) fn take_tap(&mut self) -> Vec<Bytes> {
        self.tap.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// When the next turn is due even if nothing happens on the socket, ms.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.fsm.deadline()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn net() -> (mio::Poll, Net) {
        let poll = mio::Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        (poll, Net { registry, tls: TlsFiles::default() })
    }

    fn rconn(path: std::path::PathBuf) -> Rconn {
        let target = Target::ConnectUnix(path);
        Rconn::active("br0<->x".into(), target, Token(1), Versions::ALL, Timing::default(), 0)
    }

    #[test]
    fn connects_talks_probes_and_comes_back() {
        let (_poll, net) = net();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ctl");
        let mut rconn = rconn(path.clone());
        assert_eq!(rconn.run(&net, 0), Change::None);
        assert_eq!(rconn.fsm().state(), State::Backoff);
        assert_eq!(rconn.fsm().last_error(), Some("No such file or directory"));

        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(rconn.run(&net, 1000), Change::None);
        let (mut peer, _) = listener.accept().unwrap();
        let mut buf = [0; 64];
        assert_eq!(rconn.run(&net, 1001), Change::None);
        assert_eq!(peer.read(&mut buf).unwrap(), 8);
        peer.write_all(&[1, 0, 0, 8, 0, 0, 0, 5, 1, 5, 0, 8, 0, 0, 0, 6]).unwrap();
        rconn.on_event();
        assert_eq!(rconn.run(&net, 1002), Change::Connected(Version::V10));
        assert_eq!(rconn.recv(&net, 1003).0.unwrap()[1], 5);

        rconn.run(&net, 6003);
        assert_eq!(rconn.fsm().state(), State::Idle);
        assert_eq!(peer.read(&mut buf).unwrap(), 8);
        assert_eq!(buf[..2], [1, 2], "an echo request");
        drop(peer);
        rconn.on_event();
        assert_eq!(rconn.recv(&net, 6010), (None, Change::Disconnected));
        assert_eq!(rconn.fsm().state(), State::Backoff);
        assert_eq!(rconn.deadline(), Some(7010));
    }

    #[test]
    fn a_version_that_is_forbidden_drops_the_connection() {
        let (_poll, net) = net();
        let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.write_all(&[4, 0, 0, 8, 0, 0, 0, 5]).unwrap();
        let stream = Stream::Unix(mio::net::UnixStream::from_std(near));
        let name = "br0<->unix#0".to_owned();
        let timing = Timing::default();
        let mut rconn = Rconn::accepted(name, stream, Token(1), Versions::ALL, timing, &net, 0).unwrap();
        assert_eq!(rconn.run(&net, 1), Change::Connected(Version::V13));
        assert_eq!(rconn.set_allowed(Versions::only(Version::V13), &net, 2), Change::None);
        assert_eq!(rconn.set_allowed(Versions::only(Version::V10), &net, 2), Change::Disconnected);
        assert_eq!(rconn.fsm().state(), State::Disconnected);
    }
}
