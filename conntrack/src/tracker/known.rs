//! A packet of a known connection.

use super::{Rewrite, Tracker, Verdict};
use crate::conn::Conn;
use crate::counter::Counter;
use crate::dump::ConnInfo;
use crate::event::{Reason, What};
use crate::metadata::Metadata;
use crate::proto::Judgement;
use crate::request::{NatSide, Request};
use crate::state::{DNAT, EST, INV, NEW, REL, RPL, SNAT, TRK};
use crate::table::Slot;
use crate::view::{L4, View};

/// A packet and what asks about it.
pub(super) struct Packet<'a> {
    pub(super) request: &'a Request,
    pub(super) view: &'a View,
    /// Transport header and payload.
    pub(super) segment: &'a [u8],
    /// State bits that it has from this zone already.
    pub(super) prior: u32,
    /// It goes in the reply direction.
    pub(super) reply: bool,
    pub(super) now_ns: u64,
}

/// What comes of a packet.
pub(super) enum Outcome {
    /// It is judged.
    Judged,
    /// The connection, which has this deadline, is to go first.
    Gone(Reason, u64),
}

impl Tracker {
    /// Judges a packet; the slot's lock is held.
    pub(super) fn judge(
        &self,
        packet: &Packet<'_>,
        slot: &Slot,
        conn: &mut Conn,
        verdict: &mut Verdict,
    ) -> Outcome {
        let request = packet.request;
        let gone = |reason| Outcome::Gone(reason, slot.deadline());
        if slot.deadline() <= packet.now_ns {
            return gone(Reason::Expired);
        }
        if packet.reply && request.force && request.commit {
            return gone(Reason::Forced);
        }
        let before = self.subscribers.any().then(|| conn.shown());
        let Some(mut state) = self.state_of(packet, slot, conn) else { return gone(Reason::Replaced) };
        if state & INV == 0 && conn.helper.is_some() && !self.hear(packet, slot, conn) {
            state = INV | TRK;
        }
        let changed = set_marks(request, conn);
        if before.is_some_and(|before| changed || before != conn.shown()) {
            self.tell(What::Update, ConnInfo::of(slot, conn, packet.now_ns), packet.now_ns);
        }
        let Metadata { mark, label, original, .. } = &mut verdict.metadata;
        (*mark, *label) = (conn.mark, conn.label());
        *original = Some(conn.parent().copied().unwrap_or_else(|| slot.tuple(false)));
        if let Some((nat_bit, rewrite)) = translation(packet, state, slot, conn) {
            state |= nat_bit;
            verdict.rewrite = Some(rewrite);
        }
        verdict.metadata.state = state;
        Outcome::Judged
    }

    /// Takes the packet into account and gives its state bits; `None` when it starts another connection under the same tuple.
    fn state_of(&self, packet: &Packet<'_>, slot: &Slot, conn: &mut Conn) -> Option<u32> {
        let mut state = packet.prior | TRK;
        let direction = if packet.reply { RPL } else { 0 };
        if matches!(packet.view.l4, L4::Error(_)) {
            return Some(state | REL | direction);
        }
        if packet.prior & (EST | REL | RPL | INV) != 0 {
            // Judged in this zone already: a packet counts once.
            return Some(state);
        }
        if conn.parent().is_some() {
            state |= REL;
        }
        let renumbered = conn.extra.is_some().then(|| conn.renumbered(packet.view, packet.reply));
        let view = renumbered.as_ref().unwrap_or(packet.view);
        let (judgement, stage) = conn.proto.judge(view, packet.reply, self.rules());
        match judgement {
            Judgement::Established => state = (state | EST | direction) & !NEW,
            Judgement::New => state |= NEW,
            Judgement::Invalid => {
                if matches!(packet.view.l4, L4::Tcp(_)) {
                    self.counters.add(Counter::TcpSeq);
                }
                return Some(INV | TRK);
            }
            Judgement::Restart => return None,
        }
        if let Some(stage) = stage {
            conn.stage = stage;
            slot.set_deadline(packet.now_ns + self.lifetime_ns(conn));
        }
        Some(state)
    }
}

/// State bit of and change to a packet that is to be translated. A packet is translated once in a zone; an invalid one not at all.
fn translation(packet: &Packet<'_>, state: u32, slot: &Slot, conn: &Conn) -> Option<(u32, Rewrite)> {
    let side = conn.nat.filter(|_| packet.request.nat.is_some() && state & (SNAT | DNAT | INV) == 0)?;
    let inner = match packet.view.l4 {
        L4::Error(inner) => Some(inner),
        _ => None,
    };
    let (from, to) = (slot.tuple(packet.reply), slot.tuple(!packet.reply).reversed());
    let edited =
        conn.extra.as_ref().filter(|_| inner.is_none()).and_then(|extra| extra.control.edited(packet.reply));
    let streams = edited.map(|(there, back)| Box::new((there.clone(), back.clone())));
    Some((nat_bit(side, packet.reply), Rewrite { from, to, inner, streams }))
}

/// The state bit of a translated packet: replies have the other side translated.
pub(super) fn nat_bit(side: NatSide, reply: bool) -> u32 {
    if (side == NatSide::Src) != reply { SNAT } else { DNAT }
}

/// Sets mark and label as the request says; those of a connection that was announced stay what they were inherited as. Whether either
/// changed.
pub(super) fn set_marks(request: &Request, conn: &mut Conn) -> bool {
    if request.mark.is_none() && request.label.is_none() || conn.parent().is_some() {
        return false;
    }
    let (mark, label) = (conn.mark, conn.label());
    if let Some((value, mask)) = request.mark {
        conn.mark = mark & !mask | value & mask;
    }
    if let Some((value, mask)) = request.label {
        conn.set_label(label & !mask | value & mask);
    }
    (mark, label) != (conn.mark, conn.label())
}
