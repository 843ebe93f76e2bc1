//! The pidfile: a process id in a file that its process holds an `fcntl` write lock on.
//!
//! `ovs-appctl` believes a pidfile only while the process that it names holds the lock (`F_GETLK` tells it who does), so the lock is
//! a POSIX one, not `flock`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};

/// Why there is no pidfile.
#[derive(Debug, thiserror::Error)]
pub enum PidfileError {
    /// Somebody is running.
    #[error("{}: already running as pid {pid}, aborting", .path.display())]
    Running {
        /// The file.
        path: PathBuf,
        /// Who holds the lock.
        pid: i32,
    },
    /// The file could not be written.
    #[error("{}: create failed ({error})", .path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A pidfile of this process; removed when dropped.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    /// Holds the lock: closing any descriptor of the file would release it.
    locked: File,
    owner: u32,
}

impl Pidfile {
    /// Writes this process's id to `path` and locks it.
    ///
    /// The file is made under another name, locked, and then moved into place, so nobody ever sees it unlocked.
    pub fn create(path: &Path) -> Result<Self, PidfileError> {
        let owner = std::process::id();
        let temporary = path.with_added_extension(format!("tmp{owner}"));
        let locked =
            write_locked(&temporary, owner).and_then(|file| fs::rename(&temporary, path).map(|()| file));
        match locked {
            Ok(file) => Ok(Self { path: path.to_owned(), locked: file, owner }),
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(PidfileError::Create { path: path.to_owned(), error })
            }
        }
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if self.owner == std::process::id() && self.is_in_place() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Pidfile {
    /// Whether the file under our name is still ours, and not that of a successor.
    fn is_in_place(&self) -> bool {
        let (Ok(ours), Ok(there)) = (self.locked.metadata(), fs::metadata(&self.path)) else { return false };
        (ours.dev(), ours.ino()) == (there.dev(), there.ino())
    }
}

fn write_locked(path: &Path, pid: u32) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
    fcntl(&file, FcntlArg::F_SETLK(&write_lock()))?;
    writeln!(file, "{pid}")?;
    file.flush()?;
    Ok(file)
}

/// An error if a running process holds the lock on `path`.
pub(super) fn refuse_if_running(path: &Path) -> Result<(), PidfileError> {
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else { return Ok(()) };
    let mut lock = write_lock();
    match fcntl(&file, FcntlArg::F_GETLK(&mut lock)) {
        Ok(_) if lock.l_type != libc::F_UNLCK as libc::c_short => {
            Err(PidfileError::Running { path: path.to_owned(), pid: lock.l_pid })
        }
        _ => Ok(()),
    }
}

fn write_lock() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pidfile_holds_our_id_until_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pid");
        let pidfile = Pidfile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(pidfile);
        assert!(!path.exists());
    }

    #[test]
    fn a_successors_pidfile_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pid");
        let first = Pidfile::create(&path).unwrap();
        let _second = Pidfile::create(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }

    #[test]
    fn a_stale_pidfile_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pid");
        fs::write(&path, "1\n").unwrap();
        refuse_if_running(&path).unwrap();
        assert!(matches!(Pidfile::create(Path::new("/nonexistent/x.pid")), Err(PidfileError::Create { .. })));
    }
}
