//! Byte streams that never block, and the sockets that accept them. Registered edge-triggered with mio: after an event,
//! read until `WouldBlock`.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;

use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use crate::target::{Target, Transport};
use crate::tls::{TlsFiles, TlsStream};

/// A connected, or connecting, byte stream.
#[derive(Debug)]
pub enum Stream {
    /// A Unix-domain socket.
    Unix(UnixStream),
    /// TCP.
    Tcp(TcpStream),
    /// TLS over TCP; the TCP connection may still be under way.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Starts to connect to `target`, which must not be passive.
    pub fn connect(target: &Target, tls: &TlsFiles) -> io::Result<Self> {
        match target {
            Target::ConnectUnix(path) => UnixStream::connect(path).map(Self::Unix),
            Target::Connect(Transport::Tcp, address) => TcpStream::connect(*address).map(Self::Tcp),
            Target::Connect(Transport::Tls, address) => {
                let socket = TcpStream::connect(*address)?;
                TlsStream::client(socket, tls).map(Box::new).map(Self::Tls)
            }
            Target::Listen(..) | Target::ListenUnix(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Goes on with the connection; `Ok(true)` once bytes can pass.
    pub fn finish_connect(&mut self) -> io::Result<bool> {
        match self {
            Self::Unix(socket) => match socket.take_error()? {
                Some(error) => Err(error),
                None => Ok(socket.peer_addr().is_ok()),
            },
            Self::Tcp(socket) => tcp_connected(socket),
            Self::Tls(tls) => Ok(tcp_connected(&tls.socket)? && tls.handshake()?),
        }
    }

    /// Reads; `Ok(0)` is the end, `WouldBlock` means later.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.read(buf),
            Self::Tcp(socket) => socket.read(buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }

    /// Writes what there is room for; `WouldBlock` means later.
    pub fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.write(buf),
            Self::Tcp(socket) => socket.write(buf),
            Self::Tls(tls) => tls.write(buf),
        }
    }

    /// Pushes out what a layer below holds back; `WouldBlock` while something remains.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(tls) => tls.flush(),
            Self::Unix(_) | Self::Tcp(_) => Ok(()),
        }
    }

    /// Asks for events of this stream under `token`.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Unix(socket) => registry.register(socket, token, both),
            Self::Tcp(socket) => registry.register(socket, token, both),
            Self::Tls(tls) => registry.register(&mut tls.socket, token, both),
        }
    }

    /// Asks for no more events.
    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Unix(socket) => registry.deregister(socket),
            Self::Tcp(socket) => registry.deregister(socket),
            Self::Tls(tls) => registry.deregister(&mut tls.socket),
        }
    }

    /// Sets the DSCP of what is sent (IP streams only; a failure is of no consequence).
    pub fn set_dscp(&self, dscp: u8) {
        let socket = match self {
            Self::Unix(_) => return,
            Self::Tcp(socket) => socket,
            Self::Tls(tls) => &tls.socket,
        };
        let tos = libc::c_int::from(dscp) << 2;
        // One of the two fails, by the family of the socket.
        let _ = nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Ipv4Tos, &tos);
        let _ = nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Ipv6TClass, &tos);
    }
}

fn tcp_connected(socket: &TcpStream) -> io::Result<bool> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => {
            let _ = socket.set_nodelay(true);
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(e) => Err(e),
    }
}

/// A socket that others connect to. A Unix-domain one takes its file away when it is dropped.
#[derive(Debug)]
pub enum Listener {
    /// Unix-domain, and the file it is bound to.
    Unix(UnixListener, PathBuf),
    /// TCP, with or without TLS above.
    Tcp(TcpListener, Transport),
}

impl Listener {
    /// Binds to `target`, which must be passive. A Unix-domain socket's stale file is replaced; `mode` is what the file gets.
    pub fn bind(target: &Target, mode: u32) -> io::Result<Self> {
        match target {
            Target::ListenUnix(path) => bind_unix(path, mode),
            Target::Listen(transport, address) => {
                TcpListener::bind(*address).map(|socket| Self::Tcp(socket, *transport))
            }
            Target::Connect(..) | Target::ConnectUnix(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Asks for events of this listener under `token`.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Unix(socket, _) => registry.register(socket, token, Interest::READABLE),
            Self::Tcp(socket, _) => registry.register(socket, token, Interest::READABLE),
        }
    }

    /// Asks for no more events.
    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Unix(socket, _) => registry.deregister(socket),
            Self::Tcp(socket, _) => registry.deregister(socket),
        }
    }

    /// Takes the next one who connected, with its name (`tcp:ADDRESS:PORT`, `unix#N` is the caller's to give: `None`).
    pub fn accept(&mut self, tls: &TlsFiles) -> io::Result<(Stream, Option<String>)> {
        match self {
            Self::Unix(socket, _) => Ok((Stream::Unix(socket.accept()?.0), None)),
            Self::Tcp(socket, Transport::Tcp) => {
                let (stream, peer) = socket.accept()?;
                Ok((Stream::Tcp(stream), Some(format!("tcp:{peer}"))))
            }
            Self::Tcp(socket, Transport::Tls) => {
                let (stream, peer) = socket.accept()?;
                let stream = TlsStream::server(stream, tls).map(Box::new).map(Stream::Tls)?;
                Ok((stream, Some(format!("ssl:{peer}"))))
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // Someone may have taken it away before us: nothing is lost.
            let _ = fs::remove_file(path);
        }
    }
}

fn bind_unix(path: &PathBuf, mode: u32) -> io::Result<Listener> {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let socket = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(Listener::Unix(socket, path.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_listener_replaces_stale_file_and_cleans_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("br0.mgmt");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the stale file");
        let target = Target::ListenUnix(path.clone());
        let mut listener = Listener::bind(&target, 0o750).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750);
        let mut out = Stream::connect(&Target::ConnectUnix(path.clone()), &TlsFiles::default()).unwrap();
        assert!(out.finish_connect().unwrap());
        let (mut inside, name) = listener.accept(&TlsFiles::default()).unwrap();
        assert_eq!(name, None);
        assert_eq!(out.write(b"hi").unwrap(), 2);
        let mut buf = [0; 8];
        assert_eq!(inside.read(&mut buf).unwrap(), 2);
        assert_eq!(inside.read(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_plain_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&Target::ListenUnix(path.clone()), 0o750).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
