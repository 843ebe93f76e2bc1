//! Expiry and eviction.
//!
//! A connection holds its deadline; a look-up that finds it past takes it as gone. What nobody looks up is found by
//! [`Tracker::sweep`], which walks the slab round and round, as many slots a call as the caller allows: it reads one word of
//! each and takes no lock of connections that live.

use std::sync::atomic::Ordering::Relaxed;

use crate::conn::Conn;
use crate::counter::Counter;
use crate::event::Reason;
use crate::tracker::Tracker;

/// Slots that are looked at when room is wanted.
const PROBES: u32 = 32;

/// What a call of [`Tracker::sweep`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Slots looked at.
    pub seen: usize,
    /// Connections forgotten.
    pub expired: usize,
    /// It has come to the end of the table: the next call begins anew.
    pub round: bool,
}

impl Tracker {
    /// Forgets what has expired among the next `slots` slots. One caller at a time gets anywhere; two do no harm.
    pub fn sweep(&self, now_ns: u64, slots: usize) -> Swept {
        let slab = self.table.slab();
        let start = self.sweep_hand.load(Relaxed).min(slab.used());
        let end = slab.used().min(start.saturating_add(u32::try_from(slots).unwrap_or(u32::MAX)));
        let round = end == slab.used();
        self.sweep_hand.store(if round { 0 } else { end }, Relaxed);
        if round {
            self.expectations.sweep(now_ns);
        }
        let mut expired = 0;
        for index in start..end {
            let Some(slot) = slab.peek(index) else { continue };
            let is_past = |deadline: u64| deadline != 0 && deadline <= now_ns;
            if is_past(slot.deadline()) {
                expired += usize::from(
                    self.forget(index, Reason::Expired, now_ns, |slot, _| is_past(slot.deadline())),
                );
            }
        }
        Swept { seen: (end - start) as usize, expired, round }
    }

    /// Makes room for a connection: of the next few slots, forgets what has expired, or else the half-open connection that has
    /// the least time left. Whether there is room now.
    pub(crate) fn evict(&self, now_ns: u64) -> bool {
        let slab = self.table.slab();
        let used = slab.used();
        if used == 0 {
            return false;
        }
        let start = self.evict_hand.fetch_add(PROBES, Relaxed);
        let candidates = (0..PROBES).filter_map(|n| {
            let index = start.wrapping_add(n) % used;
            let slot = slab.peek(index)?;
            let conn = slot.lock();
            let open = slot.deadline() > now_ns && !conn.proto.is_half_open();
            (slot.deadline() != 0 && !open).then(|| (slot.deadline(), index))
        });
        let Some((deadline, index)) = candidates.min() else { return false };
        let reason = if deadline <= now_ns { Reason::Expired } else { Reason::Evicted };
        let half_open = |conn: &Conn| conn.proto.is_half_open();
        let gone =
            self.forget(index, reason, now_ns, |slot, conn| slot.deadline() <= now_ns || half_open(conn));
        if gone && reason == Reason::Evicted {
            self.counters.add(Counter::Evicted);
        }
        gone
    }
}
