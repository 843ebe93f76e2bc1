//! What a bridge in fail mode "standalone" does while it cannot reach its controllers: after three inactivity probes without
//! any of them it forwards as a plain switch, by a hidden rule above all others, until one has taken it in again.

/// Priority of the rule: above any that OpenFlow can name.
pub(crate) const PRIORITY: i32 = 0x00f0_f0f0;
/// A connection that has stood for so long counts as taken in whatever the controller says, ms.
const ADMITTED_AFTER_MS: u64 = 30_000;

/// What is to be done with the hidden rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Leave it as it is.
    None,
    /// Put it in.
    Open,
    /// Take it out.
    Close,
}

/// Whether one controller has taken us in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission {
    last_admitted_ms: u64,
    admitted: bool,
}

impl Admission {
    /// A controller that was just configured.
    pub(crate) fn new(now_ms: u64) -> Self {
        Self { last_admitted_ms: now_ms, admitted: false }
    }

    /// Looks at its connection: since when it is up, and whether it said something that it says only when it has taken us in.
    pub(crate) fn update(&mut self, connected_since: Option<u64>, said_so: bool, now_ms: u64) {
        let long = |since: u64| now_ms.saturating_sub(since) >= ADMITTED_AFTER_MS;
        self.admitted = connected_since.is_some_and(|since| said_so || long(since));
        if self.admitted {
            self.last_admitted_ms = now_ms;
        }
    }

    fn failing_ms(&self, now_ms: u64) -> u64 {
        if self.admitted { 0 } else { now_ms.saturating_sub(self.last_admitted_ms) }
    }
}

/// For how long none of the controllers has been there, seconds.
pub(crate) fn failing_s(all: &[Admission], now_ms: u64) -> u64 {
    all.iter().map(|admission| admission.failing_ms(now_ms)).min().unwrap_or(0) / 1000
}

/// The state of one bridge.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FailOpen {
    open: bool,
}

impl FailOpen {
    /// Forgets the rule, which somebody else took out.
    pub(crate) fn forget(&mut self) {
        self.open = false;
    }

    /// What to do, given the state of all primary controllers (with their longest probe interval, ms), `None` if the bridge
    /// has none or is in another mode.
    pub(crate) fn run(&mut self, controllers: Option<(&[Admission], u64)>, now_ms: u64) -> Change {
        let wanted = controllers.is_some_and(|(all, probe_ms)| {
            let failing = all.iter().map(|a| a.failing_ms(now_ms)).min().unwrap_or(0);
            if self.open { all.iter().all(|a| !a.admitted) } else { failing > 0 && failing >= 3 * probe_ms }
        });
        if self.open == wanted {
            return Change::None;
        }
        self.open = wanted;
        if wanted { Change::Open } else { Change::Close }
    }

    /// When [`run`](Self::run) may have something to do although nothing happened, ms.
    pub(crate) fn deadline(&self, controllers: Option<(&[Admission], u64)>) -> Option<u64> {
        let (all, probe_ms) = controllers.filter(|_| !self.open)?;
        if all.iter().any(|a| a.admitted) {
            return None;
        }
        all.iter().map(|a| a.last_admitted_ms).max().map(|last| last + (3 * probe_ms).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_three_probes_and_closes_when_admitted() {
        let mut fail = FailOpen::default();
        let mut one = [Admission::new(0)];
        assert_eq!(fail.run(Some((&one, 5000)), 14_999), Change::None);
        assert_eq!(fail.deadline(Some((&one, 5000))), Some(15_000));
        assert_eq!(fail.run(Some((&one, 5000)), 15_000), Change::Open);
        one[0].update(Some(15_500), false, 16_000);
        assert_eq!(fail.run(Some((&one, 5000)), 16_000), Change::None, "connected, not taken in");
        one[0].update(Some(15_500), true, 16_001);
        assert_eq!(fail.run(Some((&one, 5000)), 16_001), Change::Close);
        assert!(!fail.open);
    }

    #[test]
    fn a_connection_that_lasts_is_admission() {
        let mut one = Admission::new(0);
        one.update(Some(1000), false, 30_999);
        assert_eq!(one.failing_ms(30_999), 30_999);
        one.update(Some(1000), false, 31_000);
        assert_eq!(one.failing_ms(31_000), 0);
    }

    #[test]
    fn one_controller_is_enough_and_other_modes_close() {
        let mut fail = FailOpen::default();
        let mut two = [Admission::new(0), Admission::new(0)];
        two[1].update(Some(0), true, 99_000);
        assert_eq!(fail.run(Some((&two, 5000)), 99_000), Change::None);
        let none = [Admission::new(0)];
        assert_eq!(fail.run(Some((&none, 5000)), 99_000), Change::Open);
        assert_eq!(fail.run(None, 99_000), Change::Close);
    }
}
