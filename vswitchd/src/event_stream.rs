//! A socket on which what becomes of connections is told as it happens: whoever connects reads a line of JSON an event, until it leaves.
//!
//! Each reader has a subscription of its own. While there is none, nothing is subscribed to and nothing costs anything. One that does not keep
//! up loses events, and a line says how many: the switch never waits for a reader, and keeps no more than [`HIGH_WATER`] and the
//! subscription's queue for it.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use conntrack::{Subscription, Tracker};
use mio::event::Event;
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use crate::commands::event_text::{self, Clock};

/// The most readers at once; more wait in the kernel's queue.
const MAX_READERS: usize = 8;
/// Events that wait for a reader.
const CAPACITY: usize = 16_384;
/// With so many bytes that were not taken, no more are made.
const HIGH_WATER: usize = 256 << 10;
/// The longest turn; each reader has an equal share of it.
const TURN: Duration = Duration::from_millis(1);
/// How soon to look for events again.
const WAIT: Duration = Duration::from_millis(20);

/// The socket and its readers.
pub struct EventStream {
    registry: Registry,
    listener: Option<(UnixListener, PathBuf)>,
    listener_token: Token,
    next_token: usize,
    readers: HashMap<Token, Reader>,
    /// Whether somebody may be waiting to be let in.
    knocked: bool,
    /// Whether the last turn left something to do.
    more: bool,
}

struct Reader {
    stream: UnixStream,
    subscription: Subscription,
    /// Lost events that were told of.
    lost: u64,
    output: Vec<u8>,
    /// The socket took no more.
    blocked: bool,
    closed: bool,
}

impl EventStream {
    /// One that is not there yet. The tokens are its own.
    pub fn new(registry: Registry, tokens: &Range<usize>) -> Self {
        Self {
            registry,
            listener: None,
            listener_token: Token(tokens.start),
            next_token: tokens.start + 1,
            readers: HashMap::new(),
            knocked: false,
            more: false,
        }
    }

    /// Listens at `path`, for its owner and group only. A socket that was left behind there is replaced.
    pub fn listen(&mut self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o750))?;
        self.registry.register(&mut listener, self.listener_token, Interest::READABLE)?;
        self.listener = Some((listener, path.to_owned()));
        Ok(())
    }

    /// Takes an event for one of the tokens.
    pub fn ready(&mut self, event: &Event) {
        if event.token() == self.listener_token {
            self.knocked = true;
        } else if let Some(reader) = self.readers.get_mut(&event.token()) {
            reader.blocked &= !event.is_writable();
            reader.listen();
        }
    }

    /// Lets in who waits and tells what has happened. Call in each turn of the control loop.
    pub fn run(&mut self, tracker: &Tracker) {
        self.readers.retain(|_, reader| !reader.closed);
        self.accept(tracker);
        let (share, clock) = (TURN / self.readers.len().max(1) as u32, Clock::now());
        self.more = false;
        for reader in self.readers.values_mut() {
            self.more |= reader.tell(clock, Instant::now() + share);
        }
    }

    /// How soon [`run`](Self::run) is wanted.
    pub fn urgency(&self) -> Option<Duration> {
        (!self.readers.is_empty()).then_some(if self.more { Duration::ZERO } else { WAIT })
    }

    fn accept(&mut self, tracker: &Tracker) {
        let Some((listener, _)) = &self.listener else { return };
        while self.knocked && self.readers.len() < MAX_READERS {
            // Whatever the error: who waits is heard of again with the next one that comes.
            let Ok((mut stream, _)) = listener.accept() else { return self.knocked = false };
            let token = Token(self.next_token);
            self.next_token += 1;
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.registry.register(&mut stream, token, interest).is_ok() {
                self.readers.insert(token, Reader::new(stream, tracker.subscribe(CAPACITY)));
            }
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.listener {
            let _ = fs::remove_file(path);
        }
    }
}

impl Reader {
    fn new(stream: UnixStream, subscription: Subscription) -> Self {
        Self { stream, subscription, lost: 0, output: Vec::new(), blocked: false, closed: false }
    }

