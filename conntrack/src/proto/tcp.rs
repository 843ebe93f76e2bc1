//! TCP: both peers' states and windows, as a box in the middle sees them.
//!
//! # Algorithm
//!
//! Each side has a record of what it may send, after Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2001), whose
//! rules BSD's pf and Open vSwitch's userspace tracker follow too:
//!
//! - `low`: the end of the highest sequence number it has sent;
//! - `high`: the highest end that the other side's acknowledgements and windows permit;
//! - `window`: the largest window it has offered, in units of its scale (RFC 7323).
//!
//! A segment from `seq` to `end` with acknowledgement `ack` fits when `end` is not above the sender's `high`, `seq` not more than one
//! window of the other side below the sender's `low`, and `ack` within [`ACK_SLACK`] of what the other side has sent. A reset must also
//! hit the next sequence number, give or take one. What fits moves the records on.
//!
//! A segment that does not fit is let off while the other side has not been heard of (the tracker came in the middle) or once
//! either side is closed (late segments), if it is within [`ACK_SLACK`]; it renews no timeout. All else is invalid and changes nothing.
//!
//! # States of a side
//!
//! `CLOSED`: nothing sent. `SYN_SENT`: something sent. `ESTABLISHED`: that has been acknowledged. `CLOSING`: a FIN sent. `FIN_WAIT_2`: the FIN has been
//! acknowledged. `TIME_WAIT`: the connection was reset. They only go up, and the connection's stage follows from both.
//!
//! # Invariants
//!
//! A segment is [`Judgement::Established`] only when the other side of the original direction has sent one that fits, or is itself that
//! one. (Open vSwitch calls every segment but a bare SYN established; the peer may be fiction.)
//!
//! Costs: no memory beyond 28 bytes, some twenty comparisons.

use super::{Judgement, Rules};
use crate::timeout::Stage;
use crate::view::TcpView;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

/// How far an acknowledgement may be off, in bytes: the largest unscaled window and one large segment.
const ACK_SLACK: u32 = 0xffff + 1500;

/// State of one side, in the order in which a side passes them. The names are those of a host's own states (RFC 9293, 3.3.2); a
/// box in the middle tells only some of them apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum State {
    /// Nothing was sent.
    #[default]
    Closed,
    /// Unused.
    Listen,
    /// Something was sent, usually a SYN.
    SynSent,
    /// Unused.
    SynRecv,
    /// What was sent first has been acknowledged.
    Established,
    /// Unused.
    CloseWait,
    /// Unused.
    FinWait1,
    /// A FIN was sent.
    Closing,
    /// Unused.
    LastAck,
    /// The FIN was acknowledged.
    FinWait2,
    /// The connection was reset.
    TimeWait,
}

impl State {
    /// As dumps write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::Established => "ESTABLISHED",
            Self::CloseWait => "CLOSE_WAIT",
            Self::FinWait1 => "FIN_WAIT_1",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST_ACK",
            Self::FinWait2 => "FIN_WAIT_2",
            Self::TimeWait => "TIME_WAIT",
        }
    }

    /// The one state of a connection whose sides are in two, as short dumps write it.
    pub fn of_connection(orig: Self, reply: Self) -> Self {
        match orig.max(reply) {
            Self::FinWait2 => Self::TimeWait,
            Self::SynRecv => Self::Established,
            state => state,
        }
    }
}

/// What is known of a side's window scale (RFC 7323).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowScale {
    /// It offered none, or its offer does not hold.
    None,
    /// The shift that it offered.
    Shift(u8),
    /// Its SYN was not seen, so that its windows are judged liberally.
    Unknown,
}

/// Window scale of a side (RFC 7323): the shift, [`Scale::NONE`] or [`Scale::UNKNOWN`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Scale(u8);

impl Scale {
    /// The side has not offered one, or its offer does not hold.
    const NONE: Self = Self(0xff);
    /// The SYN was not seen.
    const UNKNOWN: Self = Self(0xfe);
    /// Largest shift (RFC 7323, 2.3).
    const MAX: u8 = 14;

    fn of(option: Option<u8>) -> Self {
        option.map_or(Self::NONE, |shift| Self(shift.min(Self::MAX)))
    }

    fn shift(self) -> Option<u8> {
        (self.0 <= Self::MAX).then_some(self.0)
    }
}

/// What is known of one side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Peer {
    low: u32,
    high: u32,
    window: u16,
    scale: Scale,
    state: State,
}

impl Peer {
    /// A side that has sent nothing.
    const SILENT: Self = Self { low: 0, high: 1, window: 1, scale: Scale::NONE, state: State::Closed };

    /// The side that sends the first segment of a connection.
    fn opening(segment: &TcpView) -> Self {
        let is_syn = segment.flags & SYN != 0;
        let scale = if is_syn { Scale::of(segment.wscale) } else { Scale::UNKNOWN };
        Self {
            low: segment.seq,
            high: segment.end().wrapping_add(1),
            window: descale(segment.window.max(1), scale.shift().unwrap_or(0)),
            scale,
            state: State::SynSent,
        }
    }

