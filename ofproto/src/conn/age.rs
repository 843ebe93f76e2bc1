//! How long something has been there, as messages tell it.

/// Whole seconds since `then_ns`, and the rest in nanoseconds: of the latter, whole milliseconds, as Open vSwitch's clock goes.
pub(super) fn age(then_ns: u64, now_ns: u64) -> (u32, u32) {
    let age_ms = (now_ns / 1_000_000).saturating_sub(then_ns / 1_000_000);
    let seconds = u32::try_from(age_ms / 1000).unwrap_or(u32::MAX);
    (seconds, (age_ms % 1000) as u32 * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_milliseconds() {
        assert_eq!(age(1_999_999, 3_501_000_001), (3, 500_000_000));
        assert_eq!(age(5, 0), (0, 0));
    }
}
