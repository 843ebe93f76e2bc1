//! The monitor: a process that forks the switch, and again whenever it dies of a signal.
//!
//! Open vSwitch's monitor restarts after signals that indicate a programming error only; this one also after SIGKILL, since
//! the kernel's out-of-memory killer sends that and operators want their network back. SIGTERM and SIGINT mean stop.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::background::{Forked, Startup, exit_code_of, fork_and_wait};

/// Restarts are at least this far apart, so that a switch that dies at once does not spin.
const RESTART_INTERVAL: Duration = Duration::from_secs(10);

/// On which side of the monitor's fork this is.
pub(super) enum Side {
    /// The monitor, when there is nothing more to watch; it exits with this code.
    Monitor(u8),
    /// The switch.
    Switch(Startup),
}

/// Becomes the monitor. Returns in each switch that is forked, and once in the monitor, at the end.
pub(super) fn watch(mut startup: Startup) -> io::Result<Side> {
    let detached = startup.is_detached();
    let mut last_start: Option<Instant> = None;
    loop {
        wait_before_restart(last_start);
        last_start = Some(Instant::now());
        let (child, ready) = match fork_and_wait()? {
            Forked::Child(notify) => return Ok(Side::Switch(Startup::handed_to(notify, detached))),
            Forked::Parent { child, ready } => (child, ready),
        };
        if ready {
            startup.ready();
        }
        match wait_for(child, ready) {
            Verdict::Stop(code) => return Ok(Side::Monitor(code)),
            Verdict::Restart => {}
        }
    }
}

fn wait_before_restart(last_start: Option<Instant>) {
    if let Some(left) = last_start.and_then(|at| RESTART_INTERVAL.checked_sub(at.elapsed())) {
        std::thread::sleep(left);
    }
}

enum Verdict {
    Stop(u8),
    Restart,
}

fn wait_for(child: Pid, ready: bool) -> Verdict {
    if !ready {
        // Dead before it was ready: a signal then is as good a reason to try again, anything else is an error in its
        // configuration.
        return match waitpid(child, None) {
            Ok(WaitStatus::Signaled(pid, signal, _)) => verdict(pid, signal),
            Ok(WaitStatus::Exited(_, code)) => Verdict::Stop(u8::try_from(code).unwrap_or(1).max(1)),
            _ => Verdict::Stop(1),
        };
    }
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => return Verdict::Stop(u8::try_from(code).unwrap_or(1)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => return verdict(pid, signal),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return Verdict::Stop(exit_code_of(child)),
        }
    }
}

fn verdict(pid: Pid, signal: Signal) -> Verdict {
    if matches!(signal, Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP) {
        tracing::info!(target: "daemon_unix", "pid {pid} died, killed ({}), exiting", signal.as_str());
        return Verdict::Stop(0);
    }
    tracing::error!(target: "daemon_unix", "pid {pid} died, killed ({}), restarting", signal.as_str());
    Verdict::Restart
}
