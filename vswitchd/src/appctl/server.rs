//! The server: connections, requests, replies.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry as Poll, Token};

use super::client::Client;
use super::registry::Registry;

/// The most clients at once; more wait in the kernel's queue.
const MAX_CLIENTS: usize = 64;
/// How soon to look again who is there when nobody could be let in, for want of descriptors or memory.
const RETRY: Duration = Duration::from_secs(1);

/// The control socket and its clients. `C` is what commands work on.
pub struct Server<C> {
    path: PathBuf,
    listener: UnixListener,
    listener_token: Token,
    next_token: usize,
    clients: HashMap<Token, Client<C>>,
    commands: Registry<C>,
    poll: Poll,
    /// Whether somebody may be waiting to be let in: no event will tell of those again.
    knocked: bool,
    /// When to try again, after a failure.
    retry: Option<Instant>,
    /// Whether it was said that there is no room.
    is_full: bool,
}

impl<C> Server<C> {
    /// Listens at `path`, for its owner and group only. A socket that was left behind there is replaced.
    /// Tokens from `first_token` on are the server's.
    pub fn listen(path: &Path, poll: &Poll, first_token: Token, commands: Registry<C>) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o750))?;
        poll.register(&mut listener, first_token, Interest::READABLE)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            listener_token: first_token,
            next_token: first_token.0 + 1,
            clients: HashMap::new(),
            commands,
            poll: poll.try_clone()?,
            knocked: true,
            retry: None,
            is_full: false,
        })
    }

    /// Takes an event for one of the server's tokens.
    pub fn ready(&mut self, event: &Event, context: &mut C) {
        if event.token() == self.listener_token {
            self.knocked = true;
            return;
        }
        let Some(client) = self.clients.get_mut(&event.token()) else { return };
        client.ready(event);
        client.read(&self.commands, context);
        client.write();
        self.drop_closed();
    }

    /// Lets in who waits, and lets commands that have not answered yet go on. Call after each turn of the control loop.
    pub fn run(&mut self, now: Instant, context: &mut C) {
        for client in self.clients.values_mut().filter(|client| client.has_work()) {
            client.go_on(context);
            client.read(&self.commands, context);
            client.write();
        }
        self.drop_closed();
        self.accept(now);
    }

    /// When [`run`](Self::run) is to be called although nothing happens.
    pub fn next_wakeup(&self) -> Option<Instant> {
        self.retry
    }

    /// Whether a command waits for its answer. Texts in pieces do not count: nobody has to wait for their end.
    pub fn has_pending(&self) -> bool {
        self.clients.values().any(Client::waits_for_answer)
    }

    /// How soon [`run`](Self::run) is wanted for commands that have not answered yet.
    pub fn urgency(&self) -> Option<Duration> {
        self.clients.values().filter_map(Client::urgency).min()
    }

    fn accept(&mut self, now: Instant) {
        let was_failing = self.retry.is_some();
        self.knocked |= self.retry.is_some_and(|at| at <= now);
        while self.knocked && self.has_room() {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    self.retry = None;
                    self.take_in(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    (self.knocked, self.retry) = (false, None);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(error) => {
                    if !was_failing {
                        tracing::warn!(target: "unixctl", "{}: accept failed ({})", self.path.display(), datapath::netdev::reason(&error));
                    }
                    (self.knocked, self.retry) = (false, Some(now + RETRY));
                }
            }
        }
    }

    /// Whether one more may come in; says once when there is no room any more.
    fn has_room(&mut self) -> bool {
        let is_full = self.clients.len() >= MAX_CLIENTS;
        if is_full && !self.is_full {
            tracing::warn!(target: "unixctl", "{}: {MAX_CLIENTS} clients, more have to wait", self.path.display());
        }
        self.is_full = is_full;
        !is_full
    }

    fn take_in(&mut self, mut stream: UnixStream) {
        let token = Token(self.next_token);
        self.next_token += 1;
        if self.poll.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
            self.clients.insert(token, Client::new(stream));
        }
    }

    fn drop_closed(&mut self) {
        self.clients.retain(|_, client| !client.is_closed());
    }
}