    /// Passes over what it says; what matters is whether it is there.
    fn listen(&mut self) {
        let mut buffer = [0; 512];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return self.closed = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.closed = true,
            }
        }
    }

    /// Tells what has happened, until the turn is over; whether there is more that could be told.
    fn tell(&mut self, clock: Clock, until: Instant) -> bool {
        let mut text = String::new();
        let room = HIGH_WATER.saturating_sub(self.output.len());
        let mut more = true;
        while more && text.len() < room {
            match self.subscription.poll() {
                Some(event) => event_text::event(&mut text, &event, clock, true),
                None => more = false,
            }
            if Instant::now() >= until {
                break;
            }
        }
        let lost = self.subscription.lost();
        if lost > self.lost && room > 0 {
            event_text::lost(&mut text, lost - self.lost, clock, true);
            self.lost = lost;
        }
        self.output.extend_from_slice(text.as_bytes());
        self.write();
        more && !self.blocked && !self.closed
    }

    fn write(&mut self) {
        let mut written = 0;
        while written < self.output.len() && !self.blocked && !self.closed {
            match self.stream.write(&self.output[written..]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.blocked = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.closed = true,
            }
        }
        self.output.drain(..written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conntrack::{Config, Request};
    use packet::{Packet, extract};
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream as Client;

    /// A new connection from this port.
    fn commit(tracker: &Tracker, port: u16) {
        let l4 = frames::L4::Udp { src: port, dst: 53, checksum: true, payload: vec![0; 4] };
        let frame = frames::Frame::new(frames::Net::V4(frames::V4 { l4, ..frames::V4::default() })).build();
        let mut packet = Packet::copy_of(&frame).unwrap();
        let (mut key, mut layers) = extract(packet.data(), 2);
        let request = Request { commit: true, ..Request::default() };
        tracker.track(&request, &mut packet, &mut layers, &mut key, 1);
    }

    struct Rig {
        poll: mio::Poll,
        stream: EventStream,
        tracker: Tracker,
        path: PathBuf,
        _dir: tempfile::TempDir,
    }

    impl Rig {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x.events");
            let poll = mio::Poll::new().unwrap();
            let mut stream = EventStream::new(poll.registry().try_clone().unwrap(), &(7..100));
            stream.listen(&path).unwrap();
            Self { poll, stream, tracker: Tracker::new(Config::default()), path, _dir: dir }
        }

        fn turn(&mut self) {
            let mut events = mio::Events::with_capacity(8);
            self.poll.poll(&mut events, Some(Duration::from_millis(1))).unwrap();
            events.iter().for_each(|event| self.stream.ready(event));
            self.stream.run(&self.tracker);
        }

        fn connect(&mut self) -> Client {
            let (client, before) = (Client::connect(&self.path).unwrap(), self.stream.readers.len());
            while self.stream.readers.len() == before {
                self.turn();
            }
            client
        }
    }

    #[test]
    fn each_reader_is_told_from_its_arrival_on() {
        let mut rig = Rig::new();
        assert_eq!(rig.stream.urgency(), None);
        commit(&rig.tracker, 1);
        let first = rig.connect();
        commit(&rig.tracker, 2);
        let second = rig.connect();
        commit(&rig.tracker, 3);
        rig.turn();
        let lines = |client: &Client, count: usize| -> Vec<u64> {
            let lines = BufReader::new(client).lines().take(count);
            let event =
                |line: io::Result<String>| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap();
            lines.map(|line| event(line)["orig"]["sport"].as_u64().unwrap()).collect()
        };
        assert_eq!((lines(&first, 2), lines(&second, 1)), (vec![2, 3], vec![3]));
        drop((first, second));
        while !rig.stream.readers.is_empty() {
            rig.turn();
        }
        assert_eq!(rig.stream.urgency(), None);
    }

    #[test]
    fn no_reader_waits_for_another() {
        let mut rig = Rig::new();
        let clients = [rig.connect(), rig.connect()];
        (0..CAPACITY as u16).for_each(|port| commit(&rig.tracker, port));
        rig.turn();
        for mut client in &clients {
            client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut start = [0; 8];
            client.read_exact(&mut start).unwrap();
            assert_eq!(&start[..1], b"{");
        }
    }

    #[test]
    fn one_that_does_not_read_loses_and_is_told() {
        let mut rig = Rig::new();
        let client = rig.connect();
        for port in 0..u16::MAX {
            commit(&rig.tracker, port);
            if port % 1000 == 0 {
                rig.turn();
            }
        }
        let reader = rig.stream.readers.values().next().unwrap();
        assert!(reader.blocked && reader.output.len() < HIGH_WATER + 4096);
        assert!(reader.subscription.lost() > 0);
        client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let (mut text, mut buffer) = (String::new(), [0; 65_536]);
        for _ in 0..2_000 {
            rig.turn();
            if let Ok(n) = (&client).read(&mut buffer) {
                text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
            }
            if text.contains("\"event\":\"lost\"") {
                return;
            }
            // What a line of which only the start was read needs.
            text.drain(..text.rfind('\n').map_or(0, |at| at + 1));
        }
        panic!("nothing said of what was lost");
    }
}
