//! [`Limits`]: how many connections there may be, in all and in a zone.
//!
//! Every zone is counted, limited or not, so that a limit that is set late holds at once and a flush of an empty zone is free. 512 KiB
//! for all zones together.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// No limit.
const NONE: u32 = u32::MAX;
/// Zones.
const ZONES: usize = 1 << 16;

/// A zone that has a limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZoneLimit {
    /// Zone.
    pub zone: u16,
    /// Most connections; `None` when the default has none either.
    pub limit: Option<u32>,
    /// Connections.
    pub count: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Limits {
    counts: Box<[AtomicU32]>,
    limits: Box<[AtomicU32]>,
    default: AtomicU32,
}

impl Limits {
    pub(crate) fn new() -> Self {
        let all = |value: u32| (0..ZONES).map(|_| AtomicU32::new(value)).collect();
        Self { counts: all(0), limits: all(NONE), default: AtomicU32::new(NONE) }
    }

    /// The limit of zones that have none of their own.
    pub fn default_limit(&self) -> Option<u32> {
        some(self.default.load(Relaxed))
    }

    /// Sets or takes away the limit of zones that have none of their own.
    pub fn set_default(&self, limit: Option<u32>) {
        self.default.store(limit.unwrap_or(NONE), Relaxed);
    }

    /// Sets or takes away a zone's own limit.
    pub fn set(&self, zone: u16, limit: Option<u32>) {
        self.limits[usize::from(zone)].store(limit.unwrap_or(NONE), Relaxed);
    }

    /// What holds for a zone, by its own limit or the default one.
    pub fn zone(&self, zone: u16) -> ZoneLimit {
        let own = some(self.limits[usize::from(zone)].load(Relaxed));
        ZoneLimit { zone, limit: own.or(self.default_limit()), count: self.count(zone) }
    }

    /// The zones that have a limit of their own, in order.
    pub fn limited(&self) -> impl Iterator<Item = ZoneLimit> {
        let own = |zone: &u16| self.limits[usize::from(*zone)].load(Relaxed) != NONE;
        (0..=u16::MAX).filter(own).map(|zone| self.zone(zone))
    }

    /// Connections of a zone.
    pub fn count(&self, zone: u16) -> u32 {
        self.counts[usize::from(zone)].load(Relaxed)
    }

    /// Counts one more connection of the zone unless it has as many as it may.
    pub(crate) fn reserve(&self, zone: u16) -> bool {
        let max = self.zone(zone).limit.unwrap_or(NONE);
        let more = |count| (count < max).then_some(count + 1);
        self.counts[usize::from(zone)].fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Counts one less.
    pub(crate) fn release(&self, zone: u16) {
        self.counts[usize::from(zone)].fetch_sub(1, Relaxed);
    }
}

fn some(limit: u32) -> Option<u32> {
    (limit != NONE).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_follows_its_own_limit_before_the_default() {
        let limits = Limits::new();
        assert!((0..10).all(|_| limits.reserve(7)));
        limits.set_default(Some(10));
        assert!(!limits.reserve(7) && limits.reserve(8));
        limits.set(7, Some(11));
        assert!(limits.reserve(7) && !limits.reserve(7));
        limits.release(7);
        assert_eq!(limits.limited().collect::<Vec<_>>(), [ZoneLimit { zone: 7, limit: Some(11), count: 10 }]);
        limits.set(7, None);
        assert_eq!(limits.zone(7), ZoneLimit { zone: 7, limit: Some(10), count: 10 });
        limits.set_default(None);
        assert!(limits.reserve(7) && limits.limited().next().is_none());
    }
}
