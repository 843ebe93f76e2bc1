//! Fragments that waited in vain for the rest of their datagram go on.

use super::{BATCH, Worker};
use crate::execute::ct;

/// How often expired fragments are looked for.
const INTERVAL_NS: u64 = 100_000_000;

impl Worker {
    /// Sends on the fragments whose time is over, a batch at most. Returns how many there were.
    pub(super) fn give_up_fragments(&mut self, now_ns: u64) -> usize {
        if now_ns < self.fragments_due_ns {
            return 0;
        }
        let mut expired = Vec::new();
        let count = self.shared.tracker.fragments().sweep(now_ns, BATCH, &mut expired);
        if count == 0 {
            self.fragments_due_ns = now_ns + INTERVAL_NS;
            return 0;
        }
        self.enter_version();
        for part in expired {
            ct::give_up(&mut self.out, part);
        }
        self.recirculate(now_ns);
        self.finish_batch();
        count
    }
}
