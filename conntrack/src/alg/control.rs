//! What a packet of a control connection announces, and what follows from it: who may connect where, and what the other side is to be told.
//!
//! # Who connects to whom
//!
//! A packet of one direction has the tuple `here`; the other direction's is `there`. Its sender is `here.src` in its own eyes
//! and `there.dst` in those of its peer, who is `there.src` and, to the sender, `here.dst`. So the peer will connect from `there.src` to
//! `there.dst`, and that is to become a connection from `here.dst` to `here.src`. Nothing else needs to be known of how the control
//! connection is translated.
//!
//! # What is believed
//!
//! - Text from the start of a line only: somebody may get a server to send what looks like an announcement in the middle of one.
//! - An address only if it is the sender's own, or the one under which the peer knows it: else a client could be made to
//!   open the way to a third party (the bounce attack of RFC 2577). A packet with another is invalid.

use std::net::IpAddr;

use super::ftp::{self, Form};
use super::stream::Stream;
use super::tftp;
use crate::request::{Helper, NatChoice, NatRange, NatSide};
use crate::tuple::{Addr, Tuple};

/// Starts of lines that are remembered: segments may come in another order.
const LINES: usize = 4;

/// FTP's server port, by which the two sides are told apart where the connection was not seen from its start.
const FTP: u16 = 21;

/// What a control connection needs to remember.
#[derive(Clone, Debug, Default)]
pub(crate) struct Control {
    /// Of the original direction and of replies.
    lines: [Lines; 2],
    /// How their text is edited.
    streams: [Stream; 2],
}

/// Sequence numbers at which lines start.
#[derive(Clone, Debug, Default)]
struct Lines {
    starts: [u32; LINES],
    seen: usize,
}

/// What a packet announces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// A connection.
    Connection(Wanted),
    /// A connection to somebody else.
    Stranger,
}

/// A connection that is announced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    /// Its first packet, source port 0, as it comes in.
    pub(crate) tuple: Tuple,
    /// How it is translated.
    pub(crate) nat: Option<NatRange>,
    /// Where it is announced; `None` where the announcement is no text.
    pub(crate) text: Option<Text>,
}

/// Address and port in a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Text {
    form: Form,
    /// The sender's sequence number of the first byte.
    start: u32,
    len: u32,
    /// The address and port that stand there.
    said: (Option<IpAddr>, u16),
    /// The address that the peer is to be told.
    addr: IpAddr,
}

impl Control {
    /// Reads the transport header and payload of a packet with the tuple `here`. `reply`: it goes in the reply direction.
    pub(crate) fn hear(
        &mut self,
        helper: Helper,
        (here, there): (&Tuple, &Tuple),
        reply: bool,
        segment: &[u8],
    ) -> Option<Heard> {
        match helper {
            Helper::Ftp if here.proto == 6 => self.hear_ftp(here, there, reply, segment),
            Helper::Tftp if here.proto == 17 && !reply => hear_tftp(here, there, segment),
            _ => None,
        }
    }

    fn hear_ftp(&mut self, here: &Tuple, there: &Tuple, reply: bool, segment: &[u8]) -> Option<Heard> {
        let header: &[u8; 20] = segment.first_chunk()?;
        let payload =
            segment.get(usize::from(header[12] >> 4) * 4..).filter(|payload| !payload.is_empty())?;
        let seq = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let lines = &mut self.lines[usize::from(reply)];
        if lines.seen == 0 {
            // Nothing was said before, as far as is known.
            lines.add(seq);
        }
        let at_line_start = lines.is_start(seq);
        if payload.ends_with(b"\n") {
            lines.add(seq.wrapping_add(payload.len() as u32));
        }
        self.streams[usize::from(reply)].advance(seq);
        if !at_line_start {
            return None;
        }
        let original = if reply { there } else { here };
        let turned = original.sport == FTP && original.dport != FTP;
        let from = if reply == turned { ftp::From::Client } else { ftp::From::Server };
        let found = ftp::find(payload, from).filter(|found| found.port != 0)?;
        if found.addr.is_some_and(|addr| addr != here.src_ip() && addr != there.dst_ip()) {
            return Some(Heard::Stranger);
        }
        let start = seq.wrapping_add(found.span.start as u32);
        let said = (found.addr, found.port);
        let text = Text { form: found.form, start, len: found.span.len() as u32, said, addr: there.dst_ip() };
        let (tuple, nat) = expected(here, there, found.port, found.port);
        Some(Heard::Connection(Wanted { tuple, nat, text: Some(text) }))
    }

    /// Notes that the peer is to read this port, and its address, if something else stands in the segment.
    pub(crate) fn tell(&mut self, text: &Text, port: u16, reply: bool) {
        let (addr, said) = text.said;
        if said != port || addr.is_some_and(|addr| addr != text.addr) {
            let stream = &mut self.streams[usize::from(reply)];
            stream.edit(text.start, text.len, ftp::text(text.form, text.addr, port).as_bytes());
        }
    }

    /// The stream that a direction's text is of, and that which it acknowledges, if either is edited.
    pub(crate) fn edited(&self, reply: bool) -> Option<(&Stream, &Stream)> {
        let (there, back) = (&self.streams[usize::from(reply)], &self.streams[usize::from(!reply)]);
        (!there.is_plain() || !back.is_plain()).then_some((there, back))
    }
}

fn hear_tftp(here: &Tuple, there: &Tuple, segment: &[u8]) -> Option<Heard> {
    let (tuple, nat) = expected(here, there, here.sport, there.dport);
    let wanted = Wanted { tuple, nat, text: None };
    tftp::is_request(segment.get(8..)?).then_some(Heard::Connection(wanted))
}

/// The connection to the sender's `port`, which its peer knows as `known_as`, and how it is translated.
fn expected(here: &Tuple, there: &Tuple, port: u16, known_as: u16) -> (Tuple, Option<NatRange>) {
    let tuple = Tuple { sport: 0, dport: known_as, ..*there };
    let to = |side, addr: Addr, ports| {
        let ip = Tuple { src: addr, ..*here }.src_ip();
        NatRange { side, addrs: Some((ip, ip)), ports, choice: NatChoice::Default, persistent: false }
    };
    let nat = if (there.dst, known_as) != (here.src, port) {
        Some(to(NatSide::Dst, here.src, Some((port, port))))
    } else if there.src != here.dst {
        Some(to(NatSide::Src, here.dst, None))
    } else {
        None
    };
    (tuple, nat)
}

impl Lines {
    fn is_start(&self, seq: u32) -> bool {
        self.starts[..self.seen.min(LINES)].contains(&seq)
    }

    fn add(&mut self, seq: u32) {
        if !self.is_start(seq) {
            self.starts[self.seen % LINES] = seq;
            self.seen += 1;
        }
    }
}
