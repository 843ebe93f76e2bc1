//! SCTP (RFC 9260): states of an association and its verification tags, as a box in the middle sees them.
//!
//! # Algorithm
//!
//! Every packet carries the tag that its receiver chose when the association was made; the state machine believes only packets with the
//! right one (RFC 9260, 8.5), so that nobody off the path can end an association:
//!
//! - INIT has tag 0 and *offers* the tag of packets that go the other way; INIT ACK carries that and offers one in turn.
//! - COOKIE ECHO, with the offered tag, makes the two offered tags those of the association. So it is in a first handshake, when both sides open at once
//!   (5.2.1), and when one has lost its memory and opens again (5.2.2); before the COOKIE ECHO an INIT changes nothing.
//! - All others carry the association's tag; before there is one, the offered. ABORT and SHUTDOWN COMPLETE may carry the other side's own
//!   tag instead and say so by their T bit (8.5.1).
//!
//! An association that was not seen from its start is taken up as it is; the tag of the other side is the one that it uses first.
//!
//! # Invariants
//!
//! A packet is [`Judgement::Established`] only when the reply side has sent one that fits. What is invalid changes nothing.

use super::Judgement;
use crate::timeout::Stage;
use crate::view::SctpView;

const INIT: u16 = 1 << 1;
const INIT_ACK: u16 = 1 << 2;
const ABORT: u16 = 1 << 6;
const SHUTDOWN: u16 = 1 << 7;
const SHUTDOWN_ACK: u16 = 1 << 8;
const ERROR: u16 = 1 << 9;
const COOKIE_ECHO: u16 = 1 << 10;
const COOKIE_ACK: u16 = 1 << 11;
const SHUTDOWN_COMPLETE: u16 = 1 << 14;

/// Chunks that stand alone in their packet (RFC 9260, 6.10).
const ALONE: u16 = INIT | INIT_ACK | SHUTDOWN_COMPLETE;
/// Chunks that only ever answer others: no association is taken up by them.
const ANSWERS: u16 = INIT_ACK | ABORT | SHUTDOWN_ACK | ERROR | COOKIE_ACK | SHUTDOWN_COMPLETE;

/// State of an association (RFC 9260, 4). `SHUTDOWN_SENT` and `SHUTDOWN_RECD` are as the original side sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Aborted or shut down.
    Closed,
    /// An INIT was seen.
    CookieWait,
    /// A COOKIE ECHO was seen, or the association was taken up in the middle and one side has spoken.
    CookieEchoed,
    /// Open.
    Established,
    /// The original side has sent SHUTDOWN.
    ShutdownSent,
    /// The reply side has sent SHUTDOWN.
    ShutdownRecd,
    /// A SHUTDOWN ACK was seen.
    ShutdownAckSent,
}

impl State {
    /// As dumps write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::CookieWait => "COOKIE_WAIT",
            Self::CookieEchoed => "COOKIE_ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownSent => "SHUTDOWN_SENT",
            Self::ShutdownRecd => "SHUTDOWN_RECD",
            Self::ShutdownAckSent => "SHUTDOWN_ACK_SENT",
        }
    }
}

/// State of an SCTP association. Tags are by the direction of the packets that carry them, original first; 0: not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sctp {
    tags: [u32; 2],
    offered: [u32; 2],
    state: State,
    /// Direction of the last COOKIE ECHO; its answer comes from the other.
    echoed_by: u8,
    replied: bool,
}

const _: () = assert!(size_of::<Sctp>() <= 20);

impl Sctp {
    /// The state after the first packet of an association.
    pub(crate) fn start(packet: &SctpView) -> Option<Self> {
        if !packet.is_sane() || packet.has(ANSWERS) {
            return None;
        }
        let mut new = Self {
            tags: [packet.vtag, 0],
            offered: [0; 2],
            state: State::CookieEchoed,
            echoed_by: 0,
            replied: false,
        };
        if packet.has(INIT) {
            new.state = State::CookieWait;
            new.offered = [0, packet.init_tag];
        }
        Some(new)
    }

    /// Its state.
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Whether the handshake is not done.
    pub(crate) fn is_half_open(&self) -> bool {
        !self.replied || matches!(self.state, State::CookieWait | State::CookieEchoed)
    }