    /// Bytes of the largest window offered.
    fn window_bytes(&self, shift: u8) -> u32 {
        u32::from(self.window) << shift
    }
}

/// A window of a SYN, which is never scaled, in the units of later ones; rounded up.
fn descale(window: u16, shift: u8) -> u16 {
    // At most `window`, so it fits.
    u32::from(window).div_ceil(1 << shift) as u16
}

/// Whether `a` is at or after `b` (RFC 9293, 3.4).
fn at_or_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() >= 0
}

/// A flag combination that no sane sender uses.
fn is_senseless(flags: u8) -> bool {
    let has = |flag: u8| flags & flag != 0;
    if has(SYN) && has(RST | FIN) || !has(SYN | ACK | RST) {
        return true;
    }
    !has(ACK) && has(FIN | PSH | URG)
}

impl TcpView {
    /// Sequence number after this segment: SYN and FIN take one each.
    fn end(&self) -> u32 {
        let one = |flag: u8| u32::from(self.flags & flag != 0);
        self.seq.wrapping_add(self.payload).wrapping_add(one(SYN)).wrapping_add(one(FIN))
    }

    fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

/// State of a TCP connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tcp {
    /// Of the original direction, and of replies.
    peers: [Peer; 2],
    /// The reply side has sent a segment that fits.
    replied: bool,
}

const _: () = assert!(size_of::<Tcp>() == 28);

/// A segment while it is judged: the records of its sender and its receiver, and what it is measured by.
struct Measure {
    src: Peer,
    dst: Peer,
    src_shift: u8,
    dst_shift: u8,
    seq: u32,
    end: u32,
    ack: u32,
    window: u16,
    /// The acknowledgement says nothing: it is the sender's first segment, and nothing bound it.
    any_ack: bool,
}

impl Tcp {
    /// The state after the first segment of a connection. A SYN|ACK, and what makes no sense, start none; any other starts one in the middle.
    pub(crate) fn start(segment: &TcpView) -> Option<Self> {
        if is_senseless(segment.flags) || segment.has(SYN | ACK) {
            return None;
        }
        let silent = if segment.has(SYN) { Scale::NONE } else { Scale::UNKNOWN };
        let peers = [Peer::opening(segment), Peer { scale: silent, ..Peer::SILENT }];
        Some(Self { peers, replied: false })
    }

    /// States of the original side and of the reply side.
    pub(crate) fn states(&self) -> [State; 2] {
        self.peers.map(|peer| peer.state)
    }

    /// Window scales of both sides.
    pub(crate) fn scales(&self) -> [WindowScale; 2] {
        self.peers.map(|peer| match peer.scale {
            Scale::NONE => WindowScale::None,
            Scale::UNKNOWN => WindowScale::Unknown,
            Scale(shift) => WindowScale::Shift(shift),
        })
    }

    /// Whether the handshake is not done.
    pub(crate) fn is_half_open(&self) -> bool {
        !self.replied || self.states().into_iter().min() < Some(State::Established)
    }

    /// Takes a segment into account. No stage: the timeout goes on as it is.
    pub(crate) fn judge(
        &mut self,
        segment: &TcpView,
        reply: bool,
        rules: Rules,
    ) -> (Judgement, Option<Stage>) {
        if is_senseless(segment.flags) {
            return (Judgement::Invalid, None);
        }
        let sender = usize::from(reply);
        let (src, dst) = (self.peers[sender], self.peers[1 - sender]);
        let is_bare_syn = segment.flags & (SYN | ACK) == SYN;
        if is_bare_syn && src.state >= State::FinWait2 && dst.state >= State::FinWait2 {
            return (Judgement::Restart, None);
        }
        if is_bare_syn && src.state <= State::SynSent {
            self.open_again(segment, sender);
            return (Judgement::New, Some(Stage::TcpFirst));
        }
        let mut measure = Measure::new(segment, src, dst);
        let stage = if !rules.tcp_seq_check || measure.fits(segment) {
            measure.advance();
            measure.enter(segment);
            Some(measure.stage())
        } else if measure.is_excusable() {
            measure.advance();
            measure.close(segment);
            None
        } else {
            return (Judgement::Invalid, None);
        };
        self.peers[sender] = measure.src;
        self.peers[1 - sender] = measure.dst;
        self.replied |= reply;
        (if self.replied { Judgement::Established } else { Judgement::New }, stage)
    }

    /// A SYN of a side that has sent nothing (both open at once, RFC 9293, 3.5), or only such before. While the other side is silent the last
    /// one counts: a host that gave up may try again with another sequence number.
    fn open_again(&mut self, segment: &TcpView, sender: usize) {
        let (src, dst) = (self.peers[sender], self.peers[1 - sender]);
        if src.state == State::Closed {
            let mut measure = Measure::new(segment, src, dst);
            measure.advance();
            self.peers[sender] = measure.src;
            self.peers[1 - sender] = measure.dst;
        } else if dst.state == State::Closed {
            self.peers[sender] = Peer::opening(segment);
            self.peers[1 - sender] = Peer::SILENT;
        }
        self.replied |= sender == 1;
    }
}

