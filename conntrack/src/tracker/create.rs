//! A packet of no known connection.

use std::sync::atomic::Ordering::Relaxed;

use super::known::{nat_bit, set_marks};
use super::{Rewrite, Tracker, Verdict};
use crate::alg::expect::Expectation;
use crate::conn::{Conn, Extra};
use crate::counter::Counter;
use crate::dump::ConnInfo;
use crate::event::{Reason, What};
use crate::metadata::Metadata;
use crate::nat::{self, Dice, Pressure};
use crate::proto::Proto;
use crate::request::{Nat, NatRange, Request};
use crate::state::{INV, NEW, REL, TRK};
use crate::table::{Place, Refused, Slot, Uniqueness};
use crate::tuple::Tuple;
use crate::view::{L4, View};

/// How often another reply tuple is chosen when somebody else takes the chosen one.
const CHOICES: usize = 8;

/// What became of a connection that was to be kept.
enum Made {
    /// It is kept.
    Kept(Verdict),
    /// Its original tuple is there: look it up.
    Known,
    /// There is no slot.
    Full,
    /// There is nothing free to translate it to.
    Exhausted,
}

impl Tracker {
    /// Judges a packet that no connection was found for, and keeps a connection if the request says so; `None`: one has come
    /// meanwhile, look it up.
    pub(super) fn unknown(&self, request: &Request, view: &View, now_ns: u64) -> Option<Verdict> {
        let original = Some(view.tuple);
        let invalid = Verdict::plain(Metadata { state: INV | TRK, original, ..Metadata::default() });
        if matches!(view.l4, L4::Error(_)) {
            self.counters.add(Counter::UnrelatedError);
            return Some(invalid);
        }
        let Some((proto, stage)) = Proto::start(view) else { return Some(invalid) };
        let expected = self.expectations.find(&view.tuple, now_ns);
        let fresh = Verdict::plain(match &expected {
            Some(Expectation { parent, mark, label, .. }) => {
                Metadata { state: NEW | REL | TRK, mark: *mark, label: *label, original: Some(*parent) }
            }
            None => Metadata { state: NEW | TRK, original, ..Metadata::default() },
        });
        if !request.commit || !self.admit(view.tuple.zone, now_ns) {
            return Some(fresh);
        }
        let conn = Conn::new(proto, stage, self.next_id.fetch_add(1, Relaxed));
        let made = self.make(request, view, expected.as_ref(), conn, now_ns);
        if let Made::Kept(verdict) = made {
            return Some(verdict);
        }
        self.table.unreserve();
        self.limits.release(view.tuple.zone);
        match made {
            Made::Kept(_) | Made::Known => None,
            Made::Full => {
                self.counters.add(Counter::Full);
                Some(fresh)
            }
            Made::Exhausted => {
                self.counters.add(Counter::NatExhausted);
                Some(invalid)
            }
        }
    }

    /// Counts one more connection if there may be one.
    fn admit(&self, zone: u16, now_ns: u64) -> bool {
        if !self.limits.reserve(zone) {
            self.counters.add(Counter::ZoneFull);
            return false;
        }
        if self.table.reserve(self.room()) || self.evict(now_ns) && self.table.reserve(self.room()) {
            return true;
        }
        self.limits.release(zone);
        self.counters.add(Counter::Full);
        false
    }

    /// Makes a connection; one that was announced inherits mark and label and is translated as its parent is.
    fn make(
        &self,
        request: &Request,
        view: &View,
        expected: Option<&Expectation>,
        mut conn: Conn,
        now_ns: u64,
    ) -> Made {
        let mut range = match &request.nat {
            Some(Nat::Translate(range)) => Some(range),
            _ => None,
        };
        if let Some(Expectation { parent, mark, label, nat, .. }) = expected {
            conn.extra = Some(Box::new(Extra { parent: Some(*parent), ..Extra::default() }));
            conn.mark = *mark;
            conn.set_label(*label);
            range = nat.as_ref().filter(|_| request.nat.is_some());
        }
        conn.policy = request.timeout_policy.and_then(|id| self.policies.numbered(id));
        conn.helper = request.helper;
        set_marks(request, &mut conn);
        match range {
            Some(range) => self.make_translated(range, &view.tuple, conn, now_ns),
            None => self.make_plain(&view.tuple, conn, now_ns),
        }
    }