    /// Takes a packet into account. No stage: the timeout goes on as it is.
    pub(crate) fn judge(&mut self, packet: &SctpView, reply: bool) -> (Judgement, Option<Stage>) {
        let from = usize::from(reply);
        if !packet.is_sane() || !self.is_tagged(packet, from) {
            return (Judgement::Invalid, None);
        }
        if self.state == State::Closed {
            let judgement = if packet.has(INIT) { Judgement::Restart } else { self.seen(reply) };
            return (judgement, None);
        }
        self.handshake(packet, from);
        self.shutdown(packet, from);
        (self.seen(reply), Some(self.stage()))
    }

    fn seen(&mut self, reply: bool) -> Judgement {
        self.replied |= reply;
        if self.replied { Judgement::Established } else { Judgement::New }
    }

    /// Whether the packet carries the tag that it must.
    fn is_tagged(&self, packet: &SctpView, from: usize) -> bool {
        // 0: this direction's tag is not known yet.
        let own = [self.tags[from], self.offered[from]].into_iter().find(|tag| *tag != 0).unwrap_or(0);
        let others = [self.tags[1 - from], self.offered[1 - from]].into_iter().find(|tag| *tag != 0);
        if packet.has(INIT) {
            packet.vtag == 0
        } else if packet.has(INIT_ACK) {
            packet.vtag == self.offered[from]
        } else if packet.has(COOKIE_ECHO) && self.offered[from] != 0 && packet.vtag == self.offered[from] {
            true
        } else if packet.reflected {
            others == Some(packet.vtag)
        } else if own == 0 {
            // Only where it was taken up in the middle does a direction speak without having been offered a tag.
            self.state == State::CookieEchoed
        } else {
            packet.vtag == own
        }
    }

    /// INIT, INIT ACK, COOKIE ECHO and COOKIE ACK.
    fn handshake(&mut self, packet: &SctpView, from: usize) {
        let to = 1 - from;
        if packet.has(INIT) {
            if self.tags != [0; 2] {
                self.offered[from] = 0;
            }
            self.offered[to] = packet.init_tag;
        } else if packet.has(INIT_ACK) {
            self.offered[to] = packet.init_tag;
        } else if packet.has(COOKIE_ECHO) {
            let is_offer = packet.vtag == self.offered[from] && self.offered[to] != 0;
            if is_offer && self.tags != self.offered {
                self.tags = self.offered;
                self.state = State::CookieEchoed;
                self.echoed_by = from as u8;
            }
        } else if self.tags[from] == 0 && self.state == State::CookieEchoed {
            self.tags[from] = packet.vtag;
            self.state = State::Established;
        } else if packet.has(COOKIE_ACK)
            && self.state == State::CookieEchoed
            && from != usize::from(self.echoed_by)
        {
            self.state = State::Established;
        }
    }

    /// SHUTDOWN, SHUTDOWN ACK, SHUTDOWN COMPLETE and ABORT.
    fn shutdown(&mut self, packet: &SctpView, from: usize) {
        let is_closing = matches!(self.state, State::ShutdownSent | State::ShutdownRecd);
        if packet.has(ABORT) || (packet.has(SHUTDOWN_COMPLETE) && self.state == State::ShutdownAckSent) {
            self.state = State::Closed;
        } else if packet.has(SHUTDOWN) && self.state == State::Established {
            self.state = if from == 0 { State::ShutdownSent } else { State::ShutdownRecd };
        } else if packet.has(SHUTDOWN_ACK) && is_closing {
            self.state = State::ShutdownAckSent;
        }
    }

    fn stage(&self) -> Stage {
        match self.state {
            State::CookieWait | State::CookieEchoed => Stage::SctpOpening,
            State::Established => Stage::SctpEstablished,
            _ => Stage::SctpClosing,
        }
    }
}

impl SctpView {
    fn has(&self, chunks: u16) -> bool {
        self.chunks & chunks != 0
    }

    /// What no state is needed to judge: lonely chunks are alone, only INIT has tag 0 (RFC 9260, 8.5), and no tag of 0 is offered (3.3.2).
    fn is_sane(&self) -> bool {
        (!self.has(ALONE) || self.count == 1)
            && self.has(INIT) == (self.vtag == 0)
            && (!self.has(INIT | INIT_ACK) || self.init_tag != 0)
    }
}
