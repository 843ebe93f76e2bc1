//! A database server of our own: `ovsdb-server` as a child, with a database that is made from the schema when there is none.
//!
//! Only when nobody answers at the socket. The child goes with us, however we go; should it go first, it is started again.

use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use thiserror::Error;

use crate::paths;

/// How long the server may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to look for it meanwhile.
const STEP: Duration = Duration::from_millis(5);
/// How often a server that does not answer is looked after.
const CHECK: Duration = Duration::from_secs(1);
/// The row that every tool expects.
const FIRST_ROW: &str = r#"["Open_vSwitch",{"op":"insert","table":"Open_vSwitch","row":{}}]"#;

/// Why there is no database of our own.
#[derive(Debug, Error)]
pub enum EmbeddedDbError {
    /// the remote is not a Unix-domain socket
    #[error("--embedded-db: {0} is not a unix: socket")]
    NotUnix(String),
    /// a directory could not be made
    #[error("--embedded-db: {path}: {source}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// a program could not be run
    #[error("--embedded-db: cannot run {program}: {source}")]
    Run {
        /// Which.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// a program failed
    #[error("--embedded-db: {program} failed: {message}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it said.
        message: String,
    },
    /// the server does not answer
    #[error("--embedded-db: ovsdb-server does not answer at {0}")]
    Silent(PathBuf),
}

/// A database server that runs as our child, or one that was there before.
#[derive(Debug)]
pub struct EmbeddedDb {
    rundir: PathBuf,
    socket: PathBuf,
    file: PathBuf,
    child: Option<Child>,
    next_check: Option<Instant>,
}

impl EmbeddedDb {
    /// Makes sure that a server answers at `remote`, a `unix:` name.
    ///
    /// # Errors
    ///
    /// There is no server, and none can be started.
    pub fn start(remote: &str, rundir: &Path) -> Result<Self, EmbeddedDbError> {
        let path = remote.strip_prefix("unix:").ok_or_else(|| EmbeddedDbError::NotUnix(remote.to_owned()))?;
        let (socket, file) = (rundir.join(path), paths::dbdir().join("conf.db"));
        let mut database = Self { rundir: rundir.to_owned(), socket, file, child: None, next_check: None };
        if !database.answers() {
            database.create()?;
            database.serve()?;
        }
        Ok(database)
    }

    /// Looks after the server: one that has ended is started again. `connected` says that it answers.
    pub fn run(&mut self, connected: bool, now: Instant) {
        if connected || self.child.is_none() {
            self.next_check = None;
            return;
        }
        if self.next_check.is_some_and(|at| now < at) {
            return;
        }
        self.next_check = Some(now + CHECK);
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        if let Some(status) = ended {
            tracing::warn!(target: "embedded_db", "ovsdb-server has ended ({status}), starting it again");
            if let Err(error) = self.serve() {
                tracing::error!(target: "embedded_db", "{error}");
            }
        }
    }

    /// When to [`run`](Self::run) at the latest.
    pub fn next_wakeup(&self) -> Option<Instant> {
        self.next_check
    }

    fn answers(&self) -> bool {
        UnixStream::connect(&self.socket).is_ok()
    }

    /// Makes the database unless it is there.
    fn create(&self) -> Result<(), EmbeddedDbError> {
        for path in [&self.file, &self.socket].into_iter().filter_map(|file| file.parent()) {
            std::fs::create_dir_all(path)
                .map_err(|source| EmbeddedDbError::Directory { path: path.to_owned(), source })?;
        }
        if self.file.exists() {
            return Ok(());
        }
        let schema = paths::pkgdatadir().join("vswitch.ovsschema");
        tool(Command::new("ovsdb-tool").arg("create").arg(&self.file).arg(schema))?;
        tool(Command::new("ovsdb-tool").arg("transact").arg(&self.file).arg(FIRST_ROW))
    }

    /// Starts the server and waits until it answers.
    fn serve(&mut self) -> Result<(), EmbeddedDbError> {
        let run = |source| EmbeddedDbError::Run { program: "ovsdb-server", source };
        let parent = Pid::this();
        let mut command = Command::new("ovsdb-server");
        command
            .env("OVS_RUNDIR", &self.rundir)
            .arg(&self.file)
            .arg(format!("--remote=punix:{}", self.socket.display()))
            .arg("--remote=db:Open_vSwitch,Open_vSwitch,manager_options")
            .args(["--pidfile", "-vconsole:off", "-vsyslog:err"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: between fork and exec only system calls are made (prctl, getppid), which is allowed there.
        unsafe {
            command.pre_exec(move || {
                prctl::set_pdeathsig(Signal::SIGTERM)?;
                // We may have gone before that took effect.
                if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
            });
        }
        self.child = Some(command.spawn().map_err(run)?);
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            let ended = self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || Instant::now() >= deadline {
                return Err(EmbeddedDbError::Silent(self.socket.clone()));
            }
            std::thread::sleep(STEP);
        }
        Ok(())
    }
}

impl Drop for EmbeddedDb {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = Pid::from_raw(child.id().cast_signed());
        let deadline = Instant::now() + PATIENCE;
        let mut ended = kill(pid, Signal::SIGTERM).is_err();
        while !ended && Instant::now() < deadline {
            std::thread::sleep(STEP);
            ended = !matches!(child.try_wait(), Ok(None));
        }
        if !ended {
            drop(child.kill().and_then(|()| child.wait()));
        }
    }
}

/// Runs a program to its end.
fn tool(command: &mut Command) -> Result<(), EmbeddedDbError> {
    let program = "ovsdb-tool";
    let output = command.output().map_err(|source| EmbeddedDbError::Run { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(EmbeddedDbError::Failed { program, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(dir: &Path) -> EmbeddedDb {
        let rundir = dir.to_owned();
        EmbeddedDb {
            rundir,
            socket: dir.join("db.sock"),
            file: dir.join("conf.db"),
            child: None,
            next_check: None,
        }
    }

    #[test]
    fn a_remote_elsewhere_cannot_be_embedded() {
        let error = EmbeddedDb::start("tcp:127.0.0.1:6640", Path::new("/run")).unwrap_err();
        assert_eq!(error.to_string(), "--embedded-db: tcp:127.0.0.1:6640 is not a unix: socket");
    }

    #[test]
    fn a_database_that_is_there_is_left_alone_and_a_server_that_ended_is_started_again() {
        let dir = tempfile::TempDir::new().unwrap();
        let mut database = database(dir.path());
        database.create().unwrap();
        let made = std::fs::metadata(&database.file).unwrap().modified().unwrap();
        database.create().unwrap();
        assert_eq!(std::fs::metadata(&database.file).unwrap().modified().unwrap(), made);

        let mut impostor = Command::new("true").spawn().unwrap();
        impostor.wait().unwrap();
        database.child = Some(impostor);
        let now = Instant::now();
        database.run(true, now);
        assert!(!database.answers(), "one that answers is not looked after");
        database.run(false, now);
        assert!(database.answers() && database.next_wakeup().is_some());
        drop(database);
        assert!(UnixStream::connect(dir.path().join("db.sock")).is_err());
    }
}