impl Measure {
    /// Lays the segment against the records; those of a side that speaks first are begun. (Inlined, so that the records stay in registers.)
    #[inline(always)]
    fn new(segment: &TcpView, src: Peer, dst: Peer) -> Self {
        let (src_shift, dst_shift) = match (src.scale, dst.scale) {
            _ if segment.has(SYN) => (0, 0),
            (Scale::UNKNOWN, Scale::UNKNOWN) => (Scale::MAX, Scale::MAX),
            (src, dst) => src.shift().zip(dst.shift()).unwrap_or((0, 0)),
        };
        let (seq, end, window) = (segment.seq, segment.end(), segment.window);
        let mut measure =
            Self { src, dst, src_shift, dst_shift, seq, end, ack: segment.ack, window, any_ack: false };
        if src.state < State::SynSent {
            measure.begin(segment);
        }
        // Without ACK there is no acknowledgement, and some hosts reset without filling it in.
        if !segment.has(ACK) || (segment.ack == 0 && segment.has(RST)) {
            measure.ack = measure.dst.low;
        }
        // A segment without data may have any sequence number: keep-alives, late acknowledgements.
        if measure.seq == measure.end {
            measure.seq = measure.src.low;
            measure.end = measure.src.low;
        }
        measure
    }

    /// The first segment of this side: its record starts here.
    #[cold]
    fn begin(&mut self, segment: &TcpView) {
        if segment.has(SYN)
            && let Some(dst_shift) = self.dst.scale.shift()
        {
            self.src.scale = Scale::of(segment.wscale);
            if let Some(shift) = self.src.scale.shift() {
                (self.src_shift, self.dst_shift) = (shift, dst_shift);
                self.window = descale(self.window, shift);
            } else {
                // One offer alone does not hold (RFC 7323, 2.2): the other side's window is what its SYN said.
                let whole = self.dst.window_bytes(dst_shift);
                self.dst.window = u16::try_from(whole).unwrap_or(u16::MAX);
                self.dst.scale = Scale::NONE;
            }
        }
        self.src.low = self.seq;
        self.src.state = State::SynSent;
        let permitted = self.end.wrapping_add(self.dst.window_bytes(self.dst_shift).max(1));
        if self.src.high == 1 || at_or_after(permitted, self.src.high) {
            self.src.high = permitted;
            self.any_ack = true;
        }
        self.src.window = self.src.window.max(self.window);
    }

    /// Whether the segment lies within the windows.
    fn fits(&self, segment: &TcpView) -> bool {
        let oldest = self.src.low.wrapping_sub(self.dst.window_bytes(self.dst_shift));
        let skew = match self.any_ack {
            true => 0,
            false => self.dst.low.wrapping_sub(self.ack).cast_signed(),
        };
        let slack = ACK_SLACK.cast_signed();
        at_or_after(self.src.high, self.end)
            && at_or_after(self.seq, oldest)
            && (-slack..=slack << self.src_shift).contains(&skew)
            && (!segment.has(RST) || segment.seq.wrapping_sub(self.src.low).wrapping_add(1) <= 2)
    }

    /// Whether a segment that does not fit belongs to a connection that was not seen from its start, or comes after its end.
    fn is_excusable(&self) -> bool {
        let lenient = self.dst.state < State::SynSent
            || self.dst.state >= State::FinWait2
            || self.src.state >= State::FinWait2;
        lenient
            && at_or_after(self.src.high.wrapping_add(ACK_SLACK), self.end)
            && at_or_after(self.seq, self.src.low.wrapping_sub(ACK_SLACK))
    }

    /// Moves the records on.
    fn advance(&mut self) {
        self.src.window = self.src.window.max(self.window);
        if at_or_after(self.end, self.src.low) {
            self.src.low = self.end;
        }
        let offered = u32::from(self.window) << self.src_shift;
        if at_or_after(self.ack.wrapping_add(offered), self.dst.high) {
            self.dst.high = self.ack.wrapping_add(offered.max(1));
        }
    }

    /// The states after a segment that fits.
    fn enter(&mut self, segment: &TcpView) {
        if segment.has(ACK) {
            self.dst.state = match self.dst.state {
                State::SynSent => State::Established,
                State::Closing => State::FinWait2,
                state => state,
            };
        }
        self.close(segment);
    }

    /// The states after a FIN or RST.
    fn close(&mut self, segment: &TcpView) {
        if segment.has(FIN) {
            self.src.state = self.src.state.max(State::Closing);
        }
        if segment.has(RST) {
            self.src.state = State::TimeWait;
            self.dst.state = State::TimeWait;
        }
    }

    fn stage(&self) -> Stage {
        let (first, last) = (self.src.state.min(self.dst.state), self.src.state.max(self.dst.state));
        if first >= State::FinWait2 {
            Stage::TcpClosed
        } else if first >= State::Closing {
            Stage::TcpFinWait
        } else if first < State::Established {
            Stage::TcpOpening
        } else if last >= State::Closing {
            Stage::TcpClosing
        } else {
            Stage::TcpEstablished
        }
    }
}
