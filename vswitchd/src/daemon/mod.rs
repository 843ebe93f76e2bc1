//! What makes a process a daemon: background, pidfile, monitor, memory lock, privileges.
//!
//! # The order of things
//!
//! 1. The pidfile is checked, so that a second daemon says so on the terminal.
//! 2. With `--detach`, the process forks. The parent waits on a pipe until the child says that it is ready, or is gone.
//! 3. With `--monitor`, that child (or the first process) becomes the monitor: it forks the switch itself, and again whenever it
//!    dies of a signal.
//! 4. The switch writes and locks the pidfile, and goes on. When its first configuration is in place it calls
//!    [`Startup::ready`], which lets the parent of step 2 exit.
//!
//! All forks happen before the first thread.

mod background;
mod monitor;
mod pidfile;
mod privileges;

use std::io;
use std::path::PathBuf;

pub use background::Startup;
pub use pidfile::{Pidfile, PidfileError};
pub use privileges::{PrivilegesError, become_user, lock_memory};

/// How to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Go to the background.
    pub detach: bool,
    /// Change to the root directory when going there.
    pub chdir: bool,
    /// Restart the switch when it dies of a signal.
    pub monitor: bool,
    /// Where to write the process id.
    pub pidfile: Option<PathBuf>,
    /// Even if that names a running process.
    pub overwrite_pidfile: bool,
}

/// Why a daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// {0}
    #[error(transparent)]
    Pidfile(#[from] PidfileError),
    /// fork failed ({0})
    #[error("fork failed ({0})")]
    Fork(#[source] io::Error),
}

/// What came of a start, in each of the processes that it leaves behind.
#[derive(Debug)]
pub enum Process {
    /// This is the switch.
    Switch(Startup, Option<Pidfile>),
    /// This process has done its part and exits with this code.
    Done(u8),
}

/// Goes to the background, under a monitor, as `options` say. Returns once in every process that is left.
///
/// Must be called while the process has one thread.
pub fn start(options: &Options) -> Result<Process, StartError> {
    if let Some(path) = options.pidfile.as_deref().filter(|_| !options.overwrite_pidfile) {
        pidfile::refuse_if_running(path)?;
    }
    let mut startup = Startup::default();
    if options.detach {
        match background::detach(options.chdir).map_err(StartError::Fork)? {
            background::Side::Parent(code) => return Ok(Process::Done(code)),
            background::Side::Child(child) => startup = child,
        }
    }
    if options.monitor {
        match monitor::watch(startup).map_err(StartError::Fork)? {
            monitor::Side::Monitor(code) => return Ok(Process::Done(code)),
            monitor::Side::Switch(child) => startup = child,
        }
    }
    let pidfile = options.pidfile.as_deref().map(Pidfile::create).transpose()?;
    Ok(Process::Switch(startup, pidfile))
}
