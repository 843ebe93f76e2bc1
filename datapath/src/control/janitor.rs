//! The thread that keeps the connection tracker tidy: it forgets connections that have expired, a slice at a time, and serves no deadline.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use conntrack::Tracker;

use crate::clock;

/// Slots looked at in one go: well under a millisecond.
const SLICE: usize = 4096;
/// Between two slices, so that the walk leaves the processor to others.
const PAUSE: Duration = Duration::from_millis(2);
/// The shortest and the longest time between two walks, whatever the sweep interval is set to.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Janitor {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Janitor {
    /// Starts the thread.
    pub(super) fn start(tracker: Arc<Tracker>) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let thread =
            std::thread::Builder::new().name("ct-sweep".into()).spawn(move || run(&tracker, &stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked it has said so itself.
            let _ = thread.join();
        }
    }
}

fn run(tracker: &Tracker, stopped: &Receiver<()>) {
    let wait = |time| matches!(stopped.recv_timeout(time), Err(RecvTimeoutError::Timeout));
    loop {
        let swept = tracker.sweep(clock::monotonic_ns(), SLICE);
        let rest = Duration::from_millis(tracker.sweep_interval_ms().into()).clamp(SHORTEST, LONGEST);
        if !wait(if swept.round { rest } else { PAUSE }) {
            return;
        }
    }
}
