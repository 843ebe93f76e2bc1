//! One client: what it asks, and what it is answered.

use std::io::{self, Read, Write};
use std::time::Duration;

use mio::event::Event;
use mio::net::UnixStream;
use ovsdb::jsonrpc::{Framer, Message};
use serde_json::Value;

use super::registry::{Answer, Outcome, Pending, Pieces, Progress, Registry};

/// The longest request, in bytes.
const MAX_REQUEST: usize = 1 << 20;
/// With so many bytes that are not read yet, a text in pieces does not go on.
const HIGH_WATER: usize = 256 << 10;
/// How soon to ask again for an answer that comes later, and for a text that waits for something to happen.
const LATER_WAIT: Duration = Duration::from_millis(2);
const TEXT_WAIT: Duration = Duration::from_millis(20);

pub(super) struct Client<C> {
    stream: UnixStream,
    framer: Framer,
    /// What is still to be written, from `written` on.
    output: Vec<u8>,
    written: usize,
    /// The request that is being answered: requests are answered one at a time, in order.
    pending: Option<Request<C>>,
    closed: bool,
}

/// A request under way.
enum Request<C> {
    /// To be asked for its answer.
    Later(Value, Pending<C>),
    /// Its answer is being written.
    Text(Text<C>),
}

/// A reply whose text comes in pieces.
struct Text<C> {
    pieces: Pieces<C>,
    /// How the text ends so far.
    last: Option<char>,
    progress: Progress,
}

impl<C> Text<C> {
    /// Appends the start of the reply.
    fn begin(id: &Value, pieces: Pieces<C>, output: &mut Vec<u8>) -> Self {
        output.extend_from_slice(format!("{{\"error\":null,\"id\":{id},\"result\":\"").as_bytes());
        Self { pieces, last: None, progress: Progress::More }
    }

    /// Appends the next piece. Whether it was the last.
    fn step(&mut self, context: &mut C, output: &mut Vec<u8>) -> bool {
        let mut piece = String::new();
        self.progress = (self.pieces)(context, &mut piece);
        let done = self.progress == Progress::Done;
        self.last = piece.chars().next_back().or(self.last);
        if done && self.last.is_some_and(|last| last != '\n') {
            piece.push('\n');
        }
        let quoted = Value::String(piece).to_string();
        output.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
        if done {
            output.extend_from_slice(b"\"}");
        }
        done
    }
}

impl<C> Client<C> {
    pub(super) fn new(stream: UnixStream) -> Self {
        let framer = Framer::new(MAX_REQUEST);
        Self { stream, framer, output: Vec::new(), written: 0, pending: None, closed: false }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether a request waits for its answer, or for the rest of it.
    pub(super) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether a request waits for an answer that comes later.
    pub(super) fn waits_for_answer(&self) -> bool {
        matches!(self.pending, Some(Request::Later(..)))
    }

    /// Whether a request could go on. One whose client does not read waits for that.
    pub(super) fn has_work(&self) -> bool {
        self.has_pending() && self.unread() < HIGH_WATER
    }

    /// How soon a request is to go on.
    pub(super) fn urgency(&self) -> Option<Duration> {
        let pending = self.pending.as_ref().filter(|_| self.has_work())?;
        Some(match pending {
            Request::Later(..) => LATER_WAIT,
            Request::Text(text) if text.progress == Progress::Waiting => TEXT_WAIT,
            Request::Text(_) => Duration::ZERO,
        })
    }

    fn unread(&self) -> usize {
        self.output.len() - self.written
    }

    /// Notes what an event tells of the socket.
    pub(super) fn ready(&mut self, event: &Event) {
        // Nobody is there any more, even if something was sent before.
        self.closed |= event.is_write_closed();
    }

    /// Reads until there is no more or a command waits for its answer, and runs what is complete.
    pub(super) fn read(&mut self, commands: &Registry<C>, context: &mut C) {
        let mut buffer = [0; 4096];
        self.run_complete(commands, context);
        while self.pending.is_none() && !self.closed {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.closed = true,
                Ok(n) => {
                    self.framer.push(&buffer[..n]);
                    self.run_complete(commands, context);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.closed = true,
            }
        }
    }

    fn run_complete(&mut self, commands: &Registry<C>, context: &mut C) {
        while self.pending.is_none() && !self.closed {
            match self.framer.next_value() {
                Ok(Some(value)) => self.request(value, commands, context),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(target: "unixctl", "bad request: {error}");
                    self.closed = true;
                }
            }
        }
    }

    fn request(&mut self, value: Value, commands: &Registry<C>, context: &mut C) {
        let (id, method, params) = match Message::from_value(value) {
            Ok(Message::Request { id, method, params }) => (id, method, params),
            Ok(other) => {
                tracing::warn!(target: "unixctl", "received unexpected message: {}", other.to_value());
                return self.closed = true;
            }
            Err(error) => {
                tracing::warn!(target: "unixctl", "bad request: {error}");
                return self.closed = true;
            }
        };
        let Some(args) = string_arguments(&params) else {
            let error = format!("\"{method}\" command has non-string argument");
            return self.reply(id, Err(error));
        };
        tracing::debug!(target: "unixctl", "received request {method}{args:?}, id={id}");
        match commands.run(context, &method, &args) {
            Outcome::Done(answer) => self.reply(id, answer),
            Outcome::Later(poll) => self.pending = Some(Request::Later(id, poll)),
            Outcome::Pieces(pieces) => {
                self.pending = Some(Request::Text(Text::begin(&id, pieces, &mut self.output)));
            }
        }
    }

    /// Lets the request under way go on.
    pub(super) fn go_on(&mut self, context: &mut C) {
        match self.pending.take() {
            None => {}
            Some(Request::Later(id, mut poll)) => match poll(context) {
                Some(answer) => self.reply(id, answer),
                None => self.pending = Some(Request::Later(id, poll)),
            },
            Some(Request::Text(mut text)) => {
                let done = text.step(context, &mut self.output);
                self.pending = (!done).then_some(Request::Text(text));
            }
        }
    }

    fn reply(&mut self, id: Value, answer: Answer) {
        let message = match answer {
            Ok(text) if text.is_empty() => Message::Reply { id, result: text.into() },
            Ok(text) => Message::Reply { id, result: with_newline(text).into() },
            Err(text) => Message::Error { id, error: with_newline(text).into() },
        };
        self.output.extend_from_slice(&message.to_bytes());
    }

    pub(super) fn write(&mut self) {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.drop_written(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.closed = true,
            }
        }
        self.output.clear();
        self.written = 0;
    }

    /// Forgets what was written once that is more than what was not: a text in pieces must not pile up.
    fn drop_written(&mut self) {
        if self.written > self.unread() {
            self.output.drain(..self.written);
            self.written = 0;
        }
    }
}

fn string_arguments(params: &[Value]) -> Option<Vec<String>> {
    params.iter().map(|param| param.as_str().map(str::to_owned)).collect()
}

/// Texts end a line, which `ovs-appctl` counts on.
fn with_newline(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
