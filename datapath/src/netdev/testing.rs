//! Tests of devices run in a network namespace of their own.

use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

/// Runs `test` on a thread in a new network namespace, which is gone with its devices afterwards.
///
/// # Panics
/// When the namespace cannot be made (that takes root), or when `test` does.
pub(crate) fn in_new_netns(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within three seconds.
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(3);
    while !condition() {
        assert!(Instant::now() < deadline, "what was waited for did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}
