//! Waiting for a condition.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a machine that builds something else meanwhile.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within half a minute; `what` says what was waited for.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Waits until `probe` gives a value.
///
/// # Panics
/// When it does not within half a minute; `what` says what was waited for.
pub fn wait_for<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    wait_up_to(LIMIT, what, probe)
}

/// Waits until `probe` gives a value, for things that are slow by nature, such as a machine that boots.
///
/// # Panics
/// When it does not within `limit`; `what` says what was waited for.
pub fn wait_up_to<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < limit, "gave up waiting for {what}");
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}
