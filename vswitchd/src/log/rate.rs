//! A rate limit per place in the code, for warnings: what repeats must not fill a disk.
//!
//! A token bucket for each call site: [`BURST`] lines at once, then [`PER_MINUTE`]. What is refused is counted, and said
//! with the next line that passes.

use std::collections::HashMap;
use std::time::Instant;

/// Lines that one place may log at once.
const BURST: f64 = 60.0;
/// Lines per minute after that.
const PER_MINUTE: f64 = 60.0;

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
    dropped: u64,
    first_dropped: Instant,
}

/// Buckets by call site; bounded, since call sites are.
#[derive(Debug, Default)]
pub(super) struct RateLimits(HashMap<usize, Bucket>);

impl RateLimits {
    /// Whether the call site may log now; if so, a word about what was dropped since it last did.
    pub(super) fn admit(&mut self, site: usize, now: Instant) -> Option<Option<String>> {
        let fresh = Bucket { tokens: BURST, filled: now, dropped: 0, first_dropped: now };
        let bucket = self.0.entry(site).or_insert(fresh);
        let minutes = now.saturating_duration_since(bucket.filled).as_secs_f64() / 60.0;
        bucket.tokens = (bucket.tokens + minutes * PER_MINUTE).min(BURST);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            if bucket.dropped == 0 {
                bucket.first_dropped = now;
            }
            bucket.dropped += 1;
            return None;
        }
        bucket.tokens -= 1.0;
        let dropped = std::mem::take(&mut bucket.dropped);
        let seconds = now.saturating_duration_since(bucket.first_dropped).as_secs();
        Some((dropped > 0).then(|| {
            format!("Dropped {dropped} log messages in last {seconds} seconds due to excessive rate")
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_then_a_trickle() {
        let (mut limits, start) = (RateLimits::default(), Instant::now());
        let passed = (0..1000).filter(|_| limits.admit(1, start).is_some()).count();
        assert_eq!(passed, 60);
        assert_eq!(limits.admit(2, start), Some(None), "another place has a bucket of its own");
        let word = limits.admit(1, start + Duration::from_secs(2)).flatten();
        assert_eq!(word.as_deref(), Some("Dropped 940 log messages in last 2 seconds due to excessive rate"));
    }
}