impl<C> Drop for Server<C> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appctl::{Command, Outcome, Pieces, Progress};
    use std::io::{Read, Write};
    use std::time::Duration;

    fn commands() -> Registry<u32> {
        let mut registry = Registry::default();
        registry.extend([
            Command {
                name: "count",
                usage: "",
                min: 0,
                max: 1,
                run: |n: &mut u32, args| Ok(format!("{n}{args:?}")).into(),
            },
            Command {
                name: "wait",
                usage: "",
                min: 0,
                max: 0,
                run: |_, _| Outcome::Later(Box::new(|n: &mut u32| (*n > 2).then(|| Ok("three".into())))),
            },
            Command { name: "pieces", usage: "", min: 0, max: 0, run: |_, _| Outcome::Pieces(pieces(3000)) },
            Command { name: "nothing", usage: "", min: 0, max: 0, run: |_, _| Outcome::Pieces(pieces(0)) },
        ]);
        registry
    }

    /// As many lines of a thousand characters, one a turn, without the end of the last.
    fn pieces(mut lines: u32) -> Pieces<u32> {
        Box::new(move |_, out| {
            if lines == 0 {
                return Progress::Done;
            }
            lines -= 1;
            out.push_str(&"\"".repeat(999));
            out.push_str(if lines == 0 { "." } else { "\n" });
            if lines.is_multiple_of(2) { Progress::Waiting } else { Progress::More }
        })
    }

    /// Sends `request` and turns the loop until the whole reply, of which `last` is the end, is there.
    fn exchange(request: &str, last: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ctl");
        let mut poll = mio::Poll::new().unwrap();
        let mut server = Server::listen(&path, poll.registry(), Token(7), commands()).unwrap();
        let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let (mut context, mut events, mut reply) = (0, mio::Events::with_capacity(8), String::new());
        for _ in 0..20_000 {
            let wait = server.urgency().unwrap_or(Duration::from_millis(5)).min(Duration::from_millis(1));
            poll.poll(&mut events, Some(wait)).unwrap();
            for event in &events {
                server.ready(event, &mut context);
            }
            context += 1;
            server.run(Instant::now(), &mut context);
            let mut buffer = [0; 65536];
            match client.read(&mut buffer) {
                Ok(0) => return reply + "<closed>",
                Ok(n) => reply.push_str(std::str::from_utf8(&buffer[..n]).unwrap()),
                Err(_) => {}
            }
            if reply.ends_with(last) {
                return reply;
            }
        }
        panic!("no reply, only {reply:?}");
    }

    #[test]
    fn requests_are_answered_in_order() {
        let reply = exchange(
            r#"{"id":1,"method":"wait","params":[]}{"id":2,"method":"count","params":["a"]}"#,
            r#"[\"a\"]\n"}"#,
        );
        let at = |text: &str| reply.find(text).unwrap_or_else(|| panic!("{text} not in {reply}"));
        assert!(at("three") < at(r#"[\"a\"]"#));
    }

    #[test]
    fn a_text_in_pieces_is_one_reply() {
        let reply = exchange(
            r#"{"id":1,"method":"pieces","params":[]}{"id":"x","method":"nothing","params":[]}{"id":3,"method":"count","params":[]}"#,
            "[]\\n\"}",
        );
        let replies: Vec<serde_json::Value> =
            serde_json::Deserializer::from_str(&reply).into_iter().map(Result::unwrap).collect();
        let text = replies[0]["result"].as_str().unwrap();
        assert_eq!((text.len(), text.lines().count(), replies[0]["id"].as_u64()), (3_000_001, 3000, Some(1)));
        assert!(text.ends_with("\".\n") && replies[0]["error"].is_null());
        assert_eq!((&replies[1]["result"], &replies[1]["id"]), (&"".into(), &"x".into()));
        assert_eq!(replies.len(), 3);
    }

    #[test]
    fn who_goes_while_a_text_comes_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ctl");
        let mut poll = mio::Poll::new().unwrap();
        let mut server = Server::listen(&path, poll.registry(), Token(7), commands()).unwrap();
        let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        client.write_all(br#"{"id":1,"method":"pieces","params":[]}"#).unwrap();
        let (mut context, mut events) = (0, mio::Events::with_capacity(8));
        let mut turn = |server: &mut Server<u32>| {
            poll.poll(&mut events, Some(Duration::from_millis(1))).unwrap();
            events.iter().for_each(|event| server.ready(event, &mut context));
            server.run(Instant::now(), &mut context);
        };
        let is_pending = |server: &Server<u32>| server.clients.values().any(Client::has_pending);
        while !is_pending(&server) {
            turn(&mut server);
        }
        (0..2000).for_each(|_| turn(&mut server));
        assert!(is_pending(&server) && !server.has_pending(), "it does not go on while nobody reads");
        drop(client);
        (0..3).for_each(|_| turn(&mut server));
        assert!(server.clients.is_empty());
    }

    #[test]
    fn errors_are_lines() {
        let reply = exchange(r#"{"id":1,"method":"nosuch","params":[]}"#, "}");
        assert!(
            reply.contains(
                r#"is not a valid command (use \"list-commands\" to see a list of valid commands)\n"#
            )
        );
        let reply = exchange(r#"{"id":1,"method":"count","params":[1]}"#, "}");
        assert!(reply.contains("non-string argument"));
    }

    #[test]
    fn who_waits_for_room_comes_in_when_there_is_some() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ctl");
        let mut poll = mio::Poll::new().unwrap();
        let mut server = Server::listen(&path, poll.registry(), Token(7), commands()).unwrap();
        let mut waiting: Vec<_> =
            (0..MAX_CLIENTS + 1).map(|_| std::os::unix::net::UnixStream::connect(&path).unwrap()).collect();
        let (mut context, mut events) = (0, mio::Events::with_capacity(128));
        let mut turn = |server: &mut Server<u32>| {
            poll.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
            events.iter().for_each(|event| server.ready(event, &mut context));
            server.run(Instant::now(), &mut context);
        };
        (0..5).for_each(|_| turn(&mut server));
        assert_eq!(server.clients.len(), MAX_CLIENTS);
        let last = waiting.pop().unwrap();
        waiting.truncate(1);
        for _ in 0..100 {
            if server.clients.len() == 2 {
                break;
            }
            turn(&mut server);
        }
        let mut reader = &last;
        reader.write_all(br#"{"id":1,"method":"count","params":[]}"#).unwrap();
        (0..5).for_each(|_| turn(&mut server));
        assert_ne!(reader.read(&mut [0; 64]).unwrap(), 0);
    }

    #[test]
    fn a_failure_to_accept_is_tried_again_by_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ctl");
        let poll = mio::Poll::new().unwrap();
        let mut server = Server::listen(&path, poll.registry(), Token(7), commands()).unwrap();
        let now = Instant::now();
        // As if the process had had no descriptor left when somebody came.
        let _client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        (server.knocked, server.retry) = (false, Some(now + RETRY));
        server.run(now, &mut 0);
        assert_eq!((server.clients.len(), server.next_wakeup()), (0, Some(now + RETRY)));
        server.run(now + RETRY, &mut 0);
        assert_eq!((server.clients.len(), server.next_wakeup()), (1, None));
    }

    #[test]
    fn nonsense_closes_the_connection() {
        assert_eq!(exchange("[]", "never"), "<closed>");
        assert_eq!(exchange("}{", "never"), "<closed>");
    }
}
