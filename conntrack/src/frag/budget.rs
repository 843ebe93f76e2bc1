//! [`Budget`]: how many fragments wait and how much memory they hold, against the limits.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::settings::DEFAULT_MAX_FRAGMENTS;

#[derive(Debug)]
pub(super) struct Budget {
    held: AtomicU32,
    bytes: AtomicU64,
    max_held: AtomicU32,
    max_bytes: u64,
}

impl Budget {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            held: AtomicU32::new(0),
            bytes: AtomicU64::new(0),
            max_held: AtomicU32::new(DEFAULT_MAX_FRAGMENTS),
            max_bytes,
        }
    }

    /// Makes room for one fragment of `charge` bytes, if there is any.
    pub(super) fn reserve(&self, charge: u32) -> bool {
        let max = self.max_held();
        let one_more = |held: u32| (held < max).then(|| held + 1);
        if self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return false;
        }
        let more = |bytes: u64| Some(bytes + u64::from(charge)).filter(|sum| *sum <= self.max_bytes);
        let fits = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if !fits {
            self.held.fetch_sub(1, Ordering::Relaxed);
        }
        fits
    }

    /// Gives back what was reserved.
    pub(super) fn release(&self, held: u32, bytes: u64) {
        self.held.fetch_sub(held, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held() == 0
    }

    pub(super) fn held(&self) -> u32 {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn max_held(&self) -> u32 {
        self.max_held.load(Ordering::Relaxed)
    }

    pub(super) fn set_max_held(&self, max: u32) {
        self.max_held.store(max, Ordering::Relaxed);
    }
}
