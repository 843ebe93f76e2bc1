//! One OpenFlow connection as messages: framing, the exchange of hellos, a queue of what is to be sent.
//!
//! Received bytes are collected until a whole message is there; the message is handed on as it came. What is sent is queued
//! without limit here; whoever queues looks at [`Vconn::queued`] and [`Vconn::congested`] first. Each queued message is of one [`Kind`], so that
//! a flood of one kind is cut off without harm to the others.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use openflow::header::take_message;
use openflow::{OfError, Version, Versions};
use stream::Stream;

use super::hello;

/// Messages in the queue beyond which no further request is read.
const HIGH_MESSAGES: usize = 100;
/// Bytes in the queue beyond which no further request is read.
const HIGH_BYTES: usize = 512 * 1024;
/// Messages of another version that are answered in one go.
const REFUSED_AT_ONCE: usize = 16;
/// Bytes that are gathered for one write.
const WRITE_CHUNK: usize = 64 * 1024;
/// Bytes asked for in one read.
const READ_CHUNK: usize = 64 * 1024;

/// Why a message was queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// In answer to a request.
    Reply,
    /// A packet-in.
    PacketIn,
    /// Any other message that nobody asked for.
    Async,
}

/// What a message counts towards congestion.
fn weight(kind: Kind, message: &Bytes) -> usize {
    if kind == Kind::PacketIn { 0 } else { message.len() }
}

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The byte stream is not there yet.
    Connecting,
    /// Our hello is queued; theirs is awaited.
    Hello,
    /// A version is agreed on.
    Ready(Version),
    /// An error message is on its way out, then it is over.
    Incompatible,
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VconnError {
    /// the peer closed it
    #[error("connection closed by peer")]
    Closed,
    /// the byte stream failed
    #[error("{}", system_text(.0))]
    Io(#[from] io::Error),
    /// the peer does not speak OpenFlow, or none of our versions
    #[error("Protocol error")]
    Protocol,
}

/// The text of a system error without the code that `io::Error` appends.
fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// An OpenFlow connection.
#[derive(Debug)]
pub(crate) struct Vconn {
    stream: Stream,
    state: State,
    allowed: Versions,
    received: BytesMut,
    /// The socket may have bytes.
    readable: bool,
    /// `received` may hold a whole message.
    unread: bool,
    sending: BytesMut,
    queue: VecDeque<(Kind, Bytes)>,
    counts: [usize; 3],
    /// Bytes of replies and notices: packets have a bound of their own.
    queued_bytes: usize,
}

impl Vconn {
    /// Takes over a stream, connected or connecting.
    pub(crate) fn new(stream: Stream, allowed: Versions) -> Self {
        Self {
            stream,
            state: State::Connecting,
            allowed,
            received: BytesMut::new(),
            readable: true,
            unread: false,
            sending: BytesMut::new(),
            queue: VecDeque::new(),
            counts: [0; 3],
            queued_bytes: 0,
        }
    }

    /// The byte stream, for (de)registering.
    pub(crate) fn stream_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The version agreed on, once it is.
    pub(crate) fn version(&self) -> Option<Version> {
        match self.state {
            State::Ready(version) => Some(version),
            _ => None,
        }
    }

    /// Notes that the stream may be readable or writable again.
    pub(crate) fn on_event(&mut self) {
        self.readable = true;
    }

    /// Whether [`recv`](Self::recv) is worth a call.
    pub(crate) fn may_read(&self) -> bool {
        self.readable || self.unread
    }

    /// Goes on with connecting and the exchange of hellos; the version once there is one. `name` is for the log.
    pub(crate) fn handshake(&mut self, name: &str) -> Result<Option<Version>, VconnError> {
        if self.state == State::Connecting && self.stream.finish_connect()? {
            self.send(Kind::Reply, hello::encode(self.allowed, 1));
            self.state = State::Hello;
        }
        self.flush()?;
        if self.state == State::Hello {
            self.fill()?;
            if let Some(message) = self.take_message()? {
                self.negotiate(&message, name)?;
            }
        }
        match self.state {
            State::Incompatible if self.queue.is_empty() && self.sending.is_empty() => {
                Err(VconnError::Protocol)
            }
            _ => Ok(self.version()),
        }
    }

    fn negotiate(&mut self, message: &Bytes, name: &str) -> Result<(), VconnError> {
        let Some(theirs) = hello::decode(message) else {
            tracing::warn!(target: "vconn", "{name}: received message while expecting hello (type {})", message[1]);
            return Err(VconnError::Protocol);
        };
        match self.allowed.negotiate(theirs) {
            Some(version) => self.state = State::Ready(version),
            None => {
                tracing::warn!(
                    target: "vconn",
                    "{name}: version negotiation failed (we support {}, peer supports {})",
                    hello::describe(self.allowed),
                    hello::describe(theirs)
                );
                self.send(Kind::Reply, hello::encode_incompatible(self.allowed, theirs));
                self.state = State::Incompatible;
                self.flush()?;
            }
        }
        Ok(())
    }

    /// The next message of the agreed version, `None` when there is no whole one. Messages of another version are answered here.
    pub(crate) fn recv(&mut self) -> Result<Option<Bytes>, VconnError> {
        let Some(version) = self.version() else { return Ok(None) };
        for _ in 0..REFUSED_AT_ONCE {
            if self.congested() {
                break;
            }
            let mut taken = self.take_message()?;
            if taken.is_none() {
                self.fill()?;
                taken = self.take_message()?;
            }
            self.unread = taken.is_some();
            let Some(message) = taken else { return Ok(None) };
            // Hello, error, echo request and reply are the same in every version.
            if message[0] == version.wire() || message[1] <= 3 {
                return Ok(Some(message));
            }
            self.send(Kind::Reply, hello::encode_error(version, OfError::OFPBRC_BAD_VERSION, &message));
        }
        // There may be more; a later turn goes on.
        self.unread = true;
        Ok(None)
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, kind: Kind, message: Bytes) {
        self.counts[kind as usize] += 1;
        self.queued_bytes += weight(kind, &message);
        self.queue.push_back((kind, message));
    }

    /// How many messages of a kind are queued.
    pub(crate) fn queued(&self, kind: Kind) -> usize {
        self.counts[kind as usize]
    }

    /// Whether so much is queued that no more requests should be read. Packets do not count: they are cut off by themselves.
    pub(crate) fn congested(&self) -> bool {
        self.queued(Kind::Reply) >= HIGH_MESSAGES || self.queued_bytes >= HIGH_BYTES
    }

    /// Whether anything waits to be sent.
    pub(crate) fn has_output(&self) -> bool {
        !self.sending.is_empty() || !self.queue.is_empty()
    }

    /// Sends what the stream takes; returns whether any message left the queue.
    pub(crate) fn flush(&mut self) -> Result<bool, VconnError> {
        if self.state == State::Connecting {
            return Ok(false);
        }
        let before = self.queue.len();
        loop {
            self.gather();
            if self.sending.is_empty() {
                break;
            }
            match self.stream.write(&self.sending) {
                Ok(sent) => self.sending.advance(sent),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        match self.stream.flush() {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => Err(e.into()),
            _ => Ok(self.queue.len() < before),
        }
    }

    fn gather(&mut self) {
        while self.sending.len() < WRITE_CHUNK {
            let Some((kind, message)) = self.queue.pop_front() else { break };
            self.counts[kind as usize] -= 1;
            self.queued_bytes -= weight(kind, &message);
            self.sending.extend_from_slice(&message);
        }
    }

    /// Reads once, if there may be something.
    fn fill(&mut self) -> Result<(), VconnError> {
        if !self.readable {
            return Ok(());
        }
        let old = self.received.len();
        self.received.resize(old + READ_CHUNK, 0);
        let got = self.stream.read(&mut self.received[old..]);
        self.received.truncate(old + got.as_ref().copied().unwrap_or(0));
        match got {
            Ok(0) => Err(VconnError::Closed),
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn take_message(&mut self) -> Result<Option<Bytes>, VconnError> {
        take_message(&mut self.received).map_err(|error| {
            tracing::warn!(target: "vconn", "{error}");
            VconnError::Protocol
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream as Plain;

    use super::*;

    /// A connection and its far end; the far end does not block.
    fn pair(allowed: Versions) -> (Vconn, Plain) {
        let (near, far) = Plain::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        (Vconn::new(Stream::Unix(mio::net::UnixStream::from_std(near)), allowed), far)
    }

    fn read_all(far: &mut Plain) -> Vec<u8> {
        let mut buf = vec![0; 1 << 20];
        let n = far.read(&mut buf).unwrap_or(0);
        buf.truncate(n);
        buf
    }

    #[test]
    fn hello_then_messages_in_any_cut() {
        let (mut vconn, mut far) = pair(Versions::ALL);
        assert_eq!(vconn.handshake("x").unwrap(), None);
        assert_eq!(read_all(&mut far)[..8], [6, 0, 0, 8, 0, 0, 0, 1]);
        far.write_all(&[4, 0, 0, 8, 0, 0, 0, 9, 4, 20, 0]).unwrap();
        vconn.on_event();
        assert_eq!(vconn.handshake("x").unwrap(), Some(Version::V13));
        assert!(vconn.recv().unwrap().is_none());
        far.write_all(&[8, 0, 0, 0, 7]).unwrap();
        vconn.on_event();
        assert_eq!(&vconn.recv().unwrap().unwrap()[..], [4, 20, 0, 8, 0, 0, 0, 7]);
        drop(far);
        vconn.on_event();
        assert!(matches!(vconn.recv(), Err(VconnError::Closed)));
    }

    #[test]
    fn incompatible_peer_gets_an_error_and_is_dropped() {
        let (mut vconn, mut far) = pair(Versions::only(Version::V13));
        far.write_all(&[1, 0, 0, 8, 0, 0, 0, 9]).unwrap();
        assert!(matches!(vconn.handshake("x"), Err(VconnError::Protocol)));
        let sent = read_all(&mut far);
        assert_eq!(sent[16..18], [1, 1], "an error in version 1.0");
        assert_eq!(sent[24..28], [0, 0, 0, 0], "hello failed, incompatible");
    }

    #[test]
    fn other_version_is_answered_and_short_length_ends_it() {
        let (mut vconn, mut far) = pair(Versions::ALL);
        far.write_all(&[4, 0, 0, 8, 0, 0, 0, 9, 1, 5, 0, 8, 0, 0, 0, 3]).unwrap();
        while vconn.handshake("x").unwrap().is_none() {}
        read_all(&mut far);
        assert!(vconn.recv().unwrap().is_none());
        vconn.flush().unwrap();
        let error = read_all(&mut far);
        assert_eq!(error[..2], [4, 1]);
        assert_eq!(error[8..12], [0, 1, 0, 0], "bad request, bad version");
        far.write_all(&[4, 0, 0, 7, 0, 0, 0, 9]).unwrap();
        vconn.on_event();
        assert!(matches!(vconn.recv(), Err(VconnError::Protocol)));
    }

    #[test]
    fn packets_do_not_keep_requests_waiting() {
        let (mut vconn, _far) = pair(Versions::ALL);
        let packet = Bytes::from(vec![0; HIGH_BYTES]);
        (0..3).for_each(|_| vconn.send(Kind::PacketIn, packet.clone()));
        assert!(!vconn.congested());
        vconn.send(Kind::Async, packet);
        assert!(vconn.congested());
    }

    #[test]
    fn full_socket_keeps_the_rest_in_order() {
        let (mut vconn, mut far) = pair(Versions::ALL);
        far.write_all(&[4, 0, 0, 8, 0, 0, 0, 9]).unwrap();
        while vconn.handshake("x").unwrap().is_none() {}
        read_all(&mut far);
        let message = |n: u32| {
            let mut m = vec![4, 3, 0xff, 0xf8];
            m.extend_from_slice(&n.to_be_bytes());
            m.resize(0xfff8, 0);
            Bytes::from(m)
        };
        (0..40).for_each(|n| vconn.send(Kind::Reply, message(n)));
        assert!(vconn.congested());
        let mut got = Vec::new();
        while got.len() < 40 * 0xfff8 {
            vconn.flush().unwrap();
            got.extend(read_all(&mut far));
        }
        let order: Vec<u8> = got.chunks(0xfff8).map(|m| m[7]).collect();
        assert_eq!(order, (0..40).collect::<Vec<u8>>());
        assert!(!vconn.has_output());
        assert_eq!(vconn.queued(Kind::Reply), 0);
    }
}
