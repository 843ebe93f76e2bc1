//! Where others connect to a bridge, and what becomes of those who do.

use std::io;

use mio::Token;
use openflow::Versions;
use stream::{Listener, Stream, Target};

use super::config::ControllerConfig;
use super::rconn::Net;
use super::vconn::{Kind, Vconn};

/// Messages of a snooper that are passed over in one go.
const IGNORED_AT_ONCE: usize = 64;
/// Copies that may wait for a slow snooper before it loses some.
const SNOOP_QUEUE: usize = 1000;

/// How soon to look again who is there when nobody could be let in, for want of descriptors or memory.
const RETRY_MS: u64 = 1000;

/// Who comes in by a door.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// `BRIDGE.mgmt`: `ovs-ofctl` and its like.
    Management,
    /// `BRIDGE.snoop`: those who watch what a controller says and hears.
    Snoop,
    /// A `Controller` row that listens.
    Controller(ControllerConfig),
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Door {
    listener: Listener,
    token: Token,
    purpose: Purpose,
    ready: bool,
    /// When to try again, after a failure: of those who wait already no event will tell.
    retry_ms: Option<u64>,
}

impl Door {
    /// Opens a door; a Unix-domain socket's file gets mode 0750.
    pub(crate) fn open(target: &Target, token: Token, purpose: Purpose, net: &Net) -> io::Result<Self> {
        let mut listener = Listener::bind(target, 0o750)?;
        listener.register(&net.registry, token)?;
        Ok(Self { listener, token, purpose, ready: true, retry_ms: None })
    }

    /// Under which the socket is registered.
    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Who comes in here.
    pub(crate) fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    /// Takes new settings for those who come in from now on.
    pub(crate) fn set_purpose(&mut self, purpose: Purpose) {
        self.purpose = purpose;
    }

    /// Notes that somebody may have come.
    pub(crate) fn on_event(&mut self) {
        self.ready = true;
    }

    /// The next one who came, with a name unless it came by a Unix-domain socket.
    pub(crate) fn accept(&mut self, net: &Net, now_ms: u64) -> Option<(Stream, Option<String>)> {
        let was_failing = self.retry_ms.is_some();
        self.ready |= self.retry_ms.is_some_and(|at| at <= now_ms);
        while self.ready {
            match self.listener.accept(&net.tls) {
                Ok(accepted) => {
                    self.retry_ms = None;
                    return Some(accepted);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    (self.ready, self.retry_ms) = (false, None);
                }
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
                Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(target: "stream_ssl", "refusing connection: {e}");
                }
                Err(e) => {
                    if !was_failing {
                        tracing::warn!(target: "connmgr", "accept failed ({})", datapath::netdev::reason(&e));
                    }
                    (self.ready, self.retry_ms) = (false, Some(now_ms + RETRY_MS));
                }
            }
        }
        None
    }

    /// When to ask again who is there although no event told of anybody.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Closes the door.
    pub(crate) fn close(mut self, net: &Net) {
        // A socket that is closed is forgotten by the kernel anyway.
        let _ = self.listener.deregister(&net.registry);
    }
}

/// Somebody who watches a connection.
#[derive(Debug)]
pub(crate) struct Snoop {
    vconn: Vconn,
    name: String,
    token: Token,
    /// Token of the connection that is watched.
    pub(crate) watched: Token,
    /// Copies that wait for the hellos.
    held: Vec<bytes::Bytes>,
}

impl Snoop {
    /// Takes in somebody to watch the connection under `watched`.
    pub(crate) fn new(
        mut stream: Stream,
        name: String,
        token: Token,
        watched: Token,
        net: &Net,
    ) -> io::Result<Self> {
        stream.register(&net.registry, token)?;
        Ok(Self { vconn: Vconn::new(stream, Versions::ALL), name, token, watched, held: Vec::new() })
    }

    /// Under which its socket is registered.
    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Notes that the socket may be readable or writable.
    pub(crate) fn on_event(&mut self) {
        self.vconn.on_event();
    }

    /// Passes copies on; whether it is still there. Before hellos are exchanged copies are held: there is nothing else to say then.
    pub(crate) fn run(&mut self, copies: &[bytes::Bytes]) -> bool {
        let room = SNOOP_QUEUE.saturating_sub(self.held.len() + self.vconn.queued(Kind::Async));
        self.held.extend(copies.iter().take(room).cloned());
        match self.vconn.handshake(&self.name) {
            Ok(None) => true,
            Ok(Some(_)) => {
                self.held.drain(..).for_each(|copy| self.vconn.send(Kind::Async, copy));
                self.vconn.flush().is_ok() && self.is_still_there()
            }
            Err(_) => false,
        }
    }

    /// What a snooper says is of no interest, only that it is still there.
    fn is_still_there(&mut self) -> bool {
        for _ in 0..IGNORED_AT_ONCE {
            match self.vconn.recv() {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// Lets go of the socket.
    pub(crate) fn close(mut self, net: &Net) {
        // A socket that is closed is forgotten by the kernel anyway.
        let _ = self.vconn.stream_mut().deregister(&net.registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_to_accept_is_tried_again_by_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let poll = mio::Poll::new().unwrap();
        let net = Net { registry: poll.registry().try_clone().unwrap(), tls: stream::TlsFiles::default() };
        let path = dir.path().join("br0.mgmt");
        let target = Target::ListenUnix(path.clone());
        let mut door = Door::open(&target, Token(1), Purpose::Management, &net).unwrap();
        assert!(door.accept(&net, 0).is_none());
        assert_eq!(door.deadline_ms(), None);
        // As if the process had had no descriptor left when somebody came.
        let _client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        door.retry_ms = Some(RETRY_MS);
        assert!(door.accept(&net, RETRY_MS - 1).is_none());
        assert!(door.accept(&net, RETRY_MS).is_some());
        assert_eq!(door.deadline_ms(), None);
    }
}