    fn make_plain(&self, tuple: &Tuple, mut conn: Conn, now_ns: u64) -> Made {
        let tuples = (tuple, &tuple.reversed());
        loop {
            match self.enter(tuples, Uniqueness::Original, &mut conn, now_ns) {
                Ok(verdict) => return Made::Kept(verdict),
                Err(Refused::Full) => return Made::Full,
                Err(Refused::Original(_)) => return Made::Known,
                Err(Refused::Reply(place)) => self.forget_past(place, now_ns),
            }
        }
    }

    fn make_translated(&self, range: &NatRange, tuple: &Tuple, mut conn: Conn, now_ns: u64) -> Made {
        conn.nat = Some(range.side);
        let taken = |tuple: &Tuple| {
            let place = self.table.find(tuple, self.table.hash(tuple));
            place.is_some_and(|place| !self.is_past(place, now_ns))
        };
        let spot = Pressure::spot(range, tuple, self.seed);
        // Drawn once: whether something that has expired was swept before makes no difference.
        let dice = Dice { seed: self.seed, fresh: self.draws.fetch_add(1, Relaxed) };
        for _ in 0..CHOICES {
            let tries = self.pressure.tries(spot, now_ns);
            let Some(reply) = nat::choose(range, tuple, &taken, dice, tries) else {
                self.pressure.failed(spot, tries, now_ns);
                return Made::Exhausted;
            };
            match self.enter((tuple, &reply), Uniqueness::Both, &mut conn, now_ns) {
                Ok(verdict) => return Made::Kept(verdict),
                Err(Refused::Full) => return Made::Full,
                Err(Refused::Original(_)) => return Made::Known,
                // It has expired and is still in the table; or somebody was faster.
                Err(Refused::Reply(place)) => self.forget_past(place, now_ns),
            }
        }
        Made::Exhausted
    }

    /// Takes a connection that has expired out of the table.
    fn forget_past(&self, place: Place, now_ns: u64) {
        let is_past = |slot: &Slot, _: &Conn| slot.deadline() <= now_ns;
        self.forget(place.slot, Reason::Expired, now_ns, is_past);
    }

    fn is_past(&self, place: Place, now_ns: u64) -> bool {
        self.table.slab().slot(place.slot).deadline() <= now_ns
    }

    /// Enters a connection under its tuples.
    fn enter(
        &self,
        tuples: (&Tuple, &Tuple),
        uniqueness: Uniqueness,
        conn: &mut Conn,
        now_ns: u64,
    ) -> Result<Verdict, Refused> {
        let (original, reply) = (*tuples.0, *tuples.1);
        let left_ns = self.lifetime_ns(conn);
        let related = if conn.parent().is_some() { REL } else { 0 };
        let state = NEW | TRK | related | conn.nat.map_or(0, |side| nat_bit(side, false));
        let shown = Some(conn.parent().copied().unwrap_or(original));
        let metadata = Metadata { state, mark: conn.mark, label: conn.label(), original: shown };
        let (from, to) = (original, reply.reversed());
        let rewrite = conn.nat.map(|_| Rewrite { from, to, inner: None, streams: None });
        let entered = |slot: &Slot, conn: &Conn| {
            if self.subscribers.any() {
                self.tell(What::New, ConnInfo::of(slot, conn, now_ns), now_ns);
            }
        };
        self.table.insert(tuples, uniqueness, (now_ns, now_ns + left_ns), conn, entered)?;
        Ok(Verdict { metadata, rewrite })
    }
}
