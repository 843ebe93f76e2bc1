//! Going to the background, and telling the waiting parent how that went.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe, setsid};

/// The far end of the wait of whoever started this process.
#[derive(Debug, Default)]
pub struct Startup {
    notify: Option<OwnedFd>,
    close_standard_files: bool,
}

impl Startup {
    /// Says that the daemon is ready: its parent exits with success, and the terminal is let go.
    pub fn ready(&mut self) {
        if let Some(pipe) = self.notify.take() {
            // A parent that was killed meanwhile need not be told.
            let _ = File::from(pipe).write_all(&[0]);
        }
        if std::mem::take(&mut self.close_standard_files) {
            close_standard_files();
        }
    }

    /// The same promise to the same parent, in a process forked later, whose own parent waits on `notify` too.
    pub(super) fn handed_to(notify: OwnedFd, detached: bool) -> Self {
        Self { notify: Some(notify), close_standard_files: detached }
    }

    /// Whether this process is in the background.
    pub fn is_detached(&self) -> bool {
        self.close_standard_files
    }
}

/// On which side of a fork this is.
pub(super) enum Side {
    /// The one who waited, and should now exit with this code.
    Parent(u8),
    /// The one who goes on.
    Child(Startup),
}

/// Forks into the background. The parent's side returns when the child is ready or dead.
pub(super) fn detach(chdir: bool) -> io::Result<Side> {
    match fork_and_wait()? {
        Forked::Parent { child, ready: true } => {
            let _ = child;
            Ok(Side::Parent(0))
        }
        Forked::Parent { child, ready: false } => Ok(Side::Parent(exit_code_of(child))),
        Forked::Child(notify) => {
            setsid()?;
            if chdir {
                std::env::set_current_dir("/")?;
            }
            Ok(Side::Child(Startup { notify: Some(notify), close_standard_files: true }))
        }
    }
}

/// What came of a fork whose parent waits for its child to be ready.
pub(super) enum Forked {
    /// The child is ready, or has closed its pipe by dying.
    Parent {
        /// The child.
        child: Pid,
        /// Whether it is ready.
        ready: bool,
    },
    /// In the child: where to say so.
    Child(OwnedFd),
}

pub(super) fn fork_and_wait() -> io::Result<Forked> {
    let (reader, writer) = pipe()?;
    // SAFETY: the process has one thread (`daemon::start` says so), so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            drop(writer);
            let mut byte = [0];
            let ready = matches!(File::from(reader).read(&mut byte), Ok(1));
            Ok(Forked::Parent { child, ready })
        }
        ForkResult::Child => Ok(Forked::Child(writer)),
    }
}

/// The exit code of a child that died before it was ready.
pub(super) fn exit_code_of(child: Pid) -> u8 {
    match waitpid(child, None) {
        Ok(WaitStatus::Exited(_, code)) if code != 0 => u8::try_from(code).unwrap_or(1),
        _ => 1,
    }
}

/// Points standard input, output and error at `/dev/null`, so that whoever reads our output sees its end.
fn close_standard_files() {
    let Ok(null) = File::options().read(true).write(true).open("/dev/null") else { return };
    let _ = dup2_stdin(&null);
    let _ = dup2_stdout(&null);
    let _ = dup2_stderr(&null);
}
