//! A packet of no known connection.

use std::sync::atomic::Ordering::Relaxed;

use super::known::set_marks;
use super::{ConnInfo, Counter, INV, L4, Metadata, NEW, Proto, Request, TRK, Tracker, Verdict, View, What};
use crate::conn::Conn;
use crate::table::{Refused, Uniqueness};

impl Tracker {
    /// Judges a packet that no connection was found for, and keeps a connection if the request says so; `None`: one has come
    /// meanwhile, look it up.
    pub(super) fn unknown(&self, request: &Request, view: &View, now_ns: u64) -> Option<Verdict> {
        let original = Some(view.tuple);
        let invalid = Metadata { state: INV | TRK, original, ..Metadata::default() };
        if matches!(view.l4, L4::Error(_)) {
            self.counters.add(Counter::UnrelatedError);
            return Some(Verdict::plain(invalid));
        }
        let Some((proto, stage)) = Proto::start(view, self.rules()) else {
            return Some(Verdict::plain(invalid));
        };
        let fresh = Verdict::plain(Metadata { state: NEW | TRK, original, ..Metadata::default() });
        if !request.commit || !self.admit(view.tuple.zone, now_ns) {
            return Some(fresh);
        }
        let conn = Conn::new(proto, stage, self.next_id.fetch_add(1, Relaxed));
        let refused = match self.create(request, view, conn, now_ns) {
            Ok(verdict) => return Some(verdict),
            Err(refused) => refused,
        };
        self.table.unreserve();
        self.limits.release(view.tuple.zone);
        if refused == Refused::Full {
            self.counters.add(Counter::Full);
            return Some(fresh);
        }
        None
    }

    /// Counts one more connection if there may be one.
    fn admit(&self, zone: u16, now_ns: u64) -> bool {
        if !self.limits.reserve(zone) {
            self.counters.add(Counter::ZoneFull);
            return false;
        }
        if self.table.reserve(self.room()) {
            return true;
        }
        if self.evict(now_ns) && self.table.reserve(self.room()) {
            self.counters.add(Counter::Evicted);
            return true;
        }
        self.limits.release(zone);
        self.counters.add(Counter::Full);
        false
    }

    fn create(
        &self,
        request: &Request,
        view: &View,
        mut conn: Conn,
        now_ns: u64,
    ) -> Result<Verdict, Refused> {
        conn.policy = request.timeout_policy.and_then(|id| self.policies.numbered(id));
        conn.helper = request.helper;
        set_marks(request, &mut conn);
        let (mark, label) = (conn.mark, conn.label());
        let left_ns = self.lifetime_ns(&conn);
        let reply = view.tuple.reversed();
        let info = self.subscribers.any().then(|| ConnInfo::new((view.tuple, reply), &conn, left_ns));
        self.table.insert((&view.tuple, &reply), Uniqueness::Original, now_ns + left_ns, conn)?;
        if let Some(info) = info {
            self.tell(What::New, info, now_ns);
        }
        Ok(Verdict::plain(Metadata { state: NEW | TRK, mark, label, original: Some(view.tuple) }))
    }
}
