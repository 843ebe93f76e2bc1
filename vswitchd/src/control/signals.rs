//! Signals, as events of the loop.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};

use super::tokens::SIGNALS;

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// End.
    Stop,
    /// Open the log file again.
    ReopenLog,
}

/// The signals that were caught; a pipe makes the loop look.
pub(super) struct Signals {
    pipe: UnixStream,
    stop: Arc<AtomicBool>,
    reopen: Arc<AtomicBool>,
}

impl Signals {
    /// Catches SIGTERM, SIGINT and SIGHUP from now on, and ignores SIGPIPE.
    pub(super) fn register(registry: &Registry) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let (stop, reopen) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        for (signal, flag) in [(SIGTERM, &stop), (SIGINT, &stop), (SIGHUP, &reopen)] {
            signal_hook::flag::register(signal, Arc::clone(flag))?;
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        signal_hook::flag::register(SIGPIPE, Arc::default())?;
        registry.register(&mut SourceFd(&reader.as_raw_fd()), SIGNALS, Interest::READABLE)?;
        Ok(Self { pipe: reader, stop, reopen })
    }

    /// What was asked for since the last call.
    pub(super) fn take(&mut self) -> Vec<Wish> {
        let mut bytes = [0; 64];
        while self.pipe.read(&mut bytes).is_ok_and(|n| n > 0) {}
        let wishes = [(&self.reopen, Wish::ReopenLog), (&self.stop, Wish::Stop)];
        wishes
            .into_iter()
            .filter(|(flag, _)| flag.swap(false, Ordering::Relaxed))
            .map(|(_, wish)| wish)
            .collect()
    }
}
