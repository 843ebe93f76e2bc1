//! A [`Session`] on a real connection that is kept: the thin part that does I/O.
//!
//! Nothing blocks. The owner of the loop hands over a mio registry and a token, says when that token had an event, calls
//! [`Client::run`] every time it wakes and no later than [`Client::next_wakeup`].

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use mio::{Registry, Token};
use stream::{Stream, Target, TargetError, TlsFiles};
use thiserror::Error;

use crate::reconnect::{Reconnect, Todo};
use crate::session::{Session, SessionError};

/// The port that IANA gave to OVSDB.
const DEFAULT_PORT: u16 = 6640;
/// How long a server that is reached over a network may be silent.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Most bytes taken in one run, so that others get their turn: the rest comes in the next.
const READ_BUDGET: usize = 1 << 20;
/// Linux's `EPROTO`: "Protocol error".
const EPROTO: i32 = 71;

/// A remote that cannot be used.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// not a connection name
    #[error("{source}")]
    Bad {
        /// What was given.
        name: String,
        /// What is wrong with it.
        source: TargetError,
    },
    /// a passive name
    #[error("{0}: passive connections to a database are not supported")]
    Passive(String),
    /// nothing at all
    #[error("no database remote given")]
    None,
}

struct Remote {
    target: Target,
    reconnect: Reconnect,
}

/// A session with the database server that is connected again whenever it breaks.
pub struct Client {
    remotes: Vec<Remote>,
    current: usize,
    tls: TlsFiles,
    stream: Option<Stream>,
    up: bool,
    ready: bool,
    token: Token,
    session: Session,
}

impl Client {
    /// A client of the remotes in `names`, with commas between; they are tried in turn. Relative socket names are meant
    /// relative to `rundir`.
    ///
    /// # Errors
    ///
    /// A name is none, or is one to listen on.
    pub fn new(
        names: &str,
        rundir: &Path,
        tls: TlsFiles,
        session: Session,
        token: Token,
        now: Instant,
    ) -> Result<Self, RemoteError> {
        let remote = |name: &str| {
            let target = Target::parse(name, DEFAULT_PORT, rundir)
                .map_err(|source| RemoteError::Bad { name: name.to_owned(), source })?;
            if target.is_passive() {
                return Err(RemoteError::Passive(name.to_owned()));
            }
            let probe = if name.starts_with("unix:") { None } else { Some(PROBE_INTERVAL) };
            Ok(Remote { target, reconnect: Reconnect::new(name.to_owned(), probe, now) })
        };
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let remotes = names.map(remote).collect::<Result<Vec<_>, _>>()?;
        if remotes.is_empty() {
            return Err(RemoteError::None);
        }
        Ok(Self { remotes, current: 0, tls, stream: None, up: false, ready: false, token, session })
    }

    /// The conversation, with all that is known from it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The same, to send transactions; they leave with the next [`run`](Self::run).
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Which files the TLS of the next connection uses.
    pub fn set_tls(&mut self, tls: TlsFiles) {
        self.tls = tls;
    }

    /// Whether a connection stands.
    pub fn is_connected(&self) -> bool {
        self.up
    }

    /// There was an event on our token.
    pub fn ready(&mut self) {
        self.ready = true;
    }

    /// Connects, reads, writes: whatever can be done now.
    pub fn run(&mut self, registry: &Registry, now: Instant) {
        match self.fsm().run(now) {
            Todo::Nothing => {}
            Todo::Connect => self.connect(registry, now),
            Todo::Probe => self.session.send_echo(),
            Todo::Disconnect => self.disconnect(registry, now, None),
        }
        if let Err(cause) = self.pass_bytes(now) {
            self.disconnect(registry, now, cause.as_ref());
        }
    }

    /// When [`run`](Self::run) is to be called at the latest.
    pub fn next_wakeup(&self, now: Instant) -> Option<Instant> {
        if self.ready { Some(now) } else { self.remotes[self.current].reconnect.deadline() }
    }

    fn fsm(&mut self) -> &mut Reconnect {
        &mut self.remotes[self.current].reconnect
    }

    fn connect(&mut self, registry: &Registry, now: Instant) {
        let connected =
            Stream::connect(&self.remotes[self.current].target, &self.tls).and_then(|mut stream| {
                stream.register(registry, self.token)?;
                Ok(stream)
            });
        match connected {
            Ok(stream) => {
                self.stream = Some(stream);
                self.ready = true;
            }
            Err(error) => self.disconnect(registry, now, Some(&error)),
        }
    }

    fn disconnect(&mut self, registry: &Registry, now: Instant, cause: Option<&io::Error>) {
        if let Some(mut stream) = self.stream.take()
            && let Err(error) = stream.deregister(registry)
        {
            tracing::debug!(target: "reconnect", "deregister: {error}");
        }
        self.up = false;
        self.ready = false;
        self.session.disconnected();
        self.fsm().disconnected(now, cause);
        self.current = (self.current + 1) % self.remotes.len();
    }

    /// Moves bytes both ways. `Err` when the connection is over, with the system's reason if it had one.
    fn pass_bytes(&mut self, now: Instant) -> Result<(), Option<io::Error>> {
        if self.ready {
            self.ready = false;
            self.finish_connect(now)?;
            self.receive(now)?;
        }
        self.send()
    }

    fn finish_connect(&mut self, now: Instant) -> Result<(), Option<io::Error>> {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.up) else { return Ok(()) };
        if stream.finish_connect().map_err(Some)? {
            self.up = true;
            self.fsm().connected(now);
            self.session.connected();
        }
        Ok(())
    }

    fn receive(&mut self, now: Instant) -> Result<(), Option<io::Error>> {
        let mut buffer = [0; 1 << 14];
        let mut taken = 0;
        while let Some(stream) = self.stream.as_mut().filter(|_| self.up) {
            if taken >= READ_BUDGET {
                self.ready = true;
                break;
            }
            match stream.read(&mut buffer) {
                Ok(0) => return Err(None),
                Ok(count) => {
                    taken += count;
                    self.fsm().activity(now);
                    self.session.receive(&buffer[..count]).map_err(|error| Some(protocol_error(&error)))?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Some(error)),
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), Option<io::Error>> {
        let Some(stream) = self.stream.as_mut().filter(|_| self.up) else { return Ok(()) };
        let output = self.session.output();
        let mut sent = 0;
        let end = loop {
            if sent == output.len() {
                break stream.flush();
            }
            match stream.write(&output[sent..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        output.drain(..sent);
        match end {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(Some(error)),
            _ => Ok(()),
        }
    }
}

/// Logs what is wrong with the conversation, and puts it as an error of the connection.
fn protocol_error(error: &SessionError) -> io::Error {
    tracing::warn!(target: "ovsdb_idl", "{error}");
    io::Error::from_raw_os_error(EPROTO)
}
