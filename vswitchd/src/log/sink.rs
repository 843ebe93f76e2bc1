//! Where lines are written: standard error, the log file, the system log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// The log file, while it is open.
#[derive(Debug, Default)]
pub(super) struct LogFile {
    path: Option<PathBuf>,
    file: Option<File>,
}

impl LogFile {
    /// Opens (and from now on writes to) `path`.
    pub(super) fn open(&mut self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        *self = Self { path: Some(path.to_owned()), file: Some(file) };
        Ok(())
    }

    /// Opens the same path again, after something has moved the file away.
    pub(super) fn reopen(&mut self) -> Option<(PathBuf, io::Result<()>)> {
        let path = self.path.clone()?;
        let result = self.open(&path);
        Some((path, result))
    }

    /// Writes no more until [`reopen`](Self::reopen).
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    pub(super) fn write(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            // A log that cannot be written has nowhere to say so.
            let _ = file.write_all(line.as_bytes());
        }
    }

    /// Whether there is an open file.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }
}

/// How the system log is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogMethod {
    /// Not at all.
    Null,
    /// A datagram socket; `/dev/log` for the C library's way.
    Unix(PathBuf),
    /// UDP to an address (RFC 5426).
    Udp(SocketAddr),
}

impl SyslogMethod {
    /// Reads `null`, `libc`, `unix:FILE` or `udp:IP:PORT`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        if let Some(address) = text.strip_prefix("udp:") {
            return address.parse().map(Self::Udp).map_err(|_| format!("{text}: not udp:IP:PORT"));
        }
        match text {
            "null" => Ok(Self::Null),
            "libc" => Ok(Self::Unix("/dev/log".into())),
            _ => Err(format!("unsupported syslog method '{text}'")),
        }
    }
}

/// A way to the system log. Opened at first use, lost lines are lost.
#[derive(Debug)]
pub(super) struct Syslog {
    method: SyslogMethod,
    socket: Option<SyslogSocket>,
}

#[derive(Debug)]
enum SyslogSocket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    pub(super) fn new(method: SyslogMethod) -> Self {
        Self { method, socket: None }
    }

    pub(super) fn write(&mut self, line: &str) {
        if self.socket.is_none() {
            self.socket = self.connect().ok().flatten();
        }
        let sent = match &self.socket {
            Some(SyslogSocket::Unix(socket)) => socket.send(line.as_bytes()),
            Some(SyslogSocket::Udp(socket)) => socket.send(line.as_bytes()),
            None => return,
        };
        if sent.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
            self.socket = None;
        }
    }

    fn connect(&self) -> io::Result<Option<SyslogSocket>> {
        Ok(match &self.method {
            SyslogMethod::Null => None,
            SyslogMethod::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket.connect(path)?;
                Some(SyslogSocket::Unix(socket))
            }
            SyslogMethod::Udp(address) => {
                let any: SocketAddr =
                    if address.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
                let socket = UdpSocket::bind(any)?;
                socket.set_nonblocking(true)?;
                socket.connect(address)?;
                Some(SyslogSocket::Udp(socket))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_file_is_reopened_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("a.log"), dir.path().join("a.log.1"));
        let mut log = LogFile::default();
        log.open(&path).unwrap();
        log.write("one\n");
        std::fs::rename(&path, &moved).unwrap();
        assert!(log.reopen().unwrap().1.is_ok());
        log.write("two\n");
        log.close();
        log.write("lost\n");
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "two\n");
    }

    #[test]
    fn syslog_methods() {
        assert_eq!(SyslogMethod::parse("null"), Ok(SyslogMethod::Null));
        assert_eq!(SyslogMethod::parse("unix:/x"), Ok(SyslogMethod::Unix("/x".into())));
        assert!(SyslogMethod::parse("udp:nowhere").is_err());
        assert!(SyslogMethod::parse("pigeon").is_err());
    }

    #[test]
    fn syslog_lines_arrive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let server = UnixDatagram::bind(&path).unwrap();
        Syslog::new(SyslogMethod::Unix(path)).write("<29>hello");
        let mut buffer = [0; 64];
        let n = server.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..n], b"<29>hello");
    }
}
