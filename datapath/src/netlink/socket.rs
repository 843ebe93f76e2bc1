//! A netlink socket: asks and waits for the answer, or listens to a multicast group without waiting.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::message::{Message, Request, u32_at};

/// `NLMSG_ERROR`: the end of an answer, with an errno (0 for success).
const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
const DONE: u16 = 3;
/// As the kernel's own dumps: two pages at least, 32 KiB at most, a message.
const RECEIVE_LEN: usize = 64 * 1024;

/// A socket of one netlink protocol, in the namespace it was opened in.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens a socket of a protocol (`libc::NETLINK_ROUTE`, `libc::NETLINK_GENERIC`) in the calling thread's namespace.
    pub fn open(protocol: libc::c_int) -> io::Result<Self> {
        // SAFETY: plain system call.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and is nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        bind(&fd)?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Opens a socket that listens to a group and does not block, with room for `receive_bytes` of notifications. It also hears of
    /// all other namespaces to which its own has given a number ([`Message::nsid`]), without keeping them alive.
    pub fn listen(protocol: libc::c_int, group: u32, receive_bytes: u32) -> io::Result<Self> {
        let socket = Self::open(protocol)?;
        set_option(&socket.fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, receive_bytes)?;
        set_option(&socket.fd, libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID, 1)?;
        set_option(&socket.fd, libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group)?;
        // SAFETY: plain system call on a descriptor we own.
        if unsafe { libc::fcntl(socket.fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(socket)
    }

    /// Sends a request and returns the messages that answer it, up to its acknowledgement or the end of the dump. An
    /// errno in the answer is the error.
    pub fn ask(&mut self, request: Request) -> io::Result<Vec<Message>> {
        self.sequence += 1;
        let bytes = request.finish(self.sequence, libc::NLM_F_ACK as u16);
        self.send(&bytes)?;
        let mut answers = Vec::new();
        loop {
            for message in self.receive()? {
                if message.sequence != self.sequence {
                    continue;
                }
                match message.kind {
                    ERROR | DONE => return end_of(&message).map(|()| answers),
                    _ => answers.push(message),
                }
            }
        }
    }

    /// Takes the notifications that are waiting. `None`: some were lost, look at everything again.
    pub fn notifications(&mut self) -> io::Result<Option<Vec<Message>>> {
        let mut all = Vec::new();
        loop {
            match self.receive() {
                Ok(messages) => all.extend(messages),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Some(all)),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: the buffer is valid for its length.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn receive(&self) -> io::Result<Vec<Message>> {
        let mut buffer = vec![0; RECEIVE_LEN];
        loop {
            match receive_with_nsid(&self.fd, &mut buffer) {
                Ok((len, nsid)) => {
                    let messages = Message::split(&buffer[..len.min(buffer.len())]);
                    return Ok(messages.into_iter().map(|message| Message { nsid, ..message }).collect());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Receives into `buffer`; returns the length, and the number of the namespace if it is another one.
fn receive_with_nsid(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, Option<u32>)> {
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // As words, so that the control messages in it are aligned.
    let mut control = [0u64; 8];
    // SAFETY: all zeros is a valid `msghdr`.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control);
    // SAFETY: the header points to a buffer and a control buffer that are valid for their lengths.
    let got = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, 0) };
    let len = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has filled in the header; the control buffer it points to still lives.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const header).as_ref() };
    let nsid = first.filter(|control| {
        (control.cmsg_level, control.cmsg_type) == (libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID)
    });
    // SAFETY: a control message of this type holds one 32-bit number, at any alignment.
    let nsid = nsid.map(|control| unsafe { libc::CMSG_DATA(control).cast::<u32>().read_unaligned() });
    Ok((len, nsid))
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Sets a socket option that is a 32-bit number.
pub(crate) fn set_option(
    fd: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: u32,
) -> io::Result<()> {
    let len = size_of::<u32>() as libc::socklen_t;
    // SAFETY: the value is valid for its length.
    let rc = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives the socket an address. The kernel does not send what it tells groups to sockets without one.
fn bind(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: all zeros is a valid `sockaddr_nl`.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: the address is valid for its length.
    let rc = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn end_of(message: &Message) -> io::Result<()> {
    match u32_at(&message.payload, 0).unwrap_or(0) as i32 {
        error @ i32::MIN..0 => Err(io::Error::from_raw_os_error(-error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_and_a_bad_index_is_an_error() {
        let mut socket = Socket::open(libc::NETLINK_ROUTE).unwrap();
        let ifinfo = |index: i32| {
            let mut fixed = [0; 16];
            fixed[4..8].copy_from_slice(&index.to_ne_bytes());
            fixed
        };
        let answers = socket.ask(Request::new(libc::RTM_GETLINK, 0).fixed(&ifinfo(1))).unwrap();
        assert_eq!(answers.len(), 1);
        let error = socket.ask(Request::new(libc::RTM_GETLINK, 0).fixed(&ifinfo(0x7fff_0000))).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
