//! The protocol's time constants (802.1AX-2014, 6.4.4), in milliseconds.

/// Between transmissions when the partner wants them fast.
pub const FAST_PERIODIC_MS: u64 = 1_000;
/// Between transmissions when the partner is content with slow ones.
pub const SLOW_PERIODIC_MS: u64 = 30_000;
/// Until received information expires, with short timeouts.
pub const SHORT_TIMEOUT_MS: u64 = 3 * FAST_PERIODIC_MS;
/// Until received information expires, with long timeouts.
pub const LONG_TIMEOUT_MS: u64 = 3 * SLOW_PERIODIC_MS;
/// Most LACPDUs sent in any [`FAST_PERIODIC_MS`] (6.4.16).
pub const MOST_PER_PERIOD: u32 = 3;

/// How often to send to a partner whose state has this timeout bit.
pub const fn periodic_ms(partner_wants_short: bool) -> u64 {
    if partner_wants_short { FAST_PERIODIC_MS } else { SLOW_PERIODIC_MS }
}

/// How long to believe what was received, given our own timeout bit.
pub const fn timeout_ms(short: bool) -> u64 {
    if short { SHORT_TIMEOUT_MS } else { LONG_TIMEOUT_MS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_are_lost_before_a_partner_is() {
        for short in [false, true] {
            assert_eq!(timeout_ms(short), 3 * periodic_ms(short));
        }
    }
}
